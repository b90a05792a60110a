//! Finds instances for clients without looking at all of them.
//!
//! Holds ids and what they are ordered by, nothing else; what an instance looks like is rendered elsewhere. Every
//! order is kept once for each status, so that a page of one status never passes over instances of another: a walk
//! over several statuses merges their orders.
//!
//! A cursor is the key of the last instance of a page, and the next page begins after it. An instance that changes its
//! status in mid-walk keeps its key, so no walk lists it twice.

mod cursor;
mod merge;
mod walk;

use crate::model::{InstanceId, Status, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// What of an instance its place in the index depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it stands.
    pub(crate) status: Status,
    /// When it was created.
    pub(crate) created: Timestamp,
    /// When it ended; `None` while it has not.
    pub(crate) ended: Option<Timestamp>,
}

/// A moment, and the id that tells equal moments apart.
type Key = (Timestamp, InstanceId);

/// The instances of a hub, in every order that clients ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Index {
    entries: BTreeMap<InstanceId, Entry>,
    created: [BTreeSet<Key>; 7],
    named: [BTreeMap<InstanceId, Timestamp>; 7],
    ended: [BTreeSet<Key>; 7],
}

impl Index {
    /// Puts an instance where it belongs now, wherever it was before.
    pub(crate) fn upsert(&mut self, id: &InstanceId, entry: Entry) {
        let before = self.entries.insert(id.clone(), entry);
        if before == Some(entry) {
            return;
        }
        if let Some(before) = before {
            self.take_out(id, before);
        }
        let at = entry.status as usize;
        self.created[at].insert((entry.created, id.clone()));
        self.named[at].insert(id.clone(), entry.created);
        if let Some(ended) = entry.ended {
            self.ended[at].insert((ended, id.clone()));
        }
    }

    /// Forgets an instance. Whether it was there.
    pub(crate) fn remove(&mut self, id: &InstanceId) -> bool {
        match self.entries.remove(id) {
            Some(entry) => {
                self.take_out(id, entry);
                true
            }
            None => false,
        }
    }

    /// How many instances there are by status, in the order of [`Status::ALL`].
    pub(crate) fn counts(&self) -> [usize; 7] {
        std::array::from_fn(|at| self.named[at].len())
    }

    fn take_out(&mut self, id: &InstanceId, entry: Entry) {
        let at = entry.status as usize;
        self.created[at].remove(&(entry.created, id.clone()));
        self.named[at].remove(id);
        if let Some(ended) = entry.ended {
            self.ended[at].remove(&(ended, id.clone()));
        }
    }
}

#[cfg(test)]
mod tests;
