//! Feeds what no scheduler would send: it must be answered, and never panic or hang.

use super::story::{request, started};
use proptest::prelude::*;
use std::time::Duration;
use taskhub::model::{Timestamp, event};
use taskhub::sdk::*;
use taskhub::wire::{self, HistoryEvent, history_event::EventType};

#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Cell(u32);

impl Entity for Cell {
    const NAME: &'static str = "cell";
}

impl Cell {
    fn add(&mut self, by: u32) -> Result<u32, Failure> {
        self.0 += by;
        Ok(self.0)
    }
}

async fn work(i: u32) -> Result<u32, Failure> {
    Ok(i)
}

async fn everything(ctx: OrchestrationContext, n: u32) -> Result<u32, Failure> {
    let retry = RetryPolicy::attempts(3).first_interval(Duration::from_secs(1));
    let tasks = [ctx.call(work, 1), ctx.activity(work).retry(retry).call(2)];
    let child = ctx.orchestration(everything).call(n);
    let cell = Cell::at("a");
    ctx.signal_entity(&cell, Cell::add, 1);
    let key = EventKey::<u32>::new("Go");
    if let Either::Second(()) = race(ctx.event(key.clone()), ctx.sleep(Duration::from_secs(5))).await {
        ctx.send_event("other", key.clone(), 1);
    }
    let _lock = ctx.lock([&cell]).await?;
    let called = ctx.call_entity(&cell, Cell::add, 1).await?;
    let sum: u32 = futures::future::join_all(tasks).await.into_iter().flatten().sum();
    drop(child);
    if called > 3 { ctx.continue_as_new(sum).await } else { Ok(sum) }
}

fn text() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        Just(None),
        Just(Some(String::new())),
        (0..9_u32).prop_map(|n| Some(n.to_string())),
        Just(Some("{\"broken".into())),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("work".to_owned()),
        Just("everything".into()),
        Just("Go".into()),
        Just("add".into()),
        ".{0,3}"
    ]
}

fn body() -> impl Strategy<Value = Option<EventType>> {
    let id = || -1..12_i32;
    let failure = || prop_oneof![Just(None), Just(Some(wire::TaskFailureDetails::default()))];
    let arrives = prop_oneof![
        Just(EventType::OrchestratorStarted(wire::OrchestratorStartedEvent {})),
        (name(), text()).prop_map(|(name, input)| {
            let begun = wire::ExecutionStartedEvent { input, ..started(&name, "1") };
            EventType::ExecutionStarted(Box::new(begun))
        }),
        (id(), text()).prop_map(|(task_scheduled_id, result)| {
            EventType::TaskCompleted(wire::TaskCompletedEvent { task_scheduled_id, result })
        }),
        (id(), failure()).prop_map(|(task_scheduled_id, failure_details)| {
            EventType::TaskFailed(wire::TaskFailedEvent { task_scheduled_id, failure_details })
        }),
        (id(), failure()).prop_map(|(task_scheduled_id, failure_details)| {
            EventType::SubOrchestrationInstanceFailed(wire::SubOrchestrationInstanceFailedEvent {
                task_scheduled_id,
                failure_details,
            })
        }),
        id().prop_map(|timer_id| EventType::TimerFired(wire::TimerFiredEvent { timer_id, fire_at: None })),
        (name(), text())
            .prop_map(|(name, input)| EventType::EventRaised(wire::EventRaisedEvent { name, input })),
        text().prop_map(|input| EventType::ExecutionTerminated(wire::ExecutionTerminatedEvent {
            input,
            recurse: false
        })),
        Just(EventType::ExecutionSuspended(wire::ExecutionSuspendedEvent { input: None })),
        Just(EventType::ExecutionResumed(wire::ExecutionResumedEvent { input: None })),
        Just(EventType::ExecutionRewound(Box::default())),
        Just(EventType::ExecutionCompleted(wire::ExecutionCompletedEvent::default())),
        text().prop_map(|id| EventType::EntityLockGranted(wire::EntityLockGrantedEvent {
            critical_section_id: id.unwrap_or_default(),
        })),
    ];
    let scheduled = prop_oneof![
        (name(), text()).prop_map(|(name, input)| EventType::TaskScheduled(wire::TaskScheduledEvent {
            name,
            input,
            ..Default::default()
        })),
        Just(EventType::TimerCreated(wire::TimerCreatedEvent::default())),
        name().prop_map(|name| EventType::SubOrchestrationInstanceCreated(
            wire::SubOrchestrationInstanceCreatedEvent { name, ..Default::default() }
        )),
        Just(EventType::EntityUnlockSent(wire::EntityUnlockSentEvent::default())),
    ];
    prop_oneof![1 => Just(None), 9 => arrives.prop_map(Some), 4 => scheduled.prop_map(Some)]
}

