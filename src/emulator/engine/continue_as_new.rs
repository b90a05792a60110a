//! Begins the next execution of an instance.

use super::Engine;
use super::complete::Control;
use super::history::encode;
use super::instance::{Arrived, Stage};
use super::lease::Turn;
use super::record::{Continued, Record};
use crate::model::{Kind, Timestamp, event};
use crate::wire;

impl Engine {
    /// Continue-as-new (wire-semantics C.7): the same instance, a new execution, an empty history.
    ///
    /// The new inbox is `ExecutionStarted`, then what the worker carries over, then what has arrived since and means
    /// something to any execution. Answers to what the old execution asked for are dropped.
    pub(super) fn continue_as_new(
        &mut self,
        turn: &Turn,
        end: wire::CompleteOrchestrationAction,
        consumed: usize,
        control: &Control,
        custom_status: Option<String>,
        now: Timestamp,
    ) {
        let execution = self.ids.execution();
        let Some(instance) = self.instances.get(&turn.id) else { return };
        let started = wire::ExecutionStartedEvent {
            version: match end.new_version {
                Some(version) if version.is_empty() => None,
                Some(version) => Some(version),
                None => instance.started.version.clone(),
            },
            input: end.result,
            orchestration_instance: Some(event::instance_ref(&turn.id, &execution)),
            scheduled_start_timestamp: None,
            ..(*instance.started).clone()
        };
        let carried = end.carryover_events.iter().filter_map(|event| {
            let kind = Kind::of(event.event_type.as_ref()?);
            Some(Arrived { kind, event: encode(event) })
        });
        let since =
            instance.inbox.iter().skip(consumed).filter(|arrived| concerns_any_execution(arrived.kind));
        let inbox = carried.chain(since.cloned()).collect();
        let next = Continued {
            at: now,
            started: Box::new(started),
            inbox,
            // Kept until the next execution says otherwise (unsure).
            custom_status: custom_status.or_else(|| instance.custom_status.clone()),
            // A suspended instance stays so in its next execution (unsure).
            suspended: control.suspended,
            turn_at: turn.at,
        };
        self.put(Record::Continued { id: turn.id.clone(), next: Box::new(next) });
        if let Some(instance) = self.instances.get_mut(&turn.id) {
            instance.stage = Stage::Idle;
        }
    }
}

/// Whether an event means something to any execution of an instance, and not only to the one it was sent to.
fn concerns_any_execution(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::EventRaised | Kind::ExecutionSuspended | Kind::ExecutionResumed | Kind::ExecutionTerminated
    )
}
