//! Names entities, and says what their operations may do beside changing the state.

use super::codec::encoded;
use super::definition::{Operation, Orchestrator, Payload};
use super::failure::Refused;
use super::names::Names;
use crate::model::Timestamp;
use crate::wire::{self, operation_action::OperationActionType as Action};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;
use uuid::Uuid;

/// The state of an entity. Its operations are functions that take it as `&mut`.
///
/// ```
/// # use taskhub::sdk::*;
/// #[derive(Default, serde::Serialize, serde::Deserialize)]
/// struct Counter {
///     n: i64,
/// }
/// impl Entity for Counter {
///     const NAME: &'static str = "counter";
/// }
/// impl Counter {
///     fn add(&mut self, by: i64) -> Result<i64, Failure> {
///         self.n += by;
///         Ok(self.n)
///     }
/// }
/// let registry = Registry::new().entity(EntityDef::<Counter>::new().op(Counter::add));
/// assert_eq!(Counter::at("cart-7").to_string(), "@counter@cart-7");
/// ```
pub trait Entity: Payload + Default {
    /// The name of this kind of entity, without regard to case.
    const NAME: &'static str;

    /// The entity of this kind with this key.
    fn at(key: impl Into<String>) -> EntityId
    where
        Self: Sized,
    {
        EntityId::new(Self::NAME, key)
    }
}

/// The id of an entity: its kind and its key. Written `@name@key`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct EntityId {
    name: String,
    key: String,
}

impl EntityId {
    /// The entity of the kind `name` with the key `key`.
    pub fn new(name: &str, key: impl Into<String>) -> Self {
        Self { name: name.to_lowercase(), key: key.into() }
    }

    /// Its kind, in lower case.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether operations of `S` may be called on it.
    pub(super) fn expect<S: Entity>(&self) -> Result<(), Refused> {
        if self.name == S::NAME.to_lowercase() {
            return Ok(());
        }
        Err(Refused::WrongEntity { entity: self.to_string(), wanted: S::NAME.to_owned() })
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}@{}", self.name, self.key)
    }
}

/// The text is not the id of an entity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} has not the form @name@key")]
pub struct NotAnEntityId(String);

impl FromStr for EntityId {
    type Err = NotAnEntityId;

    fn from_str(text: &str) -> Result<Self, NotAnEntityId> {
        let parts = text.strip_prefix('@').and_then(|rest| rest.split_once('@'));
        match parts {
            Some((name, key)) if !name.is_empty() => Ok(Self::new(name, key)),
            _ => Err(NotAnEntityId(text.to_owned())),
        }
    }
}

impl TryFrom<String> for EntityId {
    type Error = NotAnEntityId;

    fn try_from(text: String) -> Result<Self, NotAnEntityId> {
        text.parse()
    }
}

impl From<EntityId> for String {
    fn from(id: EntityId) -> Self {
        id.to_string()
    }
}

/// What an operation may do beside changing the state. All of it is undone when the operation fails.
#[derive(Debug)]
pub struct EntityContext {
    id: EntityId,
    operation: String,
    request_id: String,
    names: Arc<Names>,
    actions: Vec<Action>,
    deleted: bool,
    minted: u32,
    broken: Option<Refused>,
}

impl EntityContext {
    /// The context of one operation.
    pub(crate) fn new(id: EntityId, operation: &str, request_id: &str, names: Arc<Names>) -> Self {
        Self {
            id,
            operation: operation.to_owned(),
            request_id: request_id.to_owned(),
            names,
            actions: Vec::new(),
            deleted: false,
            minted: 0,
            broken: None,
        }
    }

    /// A context to call an operation with in a test.
    pub fn for_test(id: EntityId) -> Self {
        Self::new(id, "", "", Arc::default())
    }

    /// The entity.
    pub fn id(&self) -> &EntityId {
        &self.id
    }

    /// The operation, as it was called.
    pub fn operation(&self) -> &str {
        &self.operation
    }

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
        name: Result<String, Refused>,
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

    /// Starts an orchestration and returns its id. Nobody waits for it.
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

    /// Deletes the state when the operation succeeds: the entity is as if it had never been.
    pub fn delete_state(&mut self) {
        self.deleted = true;
    }

    /// An id that a second delivery of the same operation mints again.
    fn mint(&mut self) -> String {
        self.minted += 1;
        let name = format!("{}_{}_{}", self.id, self.request_id, self.minted);
        Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).simple().to_string()
    }

    /// The actions, and whether the state is deleted.
    ///
    /// # Errors
    ///
    /// A rule was broken on the way.
    pub(crate) fn finish(self) -> Result<(Vec<Action>, bool), Refused> {
        match self.broken {
            Some(why) => Err(why),
            None => Ok((self.actions, self.deleted)),
        }
    }
}

/// A signal that is sent when the operation succeeds.
#[derive(Debug)]
pub struct SentSignal<'a>(Option<&'a mut Action>);

impl SentSignal<'_> {
    /// Delivers it at this moment instead of at once.
    pub fn at(self, moment: SystemTime) {
        if let Some(Action::SendSignal(signal)) = self.0 {
            signal.scheduled_time = Some(Timestamp::from_system_time(moment).to_wire());
        }
    }
}
