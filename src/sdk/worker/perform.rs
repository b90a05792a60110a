//! Performs activities: on the worker's own runtime, on a thread where they block, or on another runtime.

use super::answer::Line;
use super::flight::Flight;
use crate::clock::Clock;
use crate::model::{Status, failure};
use crate::sdk::registry::{ActivityResult, ActivityRunner, Registry};
use crate::sdk::replay::{ActivityContext, Cancellation};
use crate::wire;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// How often the caller of an activity that asks is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Performs the activities of one worker. Cheap to clone.
#[derive(Clone)]
pub(super) struct Performer {
    pub(super) registry: Arc<Registry>,
    pub(super) line: Line,
    pub(super) flight: Flight,
    /// Cancelled when the worker stops.
    pub(super) stopping: Cancellation,
    /// Where async activities run, if not on the worker's own runtime.
    pub(super) elsewhere: Option<Handle>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Performer {
    /// Begins an activity; its answer is sent when it has ended.
    pub(super) fn begin(&self, request: wire::ActivityRequest, completion_token: String) {
        let ticket = self.flight.begin();
        let instance = request.orchestration_instance.as_ref();
        let mut response = wire::ActivityResponse {
            instance_id: instance.map(|instance| instance.instance_id.clone()).unwrap_or_default(),
            task_id: request.task_id,
            completion_token,
            ..Default::default()
        };
        let runner = self.registry.activity_runner(&request.name, request.version.as_deref());
        let (line, clock) = (self.line.clone(), Arc::clone(&self.clock));
        let (unwanted, elsewhere) = (self.stopping.child(), self.elsewhere.clone());
        tokio::spawn(async move {
            let outcome = match runner {
                None => Err(Registry::activity_not_found(&request.name)),
                Some(runner) => {
                    let caller = request.orchestration_instance.clone().unwrap_or_default();
                    let (context, input) = ActivityContext::of(request, unwanted.clone());
                    let performing = perform(runner, context, input, elsewhere);
                    tokio::select! {
                        biased;
                        outcome = performing => outcome,
                        // Made only for an activity that takes its time.
                        never = async { Box::pin(watch_caller(&line, &*clock, caller, &unwanted)).await } => match never {},
                    }
                }
            };
            match outcome {
                Ok(result) => response.result = result,
                Err(details) => response.failure_details = Some(details),
            }
            line.activity(response).await;
            drop(ticket);
        });
    }
}

/// Looks every now and then whether the caller still wants the result, once the activity has asked; never ends.
async fn watch_caller(
    line: &Line,
    clock: &dyn Clock,
    caller: wire::OrchestrationInstance,
    unwanted: &Cancellation,
) -> Infallible {
    let request = wire::GetInstanceRequest { instance_id: caller.instance_id, get_inputs_and_outputs: false };
    while !unwanted.is_cancelled() {
        clock.sleep_until(clock.now().plus(LOOK_EVERY)).await;
        if unwanted.is_asked_for()
            && let Ok(found) = line.stub().get_instance(request.clone()).await
            && has_ended(&found.into_inner(), caller.execution_id.as_ref())
        {
            unwanted.cancel();
        }
    }
    std::future::pending().await
}

/// Whether an execution is over: by its status, or because the instance has another one or is gone.
fn has_ended(found: &wire::GetInstanceResponse, execution: Option<&String>) -> bool {
    let Some(state) = found.orchestration_state.as_ref().filter(|_| found.exists) else { return true };
    let status = Status::from_wire(state.orchestration_status());
    let replaced = state.execution_id.as_ref().zip(execution).is_some_and(|(now, then)| now != then);
    status.is_some_and(Status::is_terminal) || replaced
}

async fn perform(
    runner: ActivityRunner,
    context: ActivityContext,
    input: Option<String>,
    elsewhere: Option<Handle>,
) -> ActivityResult {
    if runner.is_blocking() {
        let here = Handle::current();
        let blocking = tokio::task::spawn_blocking(move || here.block_on(runner.run(context, input)));
        return joined(blocking.await);
    }
    let running = runner.run(context, input);
    match elsewhere {
        None => running.await,
        Some(runtime) => joined(runtime.spawn(running).await),
    }
}

/// The runner turns panics into failures; what remains is a runtime that was shut down under the activity.
fn joined(joined: Result<ActivityResult, tokio::task::JoinError>) -> ActivityResult {
    joined.unwrap_or_else(|error| Err(failure::details("ActivityCancelled", error.to_string())))
}
