//! Lays a history out as a table, one line an event.

use super::{failed, moment, one_line, short};
use crate::model::{History, Kind, Timestamp};
use crate::wire::{HistoryEvent, history_event::EventType};
use std::fmt::Write as _;

/// How much of a payload is shown.
const PAYLOAD: usize = 60;

/// The history as a table: number, time since the first event, kind, id, name and payload of every event.
pub fn table(history: &History) -> String {
    let history: &[HistoryEvent] = history.as_ref();
    let began = history.first().map(moment).unwrap_or_default();
    let rows: Vec<[String; 6]> =
        history.iter().enumerate().map(|(number, event)| row(number + 1, event, began)).collect();
    let head = ["#", "+ms", "event", "id", "name", "detail"].map(str::to_owned);
    let mut widths = head.each_ref().map(String::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in std::iter::once(&head).chain(&rows) {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            // Numbers to the right, words to the left; writing to a text cannot fail.
            let _ = match column {
                0 | 1 | 3 => write!(line, "{cell:>width$}  "),
                _ => write!(line, "{cell:<width$}  "),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn row(number: usize, event: &HistoryEvent, began: Timestamp) -> [String; 6] {
    let micros = moment(event).since(began).as_micros();
    let time = format!("{}.{:03}", micros / 1_000, micros % 1_000);
    let id = if event.event_id < 0 { "-".to_owned() } else { event.event_id.to_string() };
    let Some(body) = &event.event_type else {
        return [number.to_string(), time, "?".into(), id, String::new(), String::new()];
    };
    let (name, detail) = told(body);
    [number.to_string(), time, Kind::of(body).to_string(), id, one_line(&name), one_line(&detail)]
}

/// What an event is about, and what it carries.
pub(super) fn told(body: &EventType) -> (String, String) {
    let nothing = String::new;
    match body {
        EventType::ExecutionStarted(it) => (it.name.clone(), payload("input", it.input.as_deref())),
        EventType::ExecutionCompleted(it) => {
            let status = it.orchestration_status().as_str_name().trim_start_matches("ORCHESTRATION_STATUS_");
            let how = match &it.failure_details {
                Some(failure) => failed(Some(failure)),
                None => payload("result", it.result.as_deref()),
            };
            (status.to_owned(), how)
        }
        EventType::ExecutionTerminated(it) => (nothing(), payload("output", it.input.as_deref())),
        EventType::ExecutionSuspended(it) => (nothing(), payload("reason", it.input.as_deref())),
        EventType::ExecutionResumed(it) => (nothing(), payload("reason", it.input.as_deref())),
        EventType::ExecutionRewound(it) => (nothing(), payload("reason", it.reason.as_deref())),
        EventType::TaskScheduled(it) => (it.name.clone(), payload("input", it.input.as_deref())),
        EventType::TaskCompleted(it) => (of(it.task_scheduled_id), payload("result", it.result.as_deref())),
        EventType::TaskFailed(it) => (of(it.task_scheduled_id), failed(it.failure_details.as_ref())),
        EventType::SubOrchestrationInstanceCreated(it) => {
            (format!("{} as {}", it.name, it.instance_id), payload("input", it.input.as_deref()))
        }
        EventType::SubOrchestrationInstanceCompleted(it) => {
            (of(it.task_scheduled_id), payload("result", it.result.as_deref()))
        }
        EventType::SubOrchestrationInstanceFailed(it) => {
            (of(it.task_scheduled_id), failed(it.failure_details.as_ref()))
        }
        EventType::TimerCreated(it) => (nothing(), due(it.fire_at.as_ref())),
        EventType::TimerFired(it) => (of(it.timer_id), nothing()),
        EventType::EventSent(it) => {
            (format!("{} to {}", it.name, it.instance_id), payload("data", it.input.as_deref()))
        }
        EventType::EventRaised(it) => (it.name.clone(), payload("data", it.input.as_deref())),
        EventType::EntityOperationSignaled(it) => {
            (at(&it.operation, it.target_instance_id.as_deref()), payload("input", it.input.as_deref()))
        }
        EventType::EntityOperationCalled(it) => {
            (at(&it.operation, it.target_instance_id.as_deref()), payload("input", it.input.as_deref()))
        }
        EventType::EntityOperationCompleted(it) => (nothing(), payload("output", it.output.as_deref())),
        EventType::EntityOperationFailed(it) => (nothing(), failed(it.failure_details.as_ref())),
        EventType::EntityLockRequested(it) => (it.lock_set.join(", "), nothing()),
        EventType::EntityUnlockSent(it) => (it.target_instance_id.clone().unwrap_or_default(), nothing()),
        EventType::ContinueAsNew(it) => (nothing(), payload("input", it.input.as_deref())),
        EventType::GenericEvent(it) => (nothing(), payload("data", it.data.as_deref())),
        EventType::OrchestratorStarted(_)
        | EventType::OrchestratorCompleted(_)
        | EventType::EntityLockGranted(_)
        | EventType::HistoryState(_) => (nothing(), nothing()),
    }
}

fn payload(what: &str, text: Option<&str>) -> String {
    text.map(|text| format!("{what}={}", short(text, PAYLOAD))).unwrap_or_default()
}

fn of(id: i32) -> String {
    format!("of #{id}")
}

fn at(operation: &str, target: Option<&str>) -> String {
    format!("{operation} at {}", target.unwrap_or("?"))
}

fn due(at: Option<&prost_types::Timestamp>) -> String {
    at.map(|at| format!("due {}", Timestamp::from_wire(at))).unwrap_or_default()
}
