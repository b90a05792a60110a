//! Carries what entities say to each other, and collects what they say to the rest of the hub.
//!
//! Every step applies its changes at once and lists them in a [`Decision`]; a rebuild applies the same list again with
//! [`Entities::apply`] and says nothing to the rest of the hub.

use super::{BatchStage, Change, Changed, Decision, Entity, LockRequest, Operation, QueuedMessage, Step};
use crate::model::{InstanceId, Timestamp, event, failure};
use crate::wire::history_event::EventType;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Every entity of a hub.
#[derive(Debug, Clone, Default)]
pub struct Entities {
    pub(super) all: BTreeMap<InstanceId, Entity>,
    /// How many locks and lock requests each orchestration has at each entity.
    claims: BTreeMap<InstanceId, BTreeMap<InstanceId, usize>>,
    /// Entities by the moment their next signal for later is due.
    due: BTreeSet<(Timestamp, InstanceId)>,
    pub(super) handed: u64,
    /// About how many bytes they take.
    bytes: usize,
}

impl Entities {
    /// Sends an operation to an entity, or keeps it until it is due.
    pub fn send(&mut self, to: &InstanceId, operation: Operation, now: Timestamp, decision: &mut Decision) {
        let due = operation.due();
        let change = match due.filter(|due| *due > now) {
            Some(due) => Change::Kept { due, operation },
            None => Change::Sent(operation),
        };
        self.change(to, change, now, decision);
        self.settle(to.clone(), now, decision);
    }

    /// Takes a lock request to the entity that it is at.
    pub fn ask(&mut self, request: LockRequest, now: Timestamp, decision: &mut Decision) {
        if let Some(target) = self.forward(request, now, decision) {
            self.settle(target, now, decision);
        }
    }

    /// Gives up a lock of a critical section, or the wish for it. A lock of another holder stays.
    pub fn unlock(
        &mut self,
        entity: &InstanceId,
        holder: &InstanceId,
        section: &str,
        now: Timestamp,
        decision: &mut Decision,
    ) {
        let Some(found) = self.all.get(entity) else { return };
        let held = found.lock.as_ref().filter(|lock| lock.holder.instance == *holder);
        let holds_this = held.is_some_and(|lock| lock.section == section);
        let change = if !holds_this && found.is_asked_by(holder, Some(section)) {
            Change::Withdrawn { holder: holder.clone(), section: Some(section.to_owned()) }
        } else if held.is_some() {
            Change::Unlocked
        } else {
            return;
        };
        self.change(entity, change, now, decision);
        self.settle(entity.clone(), now, decision);
    }

    /// Takes back every lock and every lock request of an orchestration: its execution is over.
    pub fn release(&mut self, holder: &InstanceId, now: Timestamp, decision: &mut Decision) {
        let Some(claims) = self.claims.get(holder) else { return };
        let claimed: Vec<InstanceId> = claims.keys().cloned().collect();
        // First all of it goes, then the entities move on: a request must not be granted on the way.
        for entity in &claimed {
            let Some(found) = self.all.get(entity) else { continue };
            let waits = found.is_asked_by(holder, None);
            let holds = found.locked_by() == Some(holder);
            if waits {
                let change = Change::Withdrawn { holder: holder.clone(), section: None };
                self.change(entity, change, now, decision);
            }
            if holds {
                self.change(entity, Change::Unlocked, now, decision);
            }
        }
        for entity in claimed {
            self.settle(entity, now, decision);
        }
    }

    /// About how many bytes they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The next moment at which a signal is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Delivers every signal that is due.
    pub fn fire(&mut self, now: Timestamp, decision: &mut Decision) {
        while let Some((_, entity)) = self.due.first().filter(|(due, _)| *due <= now).cloned() {
            self.change(&entity, Change::Due { until: now }, now, decision);
            self.settle(entity, now, decision);
        }
    }

    /// Whether a batch of the entity could be handed out.
    pub fn is_ready(&self, id: &InstanceId) -> bool {
        self.all.get(id).is_some_and(Entity::is_ready)
    }

