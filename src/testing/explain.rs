//! Prints what there is to know of an instance that does not come to its end.

use super::guess;
use crate::emulator::engine::command::{Stats, WorkKind, WorkerStats};
use crate::model::Kind;
use crate::report;
use crate::wire::{HistoryEvent, WorkItemFilters};
use std::fmt::Write as _;

/// What an instance waits for by its history, who is connected and what nobody takes, and the history as a table.
///
/// `stats` are the hub's; without them only the history is told.
pub fn explain(history: &[HistoryEvent], stats: Option<&Stats>) -> String {
    let mut text = String::new();
    // Writing to a text cannot fail.
    let _ = match report::open(history) {
        _ if history.is_empty() => writeln!(text, "no turn of it is committed yet"),
        _ if has_ended(history) => writeln!(text, "it has ended"),
        open if open.is_empty() => {
            writeln!(text, "it waits for nothing that it scheduled; perhaps for an event")
        }
        open => writeln!(text, "it waits for {}", open.join(", ")),
    };
    if let Some(stats) = stats {
        let registered = registered(stats);
        for (kind, name) in &stats.unclaimed {
            let _ = writeln!(text, "{}", guess::unregistered(*kind, name, &registered));
        }
        if stats.workers.is_empty() {
            text.push_str("no worker is connected\n");
        }
        for (number, worker) in stats.workers.iter().enumerate() {
            let _ = writeln!(text, "{}", told(number + 1, worker));
        }
    }
    text.push_str(&report::table(history));
    text
}

/// As [`explain`], for an instance of a hub in this process.
#[cfg(feature = "emulator")]
pub async fn explain_in(hub: &crate::emulator::dispatch::Handle, id: &str) -> String {
    use crate::emulator::engine::command::{Command, Reply};
    use crate::model::InstanceId;
    use prost::Message as _;

    let stats = match hub.ask(Command::Stats).await {
        Ok(Reply::Stats(stats)) => Some(stats),
        Ok(_) | Err(_) => None,
    };
    let read = Command::History { id: InstanceId::unchecked(id), execution: None, in_flight: false };
    let history: Vec<HistoryEvent> = match hub.ask(read).await {
        Ok(Reply::History(events)) => {
            events.into_iter().filter_map(|event| HistoryEvent::decode(event).ok()).collect()
        }
        Ok(_) | Err(_) => Vec::new(),
    };
    format!("instance '{id}': {}", explain(&history, stats.as_deref()))
}

fn has_ended(history: &[HistoryEvent]) -> bool {
    let last = history.last().and_then(|event| event.event_type.as_ref());
    last.is_some_and(|body| Kind::of(body) == Kind::ExecutionCompleted)
}

/// Everything that some worker takes.
fn registered(stats: &Stats) -> WorkItemFilters {
    let mut all = WorkItemFilters::default();
    for filters in stats.workers.iter().filter_map(|worker| worker.offer.filters.as_ref()) {
        all.orchestrations.extend(filters.orchestrations.iter().cloned());
        all.activities.extend(filters.activities.iter().cloned());
        all.entities.extend(filters.entities.iter().cloned());
    }
    all
}

fn told(number: usize, worker: &WorkerStats) -> String {
    let name = worker.offer.worker.clone().unwrap_or_else(|| format!("worker {number}"));
    let kinds =
        [WorkKind::Turn, WorkKind::Activity, WorkKind::Batch].map(|kind| worker.active[kind as usize]);
    let [turns, activities, batches] = kinds;
    let takes = match &worker.offer.filters {
        None => "everything".to_owned(),
        Some(filters) => {
            let orchestrations = filters.orchestrations.iter().map(|filter| &filter.name);
            let activities = filters.activities.iter().map(|filter| &filter.name);
            let entities = filters.entities.iter().map(|filter| &filter.name);
            let names: Vec<&str> =
                orchestrations.chain(activities).chain(entities).map(String::as_str).collect();
            names.join(", ")
        }
    };
    format!("{name} holds {turns} turns, {activities} activities, {batches} batches; it takes {takes}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::engine::command::{Offer, StreamId};
    use crate::model::{Timestamp, event};
    use crate::wire::{ActivityFilter, ExecutionStartedEvent, ScheduleTaskAction};

    #[test]
    fn who_waits_for_whom_is_told_with_the_name_that_was_probably_meant() {
        let at = Timestamp::EPOCH;
        let started = ExecutionStartedEvent { name: "fan".into(), ..Default::default() };
        let task = ScheduleTaskAction { name: "squared".into(), ..Default::default() };
        let history = [
            event::orchestrator_started(at),
            event::execution_started(at, started),
            event::task_scheduled(1, at, task),
        ];
        let filters = WorkItemFilters {
            activities: vec![ActivityFilter { name: "square".into(), versions: vec![] }],
            ..Default::default()
        };
        let offer = Offer { filters: Some(filters), worker: Some("w-1".into()), ..Offer::default() };
        let stats = Stats {
            workers: vec![WorkerStats { stream: StreamId(1), offer, active: [1, 0, 0] }],
            unclaimed: vec![(WorkKind::Activity, "squared".into())],
            ..Stats::default()
        };
        let text = explain(&history, Some(&stats));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "it waits for squared #1");
        assert_eq!(lines[1], "no worker has registered the activity \"squared\"; did you mean \"square\"?");
        assert_eq!(lines[2], "w-1 holds 1 turns, 0 activities, 0 batches; it takes square");
        assert_eq!(lines.len(), 7);
        assert_eq!(explain(&[], None).lines().next(), Some("no turn of it is committed yet"));
    }
}
