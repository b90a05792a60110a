//! Runs what fuzzing throws at the doors over the files that are kept, as ordinary tests.
//!
//! Every file is also cut short, and has a bit turned, at up to 64 places spread over it: a small corpus then reaches far.
//! To draw new bytes: `cargo +nightly fuzz run messages tests/fixtures/corpus/messages`, from the repository's root.

#![cfg(all(feature = "emulator", feature = "sdk"))]

#[expect(
    unreachable_pub,
    clippy::wildcard_enum_match_arm,
    clippy::too_many_lines,
    reason = "the bodies belong to a crate of their own, where they are public, and fail on whatever they do not expect"
)]
#[path = "../fuzz/src/lib.rs"]
mod doors;

use std::path::Path;

/// Runs a door over its corpus, as it is and damaged.
fn knock(door: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/corpus").join(door);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    let mut knocked = 0;
    for file in files {
        let whole = std::fs::read(file.expect("listed").path()).expect("a file of the corpus can be read");
        body(&whole);
        let step = whole.len() / 64 + 1;
        for cut in (0..whole.len()).step_by(step) {
            body(&whole[..cut]);
            let mut turned = whole.clone();
            turned[cut] ^= 1 << (cut % 8);
            body(&turned);
        }
        knocked += 1;
    }
    assert!(knocked > 0, "{} is empty", folder.display());
}

#[test]
fn no_conversation_in_bytes_breaks_a_hub() {
    knock("messages", doors::messages);
}

#[test]
fn no_history_breaks_a_worker() {
    knock("history", doors::history);
}

#[test]
fn no_batch_breaks_a_worker() {
    knock("batch", doors::batch);
}

#[test]
fn no_connection_string_breaks_a_client() {
    knock("connection_string", doors::connection_string);
}

#[test]
fn no_header_breaks_the_service() {
    knock("metadata", doors::metadata);
}
