//! Waiting for a condition, never for a time.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long something may take that should be there at once. Generous: the machine may be busy.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Asks again and again until there is an answer, and gives it.
pub(crate) fn eventually<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "{what}: not within {} s", limit.as_secs());
        sleep(Duration::from_millis(100));
    }
}
