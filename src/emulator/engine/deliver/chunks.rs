//! Gathers an answer to a turn that comes in chunks (`isPartial`).
#![expect(deprecated, reason = "chunked answers are deprecated on the wire, but .NET and Java send them")]

use crate::wire::OrchestratorResponse;
use std::collections::BTreeMap;

/// The chunks of one answer that have come, by their index.
///
/// Chunks without an index count up as they come. One that comes twice, because its sender did not hear that it was
/// taken, is the same chunk; one that overtakes another waits for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct AnswerChunks {
    parts: BTreeMap<i32, OrchestratorResponse>,
    /// The index of the last one, once that has come.
    last: Option<i32>,
}

impl AnswerChunks {
    /// Takes an answer, or a chunk of one. The whole answer, once all of it is there.
    pub(crate) fn take_in(&mut self, answer: OrchestratorResponse) -> Option<OrchestratorResponse> {
        if self.parts.is_empty() && !answer.is_partial && answer.chunk_index.is_none_or(|index| index <= 0) {
            return Some(answer);
        }
        let next = self.parts.last_key_value().map_or(0, |(index, _)| index + 1);
        let index = answer.chunk_index.unwrap_or(next);
        if !answer.is_partial {
            self.last = Some(index);
        }
        self.parts.entry(index).or_insert(answer);
        let (first, last) = (*self.parts.first_key_value()?.0, self.last?);
        let wanted = usize::try_from(last).ok()?.checked_add(1)?;
        if first != 0 || self.parts.len() < wanted {
            return None;
        }
        let mut parts = std::mem::take(self).parts.into_values();
        let mut whole = parts.next()?;
        for part in parts {
            whole.actions.extend(part.actions);
            whole.custom_status = whole.custom_status.or(part.custom_status);
            whole.orchestration_trace_context =
                whole.orchestration_trace_context.or(part.orchestration_trace_context);
            whole.requires_history |= part.requires_history;
        }
        whole.is_partial = false;
        // Chunks after the first say 0 events: all of them were meant (protocol/turns.md#chunks).
        whole.num_events_processed = None;
        Some(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(index: Option<i32>, is_partial: bool, status: &str) -> OrchestratorResponse {
        OrchestratorResponse {
            chunk_index: index,
            is_partial,
            custom_status: Some(status.into()),
            actions: vec![crate::wire::OrchestratorAction { id: index.unwrap_or(9), ..Default::default() }],
            ..Default::default()
        }
    }

    #[test]
    fn an_answer_that_is_no_chunk_is_whole_at_once() {
        assert!(AnswerChunks::default().take_in(chunk(None, false, "one")).is_some());
        assert!(AnswerChunks::default().take_in(chunk(Some(0), false, "one")).is_some());
    }

    #[test]
    fn chunks_without_an_index_count_as_they_come() {
        let mut chunks = AnswerChunks::default();
        assert!(chunks.take_in(chunk(None, true, "one")).is_none());
        assert!(chunks.take_in(chunk(None, true, "two")).is_none());
        let whole = chunks.take_in(chunk(None, false, "three")).expect("the last one is here");
        assert_eq!((whole.actions.len(), whole.custom_status.as_deref()), (3, Some("one")));
    }

    #[test]
    fn a_chunk_that_comes_twice_counts_once_and_a_missing_one_is_waited_for() {
        let mut chunks = AnswerChunks::default();
        assert!(chunks.take_in(chunk(Some(0), true, "one")).is_none());
        assert!(chunks.take_in(chunk(Some(2), false, "three")).is_none());
        assert!(chunks.take_in(chunk(Some(0), true, "one")).is_none());
        let whole = chunks.take_in(chunk(Some(1), true, "two")).expect("all are here");
        assert_eq!(whole.actions.iter().map(|action| action.id).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn a_last_chunk_of_a_senseless_index_is_no_answer() {
        assert!(AnswerChunks::default().take_in(chunk(Some(i32::MIN), true, "one")).is_none());
        assert!(AnswerChunks::default().take_in(chunk(Some(i32::MAX), false, "one")).is_none());
    }
}
