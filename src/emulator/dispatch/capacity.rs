//! Counts what the hubs of an emulator hold together, and says when that is all they may.

use crate::emulator::engine::command::Refusal;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many bytes of state all hubs may hold together, and how many they do.
#[derive(Debug, Clone)]
pub struct Capacity(Option<Arc<Bounded>>);

#[derive(Debug)]
struct Bounded {
    most: usize,
    held: AtomicUsize,
}

impl Capacity {
    /// Any number of bytes where `most` is `None`.
    pub fn of(most: Option<usize>) -> Self {
        Self(most.map(|most| Arc::new(Bounded { most, held: AtomicUsize::new(0) })))
    }

    /// Refuses what would add to the state.
    ///
    /// # Errors
    ///
    /// [`Refusal::Full`] where the hubs hold as much as they may.
    pub fn check(&self) -> Result<(), Refusal> {
        let Some(bounded) = &self.0 else { return Ok(()) };
        let held = bounded.held.load(Ordering::Relaxed);
        if held < bounded.most { Ok(()) } else { Err(Refusal::Full { held, most: bounded.most }) }
    }
}

/// What one hub holds of a [`Capacity`]; given back when it is dropped.
#[derive(Debug)]
pub(super) struct CapacityShare {
    of: Capacity,
    held: usize,
}

impl CapacityShare {
    pub(super) fn new(of: Capacity) -> Self {
        Self { of, held: 0 }
    }

    /// Says how much the hub holds now.
    pub(super) fn set(&mut self, held: usize) {
        let Some(bounded) = self.of.0.as_ref().filter(|_| held != self.held) else { return };
        if held > self.held {
            bounded.held.fetch_add(held - self.held, Ordering::Relaxed);
        } else {
            bounded.held.fetch_sub(self.held - held, Ordering::Relaxed);
        }
        self.held = held;
    }
}

impl Drop for CapacityShare {
    fn drop(&mut self) {
        self.set(0);
    }
}