    /// How many operations of an entity wait, those that are out among them.
    pub fn backlog(&self, id: &InstanceId) -> usize {
        self.all.get(id).map_or(0, Entity::backlog)
    }

    /// Deletes an entity: state, lock and operations. An orchestration that waits for an operation hears that it failed. Whether there
    /// was anything to delete.
    pub fn purge(&mut self, id: &InstanceId, now: Timestamp, decision: &mut Decision) -> bool {
        let Some(entity) = self.all.get(id) else { return false };
        let existed = entity.is_visible();
        let calls: Vec<Operation> = entity.operations().cloned().collect();
        for call in calls {
            let failed = failure::details(
                "EntityPurged",
                format!("the entity {id} was purged before the operation ran"),
            );
            decision.answer_call(&call, Err(failed), now);
        }
        self.change(id, Change::Purged, now, decision);
        self.settle(id.clone(), now, decision);
        existed
    }

    /// Makes a recorded change again.
    pub fn apply(&mut self, Changed { entity: id, at, change }: &Changed) {
        let entity = self.all.entry(id.clone()).or_insert_with(|| Entity::new(id.clone(), *at));
        let due = entity.next_delayed();
        let claims = entity.claims_touched_by(change);
        self.bytes -= entity.bytes;
        entity.apply(*at, change);
        self.bytes += entity.bytes;
        let now_due = entity.next_delayed();
        if due != now_due {
            if let Some(due) = due {
                self.due.remove(&(due, id.clone()));
            }
            if let Some(due) = now_due {
                self.due.insert((due, id.clone()));
            }
        }
        if entity.is_nothing() {
            self.bytes -= entity.bytes;
            self.all.remove(id);
        }
        for (holder, more) in claims {
            self.claim(&holder, id, more);
        }
    }

    /// Whether the two are the same as far as records tell.
    pub fn is_same(&self, other: &Self) -> bool {
        self.all.len() == other.all.len()
            && self.all.values().zip(other.all.values()).all(|(one, two)| one.is_same(two))
            && self.claims == other.claims
            && self.due == other.due
    }

    fn claim(&mut self, holder: &InstanceId, entity: &InstanceId, more: bool) {
        let claims = self.claims.entry(holder.clone()).or_default();
        let count = claims.entry(entity.clone()).or_default();
        *count = if more { *count + 1 } else { count.saturating_sub(1) };
        if *count == 0 {
            claims.remove(entity);
        }
        if claims.is_empty() {
            self.claims.remove(holder);
        }
    }

    fn change(&mut self, id: &InstanceId, change: Change, now: Timestamp, decision: &mut Decision) {
        let changed = Changed { entity: id.clone(), at: now, change };
        self.apply(&changed);
        decision.changes.push(changed);
    }

    /// Puts a lock request into the queue of its entity and says which that is. Where its own section holds that entity
    /// already (a set with repeats), it goes on to the next.
    fn forward(
        &mut self,
        mut request: LockRequest,
        now: Timestamp,
        decision: &mut Decision,
    ) -> Option<InstanceId> {
        loop {
            let Some(target) = request.target().cloned() else {
                let LockRequest { caller, section, .. } = request;
                decision.answers.push((caller, event::lock_granted(now, section)));
                return None;
            };
            if !self.all.get(&target).is_some_and(|entity| entity.is_held_for(&request)) {
                self.change(&target, Change::Asked(request), now, decision);
                return Some(target);
            }
            request.position += 1;
        }
    }

    /// Lets an entity, and all that it moves, go as far as they can without a worker.
    fn settle(&mut self, id: InstanceId, now: Timestamp, decision: &mut Decision) {
        let mut moved = VecDeque::from([id]);
        while let Some(id) = moved.pop_front() {
            let Some(entity) = self.all.get_mut(&id) else { continue };
            match entity.next_step() {
                Step::Rest => {}
                Step::Offer => {
                    entity.stage = BatchStage::Ready;
                    decision.ready.push(id);
                }
                Step::Grant => {
                    let Some(QueuedMessage::Lock(request)) = entity.queue.front().cloned() else { continue };
                    self.change(&id, Change::Granted, now, decision);
                    moved.push_back(id);
                    let next = LockRequest { position: request.position + 1, ..request };
                    moved.extend(self.forward(next, now, decision));
                }
            }
        }
    }

