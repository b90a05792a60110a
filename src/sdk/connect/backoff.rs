//! Decides how long to wait before the next attempt; the caller waits.

use std::time::Duration;

/// Delays that double up to a limit, each drawn between nothing and its bound ("full jitter"), so that many who
/// lost the same scheduler do not all come back in the same moment.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    bound: Duration,
    limit: Duration,
    state: u64,
}

impl Backoff {
    /// Delays whose bounds begin at `first` and stop growing at `limit`; `seed` decides the draws.
    pub(crate) fn new(first: Duration, limit: Duration, seed: u128) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "half of the seed is seed enough")]
        Self { bound: first.min(limit), limit, state: seed as u64 ^ (seed >> 64) as u64 }
    }

    /// A number in 0..=999,999, by one step of splitmix64.
    fn draw(&mut self) -> u32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((z ^ (z >> 31)) % 1_000_000).unwrap_or_default()
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let bound = self.bound;
        self.bound = (bound * 2).min(self.limit);
        Some(bound * self.draw() / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_stay_below_a_bound_that_doubles_up_to_the_limit() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30), 7);
        for (delay, bound) in backoff.zip([1, 2, 4, 8, 16, 30, 30, 30]) {
            assert!(delay < Duration::from_secs(bound), "{delay:?} is not below {bound} s");
        }
    }

    #[test]
    fn the_seed_decides_the_delays() {
        let draw = |seed| {
            Backoff::new(Duration::from_secs(1), Duration::from_secs(30), seed).take(5).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
