//! Decides what a termination does: every rule of it stands here (protocol/instances.md#terminate).
//!
//! | when | what | rules |
//! | --- | --- | --- |
//! | the instance has ended | nothing, and that is no error | G07 |
//! | no turn of it is committed, and none is with a worker | it ends here and now | G12 |
//! | otherwise | the termination arrives as an event, and a worker hears of it in a turn | G13 |
//! | its turn (`deliver/turn`) | tells it alone; in a first turn its worker is told how the execution began | R74 |
//! | several have arrived | the first one counts, with its output and its children | R91 |
//! | the turn's answer completes, fails, continues as new, makes no sense or says nothing | the termination wins | G24, R60 |
//! | the answer itself has several endings | one that terminates wins, otherwise the lowest id | G24, R90 |
//! | the answer says TERMINATED too | the output is the client's, not the worker's | R91 |
//! | it arrives while a turn runs that continues as new | it wins: the next execution does not begin | G24 |
//! | it arrives while a turn runs that ends otherwise | that end stands, and the termination is dropped | G24 |
//! | no worker takes the instance for a time (`deliver/unattended`) | it takes effect without one | G40 |
//! | no worker can receive the turn, for its size | likewise, at once | R87 |
//! | an instance of the same id is created over it | the old one is terminated, and its parent hears of it | G07 |
//! | it is asked for without grace (`force`) | it ends here and now; its worker's answer is dropped | R38 |
//! | it is recursive | the children are terminated, in the same way | R26 |

use super::Decider;
use super::outbox::Outgoing;
use crate::emulator::engine::command::{Refusal, Reply};
use crate::emulator::engine::record::Record;
use crate::emulator::engine::state::history::decode;
use crate::emulator::engine::state::instance::{Arrived, Instance};
use crate::emulator::engine::state::phase::{End, Phase};
use crate::emulator::engine::volatile::Stage;
use crate::model::{InstanceId, Kind, Status, Timestamp, event};
use crate::wire::{self, history_event::EventType};

/// What a termination says: what the instance's output is to be, and whether its children end, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Termination {
    pub(crate) output: Option<String>,
    pub(crate) recursive: bool,
}

impl Termination {
    fn of(arrived: &Arrived) -> Self {
        match decode(&arrived.event).and_then(|event| event.event_type) {
            Some(EventType::ExecutionTerminated(said)) => {
                Self { output: said.input, recursive: said.recurse }
            }
            _ => Self { output: None, recursive: false },
        }
    }

    /// The end of what it terminates.
    pub(crate) fn end(&self, now: Timestamp) -> End {
        End { status: Status::Terminated, output: self.output.clone(), failure: None, at: now }
    }
}

/// How the answer to a turn ends its execution.
#[derive(Debug)]
pub(super) enum Ending {
    /// With a status; the id is that of the action.
    End { action: i32, status: Status, output: Option<String>, failure: Option<wire::TaskFailureDetails> },
    /// By the next execution.
    Continue { action: i32, next: Box<wire::CompleteOrchestrationAction> },
}

impl Ending {
    fn terminated(action: i32, termination: &Termination) -> Self {
        let output = termination.output.clone();
        Self::End { action, status: Status::Terminated, output, failure: None }
    }

    /// Which of two endings of one answer counts: Go's actions come in no order
    /// (protocol/turns.md#completions; R90).
    pub(super) fn or(self, other: Self) -> Self {
        if other.rank() < self.rank() { other } else { self }
    }

    fn rank(&self) -> (bool, i32) {
        match self {
            Self::End { status: Status::Terminated, action, .. } => (false, *action),
            Self::End { action, .. } | Self::Continue { action, .. } => (true, *action),
        }
    }
}

/// How an execution ends: by what its turn's answer says, by a termination that the turn has told, or by one that has
/// arrived since.
pub(super) fn how_it_ends(
    answered: Option<Ending>,
    told: Option<&Termination>,
    since: impl FnOnce() -> Option<Termination>,
) -> Option<Ending> {
    match (answered, told) {
        (Some(Ending::End { action, .. }), Some(told)) => Some(Ending::terminated(action, told)),
        (Some(Ending::Continue { .. }) | None, Some(told)) => Some(Ending::terminated(event::ARRIVED, told)),
        (Some(Ending::Continue { action, next }), None) => Some(match since() {
            Some(since) => Ending::terminated(event::ARRIVED, &since),
            None => Ending::Continue { action, next },
        }),
        (ending @ (Some(Ending::End { .. }) | None), None) => ending,
    }
}

