//! Services in containers, by a real Podman: `. "$(scripts/podman-for-tests start)"` makes one for these tests.

#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod contract;
mod ends;
mod podman;
