//! Shows a history: as a timeline, a table or JSON.
//!
//! Pure: events in, text out; the same events always give the same text.

mod facts;
mod json;
mod span;
mod table;
mod timeline;

pub use json::json;
pub use table::table;
pub use timeline::timeline;

/// Payloads are shown up to this many characters in text; JSON has them whole.
const PREVIEW: usize = 60;

/// What fits on a line of a payload that may be long and may hold anything.
fn preview(payload: &str) -> String {
    let line = payload.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut text: String = line.take(PREVIEW).collect();
    if payload.chars().nth(PREVIEW).is_some() {
        text.push_str("...");
    }
    text
}

/// A duration in the unit that suits it.
fn elapsed(duration: std::time::Duration) -> String {
    let micros = duration.as_micros();
    let tenths = |unit: u128| format!("{}.{}", micros / unit, micros * 10 / unit % 10);
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{} ms", tenths(1_000)),
        1_000_000..60_000_000 => format!("{} s", tenths(1_000_000)),
        60_000_000..3_600_000_000 => format!("{} min", tenths(60_000_000)),
        3_600_000_000..86_400_000_000 => format!("{} h", tenths(3_600_000_000)),
        _ => format!("{} d", tenths(86_400_000_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_payload_is_cut_between_characters_and_stays_on_its_line() {
        assert_eq!(preview("[1,\n2]"), "[1, 2]");
        assert_eq!(preview(&"\u{e9}".repeat(61)), format!("{}...", "\u{e9}".repeat(60)));
    }

    #[test]
    fn durations_have_the_unit_that_suits_them() {
        assert_eq!(elapsed(Duration::from_micros(7)), "7 us");
        assert_eq!(elapsed(Duration::from_micros(1_250)), "1.2 ms");
        assert_eq!(elapsed(Duration::from_secs(90)), "1.5 min");
        assert_eq!(elapsed(Duration::from_secs(3 * 86_400)), "3.0 d");
    }
}
