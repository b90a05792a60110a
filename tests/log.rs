//! Reads what an emulator in this process writes to the log.

#![cfg(all(feature = "emulator", feature = "sdk"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

#[path = "log/lines.rs"]
mod lines;
#[path = "log/lives.rs"]
mod lives;
#[path = "log/undeliverable.rs"]
mod undeliverable;
#[path = "log/warnings.rs"]
mod warnings;

use lines::Lines;
use std::sync::Arc;
use std::time::Duration;
use taskhub::clock::ManualClock;
use taskhub::emulator::Emulator;
use taskhub::emulator::engine::command::Stats;
use taskhub::model::Timestamp;
use taskhub::wire::{
    self, orchestrator_action::OrchestratorActionType as Action,
    task_hub_sidecar_service_client::TaskHubSidecarServiceClient as Client, work_item::Request as Work,
};
use tonic::Streaming;
use tonic::transport::Channel;

/// Longer than work waits before the log says that no worker takes it.
const A_WHILE: Duration = Duration::from_secs(5);

/// An emulator with one hub, a clock that the test turns, and the lines of that hub.
struct Watched {
    emulator: Emulator,
    clock: Arc<ManualClock>,
    client: Client<Channel>,
    hub: &'static str,
    lines: Lines,
}

impl Watched {
    /// `hub` tells the lines of one test from those of another: each test has its own.
    async fn start(hub: &'static str) -> Self {
        let lines = Lines::of(hub);
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_000_000)));
        let builder = Emulator::builder().hubs([hub]).clock(clock.clone());
        let builder = builder.turn_lease(Duration::from_secs(300)).max_worker_losses(2);
        let emulator = builder.start().await.unwrap();
        let channel = Channel::from_shared(emulator.endpoint()).unwrap().connect().await.unwrap();
        Self { emulator, clock, client: Client::new(channel), hub, lines }
    }

    async fn stats(&self) -> Stats {
        self.emulator.hub(self.hub).unwrap().stats().await.unwrap()
    }

    /// Waits until the hub is as it is wanted.
    async fn until(&self, wanted: impl Fn(&Stats) -> bool) {
        while !wanted(&self.stats().await) {
            tokio::task::yield_now().await;
        }
    }

    async fn start_instance(&self, id: &str, name: &str, version: Option<&str>) {
        let request = wire::CreateInstanceRequest {
            instance_id: id.into(),
            name: name.into(),
            version: version.map(Into::into),
            ..Default::default()
        };
        self.client.clone().start_instance(request).await.unwrap();
    }

    /// A worker that takes everything.
    async fn worker(&self) -> Streaming<wire::WorkItem> {
        self.worker_for(wire::GetWorkItemsRequest::default()).await
    }

    async fn worker_for(&self, request: wire::GetWorkItemsRequest) -> Streaming<wire::WorkItem> {
        let mut request = tonic::Request::new(request);
        request.metadata_mut().insert("workerid", "w1".parse().unwrap());
        let before = self.stats().await.workers.len();
        let items = self.client.clone().get_work_items(request).await.unwrap().into_inner();
        self.until(|stats| stats.workers.len() > before).await;
        items
    }

    /// A worker that takes these orchestrations alone.
    async fn worker_of(&self, orchestrations: &[(&str, &[&str])]) -> Streaming<wire::WorkItem> {
        let filter = |(name, versions): &(&str, &[&str])| wire::OrchestrationFilter {
            name: (*name).into(),
            versions: versions.iter().map(|version| (*version).into()).collect(),
        };
        let filters = wire::WorkItemFilters {
            orchestrations: orchestrations.iter().map(filter).collect(),
            ..Default::default()
        };
        self.worker_for(wire::GetWorkItemsRequest { work_item_filters: Some(filters), ..Default::default() })
            .await
    }

    async fn answer(&self, token: String, actions: Vec<wire::OrchestratorAction>) {
        let answer = wire::OrchestratorResponse { completion_token: token, actions, ..Default::default() };
        self.client.clone().complete_orchestrator_task(answer).await.unwrap();
    }

    /// Turns the clock, and returns when the hub has done what became due.
    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.stats().await;
        self.stats().await;
    }
}

/// The next work item that is work.
async fn next(items: &mut Streaming<wire::WorkItem>) -> (Work, String) {
    loop {
        let item = items.message().await.unwrap().unwrap();
        match item.request.unwrap() {
            Work::HealthPing(_) => {}
            work @ (Work::OrchestratorRequest(_)
            | Work::ActivityRequest(_)
            | Work::EntityRequest(_)
            | Work::EntityRequestV2(_)) => return (work, item.completion_token),
        }
    }
}

fn action(id: i32, action: Action) -> wire::OrchestratorAction {
    wire::OrchestratorAction { id, orchestrator_action_type: Some(action) }
}

fn complete(failure: Option<&str>) -> wire::OrchestratorAction {
    let status = match failure {
        None => wire::OrchestrationStatus::Completed,
        Some(_) => wire::OrchestrationStatus::Failed,
    };
    action(
        100,
        Action::CompleteOrchestration(wire::CompleteOrchestrationAction {
            orchestration_status: status.into(),
            failure_details: failure.map(|message| wire::TaskFailureDetails {
                error_type: "Broken".into(),
                error_message: message.into(),
                ..Default::default()
            }),
            ..Default::default()
        }),
    )
}

fn call(id: i32, name: &str) -> wire::OrchestratorAction {
    action(id, Action::ScheduleTask(wire::ScheduleTaskAction { name: name.into(), ..Default::default() }))
}
