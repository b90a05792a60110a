//! Hands ready work to streams, and takes back what they do not finish.

use super::draining::DRAIN;
use super::lease::{Found, Held, LeaseId};
use super::suspects::Verdict;
use super::turn::{activity_item, batch_item};
use super::worklist::{Class, ClassId, Waiting, Work};
use crate::emulator::engine::Engine;
use crate::emulator::engine::command::{Effect, Offer, Refusal, Reply, StreamId, WorkKind};
use crate::emulator::engine::notice::{Listening, Notice};
use crate::emulator::engine::record::Settles;
use crate::emulator::engine::state::instance::Stage;
use crate::emulator::engine::state::timers::TimerKey;
use crate::model::{InstanceId, Kind, Timestamp, event};
use bytes::Bytes;
use std::time::Duration;

/// The first delay of work that was given back; it doubles (protocol/transport.md#abandoning).
pub(crate) const FIRST_REST: Duration = Duration::from_millis(100);

/// Why work comes back.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Why {
    /// Its worker gave it back: no answer of that one counts any more.
    GivenBack,
    /// Its worker is gone: an answer that still arrives counts until somebody else has the work.
    Lost,
}

/// How a stream came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Departure {
    /// Its worker ended it, or closed the connection in good order.
    Orderly,
    /// Its worker cancelled it and keeps the connection: some workers complete what they hold before they stop.
    Cancelled,
    /// Its connection broke without a word: the worker may have died of what it held.
    Lost,
    /// The worker did not read it: it was given up.
    GivenUp,
}

impl Engine {
    /// Fires what is due.
    pub(crate) fn fire(&mut self, now: Timestamp) {
        while let Some(key) = self.timers.take_due(now, self.config.timer_lag) {
            match key {
                TimerKey::Start { id, execution } => {
                    if self.instances.get(&id).is_some_and(|instance| instance.execution == execution) {
                        self.ready_turn(&id, now);
                    }
                }
                TimerKey::Timer { id, execution, timer } => {
                    let Some(instance) = self.instances.get(&id) else { continue };
                    let fire_at = instance.timers.get(&timer).filter(|_| instance.execution == execution);
                    if let Some(fire_at) = fire_at.copied() {
                        let event = event::timer_fired(now, timer, fire_at);
                        self.arrive(&id, Settles::Timer(timer), Kind::TimerFired, &event, now);
                    }
                }
            }
        }
        self.fire_entities(now);
        self.expire(now);
        self.attend(now);
        self.end_watch(now);
        self.release_gathered(now);
        while let Some(mut waiting) = self.work.due(now) {
            if self.set_stage(&waiting.work, Stage::Resting, Stage::Ready) {
                // Somebody of another name may have the id since this was put off.
                waiting.class = self.class_of(&waiting.work).unwrap_or(waiting.class);
                self.offer_first(waiting);
            } else {
                self.suspects.clear(&waiting.work);
            }
        }
    }

    /// Offers work before what was not out yet, or alone where it is under suspicion.
    pub(crate) fn offer_first(&mut self, waiting: Waiting) {
        if self.suspects.are_with(&waiting.work) {
            self.suspects.waiting.push_back(waiting);
        } else {
            self.work.push_front(waiting);
        }
    }

    /// The class of work as it is now.
    pub(crate) fn class_of(&mut self, work: &Work) -> Option<ClassId> {
        match work {
            Work::Turn(id) => self.instances.get(id).map(|instance| instance.class),
            Work::Activity(id, task) => {
                self.instances.get(id)?.activities.get(task).map(|activity| activity.class)
            }
            Work::Batch(id) => Some(self.batch_class(id)),
        }
    }

