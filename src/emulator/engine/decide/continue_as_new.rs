//! Begins the next execution of an instance.

use super::Decider;
use super::open_turn::OpenTurn;
use super::outbox::Outgoing;
use super::terminate::Control;
use crate::emulator::engine::record::{Continued, Record};
use crate::emulator::engine::state::history::{decode, encode};
use crate::emulator::engine::state::instance::{Arrived, Instance, TICK};
use crate::model::{Kind, Timestamp, event};
use crate::wire::{self, history_event::EventType};

/// What a turn that continues as new leaves to the next execution.
pub(crate) struct NextGeneration {
    pub(crate) end: wire::CompleteOrchestrationAction,
    /// What the turn sent to its own instance.
    pub(crate) to_itself: Vec<Outgoing>,
    /// How many of the inbox the turn consumed.
    pub(crate) consumed: usize,
    pub(crate) custom_status: Option<String>,
}

impl Decider {
    /// Continue-as-new (protocol/turns.md#continue-as-new): the same instance, a new execution, an empty history.
    ///
    /// The new inbox is `ExecutionStarted`, then what the worker carries over, then what the turn sent to itself (which
    /// is how .NET carries events over), then what has arrived since and means something to any execution. Answers to
    /// what the old execution asked for are dropped.
    pub(crate) fn continue_as_new(
        &mut self,
        turn: &OpenTurn,
        next: NextGeneration,
        control: &Control,
        now: Timestamp,
    ) {
        let execution = self.ids.execution();
        let Some((instance, volatile)) = self.state.slot(&turn.id) else { return };
        let NextGeneration { end, to_itself, consumed, custom_status } = next;
        let started = wire::ExecutionStartedEvent {
            version: match end.new_version {
                Some(version) if version.is_empty() => None,
                Some(version) => Some(version),
                None => instance.started().version.clone(),
            },
            input: end.result,
            orchestration_instance: Some(event::instance_ref(&turn.id, &execution)),
            scheduled_start_timestamp: None,
            ..instance.started().clone()
        };
        let mut carried: Vec<_> = end.carryover_events.iter().collect();
        // Java carries events over out of a set; the other SDKs keep their order, which equal times leave as it is.
        carried.sort_by_key(|event| event.timestamp.map(|at| (at.seconds, at.nanos)));
        let carried = carried.into_iter().filter_map(|event| {
            let kind = Kind::of(event.event_type.as_ref()?);
            Some(Arrived { kind, event: encode(event) })
        });
        let mut last = volatile.last_arrival;
        let mut arrive = |event: EventType| {
            last = now.max(last.plus(TICK));
            Arrived { kind: Kind::of(&event), event: encode(&event::new(event::ARRIVED, last, event)) }
        };
        let again = control.suspended.then(|| {
            // A new execution knows nothing of it: without an event its worker would go on (R78).
            let reason = Some("the instance was suspended before it continued as new".to_owned());
            arrive(EventType::ExecutionSuspended(wire::ExecutionSuspendedEvent { input: reason }))
        });
        let mut handed_on = Vec::new();
        let mut sent = Vec::new();
        let mut raised = if to_itself.is_empty() || end.carryover_events.is_empty() {
            Vec::new()
        } else {
            raised_in(instance)
        };
        for outgoing in to_itself {
            let Outgoing::Event { name, input, .. } = outgoing else { continue };
            let event = wire::EventRaisedEvent { name, input };
            // .NET sends itself what it had buffered before, and carries over what this turn told it, which is newer.
            let is_old = take_one(&mut raised, &event);
            if is_old { &mut handed_on } else { &mut sent }.push(arrive(EventType::EventRaised(event)));
        }
        let since =
            instance.inbox().iter().skip(consumed).filter(|arrived| concerns_any_execution(arrived.kind));
        let inbox =
            again.into_iter().chain(handed_on).chain(carried).chain(sent).chain(since.cloned()).collect();
        let next = Continued {
            at: now,
            started: Box::new(started),
            inbox,
            // Kept until the next execution says otherwise (unsure).
            custom_status: custom_status.or_else(|| instance.custom_status().cloned()),
            // A suspended instance stays so in its next execution (unsure).
            suspended: control.suspended,
            turn_at: turn.at,
        };
        self.put(Record::Continued { id: turn.id.clone(), next: Box::new(next) });
        if let Some(volatile) = self.state.volatile_mut(&turn.id) {
            volatile.last_arrival = last;
        }
    }
}

/// The events that history says were raised.
fn raised_in(instance: &Instance) -> Vec<wire::EventRaisedEvent> {
    let events = instance.history().events().filter_map(|event| decode(event)?.event_type);
    let raised = |event| if let EventType::EventRaised(raised) = event { Some(raised) } else { None };
    events.filter_map(raised).collect()
}

/// Takes an event out of those that were raised; whether it was among them.
fn take_one(raised: &mut Vec<wire::EventRaisedEvent>, event: &wire::EventRaisedEvent) -> bool {
    let found = raised.iter().position(|raised| raised == event);
    found.map(|at| raised.remove(at)).is_some()
}

/// Whether an event means something to any execution of an instance, and not only to the one it was sent to. No termination
/// is among those that are asked about: the next execution does not begin where one has arrived (`terminate`).
fn concerns_any_execution(kind: Kind) -> bool {
    matches!(kind, Kind::EventRaised | Kind::ExecutionSuspended | Kind::ExecutionResumed)
}
