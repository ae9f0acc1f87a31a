//! What is staged on a cluster for services: models in caches of Hugging Face, and container images.
//!
//! [`Stage`] looks for them, downloads and removes them over any [`RemoteShell`](towline_core::ports::RemoteShell), with shell
//! scripts that run where the cluster is used from: this crate opens no connection and starts no process. What a login host
//! must have is in the README.

mod ask;
mod errand;
mod error;
mod frame;
mod hub;
mod image;
mod look;
mod model;
mod remove;
mod snapshots;
mod stage;
mod staged;
mod weights;

pub use errand::{Begun, Errand, Place, Progress, State};
pub use error::StageError;
pub use hub::{BadHub, BadToken, Hub, Token};
pub use image::{BadImageName, BadImageSource, ImageName, ImageSource};
pub use model::{BadModelName, Choice, File, Manifest, ModelName, Want};
pub use stage::{Places, Stage};
pub use staged::{Image, Model, ModelFile, Partial, Removal, Revision, Staged};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
