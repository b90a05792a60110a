//! Takes work items one at a time, so that a test decides what is answered, when, and whether at all.

use super::builders::complete;
use super::fixture::{Hub, PATIENCE, QUIET};
use std::collections::VecDeque;
use taskhub::wire::work_item::Request as Work;
use taskhub::wire::{self, history_event::EventType};
use tonic::{Status, Streaming};

/// One stream of work items.
pub(crate) struct RawWorker {
    hub: Hub,
    stream: Streaming<wire::WorkItem>,
    /// What came while something else was waited for.
    kept: VecDeque<wire::WorkItem>,
}

impl RawWorker {
    pub(crate) async fn connect(
        hub: Hub,
        request: impl tonic::IntoRequest<wire::GetWorkItemsRequest>,
    ) -> Self {
        let mut client = hub.client();
        let stream = tokio::time::timeout(PATIENCE, client.get_work_items(request)).await;
        let stream = stream.expect("headers come at once").expect("the stream opens").into_inner();
        Self { hub, stream, kept: VecDeque::new() }
    }

    /// The next message of the stream, a ping or work; `None` when the stream has ended well.
    pub(crate) async fn message(&mut self) -> Result<Option<wire::WorkItem>, Status> {
        let message = tokio::time::timeout(PATIENCE, self.stream.message()).await;
        message.expect("the stream says something in time")
    }

    /// The next ping.
    pub(crate) async fn ping(&mut self) -> wire::WorkItem {
        loop {
            let message = self.message().await.expect("the stream lives").expect("the stream goes on");
            if matches!(message.request, Some(Work::HealthPing(_))) {
                return message;
            }
            // Held, not given back: what others have left behind would come again, and the stream never be silent.
            self.kept.push_back(message);
        }
    }

    async fn item(&mut self) -> wire::WorkItem {
        loop {
            let item = self.message().await.expect("the stream lives").expect("the stream goes on");
            match &item.request {
                Some(Work::HealthPing(_)) | None => {}
                Some(work) if self.hub.owns(subject(work)) => return item,
                Some(_) => self.give_back(item).await,
            }
        }
    }

    /// Gives back what another test has left behind on a shared endpoint.
    async fn give_back(&self, item: wire::WorkItem) {
        let (mut client, completion_token) = (self.hub.client(), item.completion_token);
        // Where it is gone already, so much the better.
        let _ = match item.request {
            Some(Work::OrchestratorRequest(_)) => {
                let request = wire::AbandonOrchestrationTaskRequest { completion_token };
                client.abandon_task_orchestrator_work_item(request).await.map(|_| ())
            }
            Some(Work::ActivityRequest(_)) => {
                let request = wire::AbandonActivityTaskRequest { completion_token };
                client.abandon_task_activity_work_item(request).await.map(|_| ())
            }
            Some(Work::EntityRequest(_) | Work::EntityRequestV2(_)) => {
                let request = wire::AbandonEntityTaskRequest { completion_token };
                client.abandon_task_entity_work_item(request).await.map(|_| ())
            }
            Some(Work::HealthPing(_)) | None => Ok(()),
        };
    }

    async fn next(&mut self, wanted: impl Fn(&Work) -> bool) -> (Work, String) {
        let fits = |item: &wire::WorkItem| item.request.as_ref().is_some_and(&wanted);
        let kept = self.kept.iter().position(fits).and_then(|at| self.kept.remove(at));
        let item = if let Some(item) = kept { item } else { self.awaited(fits).await };
        (item.request.expect("work items say what they are"), item.completion_token)
    }

