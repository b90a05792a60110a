//! Steps a hub: a batch of inputs in, what to do outside out.

use super::capacity::{Capacity, Share};
use super::close_notice::Close;
use super::handle::Message;
use super::items::Outlet;
use super::log::Log;
use crate::emulator::engine::command::{Command, Effect, Refusal, Reply, StreamId, WaiterId};
use crate::emulator::engine::{Config, Engine};
use crate::emulator::store::{Fault, Store};
use crate::model::{HubName, Timestamp};
use bytes::Bytes;
use prost::Message as _;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::oneshot;

/// How many bytes of replies are made before those who asked get to run.
const ANSWERED: usize = 32 << 20;

/// One hub: its engine, its store, and the ends of the channels that lead outside.
pub struct Hub {
    engine: Engine,
    store: Box<dyn Store>,
    /// How much it holds, where that is bounded.
    share: Share,
    log: Log,
    streams: BTreeMap<StreamId, Open>,
    waiters: BTreeMap<WaiterId, oneshot::Sender<Result<Reply, Refusal>>>,
}

struct Open {
    outlet: Outlet,
    last: Timestamp,
}

/// What a simulator asks in one step.
pub type Input = Command;

/// What a step came to: a reply for each input, and effects that are for the caller to perform.
pub type Outcome = (Vec<Result<Reply, Refusal>>, Vec<Effect>);

impl Hub {
    /// A hub over what its store has kept.
    ///
    /// # Errors
    ///
    /// A [`Fault`] where the store cannot be read.
    pub fn open(
        name: &HubName,
        config: Config,
        mut store: Box<dyn Store>,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        let kept = store.load()?;
        let engine = if kept.is_empty() { Engine::new(config) } else { Engine::rebuild(config, kept, now) };
        let (log, share) = (Log::of(name), Share::new(Capacity::of(None)));
        Ok(Self { engine, store, share, log, streams: BTreeMap::new(), waiters: BTreeMap::new() })
    }

    /// The same, with what it holds counted as a part of `capacity`.
    #[must_use]
    pub fn within(mut self, capacity: Capacity) -> Self {
        self.share = Share::new(capacity);
        self.share.set(self.engine.bytes());
        self
    }

    /// Decides inputs, commits them as one batch, and gives back what is to be done: for a simulator, which has no
    /// thread.
    ///
    /// # Errors
    ///
    /// A [`Fault`] where the batch could not be stored; nothing of it must be acted on.
    pub fn step(
        &mut self,
        inputs: impl IntoIterator<Item = Input>,
        now: Timestamp,
    ) -> Result<Outcome, Fault> {
        let replies = inputs.into_iter().map(|command| self.engine.handle(command, now)).collect();
        self.engine.settle(now);
        self.store.commit(self.engine.take_records())?;
        Ok((replies, self.engine.take_effects()))
    }

