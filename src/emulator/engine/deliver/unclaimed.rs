//! Finds work that waits though workers are connected, because none of them takes its name and version.

use super::worklist::Class;
use crate::emulator::engine::Engine;
use crate::emulator::engine::command::{Offer, WorkKind};
use crate::emulator::engine::notice::{Listening, Nearest, Warning};
use crate::model::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often is looked, and how long work waits at the least before it is told: a worker may be about to connect.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many classes are watched at a time.
const WATCHED: usize = 1_000;

/// What was seen to wait without a worker that takes it.
#[derive(Debug, Default)]
pub(crate) struct Unclaimed {
    seen: BTreeMap<Class, SeenUnclaimed>,
    /// When is looked next, at the earliest.
    next: Timestamp,
    /// Whether that look may find what is not told yet; otherwise nothing needs to wake the hub for it.
    wanted: bool,
}

#[derive(Debug, Clone, Copy)]
struct SeenUnclaimed {
    since: Timestamp,
    warned: bool,
}

impl Unclaimed {
    /// When the hub has to look though nothing is asked of it.
    pub(crate) fn next_look(&self) -> Option<Timestamp> {
        self.wanted.then_some(self.next)
    }

    /// Begins anew: the log does not take warnings.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Engine {
    /// Looks for names that wait and that no connected worker takes, and tells of each that was there at a look before.
    ///
    /// It costs a comparison, save once in [`PATIENCE`] while something waits. A name is told again only after a worker
    /// took it meanwhile.
    pub(crate) fn look_for_unclaimed(&mut self, now: Timestamp) {
        if !self.decider.notices.are_for(Listening::Warnings) {
            return;
        }
        if self.work.is_empty() {
            self.unclaimed.seen.clear();
            self.unclaimed.wanted = false;
            return;
        }
        if now < self.unclaimed.next {
            self.unclaimed.wanted = true;
            return;
        }
        let mut before = std::mem::take(&mut self.unclaimed.seen);
        let mut seen = BTreeMap::new();
        for id in self.work.with_work() {
            let class = self.work.named(id).clone();
            if seen.len() == WATCHED || self.streams.anyone_takes(id, &class) {
                continue;
            }
            // An entry can be out of date.
            let waiting = || self.work.ready(id).iter().filter(|waiting| self.is_ready(&waiting.work, id));
            if waiting().next().is_none() {
                continue;
            }
            let mut found = before.remove(&class).unwrap_or(SeenUnclaimed { since: now, warned: false });
            if !found.warned && now.since(found.since) >= PATIENCE {
                found.warned = true;
                let offers = || self.streams.iter().map(|(_, stream)| &stream.offer);
                let warning = Warning::Unclaimed {
                    kind: class.kind,
                    name: class.name.to_string(),
                    version: Some(class.version.to_string()).filter(|version| !version.is_empty()),
                    waits: waiting().count(),
                    workers: offers().count(),
                    nearest: nearest(offers(), &class),
                };
                self.decider.notices.warn(|| warning);
            }
            seen.insert(class, found);
        }
        self.unclaimed.next = now.plus(PATIENCE);
        self.unclaimed.wanted = seen.values().any(|seen| !seen.warned);
        self.unclaimed.seen = seen;
    }
}

/// What the workers take that may have been meant: the same version written otherwise, the name in other versions, or
/// the name in other case, whichever is found first in this order.
fn nearest<'a>(offers: impl Iterator<Item = &'a Offer>, class: &Class) -> Option<Nearest> {
    let taken: BTreeSet<(&str, &[String])> = offers.flat_map(|offer| taken(offer, class.kind)).collect();
    let same_name = || taken.iter().filter(|(name, _)| *name == &*class.name);
    let versions: BTreeSet<&String> = same_name().flat_map(|(_, versions)| *versions).collect();
    if let Some(version) = versions.iter().find(|version| is_same_version(version, &class.version)) {
        return Some(Nearest::Version((*version).clone()));
    }
    if !versions.is_empty() {
        return Some(Nearest::Versions(versions.into_iter().cloned().collect()));
    }
    let other_case = taken.iter().find(|(name, _)| name.eq_ignore_ascii_case(&class.name));
    other_case.map(|(name, _)| Nearest::Name((*name).to_owned()))
}

/// The names that a worker takes of a kind, each with its versions.
fn taken(offer: &Offer, kind: WorkKind) -> Vec<(&str, &[String])> {
    let Some(filters) = &offer.filters else { return Vec::new() };
    match kind {
        WorkKind::Turn => filters.orchestrations.iter().map(|f| (&*f.name, &*f.versions)).collect(),
        WorkKind::Activity => filters.activities.iter().map(|f| (&*f.name, &*f.versions)).collect(),
        WorkKind::Batch => filters.entities.iter().map(|f| (&*f.name, &[][..])).collect(),
    }
}

/// Whether two versions differ in their writing alone: `1`, `1.0`, `1.0.0` and `v1.0` are one.
fn is_same_version(one: &str, other: &str) -> bool {
    fn plain(version: &str) -> Option<String> {
        let lower = version.trim().to_ascii_lowercase();
        let mut plain = lower.strip_prefix('v').unwrap_or(&lower);
        while let Some(shorter) = plain.strip_suffix(".0") {
            plain = shorter;
        }
        (!plain.is_empty()).then(|| plain.to_owned())
    }
    plain(one).is_some_and(|one| plain(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_same_however_it_is_written() {
        for (one, other, same) in [
            ("1.0", "1.0.0", true),
            ("1", "1.0.0", true),
            ("v2.1", "2.1", true),
            ("2.0-Beta", "2.0-beta", true),
            ("1.0", "1.1", false),
            ("10", "1.0", false),
            ("", "", false),
            ("", "0", false),
        ] {
            assert_eq!(is_same_version(one, other), same, "{one:?} and {other:?}");
        }
    }
}
