//! A normal form of histories, in which two runs that did the same are equal, for golden files.
//!
//! What differs from run to run is taken out: ids become `<instance 1>`, `<execution 1>`, `<request 1>` in the order in
//! which they come, times become `<time>`, trace contexts and stack traces are removed. So is what depends on the timing of a run:
//! turns that scheduled nothing are one with the next, and within a turn what arrived is in the order of what it
//! answers.

use super::json;
use crate::model::History;
use crate::wire::{HistoryEvent, history_event::EventType};
use serde_json::Value;
use std::collections::BTreeMap;

/// The history in its normal form: a JSON array, one event a line.
pub fn normal(history: &History) -> String {
    let history: &[HistoryEvent] = history.as_ref();
    let mut names = Placeholders::default();
    let mut text = String::from("[");
    for (number, event) in in_order(history).into_iter().enumerate() {
        let mut value = json::value(event);
        names.redact(&mut value);
        text.push_str(if number == 0 { "\n" } else { ",\n" });
        text.push_str(&value.to_string());
    }
    text.push_str("\n]\n");
    text
}

/// The events by turns that scheduled something, what arrived sorted by what it answers.
fn in_order(history: &[HistoryEvent]) -> Vec<&HistoryEvent> {
    let (mut ordered, mut arrived, mut open) = (Vec::new(), Vec::new(), None);
    for event in history {
        match &event.event_type {
            Some(EventType::OrchestratorStarted(_)) => open = open.or(Some(event)),
            Some(body) if event.event_id < 0 && !matches!(body, EventType::ExecutionCompleted(_)) => {
                arrived.push(event);
            }
            Some(_) | None => {
                flush(&mut ordered, &mut open, &mut arrived);
                ordered.push(event);
            }
        }
    }
    flush(&mut ordered, &mut open, &mut arrived);
    ordered
}

fn flush<'a>(
    ordered: &mut Vec<&'a HistoryEvent>,
    open: &mut Option<&'a HistoryEvent>,
    arrived: &mut Vec<&'a HistoryEvent>,
) {
    ordered.extend(open.take());
    arrived.sort_by_key(|event| arrival_key(event));
    ordered.append(arrived);
}

/// The sort key of an arrival: results by the ids of their actions, and after them raised events, in their order.
fn arrival_key(event: &HistoryEvent) -> (bool, i32) {
    match &event.event_type {
        Some(EventType::ExecutionStarted(_)) => (false, i32::MIN),
        Some(EventType::TaskCompleted(it)) => (false, it.task_scheduled_id),
        Some(EventType::TaskFailed(it)) => (false, it.task_scheduled_id),
        Some(EventType::SubOrchestrationInstanceCompleted(it)) => (false, it.task_scheduled_id),
        Some(EventType::SubOrchestrationInstanceFailed(it)) => (false, it.task_scheduled_id),
        Some(EventType::TimerFired(it)) => (false, it.timer_id),
        _ => (true, 0),
    }
}

/// The placeholders given so far, by kind and by what they stand for.
#[derive(Debug, Default)]
struct Placeholders(BTreeMap<&'static str, Vec<String>>);

impl Placeholders {
    fn redact(&mut self, value: &mut Value) {
        match value {
            Value::Object(object) => {
                for gone in ["parentTraceContext", "orchestrationSpanID", "stackTrace"] {
                    object.remove(gone);
                }
                for (key, value) in object.iter_mut() {
                    match (key.as_str(), &value) {
                        (
                            "timestamp" | "fireAt" | "scheduledTime" | "scheduledStartTimestamp",
                            Value::String(_),
                        ) => {
                            *value = Value::from("<time>");
                        }
                        ("instanceId", Value::String(id)) => *value = self.stand_in("instance", id),
                        ("executionId" | "parentExecutionId", Value::String(id)) => {
                            *value = self.stand_in("execution", id);
                        }
                        ("requestId" | "criticalSectionId", Value::String(id)) => {
                            *value = self.stand_in("request", id);
                        }
                        _ => self.redact(value),
                    }
                }
                // An orchestration's end has its action's id, or none: schedulers differ.
                if object.contains_key("executionCompleted") {
                    object.remove("eventId");
                }
            }
            Value::Array(list) => list.iter_mut().for_each(|value| self.redact(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn stand_in(&mut self, kind: &'static str, id: &str) -> Value {
        let known = self.0.entry(kind).or_default();
        let number = known.iter().position(|known| known == id).unwrap_or_else(|| {
            known.push(id.to_owned());
            known.len() - 1
        });
        Value::from(format!("<{kind} {}>", number + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ExecutionId, InstanceId, Status, Timestamp, event};
    use crate::wire;
    use pretty_assertions::{assert_eq, assert_ne};

    fn run(instance: &str, execution: &str, at: i64, order: [i32; 2], one_turn: bool) -> Vec<HistoryEvent> {
        let at = Timestamp::from_micros(at);
        let (id, execution) = (InstanceId::parse(instance).unwrap(), ExecutionId::new(execution));
        let started = event::started_body(&id, &execution, wire::CreateInstanceRequest::default());
        let mut history = vec![event::orchestrator_started(at), event::execution_started(at, started)];
        history.extend((0..2).map(|id| event::task_scheduled(id, at, wire::ScheduleTaskAction::default())));
        for (number, id) in order.into_iter().enumerate() {
            if number == 0 || !one_turn {
                history.push(event::orchestrator_started(at));
            }
            history.push(event::task_completed(at, id, Some(id.to_string())));
        }
        history.push(event::execution_completed(2, at, Status::Completed, None, None));
        history
    }

    #[test]
    fn runs_that_did_the_same_are_equal_whatever_their_ids_times_and_turns() {
        let one = normal(&run("a", "x", 5, [0, 1], true).into());
        let other = normal(&run("b", "y", 9, [1, 0], false).into());
        assert_eq!(one, other);
        assert!(one.contains(r#""instanceId":"<instance 1>""#), "{one}");
        assert!(one.contains(r#""timestamp":"<time>""#), "{one}");
        assert_eq!(one.lines().count(), 10);
    }

    #[test]
    fn runs_that_did_something_else_are_not() {
        let mut other = run("a", "x", 5, [0, 1], true);
        other.remove(4);
        assert_ne!(normal(&run("a", "x", 5, [0, 1], true).into()), normal(&other.into()));
    }
}
