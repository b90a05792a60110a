//! Gives a case a hub: a client and workers that speak the protocol, and nothing between.

use super::Controls;
use super::bare::Bare;
use super::worker::RawWorker;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use taskhub::wire::task_hub_sidecar_service_client::TaskHubSidecarServiceClient;
use taskhub::wire::{self, OrchestrationStatus};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

/// How long a case waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// How long a case listens before it says that nothing came.
///
/// That something does not come has no event to wait for: a window is all there is. It can only let a mistake pass, and
/// never fail what is right, however slow the machine.
pub(crate) const QUIET: Duration = Duration::from_millis(250);

/// Says which hub every call is for.
#[derive(Clone)]
pub(crate) struct Named(Option<MetadataValue<Ascii>>);

impl Interceptor for Named {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(hub) = &self.0 {
            request.metadata_mut().insert("taskhub", hub.clone());
        }
        Ok(request)
    }
}

/// The generated client, told which hub to name.
pub(crate) type Raw = TaskHubSidecarServiceClient<InterceptedService<Channel, Named>>;

/// The generated client over a connection without a timer.
pub(crate) type Patient = TaskHubSidecarServiceClient<InterceptedService<Bare, Named>>;

/// One hub, and what keeps its scheduler running. Ids made by [`Hub::id`] are no other case's.
#[derive(Clone)]
pub(crate) struct Hub {
    channel: Channel,
    /// The address the hub is served at.
    pub(crate) endpoint: String,
    name: String,
    prefix: String,
    /// Ids that the hub made for this case.
    minted: Arc<std::sync::Mutex<Vec<String>>>,
    controls: Arc<dyn Controls>,
}

impl Hub {
    /// The hub of that name at an endpoint. `prefix` begins every id of the case, where others share the hub.
    pub(crate) fn new(endpoint: String, name: String, prefix: String, controls: Arc<dyn Controls>) -> Self {
        Self { channel: channel(&endpoint), endpoint, name, prefix, minted: Arc::default(), controls }
    }

    /// The same hub, reached at another address.
    pub(crate) fn at_address(&self, endpoint: &str) -> Self {
        Self { channel: channel(endpoint), endpoint: endpoint.to_owned(), ..self.clone() }
    }

    /// How many turns each connected worker holds. The case needs [`Need::Figures`](super::Need::Figures).
    pub(crate) async fn turns_held(&self) -> Vec<usize> {
        self.controls.turns_held(&self.name).await
    }

    /// Waits until the scheduler knows of no worker. The case needs [`Need::Figures`](super::Need::Figures).
    pub(crate) async fn without_workers(&self) {
        eventually("no worker is connected", || async { self.turns_held().await.is_empty().then_some(()) })
            .await;
    }

    /// Turns the scheduler's clock. The case needs [`Need::StillClock`](super::Need::StillClock).
    pub(crate) fn advance(&self, by: Duration) {
        self.controls.advance(by);
    }

    /// Stops the scheduler. The case needs [`Need::Stop`](super::Need::Stop).
    pub(crate) async fn stop(&self) {
        self.controls.stop().await;
    }

    /// The id of an instance of this case.
    pub(crate) fn id(&self, stem: &str) -> String {
        format!("{}{stem}", self.prefix)
    }

    /// The id of an entity of this case.
    pub(crate) fn entity(&self, name: &str, key: &str) -> String {
        format!("@{name}@{}{key}", self.prefix)
    }

    /// Whether an instance or entity is this case's; on a shared endpoint others leave theirs behind.
    pub(crate) fn owns(&self, id: &str) -> bool {
        id.contains(&self.prefix)
            || self.minted.lock().expect("no case panics with it").iter().any(|own| own == id)
    }

    fn adopt(&self, id: String) -> String {
        self.minted.lock().expect("no case panics with it").push(id.clone());
        id
    }

    /// A raw client that names this hub.
    pub(crate) fn client(&self) -> Raw {
        self.client_for(Some(&self.name))
    }

    /// A raw client that names another hub, or none.
    pub(crate) fn client_for(&self, hub: Option<&str>) -> Raw {
        let hub = hub.map(|name| name.parse().expect("a hub's name is ASCII"));
        TaskHubSidecarServiceClient::with_interceptor(self.channel.clone(), Named(hub))
            .max_decoding_message_size(64 << 20)
            .max_encoding_message_size(usize::MAX)
    }

