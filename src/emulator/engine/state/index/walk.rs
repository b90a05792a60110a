//! Walks the index a page at a time.

use super::cursor::Cursor;
use super::merge::Merged;
use super::{Index, Key};
use crate::emulator::engine::command::{ListIds, Query, Refusal};
use crate::model::{InstanceId, Status, Statuses, Timestamp};
use std::collections::BTreeSet;
use std::ops::Bound;

/// A page of ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexPage {
    /// The ids, in order.
    pub(crate) ids: Vec<InstanceId>,
    /// Where the next page begins; `None` on the last one.
    pub(crate) next: Option<String>,
}

/// How many instances a page may pass over that do not fit. No order serves a prefix *and* a range of moments exactly;
/// such a page ends early where it finds too little, and the next one goes on.
const MOST_PASSED: usize = 4_096;

const TERMINAL: [Status; 4] = [Status::Completed, Status::Failed, Status::Terminated, Status::Canceled];

impl Index {
    /// A page of instances, by moment of creation or, where a prefix asks for it, by id.
    ///
    /// # Errors
    ///
    /// [`Refusal::Invalid`] where `after` is not what a page before said.
    pub(crate) fn query(&self, query: &Query) -> Result<IndexPage, Refusal> {
        match query.after.as_deref().map(Cursor::read).transpose()? {
            Some(Cursor::Created(at, id)) => Ok(self.by_creation(query, Some((at, id)))),
            Some(Cursor::Named(id)) => Ok(self.by_name(query, Some(&id))),
            Some(Cursor::Ended(..) | Cursor::EndedUntilEmpty(..)) => Err(Refusal::Invalid {
                what: "the continuation token is one of a list of ids, not of a query: give back what the last page said"
                    .to_owned(),
            }),
            None if self.name_is_the_better_guide(query) => Ok(self.by_name(query, None)),
            None => Ok(self.by_creation(query, None)),
        }
    }

    /// A page of ended instances, by moment of their end.
    ///
    /// It begins after what the page before said, or after an instance: the official Java package goes on from the last
    /// id of a page that said nothing.
    ///
    /// # Errors
    ///
    /// [`Refusal::Invalid`] where `after` is neither.
    pub(crate) fn list_ids(&self, list: &ListIds) -> Result<IndexPage, Refusal> {
        let after =
            list.after.as_deref().map(|token| self.ended_as(token).map_or_else(|| Cursor::read(token), Ok));
        let (after, until_empty) = match after.transpose()? {
            Some(Cursor::Ended(at, id)) => (Some((at, id)), list.until_empty),
            Some(Cursor::EndedUntilEmpty(at, id)) => (Some((at, id)), true),
            None => (None, list.until_empty),
            Some(Cursor::Created(..) | Cursor::Named(_)) => {
                return Err(Refusal::Invalid {
                    what: "the last instance key is one of a query, not of a list of ids: give back what the last page said"
                        .to_owned(),
                });
            }
        };
        let sets = statuses(list.statuses).filter(|status| status.is_terminal());
        let sets = sets.map(|status| &self.ended[status as usize]);
        let keys = in_range(sets, list.completed_from, list.completed_to, after);
        let mut found = take(keys.map(|key| (key, true)), list.page_size);
        if until_empty {
            found.last = found.keys.last().copied();
            return Ok(finish(found, |(at, id)| Cursor::EndedUntilEmpty(*at, id.clone()), |(_, id)| id));
        }
        Ok(finish(found, |(at, id)| Cursor::Ended(*at, id.clone()), |(_, id)| id))
    }

    /// The first ended instances of those statuses that were created in the
    /// range, oldest first: what a purge by filter deletes.
    pub(crate) fn ended_and_created(
        &self,
        wanted: Statuses,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        at_most: usize,
    ) -> Vec<InstanceId> {
        let sets = TERMINAL.into_iter().filter(|status| wanted.contains(*status));
        let sets = sets.map(|status| &self.created[status as usize]);
        in_range(sets, from, to, None).take(at_most).map(|(_, id)| id.clone()).collect()
    }

    /// Where an ended instance of that id stands.
    fn ended_as(&self, id: &str) -> Option<Cursor> {
        let id = InstanceId::unchecked(id);
        let ended = self.entries.get(&id)?.ended?;
        Some(Cursor::Ended(ended, id))
    }

