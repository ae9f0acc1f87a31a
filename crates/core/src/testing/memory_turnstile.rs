//! A turnstile that lives as long as its process.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::ports::{Pass, Turnstile};

/// A turnstile in memory, for simulations and tests. Nobody waits before it: whoever finds it taken goes on without a
/// pass.
#[derive(Clone, Debug, Default)]
pub struct MemoryTurnstile {
    inside: Arc<Mutex<BTreeSet<String>>>,
}

struct Inside {
    turnstile: MemoryTurnstile,
    profile: String,
}

impl MemoryTurnstile {
    /// How many hold a pass.
    pub fn inside(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn try_enter(&self, profile: &str) -> Option<Pass> {
        let entered = self.lock().insert(profile.to_owned());
        let inside = || Inside { turnstile: self.clone(), profile: profile.to_owned() };
        entered.then(|| Box::new(inside()) as Pass)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.turnstile.lock().remove(&self.profile);
    }
}

#[async_trait]
impl Turnstile for MemoryTurnstile {
    async fn enter(&self, profile: &str) -> Option<Pass> {
        self.try_enter(profile)
    }
}
