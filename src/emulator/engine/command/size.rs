//! Says how many bytes a reply takes, closely enough to bound what clients are sent.

use super::Reply;
use prost::Message as _;

/// How many bytes a page has at the most, one instance or entity at the least: clients take 4 MiB (protocol/limits.md#work-items).
pub(crate) const PAGE_BYTES: usize = 3 << 20;

impl Reply {
    /// About how many bytes it takes: those of the message that it becomes, where that can be long.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Done | Self::Started(_) | Self::Waiting | Self::Purged { .. } | Self::Stats(_) => 0,
            Self::State(state) => state.as_ref().map_or(0, |state| state.encoded_len()),
            Self::States { states, .. } => states.iter().map(prost::Message::encoded_len).sum(),
            Self::Ids { ids, .. } => ids.iter().map(String::len).sum(),
            Self::Unterminated(ids) => ids.iter().map(|id| id.as_str().len()).sum(),
            Self::History(events) | Self::HistoryPage { events, .. } => {
                events.iter().map(bytes::Bytes::len).sum()
            }
            Self::Entity(entity) => entity.as_ref().map_or(0, prost::Message::encoded_len),
            Self::Entities { entities, .. } => entities.iter().map(prost::Message::encoded_len).sum(),
        }
    }
}
