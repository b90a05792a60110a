//! Matches external events with the waits for them: first come, first served, on both sides.

use super::slot::{CallSite, Raised, Slot};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// Waits and events by name, without regard to case. For one name there are only waits or only events.
#[derive(Debug, Default)]
pub(super) struct Events {
    waiting: BTreeMap<String, VecDeque<(Rc<Slot>, CallSite)>>,
    kept: BTreeMap<String, VecDeque<Raised>>,
    arrived: u64,
}

impl Events {
    /// Gives the event to the first wait in the queue; keeps it where the queue is empty.
    pub(super) fn arrive(
        &mut self,
        name: String,
        input: Option<String>,
        timestamp: Option<prost_types::Timestamp>,
    ) -> Option<(Rc<Slot>, Raised)> {
        self.arrived += 1;
        self.place(Raised { name, input, timestamp, order: self.arrived })
    }

    /// Finds a taker for an event: a new one, or one that was handed out and not taken, which then stands again
    /// where it stood before.
    pub(super) fn place(&mut self, raised: Raised) -> Option<(Rc<Slot>, Raised)> {
        let name = folded(&raised.name);
        if let Some(queue) = self.waiting.get_mut(&name) {
            while let Some((slot, _)) = queue.pop_front() {
                if waits(&slot) {
                    return Some((slot, raised));
                }
            }
            self.waiting.remove(&name);
        }
        let kept = self.kept.entry(name).or_default();
        let at = kept.partition_point(|other| other.order < raised.order);
        kept.insert(at, raised);
        None
    }

    /// The first kept event of a name; `None` puts `slot` into the queue.
    pub(super) fn wait(&mut self, name: &str, slot: &Rc<Slot>, at: CallSite) -> Option<Raised> {
        let name = folded(name);
        if let Some(kept) = self.kept.get_mut(&name) {
            let first = kept.pop_front();
            if kept.is_empty() {
                self.kept.remove(&name);
            }
            if first.is_some() {
                return first;
            }
        }
        let queue = self.waiting.entry(name).or_default();
        // A wait that was dropped has given its place back.
        while queue.back().is_some_and(|(last, _)| !waits(last)) {
            queue.pop_back();
        }
        queue.push_back((Rc::clone(slot), at));
        None
    }

    /// The events that no wait took, in the order of arrival.
    pub(super) fn take_kept(&mut self) -> Vec<Raised> {
        let mut all: Vec<_> = std::mem::take(&mut self.kept).into_values().flatten().collect();
        all.sort_by_key(|raised| raised.order);
        all
    }

    /// The names that are waited for, and where.
    pub(super) fn waits(&self) -> impl Iterator<Item = (&str, CallSite)> {
        self.waiting.iter().flat_map(|(name, queue)| {
            let live = queue.iter().filter(|(slot, _)| waits(slot));
            live.map(move |(_, at)| (name.as_str(), *at))
        })
    }
}

fn waits(slot: &Slot) -> bool {
    slot.is_wanted() && slot.is_open()
}

fn folded(name: &str) -> String {
    name.to_lowercase()
}
