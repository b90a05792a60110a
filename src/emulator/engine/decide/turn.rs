//! Decides what a worker's answer to a turn means.

use super::Decider;
use super::actions::outlives_execution;
use super::continue_as_new::NextGeneration;
use super::malformed;
use super::open_turn::{OpenTurn, TurnEnded, TurnResult};
use super::outbox::Outgoing;
use super::terminate::{Control, Ending, how_it_ends, terminated_since};
use crate::emulator::engine::command::WorkKind;
use crate::emulator::engine::notice::Warning;
use crate::emulator::engine::record::{Commit, Record};
use crate::emulator::engine::state::history::encode;
use crate::emulator::engine::state::instance::Instance;
use crate::emulator::engine::state::phase::End;
use crate::model::{InstanceId, Kind, Timestamp, event};
use crate::wire::OrchestratorResponse;
use crate::wire::orchestrator_action::OrchestratorActionType as Action;

impl Decider {
    /// Fails the instance of an answer that makes no sense or holds too much, in place of what the answer says.
    pub(crate) fn check_turn(&mut self, answer: &mut OrchestratorResponse) {
        if let Some(what) = malformed::what_is_wrong(answer) {
            malformed::fail(answer, malformed::failure_of(&what));
            let id = InstanceId::unchecked(answer.instance_id.as_str());
            self.notices.warn(|| Warning::Nonsense { kind: WorkKind::Turn, id, what });
        }
        self.limit.on_turn(answer);
    }

    /// Whether an answer leaves every event of its turn unconsumed and ends nothing.
    pub(crate) fn consumes_nothing(&self, turn: &OpenTurn, answer: &OrchestratorResponse) -> bool {
        let Some(instance) = self.state.instance(&turn.id) else { return false };
        let ends = answer
            .actions
            .iter()
            .any(|action| matches!(action.orchestrator_action_type, Some(Action::CompleteOrchestration(_))));
        turn.taken > 0
            && !turn.terminates
            && !ends
            && consumed(instance, turn.taken, answer.num_events_processed) == 0
    }

    /// Commits a turn: its events, what they schedule, and what that asks of others.
    pub(crate) fn commit(
        &mut self,
        turn: &OpenTurn,
        answer: OrchestratorResponse,
        now: Timestamp,
    ) -> TurnResult {
        let id = &turn.id;
        let Some(instance) = self.state.instance(id) else { return TurnResult::Over };
        if instance.rewinding().is_some() {
            return self.complete_rewind(turn, answer, now);
        }
        let processed = answer.num_events_processed.filter(|_| !turn.terminates);
        let consumed = consumed(instance, turn.taken, processed);
        let control = Control::of(instance, consumed);
        let mut actions = answer.actions;
        malformed::drop_repeated(&mut actions, instance.history());
        let mut plan = self.read_actions(turn, actions, now);
        let Some(instance) = self.state.instance(id) else { return TurnResult::Over };
        let since = || terminated_since(instance, consumed);
        let ending = how_it_ends(plan.end.take(), control.terminated.as_ref(), since);
        let custom_status = custom_status(instance, answer.custom_status, &control, ending.is_some());
        let (action, end) = match ending {
            None => (event::ARRIVED, None),
            Some(Ending::End { action, status, output, failure }) => {
                (action, Some(End { status, output, failure: failure.map(Box::new), at: now }))
            }
            Some(Ending::Continue { next, .. }) => {
                let (to_itself, outgoing): (Vec<_>, Vec<_>) = plan
                    .outgoing
                    .into_iter()
                    .filter(outlives_execution)
                    .partition(|outgoing| matches!(outgoing, Outgoing::Event { to, .. } if to == id));
                let next = NextGeneration { end: *next, to_itself, consumed, custom_status };
                self.continue_as_new(turn, next, &control, now);
                self.outbox.extend(outgoing);
                self.outbox.push_back(Outgoing::Release { holder: id.clone() });
                return TurnResult::Over;
            }
        };
        if let Some(end) = &end {
            let failure = end.failure.as_deref().cloned();
            let completed = event::execution_completed(action, now, end.status, end.output.clone(), failure);
            plan.events.push(encode(&completed));
        }
        let ended = TurnEnded {
            took: now.since(turn.at),
            first: instance.history().len() == 0,
            reacted: !plan.events.is_empty()
                || !plan.outgoing.is_empty()
                || instance.custom_status() != custom_status.as_ref(),
            took_all: consumed == turn.taken,
        };
        let commit = Commit {
            at: now,
            turn_at: turn.at,
            consumed,
            events: plan.events,
            scheduled: plan.scheduled,
            custom_status,
            trace: answer.orchestration_trace_context,
            suspended: control.suspended,
            end: end.clone(),
        };
        self.put(Record::Committed { id: id.clone(), commit: Box::new(commit) });
        self.outbox.extend(plan.outgoing);
        match end {
            Some(end) => {
                let recursive = control.terminated.is_some_and(|termination| termination.recursive);
                self.after_end(id, &end, recursive);
                TurnResult::Over
            }
            None => TurnResult::GoesOn(ended),
        }
    }
}

/// The custom status after a turn: what was sent, where "" is none. A suspended worker answers with nothing, and that
/// changes nothing (protocol/turns.md#answers).
fn custom_status(
    instance: &Instance,
    sent: Option<String>,
    control: &Control,
    ended: bool,
) -> Option<String> {
    match sent {
        None if control.suspended && !ended => instance.custom_status().cloned(),
        sent => sent.filter(|status| !status.is_empty()),
    }
}

/// How many of the inbox a worker has consumed, from what it says it processed (protocol/turns.md#partial).
fn consumed(instance: &Instance, taken: usize, processed: Option<i32>) -> usize {
    let Some(processed) = processed else { return taken };
    let processed = usize::try_from(processed).unwrap_or(0);
    let mut counted = 0;
    for (at, arrived) in instance.inbox().iter().take(taken).enumerate() {
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
