//! The gRPC service (protocol/transport.md#service): parses, asks a hub, renders.
//!
//! Every RPC is three lines in `rpc`: parse the request into a command, ask the hub, render its reply. Replies that can be
//! large are in `large_replies`, within the budget of `admission`. `router` routes requests, and serves the two streams,
//! whose messages are sent as the bytes that the hub keeps. It also checks the length of each message: `body` reads the
//! length, `offload` decodes large messages on another thread, `oversized` and `skim` handle messages above the limit.

mod admission;
mod body;
mod encoded;
mod large_replies;
mod metadata;
mod offload;
mod oversized;
mod parse;
mod render;
mod router;
mod rpc;
mod skim;
mod status;
mod streams;

pub(super) use admission::{ClientBudget, ClientLimits, ReplyReservation};
pub(super) use router::GrpcRouter;

use super::dispatch::{Capacity, HubHandle, Hubs};
use crate::clock::Clock;
use http::HeaderMap;
use std::sync::Arc;
use tonic::Status;

/// The service over all hubs of an emulator.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) hubs: Hubs,
    pub(super) clock: Arc<dyn Clock>,
    /// The memory that all hubs together may hold.
    pub(super) capacity: Capacity,
    /// What clients may have under way: unread replies and waits.
    pub(super) budget: ClientBudget,
    /// How long one payload may be, in bytes; `None` for any length.
    pub(super) max_payload: Option<usize>,
}

impl Service {
    /// The hub that a request is for.
    fn hub_of(&self, headers: &HeaderMap) -> Result<HubHandle, Status> {
        Ok(self.hubs.find(metadata::hub(headers)?)?)
    }
}
