//! Carries errors over the wire with their type: what a task fails with, and what its caller sees.

use super::function_name::last_segment;
use crate::wire::TaskFailureDetails;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

mod value;

/// The property under which an error of this SDK travels as JSON, beside its type and message.
const TYPED: &str = "taskhub.error";

/// How many causes of an error are put on the wire; a decoder on the other side may refuse deeper ones.
const DEEPEST_CAUSE: usize = 10;

/// An error that activities, orchestrators and entity operations may fail with.
///
/// It travels with its type: a caller that names the same error gets it back as [`TaskError::App`], and a caller in
/// another language reads its type and message.
///
/// ```
/// # use taskhub::sdk::DurableError;
/// #[derive(Debug, serde::Serialize, serde::Deserialize, thiserror::Error)]
/// enum PriceError {
///     #[error("item {0} has no price")]
///     Unknown(u32),
///     #[error("the price service is busy")]
///     Busy,
/// }
/// impl DurableError for PriceError {
///     fn retryable(&self) -> bool {
///         matches!(self, Self::Busy)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel as the error of a durable function",
    note = "derive `Serialize`, `Deserialize` and `thiserror::Error` for it and add `impl DurableError for {Self} {{}}`",
    note = "or use `taskhub::sdk::Failure`, which `?` makes of any error"
)]
pub trait DurableError: Serialize + DeserializeOwned + fmt::Display + Send + 'static {
    /// The name of the error on the wire. Empty, the default, stands for the last segment of the type's path.
    const NAME: &'static str = "";

    /// Whether another attempt may help. `false` ends every retry policy.
    fn retryable(&self) -> bool {
        true
    }

    #[doc(hidden)]
    fn to_details(&self) -> FailureDetails {
        // As text: the wire's own numbers are doubles, and would not hold every integer.
        let typed = serde_json::to_string(self).ok().map(serde_json::Value::String);
        FailureDetails {
            error_type: wire_name::<Self>().to_owned(),
            message: self.to_string(),
            non_retriable: !self.retryable(),
            properties: typed.map(|error| (TYPED.to_owned(), error)).into_iter().collect(),
            ..FailureDetails::default()
        }
    }

    #[doc(hidden)]
    fn from_details(details: &FailureDetails) -> Option<Self> {
        if details.error_type != wire_name::<Self>() {
            return None;
        }
        serde_json::from_str(details.properties.get(TYPED)?.as_str()?).ok()
    }
}

fn wire_name<E: DurableError>() -> &'static str {
    if E::NAME.is_empty() { last_segment(std::any::type_name::<E>()) } else { E::NAME }
}

/// Why a task failed, as every language reads it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FailureDetails {
    /// The error's type, as its author named it.
    pub error_type: String,
    /// The error's message.
    pub message: String,
    /// Where it was raised, where the other side says so.
    pub stack_trace: Option<String>,
    /// What caused it.
    pub inner: Option<Box<FailureDetails>>,
    /// Whether another attempt is pointless.
    pub non_retriable: bool,
    /// What else the other side tells.
    pub properties: BTreeMap<String, serde_json::Value>,
}

impl FailureDetails {
    /// A failure with a type and a message and nothing else.
    pub fn new(error_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self { error_type: error_type.into(), message: message.into(), ..Self::default() }
    }

    /// A failure that ends every retry policy.
    pub fn permanent(error_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self { non_retriable: true, ..Self::new(error_type, message) }
    }

    #[doc(hidden)]
    /// Reads what the wire carries.
    pub fn from_wire(wire: TaskFailureDetails) -> Self {
        Self {
            error_type: wire.error_type,
            message: wire.error_message,
            stack_trace: wire.stack_trace,
            inner: wire.inner_failure.map(|inner| Box::new(Self::from_wire(*inner))),
            non_retriable: wire.is_non_retriable,
            properties: wire.properties.into_iter().map(|(key, v)| (key, value::from_wire(v))).collect(),
        }
    }

    #[doc(hidden)]
    /// The same as the wire carries it.
    pub fn into_wire(self) -> TaskFailureDetails {
        TaskFailureDetails {
            error_type: self.error_type,
            error_message: self.message,
            stack_trace: self.stack_trace,
            inner_failure: self.inner.map(|inner| Box::new(inner.into_wire())),
            is_non_retriable: self.non_retriable,
            properties: self.properties.into_iter().map(|(key, v)| (key, value::to_wire(v))).collect(),
        }
    }
}

impl fmt::Display for FailureDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for FailureDetails {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner.as_ref().map(|inner| &**inner as _)
    }
}

/// Any error at all: `?` makes one of every standard error, with its chain of causes.
///
/// For functions whose callers do not tell errors apart. Where they do, write an error type and implement
/// [`DurableError`] for it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Failure(Box<FailureDetails>);

impl Failure {
    /// A failure with a message; another attempt may help.
    pub fn new(message: impl Into<String>) -> Self {
        Self(Box::new(FailureDetails::new("Failure", message)))
    }

    /// A failure that ends every retry policy.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self(Box::new(FailureDetails::permanent("Failure", message)))
    }

    /// The failure with these details.
    pub fn of(details: FailureDetails) -> Self {
        Self(Box::new(details))
    }

    /// What is known of it.
    pub fn details(&self) -> &FailureDetails {
        &self.0
    }
}

