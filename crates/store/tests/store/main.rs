//! The ledger on real databases: files of SQLite, and a PostgreSQL server where one is named.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod contract;
mod cuts;
mod damage;
mod disk;
mod faults;
mod formats;
mod lives;
#[cfg(feature = "postgres")]
mod postgres_faults;
mod postgres_server;
mod races;
mod shared;
mod turnstile;