    pub(super) fn done(
        &mut self,
        id: &InstanceId,
        operations: usize,
        state: Option<String>,
        now: Timestamp,
        decision: &mut Decision,
    ) {
        self.change(id, Change::Done { operations, state }, now, decision);
        if let Some(entity) = self.all.get_mut(id) {
            entity.failed = None;
            entity.at_most = None;
        }
        self.settle(id.clone(), now, decision);
    }

    /// Gives up the calls of a batch. What it leaves is not offered here: it failed with them, and has to wait.
    pub(super) fn give_up(
        &mut self,
        id: &InstanceId,
        operations: usize,
        until: Timestamp,
        now: Timestamp,
        decision: &mut Decision,
    ) {
        self.change(id, Change::GivenUp { operations, until }, now, decision);
        // A lock request may have come to the head.
        if self.all.get(id).is_some_and(|entity| matches!(entity.next_step(), Step::Grant)) {
            self.settle(id.clone(), now, decision);
        }
    }
}

impl Entity {
    pub(super) fn is_out(&self, under: u64) -> bool {
        match self.stage {
            BatchStage::Out { number, .. } | BatchStage::Lost { number, .. } => number == under,
            BatchStage::Idle | BatchStage::Ready => false,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        match self.stage {
            BatchStage::Ready | BatchStage::Lost { .. } => true,
            BatchStage::Idle | BatchStage::Out { .. } => false,
        }
    }

    fn is_asked_by(&self, holder: &InstanceId, section: Option<&str>) -> bool {
        self.queue.iter().any(|message| match message {
            QueuedMessage::Lock(request) => request.is_of(holder, section),
            QueuedMessage::Operation(_) => false,
        })
    }

    fn is_held_for(&self, request: &LockRequest) -> bool {
        self.lock
            .as_ref()
            .is_some_and(|lock| lock.holder == request.caller && lock.section == request.section)
    }

    fn next_delayed(&self) -> Option<Timestamp> {
        self.delayed.first_key_value().map(|((due, _), _)| *due)
    }

    /// Every operation it has: of the lane, of the queue, and for later.
    fn operations(&self) -> impl Iterator<Item = &Operation> {
        let queued = self.queue.iter().filter_map(|message| match message {
            QueuedMessage::Operation(operation) => Some(operation),
            QueuedMessage::Lock(_) => None,
        });
        let lane = self.lock.iter().flat_map(|lock| &lock.lane);
        lane.chain(queued).chain(self.delayed.values())
    }

    /// Whose claims a change makes (`true`) or ends.
    fn claims_touched_by(&self, change: &Change) -> Vec<(InstanceId, bool)> {
        match change {
            Change::Asked(request) => vec![(request.caller.instance.clone(), true)],
            Change::Unlocked | Change::Purged => {
                self.locked_by().map(|holder| (holder.clone(), false)).into_iter().collect()
            }
            Change::Withdrawn { holder, section } => self
                .queue
                .iter()
                .filter(|message| match message {
                    QueuedMessage::Lock(request) => request.is_of(holder, section.as_deref()),
                    QueuedMessage::Operation(_) => false,
                })
                .map(|_| (holder.clone(), false))
                .collect(),
            Change::Sent(_)
            | Change::Kept { .. }
            | Change::Due { .. }
            | Change::Granted
            | Change::Done { .. }
            | Change::GivenUp { .. } => Vec::new(),
        }
    }
}

impl Operation {
    /// When it asks to be delivered.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let at = match &self.request().event_type {
            Some(EventType::EntityOperationSignaled(signal)) => signal.scheduled_time.as_ref(),
            Some(EventType::EntityOperationCalled(call)) => call.scheduled_time.as_ref(),
            _ => None,
        };
        at.map(Timestamp::from_wire)
    }
}
