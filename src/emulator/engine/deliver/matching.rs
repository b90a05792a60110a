//! Matches work that waits with the workers that have room for it.
//!
//! A command must not cost what waits in vain: thousands of names may wait that no worker takes, or whose workers are
//! busy. So no walk over the classes finds out what can be handed out. It is known beforehand: each party of workers has
//! its own queue of the classes that wait and that it takes, and a party that has both a stream with room and such a
//! class is *able*. What changes that is noted when it happens: a class gets its first piece of work or loses its last
//! one ([`Matching::enlist`], [`Matching::delist`]), a party comes, goes, or gets or loses its room.
//!
//! Every party takes its classes in turn, so that none starves another.

use super::worklist::{Class, Worklist};
use crate::emulator::engine::Engine;
use crate::emulator::engine::command::WorkKind;
use crate::emulator::engine::volatile::ClassId;
use crate::wire;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

/// The number of a party: streams with the same filters.
pub(crate) type PartyId = u32;

/// Every kind of work, in the order of their numbers.
pub(crate) const KINDS: [WorkKind; 3] = [WorkKind::Turn, WorkKind::Activity, WorkKind::Batch];

/// What the parties take, what of it waits, and which of them have room.
#[derive(Debug, Default)]
pub(crate) struct Matching {
    parties: BTreeMap<PartyId, Interests>,
    /// Parties whose queues do not hold yet what waited before they came.
    newcomers: Vec<PartyId>,
    /// The classes that wait, by kind of work: the queue of every party that takes all of that kind.
    waiting: [BTreeSet<ClassId>; 3],
    /// Parties that have room for a kind of work and a class of that kind in their queue.
    able: BTreeSet<(PartyId, WorkKind)>,
    /// The one that was served last: the next one behind it is next.
    last: Option<(PartyId, WorkKind)>,
    /// Which parties are willing to run a class, as it was found out when the number was that of `changes`.
    willing: BTreeMap<ClassId, (u64, Vec<PartyId>)>,
    /// How often a party has come or gone.
    changes: u64,
    /// How many classes were looked at: tests count work, not time.
    #[cfg(test)]
    pub(crate) visits: usize,
}

/// What a party takes, by kind of work.
#[derive(Debug)]
struct Interests([Interest; 3]);

#[derive(Debug)]
struct Interest {
    names: NameFilter,
    /// The classes that wait and that it takes; empty where it takes all of them.
    queue: BTreeSet<ClassId>,
    /// The class that was served last: the next one behind it is next.
    last: Option<ClassId>,
    has_room: bool,
}

/// The names that a party takes of a kind of work, in a form that is looked up instead of searched.
#[derive(Debug)]
enum NameFilter {
    All,
    Listed(BTreeMap<String, VersionFilter>),
}

/// The versions that a party takes of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum VersionFilter {
    Any,
    /// "" in the list means "without a version".
    Listed(BTreeSet<String>),
}

/// Stands for every name: Java's worker lists it where it has a function for every name (R75).
const EVERY_NAME: &str = "*";

impl Engine {
    /// Takes in what has changed since the last time work was handed out.
    pub(crate) fn match_up(&mut self) {
        for class in self.work.take_crowded() {
            let mut seen = BTreeSet::new();
            let mut queue = self.work.take_all(class);
            // An instance that was replaced while it waited is in its queue twice.
            queue.retain(|it| self.is_ready(&it.work, class) && seen.insert(it.work.clone()));
            if queue.is_empty() {
                let named = self.work.named(class).clone();
                self.streams.matching.delist(class, &named);
            }
            self.work.put_back(class, queue);
        }
        self.streams.matching.update(&mut self.work);
    }
}

impl Matching {
    /// A party comes; it has no room yet.
    pub(crate) fn join(&mut self, party: PartyId, filters: Option<&wire::WorkItemFilters>) {
        let names = KINDS.map(|kind| NameFilter::of(kind, filters));
        let interest = |names| Interest { names, queue: BTreeSet::new(), last: None, has_room: false };
        self.parties.insert(party, Interests(names.map(interest)));
        self.newcomers.push(party);
        self.changes += 1;
    }

    /// The last stream of a party has ended.
    pub(crate) fn leave(&mut self, party: PartyId) {
        self.parties.remove(&party);
        for kind in KINDS {
            self.able.remove(&(party, kind));
        }
        self.changes += 1;
    }

    /// Notes whether a party has a stream with room for a kind of work.
    pub(crate) fn set_room(&mut self, party: PartyId, kind: WorkKind, has_room: bool) {
        let Some(interests) = self.parties.get_mut(&party) else { return };
        let interest = &mut interests.0[kind as usize];
        if interest.has_room != has_room {
            interest.has_room = has_room;
            if has_room && !interest.queue(&self.waiting[kind as usize]).is_empty() {
                self.able.insert((party, kind));
            } else {
                self.able.remove(&(party, kind));
            }
        }
    }

    /// Takes in which parties have come, and which classes have got work.
    fn update(&mut self, work: &mut Worklist) {
        for party in std::mem::take(&mut self.newcomers) {
            self.enrol(party, work);
        }
        for class in work.take_woken() {
            if work.has(class) {
                self.enlist(class, work.named(class));
            }
        }
        for class in work.forget_idle() {
            self.willing.remove(&class);
        }
    }

