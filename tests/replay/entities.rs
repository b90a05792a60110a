//! Calls, signals and locks entities, and runs batches of their operations.

use super::story::{Story, broke, raised};
use std::time::Duration;
use taskhub::model::{Timestamp, event};
use taskhub::sdk::*;
use taskhub::wire::operation_action::OperationActionType;
use taskhub::wire::operation_result::ResultType;
use taskhub::wire::orchestrator_action::OrchestratorActionType as Action;
use taskhub::wire::send_entity_message_action::EntityMessageType as Message;
use taskhub::wire::{self, HistoryEvent, history_event::EventType};

#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Counter {
    n: i64,
}

impl Entity for Counter {
    const NAME: &'static str = "Counter";
}

async fn report(_: OrchestrationContext, n: i64) -> Result<i64, Failure> {
    Ok(n)
}

impl Counter {
    fn add(&mut self, by: i64) -> Result<i64, Failure> {
        self.n += by;
        Ok(self.n)
    }

    fn spend(&mut self, context: &mut EntityContext, by: i64) -> Result<i64, Failure> {
        context.signal(&Counter::at("spent"), Counter::add, by);
        context.start(report, by);
        self.n -= by;
        if self.n < 0 {
            return Err(Failure::permanent("not enough"));
        }
        Ok(self.n)
    }

    fn explode(&mut self, (): ()) -> Result<(), Failure> {
        self.n = -1;
        panic!("out of luck")
    }

    fn forget(&mut self, context: &mut EntityContext, (): ()) -> Result<(), Failure> {
        context.delete_state();
        Ok(())
    }
}

fn counter() -> EntityDef<Counter> {
    EntityDef::<Counter>::new().op(Counter::add).op(Counter::spend).op(Counter::explode).op(Counter::forget)
}

fn with<F: Orchestrator<M>, M>(orchestrator: F) -> Registry {
    Registry::new().orchestration(orchestrator).entity(counter())
}

/// The request ids of what the last turn asked of entities.
fn asked(story: &Story) -> Vec<String> {
    let ids = story.actions.iter().filter_map(|(_, action)| match action {
        Action::SendEntityMessage(message) => match message.entity_message_type.as_ref().unwrap() {
            Message::EntityOperationCalled(call) => Some(call.request_id.clone()),
            Message::EntityLockRequested(lock) => Some(lock.critical_section_id.clone()),
            Message::EntityOperationSignaled(_) | Message::EntityUnlockSent(_) => None,
        },
        _ => None,
    });
    ids.collect()
}

fn answered(request_id: &str, output: &str) -> EventType {
    EventType::EntityOperationCompleted(wire::EntityOperationCompletedEvent {
        request_id: request_id.into(),
        output: Some(output.into()),
    })
}

fn granted(section: &str) -> EventType {
    EventType::EntityLockGranted(wire::EntityLockGrantedEvent { critical_section_id: section.into() })
}

#[test]
fn an_operation_is_called_by_its_function_and_answers_with_its_type() {
    async fn calls(ctx: OrchestrationContext, (): ()) -> Result<i64, Failure> {
        let cart = Counter::at("cart-7");
        ctx.signal_entity(&cart, Counter::add, 1).at(Timestamp::EPOCH + Duration::from_secs(9));
        Ok(ctx.call_entity(&cart, Counter::add, 3).await?)
    }
    let mut story = Story::begins(with(calls), "calls", "null");
    assert_eq!(story.wants(), ["1 signal add", "2 call add"]);
    let Action::SendEntityMessage(signal) = &story.actions[0].1 else { panic!() };
    let Some(Message::EntityOperationSignaled(signal)) = &signal.entity_message_type else { panic!() };
    assert_eq!(signal.scheduled_time.unwrap().seconds, 9);
    assert_eq!(signal.target_instance_id.as_deref(), Some("@counter@cart-7"));
    let id = asked(&story).remove(0);
    assert_eq!(story.turn(vec![answered(&id.to_uppercase(), "4")]).result(), "4");
}

#[test]
fn a_failed_operation_fails_the_call_of_it() {
    async fn calls(ctx: OrchestrationContext, (): ()) -> Result<i64, Failure> {
        Ok(ctx.call_entity(&Counter::at("a"), Counter::add, 3).await?)
    }
    let mut story = Story::begins(with(calls), "calls", "null");
    let id = asked(&story).remove(0);
    let failed = wire::EntityOperationFailedEvent { request_id: id, failure_details: Some(broke("no")) };
    assert_eq!(story.turn(vec![EventType::EntityOperationFailed(failed)]).failure().error_message, "no");
}

