//! Writes histories as the protocol's JSON, and reads them again.
//!
//! The encoding is proto3's: names in camel case, times in RFC 3339, enums by name. Numbers and enums are written even
//! where they are zero, because 0 is an id and a status.

mod read;
mod schema;
mod write;

use crate::model::History;
use crate::wire::HistoryEvent;
use prost::Message;
use serde_json::Value;

/// The message that a history is made of.
const EVENT: &str = ".HistoryEvent";

/// Why a text is no history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no history: {why}")]
pub struct NotHistory {
    why: String,
}

impl NotHistory {
    fn because(why: impl Into<String>) -> Self {
        Self { why: why.into() }
    }

    /// The same, seen from one level further out.
    fn inside(self, what: &str) -> Self {
        Self { why: format!("{what}: {}", self.why) }
    }
}

/// A history as a JSON array, one event a line.
pub fn json(history: &History) -> String {
    let history: &[HistoryEvent] = history.as_ref();
    let mut text = String::from("[");
    for (number, event) in history.iter().enumerate() {
        text.push_str(if number == 0 { "\n" } else { ",\n" });
        text.push_str(&value(event).to_string());
    }
    text.push_str(if history.is_empty() { "]" } else { "\n]" });
    text
}

/// One event as a JSON value.
pub(super) fn value(event: &HistoryEvent) -> Value {
    write::message(schema::schema(), EVENT, &event.encode_to_vec())
}