    /// Fills the queues of a party with what waited before it came.
    fn enrol(&mut self, party: PartyId, work: &Worklist) {
        let Some(interests) = self.parties.get_mut(&party) else { return };
        for kind in KINDS {
            let waiting = &self.waiting[kind as usize];
            let interest = &mut interests.0[kind as usize];
            if let NameFilter::Listed(listed) = &interest.names {
                let every_name = kind != WorkKind::Batch && listed.contains_key(EVERY_NAME);
                let takes = |class: &ClassId| interest.names.take(work.named(*class));
                if every_name {
                    interest.queue = waiting.iter().copied().filter(takes).collect();
                } else {
                    let named = listed.keys().flat_map(|name| work.of_name(kind, name));
                    interest.queue = named.filter(|class| waiting.contains(class)).filter(takes).collect();
                }
            }
            if interest.has_room && !interest.queue(waiting).is_empty() {
                self.able.insert((party, kind));
            }
        }
    }

    /// A class has work.
    fn enlist(&mut self, id: ClassId, class: &Class) {
        let kind = class.kind;
        if !self.waiting[kind as usize].insert(id) {
            return;
        }
        self.find_willing(id, class);
        let Some((_, willing)) = self.willing.get(&id) else { return };
        for party in willing {
            let Some(interests) = self.parties.get_mut(party) else { continue };
            let interest = &mut interests.0[kind as usize];
            if matches!(interest.names, NameFilter::Listed(_)) {
                interest.queue.insert(id);
            }
            if interest.has_room {
                self.able.insert((*party, kind));
            }
        }
    }

    /// A class has no work any more.
    pub(crate) fn delist(&mut self, id: ClassId, class: &Class) {
        let kind = class.kind;
        self.waiting[kind as usize].remove(&id);
        self.find_willing(id, class);
        let Some((_, willing)) = self.willing.get(&id) else { return };
        for party in willing {
            let Some(interests) = self.parties.get_mut(party) else { continue };
            let interest = &mut interests.0[kind as usize];
            interest.queue.remove(&id);
            if interest.queue(&self.waiting[kind as usize]).is_empty() {
                self.able.remove(&(*party, kind));
            }
        }
    }

    /// The next class that has work and a stream with room for it: the parties that are able take turns, and so do the
    /// classes of each.
    pub(crate) fn next_class(&mut self) -> Option<ClassId> {
        let behind = self.last.and_then(|last| self.able.range((Excluded(last), Unbounded)).next());
        let (party, kind) = *behind.or_else(|| self.able.first())?;
        self.last = Some((party, kind));
        let interest = &mut self.parties.get_mut(&party)?.0[kind as usize];
        let queue = match interest.names {
            NameFilter::All => &self.waiting[kind as usize],
            NameFilter::Listed(_) => &interest.queue,
        };
        let behind = interest.last.and_then(|last| queue.range((Excluded(last), Unbounded)).next());
        let class = *behind.or_else(|| queue.first())?;
        interest.last = Some(class);
        #[cfg(test)]
        {
            self.visits += 1;
        }
        Some(class)
    }

    /// The parties that are willing to run a class, with or without room for it.
    pub(crate) fn willing(&mut self, id: ClassId, class: &Class) -> &[PartyId] {
        self.find_willing(id, class);
        self.willing.get(&id).map_or(&[], |(_, willing)| willing)
    }

    /// Finds out which parties take a class, unless that is known and none has come or gone since.
    fn find_willing(&mut self, id: ClassId, class: &Class) {
        let known = self.willing.entry(id).or_insert((0, Vec::new()));
        if known.0 != self.changes {
            let takes = |interests: &Interests| interests.0[class.kind as usize].names.take(class);
            let willing = self.parties.iter().filter(|(_, interests)| takes(interests));
            *known = (self.changes, willing.map(|(party, _)| *party).collect());
        }
    }
}

impl Interest {
    /// The classes that wait and that it takes, where `waiting` are all of the kind.
    fn queue<'a>(&'a self, waiting: &'a BTreeSet<ClassId>) -> &'a BTreeSet<ClassId> {
        match self.names {
            NameFilter::All => waiting,
            NameFilter::Listed(_) => &self.queue,
        }
    }
}

impl NameFilter {
    /// What filters let through of a kind of work (protocol/transport.md#filters): no filters let everything through, a category
    /// that lists nothing takes nothing.
    fn of(kind: WorkKind, filters: Option<&wire::WorkItemFilters>) -> Self {
        let Some(filters) = filters else { return Self::All };
        let mut listed = BTreeMap::new();
        let mut list = |name: String, versions: &[String]| {
            let versions = match versions {
                [] => VersionFilter::Any,
                some => VersionFilter::Listed(some.iter().cloned().collect()),
            };
            listed.entry(name).or_insert_with(|| VersionFilter::Listed(BTreeSet::new())).add(versions);
        };
        match kind {
            WorkKind::Turn => filters.orchestrations.iter().for_each(|f| list(f.name.clone(), &f.versions)),
            WorkKind::Activity => filters.activities.iter().for_each(|f| list(f.name.clone(), &f.versions)),
            // SDKs lower-case entity names; a filter may come in any case (R46).
            WorkKind::Batch => filters.entities.iter().for_each(|f| list(f.name.to_ascii_lowercase(), &[])),
        }
        match listed.get(EVERY_NAME) {
            Some(VersionFilter::Any) if kind != WorkKind::Batch => Self::All,
            Some(_) | None => Self::Listed(listed),
        }
    }

    fn take(&self, class: &Class) -> bool {
        let Self::Listed(listed) = self else { return true };
        let named = |name: &str| listed.get(name).is_some_and(|versions| versions.take(&class.version));
        named(&class.name) || (class.kind != WorkKind::Batch && named(EVERY_NAME))
    }
}

impl VersionFilter {
    fn take(&self, version: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(listed) => listed.contains(version),
        }
    }

    /// A name may be listed more than once: then it is taken in all of these versions.
    fn add(&mut self, more: Self) {
        match (&mut *self, more) {
            (Self::Listed(listed), Self::Listed(more)) => listed.extend(more),
            (Self::Any, _) | (_, Self::Any) => *self = Self::Any,
        }
    }
}
