//! Tells what becomes of work that does not come back (G35 to G41): unread streams, silent connections, held items,
//! activities that kill their workers, and instances without a worker.

use super::builders::{call, complete};
use super::fixture::{Hub, PATIENCE, code, eventually};
use super::proxy::Proxy;
use super::worker::kinds;
use super::{Case, Need, case};
use std::time::Duration;
use taskhub::wire::history_event::EventType;
use taskhub::wire::{self, OrchestrationStatus};
use tonic::Code;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "G35",
            "A stream that is not read gets a few mebibytes, and a healthy stream the rest",
            a_stream_that_is_not_read_gets_a_few_mebibytes_and_a_healthy_stream_the_rest,
        )
        .needs(&[Need::StillClock, Need::Figures]),
        case(
            "G35",
            "A stream that stays unread is ended with UNAVAILABLE, and its work is handed out again",
            a_stream_that_stays_unread_is_ended_with_unavailable_and_its_work_is_handed_out_again,
        )
        .needs(&[Need::StillClock, Need::Figures])
        .differs(
            "not documented; ours gives a stream up whose worker takes nothing from it for 30 s, by a switch",
        ),
        case(
            "G36",
            "A worker behind a connection that went silent loses its work to another",
            a_worker_behind_a_connection_that_went_silent_loses_its_work_to_another,
        )
        .needs(&[Need::WorkerTimeout(Some(3))])
        .differs(
            "not documented after how long; ours asks with HTTP/2 pings and waits 20 to 30 s, by a switch",
        ),
        case(
            "G37",
            "A worker that states no limit gets no more than the hub's own limit",
            a_worker_that_states_no_limit_gets_no_more_than_the_hubs_own_limit,
        )
        .needs(&[Need::UnstatedLimit(5)]),
        case(
            "G38",
            "A turn that is held for too long goes to another stream first",
            a_turn_that_is_held_for_too_long_goes_to_another_stream_first,
        )
        .needs(&[Need::StillClock, Need::TurnLease(60)])
        .differs(
            "the service ties a lease to the connection; ours ends a turn's after 5 minutes, by a switch",
        ),
        case("G38", "An activity may be held for days", an_activity_may_be_held_for_days)
            .needs(&[Need::StillClock, Need::WorkerTimeout(None)]),
        case(
            "G38",
            "An activity that is held for longer than its lease goes to another stream",
            an_activity_that_is_held_for_longer_than_its_lease_goes_to_another_stream,
        )
        .needs(&[Need::StillClock, Need::WorkerTimeout(None), Need::ActivityLease(60)]),
        case(
            "G39",
            "An activity that kills its workers fails, and work beside it does not",
            an_activity_that_kills_its_workers_fails_and_work_beside_it_does_not,
        )
        .needs(&[Need::Figures, Need::WorkerLosses(2)])
        .differs("the service is not known to count; ours fails what ten workers died of, by a switch"),
        case(
            "G39",
            "Workers that end their streams lose nothing, however often",
            workers_that_end_their_streams_lose_nothing_however_often,
        )
        .needs(&[Need::WorkerLosses(1)]),
        case(
            "G40",
            "A termination without a worker waits for one and then takes effect by itself",
            a_termination_without_a_worker_waits_for_one_and_then_takes_effect_by_itself,
        )
        .needs(&[Need::StillClock, Need::Figures])
        .differs("the service waits for a worker; ours waits 5 s for one, by a switch"),
        case(
            "G41",
            "Suspend and resume take effect without a worker, and a later worker hears of both",
            suspend_and_resume_take_effect_without_a_worker_and_a_later_worker_hears_of_both,
        )
        .needs(&[Need::StillClock, Need::Figures])
        .differs("the service waits for a worker; ours waits 5 s for one, by a switch"),
    ]
}

/// Starts forty instances whose turns have most of a mebibyte each.
async fn start_forty(hub: &Hub) {
    for number in 0..40 {
        let request = wire::CreateInstanceRequest {
            instance_id: hub.id(&format!("i{number}")),
            name: "Any".into(),
            input: Some("x".repeat(900 << 10)),
            ..Default::default()
        };
        hub.start_with(request).await.expect("the instance starts");
    }
}

