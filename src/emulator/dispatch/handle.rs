//! Reaches a hub from anywhere.

use super::close_notice::CloseNotice;
use super::items::{Items, items};
use super::message::HubMessage;
use super::on_drop::{OnDrop, Owner};
use super::stop_reason::StopReason;
use crate::emulator::engine::command::{Command, Offer, Refusal, Reply, Stats, StreamId, Until, WaiterId};
use crate::model::InstanceId;
use crate::wire;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};

/// A way to reach a hub. Cheap to clone; usable from any thread and runtime.
#[derive(Debug, Clone)]
pub struct HubHandle {
    sender: mpsc::UnboundedSender<HubMessage>,
    numbers: Arc<AtomicU64>,
    end: Arc<StopReason>,
}

impl HubHandle {
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
