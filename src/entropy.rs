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
    // The first 32 bits: further on a uuid says what version it is.
    let bits = u32::try_from(seed() >> 96).unwrap_or_default();
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}
