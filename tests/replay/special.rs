//! Rewinds, refuses versions, asks for history, splits answers, and registers what must not be registered.

use super::story::{EXECUTION, Story, broke, completed, failed, fired, request, started};
use std::time::Duration;
use taskhub::model::event;
use taskhub::sdk::*;
use taskhub::wire::orchestrator_action::OrchestratorActionType as Action;
use taskhub::wire::{self, HistoryEvent, OrchestratorAction, OrchestratorResponse, history_event::EventType};

async fn step(i: u32) -> Result<u32, Failure> {
    Ok(i)
}

async fn both(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
    let (a, b) = (ctx.call(step, 1), ctx.call(step, 2));
    let (a, b) = futures::join!(a, b);
    Ok(a? + b?)
}

fn with<F: Orchestrator<M>, M>(orchestrator: F) -> Registry {
    Registry::new().orchestration(orchestrator).activity(step)
}

/// Asks for a rewind of a story that has failed.
fn rewind(registry: &Registry, story: &Story) -> TurnOutcome {
    let rewound = wire::ExecutionRewoundEvent { reason: Some("again".into()), ..Default::default() };
    let new = vec![event::orchestrator_started(story.now), event::execution_rewound(story.now, rewound)];
    run_turn(registry, request(story.history.clone(), new, 0), None)
}

