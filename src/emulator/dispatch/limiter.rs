//! Keeps warnings from filling a log: each cause is logged once, and again only after a while.

use crate::model::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a cause that was logged is left out when it comes again.
const EVERY: Duration = Duration::from_secs(60);

/// How many causes are kept. What comes beyond them shares one place.
const CAUSES: usize = 100;

/// The longest cause that is kept whole, in bytes: names come from clients.
const LONGEST: usize = 200;

/// Decides which warnings are logged.
#[derive(Debug, Default)]
pub(in crate::emulator) struct WarningLimiter {
    causes: BTreeMap<String, Cause>,
    /// What all causes share that there is no place for.
    others: Option<Cause>,
}

#[derive(Debug)]
struct Cause {
    logged: Timestamp,
    left_out: u64,
}

impl Cause {
    fn again(&mut self, now: Timestamp) -> Option<u64> {
        if now.since(self.logged) < EVERY {
            self.left_out += 1;
            return None;
        }
        self.logged = now;
        Some(std::mem::take(&mut self.left_out))
    }
}

impl WarningLimiter {
    /// Whether a warning is to be logged now: how many of its cause were left out since the last that was logged, or `None`
    /// where it is left out itself.
    pub(in crate::emulator) fn allows(&mut self, cause: &str, now: Timestamp) -> Option<u64> {
        let whole = (0..=LONGEST.min(cause.len())).rev().find(|end| cause.is_char_boundary(*end));
        let cause = &cause[..whole.unwrap_or_default()];
        if let Some(known) = self.causes.get_mut(cause) {
            return known.again(now);
        }
        if self.causes.len() == CAUSES && !self.make_room(now) {
            return match &mut self.others {
                Some(others) => others.again(now),
                none => {
                    *none = Some(Cause { logged: now, left_out: 0 });
                    Some(0)
                }
            };
        }
        self.causes.insert(cause.to_owned(), Cause { logged: now, left_out: 0 });
        Some(0)
    }

    /// Forgets the cause that was logged longest ago, where that is so long ago that it would be logged again.
    fn make_room(&mut self, now: Timestamp) -> bool {
        let oldest = self.causes.iter().min_by_key(|(_, cause)| cause.logged);
        let Some(name) =
            oldest.filter(|(_, cause)| now.since(cause.logged) >= EVERY).map(|(name, _)| name.clone())
        else {
            return false;
        };
        self.causes.remove(&name);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_cause_is_logged_once_and_after_a_while_again_with_the_number_of_those_left_out() {
        let mut limiter = WarningLimiter::default();
        assert_eq!(limiter.allows("a", at(0)), Some(0));
        assert_eq!(limiter.allows("b", at(0)), Some(0));
        for second in 1..60 {
            assert_eq!(limiter.allows("a", at(second)), None);
        }
        assert_eq!(limiter.allows("a", at(60)), Some(59));
        assert_eq!(limiter.allows("a", at(120)), Some(0));
    }

    #[test]
    fn what_it_keeps_is_bounded_and_causes_beyond_that_share_one_place() {
        let mut limiter = WarningLimiter::default();
        let logged = |limiter: &mut WarningLimiter, second| {
            let allowed = (0..10_000).filter(|n| limiter.allows(&format!("{n}"), at(second)).is_some());
            allowed.count()
        };
        assert_eq!(logged(&mut limiter, 0), CAUSES + 1);
        assert_eq!(logged(&mut limiter, 59), 0);
        assert_eq!(limiter.causes.len(), CAUSES);
        // Old ones make room for new ones.
        assert_eq!(limiter.allows("new", at(61)), Some(0));
        assert_eq!(limiter.causes.len(), CAUSES);
    }

    #[test]
    fn a_long_cause_is_kept_in_part() {
        let mut limiter = WarningLimiter::default();
        let long = "\u{e4}".repeat(1_000);
        assert_eq!(limiter.allows(&long, at(0)), Some(0));
        assert_eq!(limiter.allows(&long, at(1)), None);
        assert!(limiter.causes.keys().all(|cause| cause.len() <= LONGEST));
    }
}
