//! Looks at histories: the golden one, and the facts that a golden one cannot say.

use serde_json::Value;
use taskhub::model::Kind;
use taskhub::report;
use taskhub::wire::{HistoryEvent, history_event::EventType};

/// A history with everything taken out that differs from run to run: ids, moments, how many turns the completions
/// took, and in which order they came.
pub(crate) fn normal(history: &[HistoryEvent]) -> String {
    let mut events: Vec<HistoryEvent> =
        history.iter().filter(|event| kind(event) != Some(Kind::OrchestratorStarted)).cloned().collect();
    for run in events.chunk_by_mut(|a, b| completes(a).is_some() && completes(b).is_some()) {
        run.sort_by_key(completes);
    }
    let mut json: Value = serde_json::from_str(&report::json(&events)).expect("a report is JSON");
    redact(&mut json);
    format!("{json:#}\n")
}

fn kind(event: &HistoryEvent) -> Option<Kind> {
    event.event_type.as_ref().map(Kind::of)
}

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

fn redact(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !matches!(name.as_str(), "orchestrationSpanID" | "parentTraceContext"));
            for (name, value) in fields {
                match name.as_str() {
                    "timestamp" | "fireAt" | "scheduledStartTimestamp" => *value = "<time>".into(),
                    "instanceId" | "executionId" => *value = "<id>".into(),
                    _ => redact(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(redact),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Compares with the golden file; `GOLDEN=write` writes it anew.
#[track_caller]
pub(crate) fn is_golden(name: &str, history: &[HistoryEvent]) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let found = normal(history);
    if std::env::var("GOLDEN").as_deref() == Ok("write") {
        std::fs::write(&path, &found).expect("the fixture can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("the fixture is there; GOLDEN=write makes it");
    pretty_assertions::assert_str_eq!(found, golden);
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
