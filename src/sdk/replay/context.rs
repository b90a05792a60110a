//! Gives an orchestrator everything it may do and know.

use super::call::{ActivityCall, ChildCall};
use super::codec::encoded;
use super::core::{Core, Open, Parent, Request};
use super::definition::{Activity, Operation, Orchestrator, Payload};
use super::entity::EntityId;
use super::failure::{Failure, Refused};
use super::key::EventKey;
use super::next::ContinueAsNew;
use super::section::{LockWait, message};
use super::slot::{Outcome, Slot};
use super::task::{EventWait, Task, Timer};
use crate::model::Timestamp;
use crate::wire::{self, orchestrator_action::OrchestratorActionType as Action};
use serde::Serialize;
use std::collections::BTreeMap;
use std::panic::Location;
use std::rc::Rc;
use std::time::{Duration, SystemTime};
use uuid::Uuid;
use wire::send_entity_message_action::EntityMessageType as Message;

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
    /// Calls an activity.
    #[track_caller]
    pub fn call<F: Activity<M>, M>(&self, activity: F, input: F::Input) -> Task<F::Output, F::Error> {
        self.activity(activity).call(input)
    }

    /// Prepares the call of an activity: with a retry policy, a version, tags or another name.
    pub fn activity<F: Activity<M>, M>(&self, activity: F) -> ActivityCall<F::Input, F::Output, F::Error> {
        drop(activity);
        ActivityCall::of::<F, M>(&self.0)
    }

    /// Prepares the call of an activity that is only known by name, such as one in another language.
    pub fn activity_named<I: Serialize, O: Payload>(&self, name: &str) -> ActivityCall<I, O, Failure> {
        ActivityCall::named(&self.0, name)
    }

    /// Prepares the start of a child: with an id, a version, a retry policy, tags or another name.
    pub fn orchestration<F: Orchestrator<M>, M>(&self, child: F) -> ChildCall<F::Input, F::Output, F::Error> {
        drop(child);
        ChildCall::of::<F, M>(&self.0)
    }

    /// Prepares the start of a child that is only known by name, such as one in another language.
    pub fn orchestration_named<I: Serialize, O: Payload>(&self, name: &str) -> ChildCall<I, O, Failure> {
        ChildCall::named(&self.0, name)
    }

    /// Sleeps. Dropping the timer cancels it.
    #[track_caller]
    pub fn sleep(&self, duration: Duration) -> Timer {
        self.timer(self.0.now.get().plus(duration))
    }

    /// Sleeps until a moment; one that is past comes at once.
    #[track_caller]
    pub fn sleep_until(&self, moment: SystemTime) -> Timer {
        self.timer(Timestamp::from_system_time(moment))
    }

    #[track_caller]
    fn timer(&self, fire_at: Timestamp) -> Timer {
        let slot = Rc::new(Slot::open());
        let id = self.0.next_id();
        self.0.timer(id, fire_at, Open::Timer(Rc::clone(&slot)), Location::caller());
        Timer::new(Rc::clone(&self.0), slot, id)
    }

    /// Waits for an external event. Events that came before are kept; waits for one name are served in the order
    /// they were made.
    #[track_caller]
    pub fn event<T: Payload>(&self, key: EventKey<T>) -> EventWait<T> {
        let slot = Rc::new(Slot::open());
        let kept = self.0.ledger.borrow_mut().events.wait(key.name(), &slot, Location::caller());
        if let Some(raised) = kept {
            self.0.settle(&slot, Outcome::Event(raised));
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

    /// Ends this execution and begins the next with another input, once the result is awaited. Events that nobody
    /// took yet go with it.
    ///
    /// An input that the orchestrator would not read fails the execution here, not the next one there.
    #[track_caller]
    pub fn continue_as_new<I: Serialize, T>(&self, input: I) -> ContinueAsNew<T> {
        let input = self.accepted(encoded(input, &self.0.facts.name)).unwrap_or_default();
        ContinueAsNew::new(Rc::clone(&self.0), input)
    }

    /// Calls an operation of an entity.
    #[track_caller]
    pub fn call_entity<F: Operation<M>, M>(
        &self,
        entity: &EntityId,
        operation: F,
        input: F::Input,
    ) -> Task<F::Output, F::Error> {
        drop(operation);
        let name = entity.expect::<F::State>().and_then(|()| self.operation_name::<F>());
        match name {
            Ok(name) => self.request(entity, name, input),
            Err(why) => Task::refused(Rc::clone(&self.0), why),
        }
    }

    /// Calls an operation of an entity that is only known by name.
    #[track_caller]
    pub fn call_entity_named<I: Serialize, O: Payload>(
        &self,
        entity: &EntityId,
        operation: &str,
        input: I,
    ) -> Task<O, Failure> {
        self.request(entity, operation.to_owned(), input)
    }

    #[track_caller]
    fn request<I: Serialize, T, E>(&self, entity: &EntityId, operation: String, input: I) -> Task<T, E> {
        let (core, target) = (&self.0, entity.to_string());
        let input =
            encoded(input, &operation).and_then(|input| match &mut core.ledger.borrow_mut().section {
                Some(section) => section.enter(&target).map(|()| input),
                None => Ok(input),
            });
        let input = match input {
            Ok(input) => input,
            Err(why) => return Task::refused(Rc::clone(core), why),
        };
        let id = core.next_id();
        let request_id = core.request_id(id);
        let slot = Rc::new(Slot::open());
        let task = Task::new(Rc::clone(core), Rc::clone(&slot), operation.as_str().into());
        let called = wire::EntityOperationCalledEvent {
            request_id: request_id.to_string(),
            operation,
            scheduled_time: None,
            input: Some(input),
            parent_instance_id: Some(core.facts.instance_id.clone()),
            parent_execution_id: Some(core.facts.execution_id.clone()),
            target_instance_id: Some(target.clone()),
        };
        core.schedule(id, message(Message::EntityOperationCalled(called)), Location::caller());
        let request = Request { slot, what: target, lock: None, at: Location::caller() };
        core.ledger.borrow_mut().requests.insert(request_id, request);
        task
    }

    /// Signals an entity: one way, in order.
    ///
    /// An operation of another kind of entity, or an input that cannot be written as JSON, fails the orchestration.
    #[track_caller]
    pub fn signal_entity<F: Operation<M>, M>(
        &self,
        entity: &EntityId,
        operation: F,
        input: F::Input,
    ) -> Signal {
        drop(operation);
        let name = entity.expect::<F::State>().and_then(|()| self.operation_name::<F>());
        self.signal(entity, name, input)
    }

    /// Signals an entity whose operation is only known by name.
    ///
    /// An input that cannot be written as JSON fails the orchestration.
    #[track_caller]
    pub fn signal_entity_named<I: Serialize>(&self, entity: &EntityId, operation: &str, input: I) -> Signal {
        self.signal(entity, Ok(operation.to_owned()), input)
    }

    #[track_caller]
    fn signal<I: Serialize>(&self, entity: &EntityId, name: Result<String, Refused>, input: I) -> Signal {
        let id = self.0.next_id();
        let sent = name.and_then(|name| encoded(input, &name).map(|input| (name, input)));
        let Some((operation, input)) = self.accepted(sent) else {
            return Signal { core: Rc::clone(&self.0), id };
        };
        let signaled = wire::EntityOperationSignaledEvent {
            request_id: self.0.request_id(id).to_string(),
            operation,
            scheduled_time: None,
            input: Some(input),
            target_instance_id: Some(entity.to_string()),
        };
        self.0.schedule(id, message(Message::EntityOperationSignaled(signaled)), Location::caller());
        Signal { core: Rc::clone(&self.0), id }
    }

    /// Locks entities, all of them or none. They are unlocked when the guard is dropped.
    #[track_caller]
    pub fn lock<'a>(&self, entities: impl IntoIterator<Item = &'a EntityId>) -> LockWait {
        LockWait::ask(&self.0, entities, Location::caller())
    }

    /// What was accepted; a refusal of something that nobody awaits fails the orchestration.
    #[track_caller]
    fn accepted<T>(&self, asked: Result<T, Refused>) -> Option<T> {
        match asked {
            Ok(accepted) => Some(accepted),
            Err(why) => {
                self.0.refuse(&why, Location::caller());
                None
            }
        }
    }

    fn operation_name<F: 'static>(&self) -> Result<String, Refused> {
        self.0.names.of::<F>().map(|(name, _)| name)
    }

    /// The orchestration's time: the same in every replay. It stands still within a turn.
    pub fn now(&self) -> SystemTime {
        self.0.now.get().to_system_time()
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

/// A signal to an entity that is on its way.
#[derive(Debug)]
pub struct Signal {
    core: Rc<Core>,
    id: i32,
}

impl Signal {
    /// Delivers it at this moment instead of at once.
    pub fn at(self, moment: SystemTime) {
        let mut ledger = self.core.ledger.borrow_mut();
        let Some(pending) = ledger.pending.get_mut(&self.id) else { return };
        if let Action::SendEntityMessage(wire::SendEntityMessageAction {
            entity_message_type: Some(Message::EntityOperationSignaled(signaled)),
        }) = &mut pending.action
        {
            signaled.scheduled_time = Some(Timestamp::from_system_time(moment).to_wire());
        }
    }
}
