//! Names what is sent to a hub.

use super::item_queue::ItemSender;
use crate::emulator::engine::command::{Command, Offer, Refusal, Reply, StreamId, WaiterId};
use tokio::sync::oneshot;

/// Where the reply to a command goes.
pub(super) type ReplySender = oneshot::Sender<Result<Reply, Refusal>>;

/// What is sent to a hub.
pub(super) enum HubMessage {
    Ask(Command, ReplySender),
    Wait { waiter: WaiterId, command: Command, answer: ReplySender },
    Open { stream: StreamId, offer: Box<Offer>, items: ItemSender },
    Drained(StreamId),
    Close { stream: StreamId, how: Close },
    Forget(WaiterId),
    Stop(oneshot::Sender<()>),
}

impl std::fmt::Debug for HubMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ask(..) => "Ask",
            Self::Wait { .. } => "Wait",
            Self::Open { .. } => "Open",
            Self::Drained(_) => "Drained",
            Self::Close { .. } => "Close",
            Self::Forget(_) => "Forget",
            Self::Stop(_) => "Stop",
        })
    }
}

/// How a stream of work items ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// In good order, or cancelled on a connection that has ended since.
    Ended,
    /// Its worker cancelled it, and the connection lives.
    Cancelled,
    /// The connection broke without notice.
    Lost,
}
