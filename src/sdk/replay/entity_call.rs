//! Lets an orchestrator call, signal and lock entities.

use super::codec::{Payload, encoded};
use super::context::OrchestrationContext;
use super::core::{Core, Request, entity_message};
use super::definition::Operation;
use super::entity::EntityId;
use super::failure::{Failure, InvalidCall};
use super::lock::LockWait;
use super::slot::Slot;
use super::task::Task;
use crate::model::Timestamp;
use crate::wire::orchestrator_action::OrchestratorActionType as Action;
use crate::wire::{self, send_entity_message_action::EntityMessageType};
use serde::Serialize;
use std::panic::Location;
use std::rc::Rc;

impl OrchestrationContext {
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
        core.schedule(
            id,
            entity_message(EntityMessageType::EntityOperationCalled(called)),
            Location::caller(),
        );
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
    fn signal<I: Serialize>(&self, entity: &EntityId, name: Result<String, InvalidCall>, input: I) -> Signal {
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
        self.0.schedule(
            id,
            entity_message(EntityMessageType::EntityOperationSignaled(signaled)),
            Location::caller(),
        );
        Signal { core: Rc::clone(&self.0), id }
    }

    /// Locks entities, all of them or none. They are unlocked when the guard is dropped.
    #[track_caller]
    pub fn lock<'a>(&self, entities: impl IntoIterator<Item = &'a EntityId>) -> LockWait {
        LockWait::ask(&self.0, entities, Location::caller())
    }

    fn operation_name<F: 'static>(&self) -> Result<String, InvalidCall> {
        self.0.names.of::<F>().map(|(name, _)| name)
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
    pub fn at(self, moment: Timestamp) {
        let mut ledger = self.core.ledger.borrow_mut();
        let Some(pending) = ledger.pending.get_mut(&self.id) else { return };
        if let Action::SendEntityMessage(wire::SendEntityMessageAction {
            entity_message_type: Some(EntityMessageType::EntityOperationSignaled(signaled)),
        }) = &mut pending.action
        {
            signaled.scheduled_time = Some(moment.to_wire());
        }
    }
}
