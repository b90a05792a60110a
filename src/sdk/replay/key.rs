//! Gives an external event its type, on both sides.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// The name of an external event, and the type of its value.
///
/// ```
/// # use taskhub::sdk::EventKey;
/// const APPROVED: EventKey<bool> = EventKey::new("Approved");
/// ```
///
/// Names are compared without regard to case, as in every SDK of the family.
pub struct EventKey<T> {
    name: Cow<'static, str>,
    value: PhantomData<fn(T) -> T>,
}

impl<T> EventKey<T> {
    /// The event with this name.
    pub const fn new(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), value: PhantomData }
    }

    /// The event whose name is only known when the program runs.
    pub fn dynamic(name: impl Into<String>) -> Self {
        Self { name: Cow::Owned(name.into()), value: PhantomData }
    }

    /// The event's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl<T> Clone for EventKey<T> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), value: PhantomData }
    }
}

impl<T> fmt::Debug for EventKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EventKey").field(&self.name).finish()
    }
}
