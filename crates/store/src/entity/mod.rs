//! The rows of the database. What stands here is a promise to later versions.

#![expect(
    unreachable_pub,
    reason = "SeaORM makes an entity public and asks as much of its row and its relations"
)]

pub(crate) mod event;
pub(crate) mod service;
