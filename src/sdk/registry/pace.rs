//! Remembers how long an activity has kept its thread.

use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::time::Duration;

/// An activity that kept its thread for less was quick.
const QUICK: Duration = Duration::from_micros(500);
/// How many quick runs are remembered at most.
const MEMORY: i32 = 2 * SLOW - 1;
/// How many quick runs a slow one outweighs: where there were as many, the system may have interrupted it, and it is
/// forgiven; a second one soon after is not.
const SLOW: i32 = 32;
/// An activity that once blocked its thread is never taken to be quick again.
const BLOCKS: i32 = i32::MIN;

/// How long an activity has kept its thread: whether it may run where others wait for it to return. One that has not run is
/// taken to be quick.
#[derive(Debug, Default)]
pub(crate) struct RunTimes(AtomicI32);

impl RunTimes {
    /// Whether its runs have been short.
    pub(crate) fn is_quick(&self) -> bool {
        self.0.load(Relaxed) >= 0
    }

    /// Whether it is known to block its thread.
    pub(crate) fn blocks(&self) -> bool {
        self.0.load(Relaxed) == BLOCKS
    }

    /// A run kept its thread for this long.
    pub(crate) fn ran(&self, took: Duration) {
        // Two runs that end together may lose a count, which changes nothing.
        let before = self.0.load(Relaxed);
        let after = match (before, took < QUICK) {
            (BLOCKS, _) | (MEMORY, true) => return,
            (_, true) => before + 1,
            (_, false) => (before - SLOW).max(-MEMORY),
        };
        self.0.store(after, Relaxed);
    }

    /// A run blocks its thread.
    pub(crate) fn blocked(&self) {
        self.0.store(BLOCKS, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_activity_is_quick_until_a_run_was_slow_and_again_after_many_quick_ones() {
        let pace = RunTimes::default();
        assert!(pace.is_quick());
        pace.ran(QUICK);
        assert!(!pace.is_quick());
        (0..SLOW).for_each(|_| pace.ran(QUICK / 2));
        assert!(pace.is_quick());
        (0..2 * MEMORY).for_each(|_| pace.ran(QUICK / 2));
        pace.ran(QUICK);
        assert!(pace.is_quick(), "the system may have interrupted it");
        pace.ran(QUICK);
        assert!(!pace.is_quick());
    }

    #[test]
    fn an_activity_that_blocked_once_is_never_quick_again() {
        let pace = RunTimes::default();
        pace.blocked();
        (0..2 * MEMORY).for_each(|_| pace.ran(QUICK / 2));
        assert!(pace.blocks() && !pace.is_quick());
    }
}