fn new_history(outcome: TurnOutcome) -> Vec<HistoryEvent> {
    assert_eq!(outcome.response.actions[0].id, -1);
    match outcome.response.actions.into_iter().next().unwrap().orchestrator_action_type {
        Some(Action::RewindOrchestration(rewind)) => rewind.new_history,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_rewind_forgets_what_failed_and_runs_nothing_else_again() {
    let mut story = Story::begins(with(both), "both", "null");
    story.turn(vec![completed(2, "2"), failed(1, broke("down"))]);
    assert_eq!(story.failure().error_message, "down");
    let history = new_history(rewind(&with(both), &story));
    let kinds: Vec<_> =
        history.iter().map(|e| taskhub::model::Kind::of(e.event_type.as_ref().unwrap()).as_str()).collect();
    assert_eq!(
        kinds,
        [
            "OrchestratorStarted",
            "ExecutionStarted",
            "TaskScheduled",
            "OrchestratorStarted",
            "TaskCompleted",
            "OrchestratorStarted",
            "ExecutionRewound"
        ]
    );
    let Some(EventType::ExecutionStarted(begun)) = &history[1].event_type else { panic!() };
    let execution = begun.orchestration_instance.as_ref().unwrap().execution_id.clone().unwrap();
    assert_eq!(execution.len(), 32);
    assert_ne!(execution, EXECUTION);

    // The turn after the rewrite schedules the failed activity again, and that one alone.
    let mut next = request(history, vec![event::orchestrator_started(story.now)], 0);
    next.execution_id = Some(execution);
    let outcome = run_turn(&with(both), next, None);
    let actions: Vec<_> = outcome.response.actions.iter().map(|action| action.id).collect();
    assert_eq!(actions, [1]);
}

#[test]
fn a_rewind_is_refused_when_the_code_has_handled_the_failure() {
    async fn compensates(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
        if let Err(error) = ctx.call(step, 1).await {
            ctx.call(step, 2).await?;
            return Err(error.into());
        }
        Ok(0)
    }
    let mut story = Story::begins(with(compensates), "compensates", "null");
    story.turn(vec![failed(1, broke("down"))]);
    story.turn(vec![completed(2, "2")]);
    assert_eq!(story.failure().error_message, "down");
    let outcome = rewind(&with(compensates), &story);
    let fault = outcome.fault.unwrap();
    assert_eq!(fault.error_type, "RewindRefused");
    assert!(fault.message.contains("has gone on after a failure"), "{fault}");
    assert!(matches!(
        outcome.response.actions[0].orchestrator_action_type,
        Some(Action::CompleteOrchestration(_))
    ));
}

#[test]
fn a_rewind_of_a_retried_call_is_refused() {
    async fn retries(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
        let policy = RetryPolicy::attempts(2).first_interval(Duration::from_secs(1));
        Ok(ctx.activity(step).retry(policy).call(1).await?)
    }
    let mut story = Story::begins(with(retries), "retries", "null");
    story.turn(vec![failed(1, broke("down"))]);
    story.later(1).turn(vec![fired(2)]);
    story.turn(vec![failed(3, broke("down"))]);
    assert_eq!(rewind(&with(retries), &story).fault.unwrap().error_type, "RewindRefused");
}

#[test]
fn a_rewound_child_learns_its_parents_new_execution() {
    let mut begun = started("both", "null");
    begun.parent_instance = Some(wire::ParentInstanceInfo {
        orchestration_instance: Some(wire::OrchestrationInstance {
            instance_id: "mother".into(),
            execution_id: Some("old".into()),
        }),
        ..Default::default()
    });
    let mut story = Story::begins_with(with(both), begun, vec![]);
    story.turn(vec![completed(2, "2"), failed(1, broke("down"))]);
    let rewound =
        wire::ExecutionRewoundEvent { parent_execution_id: Some("new".into()), ..Default::default() };
    let new = vec![event::orchestrator_started(story.now), event::execution_rewound(story.now, rewound)];
    let history = new_history(run_turn(&with(both), request(story.history.clone(), new, 0), None));
    let Some(EventType::ExecutionStarted(begun)) = &history[1].event_type else { panic!() };
    let parent = begun.parent_instance.as_ref().unwrap().orchestration_instance.as_ref().unwrap();
    assert_eq!(parent.execution_id.as_deref(), Some("new"));
}

fn versioned(version: Option<&str>) -> Vec<HistoryEvent> {
    let mut begun = started("both", "null");
    begun.version = version.map(Into::into);
    let now = taskhub::model::Timestamp::EPOCH;
    vec![event::orchestrator_started(now), event::execution_started(now, begun)]
}

#[test]
fn a_version_that_is_not_run_is_given_back_or_failed() {
    let rejects = with(both).versioning(Versioning::strict("1.0"));
    let outcome = run_turn(&rejects, request(vec![], versioned(Some("1.1")), 0), None);
    assert!(outcome.abandon);
    assert!(outcome.response.actions.is_empty());
    let fails = with(both).versioning(Versioning::current_or_older("1.0").on_mismatch(Mismatch::Fail));
    let outcome = run_turn(&fails, request(vec![], versioned(Some("1.1")), 0), None);
    assert!(!outcome.abandon);
    assert_eq!(outcome.fault.unwrap().error_type, "VersionMismatch");
    let outcome = run_turn(&fails, request(vec![], versioned(Some("0.9")), 0), None);
    assert_eq!(outcome.response.actions.len(), 2);
}

#[test]
fn a_version_has_a_function_of_its_own_or_else_the_one_for_all() {
    async fn old(_: OrchestrationContext, (): ()) -> Result<u32, Failure> {
        Ok(1)
    }
    async fn new(_: OrchestrationContext, (): ()) -> Result<u32, Failure> {
        Ok(2)
    }
    let registry =
        Registry::new().orchestration_named("both", None, old).orchestration_named("both", Some("2.0"), new);
    let result = |version| {
        let outcome = run_turn(&registry, request(vec![], versioned(version), 0), None);
        match outcome.response.actions[0].orchestrator_action_type.as_ref().unwrap() {
            Action::CompleteOrchestration(end) => end.result.clone().unwrap(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        (result(None), result(Some("1.0")), result(Some("2.0"))),
        ("1".into(), "1".into(), "2".into())
    );
    let only_new = Registry::new().orchestration_named("both", Some("2.0"), new);
    let outcome = run_turn(&only_new, request(vec![], versioned(None), 0), None);
    assert_eq!(outcome.fault.unwrap().error_type, "OrchestratorTaskNotFound");
}

#[test]
fn history_is_asked_for_when_it_is_left_out_and_not_kept() {
    let story = Story::begins(with(both), "both", "null");
    let new = || {
        vec![event::orchestrator_started(story.now), event::task_completed(story.now, 1, Some("1".into()))]
    };
    let outcome = run_turn(&with(both), request(vec![], new(), story.history.len()), None);
    assert!(outcome.response.requires_history);
    assert!(outcome.response.actions.is_empty() && outcome.cached.is_none());

    let kept = || {
        let first = story.history[..2].to_vec();
        run_turn(&with(both), request(vec![], first, 0), None).cached
    };
    let outcome = run_turn(&with(both), request(vec![], new(), story.history.len()), kept());
    assert!(!outcome.response.requires_history && outcome.cached.is_some());
    let outcome = run_turn(&with(both), request(vec![], new(), story.history.len() + 1), kept());
    assert!(outcome.response.requires_history, "another worker has run a turn in between");
    let mut other = request(vec![], new(), story.history.len());
    other.execution_id = Some("another".into());
    assert!(run_turn(&with(both), other, kept()).response.requires_history);
}

#[test]
fn a_kept_execution_is_not_used_when_history_went_on_without_it() {
    let story = Story::begins(with(both), "both", "null");
    let first = story.history[..2].to_vec();
    let kept = run_turn(&with(both), request(vec![], first, 0), None).cached;
    // Meanwhile another worker has seen the first task complete.
    let mut past = story.history.clone();
    past.extend([
        event::orchestrator_started(story.now),
        event::task_completed(story.now, 1, Some("1".into())),
    ]);
    let new =
        vec![event::orchestrator_started(story.now), event::task_completed(story.now, 2, Some("2".into()))];
    let outcome = run_turn(&with(both), request(past, new, 0), kept);
    assert_eq!(outcome.applied, 8, "all of history was replayed");
    assert_eq!(outcome.response.actions.len(), 1);
}

#[test]
fn a_large_answer_is_split_so_that_every_part_fits() {
    let action = |id, size| OrchestratorAction {
        id,
        orchestrator_action_type: Some(Action::ScheduleTask(wire::ScheduleTaskAction {
            name: "step".into(),
            input: Some("x".repeat(size)),
            ..Default::default()
        })),
    };
    let response = OrchestratorResponse {
        instance_id: "i".into(),
        actions: (1..=10).map(|id| action(id, 1_000)).collect(),
        custom_status: Some("\"busy\"".into()),
        completion_token: "token".into(),
        ..Default::default()
    };
    assert_eq!(split_response(response.clone(), 1 << 20), std::slice::from_ref(&response));
    let parts = split_response(response.clone(), 4_000);
    assert!(parts.len() > 2);
    for (index, part) in parts.iter().enumerate() {
        assert!(prost::Message::encoded_len(part) <= 4_000);
        #[expect(deprecated, reason = "the scheduler still takes answers in parts")]
        let (partial, chunk) = (part.is_partial, part.chunk_index);
        assert_eq!((partial, chunk), (index + 1 < parts.len(), i32::try_from(index).ok()));
        assert_eq!(part.completion_token, "token");
    }
    let ids: Vec<_> = parts.iter().flat_map(|part| &part.actions).map(|action| action.id).collect();
    assert_eq!(ids, (1..=10).collect::<Vec<_>>());
    assert_eq!(parts.last().unwrap().custom_status, response.custom_status);

    let huge = OrchestratorResponse { actions: vec![action(1, 10), action(2, 9_000)], ..response };
    let parts = split_response(huge, 4_000);
    assert_eq!(parts.len(), 1);
    let Some(Action::CompleteOrchestration(end)) = &parts[0].actions[0].orchestrator_action_type else {
        panic!()
    };
    assert_eq!(end.failure_details.as_ref().unwrap().error_type, "OrchestratorResponseTooLarge");
}

#[test]
fn what_must_not_be_registered_is_told_all_at_once() {
    mod other {
        use super::*;
        pub(super) async fn step(i: u32) -> Result<u32, Failure> {
            Ok(i)
        }
    }
    let registry = Registry::new()
        .activity(step)
        .activity(other::step)
        .activity(|i: u32| Ok::<u32, Failure>(i))
        .activity_named("closure", None, |i: u32| Ok::<u32, Failure>(i));
    let InvalidRegistry(problems) = registry.check().unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].to_string().contains("\"step\" is registered twice"), "{}", problems[0]);
    assert!(problems[0].to_string().contains("other::step"), "{}", problems[0]);
    assert!(problems[1].to_string().contains("has no name of its own"), "{}", problems[1]);
}

#[test]
fn filters_list_what_is_registered_with_its_versions() {
    let registry = Registry::new()
        .orchestration(both)
        .orchestration_named("both", Some("2.0"), both)
        .activity_named("only_new", Some("2.0"), step)
        .activity(step);
    let filters = registry.filters();
    assert_eq!(filters.orchestrations[0].versions, Vec::<String>::new());
    let activities: Vec<_> =
        filters.activities.iter().map(|filter| (filter.name.as_str(), filter.versions.len())).collect();
    assert_eq!(activities, [("only_new", 1), ("step", 0)]);
    let strict = registry.versioning(Versioning::strict("2.0")).filters();
    assert_eq!(strict.orchestrations[0].versions, ["2.0"]);
}

struct Prices(u64);

impl Prices {
    async fn of(self: std::sync::Arc<Self>, context: ActivityContext, item: u64) -> Result<u64, Failure> {
        Ok(self.0 + item + u64::from(context.attempt()))
    }

    fn plain(self: std::sync::Arc<Self>, item: u64) -> Result<u64, Failure> {
        Ok(self.0 + item)
    }
}

#[test]
fn every_shape_of_activity_is_run() {
    fn with_context(context: ActivityContext, item: u64) -> Result<u64, Failure> {
        Ok(item + u64::from(context.attempt()))
    }
    async fn with_context_later(context: ActivityContext, item: u64) -> Result<u64, Failure> {
        with_context(context, item)
    }
    fn panics(_: u64) -> Result<u64, Failure> {
        panic!("out of luck")
    }
    let prices = std::sync::Arc::new(Prices(100));
    let registry = Registry::new()
        .activity(with_context)
        .activity(with_context_later)
        .activity_on(prices.clone(), Prices::of)
        .activity_on(prices, Prices::plain)
        .blocking_activity(panics);
    let run = |name: &str| {
        let (context, _) = ActivityContext::of(wire::ActivityRequest::default(), Cancellation::new());
        let runner = registry.activity_runner(name, None).unwrap();
        assert_eq!(runner.is_blocking(), name == "panics");
        futures::executor::block_on(runner.run(context, Some("7".into())))
    };
    assert_eq!(run("with_context"), Ok(Some("8".into())));
    assert_eq!(run("with_context_later"), Ok(Some("8".into())));
    assert_eq!(run("of"), Ok(Some("108".into())));
    assert_eq!(run("plain"), Ok(Some("107".into())));
    assert_eq!(run("panics").unwrap_err().error_message, "the activity panicked: out of luck");
}

#[test]
fn a_call_can_have_a_version_tags_and_another_name() {
    async fn dresses(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
        Ok(ctx.activity(step).version("2").tag("team", "pricing").name("other").call(1).await?)
    }
    let story = Story::begins(with(dresses), "dresses", "null");
    let Action::ScheduleTask(task) = &story.actions[0].1 else { panic!() };
    assert_eq!(
        (task.name.as_str(), task.version.as_deref(), task.tags["team"].as_str()),
        ("other", Some("2"), "pricing")
    );
}
