//! Tells what single SDKs need that their headers or their answers give away (R79, R90 to R95).

use super::builders::{call, child, complete, end_with, fail, failure, send, signal};
use super::fixture::{Hub, code};
use super::proxy::Proxy;
use super::worker::{Activity, RawWorker, kinds};
use super::{Case, case};
use taskhub::wire::work_item::Request as Work;
use taskhub::wire::{self, OrchestrationStatus as Is};
use tonic::{Code, Request};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("R79", "A Java worker's late completion is answered OK", a_java_workers_late_completion_is_answered_ok).differs("the service answers NOT_FOUND to every SDK; Java's worker would leave a stream behind that swallows work"),
        case("R90", "Of two completions the one of the lowest id counts", of_two_completions_the_one_of_the_lowest_id_counts),
        case("R91", "A terminated instance's output is what the client gave, and absent where it gave none", a_terminated_instances_output_is_what_the_client_gave_and_absent_where_it_gave_none),
        case("R92", "A failing turn does not repeat what its history has", a_failing_turn_does_not_repeat_what_its_history_has),
        case("R93", "A Go worker that states nothing gets no entity items, because it answers none", a_go_worker_that_states_nothing_gets_no_entity_items_because_it_answers_none),
        case("R94", "A Python worker whose limit is zero gets nothing of that kind", a_python_worker_whose_limit_is_zero_gets_nothing_of_that_kind),
        case("R95", "A JavaScript worker that cancels its stream completes what it holds", a_javascript_worker_that_cancels_its_stream_completes_what_it_holds).differs("not documented; ours waits for as long as the connection lives, 30 s at most, and for no other SDK's worker"),
        case("R95", "A Python worker that cancels its stream completes what it holds", a_python_worker_that_cancels_its_stream_completes_what_it_holds),
        case("R95", "What a worker that cancelled its stream holds goes to another once its connection has ended", what_a_worker_that_cancelled_its_stream_holds_goes_to_another_once_its_connection_has_ended),
    ]
}

fn agent<T>(message: T, name: &'static str, value: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(name, value.parse().expect("it is ASCII"));
    request
}

async fn a_java_workers_late_completion_is_answered_ok(hub: Hub) {
    let late = || wire::ActivityResponse { completion_token: "gone:1".into(), ..Default::default() };
    assert_eq!(code(hub.client().complete_activity_task(late()).await), Code::NotFound);
    // It would open a second stream for any refusal, and never read the first one again.
    let java = agent(late(), "x-user-agent", "durabletask-java/1.9.0");
    hub.client().complete_activity_task(java).await.expect("a late answer is taken");
    let turn = wire::OrchestratorResponse { completion_token: "gone:2".into(), ..Default::default() };
    let java = agent(turn, "x-user-agent", "durabletask-java/1.9.0");
    hub.client().complete_orchestrator_task(java).await.expect("a late answer is taken");
}

async fn of_two_completions_the_one_of_the_lowest_id_counts(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    // Go's actions come in random order.
    worker.turn().await.act([fail(7, failure("later")), complete(3, "first")]).await;
    let state = hub.ended(&id).await;
    assert_eq!((state.orchestration_status(), state.output), (Is::Completed, Some("first".into())));
}

async fn a_terminated_instances_output_is_what_the_client_gave_and_absent_where_it_gave_none(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.act([]).await;
    let request = wire::TerminateRequest { instance_id: id.clone(), output: None, recursive: false };
    hub.client().terminate_instance(request).await.expect("it is terminated");
    let terminated = wire::CompleteOrchestrationAction {
        orchestration_status: Is::Terminated.into(),
        result: Some(String::new()),
        ..Default::default()
    };
    // Java's worker says "" where there is nothing to say.
    worker.turn().await.act([end_with(1, terminated)]).await;
    let state = hub.ended(&id).await;
    assert_eq!((state.orchestration_status(), state.output), (Is::Terminated, None));
}

async fn a_failing_turn_does_not_repeat_what_its_history_has(hub: Hub) {
    let mut worker = hub.worker().await;
    let (id, other) = (hub.start("a", "Any").await, hub.start("other", "Other").await);
    let (born, entity) = (hub.id("born"), hub.entity("counter", "a"));
    let mine = || [send(1, &other, "e", "1"), signal(2, &entity, "add", "1"), child(3, &born, "Child")];
    worker.turn_of(&id).await.act(mine()).await;
    worker.turn_of(&born).await.finish("1").await;
    worker.batch().await.finish(Some("1")).await;
    let told = worker.turn_of(&other).await;
    assert!(told.kinds().contains(&"ExecutionStarted"));
    let mut raised = told.kinds().iter().filter(|kind| **kind == "EventRaised").count();
    told.act([]).await;
    if raised == 0 {
        let told = worker.turn_of(&other).await;
        raised = told.kinds().iter().filter(|kind| **kind == "EventRaised").count();
        told.act([]).await;
    }
    assert_eq!(raised, 1);
    // A replay that goes another way than history ends with everything that it had not met there yet.
    let again =
        mine().into_iter().chain([send(4, &other, "e", "new"), fail(5, failure("not deterministic"))]);
    worker.turn_of(&id).await.act(again).await;
    assert_eq!(hub.ended(&id).await.orchestration_status(), Is::Failed);
    let told = worker.turn_of(&other).await;
    assert_eq!(told.kinds(), ["OrchestratorStarted", "EventRaised"], "the new event alone");
    told.finish("done").await;
    assert!(worker.is_idle().await, "neither the signal nor the child comes again");
    let sent = kinds(&hub.history(&id).await).iter().filter(|kind| **kind == "EventSent").count();
    assert_eq!(sent, 2);
}

