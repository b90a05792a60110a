//! Finds the name by which a function is known on the wire.

use super::failure::Refused;
use std::any::{TypeId, type_name};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The name of a function: the last segment of its path.
///
/// A closure has none, and the instances of a generic function share one: register those by name.
///
/// ```
/// # use taskhub::sdk::name_of;
/// # use taskhub::activities::process;
/// fn of<F>(_: F) -> &'static str { name_of::<F>() }
/// assert_eq!(of(process), "process");
/// ```
pub fn name_of<F>() -> &'static str {
    last_segment(type_name::<F>())
}

/// The part of a path behind its last `::` that is not inside angle brackets.
pub(super) fn last_segment(path: &'static str) -> &'static str {
    let (mut depth, mut start) = (0_usize, 0);
    let bytes = path.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'<' => depth += 1,
            b'>' => depth = depth.saturating_sub(1),
            b':' if depth == 0 => start = at + 1,
            _ => {}
        }
    }
    &path[start..]
}

/// Whether the name that [`name_of`] finds tells this function from all others.
pub(crate) fn names_itself<F>() -> bool {
    !name_of::<F>().ends_with(['}', '>'])
}

/// What a function is registered as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Its name on the wire.
    pub name: Arc<str>,
    /// Its version; `None` when it serves whatever version is asked for.
    pub version: Option<Arc<str>>,
}

/// The names that functions were registered by, to call them by the function itself.
#[derive(Debug, Clone, Default)]
pub struct Names(BTreeMap<TypeId, Registered>);

impl Names {
    /// Notes what `F` is registered as. The first registration of a function is the one that calls go to.
    pub fn note<F: 'static>(&mut self, registered: Registered) {
        self.0.entry(TypeId::of::<F>()).or_insert(registered);
    }

    /// What `F` is registered as, if it is.
    pub fn find<F: 'static>(&self) -> Option<&Registered> {
        self.0.get(&TypeId::of::<F>())
    }

    /// The name, and perhaps the version, that a call of `F` asks for.
    pub(super) fn of<F: 'static>(&self) -> Result<(String, Option<String>), Refused> {
        match self.find::<F>() {
            Some(known) => Ok((known.name.to_string(), known.version.as_deref().map(str::to_owned))),
            None if names_itself::<F>() => Ok((name_of::<F>().to_owned(), None)),
            None => Err(Refused::Nameless { path: type_name::<F>() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_segment_is_the_name_and_what_is_generic_shows_it() {
        assert_eq!(last_segment("a::b::price"), "price");
        assert_eq!(last_segment("a::generic<b::c>"), "generic<b::c>");
        assert_eq!(last_segment("<a::S as b::T>::run"), "run");
        assert_eq!(last_segment("plain"), "plain");
    }

    #[test]
    fn a_closure_does_not_name_itself_and_a_function_does() {
        fn names_it<F>(_: F) -> bool {
            names_itself::<F>()
        }
        assert!(names_it(last_segment));
        assert!(!names_it(|| ()));
        assert!(!names_it(name_of::<u8>));
    }
}
