//! Decides what a worker's answer to a turn means.

use super::actions::outlives_execution;
use super::continue_as_new::Next;
use super::malformed;
use super::outbox::Outgoing;
use crate::emulator::engine::Engine;
use crate::emulator::engine::command::{Refusal, Reply, WorkKind};
use crate::emulator::engine::deliver::gather::TurnEnded;
use crate::emulator::engine::deliver::lease::{Found, Held, LeaseId, Turn};
use crate::emulator::engine::notice::Warning;
use crate::emulator::engine::record::{Commit, Record, Scheduled};
use crate::emulator::engine::state::instance::{Arrived, End, Instance, Stage};
use crate::model::{InstanceId, Kind, Status, Timestamp, event};
use crate::wire::orchestrator_action::OrchestratorActionType as Action;
use crate::wire::{self, OrchestratorResponse, history_event::EventType};
use std::time::Duration;

impl Engine {
    /// Takes the answer to a turn (protocol/turns.md#answers).
    pub(crate) fn complete_turn(
        &mut self,
        answer: OrchestratorResponse,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let Some(lease) = self.turn_lease(&answer)? else { return Ok(Reply::Done) };
        let Some(Held::Turn(turn)) = self.leases.get_mut(lease).map(|lease| &mut lease.held) else {
            return Err(Refusal::NoSuchWorkItem { token: answer.completion_token });
        };
        let Some(mut answer) = turn.chunks.take_in(answer) else { return Ok(Reply::Done) };
        if answer.requires_history {
            self.forget_keeper(lease);
            self.give_back(lease, Some(Duration::ZERO), now);
            return Ok(Reply::Done);
        }
        if self.consumes_nothing(lease, &answer) {
            // A worker that says so again and again would be asked without end: its turn rests like one given back.
            self.give_back(lease, None, now);
            return Ok(Reply::Done);
        }
        if let Some(what) = malformed::what_is_wrong(&answer) {
            malformed::fail(&mut answer, malformed::failure_of(&what));
            let id = InstanceId::unchecked(answer.instance_id.as_str());
            self.warn(|| Warning::Nonsense { kind: WorkKind::Turn, id, what });
        }
        self.limit().on_turn(&mut answer);
        let Some(turn) = self.end_turn(lease) else { return Ok(Reply::Done) };
        self.commit(&turn, answer, now);
        Ok(Reply::Done)
    }

    /// The lease that an answer is about; `None` where the same answer came before.
    pub(crate) fn turn_lease(&self, answer: &OrchestratorResponse) -> Result<Option<LeaseId>, Refusal> {
        let token = &answer.completion_token;
        let found = if token.is_empty() {
            self.lease_of_turn(&InstanceId::unchecked(answer.instance_id.as_str()))
        } else {
            self.leases.find(token)
        };
        match found {
            Found::Live(lease) => Ok(Some(lease)),
            Found::JustConsumed => Ok(None),
            Found::Unknown => Err(Refusal::NoSuchWorkItem { token: token.clone() }),
        }
    }

    /// Whether an answer leaves every event of its turn unconsumed and ends nothing.
    fn consumes_nothing(&mut self, lease: LeaseId, answer: &OrchestratorResponse) -> bool {
        let Some(Held::Turn(turn)) = self.leases.get_mut(lease).map(|lease| &lease.held) else {
            return false;
        };
        let Some(instance) = self.instances.get(&turn.id) else { return false };
        let ends = answer
            .actions
            .iter()
            .any(|action| matches!(action.orchestrator_action_type, Some(Action::CompleteOrchestration(_))));
        turn.taken > 0
            && !turn.terminates
            && !ends
            && consumed(instance, turn.taken, answer.num_events_processed) == 0
    }

    /// The worker has no cache for what it was given: the next time it gets the whole history.
    fn forget_keeper(&mut self, lease: LeaseId) {
        if let Some(Held::Turn(turn)) = self.leases.get_mut(lease).map(|lease| &lease.held)
            && let Some(instance) = self.instances.get_mut(&turn.id)
        {
            instance.kept_by = None;
        }
    }

