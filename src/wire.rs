//! Holds the wire types, generated from `proto/` by `build.rs`; nothing here is written by hand.
//!
//! Names, numbers and types are those of the published protocol (`proto/README.md`). A field that is a
//! `google.protobuf.StringValue` on the wire is an `Option<String>` here: absent is not empty.

#![allow(
    missing_docs,
    unreachable_pub,
    rust_2018_idioms,
    clippy::all,
    clippy::pedantic,
    clippy::wildcard_enum_match_arm,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]

include!(concat!(env!("OUT_DIR"), "/_.rs"));
