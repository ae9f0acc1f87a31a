//! The ledger on real databases: files of SQLite, and a PostgreSQL server where one is named.

mod contract;
mod postgres_server;