    /// Uses up the lease of a turn that was answered. `None` where its execution is over: whatever the worker wanted
    /// is of no use to anybody.
    fn end_turn(&mut self, lease: LeaseId) -> Option<Turn> {
        let turn = match &self.leases.get_mut(lease)?.held {
            Held::Turn(turn) => turn.clone(),
            Held::Activity { .. } | Held::Batch { .. } => return None,
        };
        self.note_answered(lease);
        let stream = self.consume(lease)?;
        let instance = self.instances.get_mut(&turn.id)?;
        if instance.execution != turn.execution || instance.has_ended() {
            return None;
        }
        instance.kept_by = stream;
        instance.given_back = 0;
        // Its stream may have ended: then it waits to be handed out again, and an entry for it is out of date.
        let stage = std::mem::replace(&mut instance.stage, Stage::Idle);
        self.work.leave(instance.class, stage);
        Some(turn)
    }

    /// Commits a turn: its events, what they schedule, and what that asks of others.
    fn commit(&mut self, turn: &Turn, answer: OrchestratorResponse, now: Timestamp) {
        let id = &turn.id;
        let Some(instance) = self.instances.get(id) else { return };
        if instance.rewinding.is_some() {
            self.complete_rewind(turn, answer, now);
            return;
        }
        let processed = answer.num_events_processed.filter(|_| !turn.terminates);
        let consumed = consumed(instance, turn.taken, processed);
        let control = Control::read(instance, consumed);
        let mut actions = answer.actions;
        malformed::drop_repeated(&mut actions, &instance.history);
        let mut answered = self.read_actions(turn, actions, now);
        let end = how_it_ends(answered.end.take(), control.terminated.as_ref());
        // A terminate that is waiting is not carried into another execution (protocol/turns.md#continue-as-new).
        let waiting = self.instances.get(id).and_then(|instance| terminate_among(instance, consumed));
        let end = match (end, waiting) {
            (Some(Ending::Continue { .. }), Some(output)) => Some(Ending::terminated(output)),
            (end, _) => end,
        };
        let custom_status = self.custom_status(id, answer.custom_status, &control, end.is_some());
        match end {
            Some(Ending::Continue { next, .. }) => {
                let (to_itself, outgoing): (Vec<_>, Vec<_>) = answered
                    .outgoing
                    .into_iter()
                    .filter(outlives_execution)
                    .partition(|outgoing| matches!(outgoing, Outgoing::Event { to, .. } if to == id));
                let next = Next { end: *next, to_itself, consumed, custom_status };
                self.continue_as_new(turn, next, &control, now);
                self.outbox.extend(outgoing);
                self.outbox.push_back(Outgoing::Release { holder: id.clone() });
            }
            ending => {
                let end = ending.map(|ending| ending.into_end(now));
                if let Some((action, end)) = &end {
                    let failure = end.failure.as_deref().cloned();
                    let completed =
                        event::execution_completed(*action, now, end.status, end.output.clone(), failure);
                    answered.events.push(crate::emulator::engine::state::history::encode(&completed));
                }
                let end = end.map(|(_, end)| end);
                let before = self.instances.get(id);
                let ended = TurnEnded {
                    took: now.since(turn.at),
                    first: before.is_some_and(|instance| instance.history.len() == 0),
                    reacted: !answered.events.is_empty()
                        || !answered.outgoing.is_empty()
                        || before.is_some_and(|instance| instance.custom_status != custom_status),
                    took_all: consumed == turn.taken,
                };
                let commit = Commit {
                    at: now,
                    turn_at: turn.at,
                    consumed,
                    events: answered.events,
                    scheduled: answered.scheduled,
                    custom_status,
                    trace: answer.orchestration_trace_context,
                    suspended: control.suspended,
                    end: end.clone(),
                };
                let tasks = tasks_of(&commit.scheduled);
                self.put(Record::Committed { id: id.clone(), commit: Box::new(commit) });
                self.outbox.extend(answered.outgoing);
                if let Some(end) = end {
                    self.after_end(id, &end, control.recurse);
                } else {
                    self.ready_activities(id, &tasks);
                    self.ready_next(id, ended, now);
                }
                return;
            }
        }
        self.ready_turn(id, now);
    }

    /// The custom status after a turn: what was sent, where "" is none. A suspended worker answers with nothing, and
    /// that changes nothing (protocol/turns.md#answers).
    fn custom_status(
        &self,
        id: &InstanceId,
        sent: Option<String>,
        control: &Control,
        ended: bool,
    ) -> Option<String> {
        match sent {
            None if control.suspended && !ended => {
                self.instances.get(id).and_then(|instance| instance.custom_status.clone())
            }
            sent => sent.filter(|status| !status.is_empty()),
        }
    }
}

/// What the consumed events say about suspension and termination.
#[expect(clippy::option_option, reason = "no termination, and one without an output, are two things")]
pub(crate) struct Control {
    pub(crate) suspended: bool,
    pub(crate) terminated: Option<Option<String>>,
    pub(crate) recurse: bool,
}

