//! Holds the functions that a worker can run, by name.
//!
//! # Layout
//!
//! - `activity`, `entity`: how each kind of function is run; orchestrators are run by [`replay`](super::replay).
//! - [`turn`], [`batch`]: what a work item is answered with.

use crate::sdk::replay::definition::{Activity, Orchestrator};
use crate::sdk::replay::execution::Definition;
use crate::sdk::replay::names::{FunctionNames, Registered};
use crate::sdk::replay::{DurableError, FailureDetails, Versioning, decode, encode, name_of, names_itself};
use crate::wire;
use std::any::type_name;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub(crate) mod activity;
pub(crate) mod batch;
mod entity;
#[cfg(feature = "sdk")]
mod pace;
pub(crate) mod turn;

pub(crate) use activity::ActivityRun;
pub use activity::ActivityRunner;
pub use batch::run_entity_batch;
pub use entity::{EntityDef, EntityState};
pub use turn::{Cached, TurnOutcome, run_turn};

/// The functions of a worker, by name. Cheap to clone.
///
/// ```
/// # use taskhub::sdk::*;
/// async fn price(item: u32) -> Result<u64, Failure> { Ok(u64::from(item)) }
/// async fn total(ctx: OrchestrationContext, items: Vec<u32>) -> Result<u64, Failure> {
///     let mut total = 0;
///     for item in items {
///         total += ctx.call(price, item).await?;
///     }
///     Ok(total)
/// }
/// let registry = Registry::new().orchestration(total).activity(price);
/// assert!(registry.check().is_ok());
/// ```
///
/// What is wrong with it, such as one name for two functions, is collected, and [`check`](Self::check) tells it; a
/// worker checks before it starts.
#[derive(Clone, Default)]
#[must_use]
pub struct Registry {
    orchestrators: Table<Definition>,
    activities: Table<ActivityRunner>,
    entities: BTreeMap<String, entity::Dispatcher>,
    names: Arc<FunctionNames>,
    versioning: Versioning,
    problems: Vec<RegistryProblem>,
}

/// Functions by name, and by version within a name.
type Table<T> = BTreeMap<Arc<str>, BTreeMap<Option<Arc<str>>, (T, &'static str)>>;

/// What is wrong with a registration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryProblem {
    /// Two functions have one name.
    #[error(
        "{kind} {name:?} is registered twice, as {first} and as {second}; give one of them another name or version"
    )]
    Twice {
        /// Orchestration, activity, entity or operation.
        kind: &'static str,
        /// The name that both have.
        name: String,
        /// The first function.
        first: &'static str,
        /// The second function.
        second: &'static str,
    },
    /// A closure or a generic function has no name of its own.
    #[error("{path} has no name of its own; register it with {kind}_named(..)")]
    Nameless {
        /// Orchestration, activity or operation.
        kind: &'static str,
        /// The function, as the compiler names it.
        path: &'static str,
    },
    /// The name is empty.
    #[error("the {kind} {path} has an empty name; give it one")]
    Empty {
        /// Orchestration, activity, entity or operation.
        kind: &'static str,
        /// The function, as the compiler names it.
        path: &'static str,
    },
}

/// Everything that is wrong with a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRegistry(pub Vec<RegistryProblem>);

impl fmt::Display for InvalidRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the registry is not valid")?;
        self.0.iter().try_for_each(|problem| write!(f, ": {problem}"))
    }
}

impl std::error::Error for InvalidRegistry {}

impl Registry {
    /// A registry without functions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an orchestrator under its own name; it serves every version.
    pub fn orchestration<F: Orchestrator<M>, M>(mut self, orchestrator: F) -> Self {
        match self.own_name::<F>("orchestration") {
            Some(name) => self.orchestration_named(name, None, orchestrator),
            None => self,
        }
    }

    /// Adds an orchestrator under this name, and for this version only when there is one.
    pub fn orchestration_named<F: Orchestrator<M>, M>(
        mut self,
        name: &str,
        version: Option<&str>,
        orchestrator: F,
    ) -> Self {
        let orchestrator = Arc::new(orchestrator);
        let definition = Definition {
            // Nothing of it runs before the first poll: a panic of the decoder is a panic of the orchestrator.
            begin: Arc::new(move |context, input: Option<String>| {
                let orchestrator = Arc::clone(&orchestrator);
                Box::pin(async move {
                    let what = format!("the input of {:?}", context.name());
                    let input =
                        decode::<F::Input>(input.as_deref(), &what).map_err(|why| undecodable(&why))?;
                    let output =
                        orchestrator.begin(context, input).await.map_err(|error| error.to_details())?;
                    encode(&output).map(Some).map_err(|why| unencodable(&why))
                })
            }),
            check_input: |text| decode::<F::Input>(Some(text), "the input to continue with").map(drop),
        };
        let path = type_name::<F>();
        let known = add(&mut self.orchestrators, "orchestration", name, version, definition, path);
        self.noted::<F>(known)
    }

