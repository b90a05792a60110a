//! Holds a scheduler to its limits: what is refused, what fails by name, and what never is sent (R80 to R85).

use super::builders::{call, complete, signal};
use super::fixture::Hub;
use super::worker::Turn;
use super::{Case, case};
use taskhub::wire::{self, OrchestrationStatus as Is};
use tonic::{Code, Status};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("R80", "A payload of one mebibyte passes, and one byte more is refused with limit, size and remedy", a_payload_of_one_mebibyte_passes_and_one_byte_more_is_refused_with_limit_size_and_remedy).differs("the limit is documented, the code and the text are not; no suite that runs against the scheduler sends more \
         without a payload store (one for Functions over Azure Storage does: JavaScript's `large-output`, 4,608 KiB)"),
        case("R81", "A client's message above four mebibytes is refused with RESOURCE_EXHAUSTED", a_clients_message_above_four_mebibytes_is_refused_with_resource_exhausted),
        case("R82", "A payload above one mebibyte in a completion fails its instance or activity, and the call is answered OK", a_payload_above_one_mebibyte_in_a_completion_fails_its_instance_or_activity_and_the_call_is_answered_ok).differs("not documented for the service; a completion that is refused would be sent again for ever"),
        case("R82", "A state above one mebibyte fails the operation that made it and no other", a_state_above_one_mebibyte_fails_the_operation_that_made_it_and_no_other),
        case("R83", "A completion above four mebibytes fails its work item, and the call is answered OK", a_completion_above_four_mebibytes_fails_its_work_item_and_the_call_is_answered_ok).differs("the service answers RESOURCE_EXHAUSTED; its worker keeps the item then, and gets it again without end"),
        case("R84", "A completion of seventy megabytes is treated like one of five", a_completion_of_seventy_megabytes_is_treated_like_one_of_five),
        case("R84", "A completion that is too large and whose token is unknown is refused with NOT_FOUND", a_completion_that_is_too_large_and_whose_token_is_unknown_is_refused_with_not_found),
        case("R85", "Tags and names are bounded, and an action of a worker that exceeds the bound fails", tags_and_names_are_bounded_and_an_action_of_a_worker_that_exceeds_the_bound_fails).differs("no bound is documented: ours are 1,000 tags of 1,024 bytes for the key and 65,536 for the value, 262,144 in \
         all, and names of 1,024 bytes"),
    ]
}

/// The most that one payload may have, in bytes.
const PAYLOAD: usize = 1 << 20;
/// The most that one message may have, in bytes.
const MESSAGE: usize = 4 << 20;

fn text(bytes: usize) -> String {
    "x".repeat(bytes)
}

/// Looks at a refusal: it names the limit, what came, and what to do.
#[track_caller]
fn names_the_limit(refused: Result<impl std::fmt::Debug, Status>, size: usize) {
    let refused = refused.expect_err("it is too large");
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    let said = refused.message();
    for part in [&size.to_string(), &PAYLOAD.to_string(), "large-payload store"] {
        assert!(said.contains(part), "{said:?} does not say {part}");
    }
}

/// Looks at a failure by name: it names the limit, what came, and what to do.
#[track_caller]
fn fails_by_name(failure: Option<&wire::TaskFailureDetails>, kind: &str, limit: usize) {
    let failure = failure.expect("a failure has details");
    assert_eq!(failure.error_type, kind, "{failure:?}");
    assert!(failure.is_non_retriable, "another try sends as much");
    for part in [&limit.to_string(), "large-payload store"] {
        assert!(failure.error_message.contains(part), "{failure:?} does not say {part}");
    }
}