async fn a_go_worker_that_states_nothing_gets_no_entity_items_because_it_answers_none(hub: Hub) {
    let request = agent(wire::GetWorkItemsRequest::default(), "user-agent", "grpc-go/1.56.0");
    let mut client = hub.patient_client().await;
    let mut go = client.get_work_items(request).await.expect("the stream opens").into_inner();
    hub.signal(&hub.entity("counter", "a"), "add", "1").await;
    hub.start("a", "Any").await;
    let item = go.message().await.expect("the stream lives").expect("there is work");
    assert!(matches!(item.request, Some(Work::OrchestratorRequest(_))), "{item:?}");
    let mut worker = hub.worker().await;
    worker.batch().await.finish(Some("1")).await;
}

async fn a_python_worker_whose_limit_is_zero_gets_nothing_of_that_kind(hub: Hub) {
    let request =
        wire::GetWorkItemsRequest { max_concurrent_orchestration_work_items: 10, ..Default::default() };
    let request = agent(request, "x-user-agent", "durabletask-python/1.12.0");
    let mut python = hub.client().get_work_items(request).await.expect("the stream opens").into_inner();
    hub.start("a", "Any").await;
    let item = python.message().await.expect("the stream lives").expect("there is work");
    let Some(Work::OrchestratorRequest(turn)) = item.request else { panic!("a turn: {item:?}") };
    let answer = wire::OrchestratorResponse {
        instance_id: turn.instance_id,
        completion_token: item.completion_token,
        actions: vec![call(1, "Work", "1")],
        ..Default::default()
    };
    hub.client().complete_orchestrator_task(answer).await.expect("the answer is taken");
    // Its semaphore of zero would let the activity wait for ever; another worker gets it.
    let mut other = hub.worker().await;
    other.activity().await.finish("1").await;
}

/// A worker that drains holds an activity and cancels its stream; another worker is connected. What it held.
async fn drained(hub: &Hub, behind: &Hub, sdk: &str) -> (RawWorker, Activity) {
    // Python's worker means none by zero.
    let request = wire::GetWorkItemsRequest {
        max_concurrent_orchestration_work_items: 10,
        max_concurrent_activity_work_items: 10,
        ..Default::default()
    };
    let request = agent(request, "x-user-agent", sdk);
    let mut worker = RawWorker::connect(behind.clone(), request).await;
    let id = hub.start("a", "Any").await;
    worker.turn_of(&id).await.act([call(1, "Work", "1")]).await;
    let held = worker.activity().await;
    let mut other = hub.worker().await;
    drop(worker);
    assert!(other.is_idle().await, "what {sdk} still completes is handed to another worker");
    (other, held)
}

/// The worker completes what it held, and no worker runs it again.
async fn drains(hub: &Hub, sdk: &str) {
    let (mut other, held) = drained(hub, hub, sdk).await;
    held.finish("2").await;
    let turn = other.turn().await;
    assert_eq!(turn.kinds(), ["OrchestratorStarted", "TaskCompleted"]);
    turn.finish("done").await;
    assert!(other.is_idle().await, "the activity is run again");
}

async fn a_javascript_worker_that_cancels_its_stream_completes_what_it_holds(hub: Hub) {
    drains(&hub, "durabletask-js/0.4.0").await;
}

async fn a_python_worker_that_cancels_its_stream_completes_what_it_holds(hub: Hub) {
    drains(&hub, "durabletask-python/1.12.0").await;
}

async fn what_a_worker_that_cancelled_its_stream_holds_goes_to_another_once_its_connection_has_ended(
    hub: Hub,
) {
    let proxy = Proxy::to(&hub.endpoint).await;
    let (mut other, held) = drained(&hub, &hub.at_address(&proxy.endpoint()), "durabletask-js/0.4.0").await;
    proxy.cut();
    let again = other.activity().await;
    assert_eq!(again.request, held.request);
    again.finish("2").await;
    other.turn().await.finish("done").await;
}
