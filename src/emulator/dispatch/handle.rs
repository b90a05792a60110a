//! Reaches a hub from anywhere.

use super::close_notice::{Close, CloseNotice};
use super::items::{ItemSender, Items, items};
use crate::emulator::engine::command::{Command, Offer, Refusal, Reply, Stats, StreamId, Until, WaiterId};
use crate::emulator::store::Fault;
use crate::model::InstanceId;
use crate::wire;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::{mpsc, oneshot};

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

/// A way to reach a hub. Cheap to clone; usable from any thread and runtime.
#[derive(Debug, Clone)]
pub struct Handle {
    sender: mpsc::UnboundedSender<HubMessage>,
    numbers: Arc<AtomicU64>,
    end: Arc<StopReason>,
}

/// Why a hub has stopped, where it was not told to.
#[derive(Debug, Default)]
pub(super) struct StopReason(OnceLock<Fault>);

impl StopReason {
    /// Says that the store made the hub stop. Said before the channel closes.
    pub(super) fn because(&self, fault: Fault) {
        // The first fault counts: the hub ends with it.
        let _ = self.0.set(fault);
    }

    /// What callers of a hub that has stopped are told.
    pub(super) fn refusal(&self) -> Refusal {
        match self.0.get() {
            Some(fault) => Refusal::StoreFailed { why: fault.to_string() },
            None => Refusal::ShuttingDown,
        }
    }
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

impl Handle {
    pub(super) fn new(sender: mpsc::UnboundedSender<HubMessage>, end: Arc<StopReason>) -> Self {
        Self { sender, numbers: Arc::new(AtomicU64::new(1)), end }
    }

    /// Sends a message; where the hub has stopped, why it has.
    fn send(&self, message: HubMessage) -> Result<(), Refusal> {
        self.sender.send(message).map_err(|_| self.end.refusal())
    }

    /// Waits for a reply. A hub that stops without giving one says why it has stopped.
    async fn reply(&self, reply: oneshot::Receiver<Result<Reply, Refusal>>) -> Result<Reply, Refusal> {
        reply.await.unwrap_or_else(|_| Err(self.end.refusal()))
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Asks the hub something.
    ///
    /// # Errors
    ///
    /// The engine's [`Refusal`]; [`Refusal::ShuttingDown`] where the hub has stopped, [`Refusal::StoreFailed`] where its
    /// store made it stop.
    pub async fn ask(&self, command: Command) -> Result<Reply, Refusal> {
        let (answer, answered) = oneshot::channel();
        self.send(HubMessage::Ask(command, answer))?;
        self.reply(answered).await
    }

    /// Waits until an instance has begun or ended. A client that stops waiting drops the future, and the hub forgets it.
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
        let message = HubMessage::Wait { waiter, command, answer };
        self.send(message)?;
        let forget = OnDrop { sender: self.sender.clone(), of: Some(Owner::Waiter(waiter)) };
        let reply = self.reply(answered).await;
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
        let (sender, reader) = items(on_drop);
        let message = HubMessage::Open { stream, offer: Box::new(offer), items: sender };
        self.send(message)?;
        Ok(reader)
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

    /// Stops the hub: what was decided is kept, streams end, waiting clients are answered. Returns when that is done.
    pub async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        if self.sender.send(HubMessage::Stop(done)).is_ok() {
            // An error means that it has stopped already.
            let _ = stopped.await;
        }
    }
}

/// Tells the hub when it is dropped that the client which waited, or the worker's stream, is gone.
#[derive(Debug)]
pub(super) struct OnDrop {
    sender: mpsc::UnboundedSender<HubMessage>,
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
