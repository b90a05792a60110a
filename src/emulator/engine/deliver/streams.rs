//! Knows the connected workers, and which of them gets the next piece of work.

use super::matching::{KINDS, Matching, PartyId};
use super::worklist::Class;
use crate::emulator::engine::command::{Offer, StreamId, WorkKind};
use crate::emulator::engine::volatile::{ClassId, LeaseId};
use crate::wire;
use std::collections::{BTreeMap, BTreeSet};

/// One connected worker.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) offer: Offer,
    party: PartyId,
    /// When it last got work of each kind: of streams that hold equally much, the one that waited longest is next.
    last: [u64; 3],
    pub(crate) active: [usize; 3],
    pub(crate) held: BTreeSet<LeaseId>,
    /// How many uncompleted items of each kind it may hold.
    limits: [usize; 3],
    /// How many bytes were handed to it that its worker is not known to have taken.
    queued: usize,
    /// Whether it is kept free for a work item under suspicion.
    reserved: bool,
}

impl Stream {
    /// Whether it takes more work of a kind, leaving aside what it is reserved for.
    pub(crate) fn takes_more(&self, kind: WorkKind, backlog: usize) -> bool {
        self.queued < backlog && self.active[kind as usize] < self.limits[kind as usize]
    }

    fn has_room(&self, kind: WorkKind, backlog: usize) -> bool {
        !self.reserved && self.takes_more(kind, backlog)
    }

    fn standing(&self, kind: WorkKind, id: StreamId) -> Standing {
        (self.active[kind as usize], self.last[kind as usize], id)
    }
}

/// What a stream may hold where its worker does not say, and what may wait for a worker that does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamBounds {
    /// Uncompleted items of a kind.
    pub(crate) items: usize,
    /// Bytes that were handed to the stream and that its worker has not taken.
    pub(crate) backlog: usize,
}

/// Where a stream stands among those with room: the one that holds the fewest items is next, then the one that waited
/// longest. A worker that answers is so preferred to one that only keeps what it gets.
pub(crate) type Standing = (usize, u64, StreamId);

/// Streams with the same filters: they are willing to run the same.
#[derive(Debug)]
struct Party {
    filters: Option<wire::WorkItemFilters>,
    members: usize,
    /// By kind of work: its streams that have room, the next one first.
    open: [BTreeSet<Standing>; 3],
}

/// Every connected worker of a hub.
#[derive(Debug)]
pub(crate) struct Streams {
    bounds: StreamBounds,
    all: BTreeMap<StreamId, Stream>,
    parties: BTreeMap<PartyId, Party>,
    formed: PartyId,
    handed: u64,
    pub(crate) matching: Matching,
}

impl Streams {
    pub(crate) fn new(bounds: StreamBounds) -> Self {
        Self {
            bounds,
            all: BTreeMap::new(),
            parties: BTreeMap::new(),
            formed: 0,
            handed: 0,
            matching: Matching::default(),
        }
    }

