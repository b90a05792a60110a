//! Shows a history as JSON, with the protocol's own names.
//!
//! The protocol's JSON mapping: names as in `proto/`, times as RFC 3339, absent and empty fields left out, an event's
//! body under the name of its kind. Payloads stay text, as they are on the wire.

use crate::model::Timestamp;
use crate::wire::history_event::EventType;
use crate::wire::{
    HistoryEvent, OrchestrationInstance, OrchestrationState, OrchestrationStatus, ParentInstanceInfo,
    TaskFailureDetails, TraceContext,
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The history as an indented JSON array.
pub fn json(history: &[HistoryEvent]) -> String {
    let events = Value::Array(history.iter().map(event).collect());
    format!("{events:#}")
}

fn event(event: &HistoryEvent) -> Value {
    let mut object = Object::default();
    object.number("eventId", event.event_id);
    object.moment("timestamp", event.timestamp.as_ref());
    if let Some(body) = &event.event_type {
        let (name, fields) = body_of(body);
        object.0.insert(name.to_owned(), Value::Object(fields.0));
    }
    Value::Object(object.0)
}

/// The name of a kind of event, and its fields.
#[expect(clippy::too_many_lines, reason = "one arm for each kind of event, and nothing else")]
fn body_of(body: &EventType) -> (&'static str, Object) {
    let mut o = Object::default();
    let name = match body {
        EventType::ExecutionStarted(event) => {
            o.text("name", &event.name);
            o.optional("version", event.version.as_ref());
            o.optional("input", event.input.as_ref());
            o.instance("orchestrationInstance", event.orchestration_instance.as_ref());
            o.parent("parentInstance", event.parent_instance.as_ref());
            o.moment("scheduledStartTimestamp", event.scheduled_start_timestamp.as_ref());
            o.trace("parentTraceContext", event.parent_trace_context.as_ref());
            o.optional("orchestrationSpanID", event.orchestration_span_id.as_ref());
            o.tags(&event.tags);
            "executionStarted"
        }
        EventType::ExecutionCompleted(event) => {
            o.status(event.orchestration_status);
            o.optional("result", event.result.as_ref());
            o.failure("failureDetails", event.failure_details.as_ref());
            "executionCompleted"
        }
        EventType::ExecutionTerminated(event) => {
            o.optional("input", event.input.as_ref());
            o.truth("recurse", event.recurse);
            "executionTerminated"
        }
        EventType::ExecutionSuspended(event) => {
            o.optional("input", event.input.as_ref());
            "executionSuspended"
        }
        EventType::ExecutionResumed(event) => {
            o.optional("input", event.input.as_ref());
            "executionResumed"
        }
        EventType::ExecutionRewound(event) => {
            o.optional("reason", event.reason.as_ref());
            o.optional("parentExecutionId", event.parent_execution_id.as_ref());
            o.optional("instanceId", event.instance_id.as_ref());
            o.trace("parentTraceContext", event.parent_trace_context.as_ref());
            o.optional("name", event.name.as_ref());
            o.optional("version", event.version.as_ref());
            o.optional("input", event.input.as_ref());
            o.parent("parentInstance", event.parent_instance.as_ref());
            o.tags(&event.tags);
            "executionRewound"
        }
        EventType::TaskScheduled(event) => {
            o.text("name", &event.name);
            o.optional("version", event.version.as_ref());
            o.optional("input", event.input.as_ref());
            o.trace("parentTraceContext", event.parent_trace_context.as_ref());
            o.tags(&event.tags);
            "taskScheduled"
        }
        EventType::TaskCompleted(event) => {
            o.number("taskScheduledId", event.task_scheduled_id);
            o.optional("result", event.result.as_ref());
            "taskCompleted"
        }
        EventType::TaskFailed(event) => {
            o.number("taskScheduledId", event.task_scheduled_id);
            o.failure("failureDetails", event.failure_details.as_ref());
            "taskFailed"
        }
        EventType::SubOrchestrationInstanceCreated(event) => {
            o.text("instanceId", &event.instance_id);
            o.text("name", &event.name);
            o.optional("version", event.version.as_ref());
            o.optional("input", event.input.as_ref());
            o.trace("parentTraceContext", event.parent_trace_context.as_ref());
            o.tags(&event.tags);
            "subOrchestrationInstanceCreated"
        }
        EventType::SubOrchestrationInstanceCompleted(event) => {
            o.number("taskScheduledId", event.task_scheduled_id);
            o.optional("result", event.result.as_ref());
            "subOrchestrationInstanceCompleted"
        }
        EventType::SubOrchestrationInstanceFailed(event) => {
            o.number("taskScheduledId", event.task_scheduled_id);
            o.failure("failureDetails", event.failure_details.as_ref());
            "subOrchestrationInstanceFailed"
        }
        EventType::TimerCreated(event) => {
            o.moment("fireAt", event.fire_at.as_ref());
            "timerCreated"
        }
        EventType::TimerFired(event) => {
            o.moment("fireAt", event.fire_at.as_ref());
            o.number("timerId", event.timer_id);
            "timerFired"
        }
        EventType::OrchestratorStarted(_) => "orchestratorStarted",
        EventType::OrchestratorCompleted(_) => "orchestratorCompleted",
        EventType::EventSent(event) => {
            o.text("instanceId", &event.instance_id);
            o.text("name", &event.name);
            o.optional("input", event.input.as_ref());
            "eventSent"
        }
        EventType::EventRaised(event) => {
            o.text("name", &event.name);
            o.optional("input", event.input.as_ref());
            "eventRaised"
        }
        EventType::GenericEvent(event) => {
            o.optional("data", event.data.as_ref());
            "genericEvent"
        }
        EventType::HistoryState(event) => {
            o.state("orchestrationState", event.orchestration_state.as_ref());
            "historyState"
        }
        EventType::ContinueAsNew(event) => {
            o.optional("input", event.input.as_ref());
            "continueAsNew"
        }
        EventType::EntityOperationSignaled(event) => {
            o.text("requestId", &event.request_id);
            o.text("operation", &event.operation);
            o.moment("scheduledTime", event.scheduled_time.as_ref());
            o.optional("input", event.input.as_ref());
            o.optional("targetInstanceId", event.target_instance_id.as_ref());
            "entityOperationSignaled"
        }
        EventType::EntityOperationCalled(event) => {
            o.text("requestId", &event.request_id);
            o.text("operation", &event.operation);
            o.moment("scheduledTime", event.scheduled_time.as_ref());
            o.optional("input", event.input.as_ref());
            o.optional("parentInstanceId", event.parent_instance_id.as_ref());
            o.optional("parentExecutionId", event.parent_execution_id.as_ref());
            o.optional("targetInstanceId", event.target_instance_id.as_ref());
            "entityOperationCalled"
        }
        EventType::EntityOperationCompleted(event) => {
            o.text("requestId", &event.request_id);
            o.optional("output", event.output.as_ref());
            "entityOperationCompleted"
        }
        EventType::EntityOperationFailed(event) => {
            o.text("requestId", &event.request_id);
            o.failure("failureDetails", event.failure_details.as_ref());
            "entityOperationFailed"
        }
        EventType::EntityLockRequested(event) => {
            o.text("criticalSectionId", &event.critical_section_id);
            o.0.insert("lockSet".to_owned(), event.lock_set.clone().into());
            o.number("position", event.position);
            o.optional("parentInstanceId", event.parent_instance_id.as_ref());
            "entityLockRequested"
        }
        EventType::EntityLockGranted(event) => {
            o.text("criticalSectionId", &event.critical_section_id);
            "entityLockGranted"
        }
        EventType::EntityUnlockSent(event) => {
            o.text("criticalSectionId", &event.critical_section_id);
            o.optional("parentInstanceId", event.parent_instance_id.as_ref());
            o.optional("targetInstanceId", event.target_instance_id.as_ref());
            "entityUnlockSent"
        }
    };
    (name, o)
}

/// An object under construction; what is absent or empty does not go in.
#[derive(Default)]
struct Object(Map<String, Value>);

impl Object {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// Ids are shown also when they are 0: nobody should have to know what a missing id means.
    fn number(&mut self, name: &str, number: i32) {
        self.put(name, number);
    }

    fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.put(name, text);
        }
    }

    fn truth(&mut self, name: &str, truth: bool) {
        if truth {
            self.put(name, true);
        }
    }

    fn optional(&mut self, name: &str, text: Option<&String>) {
        if let Some(text) = text {
            self.put(name, text.as_str());
        }
    }

    fn moment(&mut self, name: &str, moment: Option<&prost_types::Timestamp>) {
        if let Some(moment) = moment {
            self.put(name, Timestamp::from_wire(moment).to_string());
        }
    }

    fn tags(&mut self, tags: &BTreeMap<String, String>) {
        if !tags.is_empty() {
            let tags = tags.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str())));
            self.put("tags", Value::Object(tags.collect()));
        }
    }

    fn status(&mut self, number: i32) {
        match OrchestrationStatus::try_from(number) {
            Ok(status) => self.put("orchestrationStatus", status.as_str_name()),
            Err(_) => self.put("orchestrationStatus", number),
        }
    }

    fn object(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        let mut object = Self::default();
        fill(&mut object);
        self.put(name, Value::Object(object.0));
    }

    fn instance(&mut self, name: &str, instance: Option<&OrchestrationInstance>) {
        let Some(instance) = instance else { return };
        self.object(name, |o| {
            o.text("instanceId", &instance.instance_id);
            o.optional("executionId", instance.execution_id.as_ref());
        });
    }

    fn parent(&mut self, name: &str, parent: Option<&ParentInstanceInfo>) {
        let Some(parent) = parent else { return };
        self.object(name, |o| {
            o.number("taskScheduledId", parent.task_scheduled_id);
            o.optional("name", parent.name.as_ref());
            o.optional("version", parent.version.as_ref());
            o.instance("orchestrationInstance", parent.orchestration_instance.as_ref());
        });
    }

    fn trace(&mut self, name: &str, trace: Option<&TraceContext>) {
        let Some(trace) = trace else { return };
        self.object(name, |o| {
            o.text("traceParent", &trace.trace_parent);
            o.optional("traceState", trace.trace_state.as_ref());
        });
    }

    fn failure(&mut self, name: &str, failure: Option<&TaskFailureDetails>) {
        let Some(failure) = failure else { return };
        self.object(name, |o| {
            o.text("errorType", &failure.error_type);
            o.text("errorMessage", &failure.error_message);
            o.optional("stackTrace", failure.stack_trace.as_ref());
            o.failure("innerFailure", failure.inner_failure.as_deref());
            o.truth("isNonRetriable", failure.is_non_retriable);
            if !failure.properties.is_empty() {
                let properties = failure.properties.iter().map(|(key, value)| (key.clone(), any(value)));
                o.put("properties", Value::Object(properties.collect()));
            }
        });
    }

    fn state(&mut self, name: &str, state: Option<&OrchestrationState>) {
        let Some(state) = state else { return };
        self.object(name, |o| {
            o.text("instanceId", &state.instance_id);
            o.text("name", &state.name);
            o.status(state.orchestration_status);
        });
    }
}