    /// A raw client whose calls end when they are answered: it keeps no deadline of its own, as tonic's channels do.
    pub(crate) async fn patient_client(&self) -> Patient {
        let origin: http::Uri = self.endpoint.parse().expect("the endpoint is an address");
        let hub = self.name.parse().expect("a hub's name is ASCII");
        let bare = InterceptedService::new(Bare::connect(&origin).await, Named(Some(hub)));
        TaskHubSidecarServiceClient::with_origin(bare, origin)
    }

    /// A worker that takes everything.
    pub(crate) async fn worker(&self) -> RawWorker {
        self.worker_with(wire::GetWorkItemsRequest::default()).await
    }

    /// A worker that asks for work with this request.
    pub(crate) async fn worker_with(&self, request: wire::GetWorkItemsRequest) -> RawWorker {
        RawWorker::connect(self.clone(), request).await
    }

    /// Starts an orchestration without input under the id of that stem, and returns the id.
    pub(crate) async fn start(&self, stem: &str, name: &str) -> String {
        self.start_with(wire::CreateInstanceRequest {
            instance_id: self.id(stem),
            name: name.into(),
            ..Default::default()
        })
        .await
        .expect("the instance starts")
    }

    /// Starts what is asked for.
    pub(crate) async fn start_with(&self, request: wire::CreateInstanceRequest) -> Result<String, Status> {
        let started = self.client().start_instance(request).await?;
        Ok(self.adopt(started.into_inner().instance_id))
    }

    /// The instance with its payloads, if there is one.
    pub(crate) async fn state(&self, id: &str) -> Option<wire::OrchestrationState> {
        let request = wire::GetInstanceRequest { instance_id: id.into(), get_inputs_and_outputs: true };
        let found =
            self.client().get_instance(request).await.expect("an instance can be asked for").into_inner();
        assert_eq!(found.exists, found.orchestration_state.is_some(), "exists says whether there is a state");
        found.orchestration_state
    }

    /// The status of an instance that exists.
    pub(crate) async fn status(&self, id: &str) -> OrchestrationStatus {
        self.state(id).await.expect("the instance exists").orchestration_status()
    }

    /// The instance once it has ended.
    pub(crate) async fn ended(&self, id: &str) -> wire::OrchestrationState {
        let request = wire::GetInstanceRequest { instance_id: id.into(), get_inputs_and_outputs: true };
        let mut client = self.client();
        let wait = client.wait_for_instance_completion(request);
        let found = tokio::time::timeout(PATIENCE, wait).await.expect("the instance ends in time");
        found.expect("the wait is answered").into_inner().orchestration_state.expect("an end has a state")
    }

    /// The instance once its first turn is committed.
    pub(crate) async fn started(&self, id: &str) -> wire::OrchestrationState {
        let request = wire::GetInstanceRequest { instance_id: id.into(), get_inputs_and_outputs: true };
        let mut client = self.client();
        let wait = client.wait_for_instance_start(request);
        let found = tokio::time::timeout(PATIENCE, wait).await.expect("the instance starts in time");
        found.expect("the wait is answered").into_inner().orchestration_state.expect("a start has a state")
    }

    /// Raises an event.
    pub(crate) async fn raise(&self, id: &str, name: &str, input: &str) {
        let input = Some(input.into());
        let request = wire::RaiseEventRequest { instance_id: id.into(), name: name.into(), input };
        self.client().raise_event(request).await.expect("the event is taken");
    }

    /// Terminates an instance alone.
    pub(crate) async fn terminate(&self, id: &str, output: &str) {
        self.terminate_with(id, output, false).await;
    }

    /// Terminates an instance, and its children where asked to.
    pub(crate) async fn terminate_with(&self, id: &str, output: &str, recursive: bool) {
        let output = Some(output.into());
        let request = wire::TerminateRequest { instance_id: id.into(), output, recursive };
        self.client().terminate_instance(request).await.expect("the instance is terminated");
    }

    /// Suspends an instance.
    pub(crate) async fn suspend(&self, id: &str) {
        let request = wire::SuspendRequest { instance_id: id.into(), reason: Some("pause".into()) };
        self.client().suspend_instance(request).await.expect("the instance is suspended");
    }

    /// Resumes an instance.
    pub(crate) async fn resume(&self, id: &str) {
        let request = wire::ResumeRequest { instance_id: id.into(), reason: Some("go on".into()) };
        self.client().resume_instance(request).await.expect("the instance is resumed");
    }

