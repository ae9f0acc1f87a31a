//! What `towline keep` is made of: what it knows, what it tells of it, and the unit that starts it with a login.

mod known;
mod news;
mod pass;
mod unit;

pub(crate) use news::{Event, News, port_moved};
pub(crate) use pass::{Keeper, Passed, Whom};
pub(crate) use unit::unit;