async fn transfers(ctx: OrchestrationContext, (): ()) -> Result<(i64, Vec<String>), Failure> {
    let (a, b, c) = (Counter::at("a"), Counter::at("b"), Counter::at("c"));
    let mut refused = vec![];
    let n = {
        let _lock = ctx.lock([&b, &a, &b]).await?;
        let first = ctx.call_entity(&a, Counter::add, 1);
        for error in [
            ctx.call_entity(&a, Counter::add, 1).await.unwrap_err(),
            ctx.call_entity(&c, Counter::add, 1).await.unwrap_err(),
        ] {
            refused.push(error.to_string());
        }
        refused.push(ctx.orchestration(report).call(1).await.unwrap_err().to_string());
        refused.push(ctx.lock([&c]).await.unwrap_err().to_string());
        first.await?
    };
    Ok((n + ctx.call_entity(&c, Counter::add, 2).await?, refused))
}

#[test]
fn a_lock_is_held_until_its_guard_is_dropped_and_meanwhile_only_locked_entities_are_called() {
    let mut story = Story::begins(with(transfers).orchestration(report), "transfers", "null");
    assert_eq!(story.wants(), ["1 lock @counter@a @counter@b"]);
    let section = asked(&story).remove(0);
    assert_eq!(story.turn(vec![granted(&section)]).wants(), ["2 call add"]);
    let call = asked(&story).remove(0);
    story.turn(vec![answered(&call, "1")]);
    assert_eq!(story.wants(), ["3 unlock @counter@a", "4 unlock @counter@b", "5 call add"]);
    let call = asked(&story).remove(0);
    let (n, refused): (i64, Vec<String>) =
        serde_json::from_str(story.turn(vec![answered(&call, "2")]).result()).unwrap();
    assert_eq!(n, 3);
    assert!(refused[0].contains("@counter@a is already being called"), "{refused:?}");
    assert!(refused[1].contains("@counter@c is not locked"), "{refused:?}");
    assert!(refused[2].contains("cannot be started while entities are locked"), "{refused:?}");
    assert!(refused[3].contains("entities are locked already"), "{refused:?}");
}

#[test]
fn a_lock_that_nobody_waits_for_any_more_is_released_when_it_is_granted() {
    async fn gives_up(ctx: OrchestrationContext, (): ()) -> Result<(), Failure> {
        let a = Counter::at("a");
        let stop = ctx.event(EventKey::<()>::new("Stop"));
        let lock = ctx.lock([&a]);
        futures::future::select(stop, lock).await;
        ctx.event(EventKey::new("End")).await.map_err(Into::into)
    }
    let mut story = Story::begins(with(gives_up), "gives_up", "null");
    let section = asked(&story).remove(0);
    assert!(story.turn(vec![raised("Stop", "null")]).actions.is_empty());
    assert_eq!(story.turn(vec![granted(&section)]).wants(), ["2 unlock @counter@a"]);
}

#[test]
fn a_failure_inside_a_critical_section_unlocks() {
    async fn fails(ctx: OrchestrationContext, panics: bool) -> Result<(), Failure> {
        let _lock = ctx.lock([&Counter::at("a")]).await?;
        assert!(!panics, "out of luck");
        Err(Failure::new("no"))
    }
    for panics in ["false", "true"] {
        let mut story = Story::begins(with(fails), "fails", panics);
        let section = asked(&story).remove(0);
        assert_eq!(story.turn(vec![granted(&section)]).wants(), ["2 unlock @counter@a", "3 FAILED"]);
    }
}

#[test]
fn an_operation_of_another_kind_of_entity_is_refused() {
    async fn wrong(ctx: OrchestrationContext, (): ()) -> Result<i64, Failure> {
        Ok(ctx.call_entity(&EntityId::new("account", "a"), Counter::add, 1).await?)
    }
    let story = Story::begins(with(wrong), "wrong", "null");
    assert!(story.failure().error_message.contains("@account@a is no \"Counter\""), "{:?}", story.failure());
}

fn batch(state: Option<&str>, operations: &[(&str, &str)]) -> wire::EntityRequest {
    let calls = operations.iter().enumerate().map(|(i, (operation, input))| {
        let call = wire::EntityOperationCalledEvent {
            request_id: format!("r{i}"),
            operation: (*operation).into(),
            input: Some((*input).into()),
            parent_instance_id: Some("caller".into()),
            ..Default::default()
        };
        event::new(-1, Timestamp::EPOCH, EventType::EntityOperationCalled(call))
    });
    wire::EntityRequest {
        instance_id: "@counter@a".into(),
        entity_state: state.map(Into::into),
        operation_requests: calls.collect::<Vec<HistoryEvent>>(),
        ..Default::default()
    }
}

