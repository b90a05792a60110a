//! Steps a hub: a batch of messages in, what to do outside out.

use super::capacity::{Capacity, CapacityShare};
use super::item_queue::ItemSender;
use super::journal::{Decided, Journal};
use super::log::Log;
use super::message::{Close, HubMessage, ReplySender};
use crate::emulator::engine::command::{Command, Effect, Refusal, Reply, StreamId, WaiterId};
use crate::emulator::engine::{Config, Engine};
use crate::emulator::store::{Fault, Records, Store};
use crate::model::{HubName, Timestamp};
use bytes::Bytes;
use prost::Message as _;
use std::collections::BTreeMap;
use std::time::Duration;

/// How many bytes of replies are made before the callers that they are for get to run.
const ANSWERED: usize = 32 << 20;

/// What a hub is opened with.
pub struct Opening {
    /// Its name.
    pub name: HubName,
    /// What its engine is told.
    pub config: Config,
    /// Where its records are kept.
    pub store: Box<dyn Store>,
    /// How much it and other hubs may hold together.
    pub capacity: Capacity,
}

/// One hub: its engine, its store, and the ends of the channels that lead outside.
pub(super) struct Hub {
    engine: Engine,
    journal: Journal,
    /// How much it holds, where that is bounded.
    share: CapacityShare,
    log: Log,
    streams: BTreeMap<StreamId, OpenStream>,
    waiters: BTreeMap<WaiterId, ReplySender>,
}

struct OpenStream {
    sender: ItemSender,
    last: Timestamp,
}

impl Hub {
    /// A hub over what its store has kept. The records are read and folded on the runtime's blocking pool, so that other
    /// hubs are served meanwhile.
    ///
    /// # Errors
    ///
    /// A [`Fault`] where the store cannot be read.
    pub(super) async fn open(opening: Opening, now: Timestamp) -> Result<Self, Fault> {
        let Opening { name, config, mut store, capacity } = opening;
        let engine = match store.load() {
            None => Engine::new(config),
            Some(records) => {
                let rebuilt = tokio::task::spawn_blocking(move || rebuild(config, records, now));
                rebuilt.await.map_err(|_| Fault("reading it panicked, or was stopped".to_owned()))??
            }
        };
        let mut share = CapacityShare::new(capacity);
        share.set(engine.bytes());
        let (journal, log) = (Journal::over(store), Log::of(&name));
        Ok(Self { engine, journal, share, log, streams: BTreeMap::new(), waiters: BTreeMap::new() })
    }