async fn a_payload_of_one_mebibyte_passes_and_one_byte_more_is_refused_with_limit_size_and_remedy(hub: Hub) {
    let (mut client, over) = (hub.client(), PAYLOAD + 1);
    let start = |stem: &str, bytes| wire::CreateInstanceRequest {
        instance_id: hub.id(stem),
        name: "Any".into(),
        input: Some(text(bytes)),
        ..Default::default()
    };
    let id = hub.start_with(start("a", PAYLOAD)).await.expect("exactly the limit passes");
    names_the_limit(hub.start_with(start("b", over)).await, over);
    // The limit is one of bytes: letters beyond ASCII have more than one.
    let letters =
        wire::CreateInstanceRequest { input: Some("\u{e9}".repeat(PAYLOAD / 2 + 1)), ..start("b", 0) };
    names_the_limit(hub.start_with(letters).await, PAYLOAD + 2);
    assert_eq!(hub.state(&hub.id("b")).await, None);

    let raise = |bytes| wire::RaiseEventRequest {
        instance_id: id.clone(),
        name: "e".into(),
        input: Some(text(bytes)),
    };
    names_the_limit(client.raise_event(raise(over)).await, over);
    client.raise_event(raise(PAYLOAD)).await.expect("exactly the limit passes");
    let reason = Some(text(over));
    let suspend = wire::SuspendRequest { instance_id: id.clone(), reason: reason.clone() };
    names_the_limit(client.suspend_instance(suspend).await, over);
    let resume = wire::ResumeRequest { instance_id: id.clone(), reason: reason.clone() };
    names_the_limit(client.resume_instance(resume).await, over);
    let rewind = wire::RewindInstanceRequest { instance_id: id.clone(), reason };
    names_the_limit(client.rewind_instance(rewind).await, over);
    let signal = |bytes| wire::SignalEntityRequest {
        instance_id: hub.entity("counter", "a"),
        name: "add".into(),
        input: Some(text(bytes)),
        ..Default::default()
    };
    names_the_limit(client.signal_entity(signal(over)).await, over);
    client.signal_entity(signal(PAYLOAD)).await.expect("exactly the limit passes");
    let end = |bytes| wire::TerminateRequest {
        instance_id: id.clone(),
        output: Some(text(bytes)),
        recursive: false,
    };
    names_the_limit(client.terminate_instance(end(over)).await, over);
    client.terminate_instance(end(PAYLOAD)).await.expect("exactly the limit passes");
    let ended = hub.ended(&id).await;
    assert_eq!(ended.orchestration_status(), Is::Terminated);
    assert_eq!(ended.output.map(|output| output.len()), Some(PAYLOAD));
}

async fn a_clients_message_above_four_mebibytes_is_refused_with_resource_exhausted(hub: Hub) {
    let request = wire::CreateInstanceRequest {
        instance_id: hub.id("a"),
        name: "Any".into(),
        input: Some(text(MESSAGE)),
        ..Default::default()
    };
    let refused = hub.start_with(request).await.expect_err("it is too large");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert!(refused.message().contains(&MESSAGE.to_string()), "{refused:?}");
    assert_eq!(hub.state(&hub.id("a")).await, None);
    // A list is not read either, whatever is in it.
    let batch = wire::InstanceBatch { instance_ids: vec!["no-such-instance".into(); 300_000] };
    let purge = wire::PurgeInstancesRequest {
        request: Some(wire::purge_instances_request::Request::InstanceBatch(batch)),
        ..Default::default()
    };
    let refused = hub.client().purge_instances(purge).await.expect_err("it is too large");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
}

