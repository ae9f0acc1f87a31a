//! A turnstile that lives as long as its process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::ports::{Pass, Turnstile};

/// A turnstile in memory, for simulations and tests. Nobody waits before it: whoever finds it taken goes on without a
/// pass.
#[derive(Clone, Debug, Default)]
pub struct MemoryTurnstile {
    doors: Arc<Mutex<Doors>>,
}

#[derive(Debug, Default)]
struct Doors {
    /// Who is inside, by the number of their pass.
    inside: BTreeMap<String, u64>,
    passes: u64,
}

struct Inside {
    turnstile: MemoryTurnstile,
    whom: String,
    pass: u64,
}

impl MemoryTurnstile {
    /// How many hold a pass.
    pub fn inside(&self) -> usize {
        self.lock().inside.len()
    }

    pub(super) fn try_enter(&self, whom: &str) -> Option<Pass> {
        let is_free = !self.lock().inside.contains_key(whom);
        is_free.then(|| self.take_over(whom))
    }

    /// Enters whoever is inside, who is taken for stuck.
    pub(super) fn take_over(&self, whom: &str) -> Pass {
        let mut doors = self.lock();
        doors.passes += 1;
        let pass = doors.passes;
        doors.inside.insert(whom.to_owned(), pass);
        Box::new(Inside { turnstile: self.clone(), whom: whom.to_owned(), pass })
    }

    fn lock(&self) -> MutexGuard<'_, Doors> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let mut doors = self.turnstile.lock();
        if doors.inside.get(&self.whom) == Some(&self.pass) {
            doors.inside.remove(&self.whom);
        }
    }
}

#[async_trait]
impl Turnstile for MemoryTurnstile {
    async fn enter(&self, whom: &str) -> Option<Pass> {
        self.try_enter(whom)
    }
}