    fn by_creation(&self, query: &Query, after: Option<Key>) -> IndexPage {
        let sets = statuses(query.statuses).map(|status| &self.created[status as usize]);
        let keys = in_range(sets, query.created_from, query.created_to, after);
        let keys = keys.map(|key| (key, key.1.as_str().starts_with(&query.id_prefix)));
        finish(take(keys, query.page_size), |(at, id)| Cursor::Created(*at, id.clone()), |(_, id)| id)
    }

    fn by_name(&self, query: &Query, after: Option<&InstanceId>) -> IndexPage {
        let keys = self.named_so(query, after).map(|(id, created)| {
            let from = query.created_from.is_none_or(|from| *created >= from);
            (id, from && query.created_to.is_none_or(|to| *created < to))
        });
        finish(take(keys, query.page_size), |id| Cursor::Named((*id).clone()), |id| id)
    }

    fn named_so<'a>(
        &'a self,
        query: &'a Query,
        after: Option<&InstanceId>,
    ) -> impl Iterator<Item = (&'a InstanceId, &'a Timestamp)> {
        let from = match after {
            Some(after) if after.as_str() >= query.id_prefix.as_str() => Bound::Excluded(after.as_str()),
            Some(_) | None => Bound::Included(query.id_prefix.as_str()),
        };
        let maps = statuses(query.statuses).map(|status| &self.named[status as usize]);
        let walks: Vec<_> = maps.map(|map| map.range::<str, _>((from, Bound::Unbounded))).collect();
        Merged::of(walks).take_while(|(id, _)| id.as_str().starts_with(&query.id_prefix))
    }

    /// Whether a query is better walked by id. A prefix alone always is; with a range of moments beside it, whichever
    /// of the two leaves fewer instances.
    fn name_is_the_better_guide(&self, query: &Query) -> bool {
        if query.id_prefix.is_empty() {
            return false;
        }
        if query.created_from.is_none() && query.created_to.is_none() {
            return true;
        }
        let sets = statuses(query.statuses).map(|status| &self.created[status as usize]);
        let mut created = in_range(sets, query.created_from, query.created_to, None).take(MOST_PASSED);
        let mut named = self.named_so(query, None).take(MOST_PASSED);
        loop {
            match (named.next(), created.next()) {
                (None, _) => return true,
                (Some(_), None) => return false,
                (Some(_), Some(_)) => {}
            }
        }
    }
}

/// The statuses asked for, each once; all where none is named.
fn statuses(wanted: Statuses) -> impl Iterator<Item = Status> {
    Status::ALL.into_iter().filter(move |status| wanted.contains(*status))
}

/// Keys from `from`, inclusive, to `to`, exclusive, and after `after`.
fn in_range<'a>(
    sets: impl Iterator<Item = &'a BTreeSet<Key>>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    after: Option<Key>,
) -> impl Iterator<Item = &'a Key> {
    let first = from.map(|from| (from, InstanceId::unchecked("")));
    // A cursor from before the range (of another query) begins at the range.
    let start = match (after, first) {
        (Some(after), Some(first)) if after < first => Bound::Included(first),
        (Some(after), _) => Bound::Excluded(after),
        (None, Some(first)) => Bound::Included(first),
        (None, None) => Bound::Unbounded,
    };
    let walks: Vec<_> = sets.map(|set| set.range((start.clone(), Bound::Unbounded))).collect();
    Merged::of(walks).take_while(move |(at, _)| to.is_none_or(|to| *at < to))
}

/// What a page found, and the key after which the next one goes on.
struct Found<K> {
    keys: Vec<K>,
    last: Option<K>,
}

/// Takes a page of the keys that fit, passing over a bounded number of others.
fn take<K: Copy>(keys: impl Iterator<Item = (K, bool)>, page_size: usize) -> Found<K> {
    let page_size = page_size.max(1);
    let mut found = Found { keys: Vec::new(), last: None };
    let mut last = None;
    let mut passed = 0;
    for (key, fits) in keys {
        // One more fits than there is room for, or enough was passed over: there is another page.
        if (fits && found.keys.len() == page_size) || passed == MOST_PASSED {
            found.last = last;
            break;
        }
        if fits {
            found.keys.push(key);
        } else {
            passed += 1;
        }
        last = Some(key);
    }
    found
}

fn finish<'a, K: Copy>(
    found: Found<K>,
    cursor: impl Fn(K) -> Cursor,
    id: impl Fn(K) -> &'a InstanceId,
) -> IndexPage {
    let ids = found.keys.into_iter().map(|key| id(key).clone()).collect();
    IndexPage { ids, next: found.last.map(|key| cursor(key).write()) }
}
