//! Speaks gRPC (protocol/transport.md#service): parses, asks, renders.
//!
//! Every RPC is three lines in `rpc`: parse the request into a command, ask the hub, render what it says. What can be
//! long is in `reading`, within the bounds of `admission`. `front` stands before them and serves the two streams, whose
//! messages travel as the bytes that they are kept as. Messages are measured there too: `announced` says how long one is,
//! `elsewhere` reads large ones, `oversized` and `skim` those that are too large.

mod admission;
mod announced;
mod elsewhere;
mod encoded;
mod front;
mod metadata;
mod oversized;
mod parse;
mod reading;
mod render;
mod rpc;
mod skim;
mod status;
mod streams;

pub(super) use admission::{Admission, Bounds, Reserved};
pub(super) use front::Front;

use super::dispatch::{Capacity, Handle, Hubs};
use crate::clock::Clock;
use http::HeaderMap;
use std::sync::Arc;
use tonic::Status;

/// The service over all hubs of an emulator.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) hubs: Hubs,
    pub(super) clock: Arc<dyn Clock>,
    /// What all hubs may hold.
    pub(super) capacity: Capacity,
    /// What clients may have under way.
    pub(super) admission: Admission,
    /// How long one payload may be, in bytes; `None` for any length.
    pub(super) max_payload: Option<usize>,
}

impl Service {
    /// The hub that a request is for.
    fn hub_of(&self, headers: &HeaderMap) -> Result<Handle, Status> {
        Ok(self.hubs.find(metadata::hub(headers)?)?)
    }
}
