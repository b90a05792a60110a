//! Suspends, resumes, terminates and continues as new.

use super::story::{Story, completed, fired, raised, resumed, started, suspended, terminated};
use std::time::Duration;
use taskhub::sdk::*;
use taskhub::wire::{OrchestrationStatus, history_event::EventType};

async fn step(i: u32) -> Result<u32, Failure> {
    Ok(i)
}

const GO: EventKey<u32> = EventKey::new("Go");

async fn two_steps(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
    let a = ctx.call(step, 1).await?;
    let b = ctx.call(step, 2).await?;
    Ok(a + b)
}

fn with<F: Orchestrator<M>, M>(orchestrator: F) -> Registry {
    Registry::new().orchestration(orchestrator).activity(step)
}

#[test]
fn a_suspended_instance_keeps_what_arrives_until_it_is_resumed() {
    let mut story = Story::begins(with(two_steps), "two_steps", "null");
    assert!(story.turn(vec![suspended(), completed(1, "1")]).actions.is_empty());
    assert!(story.turn(vec![suspended()]).actions.is_empty(), "suspending twice changes nothing");
    assert_eq!(story.turn(vec![resumed()]).wants(), ["2 step(2)"]);
    assert_eq!(story.turn(vec![completed(2, "2")]).result(), "3");
}

#[test]
fn what_was_scheduled_before_the_suspension_in_the_same_turn_is_said_after_it() {
    let mut story = Story::begins(with(two_steps), "two_steps", "null");
    assert!(story.turn(vec![completed(1, "1"), suspended()]).actions.is_empty());
    assert_eq!(story.turn(vec![resumed()]).wants(), ["2 step(2)"]);
    assert_eq!(story.turn(vec![completed(2, "2")]).result(), "3");
}

#[test]
fn an_end_that_comes_with_a_suspension_is_said_after_it() {
    let mut story = Story::begins(with(two_steps), "two_steps", "null");
    story.turn(vec![completed(1, "1")]);
    assert!(story.turn(vec![completed(2, "2"), suspended()]).actions.is_empty());
    assert_eq!(story.turn(vec![resumed()]).result(), "3");
}

#[test]
fn a_suspended_instance_can_be_terminated() {
    let mut story = Story::begins(with(two_steps), "two_steps", "null");
    story.turn(vec![suspended()]);
    story.turn(vec![completed(1, "1"), terminated("\"enough\"")]);
    assert_eq!(story.end().orchestration_status(), OrchestrationStatus::Terminated);
    assert_eq!(story.end().result.as_deref(), Some("\"enough\""));
}

#[test]
fn a_termination_wins_over_an_end_in_the_same_turn() {
    let mut story = Story::begins(with(two_steps), "two_steps", "null");
    story.turn(vec![completed(1, "1")]);
    story.turn(vec![completed(2, "2"), terminated("null")]);
    assert_eq!(story.end().orchestration_status(), OrchestrationStatus::Terminated);
}

async fn rounds(ctx: OrchestrationContext, round: u32) -> Result<u32, Failure> {
    if round == 3 {
        return Ok(round);
    }
    let value = ctx.event(GO).await?;
    ctx.send_event("other", GO, value);
    let _unsent = ctx.sleep(Duration::from_secs(9));
    ctx.continue_as_new(round + 1).await
}

#[test]
fn continuing_as_new_carries_the_events_that_nobody_took() {
    let events = vec![raised("GO", "1"), raised("else", "2"), raised("go", "3"), raised("Else", "4")];
    let story = Story::begins_with(with(rounds), started("rounds", "0"), events);
    assert_eq!(story.wants(), ["1 event Go", "3 CONTINUED_AS_NEW"]);
    let end = story.end();
    assert_eq!(end.result.as_deref(), Some("1"));
    let carried = end.carryover_events.iter().map(|event| match event.event_type.as_ref().unwrap() {
        EventType::EventRaised(raised) => (raised.name.as_str(), raised.input.as_deref().unwrap()),
        other => panic!("{other:?}"),
    });
    assert_eq!(carried.collect::<Vec<_>>(), [("else", "2"), ("go", "3"), ("Else", "4")]);
}

#[test]
fn events_can_be_let_go_and_the_version_be_changed() {
    async fn upgrades(ctx: OrchestrationContext, n: u32) -> Result<(), Failure> {
        ctx.continue_as_new(n).version("2").drop_events().await
    }
    let story = Story::begins_with(with(upgrades), started("upgrades", "0"), vec![raised("Go", "1")]);
    let end = story.end();
    assert_eq!(end.new_version.as_deref(), Some("2"));
    assert!(end.carryover_events.is_empty());
}

#[test]
fn an_event_that_was_handed_out_but_not_taken_is_carried_too() {
    async fn ignores(ctx: OrchestrationContext, (): ()) -> Result<(), Failure> {
        let _unseen = ctx.event(GO);
        ctx.call(step, 1).await?;
        ctx.continue_as_new(()).await
    }
    let mut story = Story::begins(with(ignores), "ignores", "null");
    story.turn(vec![raised("go", "1"), completed(1, "1")]);
    assert_eq!(story.end().carryover_events.len(), 1);
}

