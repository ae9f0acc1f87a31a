//! Services in a file: what `run -f` starts, `show --spec` prints and `schema` describes.

mod exact;
mod print;
mod read;
mod schema;
mod words;

pub(crate) use exact::Exact;
pub(crate) use print::{Values, print};
pub(crate) use read::{Entry, read};
pub(crate) use schema::schema;