    pub(crate) fn get(&self, id: StreamId) -> Option<&Stream> {
        self.all.get(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (StreamId, &Stream)> {
        self.all.iter().map(|(id, stream)| (*id, stream))
    }

    pub(crate) fn open(&mut self, id: StreamId, offer: Offer) {
        let mut parties = self.parties.iter();
        let found = parties.find(|(_, party)| party.filters == offer.filters).map(|(party, _)| *party);
        let party = found.unwrap_or_else(|| self.form(offer.filters.clone()));
        let limits = [offer.turns, offer.activities, offer.batches];
        let stream = Stream {
            limits: limits.map(|limit| limit.unwrap_or(self.bounds.items)),
            offer,
            party,
            last: [self.handed; 3],
            active: [0; 3],
            held: BTreeSet::new(),
            queued: 0,
            reserved: false,
        };
        if let Some(members) = self.parties.get_mut(&party) {
            members.members += 1;
            for kind in KINDS {
                if stream.has_room(kind, self.bounds.backlog) {
                    members.open[kind as usize].insert(stream.standing(kind, id));
                    self.matching.set_room(party, kind, true);
                }
            }
        }
        self.all.insert(id, stream);
    }

    fn form(&mut self, filters: Option<wire::WorkItemFilters>) -> PartyId {
        self.formed += 1;
        self.matching.join(self.formed, filters.as_ref());
        self.parties.insert(self.formed, Party { filters, members: 0, open: Default::default() });
        self.formed
    }

    /// Forgets a stream and says what it held, oldest first.
    pub(crate) fn close(&mut self, id: StreamId) -> Vec<LeaseId> {
        let Some(stream) = self.all.remove(&id) else { return Vec::new() };
        if let Some(party) = self.parties.get_mut(&stream.party) {
            party.members -= 1;
            for kind in KINDS {
                let open = &mut party.open[kind as usize];
                open.remove(&stream.standing(kind, id));
                self.matching.set_room(stream.party, kind, !open.is_empty());
            }
            if party.members == 0 {
                self.parties.remove(&stream.party);
                self.matching.leave(stream.party);
            }
        }
        stream.held.into_iter().collect()
    }

    /// Whether any connected worker is willing to run a class, with or without room for it.
    pub(crate) fn anyone_takes(&mut self, id: ClassId, class: &Class) -> bool {
        !self.matching.willing(id, class).is_empty()
    }

    /// Every connected worker that is willing to run a class, and where it stands if it has room.
    pub(crate) fn takers(
        &mut self,
        id: ClassId,
        class: &Class,
    ) -> Vec<(StreamId, &Stream, Option<Standing>)> {
        let (kind, backlog) = (class.kind, self.bounds.backlog);
        let willing = self.matching.willing(id, class).to_vec();
        let takers = self.all.iter().filter(|(_, stream)| willing.contains(&stream.party));
        let standing =
            |id: StreamId, stream: &Stream| stream.has_room(kind, backlog).then(|| stream.standing(kind, id));
        takers.map(|(id, stream)| (*id, stream, standing(*id, stream))).collect()
    }

    /// The stream that gets the next piece of a class: `keeper` where it can, otherwise the one that holds the fewest,
    /// `avoid` only where no other can.
    pub(crate) fn pick(
        &mut self,
        id: ClassId,
        class: &Class,
        keeper: Option<StreamId>,
        avoid: Option<StreamId>,
    ) -> Option<StreamId> {
        let willing = self.matching.willing(id, class);
        if let Some(keeper) = keeper.filter(|keeper| Some(*keeper) != avoid) {
            let stream = self.all.get(&keeper);
            if stream
                .is_some_and(|s| s.has_room(class.kind, self.bounds.backlog) && willing.contains(&s.party))
            {
                return Some(keeper);
            }
        }
        let open = |party: &PartyId| self.parties.get(party).map(|party| &party.open[class.kind as usize]);
        let others = willing.iter().filter_map(open);
        let next = others.filter_map(|open| open.iter().find(|(.., id)| Some(*id) != avoid)).min();
        match next {
            Some((.., id)) => Some(*id),
            None => willing.iter().filter_map(open).filter_map(|open| open.first()).min().map(|(.., id)| *id),
        }
    }

    /// The streams that would take another piece of a class, those among them that are reserved.
    pub(crate) fn able(&mut self, id: ClassId, class: &Class) -> Vec<(StreamId, &Stream)> {
        let (kind, backlog) = (class.kind, self.bounds.backlog);
        let willing = self.matching.willing(id, class).to_vec();
        let able = |stream: &Stream| stream.takes_more(kind, backlog) && willing.contains(&stream.party);
        self.all.iter().filter(|(_, stream)| able(stream)).map(|(id, stream)| (*id, stream)).collect()
    }

    /// Books a piece of work of so many bytes on a stream. Whether the stream is now behind: it gets no more until its
    /// worker has taken something.
    pub(crate) fn hand(&mut self, id: StreamId, kind: WorkKind, lease: LeaseId, bytes: usize) -> bool {
        self.handed += 1;
        let (handed, backlog) = (self.handed, self.bounds.backlog);
        let mut behind = false;
        self.change(id, kind, |stream| {
            stream.held.insert(lease);
            stream.active[kind as usize] += 1;
            stream.last[kind as usize] = handed;
            stream.queued = stream.queued.saturating_add(bytes);
            behind = stream.queued >= backlog;
        });
        if behind {
            // It has no room for the other kinds either.
            self.change_all(id, |_| {});
        }
        behind
    }

    /// A worker has taken so many bytes from its stream. Whether the stream is still behind.
    pub(crate) fn taken(&mut self, id: StreamId, bytes: usize) -> bool {
        self.change_all(id, |stream| stream.queued = stream.queued.saturating_sub(bytes));
        self.all.get(&id).is_some_and(|stream| stream.queued >= self.bounds.backlog)
    }

    /// Keeps a stream free for one work item, or opens it to all again.
    pub(crate) fn reserve(&mut self, id: StreamId, reserved: bool) {
        self.change_all(id, |stream| stream.reserved = reserved);
    }

    /// Takes a piece of work off a stream: it is done, or given back.
    pub(crate) fn free(&mut self, id: StreamId, kind: WorkKind, lease: LeaseId) {
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
        open.remove(&stream.standing(kind, id));
        change(stream);
        if stream.has_room(kind, self.bounds.backlog) {
            open.insert(stream.standing(kind, id));
        }
        self.matching.set_room(stream.party, kind, !open.is_empty());
    }

    /// Changes what decides over all kinds of work at once.
    fn change_all(&mut self, id: StreamId, change: impl FnOnce(&mut Stream)) {
        let Some(stream) = self.all.get_mut(&id) else { return };
        let Some(party) = self.parties.get_mut(&stream.party) else { return };
        for kind in KINDS {
            party.open[kind as usize].remove(&stream.standing(kind, id));
        }
        change(stream);
        for kind in KINDS {
            let open = &mut party.open[kind as usize];
            if stream.has_room(kind, self.bounds.backlog) {
                open.insert(stream.standing(kind, id));
            }
            self.matching.set_room(stream.party, kind, !open.is_empty());
        }
    }
}
