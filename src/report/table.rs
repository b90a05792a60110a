//! Shows a history as a table: one event a row, whole columns.

use super::facts::{Facts, facts};
use super::{elapsed, preview};
use crate::model::{Kind, Timestamp};
use crate::wire::HistoryEvent;
use std::fmt::Write;

/// The history as a table with a heading; times count from its first event.
pub fn table(history: &[HistoryEvent]) -> String {
    let first = history.first().and_then(|event| event.timestamp.as_ref()).map(Timestamp::from_wire);
    let heading = ["#", "after", "event", "id", "of", "name", "payload"].map(str::to_owned);
    let rows = history.iter().enumerate().map(|(at, event)| row(at, event, first.unwrap_or_default()));
    let rows: Vec<[String; 7]> = std::iter::once(heading).chain(rows).collect();
    let widths: Vec<usize> = (0..7)
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default())
        .collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a string cannot fail.
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn row(at: usize, event: &HistoryEvent, first: Timestamp) -> [String; 7] {
    let moment = event.timestamp.as_ref().map(Timestamp::from_wire);
    let after = moment.map(|moment| elapsed(moment.since(first))).unwrap_or_default();
    let (kind, Facts { name, of, payload }) = match &event.event_type {
        Some(body) => (Kind::of(body).as_str(), facts(body)),
        None => ("(unknown to this version)", Facts::default()),
    };
    let id = if event.event_id < 0 { String::new() } else { event.event_id.to_string() };
    let of = of.map(|of| of.to_string()).unwrap_or_default();
    [(at + 1).to_string(), after, kind.to_owned(), id, of, preview(&name), preview(&payload)]
}
