//! Errands: verbs of an engine that are carried out call by call.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::calls::Call;
use super::process::Process;

/// A verb that a process carries out, step by step. Each call of a port is two steps: up to its effect, and up to its
/// answer. Dropping the errand kills the process there.
pub struct Errand<T> {
    process: Arc<Process>,
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    is_done: bool,
}

impl<T> Errand<T> {
    /// Lets `process` begin, with `verb` of an engine of its own.
    pub fn new(process: &Arc<Process>, verb: impl Future<Output = T> + Send + 'static) -> Self {
        Self { process: Arc::clone(process), future: Box::pin(verb), is_done: false }
    }

    /// The calls that wait to go on, in the order in which they were made.
    pub fn waiting(&self) -> Vec<Call> {
        self.process.gate().lock().waiting.values().map(|(call, _)| *call).collect()
    }

    /// Lets one call go on by a step, and returns what the verb comes to if that was the last. Of several calls that
    /// wait, `choice` picks one, counted around.
    pub fn step(&mut self, choice: usize) -> Option<T> {
        self.process.gate().open_one(choice);
        match self.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => {
                self.is_done = true;
                Some(done)
            }
            Poll::Pending => None,
        }
    }

    /// Lets it go on to its end, but for `limit` steps at most.
    pub fn finish(&mut self, limit: usize) -> Option<T> {
        (0..limit).find_map(|_| self.step(0))
    }
}

impl<T> Drop for Errand<T> {
    fn drop(&mut self) {
        if !self.is_done {
            self.process.note("process killed");
        }
    }
}

/// Where the calls of a process wait.
#[derive(Default)]
pub(super) struct Gate {
    tickets: Mutex<Tickets>,
}

#[derive(Default)]
pub(super) struct Tickets {
    next: u64,
    waiting: BTreeMap<u64, (Call, Waker)>,
    /// The one that may pass.
    open: Option<u64>,
}

impl Gate {
    /// Waits until it may pass.
    pub(super) const fn wait(&self, call: Call) -> Wait<'_> {
        Wait { gate: self, call, ticket: None }
    }

    fn lock(&self) -> MutexGuard<'_, Tickets> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_one(&self, choice: usize) {
        let waker = {
            let mut tickets = self.lock();
            let count = tickets.waiting.len().max(1);
            let Some(ticket) = tickets.waiting.keys().nth(choice % count).copied() else { return };
            tickets.open = Some(ticket);
            tickets.waiting.remove(&ticket).map(|(_, waker)| waker)
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

pub(super) struct Wait<'a> {
    gate: &'a Gate,
    call: Call,
    ticket: Option<u64>,
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut tickets = self.gate.lock();
        if self.ticket.is_some() && tickets.open == self.ticket {
            tickets.open = None;
            return Poll::Ready(());
        }
        let ticket = self.ticket.unwrap_or(tickets.next);
        tickets.next = tickets.next.max(ticket + 1);
        tickets.waiting.insert(ticket, (self.call, context.waker().clone()));
        drop(tickets);
        self.ticket = Some(ticket);
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut tickets = self.gate.lock();
        if let Some(ticket) = self.ticket {
            tickets.waiting.remove(&ticket);
            tickets.open = tickets.open.filter(|open| *open != ticket);
        }
    }
}
