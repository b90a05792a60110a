//! Says who is connected to a hub: what each worker holds and what it takes.

use crate::emulator::engine::command::{Stats, WorkKind, WorkerStats};
use crate::wire::WorkItemFilters;
use std::fmt;

/// A connected worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerView {
    /// What the worker calls itself; `worker 1` and so on where it gives no name.
    pub name: String,
    /// How many turns it holds.
    pub turns: usize,
    /// How many activities it holds.
    pub activities: usize,
    /// How many entity batches it holds.
    pub batches: usize,
    /// The names of orchestrations, activities and entities that it takes; `None` for all.
    pub takes: Option<Vec<String>>,
}

impl WorkerView {
    /// The workers that are connected to a hub.
    pub fn all(stats: &Stats) -> Vec<Self> {
        stats.workers.iter().enumerate().map(|(number, worker)| Self::of(number + 1, worker)).collect()
    }

    fn of(number: usize, worker: &WorkerStats) -> Self {
        let held = |kind: WorkKind| worker.active[kind as usize];
        Self {
            name: worker.offer.worker.clone().unwrap_or_else(|| format!("worker {number}")),
            turns: held(WorkKind::Turn),
            activities: held(WorkKind::Activity),
            batches: held(WorkKind::Batch),
            takes: worker.offer.filters.as_ref().map(names),
        }
    }
}

impl fmt::Display for WorkerView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, turns, activities, batches, takes } = self;
        let takes = takes.as_ref().map_or_else(|| "everything".to_owned(), |names| names.join(", "));
        write!(f, "{name} holds {turns} turns, {activities} activities, {batches} batches; it takes {takes}")
    }
}

fn names(filters: &WorkItemFilters) -> Vec<String> {
    let orchestrations = filters.orchestrations.iter().map(|filter| &filter.name);
    let activities = filters.activities.iter().map(|filter| &filter.name);
    let entities = filters.entities.iter().map(|filter| &filter.name);
    orchestrations.chain(activities).chain(entities).cloned().collect()
}

/// Everything that some connected worker takes.
pub(super) fn registered(stats: &Stats) -> WorkItemFilters {
    let mut all = WorkItemFilters::default();
    for filters in stats.workers.iter().filter_map(|worker| worker.offer.filters.as_ref()) {
        all.orchestrations.extend(filters.orchestrations.iter().cloned());
        all.activities.extend(filters.activities.iter().cloned());
        all.entities.extend(filters.entities.iter().cloned());
    }
    all
}