/// What the control events at the head of an inbox come to.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) suspended: bool,
    /// The first termination among them.
    pub(crate) terminated: Option<Termination>,
}

impl Control {
    /// What the first `events` of an inbox say.
    pub(crate) fn of(instance: &Instance, events: usize) -> Self {
        let mut control = Self { suspended: instance.phase().is_suspended(), terminated: None };
        for arrived in instance.inbox().iter().take(events) {
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "these three kinds control an execution, no other does"
            )]
            match arrived.kind {
                Kind::ExecutionSuspended => control.suspended = true,
                Kind::ExecutionResumed => control.suspended = false,
                Kind::ExecutionTerminated if control.terminated.is_none() => {
                    control.terminated = Some(Termination::of(arrived));
                }
                _ => {}
            }
        }
        control
    }

    /// What all that waits in an inbox says.
    pub(crate) fn waiting(instance: &Instance) -> Self {
        Self::of(instance, instance.inbox().len())
    }
}

/// The first termination behind the events that a turn has consumed.
pub(super) fn terminated_since(instance: &Instance, consumed: usize) -> Option<Termination> {
    let mut since = instance.inbox().iter().skip(consumed);
    since.find(|arrived| arrived.kind == Kind::ExecutionTerminated).map(Termination::of)
}

/// `TakesEffect` a termination takes effect.
#[derive(Debug, PartialEq, Eq)]
enum TakesEffect {
    Nowhere,
    Here,
    InATurn,
}

fn where_it_takes_effect(phase: &Phase, turn: Stage) -> TakesEffect {
    match (phase, turn) {
        (Phase::Ended { .. }, Stage::Idle | Stage::Ready | Stage::Resting | Stage::Out(_)) => {
            TakesEffect::Nowhere
        }
        (Phase::Pending { .. }, Stage::Idle | Stage::Ready | Stage::Resting) => TakesEffect::Here,
        (Phase::Pending { .. }, Stage::Out(_))
        | (
            Phase::Running { .. } | Phase::Suspended { .. } | Phase::Rewinding { .. },
            Stage::Idle | Stage::Ready | Stage::Resting | Stage::Out(_),
        ) => TakesEffect::InATurn,
    }
}

impl Decider {
    /// Terminates an instance, for a client or for another orchestration.
    pub(crate) fn terminate(
        &mut self,
        id: &InstanceId,
        output: Option<String>,
        recursive: bool,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let slot = self.state.slot(id).ok_or_else(|| Refusal::NoSuchInstance { id: id.clone() })?;
        let (instance, volatile) = slot;
        let takes_effect = where_it_takes_effect(instance.phase(), volatile.turn.stage);
        if takes_effect == TakesEffect::Nowhere {
            return Ok(Reply::Done);
        }
        let event = event::execution_terminated(now, output.clone(), recursive);
        self.send_event(id, Kind::ExecutionTerminated, &event, now);
        if takes_effect == TakesEffect::Here {
            let termination = Termination { output, recursive };
            self.end_by_decree(id, &termination.end(now), recursive, now);
        }
        Ok(Reply::Done)
    }

    /// Ends instances here and now, whatever their workers do. Those that could not be ended: entities, what does not
    /// exist, and what has ended.
    pub(crate) fn force_terminate(
        &mut self,
        ids: Vec<InstanceId>,
        output: Option<&String>,
        recursive: bool,
        now: Timestamp,
    ) -> Reply {
        let left = ids.into_iter().filter(|id| !self.force(id, output, recursive, now)).collect();
        Reply::Unterminated(left)
    }

    /// Whether there was anything to end.
    pub(super) fn force(
        &mut self,
        id: &InstanceId,
        output: Option<&String>,
        recursive: bool,
        now: Timestamp,
    ) -> bool {
        let Some(instance) = self.state.living(id) else { return false };
        if recursive {
            let children = instance.offspring().iter();
            let force = |id: &InstanceId| Outgoing::Force { id: id.clone(), output: output.cloned() };
            self.outbox.extend(children.map(force));
        }
        let event = event::execution_terminated(now, output.cloned(), recursive);
        self.send_event(id, Kind::ExecutionTerminated, &event, now);
        let termination = Termination { output: output.cloned(), recursive };
        self.end_by_decree(id, &termination.end(now), false, now);
        true
    }

