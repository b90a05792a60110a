//! Knows the connected workers, and which of them gets the next piece of work.

use super::command::{Offer, StreamId, WorkKind};
use super::lease::LeaseId;
use super::worklist::{Class, ClassId};
use crate::wire;
use std::collections::{BTreeMap, BTreeSet};

/// One connected worker.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) offer: Offer,
    party: PartyId,
    /// When it last got work of each kind: who waited longest is next.
    last: [u64; 3],
    pub(super) active: [usize; 3],
    pub(super) held: BTreeSet<LeaseId>,
}

impl Stream {
    fn has_room(&self, kind: WorkKind) -> bool {
        let limit = match kind {
            WorkKind::Turn => self.offer.turns,
            WorkKind::Activity => self.offer.activities,
            WorkKind::Batch => self.offer.batches,
        };
        limit.is_none_or(|limit| self.active[kind as usize] < limit)
    }
}

type PartyId = u32;

/// Streams with the same filters: they are willing to run the same.
#[derive(Debug)]
struct Party {
    filters: Option<wire::WorkItemFilters>,
    members: usize,
    /// By kind of work: its streams that have room, the one that waited longest first.
    open: [BTreeSet<(u64, StreamId)>; 3],
}

/// Every connected worker of a hub.
#[derive(Debug, Default)]
pub(super) struct Streams {
    all: BTreeMap<StreamId, Stream>,
    parties: BTreeMap<PartyId, Party>,
    formed: PartyId,
    handed: u64,
    /// Which parties are willing to run a class; made anew when a party comes or goes.
    willing: BTreeMap<ClassId, Vec<PartyId>>,
}

impl Streams {
    pub(super) fn get(&self, id: StreamId) -> Option<&Stream> {
        self.all.get(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (StreamId, &Stream)> {
        self.all.iter().map(|(id, stream)| (*id, stream))
    }

    pub(super) fn open(&mut self, id: StreamId, offer: Offer) {
        let mut parties = self.parties.iter();
        let found = parties.find(|(_, party)| party.filters == offer.filters).map(|(party, _)| *party);
        let party = found.unwrap_or_else(|| self.form(offer.filters.clone()));
        let stream = Stream { offer, party, last: [self.handed; 3], active: [0; 3], held: BTreeSet::new() };
        if let Some(members) = self.parties.get_mut(&party) {
            members.members += 1;
            for kind in [WorkKind::Turn, WorkKind::Activity, WorkKind::Batch] {
                if stream.has_room(kind) {
                    members.open[kind as usize].insert((stream.last[kind as usize], id));
                }
            }
        }
        self.all.insert(id, stream);
    }

    fn form(&mut self, filters: Option<wire::WorkItemFilters>) -> PartyId {
        self.formed += 1;
        self.parties.insert(self.formed, Party { filters, members: 0, open: Default::default() });
        self.willing.clear();
        self.formed
    }

    /// Forgets a stream and says what it held, oldest first.
    pub(super) fn close(&mut self, id: StreamId) -> Vec<LeaseId> {
        let Some(stream) = self.all.remove(&id) else { return Vec::new() };
        if let Some(party) = self.parties.get_mut(&stream.party) {
            party.members -= 1;
            for (open, last) in party.open.iter_mut().zip(stream.last) {
                open.remove(&(last, id));
            }
            if party.members == 0 {
                self.parties.remove(&stream.party);
                self.willing.clear();
            }
        }
        stream.held.into_iter().collect()
    }

    /// Whether any connected worker is willing to run a class, with or without room for it.
    pub(super) fn anyone_takes(&mut self, id: ClassId, class: &Class) -> bool {
        !self.willing(id, class).is_empty()
    }

    fn willing(&mut self, id: ClassId, class: &Class) -> &[PartyId] {
        let parties = &self.parties;
        self.willing.entry(id).or_insert_with(|| {
            let takes = |party: &Party| party.filters.as_ref().is_none_or(|filters| takes(filters, class));
            parties.iter().filter(|(_, party)| takes(party)).map(|(id, _)| *id).collect()
        })
    }

    /// The stream that gets the next piece of a class: `keeper` where it can, otherwise the one that waited longest,
    /// `avoid` only where nobody else can.
    pub(super) fn pick(
        &mut self,
        id: ClassId,
        class: &Class,
        keeper: Option<StreamId>,
        avoid: Option<StreamId>,
    ) -> Option<StreamId> {
        self.willing(id, class);
        let willing = self.willing.get(&id)?;
        if let Some(keeper) = keeper.filter(|keeper| Some(*keeper) != avoid) {
            let stream = self.all.get(&keeper);
            if stream.is_some_and(|s| s.has_room(class.kind) && willing.contains(&s.party)) {
                return Some(keeper);
            }
        }
        let open = |party: &PartyId| self.parties.get(party).map(|party| &party.open[class.kind as usize]);
        let others = willing.iter().filter_map(open);
        let longest = others.filter_map(|open| open.iter().find(|(_, id)| Some(*id) != avoid)).min();
        match longest {
            Some((_, id)) => Some(*id),
            None => willing.iter().filter_map(open).filter_map(|open| open.first()).min().map(|(_, id)| *id),
        }
    }

    /// Books a piece of work on a stream.
    pub(super) fn hand(&mut self, id: StreamId, kind: WorkKind, lease: LeaseId) {
        self.handed += 1;
        let handed = self.handed;
        self.change(id, kind, |stream| {
            stream.held.insert(lease);
            stream.active[kind as usize] += 1;
            stream.last[kind as usize] = handed;
        });
    }

    /// Takes a piece of work off a stream: it is done, or given back.
    pub(super) fn free(&mut self, id: StreamId, kind: WorkKind, lease: LeaseId) {
        self.change(id, kind, |stream| {
            if stream.held.remove(&lease) {
                stream.active[kind as usize] -= 1;
            }
        });
    }

    fn change(&mut self, id: StreamId, kind: WorkKind, change: impl FnOnce(&mut Stream)) {
        let Some(stream) = self.all.get_mut(&id) else { return };
        let Some(party) = self.parties.get_mut(&stream.party) else { return };
        let open = &mut party.open[kind as usize];
        open.remove(&(stream.last[kind as usize], id));
        change(stream);
        if stream.has_room(kind) {
            open.insert((stream.last[kind as usize], id));
        }
    }
}

/// Whether filters let a class through (wire-semantics A.8): a category that lists nothing takes nothing.
fn takes(filters: &wire::WorkItemFilters, class: &Class) -> bool {
    // No versions listed means any; "" in the list means "without a version".
    // Java's worker lists "*" where it has a function for every name (R75).
    let named = |name: &str| name == &*class.name || name == "*";
    let version = |listed: &[String]| listed.is_empty() || listed.iter().any(|v| **v == *class.version);
    match class.kind {
        WorkKind::Turn => filters.orchestrations.iter().any(|f| named(&f.name) && version(&f.versions)),
        WorkKind::Activity => filters.activities.iter().any(|f| named(&f.name) && version(&f.versions)),
        // SDKs lower-case entity names; a filter may come in any case (R46).
        WorkKind::Batch => filters.entities.iter().any(|f| f.name.eq_ignore_ascii_case(&class.name)),
    }
}