/// A value of the protocol's own JSON-like kind.
fn any(value: &prost_types::Value) -> Value {
    use prost_types::value::Kind;
    match &value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::NumberValue(number)) => (*number).into(),
        Some(Kind::StringValue(text)) => text.as_str().into(),
        Some(Kind::BoolValue(truth)) => (*truth).into(),
        Some(Kind::ListValue(list)) => list.values.iter().map(any).collect(),
        Some(Kind::StructValue(object)) => {
            Value::Object(object.fields.iter().map(|(key, value)| (key.clone(), any(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event;

    #[test]
    fn an_event_has_its_body_under_the_name_of_its_kind() {
        let history = [
            event::orchestrator_started(Timestamp::EPOCH),
            event::task_completed(Timestamp::EPOCH, 0, Some("49".into())),
        ];
        let value: Value = serde_json::from_str(&json(&history)).unwrap();
        let expected = serde_json::json!([
            { "eventId": -1, "timestamp": "1970-01-01T00:00:00.000000Z", "orchestratorStarted": {} },
            {
                "eventId": -1,
                "timestamp": "1970-01-01T00:00:00.000000Z",
                "taskCompleted": { "taskScheduledId": 0, "result": "49" }
            },
        ]);
        assert_eq!(value, expected);
    }

    #[test]
    fn no_history_is_an_empty_array() {
        assert_eq!(json(&[]), "[]");
    }
}
