//! Says what an instance waits for, as far as its history and its hub tell.

use super::tasks::InstanceView;
use super::unclaimed::unclaimed;
use super::workers::{WorkerView, registered};
use crate::emulator::engine::command::Stats;
use crate::model::Status;
use std::fmt;

/// What an instance waits for by its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitsFor {
    /// Its first turn: the history is empty.
    FirstTurn,
    /// Nothing: it has ended.
    Nothing,
    /// Tasks that it has scheduled, by their titles.
    Tasks(Vec<String>),
    /// No task is open: an event, or a worker for its next turn. A history says nothing of either.
    EventOrWorker,
}

impl WaitsFor {
    /// Reads it from a history.
    pub fn of(instance: &InstanceView) -> Self {
        let open: Vec<String> = instance.open().map(super::Task::title).collect();
        match instance.status {
            None if instance.tasks.is_empty() => Self::FirstTurn,
            Some(Status::Completed | Status::Failed | Status::Terminated | Status::Canceled) => Self::Nothing,
            None | Some(Status::Pending | Status::Running | Status::Suspended) if open.is_empty() => {
                Self::EventOrWorker
            }
            None | Some(Status::Pending | Status::Running | Status::Suspended) => Self::Tasks(open),
        }
    }
}

impl fmt::Display for WaitsFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstTurn => f.write_str(
                "nothing has happened yet: it waits for its time, or for a worker that has its name",
            ),
            Self::Nothing => f.write_str("it has ended"),
            Self::Tasks(open) => write!(f, "it waits for {}", open.join(", ")),
            Self::EventOrWorker => {
                f.write_str("no task is open: it waits for an event, or for a worker to take its next turn")
            }
        }
    }
}

/// Why an instance does not go on, as far as its history and its hub tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standstill {
    /// What it waits for.
    pub waits_for: WaitsFor,
    /// The names that are ready in its hub and that no worker takes, a sentence for each. `None` where the hub was not
    /// asked.
    pub unclaimed: Option<Vec<String>>,
    /// The workers that are connected to its hub. `None` where the hub was not asked.
    pub workers: Option<Vec<WorkerView>>,
}

impl Standstill {
    /// Puts together what an instance and its hub say.
    pub fn of(instance: &InstanceView, hub: Option<&Stats>) -> Self {
        let said = |stats: &Stats| {
            let registered = registered(stats);
            stats.unclaimed.iter().map(|(kind, name)| unclaimed(*kind, name, &registered)).collect()
        };
        Self {
            waits_for: WaitsFor::of(instance),
            unclaimed: hub.map(said),
            workers: hub.map(WorkerView::all),
        }
    }
}

/// A line for each thing there is to say.
impl fmt::Display for Standstill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.waits_for)?;
        for sentence in self.unclaimed.iter().flatten() {
            writeln!(f, "{sentence}")?;
        }
        match &self.workers {
            Some(workers) if workers.is_empty() => writeln!(f, "no worker is connected"),
            Some(workers) => workers.iter().try_for_each(|worker| writeln!(f, "{worker}")),
            None => Ok(()),
        }
    }
}