impl DurableError for Failure {
    fn retryable(&self) -> bool {
        !self.0.non_retriable
    }

    fn to_details(&self) -> FailureDetails {
        (*self.0).clone()
    }

    fn from_details(details: &FailureDetails) -> Option<Self> {
        Some(Self(Box::new(details.clone())))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.error_type, self.0.message)
    }
}

impl<T: Error + 'static> From<T> for Failure {
    fn from(error: T) -> Self {
        // A failure that came over the wire stays what it was.
        if let Some(details) = (&error as &dyn Any).downcast_ref::<FailureDetails>() {
            return Self::of(details.clone());
        }
        let mut details = FailureDetails::new(last_segment(std::any::type_name::<T>()), error.to_string());
        details.inner = causes(error.source(), 0);
        Self(Box::new(details))
    }
}

fn causes(cause: Option<&(dyn Error + 'static)>, depth: usize) -> Option<Box<FailureDetails>> {
    let cause = cause.filter(|_| depth < DEEPEST_CAUSE)?;
    if let Some(details) = cause.downcast_ref::<FailureDetails>() {
        return Some(Box::new(details.clone()));
    }
    let mut details = FailureDetails::new("Error", cause.to_string());
    details.inner = causes(cause.source(), depth + 1);
    Some(Box::new(details))
}

impl From<Failure> for Box<dyn Error + Send + Sync> {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

impl From<Failure> for Box<dyn Error> {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

/// Why a task gave no result.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum TaskError<E> {
    /// The function failed with its own error.
    App(E),
    /// The task failed in another way: it panicked, its name is not registered, it was terminated, or it is written in
    /// another language.
    Failed(FailureDetails),
    /// The task succeeded, but its result does not read as the type that was expected.
    Undecodable(DecodeError),
    /// The task was never scheduled, because the call breaks a rule.
    InvalidCall(InvalidCall),
}

impl<E: DurableError> TaskError<E> {
    /// Reads a failure: as the function's own error where it is one.
    pub fn from_details(details: FailureDetails) -> Self {
        match E::from_details(&details) {
            Some(error) => Self::App(error),
            None => Self::Failed(details),
        }
    }

    /// The failure as the wire carries it.
    pub fn into_details(self) -> FailureDetails {
        match self {
            Self::App(error) => error.to_details(),
            Self::Failed(details) => details,
            Self::Undecodable(error) => FailureDetails::permanent("DecodeError", error.to_string()),
            Self::InvalidCall(error) => FailureDetails::permanent("Refused", error.to_string()),
        }
    }
}

impl<E: fmt::Display> fmt::Display for TaskError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(error) => error.fmt(f),
            Self::Failed(details) => details.fmt(f),
            Self::Undecodable(error) => error.fmt(f),
            Self::InvalidCall(error) => error.fmt(f),
        }
    }
}

impl<E: DurableError> From<TaskError<E>> for Failure {
    fn from(error: TaskError<E>) -> Self {
        Self(Box::new(error.into_details()))
    }
}

impl<E: DurableError> From<TaskError<E>> for Box<dyn Error + Send + Sync> {
    fn from(error: TaskError<E>) -> Self {
        Box::new(error.into_details())
    }
}

impl<E: DurableError> From<TaskError<E>> for Box<dyn Error> {
    fn from(error: TaskError<E>) -> Self {
        Box::new(error.into_details())
    }
}

/// What arrived does not read as the type that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} does not read as {wanted}: {why}; do both sides agree on the type?")]
pub struct DecodeError {
    pub(super) what: String,
    pub(super) wanted: &'static str,
    pub(super) why: String,
}

/// A call that breaks a rule, and is therefore not scheduled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCall {
    /// The input cannot be written as JSON.
    #[error("the input of {name:?} cannot be written as JSON: {why}")]
    Unencodable {
        /// What was to be called.
        name: String,
        /// What the encoder says.
        why: String,
    },
    /// A closure or a generic function was called, and has no name of its own.
    #[error("{path} has no name of its own; register it by name, and call it with .name(..)")]
    Nameless {
        /// The function, as the compiler names it.
        path: &'static str,
    },
    /// Inside a critical section, an entity was called that is not locked.
    #[error("{entity} is not locked by this critical section; add it to ctx.lock(..)")]
    NotLocked {
        /// Which entity.
        entity: String,
    },
    /// Inside a critical section, a second call went to an entity before the first had returned.
    #[error("{entity} is already being called in this critical section; await that call first")]
    Busy {
        /// Which entity.
        entity: String,
    },
    /// Inside a critical section, a child was started.
    #[error("{name:?} cannot be started while entities are locked; drop the lock first")]
    ChildWhileLocked {
        /// The child's name.
        name: String,
    },
    /// A critical section was entered inside another one.
    #[error("entities are locked already; drop that lock, or lock all of them at once")]
    NestedLock,
    /// An operation of one kind of entity was called on another.
    #[error("{entity} is no {wanted:?}")]
    WrongEntity {
        /// The entity that was called.
        entity: String,
        /// The kind that has the operation.
        wanted: String,
    },
}
