//! Tells what the official suites ask of starting instances (R9 to R16).

use super::builders::{child_with, complete, end, now, order};
use super::clients::start_again;
use super::fixture::{Hub, code, refusal};
use super::{Case, case};
use taskhub::wire::{self, OrchestrationStatus as Is};
use tonic::Code;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "R09",
            "Without a policy an ended instance is replaced",
            without_a_policy_an_ended_instance_is_replaced,
        )
        .differs(
            "the Java suite asks for it, other in-process backends refuse; not documented for the service",
        ),
        case(
            "R10",
            "A listed status is replaced, and the next wait sees the new run",
            a_listed_status_is_replaced_and_the_next_wait_sees_the_new_run,
        ),
        case(
            "R10",
            "A status that is not listed is refused with ALREADY_EXISTS",
            a_status_that_is_not_listed_is_refused_with_already_exists,
        ),
        case(
            "R11",
            "The first turn of an instance scheduled at the epoch is told the real time",
            the_first_turn_of_an_instance_scheduled_at_the_epoch_is_told_the_real_time,
        ),
        case(
            "R12",
            "Every execution has an id of 32 lower case hexadecimal digits",
            every_execution_has_an_id_of_32_lower_case_hexadecimal_digits,
        ),
        case(
            "R13",
            "A child knows its parent, and a top-level instance has none",
            a_child_knows_its_parent_and_a_top_level_instance_has_none,
        ),
        case(
            "R13",
            "A child without an id gets one made of its parent's id and its action's",
            a_child_without_an_id_gets_one_made_of_its_parents_id_and_its_actions,
        )
        .differs("SDKs choose the id themselves; the form is the Go backend's"),
        case("R14", "Tags come back as they were given", tags_come_back_as_they_were_given),
        case(
            "R15",
            "A version comes back as it was given or not at all",
            a_version_comes_back_as_it_was_given_or_not_at_all,
        ),
        case("R16", "Absent and falsy payloads are told apart", absent_and_falsy_payloads_are_told_apart),
        case(
            "R16",
            "Ids that are reserved or not printable are invalid arguments",
            ids_that_are_reserved_or_not_printable_are_invalid_arguments,
        ),
    ]
}

/// What asks for that id, to be filled in.
fn named(instance_id: &str) -> wire::CreateInstanceRequest {
    wire::CreateInstanceRequest { instance_id: instance_id.into(), name: "Any".into(), ..Default::default() }
}

async fn without_a_policy_an_ended_instance_is_replaced(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let first = worker.turn().await;
    first.finish("first").await;
    hub.ended(&id).await;
    start_again(&hub, &id, None).await.expect("an ended instance makes way");
    let state = hub.state(&id).await.expect("it is there");
    assert_eq!((state.orchestration_status(), state.output), (Is::Pending, None));
    let second = worker.turn().await;
    assert_ne!(second.execution(), first.execution());
    second.finish("second").await;
    assert_eq!(hub.ended(&id).await.output, Some("second".into()));
}

async fn a_listed_status_is_replaced_and_the_next_wait_sees_the_new_run(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.finish("first").await;
    hub.ended(&id).await;
    start_again(&hub, &id, Some(&[Is::Completed])).await.expect("a listed status is replaced");
    let waiting = {
        let (hub, id) = (hub.clone(), id.clone());
        tokio::spawn(async move { hub.ended(&id).await })
    };
    worker.turn().await.finish("second").await;
    assert_eq!(waiting.await.expect("the wait is answered").output, Some("second".into()));
}

async fn a_status_that_is_not_listed_is_refused_with_already_exists(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn().await.finish("first").await;
    hub.ended(&id).await;
    let refused = refusal(start_again(&hub, &id, Some(&[Is::Failed, Is::Terminated])).await);
    assert_eq!(refused.code(), Code::AlreadyExists);
    assert!(refused.message().contains(&id), "{}", refused.message());
}

async fn the_first_turn_of_an_instance_scheduled_at_the_epoch_is_told_the_real_time(hub: Hub) {
    let mut worker = hub.worker().await;
    let before = now();
    let epoch = prost_types::Timestamp { seconds: 0, nanos: 0 };
    let request =
        wire::CreateInstanceRequest { scheduled_start_timestamp: Some(epoch), ..named(&hub.id("a")) };
    hub.start_with(request).await.expect("the instance starts");
    let turn = worker.turn().await;
    assert!(order(&turn.time()).0 >= before.seconds - 1, "{:?}", turn.time());
    assert_eq!(turn.kinds(), ["OrchestratorStarted", "ExecutionStarted"]);
}