fn outcomes(result: &wire::EntityBatchResult) -> Vec<String> {
    let words = result.results.iter().map(|result| match result.result_type.as_ref().unwrap() {
        ResultType::Success(success) => success.result.clone().unwrap_or_default(),
        ResultType::Failure(failure) => failure.failure_details.as_ref().unwrap().error_message.clone(),
    });
    words.collect()
}

#[test]
fn a_failed_operation_leaves_nothing_behind_and_the_others_stand() {
    let registry = Registry::new().entity(counter());
    let operations =
        [("Add", "5"), ("spend", "9"), ("spend", "2"), ("explode", "null"), ("nope", "null"), ("add", "1")];
    let result = run_entity_batch(&registry, batch(None, &operations));
    assert_eq!(
        outcomes(&result),
        [
            "5",
            "not enough",
            "3",
            "the operation panicked: out of luck",
            "@counter@a has no operation \"nope\"",
            "4"
        ]
    );
    assert_eq!(result.entity_state.as_deref(), Some(r#"{"n":4}"#));
    let actions = result.actions.iter().map(|action| match action.operation_action_type.as_ref().unwrap() {
        OperationActionType::SendSignal(signal) => {
            format!("{} {} {}", action.id, signal.instance_id, signal.name)
        }
        OperationActionType::StartNewOrchestration(start) => format!("{} start {}", action.id, start.name),
    });
    assert_eq!(actions.collect::<Vec<_>>(), ["0 @counter@spent add", "1 start report"]);
    assert_eq!(result.operation_infos[1].request_id, "r1");
    assert_eq!(result.operation_infos[1].response_destination.as_ref().unwrap().instance_id, "caller");
}

#[test]
fn a_state_is_deleted_by_the_operation_or_by_delete_and_begins_anew() {
    let registry = Registry::new().entity(counter());
    for delete in ["forget", "delete"] {
        let result =
            run_entity_batch(&registry, batch(Some(r#"{"n":7}"#), &[("add", "1"), (delete, "null")]));
        assert_eq!(result.entity_state, None);
        let result =
            run_entity_batch(&registry, batch(Some(r#"{"n":7}"#), &[(delete, "null"), ("add", "1")]));
        assert_eq!(result.entity_state.as_deref(), Some(r#"{"n":1}"#));
    }
}

#[test]
fn an_entity_may_be_one_function() {
    let log = EntityDef::function("Log", |state, context, input| {
        if context.operation() == "fail" {
            return Err(Failure::new("no"));
        }
        let mut lines = state.as_array().cloned().unwrap_or_default();
        lines.push(input);
        *state = lines.into();
        Ok(state.clone())
    });
    let registry = Registry::new().entity(log);
    let request = wire::EntityRequest {
        instance_id: "@log@a".into(),
        ..batch(None, &[("write", "1"), ("fail", "2"), ("write", "3")])
    };
    let result = run_entity_batch(&registry, request);
    assert_eq!(outcomes(&result), ["[1]", "no", "[1,3]"]);
    assert_eq!(result.entity_state.as_deref(), Some("[1,3]"));
}

#[test]
fn every_operation_of_an_unknown_entity_fails_for_good() {
    let result = run_entity_batch(&Registry::new(), batch(Some("1"), &[("add", "1"), ("add", "2")]));
    let failures = result.results.iter().map(|result| match result.result_type.as_ref().unwrap() {
        ResultType::Failure(failure) => failure.failure_details.as_ref().unwrap(),
        ResultType::Success(success) => panic!("{success:?}"),
    });
    for failure in failures {
        assert_eq!(failure.error_type, "EntityTaskNotFound");
        assert!(failure.is_non_retriable);
    }
    assert_eq!(result.entity_state.as_deref(), Some("1"), "the state stays what it was");
}

#[test]
fn an_operation_is_a_function_that_a_test_can_call() {
    let mut counter = Counter::default();
    let mut context = EntityContext::for_test(Counter::at("a"));
    assert_eq!(counter.add(3).unwrap(), 3);
    assert_eq!(counter.spend(&mut context, 4).unwrap_err().to_string(), "not enough");
}
