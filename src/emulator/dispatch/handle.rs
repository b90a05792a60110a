//! Reaches a hub from anywhere.

use super::close_notice::{Close, CloseNotice};
use super::items::{Items, Outlet, items};
use crate::emulator::engine::command::{Command, Offer, Refusal, Reply, Stats, StreamId, Until, WaiterId};
use crate::model::InstanceId;
use crate::wire;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};

type Answer = oneshot::Sender<Result<Reply, Refusal>>;

/// What is sent to a hub.
pub(super) enum Message {
    Ask(Command, Answer),
    Wait { waiter: WaiterId, command: Command, answer: Answer },
    Open { stream: StreamId, offer: Box<Offer>, outlet: Outlet },
    Drained(StreamId),
    Close { stream: StreamId, how: Close },
    Forget(WaiterId),
    Stop(oneshot::Sender<()>),
}

/// Why a hub did not do what it was asked.
pub type Failure = Refusal;

/// A way to reach a hub. Cheap to clone; usable from any thread and runtime.
#[derive(Debug, Clone)]
pub struct Handle {
    sender: mpsc::UnboundedSender<Message>,
    numbers: Arc<AtomicU64>,
}

impl std::fmt::Debug for Message {
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

impl Handle {
    pub(super) fn new(sender: mpsc::UnboundedSender<Message>) -> Self {
        Self { sender, numbers: Arc::new(AtomicU64::new(1)) }
    }

    /// A handle to a hub that did not start: everything is answered with [`Refusal::ShuttingDown`].
    pub(crate) fn to_nowhere() -> Self {
        Self::new(mpsc::unbounded_channel().0)
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Asks the hub something.
    ///
    /// # Errors
    ///
    /// The engine's [`Refusal`], or [`Refusal::ShuttingDown`] where the hub has stopped.
    pub async fn ask(&self, command: Command) -> Result<Reply, Refusal> {
        let (answer, answered) = oneshot::channel();
        self.sender.send(Message::Ask(command, answer)).map_err(|_| Refusal::ShuttingDown)?;
        answered.await.unwrap_or(Err(Refusal::ShuttingDown))
    }

    /// Waits until an instance has begun or ended. Whoever stops waiting drops the future, and the hub forgets it.
    ///
    /// # Errors
    ///
    /// The engine's [`Refusal`], or [`Refusal::ShuttingDown`] where the hub stops meanwhile.
    pub async fn wait(
        &self,
        id: InstanceId,
        until: Until,
        payloads: bool,
    ) -> Result<Option<Arc<wire::OrchestrationState>>, Refusal> {
        let waiter = WaiterId(self.number());
        let (answer, answered) = oneshot::channel();
        let command = Command::Wait { waiter, id, until, payloads };
        let message = Message::Wait { waiter, command, answer };
        self.sender.send(message).map_err(|_| Refusal::ShuttingDown)?;
        let forget = OnDrop { sender: self.sender.clone(), of: Some(Owner::Waiter(waiter)) };
        let reply = answered.await.unwrap_or(Err(Refusal::ShuttingDown));
        forget.not_needed();
        let Reply::State(state) = reply? else { return Ok(None) };
        Ok(state)
    }

    /// Opens a stream of work items, each an encoded `wire::WorkItem`. Dropping it gives back what it holds.
    ///
    /// # Errors
    ///
    /// [`Refusal::ShuttingDown`] where the hub has stopped.
    pub fn open(&self, offer: Offer) -> Result<Items, Refusal> {
        self.open_over(offer, None)
    }

    /// Opens a stream that a connection carries. When it is dropped and the client gave no notice of closing,
    /// the worker counts as lost, and what it held as a possible cause.
    ///
    /// # Errors
    ///
    /// [`Refusal::ShuttingDown`] where the hub has stopped.
    pub fn open_over(&self, offer: Offer, notice: Option<Arc<CloseNotice>>) -> Result<Items, Refusal> {
        let stream = StreamId(self.number());
        let on_drop = OnDrop { sender: self.sender.clone(), of: Some(Owner::Stream(stream, notice)) };
        let (outlet, items) = items(on_drop);
        let message = Message::Open { stream, offer: Box::new(offer), outlet };
        self.sender.send(message).map_err(|_| Refusal::ShuttingDown)?;
        Ok(items)
    }

    /// Ends instances at once, whatever their workers do; `output` becomes the output of each. Those that could not be
    /// ended: entities, ids without an instance, and instances that have ended.
    ///
    /// # Errors
    ///
    /// [`Refusal::ShuttingDown`] where the hub has stopped.
    pub async fn force_terminate(
        &self,
        ids: Vec<InstanceId>,
        output: Option<String>,
        recursive: bool,
    ) -> Result<Vec<InstanceId>, Refusal> {
        let reply = self.ask(Command::ForceTerminate { ids, output, recursive }).await?;
        let Reply::Unterminated(left) = reply else { return Ok(Vec::new()) };
        Ok(left)
    }

    /// What the hub holds and who is connected.
    ///
    /// # Errors
    ///
    /// [`Refusal::ShuttingDown`] where the hub has stopped.
    pub async fn stats(&self) -> Result<Stats, Refusal> {
        let Reply::Stats(stats) = self.ask(Command::Stats).await? else { return Ok(Stats::default()) };
        Ok(*stats)
    }

    /// Stops the hub: streams end, whoever waits is answered. Returns when that is done.
    pub async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        if self.sender.send(Message::Stop(done)).is_ok() {
            // An error means that it has stopped already.
            let _ = stopped.await;
        }
    }
}

/// Tells the hub when it is dropped that the client which waited, or the worker's stream, is gone.
#[derive(Debug)]
pub(super) struct OnDrop {
    sender: mpsc::UnboundedSender<Message>,
    of: Option<Owner>,
}

#[derive(Debug)]
enum Owner {
    Waiter(WaiterId),
    Stream(StreamId, Option<Arc<CloseNotice>>),
}

impl OnDrop {
    fn not_needed(mut self) {
        self.of = None;
    }

    /// The reader of a stream has taken something, and the hub wanted to know.
    pub(super) fn tell_drained(&self) {
        if let Some(Owner::Stream(stream, _)) = &self.of {
            // A hub that has stopped needs no word.
            let _ = self.sender.send(Message::Drained(*stream));
        }
    }
}

impl Drop for OnDrop {
    fn drop(&mut self) {
        let message = match self.of.take() {
            None => return,
            Some(Owner::Waiter(waiter)) => Message::Forget(waiter),
            Some(Owner::Stream(stream, None)) => Message::Close { stream, how: Close::Ended },
            Some(Owner::Stream(stream, Some(notice))) => return notice.close(stream, &self.sender),
        };
        // A hub that has stopped needs no message.
        let _ = self.sender.send(message);
    }
}