    /// When [`Hub::step`] has something to do though nobody asks.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.engine.next_due()
    }

    /// How many work items are with workers.
    pub(super) fn under_way(&self) -> usize {
        self.engine.under_way()
    }

    /// Serves a batch of messages: decides, stores, then acts. What is left in the batch is for the next time.
    pub(super) fn serve(&mut self, batch: &mut Vec<Message>, now: Timestamp) -> Result<(), Fault> {
        self.engine.listen(Log::listens());
        let mut replies = Vec::with_capacity(batch.len());
        let mut done = Vec::new();
        let mut answered = 0;
        let mut messages = batch.drain(..);
        for message in messages.by_ref() {
            match message {
                Message::Ask(command, reply) => {
                    let answer = self.engine.handle(command, now);
                    answered += answer.as_ref().map_or(0, Reply::bytes);
                    replies.push((reply, answer));
                    // The rest waits until these have been taken, or been dropped for want of room.
                    if answered > ANSWERED {
                        break;
                    }
                }
                Message::Wait { waiter, command, answer } => match self.engine.handle(command, now) {
                    Ok(Reply::Waiting) => {
                        self.waiters.insert(waiter, answer);
                    }
                    answered => replies.push((answer, answered)),
                },
                Message::Open { stream, offer, outlet } => {
                    let command = Command::OpenStream { stream, offer };
                    // Opening a stream is never refused.
                    drop(self.engine.handle(command, now));
                    self.streams.insert(stream, Open { outlet, last: now });
                }
                Message::Drained(stream) => self.report(stream, now),
                Message::Close { stream, how } => {
                    self.streams.remove(&stream);
                    let command = match how {
                        Close::Ended => Command::CloseStream { stream },
                        Close::Cancelled => Command::CancelStream { stream },
                        Close::Lost => Command::LoseStream { stream },
                    };
                    drop(self.engine.handle(command, now));
                }
                Message::Forget(waiter) => {
                    self.waiters.remove(&waiter);
                    drop(self.engine.handle(Command::Forget { waiter }, now));
                }
                Message::Stop(stopped) => done.push(stopped),
            }
        }
        let rest: Vec<_> = messages.collect();
        batch.extend(rest);
        loop {
            self.engine.settle(now);
            self.share.set(self.engine.bytes());
            self.store.commit(self.engine.take_records())?;
            // Stored: from here on it may be felt outside.
            for notice in self.engine.take_notices() {
                self.log.tell(&notice, now);
            }
            let mut behind = Vec::new();
            for effect in self.engine.take_effects() {
                behind.extend(self.perform(effect, now));
            }
            if behind.is_empty() {
                break;
            }
            // A stream that has drained meanwhile gets what it was refused a moment ago.
            for stream in behind {
                self.report(stream, now);
            }
        }
        for (reply, answer) in replies {
            // Whoever asked may be gone.
            let _ = reply.send(answer);
        }
        for stopped in done {
            let _ = stopped.send(());
        }
        Ok(())
    }

    /// Says to the engine what a worker has taken; where it is nothing, the stream says so when that changes.
    fn report(&mut self, stream: StreamId, now: Timestamp) {
        if let Some(bytes) = self.streams.get(&stream).and_then(|open| open.outlet.report()) {
            drop(self.engine.handle(Command::Drained { stream, bytes }, now));
        }
    }

    /// Performs an effect; the stream of which a report is wanted, if it was that.
    fn perform(&mut self, effect: Effect, now: Timestamp) -> Option<StreamId> {
        match effect {
            Effect::Deliver { stream, item } => {
                if let Some(open) = self.streams.get_mut(&stream) {
                    open.last = now;
                    // A reader that is gone says so with a message of its own, which gives the work back.
                    open.outlet.send(item);
                }
            }
            Effect::Report { stream } => return Some(stream),
            Effect::End { stream } => {
                if let Some(open) = self.streams.remove(&stream) {
                    open.outlet.give_up();
                }
            }
            Effect::Answer { waiter, answer } => {
                if let Some(waiting) = self.waiters.remove(&waiter) {
                    let _ = waiting.send(answer.map(|state| Reply::State(Some(state))));
                }
            }
        }
        None
    }

    /// Sends a health ping to every stream that has been silent for `silence`, and says when the next one may be due.
    pub(super) fn ping(&mut self, now: Timestamp, silence: Duration) -> Timestamp {
        use crate::wire::{HealthPing, WorkItem, work_item::Request};
        let request = Some(Request::HealthPing(HealthPing {}));
        let ping: Bytes = WorkItem { request, ..WorkItem::default() }.encode_to_vec().into();
        let mut longest_silent = now;
        for open in self.streams.values_mut() {
            if now.since(open.last) >= silence {
                open.last = now;
                open.outlet.send(ping.clone());
            }
            longest_silent = longest_silent.min(open.last);
        }
        longest_silent.plus(silence)
    }

    /// Ends every stream and answers everybody who waits.
    pub(super) fn end(&mut self) {
        self.streams.clear();
        for waiting in std::mem::take(&mut self.waiters).into_values() {
            let _ = waiting.send(Err(Refusal::ShuttingDown));
        }
    }
}