fn events() -> impl Strategy<Value = Vec<HistoryEvent>> {
    let event =
        (-1..12_i32, prop::option::of(-5..5_i64), body()).prop_map(|(event_id, seconds, event_type)| {
            let timestamp = seconds.map(|seconds| prost_types::Timestamp { seconds, nanos: -7 });
            HistoryEvent { event_id, timestamp, event_type }
        });
    prop::collection::vec(event, 0..12)
}

fn registry() -> Registry {
    Registry::new().orchestration(everything).activity(work).entity(EntityDef::<Cell>::new().op(Cell::add))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn any_history_is_answered(
        begins in any::<bool>(),
        past in events(),
        turns in prop::collection::vec((events(), any::<bool>(), 0..20_usize), 1..4),
    ) {
        let registry = registry();
        let mut past = past;
        if begins {
            let now = Timestamp::EPOCH;
            past.insert(0, event::execution_started(now, started("everything", "1")));
        }
        let mut cached = None;
        for (new, keeps, omitted) in turns {
            let before = if omitted > 10 { vec![] } else { past.clone() };
            let omitted = if omitted > 10 { omitted } else { 0 };
            let outcome = run_turn(&registry, request(before, new.clone(), omitted), cached);
            let ends = outcome.response.actions.iter().filter(|action| {
                matches!(
                    action.orchestrator_action_type,
                    Some(wire::orchestrator_action::OrchestratorActionType::CompleteOrchestration(_))
                )
            });
            prop_assert!(ends.count() <= 1);
            past.extend(new);
            cached = outcome.cached.filter(|_| keeps);
        }
    }

    #[test]
    fn any_batch_is_answered(id in ".{0,9}", good in any::<bool>(), state in text(), operations in events()) {
        let instance_id = if good { "@cell@a".to_owned() } else { id };
        let asked = wire::EntityRequest {
            instance_id,
            entity_state: state,
            operation_requests: operations,
            ..Default::default()
        };
        let result = run_entity_batch(&registry(), asked);
        prop_assert_eq!(result.results.len(), result.operation_infos.len());
    }
}

#[test]
fn user_code_that_panics_anywhere_fails_its_own_orchestration() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "dropped");
        }
    }
    async fn drops(ctx: OrchestrationContext, _: u32) -> Result<(), Failure> {
        let _bomb = Bomb;
        ctx.continue_as_new(1).await
    }
    async fn holds(ctx: OrchestrationContext, _: u32) -> Result<(), Failure> {
        let _bomb = Bomb;
        ctx.event(EventKey::<()>::new("Go")).await?;
        Ok(())
    }
    async fn judges(ctx: OrchestrationContext, _: u32) -> Result<u32, Failure> {
        let policy = RetryPolicy::attempts(2).when(|failure| panic!("not {}", failure.message));
        Ok(ctx.activity(work).retry(policy).call(1).await?)
    }
    let registry =
        Registry::new().orchestration(drops).orchestration(holds).orchestration(judges).activity(work);
    let now = Timestamp::EPOCH;
    let first =
        |name| vec![event::orchestrator_started(now), event::execution_started(now, started(name, "1"))];
    let fault = |new| run_turn(&registry, request(vec![], new, 0), None).fault.unwrap().message;
    assert_eq!(fault(first("drops")), "the orchestrator panicked: dropped");
    drop(run_turn(&registry, request(vec![], first("holds"), 0), None).cached.unwrap());
    let mut judged = first("judges");
    judged.push(event::task_failed(now, 1, super::story::broke("that")));
    assert_eq!(fault(judged), "the orchestrator panicked: not that");
}
