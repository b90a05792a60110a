//! Shows a history as something to read: a table, a timeline, a sequence, or JSON.
//!
//! Everything here looks at `wire::HistoryEvent`s and at nothing else, so it shows what a scheduler in Azure did as
//! well as what an emulator did.
//!
//! # Layout
//!
//! - [`json`], [`from_json`]: the protocol's own JSON, written and read by what the protocol says of itself.
//! - [`table`]: one line an event. [`timeline`]: one line a task, over time. [`sequence`]: a mermaid diagram.
//! - [`normal`]: the same text for every run that did the same, whatever its ids, its times and its turns.
//! - `tasks`: finds the tasks in a history, their attempts folded.

mod json;
mod normal;
mod sequence;
mod table;
mod tasks;
mod timeline;

pub use json::{NotHistory, from_json, json};
pub use normal::normal;
pub use sequence::sequence;
pub use table::table;
pub use timeline::{Head, Look, timeline, timeline_in, timeline_of};

use crate::model::Timestamp;
use crate::wire::HistoryEvent;
use std::time::Duration;

/// The tasks that a history has begun and not ended, by name and id, oldest first.
pub fn open(history: &[HistoryEvent]) -> Vec<String> {
    let tasks = tasks::instance(history).tasks;
    tasks.iter().filter(|task| task.to().is_none()).map(tasks::Task::title).collect()
}

/// When an event happened; the epoch where it does not say.
fn moment(event: &HistoryEvent) -> Timestamp {
    event.timestamp.as_ref().map(Timestamp::from_wire).unwrap_or_default()
}

/// A duration as people say it: `0`, `12 us`, `3.4 ms`, `1.25 s`, `2 h 5 min`.
fn spoken(duration: Duration) -> String {
    let micros = duration.as_micros();
    let seconds = duration.as_secs();
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let of = |unit: u128| micros as f64 / unit as f64;
    match micros {
        0 => "0".to_owned(),
        1..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{:.1} ms", of(1_000)),
        1_000_000..60_000_000 => format!("{:.2} s", of(1_000_000)),
        60_000_000..3_600_000_000 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600_000_000..86_400_000_000 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// A text on one line that a terminal only shows: every control character in it, which might steer one, is a space.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// At most `limit` characters of a text, on one line; a longer text ends in dots.
fn short(text: &str, limit: usize) -> String {
    let mut shown = one_line(&text.chars().take(limit).collect::<String>());
    if text.chars().nth(limit).is_some() {
        shown.truncate(shown.char_indices().rev().nth(2).map_or(0, |(at, _)| at));
        shown.push_str("...");
    }
    shown
}
