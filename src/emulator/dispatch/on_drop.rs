//! Tells a hub that a client or a worker's stream is gone.

use super::close_notice::CloseNotice;
use super::message::{Close, HubMessage};
use crate::emulator::engine::command::{StreamId, WaiterId};
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;

/// Tells the hub when it is dropped that the client which waited, or the worker's stream, is gone.
#[derive(Debug)]
pub(super) struct OnDrop {
    pub(super) sender: UnboundedSender<HubMessage>,
    pub(super) of: Option<Owner>,
}

#[derive(Debug)]
pub(super) enum Owner {
    Waiter(WaiterId),
    Stream(StreamId, Option<Arc<CloseNotice>>),
}

impl OnDrop {
    pub(super) fn not_needed(mut self) {
        self.of = None;
    }

    /// The reader of a stream has taken something, and the hub wanted to know.
    pub(super) fn tell_drained(&self) {
        if let Some(Owner::Stream(stream, _)) = &self.of {
            // A hub that has stopped needs no word.
            let _ = self.sender.send(HubMessage::Drained(*stream));
        }
    }
}

impl Drop for OnDrop {
    fn drop(&mut self) {
        let message = match self.of.take() {
            None => return,
            Some(Owner::Waiter(waiter)) => HubMessage::Forget(waiter),
            Some(Owner::Stream(stream, None)) => HubMessage::Close { stream, how: Close::Ended },
            Some(Owner::Stream(stream, Some(notice))) => return notice.close(stream, &self.sender),
        };
        // A hub that has stopped needs no message.
        let _ = self.sender.send(message);
    }
}
