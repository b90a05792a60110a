//! Draws randomness; nothing else does.

use uuid::Uuid;

/// A fresh seed for everything that is derived from one.
pub(crate) fn seed() -> u128 {
    uuid().as_u128()
}

/// A random uuid.
#[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
pub(crate) fn uuid() -> Uuid {
    Uuid::new_v4()
}
