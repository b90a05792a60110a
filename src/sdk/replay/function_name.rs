//! Derives the name of a function on the wire from its path.

use std::any::type_name;

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
