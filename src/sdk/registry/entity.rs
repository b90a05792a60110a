//! Runs the operations of entities: on a state that has a type, or on one that has none.

use super::{RegistryProblem, undecodable, unencodable};
use crate::sdk::replay::definition::Operation;
use crate::sdk::replay::names::{FunctionNames, Registered};
use crate::sdk::replay::{
    DurableError, Entity, EntityContext, FailureDetails, Payload, decode, encode, name_of, names_itself,
};
use serde_json::Value;
use std::any::type_name;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What an entity may keep as its state.
pub trait EntityState: Payload + Default {}

impl<T: Payload + Default> EntityState for T {}

type Call<S> = Arc<
    dyn Fn(&mut S, &mut EntityContext, Option<&str>) -> Result<Option<String>, FailureDetails> + Send + Sync,
>;

type Note = Box<dyn FnOnce(&mut FunctionNames)>;

/// A kind of entity: its state and its operations.
///
/// The operation `delete` is there by itself, unless another one has that name.
#[must_use]
pub struct EntityDef<S> {
    name: String,
    path: &'static str,
    operations: BTreeMap<String, (Call<S>, &'static str)>,
    otherwise: Option<Call<S>>,
    notes: Vec<Note>,
    problems: Vec<RegistryProblem>,
}

impl<S: Entity> Default for EntityDef<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Entity> EntityDef<S> {
    /// The kind of entity that `S` is, without operations.
    pub fn new() -> Self {
        Self::with(S::NAME, type_name::<S>())
    }

    /// Adds an operation under the function's own name.
    pub fn op<F: Operation<M, State = S>, M>(mut self, operation: F) -> Self {
        if !names_itself::<F>() {
            self.problems.push(RegistryProblem::Nameless { kind: "op", path: type_name::<F>() });
            return self;
        }
        self.op_named(name_of::<F>(), operation)
    }

    /// Adds an operation under this name. Case makes no difference.
    pub fn op_named<F: Operation<M, State = S>, M>(mut self, name: &str, operation: F) -> Self {
        let call: Call<S> = Arc::new(move |state, context, input| {
            let what = format!("the input of {:?}", context.operation());
            let input = decode::<F::Input>(input, &what).map_err(|why| undecodable(&why))?;
            let output = operation.perform(state, context, input).map_err(|error| error.to_details())?;
            encode(&output).map(Some).map_err(|why| unencodable(&why))
        });
        let (key, path) = (name.to_lowercase(), type_name::<F>());
        if let Some((_, first)) = self.operations.get(&key) {
            let name = format!("{}.{name}", self.name);
            self.problems.push(RegistryProblem::Twice { kind: "operation", name, first, second: path });
            return self;
        }
        self.operations.insert(key, (call, path));
        let registered = Registered { name: name.into(), version: None };
        self.notes.push(Box::new(move |names| names.note::<F>(registered)));
        self
    }
}

impl EntityDef<Value> {
    /// A kind of entity that one function serves: it gets the operation's name from the context, the input, and the
    /// state, which is `null` as long as there is none.
    ///
    /// ```
    /// # use taskhub::sdk::*;
    /// let log = EntityDef::function("log", |state, _context, input| {
    ///     let mut lines = state.as_array().cloned().unwrap_or_default();
    ///     lines.push(input);
    ///     *state = lines.into();
    ///     Ok(state.clone())
    /// });
    /// ```
    pub fn function<F>(name: &str, function: F) -> Self
    where
        F: Fn(&mut Value, &mut EntityContext, Value) -> Result<Value, crate::sdk::replay::Failure>
            + Send
            + Sync
            + 'static,
    {
        let mut definition = Self::with(name, type_name::<F>());
        definition.otherwise = Some(Arc::new(move |state, context, input| {
            let what = format!("the input of {:?}", context.operation());
            let input = decode::<Value>(input, &what).map_err(|why| undecodable(&why))?;
            let output = function(state, context, input).map_err(|error| error.to_details())?;
            encode(&output).map(Some).map_err(|why| unencodable(&why))
        }));
        definition
    }
}

impl<S> EntityDef<S> {
    fn with(name: &str, path: &'static str) -> Self {
        Self {
            name: name.to_lowercase(),
            path,
            operations: BTreeMap::new(),
            otherwise: None,
            notes: Vec::new(),
            problems: Vec::new(),
        }
    }
}

impl<S: EntityState> EntityDef<S> {
    /// Its name, its path, how to run it, what to note of its operations, and what is wrong with it.
    pub(super) fn into_parts(self) -> (String, &'static str, Dispatcher, Vec<Note>, Vec<RegistryProblem>) {
        let Self { name, path, operations, otherwise, notes, problems } = self;
        let open = move |text: Option<&str>| -> Result<Box<dyn Live>, FailureDetails> {
            let state = match text {
                None => S::default(),
                Some(_) => decode(text, "the state of the entity").map_err(|why| undecodable(&why))?,
            };
            Ok(Box::new(Opened { state, operations: operations.clone(), otherwise: otherwise.clone() }))
        };
        (name, path, Dispatcher { path, open: Arc::new(open) }, notes, problems)
    }
}

impl<S> fmt::Debug for EntityDef<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntityDef").field("name", &self.name).finish_non_exhaustive()
    }
}

type OpenState = dyn Fn(Option<&str>) -> Result<Box<dyn Live>, FailureDetails> + Send + Sync;

/// A kind of entity, its types hidden.
#[derive(Clone)]
pub(super) struct Dispatcher {
    path: &'static str,
    open: Arc<OpenState>,
}

impl Dispatcher {
    pub(super) fn path(&self) -> &'static str {
        self.path
    }

    /// Reads the state, to perform operations on it.
    pub(super) fn open(&self, state: Option<&str>) -> Result<Box<dyn Live>, FailureDetails> {
        (self.open)(state)
    }
}

/// An entity's state in memory.
pub(super) trait Live {
    /// Performs an operation. The state may be half changed when it fails.
    fn perform(
        &mut self,
        context: &mut EntityContext,
        input: Option<&str>,
    ) -> Result<Option<String>, FailureDetails>;

    /// Writes the state.
    fn save(&self) -> Result<String, FailureDetails>;

    /// Begins again without a state.
    fn reset(&mut self);
}

struct Opened<S> {
    state: S,
    operations: BTreeMap<String, (Call<S>, &'static str)>,
    otherwise: Option<Call<S>>,
}

impl<S: EntityState> Live for Opened<S> {
    fn perform(
        &mut self,
        context: &mut EntityContext,
        input: Option<&str>,
    ) -> Result<Option<String>, FailureDetails> {
        let name = context.operation().to_lowercase();
        let call = self.operations.get(&name).map(|(call, _)| call).or(self.otherwise.as_ref());
        match call {
            Some(call) => call(&mut self.state, context, input),
            None if name == "delete" => {
                context.delete_state();
                Ok(None)
            }
            None => Err(FailureDetails::permanent(
                "OperationNotFound",
                format!("{} has no operation {:?}", context.id(), context.operation()),
            )),
        }
    }

    fn save(&self) -> Result<String, FailureDetails> {
        encode(&self.state).map_err(|why| unencodable(&why))
    }

    fn reset(&mut self) {
        self.state = S::default();
    }
}