/// Reads a history: a JSON array of events, or an object that holds one under `history` or `events`.
///
/// # Errors
///
/// [`NotHistory`] says which event and which field do not fit.
pub fn from_json(text: &str) -> Result<History, NotHistory> {
    let value: Value = serde_json::from_str(text).map_err(|error| NotHistory::because(error.to_string()))?;
    let list = match &value {
        Value::Object(object) => object.get("history").or_else(|| object.get("events")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Some(&value),
    };
    let Some(Value::Array(list)) = list else {
        return Err(NotHistory::because("it is not an array of events"));
    };
    let event = |(number, value): (usize, &Value)| {
        let bytes = read::message(schema::schema(), EVENT, value)
            .map_err(|error| error.inside(&format!("event {number}")))?;
        HistoryEvent::decode(&*bytes).map_err(|error| NotHistory::because(error.to_string()))
    };
    list.iter().enumerate().map(event).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Status, Timestamp, event};
    use crate::wire::{self, history_event::EventType};
    use pretty_assertions::assert_eq;

    fn moment() -> Timestamp {
        Timestamp::from_micros(1_767_323_045_000_006)
    }

    fn samples() -> Vec<HistoryEvent> {
        let number = prost_types::Value { kind: Some(prost_types::value::Kind::NumberValue(1.5)) };
        let failure = wire::TaskFailureDetails {
            error_type: "Busy".into(),
            error_message: "not \u{e9}ven now".into(),
            inner_failure: Some(Box::new(wire::TaskFailureDetails {
                error_type: "Cause".into(),
                ..Default::default()
            })),
            properties: [("ratio".to_owned(), number)].into(),
            ..Default::default()
        };
        let task = wire::ScheduleTaskAction {
            name: "square".into(),
            input: Some(String::new()),
            tags: [("a".to_owned(), "b".to_owned()), (String::new(), String::new())].into(),
            ..Default::default()
        };
        let lock = wire::EntityLockRequestedEvent {
            critical_section_id: "c".into(),
            lock_set: vec!["@a@1".into(), "@b@2".into()],
            position: -1,
            ..Default::default()
        };
        vec![
            event::orchestrator_started(moment()),
            event::task_scheduled(0, moment(), task),
            event::task_failed(moment(), 0, failure),
            event::timer_created(1, Timestamp::EPOCH, prost_types::Timestamp { seconds: -1, nanos: 5 }),
            event::new(2, moment(), EventType::EntityLockRequested(lock)),
            event::execution_completed(3, moment(), Status::Running, None, None),
            HistoryEvent::default(),
        ]
    }

    #[test]
    fn what_is_written_is_read_again() {
        let history = History::from(samples());
        assert_eq!(from_json(&json(&history)).unwrap(), history);
        assert_eq!(from_json(&json(&History::default())).unwrap(), History::default());
    }

    /// A value for every field of a message; what holds itself is held once.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a type that comes to be used is to be noticed here")]
    fn filled(name: &str, inside: &[&str]) -> Value {
        use prost_types::field_descriptor_proto::Type;
        match name {
            ".google.protobuf.Timestamp" => return "2026-01-02T03:04:05.000006Z".into(),
            ".google.protobuf.Duration" => return "1.500s".into(),
            ".google.protobuf.Value" => return serde_json::json!({ "a": [true, 1.5, "x", null] }),
            ".google.protobuf.StringValue" => return "".into(),
            _ => {}
        }
        let schema = schema::schema();
        let mut object = serde_json::Map::new();
        for field in schema.fields(name).iter().filter(|field| !inside.contains(&field.type_name())) {
            let inside = [inside, &[name]].concat();
            let one = || match field.r#type() {
                Type::Message => filled(field.type_name(), &inside),
                Type::Enum => schema.name_of(field.type_name(), 1).unwrap().into(),
                Type::Bool => true.into(),
                Type::String => "\u{e9}\"".into(),
                Type::Int32 => (-7).into(),
                other => panic!("a history has no {other:?}"),
            };
            let value = if schema.is_map(field) {
                serde_json::json!({ "k": one()["value"] })
            } else if schema::is_list(field) {
                vec![one(), one()].into()
            } else {
                one()
            };
            object.insert(field.json_name().to_owned(), value);
        }
        object.into()
    }

    #[test]
    fn every_field_of_every_kind_of_event_is_read_and_written_as_it_was() {
        let Value::Object(all) = filled(EVENT, &[]) else { panic!("an event is an object") };
        let kinds = all.iter().filter(|(_, value)| value.is_object());
        let mut count = 0;
        for (kind, body) in kinds {
            let event = serde_json::json!({ "eventId": 3, "timestamp": all["timestamp"], kind: body });
            let read = from_json(&format!("[{event}]")).unwrap();
            assert_eq!(value(&read.as_ref()[0]), event, "{kind}");
            count += 1;
        }
        assert_eq!(count, 28);
    }

    #[test]
    fn names_are_in_camel_case_times_in_rfc_3339_and_zeros_are_written_where_they_say_something() {
        let text = json(&samples().into_iter().take(2).collect());
        assert_eq!(
            text,
            "[\n{\"eventId\":-1,\"orchestratorStarted\":{},\"timestamp\":\"2026-01-02T03:04:05.000006Z\"},\n\
             {\"eventId\":0,\"taskScheduled\":{\"input\":\"\",\"name\":\"square\",\"tags\":{\"\":\"\",\"a\":\"b\"}},\
             \"timestamp\":\"2026-01-02T03:04:05.000006Z\"}\n]"
        );
        let ended = value(&samples()[5]);
        assert_eq!(ended["executionCompleted"]["orchestrationStatus"], "ORCHESTRATION_STATUS_RUNNING");
    }

    #[test]
    fn what_others_write_is_read_numbers_as_text_enums_as_numbers_times_with_an_offset_and_unknown_fields() {
        let text = r#"{"history": [{"eventId": "7", "timestamp": "2026-01-02T04:04:05.000006+01:00", "new": [1],
            "executionCompleted": {"orchestrationStatus": 1, "result": "5", "failureDetails": null}}]}"#;
        let expected = event::execution_completed(7, moment(), Status::Completed, Some("5".into()), None);
        assert_eq!(from_json(text).unwrap(), vec![expected].into());
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let why = |text: &str| from_json(text).unwrap_err().to_string();
        assert_eq!(why("{}"), "this is no history: it is not an array of events");
        assert_eq!(
            why(r#"[{}, {"taskCompleted": {"result": 5}}]"#),
            "this is no history: event 1: taskCompleted: result: 5 is not a text"
        );
        assert_eq!(
            why(r#"[{"timestamp": "yesterday"}]"#),
            "this is no history: event 0: timestamp: \"yesterday\" is not a time in RFC 3339"
        );
    }
}
