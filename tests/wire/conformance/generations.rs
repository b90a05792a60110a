//! Tells what continue-as-new keeps and drops, and how the events of an inbox pass from turn to turn (G19, G20).

use super::builders::{again, complete, end_with, raised, send};
use super::fixture::Hub;
use super::turns::inputs;
use super::{Case, case};
use taskhub::wire::{self, OrchestrationStatus as Is};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "G19",
            "Events around continue-as-new arrive once and in order when they are carried over",
            events_around_continue_as_new_arrive_once_and_in_order_when_they_are_carried_over,
        ),
        case(
            "G19",
            "An event that an orchestration sends itself beside continue-as-new reaches the new execution",
            an_event_that_an_orchestration_sends_itself_beside_continue_as_new_reaches_the_new_execution,
        ),
        case(
            "G19",
            "Continue-as-new keeps tags and trace and takes the new version",
            continue_as_new_keeps_tags_and_trace_and_takes_the_new_version,
        ),
        case(
            "G19",
            "An orchestration lives a thousand generations",
            an_orchestration_lives_a_thousand_generations,
        ),
        case(
            "G20",
            "Sixty-four events consumed one a turn make sixty-four turns in order",
            sixty_four_events_consumed_one_a_turn_make_sixty_four_turns_in_order,
        ),
    ]
}

async fn events_around_continue_as_new_arrive_once_and_in_order_when_they_are_carried_over(hub: Hub) {
    let id = hub.start("a", "Any").await;
    hub.raise(&id, "e", "1").await;
    let mut worker = hub.worker().await;
    let turn = worker.turn().await;
    assert_eq!(turn.kinds(), ["OrchestratorStarted", "ExecutionStarted", "EventRaised"]);
    hub.raise(&id, "e", "2").await;
    turn.act([again(1, "next", vec![raised("e", "1")])]).await;
    let next = worker.turn().await;
    assert_eq!(inputs(&next.news()), ["1", "2"]);
    assert!(next.request.past_events.is_empty(), "the old history is gone");
    assert_eq!(next.beginning().input, Some("next".into()));
    next.finish("done").await;
    hub.ended(&id).await;
    assert!(worker.is_idle().await);
}

async fn an_event_that_an_orchestration_sends_itself_beside_continue_as_new_reaches_the_new_execution(
    hub: Hub,
) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let turn = worker.turn().await;
    turn.act([send(1, &id, "e", "kept"), again(2, "next", vec![])]).await;
    let mut seen = Vec::new();
    while seen.is_empty() {
        let next = worker.turn().await;
        assert_ne!(next.execution(), turn.execution());
        seen = inputs(&next.news());
        next.act([]).await;
    }
    assert_eq!(seen, ["kept"]);
    assert!(worker.is_idle().await, "it came once");
    hub.terminate(&id, "end").await;
}

async fn continue_as_new_keeps_tags_and_trace_and_takes_the_new_version(hub: Hub) {
    let mut worker = hub.worker().await;
    let trace = wire::TraceContext {
        trace_parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        trace_state: Some("k=v".into()),
        ..Default::default()
    };
    let id = hub.id("a");
    hub.start_with(wire::CreateInstanceRequest {
        instance_id: id.clone(),
        name: "Any".into(),
        version: Some("1.0".into()),
        tags: [("team".to_owned(), "blue".to_owned())].into(),
        parent_trace_context: Some(trace.clone()),
        ..Default::default()
    })
    .await
    .expect("the instance starts");
    let first = worker.turn().await;
    first
        .act([end_with(
            1,
            wire::CompleteOrchestrationAction {
                orchestration_status: Is::ContinuedAsNew.into(),
                result: Some("2".into()),
                new_version: Some("2.0".into()),
                ..Default::default()
            },
        )])
        .await;
    let second = worker.turn().await;
    let begins = second.beginning();
    assert_eq!(begins.version, Some("2.0".into()));
    assert_eq!(begins.tags.get("team").map(String::as_str), Some("blue"));
    assert_eq!(begins.parent_trace_context, Some(trace));
    assert_ne!(second.execution(), first.execution());
    assert_eq!(hub.status(&id).await, Is::Running, "a new generation is not pending");
    second.finish("done").await;
    assert_eq!(hub.ended(&id).await.version, Some("2.0".into()));
}

async fn an_orchestration_lives_a_thousand_generations(hub: Hub) {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    for generation in 1..=1000 {
        worker.turn().await.act([again(1, &generation.to_string(), vec![])]).await;
    }
    let last = worker.turn().await;
    assert_eq!(last.beginning().input, Some("1000".into()));
    last.finish("done").await;
    assert_eq!(hub.ended(&id).await.output, Some("done".into()));
    assert_eq!(hub.history(&id).await.len(), 3, "one generation's history is kept");
}

async fn sixty_four_events_consumed_one_a_turn_make_sixty_four_turns_in_order(hub: Hub) {
    let id = hub.start("a", "Any").await;
    for number in 0..64 {
        hub.raise(&id, "e", &number.to_string()).await;
    }
    let mut worker = hub.worker().await;
    let first = worker.turn().await;
    // ExecutionStarted counts, so the first turn consumes it alone.
    let one = |turn: &super::worker::Turn, actions| wire::OrchestratorResponse {
        num_events_processed: Some(1),
        ..turn.answer(actions)
    };
    first.send(one(&first, vec![])).await.expect("the answer is taken");
    for number in 0..64 {
        let turn = worker.turn().await;
        assert_eq!(inputs(&turn.news()).len(), 64 - number, "the rest comes again");
        assert_eq!(inputs(&turn.news())[0], number.to_string());
        let actions = if number == 63 { vec![complete(1, "done")] } else { vec![] };
        turn.send(one(&turn, actions)).await.expect("the answer is taken");
    }
    hub.ended(&id).await;
    let history = hub.history(&id).await;
    let facts: Vec<_> = history.into_iter().filter_map(|event| event.event_type).collect();
    assert_eq!(inputs(&facts), (0..64).map(|number| number.to_string()).collect::<Vec<_>>());
}