#[test]
fn an_input_that_the_next_execution_would_not_read_fails_this_one() {
    async fn wrong(ctx: OrchestrationContext, _: u32) -> Result<(), Failure> {
        ctx.continue_as_new("three").await
    }
    let story = Story::begins(with(wrong), "wrong", "1");
    assert_eq!(story.failure().error_type, "DecodeError");
}

#[test]
fn a_termination_wins_over_continuing_as_new() {
    let mut story = Story::begins(with(rounds), "rounds", "0");
    story.turn(vec![raised("go", "1"), terminated("null")]);
    assert_eq!(story.end().orchestration_status(), OrchestrationStatus::Terminated);
}

#[test]
fn the_child_of_each_execution_has_an_id_of_its_own() {
    async fn parent(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
        Ok(ctx.orchestration(two_steps).call(()).await?)
    }
    let story = Story::begins(with(parent).orchestration(two_steps), "parent", "null");
    assert_eq!(story.wants(), ["1 child two_steps 0123456789abcdef0123456789abcdef:0001"]);
}

#[test]
fn an_uncancelled_timer_does_not_keep_an_instance_running() {
    async fn hasty(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
        let _forgotten = ctx.sleep(Duration::from_secs(3600));
        Ok(ctx.call(step, 1).await?)
    }
    let mut story = Story::begins(with(hasty), "hasty", "null");
    assert_eq!(story.wants(), ["1 timer", "2 step(1)"]);
    assert_eq!(story.turn(vec![completed(2, "1")]).result(), "1");
}

#[test]
fn a_timer_that_is_dropped_in_its_own_turn_is_never_set() {
    async fn changes(ctx: OrchestrationContext, (): ()) -> Result<u32, Failure> {
        drop(ctx.sleep(Duration::from_secs(3600)));
        Ok(ctx.call(step, 1).await?)
    }
    let mut story = Story::begins(with(changes), "changes", "null");
    assert_eq!(story.wants(), ["2 step(1)"]);
    assert_eq!(story.turn(vec![fired(1), completed(2, "1")]).result(), "1");
}

#[test]
fn what_is_detached_runs_although_the_orchestration_ends() {
    async fn hands_over(ctx: OrchestrationContext, (): ()) -> Result<(), Failure> {
        ctx.call(step, 1).detach();
        ctx.send_event("other", GO, 1);
        Ok(())
    }
    let story = Story::begins(with(hands_over), "hands_over", "null");
    assert_eq!(story.wants(), ["1 step(1)", "2 event Go", "3 COMPLETED"]);
}

#[test]
fn time_uuids_and_replaying_are_those_of_the_turn_that_is_replayed() {
    async fn notes(ctx: OrchestrationContext, (): ()) -> Result<Vec<String>, Failure> {
        let mut notes = vec![];
        for i in 0..2 {
            let at = ctx.now().since(taskhub::sdk::Timestamp::EPOCH).as_secs();
            notes.push(format!("{at} {}", ctx.uuid()));
            ctx.call(step, i).await?;
        }
        Ok(notes)
    }
    let mut story = Story::begins(with(notes), "notes", "null");
    story.later(10).turn(vec![completed(1, "0")]);
    let result: Vec<String> =
        serde_json::from_str(story.later(10).turn(vec![completed(2, "0")]).result()).unwrap();
    // Version 5 of "i_2026-01-02T03:04:05.0000000Z_0" in the namespace that all SDKs of the family use.
    assert_eq!(result[0], "1767323045 8597c352-3b5f-5070-9dcd-b3c2e9646920");
    assert!(result[1].starts_with("1767323055 "), "{result:?}");
}

#[test]
fn replaying_ends_at_the_first_event_that_is_new() {
    use std::sync::Mutex;
    static SEEN: Mutex<Vec<bool>> = Mutex::new(Vec::new());
    async fn watches(ctx: OrchestrationContext, (): ()) -> Result<(), Failure> {
        for i in 0..3 {
            SEEN.lock().unwrap().push(ctx.is_replaying());
            ctx.call(step, i).await?;
        }
        Ok(())
    }
    let mut story = Story::begins(with(watches), "watches", "null");
    story.turn(vec![completed(1, "0")]);
    SEEN.lock().unwrap().clear();
    story.turn(vec![completed(2, "0")]);
    // Kept, replayed from the start, kept without the past.
    assert_eq!(*SEEN.lock().unwrap(), [false, true, true, false, false]);
}

#[test]
fn an_instance_knows_who_and_whose_it_is() {
    async fn who(ctx: OrchestrationContext, (): ()) -> Result<String, Failure> {
        let parent = ctx.parent().map(|parent| (parent.instance_id.as_str(), parent.task_id));
        Ok(format!("{} {} {:?} {:?} {:?}", ctx.instance_id(), ctx.name(), ctx.version(), parent, ctx.tags()))
    }
    let mut begun = started("who", "null");
    begun.version = Some("1.1".into());
    begun.tags.insert("team".into(), "pricing".into());
    begun.parent_instance = Some(taskhub::wire::ParentInstanceInfo {
        task_scheduled_id: 4,
        orchestration_instance: Some(taskhub::wire::OrchestrationInstance {
            instance_id: "mother".into(),
            execution_id: None,
        }),
        ..Default::default()
    });
    let story = Story::begins_with(with(who), begun, vec![]);
    let said: String = serde_json::from_str(story.result()).unwrap();
    assert_eq!(said, r#"i who Some("1.1") Some(("mother", 4)) {"team": "pricing"}"#);
}