    /// Lets what an instance was told take effect without a worker: none takes it, or none can receive its turn.
    pub(crate) fn heed_without_worker(&mut self, id: &InstanceId, now: Timestamp) {
        let Some(instance) = self.state.living(id) else { return };
        let Control { suspended, terminated } = Control::waiting(instance);
        if let Some(termination) = terminated {
            self.end_by_decree(id, &termination.end(now), termination.recursive, now);
        } else if suspended != instance.phase().is_suspended() {
            // The event stays where it is: a worker that comes later is told as usual.
            self.put(Record::Paused { id: id.clone(), at: now, suspended });
        }
    }
}

/// Whether an instance was told something by a control event that no turn has consumed.
pub(crate) fn is_told(instance: &Instance) -> bool {
    instance.inbox().iter().any(|arrived| is_control(arrived.kind))
}

/// Whether an event controls an execution, and is not for its code.
pub(crate) fn is_control(kind: Kind) -> bool {
    matches!(kind, Kind::ExecutionTerminated | Kind::ExecutionSuspended | Kind::ExecutionResumed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminated(output: &str) -> Termination {
        Termination { output: Some(output.into()), recursive: false }
    }

    fn completed(action: i32) -> Ending {
        Ending::End { action, status: Status::Completed, output: Some("done".into()), failure: None }
    }

    fn continued(action: i32) -> Ending {
        Ending::Continue { action, next: Box::default() }
    }

    /// The status of an ending and its output; nothing for the next execution.
    fn shown(ending: Option<Ending>) -> Option<(Status, Option<String>)> {
        match ending {
            Some(Ending::End { status, output, .. }) => Some((status, output)),
            Some(Ending::Continue { .. }) | None => None,
        }
    }

    fn by_the_client() -> (Status, Option<String>) {
        (Status::Terminated, Some("client".into()))
    }

    #[test]
    fn a_termination_that_the_turn_told_wins_over_all_that_the_turn_answers() {
        let told = terminated("client");
        for answered in [None, Some(completed(3)), Some(continued(3))] {
            assert_eq!(
                shown(how_it_ends(answered, Some(&told), || Some(terminated("late")))),
                Some(by_the_client())
            );
        }
    }

    #[test]
    fn a_termination_that_came_since_wins_over_continue_as_new_alone() {
        let since = || Some(terminated("client"));
        assert_eq!(shown(how_it_ends(Some(continued(3)), None, since)), Some(by_the_client()));
        let done = Some((Status::Completed, Some("done".into())));
        assert_eq!(shown(how_it_ends(Some(completed(3)), None, since)), done);
        assert!(how_it_ends(None, None, since).is_none());
    }

    #[test]
    fn of_two_endings_one_that_terminates_counts_and_otherwise_the_lowest_id() {
        let terminates =
            || Ending::End { action: 9, status: Status::Terminated, output: None, failure: None };
        for ending in [completed(1).or(terminates()), terminates().or(completed(1))] {
            assert_eq!(shown(Some(ending)), Some((Status::Terminated, None)));
        }
        for ending in [completed(2).or(continued(1)), continued(1).or(completed(2))] {
            assert!(matches!(ending, Ending::Continue { action: 1, .. }));
        }
    }

    #[test]
    fn only_an_instance_without_a_turn_ends_at_once() {
        let pending = Phase::Pending { suspended: false };
        for (turn, takes_effect) in [
            (Stage::Idle, TakesEffect::Here),
            (Stage::Ready, TakesEffect::Here),
            (Stage::Resting, TakesEffect::Here),
            (Stage::Out(1), TakesEffect::InATurn),
        ] {
            assert_eq!(where_it_takes_effect(&pending, turn), takes_effect);
            let running = Phase::Running { rewritten: false };
            assert_eq!(where_it_takes_effect(&running, turn), TakesEffect::InATurn);
        }
    }
}
