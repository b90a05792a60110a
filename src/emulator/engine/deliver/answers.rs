//! Takes the answers of workers: finds the work that each is about, and ends its lease.

use super::chunks::AnswerChunks;
use super::lease::{Held, TokenLookup};
use super::worklist::{WaitingWork, Work};
use crate::emulator::engine::Engine;
use crate::emulator::engine::command::{Refusal, Reply, StreamId, WorkKind};
use crate::emulator::engine::decide::malformed;
use crate::emulator::engine::decide::open_turn::{OpenTurn, TurnResult};
use crate::emulator::engine::entity::Completion;
use crate::emulator::engine::volatile::{LeaseId, Stage};
use crate::model::{InstanceId, Timestamp, failure};
use crate::wire::{self, OrchestratorResponse};
use std::time::Duration;

/// How what is about an answer above the limit of messages is said to have failed.
const MESSAGE: &str = "MessageTooLarge";

impl Engine {
    /// Takes the answer to a turn (protocol/turns.md#answers).
    pub(crate) fn complete_turn(
        &mut self,
        answer: OrchestratorResponse,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let Some(lease) = self.turn_lease(&answer)? else { return Ok(Reply::Done) };
        let Some(Held::Turn(turn, chunks)) = self.leases.get_mut(lease).map(|lease| &mut lease.held) else {
            return Err(Refusal::NoSuchWorkItem { token: answer.completion_token });
        };
        let Some(mut answer) = chunks.take_in(answer) else { return Ok(Reply::Done) };
        if answer.requires_history {
            // The worker has not kept the orchestrator: the next time it gets the whole history.
            if let Some(volatile) = self.decider.state.volatile_mut(&turn.id) {
                volatile.kept_by = None;
            }
            self.give_back(lease, Some(Duration::ZERO), now);
            return Ok(Reply::Done);
        }
        if self.decider.consumes_nothing(turn, &answer) {
            // A worker that says so again and again would be asked without end: its turn rests like one given back.
            self.give_back(lease, None, now);
            return Ok(Reply::Done);
        }
        self.decider.check_turn(&mut answer);
        let Some(turn) = self.end_turn(lease) else { return Ok(Reply::Done) };
        let outcome = self.decider.commit(&turn, answer, now);
        self.follow(now);
        match outcome {
            TurnResult::GoesOn(ended) => self.ready_next(&turn.id, ended, now),
            TurnResult::NotRewound => self.note_not_rewound(&turn.id),
            TurnResult::Over => {}
        }
        Ok(Reply::Done)
    }

    /// The lease that an answer is about; `None` where the same answer came before.
    fn turn_lease(&self, answer: &OrchestratorResponse) -> Result<Option<LeaseId>, Refusal> {
        let token = &answer.completion_token;
        let found = if token.is_empty() {
            self.lease_of_turn(&InstanceId::unchecked(answer.instance_id.as_str()))
        } else {
            self.leases.find(token)
        };
        match found {
            TokenLookup::Live(lease) => Ok(Some(lease)),
            TokenLookup::JustConsumed => Ok(None),
            TokenLookup::Unknown => Err(Refusal::NoSuchWorkItem { token: token.clone() }),
        }
    }

    /// Uses up the lease of a turn that was answered. `None` where its execution is over: the answer is of no use.
    fn end_turn(&mut self, lease: LeaseId) -> Option<OpenTurn> {
        let turn = match &self.leases.get_mut(lease)?.held {
            Held::Turn(turn, _) => turn.clone(),
            Held::Activity { .. } | Held::Batch { .. } => return None,
        };
        self.note_answered(lease);
        let stream = self.consume(lease)?;
        let (instance, volatile) = self.decider.state.slot_mut(&turn.id)?;
        if *instance.execution() != turn.execution || instance.has_ended() {
            return None;
        }
        volatile.kept_by = stream;
        volatile.turn.given_back = 0;
        // Its stream may have ended: then it waits to be handed out again, and an entry for it is out of date.
        let stage = std::mem::replace(&mut volatile.turn.stage, Stage::Idle);
        self.work.leave(volatile.turn.class, stage);
        Some(turn)
    }

    /// Takes the answer of an activity (protocol/turns.md#activities). It counts once, for the execution that asked, and while
    /// that still waits for it; otherwise it is taken and dropped.
    pub(crate) fn complete_activity(
        &mut self,
        answer: wire::ActivityResponse,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let found = if answer.completion_token.is_empty() {
            self.lease_of_activity(&InstanceId::unchecked(answer.instance_id.as_str()), answer.task_id)
        } else {
            self.leases.find(&answer.completion_token)
        };
        let unknown = || Err(Refusal::NoSuchWorkItem { token: answer.completion_token.clone() });
        let lease = match found {
            TokenLookup::Live(lease) => lease,
            TokenLookup::JustConsumed => return Ok(Reply::Done),
            TokenLookup::Unknown => return unknown(),
        };
        let Some(lease_now) = self.leases.get_mut(lease) else { return unknown() };
        let Held::Activity { id, execution, task } = &lease_now.held else { return unknown() };
        let (id, execution, task, orphaned) =
            (id.clone(), execution.clone(), *task, lease_now.stream.is_none());
        self.note_answered(lease);
        self.consume(lease);
        let instance = self.decider.state.instance(&id).filter(|instance| *instance.execution() == execution);
        let waited_for = instance.and_then(|instance| instance.activity(task)).is_some_and(|activity| {
            match activity.place().stage {
                Stage::Out(holder) => holder == lease,
                // Its stream has ended, and no other worker has it yet.
                Stage::Ready | Stage::Resting => orphaned,
                Stage::Idle => false,
            }
        });
        if waited_for {
            self.decider.complete_activity(&id, task, answer, now);
        }
        Ok(Reply::Done)
    }