    /// Adds an activity under its own name; it serves every version.
    pub fn activity<F: Activity<M, State = ()>, M>(mut self, activity: F) -> Self {
        match self.own_name::<F>("activity") {
            Some(name) => self.activity_named(name, None, activity),
            None => self,
        }
    }

    /// Adds an activity under this name, and for this version only when there is one.
    pub fn activity_named<F, M>(self, name: &str, version: Option<&str>, activity: F) -> Self
    where
        F: Activity<M, State = ()>,
    {
        let runner = ActivityRunner::new(activity, ());
        self.add_activity::<F>(name, version, runner)
    }

    /// Adds an activity that blocks its thread, under its own name. The worker runs each call of it on a thread of its own.
    pub fn blocking_activity<F: Activity<M, State = ()>, M>(mut self, activity: F) -> Self {
        match self.own_name::<F>("blocking_activity") {
            Some(name) => self.blocking_activity_named(name, None, activity),
            None => self,
        }
    }

    /// Adds an activity that blocks its thread, under this name.
    pub fn blocking_activity_named<F, M>(self, name: &str, version: Option<&str>, activity: F) -> Self
    where
        F: Activity<M, State = ()>,
    {
        let runner = ActivityRunner::new(activity, ()).blocking();
        self.add_activity::<F>(name, version, runner)
    }

    /// Adds an activity that takes `state` first, under its own name.
    pub fn activity_on<S, F, M>(mut self, state: Arc<S>, activity: F) -> Self
    where
        S: Send + Sync + 'static,
        F: Activity<M, State = Arc<S>>,
    {
        match self.own_name::<F>("activity_on") {
            Some(name) => self.activity_on_named(name, None, state, activity),
            None => self,
        }
    }

    /// Adds an activity that takes `state` first, under this name.
    pub fn activity_on_named<S, F, M>(
        self,
        name: &str,
        version: Option<&str>,
        state: Arc<S>,
        activity: F,
    ) -> Self
    where
        S: Send + Sync + 'static,
        F: Activity<M, State = Arc<S>>,
    {
        let runner = ActivityRunner::new(activity, state);
        self.add_activity::<F>(name, version, runner)
    }

