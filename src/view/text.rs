//! Turns moments, durations and payloads into short text that a terminal can show.

use crate::model::Timestamp;
use crate::wire::{HistoryEvent, TaskFailureDetails};
use std::time::Duration;

/// How much of a failure's message is shown.
const MESSAGE: usize = 60;

/// When an event happened; the epoch where it does not say.
pub fn moment(event: &HistoryEvent) -> Timestamp {
    event.timestamp.as_ref().map(Timestamp::from_wire).unwrap_or_default()
}

/// A duration as people say it: `0`, `12 us`, `3.4 ms`, `1.25 s`, `2 h 5 min`.
pub fn spoken(duration: Duration) -> String {
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
pub fn short(text: &str, limit: usize) -> String {
    let mut shown = one_line(&text.chars().take(limit).collect::<String>());
    if text.chars().nth(limit).is_some() {
        shown.truncate(shown.char_indices().rev().nth(2).map_or(0, |(at, _)| at));
        shown.push_str("...");
    }
    shown
}

/// A failure on one line: its type, and the beginning of its message.
pub fn failed(failure: Option<&TaskFailureDetails>) -> String {
    let Some(failure) = failure else { return "failed".to_owned() };
    format!("{}: {}", failure.error_type, short(&failure.error_message, MESSAGE))
}
