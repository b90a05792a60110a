//! Keeps a history encoded, so that sending it is one copy.

use crate::wire::HistoryEvent;
use bytes::Bytes;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

/// The field number of `pastEvents` in `OrchestratorRequest`: what every event is framed as.
const PAST_EVENTS: u32 = 3;

/// Events in order, each encoded once and framed as a `pastEvents` field of an `OrchestratorRequest`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct EncodedHistory {
    framed: Vec<u8>,
    /// Where the body of each event begins and ends in `framed`.
    bodies: Vec<(u32, u32)>,
}

impl EncodedHistory {
    /// How many events there are.
    pub(crate) fn len(&self) -> usize {
        self.bodies.len()
    }

    /// How many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.framed.len() + size_of_val(self.bodies.as_slice())
    }

    /// Gives back what was kept for more events: none are expected.
    pub(crate) fn shrink(&mut self) {
        // For a short history it is not worth the copy.
        if self.framed.capacity() - self.framed.len() > 16 << 10 {
            self.framed.shrink_to_fit();
            self.bodies.shrink_to_fit();
        }
    }

    /// All events, as fields to be put into an `OrchestratorRequest` as they are.
    pub(crate) fn framed(&self) -> &[u8] {
        &self.framed
    }

    /// Each event, encoded and without its frame.
    pub(crate) fn events(&self) -> impl Iterator<Item = &[u8]> {
        self.events_from(0)
    }

    /// The same without the first ones.
    pub(crate) fn events_from(&self, first: usize) -> impl Iterator<Item = &[u8]> {
        let bodies = self.bodies.get(first..).unwrap_or_default();
        bodies.iter().map(|&(from, to)| &self.framed[from as usize..to as usize])
    }

    /// Appends an encoded event.
    pub(crate) fn push(&mut self, event: &[u8]) {
        frame(PAST_EVENTS, event, &mut self.framed);
        let end = offset(self.framed.len());
        self.bodies.push((end - offset(event.len()), end));
    }
}

/// A history is far below 4 GiB: its events came in messages of limited size, one process keeps them all.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Encodes an event.
pub(crate) fn encode(event: &HistoryEvent) -> Bytes {
    event.encode_to_vec().into()
}

/// Decodes what [`encode`] made; `None` where the bytes are no event, which the engine never stores.
pub(crate) fn decode(event: &[u8]) -> Option<HistoryEvent> {
    HistoryEvent::decode(event).ok()
}

/// Appends `body` as a length-delimited field.
pub(crate) fn frame(field: u32, body: &[u8], into: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, into);
    encode_varint(body.len() as u64, into);
    into.extend_from_slice(body);
}

/// How long [`frame`] makes a body, for fields numbered below 16.
pub(crate) fn framed_len(body: usize) -> usize {
    1 + encoded_len_varint(body as u64) + body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Timestamp, event};
    use crate::wire::OrchestratorRequest;

    #[test]
    fn a_framed_history_is_the_past_of_a_request() {
        let events: Vec<_> =
            (0..300).map(|i| event::event_raised(Timestamp::from_micros(i), "e".repeat(200), None)).collect();
        let mut history = EncodedHistory::default();
        for event in &events {
            history.push(&encode(event));
        }
        assert_eq!(OrchestratorRequest::decode(history.framed()).unwrap().past_events, events);
        let one_by_one: Vec<_> = history.events().map(|event| decode(event).unwrap()).collect();
        assert_eq!(one_by_one, events);
    }
}
