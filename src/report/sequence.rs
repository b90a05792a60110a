//! Tells a history as a sequence diagram in mermaid.

use super::{failed, one_line, short};
use crate::model::History;
use crate::wire::{HistoryEvent, history_event::EventType};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How much of a payload is shown.
const PAYLOAD: usize = 30;

/// The history as a mermaid `sequenceDiagram`: who calls whom, and what comes back.
pub fn sequence(history: &History) -> String {
    let history: &[HistoryEvent] = history.as_ref();
    let mut diagram = Diagram { text: "sequenceDiagram\n".to_owned(), ..Diagram::default() };
    for event in history {
        if let Some(body) = &event.event_type {
            diagram.draw(event.event_id, body);
        }
    }
    diagram.text
}

#[derive(Debug, Default)]
struct Diagram {
    text: String,
    me: String,
    /// Who an action went to.
    called: BTreeMap<i32, String>,
}

impl Diagram {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are no message")]
    fn draw(&mut self, id: i32, body: &EventType) {
        match body {
            EventType::ExecutionStarted(it) => {
                self.me = named(&it.name);
                self.arrow("client", "->>", "", &shown("start", it.input.as_deref()));
            }
            EventType::TaskScheduled(it) => self.call(id, &it.name, it.input.as_deref()),
            EventType::SubOrchestrationInstanceCreated(it) => self.call(id, &it.name, it.input.as_deref()),
            EventType::TimerCreated(_) => {
                self.called.insert(id, "clock".to_owned());
                self.arrow("", "->>", "clock", &format!("timer {id}"));
            }
            EventType::TaskCompleted(it) => {
                self.back(it.task_scheduled_id, "-->>", &shown("", it.result.as_deref()));
            }
            EventType::SubOrchestrationInstanceCompleted(it) => {
                self.back(it.task_scheduled_id, "-->>", &shown("", it.result.as_deref()));
            }
            EventType::TaskFailed(it) => {
                self.back(it.task_scheduled_id, "--x", &failed(it.failure_details.as_ref()));
            }
            EventType::SubOrchestrationInstanceFailed(it) => {
                self.back(it.task_scheduled_id, "--x", &failed(it.failure_details.as_ref()));
            }
            EventType::TimerFired(it) => self.back(it.timer_id, "-->>", &format!("timer {}", it.timer_id)),
            EventType::EventRaised(it) => {
                self.arrow("client", "->>", "", &shown(&it.name, it.input.as_deref()));
            }
            EventType::EventSent(it) => {
                self.arrow("", "->>", &named(&it.instance_id), &shown(&it.name, it.input.as_deref()));
            }
            EventType::EntityOperationCalled(it) => {
                let target = named(it.target_instance_id.as_deref().unwrap_or("entity"));
                self.arrow("", "->>", &target, &shown(&it.operation, it.input.as_deref()));
            }
            EventType::EntityOperationSignaled(it) => {
                let target = named(it.target_instance_id.as_deref().unwrap_or("entity"));
                self.arrow("", "-)", &target, &shown(&it.operation, it.input.as_deref()));
            }
            EventType::EntityOperationCompleted(it) => {
                self.arrow("entity", "-->>", "", &shown("", it.output.as_deref()));
            }
            EventType::ExecutionCompleted(it) => {
                let how = match &it.failure_details {
                    Some(failure) => failed(Some(failure)),
                    None => shown("", it.result.as_deref()),
                };
                self.arrow("", "-->>", "client", &how);
            }
            _ => {}
        }
    }

    fn call(&mut self, id: i32, name: &str, input: Option<&str>) {
        let name = named(name);
        self.arrow("", "->>", &name, &shown(&format!("#{id}"), input));
        self.called.insert(id, name);
    }

    fn back(&mut self, id: i32, arrow: &str, what: &str) {
        let from = self.called.get(&id).cloned().unwrap_or_else(|| "unknown".to_owned());
        self.arrow(&from, arrow, "", what);
    }

    /// An arrow; an empty name is the orchestrator's.
    fn arrow(&mut self, from: &str, arrow: &str, to: &str, what: &str) {
        let me = if self.me.is_empty() { "orchestrator" } else { &self.me };
        let (from, to) = (if from.is_empty() { me } else { from }, if to.is_empty() { me } else { to });
        // Mermaid ends a message at a semicolon and begins a comment or an entity at others; a text cannot fail.
        let what = one_line(what).replace('#', "no. ").replace(';', ",");
        let what = if what.trim().is_empty() { "done" } else { what.trim() };
        let _ = writeln!(self.text, "    {from}{arrow}{to}: {what}");
    }
}

/// A name that mermaid takes for one.
fn named(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

fn shown(what: &str, payload: Option<&str>) -> String {
    match payload {
        None => what.to_owned(),
        Some(payload) if what.is_empty() => short(payload, PAYLOAD),
        Some(payload) => format!("{what} {}", short(payload, PAYLOAD)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Timestamp, event};
    use crate::wire;

    #[test]
    fn a_call_goes_out_and_its_result_comes_back() {
        let at = Timestamp::EPOCH;
        let started = wire::ExecutionStartedEvent { name: "fan out".into(), ..Default::default() };
        let task = wire::ScheduleTaskAction {
            name: "square".into(),
            input: Some("3;".into()),
            ..Default::default()
        };
        let history = History::from(vec![
            event::execution_started(at, started),
            event::task_scheduled(0, at, task),
            event::task_completed(at, 0, Some("9".into())),
            event::execution_completed(1, at, crate::model::Status::Completed, None, None),
        ]);
        assert_eq!(
            sequence(&history),
            "sequenceDiagram\n    client->>fan_out: start\n    fan_out->>square: no. 0 3,\n    \
             square-->>fan_out: 9\n    fan_out-->>client: done\n"
        );
    }
}
