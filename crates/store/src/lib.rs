//! The ledger of services in SQLite or PostgreSQL, through SeaORM.
//!
//! [`Store`] implements the port [`towline_core::ports::Ledger`] on a [`Location`]: a file of SQLite, or a database of
//! a PostgreSQL server. Opening creates what is missing and brings an older schema up to date. It is the
//! [`towline_core::ports::Turnstile`] of all programs that use the same ledger as well. [`Store::check`] looks for
//! damage, [`Store::back_up`] makes a copy.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod backup;
mod check;
mod current;
mod entity;
mod faults;
mod ledger;
mod location;
mod migration;
#[cfg(feature = "postgres")]
mod postgres;
mod row;
mod save;
mod sqlite;
mod store;
mod turnstile;

pub use backup::BackupError;
pub use check::{CheckReport, Problem};
pub use location::{Location, LocationError, PostgresUrl};
pub use store::{Store, StoreOptions};
