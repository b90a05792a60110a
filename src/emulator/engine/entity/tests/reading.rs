//! Tests what clients see of entities.

use super::*;
use crate::emulator::engine::command::EntityQuery;

fn ids(hub: &Hub, query: &EntityQuery) -> Vec<String> {
    let mut query = query.clone();
    let mut seen = Vec::new();
    loop {
        let (page, next) = hub.entities.query(&query).unwrap();
        assert!(page.len() <= query.page_size);
        seen.extend(page.into_iter().map(|entity| entity.instance_id));
        let Some(next) = next else { return seen };
        query.after = Some(next);
    }
}

#[test]
fn an_entity_exists_while_it_has_a_state() {
    let mut hub = hub();
    hub.signal("a", "set");
    assert_eq!(hub.entities.get(&entity("a"), true), None, "not before the worker has set it");
    hub.run("a", Some("1"));
    assert!(hub.entities.get(&entity("a"), true).is_some());
    hub.signal("a", "delete");
    hub.run("a", None);
    assert_eq!(hub.entities.get(&entity("a"), true), None);
    assert!(hub.entities.is_empty());
    hub.signal("a", "set");
    hub.run("a", Some("again"));
    assert!(hub.entities.get(&entity("a"), false).is_some());
}

#[test]
fn a_state_that_is_an_empty_text_is_a_state() {
    let mut hub = hub();
    hub.signal("a", "set");
    hub.run("a", Some(""));
    assert_eq!(hub.entities.get(&entity("a"), true).unwrap().serialized_state.as_deref(), Some(""));
}

#[test]
fn a_signal_for_later_neither_makes_nor_runs_the_entity_before() {
    let mut hub = hub();
    let due = hub.now.plus(Duration::from_secs(2));
    hub.signal_at("a", "later", due);
    hub.signal("a", "now");
    assert_eq!(hub.run("a", None), ["now"]);
    assert_eq!(hub.entities.next_due(), Some(due));
    let transient = EntityQuery { transient: true, page_size: 10, ..Default::default() };
    assert_eq!(ids(&hub, &transient), Vec::<String>::new());
    hub.turn_clock(Duration::from_secs(1));
    assert_eq!(hub.hand_out("a"), None);
    hub.turn_clock(Duration::from_secs(1));
    assert_eq!(hub.run("a", Some("1")), ["later"]);
    assert_eq!(hub.entities.next_due(), None);
    hub.assert_rebuilds();
}

#[test]
fn signals_due_together_keep_the_order_they_were_sent_in() {
    let mut hub = hub();
    let due = hub.now.plus(Duration::from_secs(1));
    for name in ["one", "two"] {
        hub.signal_at("a", name, due);
    }
    hub.signal_at("a", "zero", hub.now.plus(Duration::from_millis(500)));
    hub.turn_clock(Duration::from_secs(3));
    assert_eq!(hub.run("a", None), ["zero", "one", "two"]);
}

#[test]
fn metadata_says_who_holds_it_what_waits_and_when_it_changed() {
    let mut hub = hub();
    hub.signal("a", "set");
    hub.turn_clock(Duration::from_secs(1));
    hub.run("a", Some("1"));
    let changed = hub.now;
    hub.turn_clock(Duration::from_secs(1));
    hub.lock("one", &["a"]);
    hub.signal("a", "wait");
    let seen = hub.entities.get(&entity("a"), false).unwrap();
    assert_eq!(seen.last_modified_time, Some(changed.to_wire()));
    assert_eq!((seen.backlog_queue_size, seen.locked_by.as_deref()), (1, Some("one")));
    assert_eq!(seen.serialized_state, None, "it was not asked for");
}

#[test]
fn a_query_hides_what_has_only_a_lock_unless_asked() {
    let mut hub = hub();
    hub.lock("one", &["locked"]);
    hub.signal("set", "set");
    hub.run("set", Some("1"));
    let query = EntityQuery { page_size: 10, ..Default::default() };
    assert_eq!(ids(&hub, &query), ["@counter@set"]);
    assert_eq!(ids(&hub, &EntityQuery { transient: true, ..query }), ["@counter@locked", "@counter@set"]);
}

#[test]
fn pages_of_entities_are_exact_whatever_their_size() {
    let mut hub = hub();
    for key in ["d", "a", "c", "b"] {
        hub.signal(key, "set");
        hub.run(key, Some("1"));
        hub.turn_clock(Duration::from_secs(1));
    }
    hub.lock("one", &["zz"]);
    let all: Vec<_> = ["a", "b", "c", "d"].map(|key| entity(key).to_string()).to_vec();
    for page_size in 1..6 {
        assert_eq!(ids(&hub, &EntityQuery { page_size, ..Default::default() }), all);
    }
    let full = EntityQuery { page_size: 4, ..Default::default() };
    assert_eq!(hub.entities.query(&full).unwrap().1, None, "the last page says so");
    let one = EntityQuery { id_prefix: "@counter@c".into(), page_size: 4, ..Default::default() };
    assert_eq!(ids(&hub, &one), ["@counter@c"]);
    let from = Some(Timestamp::from_micros(1_000).plus(Duration::from_secs(2)));
    let late = EntityQuery { modified_from: from, page_size: 4, ..Default::default() };
    assert_eq!(ids(&hub, &late), ["@counter@b", "@counter@c"]);
    let early = EntityQuery { modified_to: from, page_size: 4, ..Default::default() };
    assert_eq!(ids(&hub, &early), ["@counter@a", "@counter@d"]);
    let wrong = EntityQuery { after: Some("0".into()), ..full };
    assert!(matches!(hub.entities.query(&wrong), Err(Refusal::Invalid { .. })));
}

#[test]
fn a_purge_takes_state_and_operations_and_lets_waiting_lock_requests_through() {
    let mut hub = hub();
    hub.signal("a", "set");
    hub.run("a", Some("1"));
    hub.lock("one", &["a"]);
    hub.lock("two", &["a"]);
    hub.call("one", "a", "lost");
    let (number, _) = hub.hand_out("a").unwrap();
    assert!(hub.entities.purge(&entity("a"), hub.now, &mut hub.heard));
    assert_eq!(hub.answers(), ["one: section-of-one", "one: id-of-lost EntityPurged", "two: section-of-two"]);
    assert_eq!(hub.complete("a", number, answer(vec![success("1")], Some("1"))), Completion::Stale);
    assert_eq!(hub.entities.get(&entity("a"), true), None);
    hub.release("one");
    hub.release("two");
    assert!(hub.entities.is_empty());
    assert!(!hub.entities.purge(&entity("a"), hub.now, &mut hub.heard));
    hub.assert_rebuilds();
}

#[test]
fn what_was_out_is_ready_again_after_a_rebuild() {
    let mut hub = hub();
    hub.signal("a", "one");
    hub.signal("b", "one");
    hub.lock("one", &["c"]);
    hub.hand_out("a").unwrap();
    let mut again = Entities::default();
    for change in &hub.heard.changes {
        again.apply(change);
    }
    assert_eq!(again.wake(), [entity("a"), entity("b")]);
    assert!(again.hand_out(&entity("a"), 100).is_some());
}

#[test]
fn the_execution_of_an_entity_is_32_digits_and_always_the_same() {
    let execution = Entity::new(entity("a"), Timestamp::EPOCH).execution();
    assert_eq!(execution.as_str().len(), 32);
    assert_eq!(execution, Entity::new(entity("a"), Timestamp::from_micros(9)).execution());
    assert_ne!(execution, Entity::new(entity("b"), Timestamp::EPOCH).execution());
}