async fn every_execution_has_an_id_of_32_lower_case_hexadecimal_digits(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let mut executions = Vec::new();
    for _ in 0..3 {
        let turn = worker.turn().await;
        let execution = turn.execution();
        assert_eq!(execution.len(), 32, "{execution}");
        assert!(execution.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{execution}");
        let instance = turn.beginning().orchestration_instance.expect("it says which instance it is");
        assert_eq!(instance.execution_id.as_ref(), Some(&execution));
        assert_eq!(instance.instance_id, id);
        assert_eq!(hub.state(&id).await.and_then(|state| state.execution_id), Some(execution.clone()));
        executions.push(execution);
        turn.act([end(1, Is::ContinuedAsNew, None)]).await;
    }
    executions.dedup();
    assert_eq!(executions.len(), 3, "and no two share it");
    hub.terminate(&id, "end").await;
}

async fn a_child_knows_its_parent_and_a_top_level_instance_has_none(hub: Hub) {
    let mut worker = hub.worker().await;
    let (id, born) = (hub.start("a", "Parent").await, hub.id("born"));
    let turn = worker.turn().await;
    assert!(turn.beginning().parent_instance.is_none());
    let action = wire::CreateSubOrchestrationAction {
        instance_id: born.clone(),
        name: "Child".into(),
        version: Some("2".into()),
        input: Some("7".into()),
        tags: [("k".to_owned(), "v".to_owned())].into(),
        ..Default::default()
    };
    turn.act([child_with(4, action)]).await;
    let first = worker.turn_of(&born).await.beginning();
    let parent = first.parent_instance.expect("a child has a parent");
    assert_eq!((parent.task_scheduled_id, parent.name.as_deref()), (4, Some("Parent")));
    let instance = parent.orchestration_instance.expect("it says which instance that is");
    assert_eq!((instance.instance_id.as_str(), instance.execution_id), (id.as_str(), Some(turn.execution())));
    assert_eq!((first.version.as_deref(), first.input.as_deref()), (Some("2"), Some("7")));
    assert_eq!(first.tags.get("k").map(String::as_str), Some("v"));
    assert_eq!(hub.state(&born).await.and_then(|state| state.parent_instance_id), Some(id.clone()));
    assert_eq!(hub.state(&id).await.and_then(|state| state.parent_instance_id), None);
}

async fn a_child_without_an_id_gets_one_made_of_its_parents_id_and_its_actions(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Parent").await;
    let action = wire::CreateSubOrchestrationAction { name: "Child".into(), ..Default::default() };
    worker.turn().await.act([child_with(10, action)]).await;
    assert_eq!(worker.turn().await.id(), format!("{id}:000a"));
}

async fn tags_come_back_as_they_were_given(hub: Hub) {
    let tags: std::collections::BTreeMap<_, _> =
        [("team".to_owned(), "blue".to_owned()), ("empty".to_owned(), String::new())].into();
    let id = hub.id("a");
    hub.start_with(wire::CreateInstanceRequest { tags: tags.clone(), ..named(&id) }).await.expect("started");
    assert_eq!(hub.state(&id).await.map(|state| state.tags), Some(tags.clone()));
    let mut worker = hub.worker().await;
    let turn = worker.turn().await;
    assert_eq!(turn.beginning().tags, tags);
    turn.finish("done").await;
    assert_eq!(hub.ended(&id).await.tags, tags);
}

async fn a_version_comes_back_as_it_was_given_or_not_at_all(hub: Hub) {
    let mut worker = hub.worker().await;
    let (with, without) = (hub.id("with"), hub.id("without"));
    let request = wire::CreateInstanceRequest { version: Some("1.2".into()), ..named(&with) };
    hub.start_with(request).await.expect("started");
    hub.start_with(named(&without)).await.expect("started");
    assert_eq!(worker.turn_of(&with).await.beginning().version, Some("1.2".into()));
    assert_eq!(worker.turn_of(&without).await.beginning().version, None);
    assert_eq!(hub.state(&with).await.and_then(|state| state.version), Some("1.2".into()));
    assert_eq!(hub.state(&without).await.and_then(|state| state.version), None);
}

async fn absent_and_falsy_payloads_are_told_apart(hub: Hub) {
    let mut worker = hub.worker().await;
    for (number, value) in ["0", "false", "null", "\"\"", ""].into_iter().enumerate() {
        let id = hub.id(&format!("v{number}"));
        let request = wire::CreateInstanceRequest { input: Some(value.into()), ..named(&id) };
        hub.start_with(request).await.expect("started");
        let turn = worker.turn().await;
        assert_eq!(turn.beginning().input.as_deref(), Some(value));
        turn.act([complete(1, value)]).await;
        let state = hub.ended(&id).await;
        assert_eq!((state.input.as_deref(), state.output.as_deref()), (Some(value), Some(value)));
    }
    let id = hub.start("absent", "Any").await;
    let turn = worker.turn().await;
    assert_eq!(turn.beginning().input, None);
    turn.act([end(1, Is::Completed, None)]).await;
    let state = hub.ended(&id).await;
    assert_eq!((state.input, state.output, state.custom_status), (None, None, None));
}

async fn ids_that_are_reserved_or_not_printable_are_invalid_arguments(hub: Hub) {
    for id in ["@counter@a", "tab\there", "caf\u{e9}"] {
        assert_eq!(code(hub.start_with(named(id)).await), Code::InvalidArgument, "{id:?}");
    }
    let nameless = wire::CreateInstanceRequest { name: String::new(), ..named(&hub.id("a")) };
    assert_eq!(code(hub.start_with(nameless).await), Code::InvalidArgument);
    let minted = hub.start_with(named("")).await.expect("an id is made where none is given");
    assert_eq!(minted.len(), 32, "{minted}");
}