    fn add_activity<F: 'static>(mut self, name: &str, version: Option<&str>, runner: ActivityRunner) -> Self {
        let known = add(&mut self.activities, "activity", name, version, runner, type_name::<F>());
        self.noted::<F>(known)
    }

    /// Adds a kind of entity.
    pub fn entity(mut self, definition: EntityDef<impl EntityState>) -> Self {
        let (name, path, dispatcher, operations, problems) = definition.into_parts();
        self.problems.extend(problems);
        let names = Arc::make_mut(&mut self.names);
        for note in operations {
            note(names);
        }
        if let Some(first) = self.entities.get(&name).map(entity::Dispatcher::path) {
            self.problems.push(RegistryProblem::Twice { kind: "entity", name, first, second: path });
        } else if name.is_empty() {
            self.problems.push(RegistryProblem::Empty { kind: "entity", path });
        } else {
            self.entities.insert(name, dispatcher);
        }
        self
    }

    /// Sets which versions of orchestrations the worker runs; all of them unless set.
    pub fn versioning(mut self, versioning: Versioning) -> Self {
        self.versioning = versioning;
        self
    }

    /// Checks that every name stands for one function, and every function has a name.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, in the order of registration.
    pub fn check(&self) -> Result<(), InvalidRegistry> {
        if self.problems.is_empty() { Ok(()) } else { Err(InvalidRegistry(self.problems.clone())) }
    }

    #[doc(hidden)]
    /// The work items to ask a scheduler for: those whose functions are registered.
    pub fn filters(&self) -> wire::WorkItemFilters {
        let strict = self.versioning.only();
        let orchestrations = self.orchestrators.iter().map(|(name, versions)| wire::OrchestrationFilter {
            name: name.to_string(),
            versions: strict.map_or_else(|| listed(versions), |only| vec![only.to_owned()]),
        });
        let activities = self.activities.iter().map(|(name, versions)| wire::ActivityFilter {
            name: name.to_string(),
            versions: listed(versions),
        });
        let entities = self.entities.keys().map(|name| wire::EntityFilter { name: name.clone() });
        wire::WorkItemFilters {
            orchestrations: orchestrations.collect(),
            activities: activities.collect(),
            entities: entities.collect(),
        }
    }

    /// The activity that serves a name and a version.
    pub fn activity_runner(&self, name: &str, version: Option<&str>) -> Option<ActivityRunner> {
        find(&self.activities, name, version).cloned()
    }

    #[doc(hidden)]
    /// The failure of a call of an activity that is not registered.
    pub fn activity_not_found(name: &str) -> wire::TaskFailureDetails {
        not_found("ActivityTaskNotFound", "activity", name).into_wire()
    }

    /// Puts another activity in the place of a registered one, or adds it.
    ///
    /// For a test that mocks the activity, or a run that counts its calls.
    pub fn replace_activity(mut self, name: &str, version: Option<&str>, runner: ActivityRunner) -> Self {
        let versions = self.activities.entry(name.into()).or_default();
        versions.insert(version.map(Into::into), (runner, "a replacement"));
        self
    }

    /// The name by which a call of this function goes over the wire.
    pub fn name_of<F: 'static>(&self) -> String {
        self.names.find::<F>().map_or_else(|| name_of::<F>().to_owned(), |known| known.name.to_string())
    }

    fn own_name<F>(&mut self, kind: &'static str) -> Option<&'static str> {
        if names_itself::<F>() {
            return Some(name_of::<F>());
        }
        self.problems.push(RegistryProblem::Nameless { kind, path: type_name::<F>() });
        None
    }

    fn noted<F: 'static>(mut self, known: Result<Registered, RegistryProblem>) -> Self {
        match known {
            Ok(registered) => Arc::make_mut(&mut self.names).note::<F>(registered),
            Err(problem) => self.problems.push(problem),
        }
        self
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("orchestrations", &self.orchestrators.keys())
            .field("activities", &self.activities.keys())
            .field("entities", &self.entities.keys())
            .finish_non_exhaustive()
    }
}

fn add<T>(
    table: &mut Table<T>,
    kind: &'static str,
    name: &str,
    version: Option<&str>,
    function: T,
    path: &'static str,
) -> Result<Registered, RegistryProblem> {
    if name.is_empty() {
        return Err(RegistryProblem::Empty { kind, path });
    }
    let registered = Registered { name: name.into(), version: version.map(Into::into) };
    let versions = table.entry(Arc::clone(&registered.name)).or_default();
    if let Some((_, first)) = versions.get(&registered.version) {
        return Err(RegistryProblem::Twice { kind, name: name.to_owned(), first, second: path });
    }
    versions.insert(registered.version.clone(), (function, path));
    Ok(registered)
}

/// The function for a version, or else the one that serves every version.
fn find<'a, T>(table: &'a Table<T>, name: &str, version: Option<&str>) -> Option<&'a T> {
    let versions = table.get(name)?;
    let exact = version.filter(|version| !version.is_empty()).and_then(|version| {
        versions
            .iter()
            .find(|(known, _)| known.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(version)))
    });
    let found = exact.map(|(_, found)| found).or_else(|| versions.get(&None));
    found.map(|(function, _)| function)
}

/// The versions to list in a filter; none stands for all of them.
fn listed<T>(versions: &BTreeMap<Option<Arc<str>>, T>) -> Vec<String> {
    if versions.contains_key(&None) {
        return Vec::new();
    }
    versions.keys().flatten().map(ToString::to_string).collect()
}

fn not_found(error_type: &str, kind: &str, name: &str) -> FailureDetails {
    FailureDetails::permanent(error_type, format!("No {kind} task named '{name}' was found."))
}

fn undecodable(why: &crate::sdk::replay::DecodeError) -> FailureDetails {
    FailureDetails::permanent("DecodeError", why.to_string())
}

fn unencodable(why: &serde_json::Error) -> FailureDetails {
    FailureDetails::permanent("EncodeError", format!("the result cannot be written as JSON: {why}"))
}
