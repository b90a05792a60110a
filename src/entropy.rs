//! Draws randomness; nothing else does.

use uuid::Uuid;

/// A number that nobody can guess, to seed what must differ from run to run.
pub fn seed() -> u128 {
    uuid().as_u128()
}

/// A random id.
#[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
pub fn uuid() -> Uuid {
    Uuid::new_v4()
}
