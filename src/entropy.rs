//! Draws randomness; nothing else does.

use uuid::Uuid;

/// A fresh seed for everything that is derived from one.
pub fn seed() -> u128 {
    uuid().as_u128()
}

/// A random uuid.
#[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
pub fn uuid() -> Uuid {
    Uuid::new_v4()
}

/// A random fraction, at least 0 and below 1.
pub fn fraction() -> f64 {
    let bits = (seed() >> 75) as u32;
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}
