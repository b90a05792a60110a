//! Gives an orchestrator what it may know, and its timers, events and status; `call` and `entity_call` add the calls.

use super::codec::{Payload, encoded};
use super::core::{Core, OpenAction, Parent};
use super::failure::InvalidCall;
use super::key::EventKey;
use super::next::ContinueAsNew;
use super::slot::{Slot, WaitOutcome};
use super::task::{EventWait, Timer};
use crate::model::Timestamp;
use crate::wire::{self, orchestrator_action::OrchestratorActionType as Action};
use serde::Serialize;
use std::collections::BTreeMap;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;
use uuid::Uuid;

/// What an orchestrator is given: its only way to the world. Cheap to clone.
///
/// Everything is scheduled where it is called, in the order of the program; awaiting only waits. It stays on its
/// thread, as the orchestrator does:
///
/// ```compile_fail
/// # use taskhub::sdk::*;
/// async fn astray(ctx: OrchestrationContext, _: ()) -> Result<(), Failure> {
///     std::thread::spawn(move || ctx.now());
///     Ok(())
/// }
/// ```
///
/// Calls have the types of the functions that are called:
///
/// ```compile_fail
/// # use taskhub::sdk::*;
/// async fn square(i: i64) -> Result<i64, Failure> { Ok(i * i) }
/// async fn wrong(ctx: OrchestrationContext, _: ()) -> Result<i64, Failure> {
///     Ok(ctx.call(square, "three").await?)
/// }
/// ```
///
/// ```
/// # use taskhub::sdk::*;
/// async fn square(i: i64) -> Result<i64, Failure> { Ok(i * i) }
/// async fn right(ctx: OrchestrationContext, _: ()) -> Result<i64, Failure> {
///     Ok(ctx.call(square, 3).await?)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct OrchestrationContext(pub(super) Rc<Core>);

impl OrchestrationContext {
    /// Sleeps. Dropping the timer cancels it.
    #[track_caller]
    pub fn sleep(&self, duration: Duration) -> Timer {
        self.timer(self.0.now.get().plus(duration))
    }

    /// Sleeps until a moment; one that is past comes at once.
    #[track_caller]
    pub fn sleep_until(&self, moment: Timestamp) -> Timer {
        self.timer(moment)
    }

    #[track_caller]
    fn timer(&self, fire_at: Timestamp) -> Timer {
        let slot = Rc::new(Slot::open());
        let id = self.0.next_id();
        self.0.timer(id, fire_at, OpenAction::Timer(Rc::clone(&slot)), Location::caller());
        Timer::new(Rc::clone(&self.0), slot, id)
    }

    /// Waits for an external event. Events that came before are kept; waits for one name are served in the order
    /// they were made.
    #[track_caller]
    pub fn event<T: Payload>(&self, key: EventKey<T>) -> EventWait<T> {
        let slot = Rc::new(Slot::open());
        let kept = self.0.ledger.borrow_mut().events.wait(key.name(), &slot, Location::caller());
        if let Some(raised) = kept {
            self.0.settle(&slot, WaitOutcome::Event(raised));
        }
        EventWait::new(Rc::clone(&self.0), slot, key)
    }

    /// Sends an event to another instance. Nothing tells whether it is there to receive it.
    ///
    /// A value that cannot be written as JSON fails the orchestration.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "keys are constants; a borrow would only be noise")]
    pub fn send_event<T: Payload>(&self, instance_id: impl Into<String>, key: EventKey<T>, value: T) {
        let Some(data) = self.accepted(encoded(value, key.name())) else { return };
        let instance = wire::OrchestrationInstance { instance_id: instance_id.into(), execution_id: None };
        let name = key.name().to_owned();
        let action = wire::SendEventAction { instance: Some(instance), name, data: Some(data) };
        self.0.schedule(self.0.next_id(), Action::SendEvent(action), Location::caller());
    }

    /// Sets the status that clients see beside the runtime status.
    ///
    /// A value that cannot be written as JSON fails the orchestration.
    #[track_caller]
    pub fn set_custom_status<T: Serialize>(&self, status: T) {
        if let Some(status) = self.accepted(encoded(status, "the custom status")) {
            *self.0.status.borrow_mut() = Some(status);
        }
    }

    /// Removes the custom status.
    pub fn clear_custom_status(&self) {
        *self.0.status.borrow_mut() = None;
    }

    /// Ends this execution and begins the next with another input, once the result is awaited. Events that no wait
    /// took yet go with it.
    ///
    /// An input that the orchestrator would not read fails the execution here, not the next one there.
    #[track_caller]
    pub fn continue_as_new<I: Serialize, T>(&self, input: I) -> ContinueAsNew<T> {
        let input = self.accepted(encoded(input, &self.0.facts.name)).unwrap_or_default();
        ContinueAsNew::new(Rc::clone(&self.0), input)
    }

    /// What was accepted; a refusal of something that has no future to report it fails the orchestration.
    #[track_caller]
    pub(super) fn accepted<T>(&self, asked: Result<T, InvalidCall>) -> Option<T> {
        match asked {
            Ok(accepted) => Some(accepted),
            Err(why) => {
                self.0.refuse(&why, Location::caller());
                None
            }
        }
    }

    /// The orchestration's time: the same in every replay. It stands still within a turn.
    pub fn now(&self) -> Timestamp {
        self.0.now.get()
    }

    /// A uuid that is the same in every replay, and different at every call.
    pub fn uuid(&self) -> Uuid {
        self.0.uuid()
    }

    /// Whether what runs now has run before.
    pub fn is_replaying(&self) -> bool {
        self.0.replaying.get()
    }

    /// The instance's id.
    pub fn instance_id(&self) -> &str {
        &self.0.facts.instance_id
    }

    /// The id of this execution; it changes when the instance continues as new.
    pub fn execution_id(&self) -> &str {
        &self.0.facts.execution_id
    }

    /// The name the orchestrator was started by.
    pub fn name(&self) -> &str {
        &self.0.facts.name
    }

    /// The version that was asked for.
    pub fn version(&self) -> Option<&str> {
        self.0.facts.version.as_deref()
    }

    /// The parent, when this is a child.
    pub fn parent(&self) -> Option<&Parent> {
        self.0.facts.parent.as_ref()
    }

    /// The tags the instance was started with.
    pub fn tags(&self) -> &BTreeMap<String, String> {
        &self.0.facts.tags
    }
}
