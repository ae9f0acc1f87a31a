//! The ledger of services in SQLite or PostgreSQL, through SeaORM.
//!
//! [`Store`] implements the port [`towline_core::ports::Ledger`] on a [`Location`]: a file of SQLite, or a database of
//! a PostgreSQL server. Opening creates what is missing and brings an older schema up to date. It is the
//! [`towline_core::ports::Turnstile`] of all programs that use the same ledger as well.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

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

pub use location::{Location, LocationError, PostgresUrl};
pub use store::{Store, StoreOptions};