async fn a_payload_above_one_mebibyte_in_a_completion_fails_its_instance_or_activity_and_the_call_is_answered_ok(
    hub: Hub,
) {
    let mut worker = hub.worker().await;
    // An orchestration that says too much.
    let said: [fn(&Turn) -> wire::OrchestratorResponse; 3] = [
        |turn| turn.answer(vec![complete(1, &text(PAYLOAD + 1))]),
        |turn| turn.answer(vec![call(1, "Never", &text(PAYLOAD + 1))]),
        |turn| wire::OrchestratorResponse {
            custom_status: Some(text(PAYLOAD + 1)),
            ..turn.answer(vec![call(1, "Never", "1")])
        },
    ];
    for (at, said) in said.into_iter().enumerate() {
        let id = hub.start(&format!("a{at}"), "Any").await;
        let turn = worker.turn_of(&id).await;
        turn.send(said(&turn)).await.expect("a completion is refused for its token alone");
        let ended = hub.ended(&id).await;
        assert_eq!(ended.orchestration_status(), Is::Failed);
        fails_by_name(ended.failure_details.as_ref(), "PayloadTooLarge", PAYLOAD);
    }
    // One whose activity does: it hears of a failure, and may say as much as is allowed.
    let id = hub.start("b", "Any").await;
    worker.turn_of(&id).await.act([call(1, "Large", "1"), call(2, "Small", &text(PAYLOAD))]).await;
    for _ in 0..2 {
        let activity = worker.activity().await;
        let bytes = if activity.request.name == "Large" { PAYLOAD + 1 } else { PAYLOAD };
        activity.finish(&text(bytes)).await;
    }
    let mut failed = None;
    let mut completed = None;
    while failed.is_none() || completed.is_none() {
        let turn = worker.turn_of(&id).await;
        for event in turn.news() {
            match event {
                wire::history_event::EventType::TaskFailed(task) => failed = task.failure_details,
                wire::history_event::EventType::TaskCompleted(task) => completed = task.result,
                _ => {}
            }
        }
        let last = failed.is_some() && completed.is_some();
        turn.act(if last { vec![complete(3, &text(PAYLOAD))] } else { Vec::new() }).await;
    }
    fails_by_name(failed.as_ref(), "PayloadTooLarge", PAYLOAD);
    assert_eq!(completed.map(|result| result.len()), Some(PAYLOAD));
    let output = hub.ended(&id).await.output;
    assert_eq!(output.map(|output| output.len()), Some(PAYLOAD));
}

async fn a_state_above_one_mebibyte_fails_the_operation_that_made_it_and_no_other(hub: Hub) {
    let mut worker = hub.worker().await;
    let (entity, id) = (hub.entity("page", "a"), hub.start("a", "Any").await);
    // Whatever else is in its batch: three signals, of which the second makes too much.
    let first = worker.turn_of(&id).await;
    first
        .act([
            signal(1, &entity, "write", "one"),
            signal(2, &entity, "overflow", "two"),
            signal(3, &entity, "write", "three"),
            complete(4, "done"),
        ])
        .await;
    hub.ended(&id).await;
    let mut state: Option<String> = None;
    let mut ran = Vec::new();
    while ran.last().is_none_or(|last| last != "three") {
        let batch = worker.batch().await;
        let inputs: Vec<String> = batch.inputs();
        if batch.operations().iter().any(|operation| operation == "overflow") {
            batch.send(batch.answer(Some(&text(PAYLOAD + 1)))).await.expect("it is taken");
            continue;
        }
        state =
            Some(format!("{}{}", batch.request.entity_state.clone().unwrap_or_default(), inputs.join("")));
        batch.finish(state.as_deref()).await;
        ran.extend(inputs);
    }
    assert_eq!(ran, ["one", "three"]);
    assert_eq!(hub.entity_state(&entity).await.and_then(|entity| entity.serialized_state), state);
    assert!(worker.is_idle().await, "the operation that made too much does not come again");
}

