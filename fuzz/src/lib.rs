//! Throws bytes at every door: whatever comes in, nothing panics, nothing hangs, and what is refused changes nothing.
//!
//! `cargo fuzz run messages` and so on draw the bytes; `tests/fuzz_corpus.rs` runs the same bodies over the files of
//! `tests/fixtures/corpus/`, one folder for each door. What a run finds goes there.

mod engine;
mod worker;

// The readers of request headers are private to the service, and so are taken as they stand.
#[path = "../../src/emulator/service/metadata.rs"]
mod headers;

use http::{HeaderMap, HeaderName, HeaderValue};

pub use engine::messages;
pub use worker::{batch, history};

/// A connection string, an endpoint, an entity's id: whatever users write.
pub fn connection_string(bytes: &[u8]) {
    use taskhub::sdk::connect::{ConnectionString, Endpoint};
    let text = String::from_utf8_lossy(bytes);
    if let Ok(parsed) = ConnectionString::parse(&text) {
        assert!(!parsed.endpoint.host().is_empty(), "an endpoint names a host: {text:?}");
    }
    if let Err(refused) = ConnectionString::parse(&text) {
        assert!(!refused.to_string().is_empty());
    }
    drop(Endpoint::parse(&text));
    drop(taskhub::sdk::Target::from_connection_string(&text));
    drop(text.parse::<taskhub::sdk::EntityId>());
    drop(taskhub::model::InstanceId::parse(&text));
}

/// The headers of a request: lines of `name: value`.
pub fn metadata(bytes: &[u8]) {
    let mut sent = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(100) {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            sent.append(name, value);
        }
    }
    let named = headers::hub(&sent);
    assert!(!matches!(named, Ok(Some(name)) if name.trim().is_empty()), "a blank name is no name");
    drop(headers::worker(&sent));
    let named = sent.contains_key("x-user-agent") || sent.contains_key("user-agent");
    assert!(named || headers::sdk(&sent) == headers::Sdk::Other, "an SDK that says nothing is no SDK");
    let _ = headers::deadline(&sent);
}
