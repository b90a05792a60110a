//! Names entities, and says what their operations may do beside changing the state.

use super::codec::Payload;
use super::failure::InvalidCall;
use super::names::FunctionNames;
use crate::wire::operation_action::OperationActionType as Action;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

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
    pub(super) fn expect<S: Entity>(&self) -> Result<(), InvalidCall> {
        if self.name == S::NAME.to_lowercase() {
            return Ok(());
        }
        Err(InvalidCall::WrongEntity { entity: self.to_string(), wanted: S::NAME.to_owned() })
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
    pub(super) request_id: String,
    pub(super) names: Arc<FunctionNames>,
    pub(super) actions: Vec<Action>,
    deleted: bool,
    pub(super) minted: u32,
    pub(super) broken: Option<InvalidCall>,
}

impl EntityContext {
    /// The context of one operation.
    pub(crate) fn new(id: EntityId, operation: &str, request_id: &str, names: Arc<FunctionNames>) -> Self {
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

    /// Deletes the state when the operation succeeds: the entity is as if it had never been.
    pub fn delete_state(&mut self) {
        self.deleted = true;
    }

    /// The actions, and whether the state is deleted.
    ///
    /// # Errors
    ///
    /// A rule was broken on the way.
    pub(crate) fn finish(self) -> Result<(Vec<Action>, bool), InvalidCall> {
        match self.broken {
            Some(why) => Err(why),
            None => Ok((self.actions, self.deleted)),
        }
    }
}
