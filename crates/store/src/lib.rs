//! The ledger of services in SQLite or PostgreSQL, through SeaORM.