    /// When there is something to do though no message comes.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.engine.next_due()
    }

    /// How many work items are with workers.
    pub(super) fn under_way(&self) -> usize {
        self.engine.under_way()
    }

    /// Whether a batch is with the store.
    pub(super) fn is_keeping(&self) -> bool {
        self.journal.is_keeping()
    }

    /// Whether so much waits for the store that the hub is to take no more messages.
    pub(super) fn is_full(&self) -> bool {
        self.journal.is_full()
    }

    /// Waits until the batch that is with the store is kept; what comes back is for [`Hub::go_on`].
    pub(super) async fn kept(&mut self) -> Result<Decided, Fault> {
        self.journal.kept().await
    }

    /// Releases what was kept, and commits what was decided meanwhile.
    pub(super) fn go_on(&mut self, kept: Decided, now: Timestamp) -> Result<(), Fault> {
        let mut more = self.release(kept, now);
        if let Some(kept) = self.journal.begin_next()? {
            more |= self.release(kept, now);
        }
        if more { self.commit(Decided::default(), now) } else { Ok(()) }
    }

    /// Serves a batch of messages: decides, and commits what was decided. What is left in the batch is for the next
    /// time.
    pub(super) fn serve(&mut self, batch: &mut Vec<HubMessage>, now: Timestamp) -> Result<(), Fault> {
        self.engine.listen(Log::listens());
        let decided = self.decide(batch, now);
        self.commit(decided, now)
    }

    /// Decides what the messages ask. The replies wait for the records.
    fn decide(&mut self, batch: &mut Vec<HubMessage>, now: Timestamp) -> Decided {
        let mut replies = Vec::with_capacity(batch.len());
        let mut stopped = Vec::new();
        let mut reply_bytes = 0;
        let mut messages = batch.drain(..);
        for message in messages.by_ref() {
            match message {
                HubMessage::Ask(command, reply) => {
                    let answer = self.engine.handle(command, now);
                    reply_bytes += answer.as_ref().map_or(0, Reply::bytes);
                    replies.push((reply, answer));
                    // The rest waits until these have been taken, or been dropped for want of room.
                    if reply_bytes > ANSWERED {
                        break;
                    }
                }
                HubMessage::Wait { waiter, command, answer } => match self.engine.handle(command, now) {
                    Ok(Reply::Waiting) => {
                        self.waiters.insert(waiter, answer);
                    }
                    answered => replies.push((answer, answered)),
                },
                HubMessage::Open { stream, offer, items } => {
                    let command = Command::OpenStream { stream, offer };
                    // Opening a stream is never refused.
                    drop(self.engine.handle(command, now));
                    self.streams.insert(stream, OpenStream { sender: items, last: now });
                }
                HubMessage::Drained(stream) => self.report(stream, now),
                HubMessage::Close { stream, how } => {
                    self.streams.remove(&stream);
                    let command = match how {
                        Close::Ended => Command::CloseStream { stream },
                        Close::Cancelled => Command::CancelStream { stream },
                        Close::Lost => Command::LoseStream { stream },
                    };
                    drop(self.engine.handle(command, now));
                }
                HubMessage::Forget(waiter) => {
                    self.waiters.remove(&waiter);
                    drop(self.engine.handle(Command::Forget { waiter }, now));
                }
                HubMessage::Stop(told) => stopped.push(told),
            }
        }
        let rest: Vec<_> = messages.collect();
        batch.extend(rest);
        Decided { replies, reply_bytes, stopped, ..Decided::default() }
    }

    /// Hands out work, commits what was decided, and releases what is kept. While the store keeps a batch this only adds
    /// to the next one.
    fn commit(&mut self, mut decided: Decided, now: Timestamp) -> Result<(), Fault> {
        loop {
            self.engine.settle(now);
            self.share.set(self.engine.bytes());
            decided.records = self.engine.take_records();
            decided.notices = self.engine.take_notices();
            decided.effects = self.engine.take_effects();
            let Some(kept) = self.journal.commit(std::mem::take(&mut decided))? else { return Ok(()) };
            if !self.release(kept, now) {
                return Ok(());
            }
        }
    }

    /// Does what had to wait for its records: from here on it is felt outside. Whether a stream has drained meanwhile, so
    /// that it gets what it was refused a moment ago.
    fn release(&mut self, kept: Decided, now: Timestamp) -> bool {
        for notice in kept.notices {
            self.log.tell(&notice, now);
        }
        let mut behind = Vec::new();
        for effect in kept.effects {
            behind.extend(self.perform(effect, now));
        }
        for (reply, answer) in kept.replies {
            // The caller may be gone.
            let _ = reply.send(answer);
        }
        for stopped in kept.stopped {
            let _ = stopped.send(());
        }
        let more = !behind.is_empty();
        for stream in behind {
            self.report(stream, now);
        }
        more
    }

    /// Says to the engine what a worker has taken; where it is nothing, the stream says so when that changes.
    fn report(&mut self, stream: StreamId, now: Timestamp) {
        if let Some(bytes) = self.streams.get(&stream).and_then(|open| open.sender.report()) {
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
                    open.sender.send(item);
                }
            }
            Effect::Report { stream } => return Some(stream),
            Effect::End { stream } => {
                if let Some(open) = self.streams.remove(&stream) {
                    open.sender.end(Refusal::NotRead);
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
                open.sender.send(ping.clone());
            }
            longest_silent = longest_silent.min(open.last);
        }
        longest_silent.plus(silence)
    }

    /// Ends every stream and answers every waiting client, and says why.
    pub(super) fn end(&mut self, why: &Refusal) {
        for open in std::mem::take(&mut self.streams).into_values() {
            open.sender.end(why.clone());
        }
        for waiting in std::mem::take(&mut self.waiters).into_values() {
            let _ = waiting.send(Err(why.clone()));
        }
    }
}

/// Folds the records of a store, up to the first that cannot be read.
fn rebuild(config: Config, records: Records, now: Timestamp) -> Result<Engine, Fault> {
    let mut fault = None;
    let read = records.map_while(|record| match record {
        Ok(record) => Some(record),
        Err(why) => {
            fault = Some(why);
            None
        }
    });
    let engine = Engine::rebuild(config, read, now);
    fault.map_or(Ok(engine), Err)
}
