//! Tests the indexes: what they find, and in which order.

use super::walk::IndexPage;
use super::*;
use crate::emulator::engine::command::{ListIds, Query, Refusal};
use crate::model::Statuses;

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn id(raw: &str) -> InstanceId {
    InstanceId::unchecked(raw)
}

fn running(created: i64) -> Entry {
    Entry { status: Status::Running, created: at(created), ended: None }
}

fn completed(created: i64, ended: i64) -> Entry {
    Entry { status: Status::Completed, created: at(created), ended: Some(at(ended)) }
}

fn failed(created: i64, ended: i64) -> Entry {
    Entry { status: Status::Failed, ..completed(created, ended) }
}

fn hub(entries: &[(&str, Entry)]) -> Index {
    let mut index = Index::default();
    for (raw, entry) in entries {
        index.upsert(&id(raw), *entry);
    }
    index
}

fn all(page_size: usize) -> Query {
    Query { page_size, ..Query::default() }
}

fn walk(index: &Index, query: &Query) -> Vec<String> {
    let mut query = query.clone();
    let mut seen = Vec::new();
    loop {
        let page = index.query(&query).unwrap();
        seen.extend(page.ids.iter().map(ToString::to_string));
        let Some(next) = page.next else { return seen };
        assert_ne!(query.after, Some(next.clone()), "a walk goes on");
        query.after = Some(next);
    }
}

#[test]
fn pages_of_any_size_list_every_instance_once_in_the_order_of_creation() {
    let index = hub(&[("d", running(1)), ("a", failed(3, 9)), ("c", completed(2, 4)), ("b", running(2))]);
    for size in [1, 2, 3, 4, 5] {
        assert_eq!(walk(&index, &all(size)), ["d", "b", "c", "a"], "pages of {size}");
    }
}

#[test]
fn the_last_page_says_so_even_when_it_is_full() {
    let index = hub(&[("a", running(1)), ("b", running(2))]);
    assert_eq!(index.query(&all(2)).unwrap().next, None);
    assert_eq!(Index::default().query(&all(2)).unwrap(), IndexPage { ids: Vec::new(), next: None });
}

#[test]
fn a_query_by_status_prefix_and_range_lists_what_fits_all_three() {
    let index = hub(&[
        ("job-1", completed(10, 20)),
        ("job-2", failed(11, 20)),
        ("job-3", completed(12, 20)),
        ("job-4", completed(13, 20)),
        ("other", completed(12, 20)),
    ]);
    let query = Query {
        statuses: Statuses::of([Status::Completed]),
        created_from: Some(at(10)),
        created_to: Some(at(13)),
        id_prefix: "job-".into(),
        ..all(1)
    };
    assert_eq!(walk(&index, &query), ["job-1", "job-3"]);
}

#[test]
fn a_prefix_alone_walks_by_id() {
    let index = hub(&[("b2", running(1)), ("b1", failed(2, 3)), ("a", running(3)), ("c", running(4))]);
    assert_eq!(walk(&index, &Query { id_prefix: "b".into(), ..all(1) }), ["b1", "b2"]);
}

#[test]
fn an_instance_that_moves_on_in_mid_walk_is_listed_once() {
    let mut index = hub(&[("a", running(1)), ("b", running(2)), ("c", running(3))]);
    let first = index.query(&all(2)).unwrap();
    index.upsert(&id("a"), completed(1, 9));
    index.upsert(&id("c"), completed(3, 9));
    index.remove(&id("b"));
    let rest = index.query(&Query { after: first.next, ..all(2) }).unwrap();
    assert_eq!(first.ids, [id("a"), id("b")]);
    assert_eq!(rest.ids, [id("c")]);
}

#[test]
fn ended_instances_are_listed_by_their_end_and_the_key_spells_the_id() {
    let index = hub(&[("late", completed(1, 9)), ("early", failed(2, 5)), ("runs", running(0))]);
    let first = index.list_ids(&ListIds { page_size: 1, ..ListIds::default() }).unwrap();
    assert_eq!(first.ids, [id("early")]);
    assert!(first.next.as_ref().unwrap().contains("early"));
    let list = ListIds { page_size: 1, after: first.next, ..ListIds::default() };
    assert_eq!(index.list_ids(&list).unwrap(), IndexPage { ids: vec![id("late")], next: None });
    // The id alone is as good a key.
    let list = ListIds { after: Some("early".into()), ..list };
    assert_eq!(index.list_ids(&list).unwrap().ids, [id("late")]);
    let list = ListIds { after: Some("late".into()), ..list };
    assert_eq!(index.list_ids(&list).unwrap(), IndexPage { ids: vec![], next: None });
    let list = ListIds { after: Some("runs".into()), ..list };
    assert!(matches!(index.list_ids(&list), Err(Refusal::Invalid { .. })));
    let window = ListIds {
        completed_from: Some(at(5)),
        completed_to: Some(at(9)),
        page_size: 9,
        ..ListIds::default()
    };
    assert_eq!(index.list_ids(&window).unwrap().ids, [id("early")]);
}

#[test]
fn a_token_that_no_page_gave_is_refused() {
    let index = hub(&[("a", running(1))]);
    for token in ["", "0", "created", "created/x/a", "created/1/", "named/", "ended/1/a", "nonsense/1/a"] {
        let refused = index.query(&Query { after: Some(token.into()), ..all(1) });
        assert!(matches!(refused, Err(Refusal::Invalid { .. })), "{token:?}: {refused:?}");
    }
    let list = ListIds { after: Some("named/a".into()), page_size: 1, ..ListIds::default() };
    assert!(matches!(index.list_ids(&list), Err(Refusal::Invalid { .. })));
}

#[test]
fn a_purge_by_filter_is_offered_ended_instances_only() {
    let index = hub(&[("a", running(1)), ("b", completed(2, 3)), ("c", failed(3, 4)), ("d", failed(9, 10))]);
    assert_eq!(index.ended_and_created(Statuses::ANY, None, Some(at(9)), 10), [id("b"), id("c")]);
    assert_eq!(
        index.ended_and_created(Statuses::of([Status::Failed, Status::Running]), None, None, 1),
        [id("c")]
    );
}

#[test]
fn counts_follow_the_instances() {
    let mut index = hub(&[("a", running(1)), ("b", running(2))]);
    index.upsert(&id("a"), completed(1, 2));
    assert_eq!(index.counts(), [0, 1, 0, 1, 0, 0, 0]);
    assert!(index.remove(&id("a")));
    assert!(!index.remove(&id("a")));
    assert_eq!(index.counts(), [0, 1, 0, 0, 0, 0, 0]);
    assert_eq!(index, hub(&[("b", running(2))]), "nothing is left behind");
}

#[test]
fn a_page_that_passes_over_thousands_ends_early_and_the_walk_still_finds_all() {
    let mut index = Index::default();
    for n in 0..20_000 {
        index.upsert(&id(&format!("x-{n:05}")), running(n % 2));
    }
    index.upsert(&id("y"), running(0));
    let query = Query { created_from: Some(at(1)), id_prefix: "y".into(), ..all(10) };
    assert_eq!(walk(&index, &query), Vec::<String>::new());
    let query = Query { created_from: Some(at(1)), id_prefix: "x-1".into(), ..all(100) };
    assert_eq!(walk(&index, &query).len(), 5_000);
}
