//! Pairs what begins in a history with what ends it.

use super::facts::{Facts, facts, outcome};
use crate::model::Timestamp;
use crate::wire::HistoryEvent;
use crate::wire::history_event::EventType;
use std::collections::BTreeMap;

/// Something that took time, or a moment: then begin and end are the same.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) label: String,
    pub(super) begin: Timestamp,
    pub(super) end: End,
}

/// How a span ended.
#[derive(Debug)]
pub(super) enum End {
    /// It has not, so far as the history goes.
    Open,
    /// It did, and this came of it.
    Well(Timestamp, String),
    /// It failed, and this is why.
    Badly(Timestamp, String),
    /// It never was more than a moment.
    Moment(String),
}

/// What a completion names to say what it completes. Kinds count on their own: an id says nothing across them.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Task(i32),
    Child(i32),
    Timer(i32),
    Request(String),
    Section(String),
}

/// The spans of a history, in the order of their beginning.
pub(super) fn spans(history: &[HistoryEvent]) -> Vec<Span> {
    let mut spans = Spans::default();
    for event in history {
        if let Some(body) = &event.event_type {
            let at = event.timestamp.as_ref().map(Timestamp::from_wire).unwrap_or_default();
            spans.take(event.event_id, at, body);
        }
    }
    spans.all
}

#[derive(Default)]
struct Spans {
    all: Vec<Span>,
    open: BTreeMap<Key, usize>,
}

impl Spans {
    fn take(&mut self, id: i32, at: Timestamp, body: &EventType) {
        let Facts { name, of: _, payload } = facts(body);
        match body {
            EventType::TaskScheduled(_) => self.begin(Key::Task(id), name, at),
            EventType::SubOrchestrationInstanceCreated(_) => {
                self.begin(Key::Child(id), format!("child {name}"), at);
            }
            EventType::TimerCreated(_) => self.begin(Key::Timer(id), "timer".to_owned(), at),
            EventType::EntityOperationCalled(event) => {
                self.begin(Key::Request(event.request_id.clone()), name, at);
            }
            EventType::EntityLockRequested(event) => {
                self.begin(Key::Section(event.critical_section_id.clone()), format!("lock {name}"), at);
            }
            EventType::TaskCompleted(event) => self.well(&Key::Task(event.task_scheduled_id), at, payload),
            EventType::TaskFailed(event) => self.badly(&Key::Task(event.task_scheduled_id), at, payload),
            EventType::SubOrchestrationInstanceCompleted(event) => {
                self.well(&Key::Child(event.task_scheduled_id), at, payload);
            }
            EventType::SubOrchestrationInstanceFailed(event) => {
                self.badly(&Key::Child(event.task_scheduled_id), at, payload);
            }
            EventType::TimerFired(event) => self.well(&Key::Timer(event.timer_id), at, String::new()),
            EventType::EntityOperationCompleted(event) => {
                self.well(&Key::Request(event.request_id.clone()), at, payload);
            }
            EventType::EntityOperationFailed(event) => {
                let why = outcome(None, event.failure_details.as_ref());
                self.badly(&Key::Request(event.request_id.clone()), at, why);
            }
            EventType::EntityLockGranted(event) => {
                self.well(&Key::Section(event.critical_section_id.clone()), at, String::new());
            }
            EventType::EventRaised(_) => self.moment(format!("event {name}"), at, payload),
            EventType::EventSent(_) => self.moment(format!("send {name}"), at, payload),
            EventType::EntityOperationSignaled(_) => self.moment(format!("signal {name}"), at, payload),
            EventType::EntityUnlockSent(_) => self.moment(format!("unlock {name}"), at, payload),
            EventType::ExecutionSuspended(_) => self.moment("suspended".to_owned(), at, payload),
            EventType::ExecutionResumed(_) => self.moment("resumed".to_owned(), at, payload),
            EventType::ExecutionTerminated(_) => self.moment("terminated".to_owned(), at, payload),
            EventType::ExecutionRewound(_) => self.moment("rewound".to_owned(), at, payload),
            // The frame of the picture, not a part of it.
            EventType::ExecutionStarted(_)
            | EventType::ExecutionCompleted(_)
            | EventType::OrchestratorStarted(_)
            | EventType::OrchestratorCompleted(_)
            | EventType::GenericEvent(_)
            | EventType::HistoryState(_)
            | EventType::ContinueAsNew(_) => {}
        }
    }

    /// An id that is used again, as some workers do for retries, begins another span.
    fn begin(&mut self, key: Key, label: String, at: Timestamp) {
        self.open.insert(key, self.all.len());
        self.all.push(Span { label, begin: at, end: End::Open });
    }

    fn well(&mut self, key: &Key, at: Timestamp, result: String) {
        self.close(key, End::Well(at, result));
    }

    fn badly(&mut self, key: &Key, at: Timestamp, why: String) {
        self.close(key, End::Badly(at, why));
    }

    fn close(&mut self, key: &Key, end: End) {
        if let Some(place) = self.open.remove(key) {
            self.all[place].end = end;
        }
    }

    fn moment(&mut self, label: String, at: Timestamp, payload: String) {
        self.all.push(Span { label, begin: at, end: End::Moment(payload) });
    }
}
