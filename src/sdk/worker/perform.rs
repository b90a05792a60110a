//! Performs activities: on the worker's own runtime, on a thread where they block, or on another runtime.

use super::answer::Line;
use super::flight::Flight;
use crate::model::failure;
use crate::sdk::registry::{ActivityResult, ActivityRunner, Registry};
use crate::sdk::replay::{ActivityContext, Cancellation};
use crate::wire;
use std::sync::Arc;
use tokio::runtime::Handle;

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
        let (line, stopping, elsewhere) = (self.line.clone(), self.stopping.clone(), self.elsewhere.clone());
        tokio::spawn(async move {
            let outcome = match runner {
                None => Err(Registry::activity_not_found(&request.name)),
                Some(runner) => {
                    let (context, input) = ActivityContext::of(request, stopping);
                    perform(runner, context, input, elsewhere).await
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
