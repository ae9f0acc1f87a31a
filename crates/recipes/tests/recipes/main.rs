//! Recipes from outside: what is read, what is refused and how, and what becomes of a request.

#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod bad;
mod built_in;
mod keys;
mod nonsense;
mod resolved;
mod staged;
mod support;
