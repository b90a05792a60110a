//! Lets an entity operation signal entities and start orchestrations.

use super::codec::encoded;
use super::definition::{Operation, Orchestrator};
use super::entity::{EntityContext, EntityId};
use super::failure::InvalidCall;
use crate::model::Timestamp;
use crate::wire::{self, operation_action::OperationActionType as Action};
use serde::Serialize;
use uuid::Uuid;

impl EntityContext {
    /// Signals an entity: one way, in order.
    ///
    /// An operation of another kind of entity, or an input that cannot be written as JSON, fails this operation.
    pub fn signal<F, M>(&mut self, entity: &EntityId, operation: F, input: F::Input) -> SentSignal<'_>
    where
        F: Operation<M>,
    {
        drop(operation);
        let name = entity.expect::<F::State>().and_then(|()| self.names.of::<F>());
        self.send(entity, name.map(|(name, _)| name), input)
    }

    /// Signals an entity whose operation is only known by name.
    ///
    /// An input that cannot be written as JSON fails this operation.
    pub fn signal_named<I: Serialize>(
        &mut self,
        entity: &EntityId,
        operation: &str,
        input: I,
    ) -> SentSignal<'_> {
        self.send(entity, Ok(operation.to_owned()), input)
    }

    fn send<I: Serialize>(
        &mut self,
        entity: &EntityId,
        name: Result<String, InvalidCall>,
        input: I,
    ) -> SentSignal<'_> {
        match name.and_then(|name| encoded(input, &name).map(|input| (name, input))) {
            Ok((name, input)) => {
                self.actions.push(Action::SendSignal(wire::SendSignalAction {
                    instance_id: entity.to_string(),
                    name,
                    input: Some(input),
                    ..wire::SendSignalAction::default()
                }));
                SentSignal(self.actions.last_mut())
            }
            Err(why) => {
                self.broken.get_or_insert(why);
                SentSignal(None)
            }
        }
    }

    /// Starts an orchestration and returns its id. The entity gets no result of it.
    ///
    /// An orchestrator without a name, or an input that cannot be written as JSON, fails this operation.
    pub fn start<F, M>(&mut self, orchestrator: F, input: F::Input) -> String
    where
        F: Orchestrator<M>,
    {
        drop(orchestrator);
        let id = self.mint();
        let named = self.names.of::<F>();
        match named.and_then(|(name, version)| encoded(input, &name).map(|input| (name, version, input))) {
            Ok((name, version, input)) => {
                self.actions.push(Action::StartNewOrchestration(wire::StartNewOrchestrationAction {
                    instance_id: id.clone(),
                    name,
                    version,
                    input: Some(input),
                    ..wire::StartNewOrchestrationAction::default()
                }));
            }
            Err(why) => {
                self.broken.get_or_insert(why);
            }
        }
        id
    }

    /// An id that a second delivery of the same operation mints again.
    fn mint(&mut self) -> String {
        self.minted += 1;
        let name = format!("{}_{}_{}", self.id(), self.request_id, self.minted);
        Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).simple().to_string()
    }
}

/// A signal that is sent when the operation succeeds.
#[derive(Debug)]
pub struct SentSignal<'a>(Option<&'a mut Action>);

impl SentSignal<'_> {
    /// Delivers it at this moment instead of at once.
    pub fn at(self, moment: Timestamp) {
        if let Some(Action::SendSignal(signal)) = self.0 {
            signal.scheduled_time = Some(moment.to_wire());
        }
    }
}