    /// Puts an instance into the worklist if a turn of it could be handed out and none is under way.
    pub(crate) fn ready_turn(&mut self, id: &InstanceId, now: Timestamp) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        if instance.stage == Stage::Idle && instance.wants_turn(now) {
            let waiting = Waiting { work: Work::Turn(id.clone()), class: instance.class, avoid: None };
            let gathered = instance.pace.is_gathering();
            match instance.not_before().filter(|at| *at > now) {
                None => {
                    instance.stage = Stage::Ready;
                    self.work.push(waiting);
                }
                Some(at) => {
                    instance.stage = Stage::Resting;
                    self.work.put_off(at, waiting);
                }
            }
            if gathered {
                self.end_gathering(id);
            }
        }
    }

    /// After a rebuild: whatever is scheduled and not done is ready again.
    pub(crate) fn make_ready(&mut self, now: Timestamp) {
        let mut ids: Vec<_> = self.instances.keys().cloned().collect();
        ids.sort();
        for id in ids {
            self.ready_turn(&id, now);
            self.await_worker_again(&id, now);
            let pending = self.instances.get(&id).map(|i| i.activities.keys().copied().collect::<Vec<_>>());
            self.ready_activities(&id, &pending.unwrap_or_default());
        }
        for id in self.entities.wake() {
            self.ready_batch(&id);
        }
    }

    /// Hands out what is ready, one piece of each class in turn, until no stream takes more.
    pub(crate) fn hand_out(&mut self, now: Timestamp) {
        self.match_up();
        while let Some(class) = self.streams.matching.next_class() {
            let named = self.work.named(class).clone();
            if !self.hand_one(class, &named, now) {
                break;
            }
            if !self.work.has(class) {
                self.streams.matching.delist(class, &named);
            }
        }
    }

    /// Hands out one piece of a class, or drops one that is out of date. `false` where no stream takes it: then it should
    /// not have been next.
    fn hand_one(&mut self, class: ClassId, named: &Class, now: Timestamp) -> bool {
        let Some(first) = self.work.first(class) else { return true };
        if !self.is_ready(&first.work, class) {
            if let Some(stale) = self.work.take(class) {
                self.suspects.clear(&stale.work);
            }
            return true;
        }
        let keeper = match &first.work {
            Work::Turn(id) => self.instances.get(id).and_then(|instance| instance.kept_by),
            Work::Activity(..) | Work::Batch(_) => None,
        };
        if let Work::Turn(id) = &first.work
            && self.is_long(id)
        {
            let id = id.clone();
            return self.hand_long(class, &id, keeper, now);
        }
        let avoid = first.avoid;
        let Some(stream) = self.streams.pick(class, named, keeper, avoid) else { return false };
        let Some(Waiting { work, .. }) = self.work.take(class) else { return false };
        self.hand(stream, &work, named.kind, now);
        true
    }

    /// Hands a piece of work to a stream; its lease, if it was still there to be handed out.
    pub(crate) fn hand(
        &mut self,
        stream: StreamId,
        work: &Work,
        kind: WorkKind,
        now: Timestamp,
    ) -> Option<LeaseId> {
        if let Some(orphan) = self.orphans.remove(work) {
            self.leases.supersede(orphan);
        }
        let (lease, item) = match work {
            Work::Turn(id) => self.turn_for(stream, id, now),
            Work::Activity(id, task) => self.activity_for(stream, id, *task, now),
            Work::Batch(id) => self.batch_for(stream, id, now),
        }?;
        self.set_stage(work, Stage::Ready, Stage::Out(lease));
        if self.streams.hand(stream, kind, lease, item.len()) {
            self.fell_behind(stream, now);
        }
        self.note_handed_out(stream, lease, item.len(), now);
        self.effects.push(Effect::Deliver { stream, item });
        Some(lease)
    }

    fn activity_for(
        &mut self,
        stream: StreamId,
        id: &InstanceId,
        task: i32,
        now: Timestamp,
    ) -> Option<(LeaseId, Bytes)> {
        let (number, token) = self.leases.next();
        let instance = self.instances.get(id)?;
        let item = activity_item(&instance.activities.get(&task)?.request, &token);
        if item.len() > self.config.item_bytes {
            self.activity_too_large(id, task, item.len(), now);
            return None;
        }
        let execution = instance.execution.clone();
        self.leases.give(stream, Held::Activity { id: id.clone(), execution, task }, now);
        Some((number, item))
    }

    fn batch_for(&mut self, stream: StreamId, id: &InstanceId, now: Timestamp) -> Option<(LeaseId, Bytes)> {
        let (lease, token) = self.leases.next();
        // One operation at a time of an entity under suspicion: so the one is found that kills its workers.
        let alone = !self.suspects.are_none() && self.suspects.are_with(&Work::Batch(id.clone()));
        let batch = self.entities.hand_out(id, if alone { 1 } else { self.config.batch })?;
        let item = batch_item(&batch.request, &token);
        if item.len() > self.config.item_bytes {
            self.batch_too_large(id, batch.number, item.len(), now);
            return None;
        }
        self.leases.give(stream, Held::Batch { id: id.clone(), number: batch.number }, now);
        Some((lease, item))
    }

    /// Whether an entry of the worklist still stands: its instance may be gone, its activity done.
    pub(crate) fn is_ready(&self, work: &Work, class: ClassId) -> bool {
        match work {
            Work::Turn(id) => {
                self.instances.get(id).is_some_and(|i| i.stage == Stage::Ready && i.class == class)
            }
            Work::Activity(id, task) => {
                let activity = self.instances.get(id).and_then(|i| i.activities.get(task));
                activity.is_some_and(|a| a.stage == Stage::Ready && a.class == class)
            }
            Work::Batch(id) => self.entities.is_ready(id),
        }
    }

    /// Moves work from one stage to another; whether it was in that stage.
    pub(crate) fn set_stage(&mut self, work: &Work, from: Stage, to: Stage) -> bool {
        let stage = match work {
            Work::Turn(id) => self.instances.get_mut(id).map(|instance| &mut instance.stage),
            Work::Activity(id, task) => {
                let instance = self.instances.get_mut(id);
                instance.and_then(|i| i.activities.get_mut(task)).map(|activity| &mut activity.stage)
            }
            Work::Batch(id) => return self.entities.is_ready(id),
        };
        match stage {
            Some(stage) if *stage == from => {
                *stage = to;
                true
            }
            Some(_) | None => false,
        }
    }

    /// A worker opens a stream.
    pub(crate) fn open_stream(&mut self, stream: StreamId, offer: Offer) -> Reply {
        self.note(Listening::Lives, || Notice::WorkerJoined {
            stream,
            worker: offer.worker.clone(),
            takes: offer.to_string(),
        });
        self.streams.open(stream, offer);
        Reply::Done
    }

    /// A stream has ended: what it held is offered to others, before what was not out yet. An answer that still
    /// arrives counts until then.
    pub(crate) fn close_stream(&mut self, stream: StreamId, departure: Departure, now: Timestamp) -> Reply {
        // One that was given up ends a second time when its connection lets go of it, and one that drains when its
        // connection ends.
        let Some(found) = self.streams.get(stream) else {
            self.end_draining(stream);
            return Reply::Done;
        };
        let drains = departure == Departure::Cancelled && found.offer.drains;
        let worker = found.offer.worker.clone();
        let held = self.streams.close(stream);
        self.note_broken(stream, worker.as_deref(), now);
        self.stalled.remove(&stream);
        self.quarantine_lost(stream);
        let accused = self.suspects_among(&held, departure, now);
        if departure == Departure::Lost && held.is_empty() {
            self.suspects.forgive_all();
        }
        self.note(Listening::Lives, || Notice::WorkerLeft { stream, worker, held: held.len() });
        for lease in held.iter().copied().rev() {
            let Some(found) = self.leases.get_mut(lease) else { continue };
            found.stream = None;
            let Some((work, class)) = self.work_of(lease, Why::Lost) else {
                self.leases.supersede(lease);
                continue;
            };
            let rest = match self.judge(&work, lease, accused.as_ref()) {
                Verdict::Fails(times) => {
                    self.fail_lost(work, lease, times, now);
                    continue;
                }
                Verdict::Again(_) if drains => DRAIN,
                Verdict::Again(rest) => rest.min(self.config.longest_rest).max(self.config.grace),
            };
            self.orphans.insert(work.clone(), lease);
            let waiting = Waiting { work, class, avoid: None };
            if rest.is_zero() {
                self.set_stage(&waiting.work, Stage::Out(lease), Stage::Ready);
                self.work.push_front(waiting);
            } else {
                self.set_stage(&waiting.work, Stage::Out(lease), Stage::Resting);
                self.work.put_off(now.plus(rest), waiting);
            }
        }
        if drains {
            self.hold_for_draining(stream, held);
        }
        self.release_all_gathered(now);
        Reply::Done
    }

    /// The lease of an instance's turn, for an answer without a token: the current execution's first, as an older one
    /// may still be out.
    pub(crate) fn lease_of_turn(&self, id: &InstanceId) -> Found {
        let current = self.instances.get(id).and_then(|instance| match instance.stage {
            Stage::Out(lease) => Some(lease),
            Stage::Ready | Stage::Resting => self.orphans.get(&Work::Turn(id.clone())).copied(),
            Stage::Idle => None,
        });
        current.map_or_else(|| self.leases.oldest(|held| held.is_turn_of(id)), Found::Live)
    }

    /// The lease of an activity, for an answer without a token: the current execution's first.
    pub(crate) fn lease_of_activity(&self, id: &InstanceId, task: i32) -> Found {
        let activity = self.instances.get(id).and_then(|instance| instance.activities.get(&task));
        let current = activity.and_then(|activity| match activity.stage {
            Stage::Out(lease) => Some(lease),
            Stage::Ready | Stage::Resting => self.orphans.get(&Work::Activity(id.clone(), task)).copied(),
            Stage::Idle => None,
        });
        current.map_or_else(|| self.leases.oldest(|held| held.is_activity_of(id, task)), Found::Live)
    }

    /// The work that a lease is about, if it is still wanted; an entity's batch is given back on the way.
    pub(crate) fn work_of(&mut self, lease: LeaseId, why: Why) -> Option<(Work, ClassId)> {
        match &self.leases.get_mut(lease)?.held {
            Held::Turn(turn) => {
                let instance = self.instances.get_mut(&turn.id)?;
                if instance.stage != Stage::Out(lease) {
                    return None;
                }
                // Whoever kept the orchestrator is gone or did not finish: the next one gets the whole history.
                instance.kept_by = None;
                Some((Work::Turn(turn.id.clone()), instance.class))
            }
            Held::Activity { id, task, .. } => {
                let activity = self.instances.get(id)?.activities.get(task)?;
                if activity.stage != Stage::Out(lease) {
                    return None;
                }
                Some((Work::Activity(id.clone(), *task), activity.class))
            }
            Held::Batch { id, number } => {
                let (id, number) = (id.clone(), *number);
                let wanted = match why {
                    Why::GivenBack => self.entities.give_back(&id, number),
                    Why::Lost => self.entities.lose(&id, number),
                };
                if !wanted {
                    return None;
                }
                let class = self.batch_class(&id);
                Some((Work::Batch(id), class))
            }
        }
    }

    /// A worker gives work back: it is offered again after a while that grows, to somebody else first.
    pub(crate) fn abandon(&mut self, kind: WorkKind, token: &str, now: Timestamp) -> Result<Reply, Refusal> {
        match self.leases.find(token) {
            Found::Live(lease) if self.leases.get_mut(lease).is_some_and(|l| l.held.kind() == kind) => {
                self.give_back(lease, None, now);
                Ok(Reply::Done)
            }
            Found::JustConsumed => Ok(Reply::Done),
            Found::Live(_) | Found::Unknown => Err(Refusal::NoSuchWorkItem { token: token.to_owned() }),
        }
    }

    /// Ends a lease without an answer; the work rests for `rest`, or for a while that grows each time.
    pub(crate) fn give_back(&mut self, lease: LeaseId, rest: Option<Duration>, now: Timestamp) {
        let item = self.item_to_note(lease);
        let wanted = self.work_of(lease, Why::GivenBack);
        let Some(ended) = self.consume(lease) else { return };
        let Some((work, class)) = wanted else { return };
        let given_back = match &work {
            Work::Turn(id) => self.instances.get_mut(id).map(|instance| &mut instance.given_back),
            Work::Activity(id, task) => {
                let instance = self.instances.get_mut(id);
                instance.and_then(|i| i.activities.get_mut(task)).map(|activity| &mut activity.given_back)
            }
            Work::Batch(id) => Some(self.batches_given_back.entry(id.clone()).or_default()),
        };
        let times = given_back.map_or(0, |times| {
            *times = times.saturating_add(1);
            *times - 1
        });
        if let Some(item) = item {
            let notice = Notice::GivenBack { item, times: times + 1 };
            self.note(notice.needs(), || notice);
        }
        let rest = rest.unwrap_or_else(|| FIRST_REST.saturating_mul(1 << times.min(10)));
        self.set_stage(&work, Stage::Out(lease), Stage::Resting);
        let at = now.plus(rest.min(self.config.longest_rest));
        self.work.put_off(at, Waiting { work, class, avoid: ended });
    }

    /// Uses a lease up and frees its place on the stream. The stream, if it still lives.
    #[expect(clippy::option_option, reason = "no lease, and one whose stream is gone, are two things")]
    pub(crate) fn consume(&mut self, lease: LeaseId) -> Option<Option<StreamId>> {
        let ended = self.leases.consume(lease)?;
        if !self.suspects.are_none() {
            self.answered(lease, &ended.held);
        }
        if let Some(stream) = ended.stream {
            self.streams.free(stream, ended.held.kind(), lease);
        } else {
            self.orphans.remove(&ended.held.work());
        }
        Some(ended.stream)
    }
}
