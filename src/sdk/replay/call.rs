//! Prepares calls of activities and children, and schedules them.

use super::codec::{Payload, encoded};
use super::context::OrchestrationContext;
use super::core::{Attempts, Core, OpenAction, Recipe};
use super::definition::{Activity, Orchestrator};
use super::failure::{Failure, InvalidCall};
use super::retry::RetryPolicy;
use super::slot::{CallSite, Slot};
use super::task::Task;
use crate::wire::{self, orchestrator_action::OrchestratorActionType as Action};
use serde::Serialize;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::rc::Rc;

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
}

/// The call of an activity, being prepared.
#[must_use = "nothing is scheduled before .call(input)"]
pub struct ActivityCall<I, O, E> {
    plan: CallPlan,
    types: PhantomData<fn(I) -> Result<O, E>>,
}

/// The start of a child, being prepared.
#[must_use = "nothing is scheduled before .call(input)"]
pub struct ChildCall<I, O, E> {
    plan: CallPlan,
    id: Option<String>,
    types: PhantomData<fn(I) -> Result<O, E>>,
}

struct CallPlan {
    core: Rc<Core>,
    name: Result<String, InvalidCall>,
    version: Option<String>,
    tags: BTreeMap<String, String>,
    retry: Option<RetryPolicy>,
}

impl CallPlan {
    fn of<F: 'static>(core: &Rc<Core>) -> Self {
        let (name, version) = match core.names.of::<F>() {
            Ok((name, version)) => (Ok(name), version),
            Err(why) => (Err(why), None),
        };
        Self { core: Rc::clone(core), name, version, tags: BTreeMap::new(), retry: None }
    }

    fn named(core: &Rc<Core>, name: &str) -> Self {
        let name = Ok(name.to_owned());
        Self { core: Rc::clone(core), name, version: None, tags: BTreeMap::new(), retry: None }
    }

    /// Schedules what `recipe` makes of the action's id, the name and the input.
    fn schedule<T, E>(
        self,
        input: Result<String, InvalidCall>,
        at: CallSite,
        recipe: impl FnOnce(i32, String, String) -> Recipe,
    ) -> Task<T, E> {
        let core = self.core;
        let (name, input) = match self.name.and_then(|name| input.map(|input| (name, input))) {
            Ok(both) => both,
            Err(why) => return Task::refused(core, why),
        };
        let slot = Rc::new(Slot::open());
        let what: Rc<str> = name.as_str().into();
        let task = Task::new(Rc::clone(&core), Rc::clone(&slot), Rc::clone(&what));
        let id = core.next_id();
        let recipe = recipe(id, name, input);
        match self.retry {
            None => core.schedule_open(id, recipe.into_action(), OpenAction::Task(slot, what), at),
            Some(policy) => {
                let action = recipe.clone().into_action();
                let attempts = Attempts {
                    slot,
                    policy,
                    recipe,
                    attempt: Cell::new(1),
                    first_id: id,
                    began: core.now.get(),
                    at,
                };
                core.schedule_open(id, action, OpenAction::Attempt(Rc::new(attempts)), at);
            }
        }
        task
    }
}

impl Recipe {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Activity(action) => &action.name,
            Self::Child(action) => &action.name,
        }
    }

    pub(super) fn into_action(self) -> Action {
        match self {
            Self::Activity(action) => Action::ScheduleTask(action),
            Self::Child(action) => Action::CreateSubOrchestration(action),
        }
    }
}

/// The id a child gets when none is given. The execution is part of it, so that continuing as new never meets the
/// children of the execution before.
pub(super) fn child_id(core: &Core, id: i32) -> String {
    format!("{}:{id:04x}", core.facts.execution_id)
}

macro_rules! options {
    () => {
        /// Tries again when the call fails.
        pub fn retry(mut self, policy: RetryPolicy) -> Self {
            self.plan.retry = Some(policy);
            self
        }

        /// Asks for this version.
        pub fn version(mut self, version: impl Into<String>) -> Self {
            self.plan.version = Some(version.into());
            self
        }

        /// Adds a tag. Tags that begin with `taskhub.` are reserved.
        pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
            self.plan.tags.insert(key.into(), value.into());
            self
        }

        /// Calls it by this name instead of the function's own.
        pub fn name(mut self, name: impl Into<String>) -> Self {
            self.plan.name = Ok(name.into());
            self
        }
    };
}

impl<I, O, E> ActivityCall<I, O, E> {
    pub(super) fn of<F: Activity<M>, M>(core: &Rc<Core>) -> Self {
        Self { plan: CallPlan::of::<F>(core), types: PhantomData }
    }

    pub(super) fn named(core: &Rc<Core>, name: &str) -> Self {
        Self { plan: CallPlan::named(core, name), types: PhantomData }
    }

    options!();
}

impl<I: Serialize, O, E> ActivityCall<I, O, E> {
    /// Schedules it.
    #[track_caller]
    pub fn call(mut self, input: I) -> Task<O, E> {
        let input = encoded(input, self.plan.name.as_deref().unwrap_or_default());
        let (version, tags) = (self.plan.version.take(), std::mem::take(&mut self.plan.tags));
        self.plan.schedule(input, Location::caller(), |_, name, input| {
            Recipe::Activity(wire::ScheduleTaskAction {
                name,
                version,
                input: Some(input),
                tags,
                parent_trace_context: None,
            })
        })
    }
}

impl<I, O, E> ChildCall<I, O, E> {
    pub(super) fn of<F: Orchestrator<M>, M>(core: &Rc<Core>) -> Self {
        Self { plan: CallPlan::of::<F>(core), id: None, types: PhantomData }
    }

    pub(super) fn named(core: &Rc<Core>, name: &str) -> Self {
        Self { plan: CallPlan::named(core, name), id: None, types: PhantomData }
    }

    /// The child's instance id. Every attempt of a retry policy then uses it again.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    options!();
}

impl<I: Serialize, O, E> ChildCall<I, O, E> {
    /// Starts it.
    #[track_caller]
    pub fn call(mut self, input: I) -> Task<O, E> {
        let core = Rc::clone(&self.plan.core);
        let name = self.plan.name.as_deref().unwrap_or_default();
        let input = match &core.ledger.borrow().section {
            Some(section) if section.is_held() => {
                Err(InvalidCall::ChildWhileLocked { name: name.to_owned() })
            }
            _ => encoded(input, name),
        };
        let default = || core.facts.child_version.as_deref().map(str::to_owned);
        let version = self.plan.version.take().or_else(default);
        let (id, tags) = (self.id, std::mem::take(&mut self.plan.tags));
        self.plan.schedule(input, Location::caller(), |action, name, input| {
            Recipe::Child(wire::CreateSubOrchestrationAction {
                instance_id: id.unwrap_or_else(|| child_id(&core, action)),
                name,
                version,
                input: Some(input),
                parent_trace_context: None,
                tags,
            })
        })
    }
}

impl<I, O, E> fmt::Debug for ActivityCall<I, O, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivityCall").field("name", &self.plan.name).finish_non_exhaustive()
    }
}

impl<I, O, E> fmt::Debug for ChildCall<I, O, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildCall").field("name", &self.plan.name).finish_non_exhaustive()
    }
}
