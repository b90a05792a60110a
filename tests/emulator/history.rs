//! Looks at histories: the golden one, and the facts that a golden one cannot say.

use taskhub::testing::golden;
use taskhub::wire::{HistoryEvent, history_event::EventType};

/// What an event completes.
fn completes(event: &HistoryEvent) -> Option<i32> {
    match &event.event_type {
        Some(EventType::TaskCompleted(done)) => Some(done.task_scheduled_id),
        Some(EventType::TaskFailed(done)) => Some(done.task_scheduled_id),
        Some(EventType::SubOrchestrationInstanceCompleted(done)) => Some(done.task_scheduled_id),
        Some(EventType::SubOrchestrationInstanceFailed(done)) => Some(done.task_scheduled_id),
        Some(EventType::TimerFired(fired)) => Some(fired.timer_id),
        _ => None,
    }
}

fn schedules(event: &HistoryEvent) -> bool {
    matches!(
        event.event_type,
        Some(
            EventType::TaskScheduled(_)
                | EventType::TimerCreated(_)
                | EventType::SubOrchestrationInstanceCreated(_)
        )
    )
}

/// Compares with the golden file; `GOLDEN=write` writes it anew.
#[track_caller]
pub(crate) fn is_golden(name: &str, history: &[HistoryEvent]) {
    let file = std::path::Path::new("tests/fixtures").join(name);
    golden::history(file, history).unwrap_or_else(|differs| panic!("{differs}"));
}

/// What is true of every history: ids of what is scheduled increase, every completion refers to something scheduled
/// before and completes it once, and every event has a moment, none before the one in front of it by turns.
#[track_caller]
pub(crate) fn is_sound(history: &[HistoryEvent]) {
    let mut open = Vec::new();
    let mut last = -1;
    for event in history {
        assert!(event.timestamp.is_some(), "an event without a moment: {event:?}");
        if schedules(event) {
            assert!(event.event_id > last, "{} comes after {last}", event.event_id);
            last = event.event_id;
            open.push(event.event_id);
        }
        if let Some(task) = completes(event) {
            let at = open.iter().position(|id| *id == task);
            open.swap_remove(
                at.unwrap_or_else(|| panic!("{task} is completed twice, or was never scheduled")),
            );
        }
    }
}

/// Whether all of a run of activities are scheduled before the first of them completes.
#[track_caller]
pub(crate) fn fans_out(history: &[HistoryEvent], name: &str, width: usize) {
    let mut scheduled = Vec::new();
    for event in history {
        match &event.event_type {
            Some(EventType::TaskScheduled(task)) if task.name == name => scheduled.push(event.event_id),
            Some(EventType::TaskCompleted(done)) if scheduled.contains(&done.task_scheduled_id) => {
                assert_eq!(scheduled.len(), width, "one completed before all were scheduled");
                return;
            }
            _ => {}
        }
    }
    panic!("no {name} has completed");
}
