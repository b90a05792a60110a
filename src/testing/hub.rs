//! Says what is to be tested and how, and what came of it.

use super::drive::Drive;
use super::run_error::RunError;
use super::scenario::{Faults, Scenario, ScriptStep};
use crate::model::{History, Status};
use crate::sdk::registry::ActivityRunner;
use crate::sdk::{Activity, DurableError, EventKey, FailureDetails, Orchestrator, Registry, TaskError};
use crate::wire;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// A hub for one test, in memory, with a clock that jumps to what comes next.
///
/// ```
/// use std::time::Duration;
/// use taskhub::sdk::*;
/// use taskhub::testing::TestHub;
///
/// const APPROVED: EventKey<bool> = EventKey::new("approved");
/// async fn approval(ctx: OrchestrationContext, _: ()) -> Result<bool, Failure> {
///     match race(ctx.event(APPROVED), ctx.sleep(Duration::from_secs(72 * 3600))).await {
///         Either::First(approved) => Ok(approved?),
///         Either::Second(()) => Ok(false),
///     }
/// }
///
/// let hub = TestHub::new(Registry::new().orchestration(approval));
/// let outcome = hub.run(approval, ()).unwrap();
/// assert_eq!(outcome.output.unwrap(), false);
/// assert_eq!(outcome.elapsed, Duration::from_secs(72 * 3600));
///
/// let outcome = hub.raise_at(Duration::from_secs(60), APPROVED, true).run(approval, ()).unwrap();
/// assert_eq!(outcome.output.unwrap(), true);
/// ```
#[derive(Clone)]
#[must_use = "a hub does nothing before it is asked to `run`"]
pub struct TestHub(Scenario);

/// What came of an orchestration.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outcome<O, E> {
    /// What it returned, or how it failed.
    pub output: Result<O, TaskError<E>>,
    /// Where it stands; not at an end only where [`TestHub::until`] stopped it.
    pub status: Status,
    /// How long it took by the hub's clock.
    pub elapsed: Duration,
    /// How many turns of all orchestrations there were.
    pub turns: usize,
    /// Its history.
    pub history: History,
    /// Its custom status.
    pub custom_status: Option<String>,
}

impl TestHub {
    /// A hub whose worker has these functions.
    pub fn new(registry: Registry) -> Self {
        Self(Scenario {
            registry,
            script: Vec::new(),
            faults: Faults::default(),
            check: true,
            order: None,
            until: None,
            id: "test".to_owned(),
        })
    }

    /// Puts another function in an activity's place. One of other types does not compile.
    pub fn mock<F, M, G, N>(mut self, activity: F, with: G) -> Self
    where
        F: Activity<M>,
        G: Activity<N, Input = F::Input, Output = F::Output, Error = F::Error, State = ()>,
    {
        drop(activity);
        let name = self.0.registry.name_of::<F>();
        self.0.registry = self.0.registry.replace_activity(&name, None, ActivityRunner::new(with, ()));
        self
    }

