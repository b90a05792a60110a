//! Shows a history as a timeline: one bar for each thing that took time, so that what ran side by side stands side by side.

use super::facts::{outcome, status};
use super::span::{End, Span, spans};
use super::{elapsed, preview};
use crate::model::Timestamp;
use crate::wire::HistoryEvent;
use crate::wire::history_event::EventType;
use std::fmt::Write;
use std::time::Duration;

/// How wide the picture is, in characters.
const WIDTH: usize = 40;
/// How wide a name may be.
const NAME: usize = 28;
/// More rows than this are shown by the first and the last of them.
const ROWS: usize = 60;

/// The history as a picture with a line before it and one after it.
pub fn timeline(history: &[HistoryEvent]) -> String {
    let moments = || history.iter().filter_map(|event| event.timestamp.as_ref()).map(Timestamp::from_wire);
    let (Some(first), Some(last)) = (moments().min(), moments().max()) else {
        return "nothing has happened yet\n".to_owned();
    };
    let scale = Scale { first, length: last.since(first) };
    let spans = spans(history);
    let name = spans.iter().map(|span| span.label.chars().count()).max().unwrap_or_default().min(NAME);
    let mut text = String::new();
    frame(&mut text, history, first);
    if spans.len() <= ROWS {
        rows(&mut text, &spans, &scale, name);
    } else {
        let (head, tail) = (&spans[..ROWS / 2], &spans[spans.len() - ROWS / 6..]);
        rows(&mut text, head, &scale, name);
        put(&mut text, format_args!("  ... {} more ...\n", spans.len() - head.len() - tail.len()));
        rows(&mut text, tail, &scale, name);
    }
    end(&mut text, history, &scale);
    text
}

/// Writing to a string cannot fail.
fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(what);
}

fn frame(text: &mut String, history: &[HistoryEvent], first: Timestamp) {
    for event in history {
        if let Some(EventType::ExecutionStarted(started)) = &event.event_type {
            let input = started.input.as_deref().map(preview).unwrap_or_default();
            put(text, format_args!("{first}  {} begins {input}\n", preview(&started.name)));
        }
    }
}

fn end(text: &mut String, history: &[HistoryEvent], scale: &Scale) {
    let events = history.len();
    let length = elapsed(scale.length);
    let ended = history.iter().rev().find_map(|event| match &event.event_type {
        Some(EventType::ExecutionCompleted(completed)) => Some(completed),
        _ => None,
    });
    match ended {
        None => put(text, format_args!("not ended after {length}; {events} events so far\n")),
        Some(completed) => {
            let what = outcome(completed.result.as_deref(), completed.failure_details.as_ref());
            let status = status(completed.orchestration_status);
            put(text, format_args!("{status} after {length}, {events} events: {}\n", preview(&what)));
        }
    }
}

fn rows(text: &mut String, spans: &[Span], scale: &Scale, name: usize) {
    for span in spans {
        let label: String = preview(&span.label).chars().take(name).collect();
        let (bar, took, what) = match &span.end {
            End::Open => (scale.bar(span.begin, None, '-'), "still open".to_owned(), String::new()),
            End::Well(at, result) => {
                (scale.bar(span.begin, Some(*at), '='), elapsed(at.since(span.begin)), preview(result))
            }
            End::Badly(at, why) => {
                let took = elapsed(at.since(span.begin));
                (scale.bar(span.begin, Some(*at), 'x'), took, format!("failed: {}", preview(why)))
            }
            End::Moment(payload) => {
                let after = elapsed(span.begin.since(scale.first));
                (scale.bar(span.begin, Some(span.begin), '*'), format!("at {after}"), preview(payload))
            }
        };
        put(text, format_args!("{}\n", format!("  {label:<name$} |{bar}| {took:>10}  {what}").trim_end()));
    }
}

/// From the first moment to the last, over the width of the picture.
struct Scale {
    first: Timestamp,
    length: Duration,
}

impl Scale {
    /// A bar from one moment to another, at least one character wide; without an end it goes on to the edge.
    fn bar(&self, from: Timestamp, to: Option<Timestamp>, with: char) -> String {
        let from = self.column(from);
        let to = to.map_or(WIDTH - 1, |to| self.column(to)).max(from);
        (0..WIDTH).map(|column| if (from..=to).contains(&column) { with } else { ' ' }).collect()
    }

    fn column(&self, at: Timestamp) -> usize {
        let whole = self.length.as_micros().max(1);
        let part = at.since(self.first).as_micros().min(whole);
        let column = part * (WIDTH as u128 - 1) / whole;
        usize::try_from(column).unwrap_or(WIDTH - 1)
    }
}