    /// The next item that fits; pings do not count as something that comes, and others are kept.
    async fn awaited(&mut self, fits: impl Fn(&wire::WorkItem) -> bool) -> wire::WorkItem {
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let item = self.item().await;
                if fits(&item) {
                    break item;
                }
                self.kept.push_back(item);
            }
        });
        found.await.expect("the work comes in time")
    }

    /// The next turn, of whatever orchestration.
    pub(crate) async fn turn(&mut self) -> Turn {
        match self.next(|work| matches!(work, Work::OrchestratorRequest(_))).await {
            (Work::OrchestratorRequest(request), token) => Turn { hub: self.hub.clone(), request, token },
            other => unreachable!("a turn was asked for: {other:?}"),
        }
    }

    /// The next activity, or the next turn where that comes first.
    pub(crate) async fn activity_or_turn(&mut self) -> Result<Activity, Turn> {
        let hub = self.hub.clone();
        match self.next(|work| matches!(work, Work::ActivityRequest(_) | Work::OrchestratorRequest(_))).await
        {
            (Work::ActivityRequest(request), token) => Ok(Activity { hub, request, token }),
            (Work::OrchestratorRequest(request), token) => Err(Turn { hub, request, token }),
            other => unreachable!("one of the two was asked for: {other:?}"),
        }
    }

    /// The next turn of this instance; others are kept for later.
    pub(crate) async fn turn_of(&mut self, id: &str) -> Turn {
        let mine = |work: &Work| matches!(work, Work::OrchestratorRequest(r) if r.instance_id == id);
        match self.next(mine).await {
            (Work::OrchestratorRequest(request), token) => Turn { hub: self.hub.clone(), request, token },
            other => unreachable!("a turn was asked for: {other:?}"),
        }
    }

    /// The next turn of this instance, if one comes within a while; others are kept for later.
    pub(crate) async fn turn_within_quiet(&mut self, id: &str) -> Option<Turn> {
        tokio::time::timeout(QUIET, self.turn_of(id)).await.ok()
    }

    /// The next activity.
    pub(crate) async fn activity(&mut self) -> Activity {
        match self.next(|work| matches!(work, Work::ActivityRequest(_))).await {
            (Work::ActivityRequest(request), token) => Activity { hub: self.hub.clone(), request, token },
            other => unreachable!("an activity was asked for: {other:?}"),
        }
    }

    /// The next batch of entity operations.
    pub(crate) async fn batch(&mut self) -> Batch {
        match self.next(|work| matches!(work, Work::EntityRequestV2(_))).await {
            (Work::EntityRequestV2(request), token) => Batch { hub: self.hub.clone(), request, token },
            other => unreachable!("a batch was asked for: {other:?}"),
        }
    }

    /// The next batch of this entity; others are kept for later.
    pub(crate) async fn batch_of(&mut self, id: &str) -> Batch {
        let mine = |work: &Work| matches!(work, Work::EntityRequestV2(r) if r.instance_id == id);
        match self.next(mine).await {
            (Work::EntityRequestV2(request), token) => Batch { hub: self.hub.clone(), request, token },
            other => unreachable!("a batch was asked for: {other:?}"),
        }
    }

    /// Whether no work has come, and none comes for a while.
    pub(crate) async fn is_idle(&mut self) -> bool {
        if self.kept.is_empty()
            && let Ok(item) = tokio::time::timeout(QUIET, self.item()).await
        {
            self.kept.push_back(item);
        }
        self.kept.is_empty()
    }
}

/// The instance or entity a work item is for.
fn subject(work: &Work) -> &str {
    match work {
        Work::OrchestratorRequest(request) => &request.instance_id,
        Work::ActivityRequest(request) => {
            request.orchestration_instance.as_ref().map_or("", |instance| &instance.instance_id)
        }
        Work::EntityRequest(request) => &request.instance_id,
        Work::EntityRequestV2(request) => &request.instance_id,
        Work::HealthPing(_) => "",
    }
}

/// One turn of an orchestration.
#[derive(Debug)]
pub(crate) struct Turn {
    hub: Hub,
    pub(crate) request: wire::OrchestratorRequest,
    pub(crate) token: String,
}

impl Turn {
    pub(crate) fn id(&self) -> &str {
        &self.request.instance_id
    }

    /// Its new events.
    pub(crate) fn news(&self) -> Vec<EventType> {
        self.request.new_events.iter().filter_map(|event| event.event_type.clone()).collect()
    }