/// Completions that their senders did not split: the message is more than the scheduler takes.
async fn completions_of(hub: &Hub, bytes: usize) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let turn = worker.turn_of(&id).await;
    // Many actions, each of which is small enough.
    let part = PAYLOAD - 1_000;
    let count = i32::try_from(bytes.div_ceil(part)).expect("a few");
    let answer = turn.answer((1..=count).map(|number| call(number, "Never", &text(part))).collect());
    turn.send(answer).await.expect("a completion is refused for its token alone");
    let ended = hub.ended(&id).await;
    assert_eq!(ended.orchestration_status(), Is::Failed);
    fails_by_name(ended.failure_details.as_ref(), "MessageTooLarge", MESSAGE);

    let id = hub.start("b", "Any").await;
    worker.turn_of(&id).await.act([call(1, "Large", "1")]).await;
    worker.activity().await.finish(&text(bytes)).await;
    let turn = worker.turn_of(&id).await;
    let failed = turn.news().into_iter().find_map(|event| match event {
        wire::history_event::EventType::TaskFailed(task) => task.failure_details,
        _ => None,
    });
    fails_by_name(failed.as_ref(), "MessageTooLarge", MESSAGE);
    let entity = hub.entity("page", "a");
    turn.act([super::builders::ask(2, &entity, "overflow", super::builders::REQUEST)]).await;
    let batch = worker.batch().await;
    batch.send(batch.answer(Some(&text(bytes)))).await.expect("it is taken");
    let turn = worker.turn_of(&id).await;
    let failed = turn.news().into_iter().find_map(|event| match event {
        wire::history_event::EventType::EntityOperationFailed(failed) => failed.failure_details,
        _ => None,
    });
    fails_by_name(failed.as_ref(), "MessageTooLarge", MESSAGE);
    turn.finish("done").await;
    hub.ended(&id).await;
    assert_eq!(hub.entity_state(&entity).await, None);
    assert!(worker.is_idle().await, "nothing of it comes again");
}

async fn a_completion_above_four_mebibytes_fails_its_work_item_and_the_call_is_answered_ok(hub: Hub) {
    completions_of(&hub, MESSAGE + 1).await;
}

async fn a_completion_of_seventy_megabytes_is_treated_like_one_of_five(hub: Hub) {
    completions_of(&hub, 70_000_000).await;
}

async fn a_completion_that_is_too_large_and_whose_token_is_unknown_is_refused_with_not_found(hub: Hub) {
    let answer = wire::ActivityResponse {
        instance_id: hub.id("a"),
        result: Some(text(MESSAGE + 1)),
        completion_token: "none".into(),
        ..Default::default()
    };
    let refused =
        hub.client().complete_activity_task(answer).await.expect_err("the hub never gave that token out");
    assert_eq!(refused.code(), Code::NotFound, "{refused:?}");
}

async fn tags_and_names_are_bounded_and_an_action_of_a_worker_that_exceeds_the_bound_fails(hub: Hub) {
    let tags = |count: usize, key: usize, value: usize| {
        (0..count).map(|number| (format!("{number:0key$}"), text(value))).collect()
    };
    let start = |tags| wire::CreateInstanceRequest {
        instance_id: hub.id("a"),
        name: "Any".into(),
        tags,
        ..Default::default()
    };
    for tags in [tags(1_001, 4, 1), tags(1, 1_025, 1), tags(1, 1, 65_537), tags(5, 1, 65_536)] {
        let refused = hub.start_with(start(tags)).await.expect_err("too many tags");
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        assert!(refused.message().contains("tag"), "{refused:?}");
    }
    let named = wire::CreateInstanceRequest { name: text(1_025), ..start(tags(0, 1, 1)) };
    let refused = hub.start_with(named).await.expect_err("too long a name");
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    let id = hub.start_with(start(tags(1_000, 200, 50))).await.expect("that many are taken");

    let mut worker = hub.worker().await;
    let many =
        wire::ScheduleTaskAction { name: "Never".into(), tags: tags(1_001, 4, 1), ..Default::default() };
    worker.turn_of(&id).await.act([super::builders::call_with(1, many)]).await;
    let ended = hub.ended(&id).await;
    assert_eq!(ended.failure_details.map(|failure| failure.error_type).as_deref(), Some("TooManyTags"));
    assert_eq!(ended.tags.len(), 1_000);
}
