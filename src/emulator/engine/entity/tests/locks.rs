//! Tests locks: exclusive, chained, always released.

use super::*;

#[test]
fn locks_are_taken_one_entity_after_another_and_the_second_asker_waits_at_the_first() {
    let mut hub = hub();
    hub.lock("one", &["a", "b"]);
    hub.lock("two", &["a", "b"]);
    assert_eq!(hub.answers(), ["one: section-of-one"]);
    assert_eq!((hub.locked_by("a").as_deref(), hub.locked_by("b").as_deref()), (Some("one"), Some("one")));
    hub.unlock("one", "a");
    assert_eq!(hub.locked_by("a").as_deref(), Some("two"), "held while the second is waited for");
    assert_eq!(hub.answers(), Vec::<String>::new());
    hub.unlock("one", "b");
    assert_eq!(hub.answers(), ["two: section-of-two"]);
    hub.assert_rebuilds();
}

#[test]
fn only_the_holder_is_served_while_it_holds_its_signals_too() {
    let mut hub = hub();
    hub.lock("one", &["a"]);
    hub.signal("a", "client");
    hub.call("two", "a", "other");
    hub.call("one", "a", "mine");
    hub.signal_from("one", "a", "mine too");
    assert_eq!(hub.run("a", Some("1")), ["mine", "mine too"]);
    assert_eq!(hub.run("a", Some("1")), Vec::<String>::new());
    hub.unlock("one", "a");
    assert_eq!(hub.locked_by("a"), None);
    assert_eq!(hub.run("a", Some("2")), ["client", "other"]);
    hub.assert_rebuilds();
}

#[test]
fn a_lock_waits_for_what_was_sent_before_it() {
    let mut hub = hub();
    hub.signal("a", "before");
    hub.lock("one", &["a"]);
    hub.signal("a", "after");
    assert_eq!(hub.locked_by("a"), None);
    assert_eq!(hub.run("a", Some("1")), ["before"]);
    assert_eq!(hub.answers(), ["one: section-of-one"]);
    assert_eq!(hub.hand_out("a"), None);
}

#[test]
fn what_the_holder_sent_before_the_grant_is_served_inside_the_lock() {
    let mut hub = hub();
    hub.lock("two", &["a"]);
    hub.lock("one", &["a"]);
    hub.signal("a", "client");
    hub.signal_from("one", "a", "early");
    hub.unlock("two", "a");
    assert_eq!(hub.run("a", Some("1")), ["early"]);
}

#[test]
fn what_is_left_of_a_section_runs_before_anybody_else_comes_in() {
    let mut hub = hub();
    hub.lock("one", &["a"]);
    hub.lock("two", &["a"]);
    hub.signal("a", "client");
    hub.call("one", "a", "first");
    hub.signal_from("one", "a", "second");
    let batch = hub.entities.hand_out(&entity("a"), 1).unwrap();
    hub.unlock("one", "a");
    assert_eq!(hub.locked_by("a"), None);
    hub.complete("a", batch.number, answer(vec![success("1")], Some("1")));
    assert_eq!(hub.answers(), ["one: section-of-one", "one: id-of-first ok"]);
    assert_eq!(hub.run("a", Some("2")), ["second"]);
    assert_eq!(hub.answers(), ["two: section-of-two"]);
    hub.assert_rebuilds();
}

#[test]
fn nobody_unlocks_what_another_holds() {
    let mut hub = hub();
    hub.lock("one", &["a"]);
    hub.unlock("two", "a");
    hub.unlock("two", "never heard of");
    assert_eq!(hub.locked_by("a").as_deref(), Some("one"));
}

#[test]
fn the_end_of_an_orchestration_gives_back_all_it_held_and_all_it_asked_for() {
    let mut hub = hub();
    hub.lock("one", &["b"]);
    hub.lock("two", &["a", "b", "c"]);
    hub.lock("three", &["a"]);
    hub.release("two");
    assert_eq!(hub.answers(), ["one: section-of-one", "three: section-of-three"]);
    hub.release("one");
    hub.release("three");
    assert_eq!(hub.answers(), Vec::<String>::new(), "the dead are granted nothing");
    assert!(hub.entities.is_empty(), "and nothing is left of it: {:?}", hub.entities);
    hub.assert_rebuilds();
}

#[test]
fn an_unlock_of_a_lock_not_granted_yet_withdraws_the_request() {
    let mut hub = hub();
    hub.lock("one", &["a"]);
    hub.lock("two", &["a"]);
    hub.unlock("two", "a");
    hub.unlock("one", "a");
    assert_eq!(hub.locked_by("a"), None);
    assert_eq!(hub.answers(), ["one: section-of-one"]);
}

#[test]
fn a_set_with_repeats_does_not_wait_for_itself() {
    let mut hub = hub();
    hub.lock("one", &["a", "b", "a"]);
    assert_eq!(hub.answers(), ["one: section-of-one"]);
    hub.release("one");
    assert!(hub.entities.is_empty());
}

#[test]
fn a_lock_request_that_names_nothing_or_no_entity_is_refused() {
    let wire = |set: &[&str], position| wire::EntityLockRequestedEvent {
        lock_set: set.iter().map(ToString::to_string).collect(),
        position,
        ..Default::default()
    };
    for wrong in [wire(&[], 0), wire(&["@counter@a"], 1), wire(&["@counter@a"], -1), wire(&["counter"], 0)] {
        assert!(matches!(LockRequest::parse(caller("o"), &wrong), Err(Refusal::Invalid { .. })), "{wrong:?}");
    }
}

#[test]
fn a_chain_of_a_thousand_entities_is_locked_at_once() {
    let mut hub = hub();
    let keys: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
    hub.lock("one", &keys.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(hub.answers(), ["one: section-of-one"]);
}
