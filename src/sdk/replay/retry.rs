//! Decides whether, and when, a failed task is tried again.

use super::failure::FailureDetails;
use crate::model::Timestamp;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

type Condition = dyn Fn(&FailureDetails) -> bool;

/// How often and how fast a failed task is tried again.
///
/// The engine follows it by itself, in the orchestration's own time: a call that is not awaited yet is retried all the
/// same, and every replay decides alike. A failure that calls itself not retriable ends it at once.
#[derive(Clone)]
#[must_use = "a policy does nothing until a call is given it"]
pub struct RetryPolicy {
    attempts: u32,
    first: Duration,
    backoff: f64,
    longest: Option<Duration>,
    total: Option<Duration>,
    jitter: f64,
    when: Option<Rc<Condition>>,
}

impl RetryPolicy {
    /// Makes at most `attempts` attempts, the first included, one second apart unless [`Self::first_interval`] sets another time.
    pub fn attempts(attempts: u32) -> Self {
        Self {
            attempts,
            first: Duration::from_secs(1),
            backoff: 1.0,
            longest: None,
            total: None,
            jitter: 0.0,
            when: None,
        }
    }

    /// Waits this long before the second attempt; one second unless set.
    pub fn first_interval(mut self, interval: Duration) -> Self {
        self.first = interval;
        self
    }

    /// Multiplies each further wait by `factor`; 1 unless set, and at least 1.
    pub fn backoff(mut self, factor: f64) -> Self {
        self.backoff = factor.max(1.0);
        self
    }

    /// Waits at most this long between two attempts.
    pub fn max_interval(mut self, interval: Duration) -> Self {
        self.longest = Some(interval);
        self
    }

    /// Starts no attempt later than this after the first.
    pub fn total_timeout(mut self, timeout: Duration) -> Self {
        self.total = Some(timeout);
        self
    }

    /// Makes each wait longer or shorter by up to this part of it, from 0 to 1; 0 unless set. Drawn from the instance's id, so that a replay
    /// draws the same.
    pub fn jitter(mut self, part: f64) -> Self {
        self.jitter = part.clamp(0.0, 1.0);
        self
    }

    /// Tries again only after failures that `condition` accepts. It must decide by the failure alone.
    pub fn when(mut self, condition: impl Fn(&FailureDetails) -> bool + 'static) -> Self {
        self.when = Some(Rc::new(condition));
        self
    }

    /// How long to wait after attempt `attempt` (from 1) has failed at `now`; `None` when that was the last.
    pub(super) fn wait(
        &self,
        attempt: u32,
        began: Timestamp,
        now: Timestamp,
        seed: &str,
    ) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let factor = self.backoff.powi(i32::try_from(attempt - 1).unwrap_or(i32::MAX));
        let plain = scaled(self.first, factor);
        let plain = self.longest.map_or(plain, |longest| plain.min(longest));
        let wait = if self.jitter > 0.0 {
            scaled(plain, 1.0 + self.jitter * (2.0 * fraction(seed, attempt) - 1.0))
        } else {
            plain
        };
        match self.total {
            Some(total) if now.since(began).saturating_add(wait) > total => None,
            _ => Some(wait),
        }
    }

    pub(super) fn accepts(&self, failure: &FailureDetails) -> bool {
        self.when.as_ref().is_none_or(|when| when(failure))
    }

    pub(super) fn looks_at_failures(&self) -> bool {
        self.when.is_some()
    }
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryPolicy")
            .field("attempts", &self.attempts)
            .field("first", &self.first)
            .field("backoff", &self.backoff)
            .field("longest", &self.longest)
            .field("total", &self.total)
            .field("jitter", &self.jitter)
            .finish_non_exhaustive()
    }
}

/// `duration` times `factor`; a century where that is out of range.
fn scaled(duration: Duration, factor: f64) -> Duration {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);
    let seconds = duration.as_secs_f64() * factor;
    Duration::try_from_secs_f64(seconds).map_or(CENTURY, |wait| wait.min(CENTURY))
}

/// A number from 0 to 1 that depends on nothing but its arguments (FNV-1a, then a finalizer to spread the bits).
fn fraction(seed: &str, attempt: u32) -> f64 {
    let bytes = seed.bytes().chain(attempt.to_le_bytes());
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    f64::from(u32::try_from(hash >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn waits(policy: &RetryPolicy) -> Vec<Duration> {
        (1..).map_while(|k| policy.wait(k, Timestamp::EPOCH, Timestamp::EPOCH, "i")).collect()
    }

    #[test]
    fn waits_grow_by_the_factor_up_to_the_longest() {
        let policy = RetryPolicy::attempts(6).first_interval(s(2)).backoff(2.0).max_interval(s(10));
        assert_eq!(waits(&policy), [s(2), s(4), s(8), s(10), s(10)]);
    }

    #[test]
    fn one_attempt_is_never_retried() {
        assert_eq!(waits(&RetryPolicy::attempts(1)), Vec::<Duration>::new());
        assert_eq!(waits(&RetryPolicy::attempts(0)), Vec::<Duration>::new());
    }

    #[test]
    fn no_attempt_begins_after_the_total_time() {
        let policy = RetryPolicy::attempts(9).first_interval(s(10)).total_timeout(s(25));
        let at = |seconds| policy.wait(1, Timestamp::EPOCH, Timestamp::EPOCH.plus(s(seconds)), "i");
        assert_eq!((at(15), at(16)), (Some(s(10)), None));
    }

    #[test]
    fn jitter_depends_on_the_instance_and_stays_in_its_bounds() {
        let policy = RetryPolicy::attempts(2).first_interval(s(10)).jitter(0.2);
        let of = |id: &str| policy.wait(1, Timestamp::EPOCH, Timestamp::EPOCH, id).unwrap();
        assert_eq!(of("a"), of("a"));
        assert_ne!(of("a"), of("b"));
        for id in ["a", "b", "c", "d", "e"] {
            assert!((s(8)..=s(12)).contains(&of(id)), "{id}: {:?}", of(id));
        }
    }

    #[test]
    fn endless_growth_ends_at_a_century() {
        let policy = RetryPolicy::attempts(u32::MAX).first_interval(s(1)).backoff(10.0);
        assert!(policy.wait(100_000, Timestamp::EPOCH, Timestamp::EPOCH, "i").is_some());
    }
}