impl Control {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "these three kinds control an execution, no other does"
    )]
    pub(crate) fn read(instance: &Instance, consumed: usize) -> Self {
        let mut control = Self { suspended: instance.suspended, terminated: None, recurse: false };
        for arrived in instance.inbox.iter().take(consumed) {
            match arrived.kind {
                Kind::ExecutionSuspended => control.suspended = true,
                Kind::ExecutionResumed => control.suspended = false,
                Kind::ExecutionTerminated if control.terminated.is_none() => {
                    let (output, recurse) = terminate_of(arrived);
                    control.terminated = Some(output);
                    control.recurse = recurse;
                }
                _ => {}
            }
        }
        control
    }
}

pub(crate) fn terminate_of(arrived: &Arrived) -> (Option<String>, bool) {
    match crate::emulator::engine::state::history::decode(&arrived.event).and_then(|event| event.event_type) {
        Some(EventType::ExecutionTerminated(terminated)) => (terminated.input, terminated.recurse),
        _ => (None, false),
    }
}

/// The output of a terminate that arrived while the turn ran.
#[expect(clippy::option_option, reason = "no termination, and one without an output, are two things")]
fn terminate_among(instance: &Instance, consumed: usize) -> Option<Option<String>> {
    let waiting = instance.inbox.iter().skip(consumed);
    waiting.filter(|arrived| arrived.kind == Kind::ExecutionTerminated).map(|a| terminate_of(a).0).next()
}

/// How a turn ends its execution.
#[derive(Debug)]
pub(crate) enum Ending {
    /// With a status; the id is that of the action.
    End { action: i32, status: Status, output: Option<String>, failure: Option<wire::TaskFailureDetails> },
    /// By the next execution.
    Continue { action: i32, next: Box<wire::CompleteOrchestrationAction> },
}

impl Ending {
    pub(crate) fn terminated(output: Option<String>) -> Self {
        Self::End { action: event::ARRIVED, status: Status::Terminated, output, failure: None }
    }

    fn into_end(self, now: Timestamp) -> (i32, End) {
        match self {
            Self::End { action, status, output, failure } => {
                (action, End { status, output, failure: failure.map(Box::new), at: now })
            }
            // Whoever gets here has matched it away: an execution that continues does not end.
            Self::Continue { action, next } => {
                (action, End { status: Status::Completed, output: next.result, failure: None, at: now })
            }
        }
    }
}

/// Terminate wins over a completion and over continue-as-new of the same turn, whether the worker knew it or not
/// (protocol/instances.md#terminate).
fn how_it_ends(answered: Option<Ending>, terminated: Option<&Option<String>>) -> Option<Ending> {
    match (answered, terminated) {
        (ending, None) => ending,
        // The output is what the client gave: Java's worker says "" where there was none (R91).
        (Some(Ending::End { action, .. }), Some(output)) => {
            Some(Ending::End { action, status: Status::Terminated, output: output.clone(), failure: None })
        }
        (Some(Ending::Continue { .. }) | None, Some(output)) => Some(Ending::terminated(output.clone())),
    }
}

/// How many of the inbox a worker has consumed, from what it says it processed (protocol/turns.md#partial).
fn consumed(instance: &Instance, taken: usize, processed: Option<i32>) -> usize {
    let Some(processed) = processed else { return taken };
    let processed = usize::try_from(processed).unwrap_or(0);
    let mut counted = 0;
    for (at, arrived) in instance.inbox.iter().take(taken).enumerate() {
        if is_countable(arrived.kind) {
            if counted == processed {
                // Control events that follow the last processed one go with it (unsure).
                return at;
            }
            counted += 1;
        }
    }
    taken
}

/// Whether an event counts as processed; those that control the execution do not.
fn is_countable(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::OrchestratorStarted
            | Kind::OrchestratorCompleted
            | Kind::GenericEvent
            | Kind::ExecutionRewound
            | Kind::ExecutionTerminated
            | Kind::ExecutionSuspended
            | Kind::ExecutionResumed
    )
}

/// The activities among what is scheduled.
pub(crate) fn tasks_of(scheduled: &[Scheduled]) -> Vec<i32> {
    let task = |scheduled: &Scheduled| match scheduled {
        Scheduled::Activity { task, .. } => Some(*task),
        Scheduled::Timer { .. } | Scheduled::Child { .. } => None,
    };
    scheduled.iter().filter_map(task).collect()
}