    /// Rewinds an instance.
    pub(crate) async fn rewind(&self, id: &str) -> Result<(), Status> {
        let request =
            wire::RewindInstanceRequest { instance_id: id.into(), reason: Some("try again".into()) };
        self.client().rewind_instance(request).await.map(|_| ())
    }

    /// Restarts an instance and returns the new run's id.
    pub(crate) async fn restart(
        &self,
        id: &str,
        restart_with_new_instance_id: bool,
    ) -> Result<String, Status> {
        let request = wire::RestartInstanceRequest { instance_id: id.into(), restart_with_new_instance_id };
        let restarted = self.client().restart_instance(request).await?;
        Ok(self.adopt(restarted.into_inner().instance_id))
    }

    /// Purges one instance and returns how many went.
    pub(crate) async fn purge(&self, id: &str, recursive: bool) -> i32 {
        let request = wire::PurgeInstancesRequest {
            request: Some(wire::purge_instances_request::Request::InstanceId(id.into())),
            recursive,
            is_orchestration: false,
        };
        let purged = self.client().purge_instances(request).await.expect("the purge is done").into_inner();
        assert_eq!(purged.is_complete, Some(true), "a purge says whether it is complete");
        purged.deleted_instance_count
    }

    /// The committed history of the current execution.
    pub(crate) async fn history(&self, id: &str) -> Vec<wire::HistoryEvent> {
        self.history_of(id, None, false).await
    }

    /// The history a request names.
    pub(crate) async fn history_of(
        &self,
        id: &str,
        execution_id: Option<String>,
        for_work_item_processing: bool,
    ) -> Vec<wire::HistoryEvent> {
        let request = wire::StreamInstanceHistoryRequest {
            instance_id: id.into(),
            execution_id,
            for_work_item_processing,
        };
        let mut client = self.client();
        let mut chunks = client.stream_instance_history(request).await.expect("history streams").into_inner();
        let mut events = Vec::new();
        while let Some(chunk) = chunks.message().await.expect("the history stream ends well") {
            events.extend(chunk.events);
        }
        events
    }

    /// Signals an entity.
    pub(crate) async fn signal(&self, id: &str, operation: &str, input: &str) {
        self.signal_at(id, operation, input, None).await;
    }

    /// Signals an entity, now or later.
    pub(crate) async fn signal_at(
        &self,
        id: &str,
        operation: &str,
        input: &str,
        scheduled_time: Option<prost_types::Timestamp>,
    ) {
        let request = wire::SignalEntityRequest {
            instance_id: id.into(),
            name: operation.into(),
            input: Some(input.into()),
            scheduled_time,
            ..Default::default()
        };
        self.client().signal_entity(request).await.expect("the entity is signalled");
    }

    /// The entity with its state, if there is one.
    pub(crate) async fn entity_state(&self, id: &str) -> Option<wire::EntityMetadata> {
        let request = wire::GetEntityRequest { instance_id: id.into(), include_state: true };
        let found = self.client().get_entity(request).await.expect("an entity can be asked for").into_inner();
        assert_eq!(found.exists, found.entity.is_some(), "exists says whether there is an entity");
        found.entity
    }

    /// The entity as a query that also lists stateless ones shows it.
    pub(crate) async fn transient(&self, id: &str) -> Option<wire::EntityMetadata> {
        let query = wire::EntityQuery {
            instance_id_starts_with: Some(id.into()),
            include_state: true,
            include_transient: true,
            ..Default::default()
        };
        let request = wire::QueryEntitiesRequest { query: Some(query) };
        let page = self.client().query_entities(request).await.expect("entities can be listed").into_inner();
        page.entities.into_iter().find(|entity| entity.instance_id == id)
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "hub {} at {}", self.name, self.endpoint)
    }
}

fn channel(endpoint: &str) -> Channel {
    Endpoint::from_shared(endpoint.to_owned()).expect("the endpoint is an address").connect_lazy()
}

/// Asks again until the answer is there; a round trip to the hub is all the time that passes between two questions.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let answered = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.unwrap_or_else(|_| panic!("never came true: {what}"))
}

/// The code a call was refused with.
#[track_caller]
pub(crate) fn code<T: std::fmt::Debug>(answer: Result<T, Status>) -> Code {
    refusal(answer).code()
}

/// How a call was refused.
#[track_caller]
pub(crate) fn refusal<T: std::fmt::Debug>(answer: Result<T, Status>) -> Status {
    answer.expect_err("the call is refused")
}