async fn a_stream_that_is_not_read_gets_a_few_mebibytes_and_a_healthy_stream_the_rest(hub: Hub) {
    let unread = hub.worker().await;
    let mut healthy = hub.worker().await;
    start_forty(&hub).await;
    for _ in 0..30 {
        healthy.turn().await.finish("done").await;
    }
    drop(unread);
    for _ in 30..40 {
        healthy.turn().await.finish("done").await;
    }
}

async fn a_stream_that_stays_unread_is_ended_with_unavailable_and_its_work_is_handed_out_again(hub: Hub) {
    let mut unread = hub.worker().await;
    start_forty(&hub).await;
    let held = hub.turns_held().await[0];
    assert!((1..20).contains(&held), "it holds {held} of forty");
    hub.advance(Duration::from_secs(31));
    hub.without_workers().await;
    let mut heir = hub.worker().await;
    for _ in 0..40 {
        heir.turn().await.finish("done").await;
    }
    loop {
        match unread.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("an end without a word"),
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                break;
            }
        }
    }
}

async fn a_worker_behind_a_connection_that_went_silent_loses_its_work_to_another(hub: Hub) {
    let proxy = Proxy::to(&hub.endpoint).await;
    let mut lost = hub.at_address(&proxy.endpoint()).worker().await;
    let id = hub.start("a", "Any").await;
    lost.turn_of(&id).await.act([call(1, "Work", "1")]).await;
    let activity = lost.activity().await;
    hub.raise(&id, "e", "1").await;
    let turn = lost.turn_of(&id).await;
    proxy.fall_silent();
    let mut heir = hub.worker().await;
    let inherited = (heir.turn_of(&id).await, heir.activity().await);
    assert_eq!(inherited.0.execution(), turn.execution());
    assert_eq!(inherited.1.request, activity.request);
    inherited.1.finish("1").await;
    inherited.0.finish("done").await;
    assert_eq!(hub.ended(&id).await.output, Some("done".into()));
}

async fn a_worker_that_states_no_limit_gets_no_more_than_the_hubs_own_limit(hub: Hub) {
    let mut hoarder = hub.worker().await;
    let id = hub.start("a", "Any").await;
    hoarder.turn_of(&id).await.act((1..=12).map(|task| call(task, "Work", "1"))).await;
    for _ in 0..5 {
        hoarder.activity().await;
    }
    assert!(hoarder.is_idle().await, "a sixth came");
    let mut other = hub.worker().await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(other.activity().await);
    }
    held.remove(0).finish("1").await;
    other.activity().await;
}

async fn a_turn_that_is_held_for_too_long_goes_to_another_stream_first(hub: Hub) {
    let mut holder = hub.worker().await;
    let id = hub.start("a", "Any").await;
    let held = holder.turn_of(&id).await;
    let mut heir = hub.worker().await;
    hub.advance(Duration::from_secs(61));
    let turn = heir.turn_of(&id).await;
    assert_eq!((turn.execution(), turn.kinds()), (held.execution(), held.kinds()));
    let late = held.send(held.answer(vec![complete(1, "late")])).await;
    assert_eq!(code(late), Code::NotFound);
    turn.finish("in time").await;
    assert_eq!(hub.ended(&id).await.output, Some("in time".into()));
}

/// Leaves an activity with a worker for three days; whether it came to another, and how the late answer was taken.
async fn held_for_days(hub: &Hub) -> (bool, Result<(), Code>) {
    let mut holder = hub.worker().await;
    let id = hub.start("a", "Any").await;
    holder.turn_of(&id).await.act([call(1, "Work", "1")]).await;
    let activity = holder.activity().await;
    let mut other = hub.worker().await;
    hub.advance(Duration::from_secs(3 * 24 * 3_600));
    let comes_again = !other.is_idle().await;
    let late = activity.try_finish("late").await;
    (comes_again, late.map_err(|status| status.code()))
}

async fn an_activity_may_be_held_for_days(hub: Hub) {
    assert_eq!(held_for_days(&hub).await, (false, Ok(())));
}

