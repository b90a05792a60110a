//! Looks every now and then whether the caller of an activity still wants its result, once the activity has asked.

use super::activities::Activities;
use super::activity::RunningActivity;
use super::completion::SchedulerClient;
use super::in_flight::InFlight;
use crate::clock::Clock;
use crate::model::Status;
use crate::wire;
use std::sync::Arc;
use std::time::Duration;

/// How often a caller is looked at, and how long the scheduler may take to tell.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Looks after all activities of a worker; never ends.
pub(super) async fn watch_callers(
    activities: Arc<Activities>,
    scheduler: SchedulerClient,
    in_flight: InFlight,
    clock: Arc<dyn Clock>,
) {
    loop {
        in_flight.until_busy().await;
        clock.sleep_until(clock.now().plus(LOOK_EVERY)).await;
        let mut asking = activities.running();
        asking.retain(|activity| activity.unwanted().is_asked_for() && !activity.unwanted().is_cancelled());
        for activity in asking {
            let late = clock.sleep_until(clock.now().plus(LOOK_EVERY));
            tokio::select! {
                biased;
                () = look(&activity, &scheduler) => {}
                () = late => break,
            }
        }
    }
}

async fn look(activity: &RunningActivity, scheduler: &SchedulerClient) {
    let context = activity.context();
    let request = wire::GetInstanceRequest {
        instance_id: context.instance_id().to_owned(),
        get_inputs_and_outputs: false,
    };
    if let Ok(found) = scheduler.stub().get_instance(request).await
        && has_ended(&found.into_inner(), context.execution_id())
    {
        activity.unwanted().cancel();
    }
}

/// Whether an execution is over: by its status, or because the instance has another one or is gone.
fn has_ended(found: &wire::GetInstanceResponse, execution: &str) -> bool {
    let Some(state) = found.orchestration_state.as_ref().filter(|_| found.exists) else { return true };
    let status = Status::from_wire(state.orchestration_status());
    let replaced = !execution.is_empty() && state.execution_id.as_ref().is_some_and(|now| now != execution);
    status.is_some_and(Status::is_terminal) || replaced
}
