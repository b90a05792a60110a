//! Names the words that only our worker and our emulator exchange: extensions of the protocol.
//!
//! Another worker or scheduler ignores all of them.

/// The header of a worker that keeps orchestrators between turns; `1` asks the emulator to leave out the past.
#[cfg(any(feature = "emulator", feature = "sdk"))]
pub(crate) const STICKY_HEADER: &str = "x-taskhub-sticky";

/// The property of a turn that says how many past events were left out.
pub(crate) const PAST_PROPERTY: &str = "taskhub.past";

/// The tag that says which attempt an activity or a child is, from the second on.
pub(crate) const ATTEMPT_TAG: &str = "taskhub.attempt";

/// The tag that says, from the second attempt on, which action was the first.
pub(crate) const CALL_TAG: &str = "taskhub.call";