async fn an_activity_that_is_held_for_longer_than_its_lease_goes_to_another_stream(hub: Hub) {
    assert_eq!(held_for_days(&hub).await, (true, Err(Code::NotFound)));
}

async fn an_activity_that_kills_its_workers_fails_and_work_beside_it_does_not(hub: Hub) {
    let id = hub.start("a", "Any").await;
    let mut worker = hub.worker().await;
    let poison = call(1, "Poison", "1");
    worker.turn_of(&id).await.act([poison, call(2, "Work", "2")]).await;
    drop(worker);
    let mut deaths = 0;
    let failure = loop {
        let proxy = Proxy::to(&hub.endpoint).await;
        let mut worker = hub.at_address(&proxy.endpoint()).worker().await;
        // It dies of the poison, and answers everything else.
        let failure = loop {
            match worker.activity_or_turn().await {
                Ok(activity) if activity.request.name == "Poison" => break None,
                Ok(activity) => activity.finish("2").await,
                Err(turn) => {
                    let failed = turn.news().into_iter().find_map(|event| match event {
                        EventType::TaskFailed(failed) => failed.failure_details,
                        _ => None,
                    });
                    turn.act([]).await;
                    if failed.is_some() {
                        break failed;
                    }
                }
            }
        };
        if let Some(failure) = failure {
            break failure;
        }
        deaths += 1;
        assert!(deaths <= 4, "it has killed {deaths} workers");
        proxy.cut();
        hub.without_workers().await;
    };
    assert_eq!((failure.error_type.as_str(), failure.is_non_retriable), ("WorkerLost", true));
    assert!(failure.error_message.contains("--max-worker-losses"), "{failure:?}");
    let done = hub.history(&id).await;
    assert!(kinds(&done).contains(&"TaskCompleted"), "{:?}", kinds(&done));
}

async fn workers_that_end_their_streams_lose_nothing_however_often(hub: Hub) {
    let id = hub.start("a", "Any").await;
    for _ in 0..10 {
        let mut worker = hub.worker().await;
        worker.turn_of(&id).await;
    }
    assert_eq!(hub.status(&id).await, OrchestrationStatus::Pending);
    tokio::time::timeout(PATIENCE, async { hub.worker().await.turn_of(&id).await.finish("done").await })
        .await
        .expect("it is handed out again");
}

/// An instance whose first turn is committed, and whose worker has left.
async fn left_alone(hub: &Hub) -> String {
    let mut worker = hub.worker().await;
    let id = hub.start("a", "Any").await;
    worker.turn_of(&id).await.act([call(1, "Work", "1")]).await;
    drop(worker);
    hub.without_workers().await;
    id
}

async fn a_termination_without_a_worker_waits_for_one_and_then_takes_effect_by_itself(hub: Hub) {
    let id = left_alone(&hub).await;
    hub.terminate(&id, "stopped").await;
    hub.advance(Duration::from_secs(4));
    assert_eq!(hub.status(&id).await, OrchestrationStatus::Running, "a worker may still come");
    hub.advance(Duration::from_secs(1));
    let state = hub.ended(&id).await;
    assert_eq!(state.orchestration_status(), OrchestrationStatus::Terminated);
    assert_eq!(state.output, Some("stopped".into()));
    assert_eq!(hub.purge(&id, false).await, 1);
    assert!(hub.state(&id).await.is_none());
}

async fn suspend_and_resume_take_effect_without_a_worker_and_a_later_worker_hears_of_both(hub: Hub) {
    let id = left_alone(&hub).await;
    for (suspended, wanted) in [(true, OrchestrationStatus::Suspended), (false, OrchestrationStatus::Running)]
    {
        if suspended {
            hub.suspend(&id).await;
        } else {
            hub.resume(&id).await;
        }
        hub.advance(Duration::from_secs(5));
        eventually("the status follows", || async { (hub.status(&id).await == wanted).then_some(()) }).await;
    }
    let mut worker = hub.worker().await;
    let turn = worker.turn_of(&id).await;
    assert_eq!(turn.kinds(), ["OrchestratorStarted", "ExecutionSuspended", "ExecutionResumed"]);
    turn.finish("done").await;
    assert_eq!(hub.ended(&id).await.output, Some("done".into()));
}