    /// Takes the answer to an entity's batch (protocol/entities.md#batches). Its token is the only thing that names it.
    pub(crate) fn complete_batch(
        &mut self,
        mut answer: wire::EntityBatchResult,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let token = std::mem::take(&mut answer.completion_token);
        let too_large = self.decider.check_batch(&mut answer);
        self.end_batch(token, too_large.map_or(Ok(answer), Err), now)
    }

    /// Ends a batch with its answer, or because of the size of what it says.
    fn end_batch(
        &mut self,
        token: String,
        answer: Result<wire::EntityBatchResult, wire::TaskFailureDetails>,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let lease = match self.leases.find(&token) {
            TokenLookup::Live(lease) => lease,
            TokenLookup::JustConsumed => return Ok(Reply::Done),
            TokenLookup::Unknown => return Err(Refusal::NoSuchWorkItem { token }),
        };
        let Some(Held::Batch { id, number }) = self.leases.get_mut(lease).map(|lease| &lease.held) else {
            return Err(Refusal::NoSuchWorkItem { token });
        };
        let (id, number) = (id.clone(), *number);
        // The stream of a batch that waits again has ended: its answer comes late, and still counts.
        let waited = self.decider.state.entities().is_ready(&id);
        let completion = self.decider.complete_batch(&id, number, answer, now);
        self.note_answered(lease);
        let stream = self.consume(lease).flatten();
        match completion {
            Completion::Applied | Completion::Stale => self.batch_left(&id, waited),
            Completion::Retry(_) => {}
        }
        self.after_batch(&id, completion, stream, now);
        Ok(Reply::Done)
    }

    /// Does what follows from the end of a batch; `avoid` gets it again only where no other stream does.
    pub(crate) fn after_batch(
        &mut self,
        id: &InstanceId,
        completion: Completion,
        avoid: Option<StreamId>,
        now: Timestamp,
    ) {
        self.follow(now);
        match completion {
            Completion::Applied | Completion::Stale => drop(self.batches_given_back.remove(id)),
            Completion::Retry(after) => {
                let class = self.batch_class(id);
                let waiting = WaitingWork { work: Work::Batch(id.clone()), class, avoid };
                self.work.put_off(now.plus(after), waiting);
            }
        }
    }

    /// A batch that waited to be handed out is not wanted any more: an entry for it is out of date.
    pub(crate) fn batch_left(&mut self, id: &InstanceId, waited: bool) {
        if waited {
            let class = self.batch_class(id);
            self.work.leave(class, Stage::Ready);
        }
    }

    /// Fails what an answer is about that could not be read, because of its size.
    pub(crate) fn fail_work(
        &mut self,
        kind: WorkKind,
        token: String,
        instance_id: String,
        task_id: i32,
        why: String,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let failed = failure::not_retriable(MESSAGE, why);
        match kind {
            WorkKind::Turn => {
                let mut answer = wire::OrchestratorResponse {
                    instance_id,
                    completion_token: token,
                    ..wire::OrchestratorResponse::default()
                };
                let lease = self.turn_lease(&answer)?.and_then(|lease| self.leases.get_mut(lease));
                if let Some(Held::Turn(_, chunks)) = lease.map(|lease| &mut lease.held) {
                    // What came of it in parts is of no use without the rest.
                    *chunks = AnswerChunks::default();
                }
                malformed::fail(&mut answer, failed);
                self.complete_turn(answer, now)
            }
            WorkKind::Activity => {
                let answer = wire::ActivityResponse {
                    instance_id,
                    task_id,
                    completion_token: token,
                    failure_details: Some(failed),
                    ..wire::ActivityResponse::default()
                };
                self.complete_activity(answer, now)
            }
            WorkKind::Batch => self.end_batch(token, Err(failed), now),
        }
    }

    /// The lease of an instance's turn, for an answer without a token: the current execution's first, as an older one
    /// may still be out.
    fn lease_of_turn(&self, id: &InstanceId) -> TokenLookup {
        let current = self.decider.state.slot(id).and_then(|(_, volatile)| match volatile.turn.stage {
            Stage::Out(lease) => Some(lease),
            Stage::Ready | Stage::Resting => self.orphans.get(&Work::Turn(id.clone())).copied(),
            Stage::Idle => None,
        });
        current.map_or_else(|| self.leases.oldest(|held| held.is_turn_of(id)), TokenLookup::Live)
    }

    /// The lease of an activity, for an answer without a token: the current execution's first.
    fn lease_of_activity(&self, id: &InstanceId, task: i32) -> TokenLookup {
        let activity = self.decider.state.instance(id).and_then(|instance| instance.activity(task));
        let current = activity.and_then(|activity| match activity.place().stage {
            Stage::Out(lease) => Some(lease),
            Stage::Ready | Stage::Resting => self.orphans.get(&Work::Activity(id.clone(), task)).copied(),
            Stage::Idle => None,
        });
        current.map_or_else(|| self.leases.oldest(|held| held.is_activity_of(id, task)), TokenLookup::Live)
    }
}
