//! Prints what there is to know of an instance that does not come to its end.

use crate::emulator::Emulator;
use crate::emulator::engine::command::{Command, Reply, Stats};
use crate::model::{History, InstanceId};
use crate::report;
use crate::view::{InstanceView, Standstill};
use crate::wire::HistoryEvent;
use prost::Message as _;

/// What an instance of a hub in this process waits for, who is connected and which names no worker takes, and its
/// history as a table.
pub async fn explain(emulator: &Emulator, hub: &str, id: &str) -> String {
    let Some(hub) = emulator.hub(hub) else { return format!("there is no task hub '{hub}'") };
    let stats = match hub.ask(Command::Stats).await {
        Ok(Reply::Stats(stats)) => Some(stats),
        Ok(_) | Err(_) => None,
    };
    let read = Command::History { id: InstanceId::unchecked(id), execution: None };
    let history: Vec<HistoryEvent> = match hub.ask(read).await {
        Ok(Reply::History(events)) => {
            events.into_iter().filter_map(|event| HistoryEvent::decode(event).ok()).collect()
        }
        Ok(_) | Err(_) => Vec::new(),
    };
    format!("instance '{id}': {}", explained(&history.into(), stats.as_deref()))
}

/// `stats` are the hub's; without them only the history is told.
fn explained(history: &History, stats: Option<&Stats>) -> String {
    format!("{}{}", Standstill::of(&InstanceView::of(history.as_ref()), stats), report::table(history))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::engine::command::{Offer, StreamId, WorkKind, WorkerStats};
    use crate::model::{Timestamp, event};
    use crate::wire::{ActivityFilter, ExecutionStartedEvent, ScheduleTaskAction, WorkItemFilters};

    #[test]
    fn what_it_waits_for_is_shown_with_the_workers_and_the_name_that_was_probably_meant() {
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
        let text = explained(&history.to_vec().into(), Some(&stats));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "it waits for squared #1");
        assert_eq!(lines[1], "no worker has registered the activity \"squared\"; did you mean \"square\"?");
        assert_eq!(lines[2], "w-1 holds 1 turns, 0 activities, 0 batches; it takes square");
        assert_eq!(lines.len(), 7);
        assert!(explained(&History::default(), None).starts_with("nothing has happened yet"));
    }
}
