//! Compares the public face of the library with the file that was agreed on, `tests/fixtures/public_api.txt`.
//!
//! `GOLDEN=write cargo test --test public_api` writes the file anew; what users will notice then shows in the diff of
//! the repository, and belongs into CHANGELOG.md. The listing is read from the source, as with every feature on, because
//! the compiler's own description of a crate (rustdoc's JSON) needs a nightly toolchain. What is `#[doc(hidden)]` is no
//! promise, and is not listed.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what syn may know one day is no part of a public face yet"
)]

#[path = "public_api/krate.rs"]
mod krate;
#[path = "public_api/listing.rs"]
mod listing;

use krate::Krate;
use listing::listing;
use std::path::Path;

const AGREED: &str = "tests/fixtures/public_api.txt";

#[test]
fn the_public_face_is_the_one_that_was_agreed_on() {
    let listed = listing(&Krate::of_this_package()).join("\n") + "\n";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(AGREED);
    if std::env::var_os("GOLDEN").is_some_and(|wish| wish == "write") {
        std::fs::write(&file, &listed).expect("the listing can be written");
    }
    let agreed = std::fs::read_to_string(&file).expect("the listing is there");
    let (agreed, listed): (Vec<&str>, Vec<&str>) = (agreed.lines().collect(), listed.lines().collect());
    let gone = agreed.iter().filter(|line| !listed.contains(line)).map(|line| format!("  - {line}"));
    let new = listed.iter().filter(|line| !agreed.contains(line)).map(|line| format!("  + {line}"));
    let differences: Vec<String> = gone.chain(new).collect();
    assert!(
        differences.is_empty(),
        "the public face has changed; if users are to have that, run this test again with GOLDEN=write and say it in \
         CHANGELOG.md:\n{}",
        differences.join("\n")
    );
    assert_eq!(agreed, listed, "{AGREED} was edited by hand");
}

#[test]
fn no_type_of_the_wire_or_of_a_transport_is_in_a_public_signature() {
    let krate = Krate::of_this_package();
    let leaks: Vec<String> = listing(&krate).into_iter().filter(|line| leaks(line)).collect();
    assert!(
        leaks.is_empty(),
        "these belong into `wire`, or behind a type of `model`:\n  {}",
        leaks.join("\n  ")
    );
}

/// Whether a line of the listing names what comes from the generated messages or from gRPC's library.
///
/// Conversions are allowed: `impl From<..>` and its relatives are how raw-protocol tests reach a history.
fn leaks(line: &str) -> bool {
    let outside = ["wire::", "tonic::", "prost::", "prost_types::", "http::", "hyper::", "axum::"];
    !line.contains(": impl") && outside.iter().any(|name| line.contains(name))
}

#[test]
fn a_listing_follows_re_exports_and_visibility() {
    let lib = r#"
        pub mod open;
        mod closed;
        pub(crate) mod inside { pub struct Unseen; }
        #[doc(hidden)] pub mod hidden { pub fn nothing() {} }
        pub use closed::{deep::Thing as Renamed, helper, twin};
        #[cfg(test)] mod tests { pub fn never() {} }
        #[cfg(feature = "net")] pub fn connect(to: &str) -> Result<(), closed::Broken> { todo!() }
    "#;
    let open = r"
        pub use crate::closed::deep::Thing;
        pub use super::closed::all::*;
        use crate::wire::Message;
        pub struct Shown { pub field: u32, hidden: u8 }
        impl Shown { pub const fn of(field: u32) -> Self { todo!() } fn private(&self) {} #[doc(hidden)] pub fn no(&self) {} }
        pub fn leak(message: Message) {}
        pub(crate) fn ours() {}
        fn own() {}
    ";
    let closed = r"
        pub mod deep;
        pub mod all { pub trait Door { const N: u8; fn open(&self) -> bool { true } } pub(super) fn no() {} }
        mod twin { pub fn twin() {} }
        pub use twin::twin;
        pub fn helper<T: Clone>(of: &[T]) -> Vec<T> where T: Send { todo!() }
        #[derive(Debug)] pub enum Broken { A, B { why: String } }
        impl crate::open::Shown { pub fn from_elsewhere() {} }
        impl From<u8> for crate::open::Shown { fn from(_: u8) -> Self { todo!() } }
    ";
    let deep = r"#[non_exhaustive] #[derive(Clone, Debug)] pub enum Thing { One, #[doc(hidden)] Two(u8) }";
    let krate = Krate::read("taskhub", &|file| {
        let text = match file {
            "src/lib.rs" => lib,
            "src/open.rs" => open,
            "src/closed.rs" => closed,
            "src/closed/deep.rs" => deep,
            other => panic!("{other} is not there"),
        };
        text.to_owned()
    });
    let expected = [
        "taskhub::Renamed: non_exhaustive pub enum Renamed, derive(Clone, Debug)",
        "taskhub::Renamed::One",
        "taskhub::connect [net]: pub fn connect(to: &str) -> Result<(), closed::Broken>",
        "taskhub::helper: pub fn helper<T: Clone>(of: &[T]) -> Vec<T> where T: Send",
        "taskhub::open::Door: pub trait Door",
        "taskhub::open::Door::N: const N: u8",
        "taskhub::open::Door::open: provided fn open(&self) -> bool",
        "taskhub::open::Shown: impl From<u8> for crate::open::Shown",
        "taskhub::open::Shown: pub struct Shown { .. }",
        "taskhub::open::Shown::field: u32",
        "taskhub::open::Shown::from_elsewhere: pub fn from_elsewhere()",
        "taskhub::open::Shown::of: pub const fn of(field: u32) -> Self",
        "taskhub::open::Thing: = taskhub::Renamed",
        "taskhub::open::leak: pub fn leak(message: wire::Message)",
        "taskhub::twin: pub fn twin()",
    ];
    assert_eq!(listing(&krate), expected);
    assert!(leaks(expected[13]) && !leaks(expected[12]));
}