    /// The kinds of its new events, by the names the protocol gives them.
    pub(crate) fn kinds(&self) -> Vec<&'static str> {
        kinds(&self.request.new_events)
    }

    /// The `ExecutionStarted` of this execution, wherever it stands.
    pub(crate) fn beginning(&self) -> wire::ExecutionStartedEvent {
        let events = self.request.past_events.iter().chain(&self.request.new_events);
        let mut begins = events.filter_map(|event| match &event.event_type {
            Some(EventType::ExecutionStarted(started)) => Some((**started).clone()),
            _ => None,
        });
        begins.next().expect("every turn has an ExecutionStarted")
    }

    /// The execution it belongs to.
    pub(crate) fn execution(&self) -> String {
        self.request.execution_id.clone().expect("a turn says its execution")
    }

    /// When it began, as the orchestration is told.
    pub(crate) fn time(&self) -> prost_types::Timestamp {
        let first = self.request.new_events.first().expect("a turn has news");
        first.timestamp.expect("events have timestamps")
    }

    /// The answer with these actions, for a test to change.
    pub(crate) fn answer(&self, actions: Vec<wire::OrchestratorAction>) -> wire::OrchestratorResponse {
        wire::OrchestratorResponse {
            instance_id: self.request.instance_id.clone(),
            actions,
            completion_token: self.token.clone(),
            ..Default::default()
        }
    }

    /// Sends an answer.
    pub(crate) async fn send(&self, answer: wire::OrchestratorResponse) -> Result<(), Status> {
        self.hub.client().complete_orchestrator_task(answer).await.map(|_| ())
    }

    /// Answers with these actions.
    pub(crate) async fn act(&self, actions: impl IntoIterator<Item = wire::OrchestratorAction>) {
        let answer = self.answer(actions.into_iter().collect());
        self.send(answer).await.expect("the turn's answer is taken");
    }

    /// Answers that the orchestration has completed.
    pub(crate) async fn finish(&self, output: &str) {
        self.act([complete(99, output)]).await;
    }

    /// Gives the turn back.
    pub(crate) async fn abandon(&self) {
        let request = wire::AbandonOrchestrationTaskRequest { completion_token: self.token.clone() };
        let given = self.hub.client().abandon_task_orchestrator_work_item(request).await;
        given.expect("the turn is taken back");
    }
}

/// One activity to run.
#[derive(Debug)]
pub(crate) struct Activity {
    hub: Hub,
    pub(crate) request: wire::ActivityRequest,
    pub(crate) token: String,
}

impl Activity {
    fn answer(&self) -> wire::ActivityResponse {
        let instance = self.request.orchestration_instance.clone().expect("an activity says whose it is");
        wire::ActivityResponse {
            instance_id: instance.instance_id,
            task_id: self.request.task_id,
            completion_token: self.token.clone(),
            ..Default::default()
        }
    }

    /// Answers with a result, if it is taken.
    pub(crate) async fn try_finish(&self, result: &str) -> Result<(), Status> {
        let answer = wire::ActivityResponse { result: Some(result.into()), ..self.answer() };
        self.hub.client().complete_activity_task(answer).await.map(|_| ())
    }

    /// Answers with a result.
    pub(crate) async fn finish(&self, result: &str) {
        self.try_finish(result).await.expect("the activity's answer is taken");
    }

    /// Answers that it failed.
    pub(crate) async fn fail(&self, details: wire::TaskFailureDetails) {
        let answer = wire::ActivityResponse { failure_details: Some(details), ..self.answer() };
        self.hub.client().complete_activity_task(answer).await.expect("the activity's failure is taken");
    }

    /// Gives the activity back.
    pub(crate) async fn abandon(&self) {
        let request = wire::AbandonActivityTaskRequest { completion_token: self.token.clone() };
        let given = self.hub.client().abandon_task_activity_work_item(request).await;
        given.expect("the activity is taken back");
    }
}

/// One batch of operations of an entity.
#[derive(Debug)]
pub(crate) struct Batch {
    hub: Hub,
    pub(crate) request: wire::EntityRequest,
    pub(crate) token: String,
}

impl Batch {
    /// The names of its operations.
    pub(crate) fn operations(&self) -> Vec<String> {
        let requests = self.request.operation_requests.iter();
        let named = requests.map(|event| match event.event_type.as_ref() {
            Some(EventType::EntityOperationSignaled(signal)) => signal.operation.clone(),
            Some(EventType::EntityOperationCalled(call)) => call.operation.clone(),
            other => panic!("no operation: {other:?}"),
        });
        named.collect()
    }

