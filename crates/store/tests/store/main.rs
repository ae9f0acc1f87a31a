//! The ledger on real databases: files of SQLite, and a PostgreSQL server where one is named.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod backup;
mod check;
mod contract;
mod cuts;
mod damage;
mod disk;
mod faults;
mod formats;
mod kills;
mod lives;
#[cfg(feature = "postgres")]
mod postgres_faults;
#[cfg(feature = "postgres")]
mod postgres_restart;
mod postgres_server;
mod races;
mod read_only;
mod shared;
mod stress;
mod turnstile;