    /// The instance's id; `test` unless said otherwise.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.0.id = id.into();
        self
    }

    /// Raises an event so long after the start.
    #[expect(clippy::needless_pass_by_value, reason = "keys are constants; a borrow would only be noise")]
    pub fn raise_at<T: Serialize>(self, after: Duration, event: EventKey<T>, value: T) -> Self {
        let data = serde_json::to_string(&value).map_err(|error| error.to_string());
        self.step(after, ScriptStep::Raise { name: event.name().to_owned(), data })
    }

    /// Terminates the orchestration so long after the start, with an output that is JSON already.
    pub fn terminate_at(self, after: Duration, output: Option<&str>) -> Self {
        self.step(after, ScriptStep::Terminate { output: output.map(str::to_owned) })
    }

    /// Suspends it so long after the start.
    pub fn suspend_at(self, after: Duration) -> Self {
        self.step(after, ScriptStep::Suspend)
    }

    /// Resumes it so long after the start.
    pub fn resume_at(self, after: Duration) -> Self {
        self.step(after, ScriptStep::Resume)
    }

    /// Stops when so much time has passed, whether it has ended or not.
    pub fn until(mut self, after: Duration) -> Self {
        self.0.until = Some(after);
        self
    }

    /// Kills worker and hub after the turn of this number (from 1); the hub comes back from what it stored.
    pub fn crash_after_turn(mut self, turn: usize) -> Self {
        self.0.faults.crashes.push(turn);
        self
    }

    /// Sends every answer twice, as a network does that loses the first reply.
    pub fn answers_twice(mut self) -> Self {
        self.0.faults.answers_twice = true;
        self
    }

    /// Runs every activity twice: at least once is what a scheduler promises.
    pub fn activities_twice(mut self) -> Self {
        self.0.faults.activities_twice = true;
        self
    }

    /// Hands out and answers work in an order drawn from `seed` instead of first come, first served.
    pub fn order(mut self, seed: u64) -> Self {
        self.0.order = Some(seed);
        self
    }

    /// Whether every turn is compared with a replay of its whole history, while that has at most 2,000 events. It is,
    /// unless said otherwise.
    pub fn check_determinism(mut self, check: bool) -> Self {
        self.0.check = check;
        self
    }

    fn step(mut self, after: Duration, step: ScriptStep) -> Self {
        self.0.script.push((after, step));
        self
    }

    /// Runs an orchestration to its end.
    ///
    /// # Errors
    ///
    /// [`RunError`] says why it does not end, or what is wrong with it or with the test.
    #[expect(clippy::needless_pass_by_value, reason = "a function and its input read best as they are")]
    pub fn run<F: Orchestrator<M>, M>(
        &self,
        orchestrator: F,
        input: F::Input,
    ) -> Result<Outcome<F::Output, F::Error>, RunError> {
        drop(orchestrator);
        let name = self.0.registry.name_of::<F>();
        let input = serde_json::to_string(&input)
            .map_err(|error| RunError::Setup { what: format!("the input does not encode: {error}") })?;
        self.0.registry.check().map_err(|error| RunError::Setup { what: error.to_string() })?;
        let ended = Drive::new(&self.0)?.run(&name, input)?;
        Ok(Outcome {
            output: output(&ended.state),
            status: Status::from_wire(ended.state.orchestration_status()).unwrap_or(Status::Running),
            elapsed: ended.elapsed,
            turns: ended.turns,
            history: ended.history.into(),
            custom_status: ended.state.custom_status,
        })
    }

    /// Runs it once in each of many orders, and says which seed it was where one goes wrong.
    ///
    /// # Errors
    ///
    /// The first seed with which it got stuck, or with which `verify` found something to say.
    #[expect(clippy::needless_pass_by_value, reason = "a function and its input read best as they are")]
    pub fn explore<F, M>(
        &self,
        seeds: std::ops::Range<u64>,
        orchestrator: F,
        input: F::Input,
        verify: impl Fn(&Outcome<F::Output, F::Error>) -> Result<(), String>,
    ) -> Result<(), (u64, String)>
    where
        F: Orchestrator<M> + Clone,
        F::Input: Clone,
    {
        for seed in seeds {
            let hub = self.clone().order(seed);
            let outcome =
                hub.run(orchestrator.clone(), input.clone()).map_err(|stuck| (seed, stuck.to_string()))?;
            verify(&outcome).map_err(|said| (seed, said))?;
        }
        Ok(())
    }
}

/// Reads what an instance ended with.
fn output<O: DeserializeOwned, E: DurableError>(state: &wire::OrchestrationState) -> Result<O, TaskError<E>> {
    match &state.failure_details {
        Some(failure) => Err(TaskError::from_details(FailureDetails::from_wire(failure.clone()))),
        None if state.orchestration_status() == wire::OrchestrationStatus::Completed => {
            crate::sdk::replay::decode(state.output.as_deref(), "the output").map_err(TaskError::Undecodable)
        }
        None => {
            let said = state.output.clone().unwrap_or_else(|| "no output".to_owned());
            let status = state.orchestration_status().as_str_name();
            Err(TaskError::Failed(FailureDetails::new("NotCompleted", format!("{status}: {said}"))))
        }
    }
}