    /// The inputs of its operations.
    pub(crate) fn inputs(&self) -> Vec<String> {
        let requests = self.request.operation_requests.iter();
        let inputs = requests.map(|event| match event.event_type.as_ref() {
            Some(EventType::EntityOperationSignaled(signal)) => signal.input.clone(),
            Some(EventType::EntityOperationCalled(call)) => call.input.clone(),
            other => panic!("no operation: {other:?}"),
        });
        inputs.map(Option::unwrap_or_default).collect()
    }

    /// The answer in which every operation has succeeded and the entity has this state, for a test to change.
    pub(crate) fn answer(&self, state: Option<&str>) -> wire::EntityBatchResult {
        let success = || wire::OperationResult {
            result_type: Some(wire::operation_result::ResultType::Success(wire::OperationResultSuccess {
                result: state.map(Into::into),
                ..Default::default()
            })),
        };
        wire::EntityBatchResult {
            results: self.request.operation_requests.iter().map(|_| success()).collect(),
            entity_state: state.map(Into::into),
            completion_token: self.token.clone(),
            ..Default::default()
        }
    }

    /// Sends an answer.
    pub(crate) async fn send(&self, answer: wire::EntityBatchResult) -> Result<(), Status> {
        self.hub.client().complete_entity_task(answer).await.map(|_| ())
    }

    /// Answers that every operation has succeeded and that the entity now has this state.
    pub(crate) async fn finish(&self, state: Option<&str>) {
        self.send(self.answer(state)).await.expect("the batch's answer is taken");
    }

    /// Gives the batch back.
    pub(crate) async fn abandon(&self) {
        let request = wire::AbandonEntityTaskRequest { completion_token: self.token.clone() };
        let given = self.hub.client().abandon_task_entity_work_item(request).await;
        given.expect("the batch is taken back");
    }
}

/// The kinds of events, by the names the protocol gives them.
pub(crate) fn kinds(events: &[wire::HistoryEvent]) -> Vec<&'static str> {
    events.iter().map(|event| kind(event.event_type.as_ref().expect("an event has a kind"))).collect()
}

fn kind(event: &EventType) -> &'static str {
    match event {
        EventType::ExecutionStarted(_) => "ExecutionStarted",
        EventType::ExecutionCompleted(_) => "ExecutionCompleted",
        EventType::ExecutionTerminated(_) => "ExecutionTerminated",
        EventType::TaskScheduled(_) => "TaskScheduled",
        EventType::TaskCompleted(_) => "TaskCompleted",
        EventType::TaskFailed(_) => "TaskFailed",
        EventType::SubOrchestrationInstanceCreated(_) => "SubOrchestrationInstanceCreated",
        EventType::SubOrchestrationInstanceCompleted(_) => "SubOrchestrationInstanceCompleted",
        EventType::SubOrchestrationInstanceFailed(_) => "SubOrchestrationInstanceFailed",
        EventType::TimerCreated(_) => "TimerCreated",
        EventType::TimerFired(_) => "TimerFired",
        EventType::OrchestratorStarted(_) => "OrchestratorStarted",
        EventType::OrchestratorCompleted(_) => "OrchestratorCompleted",
        EventType::EventSent(_) => "EventSent",
        EventType::EventRaised(_) => "EventRaised",
        EventType::GenericEvent(_) => "GenericEvent",
        EventType::HistoryState(_) => "HistoryState",
        EventType::ContinueAsNew(_) => "ContinueAsNew",
        EventType::ExecutionSuspended(_) => "ExecutionSuspended",
        EventType::ExecutionResumed(_) => "ExecutionResumed",
        EventType::EntityOperationSignaled(_) => "EntityOperationSignaled",
        EventType::EntityOperationCalled(_) => "EntityOperationCalled",
        EventType::EntityOperationCompleted(_) => "EntityOperationCompleted",
        EventType::EntityOperationFailed(_) => "EntityOperationFailed",
        EventType::EntityLockRequested(_) => "EntityLockRequested",
        EventType::EntityLockGranted(_) => "EntityLockGranted",
        EventType::EntityUnlockSent(_) => "EntityUnlockSent",
        EventType::ExecutionRewound(_) => "ExecutionRewound",
    }
}
