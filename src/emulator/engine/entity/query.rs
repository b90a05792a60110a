//! Finds entities for clients: one by its id, or a page of them in the order of their ids.

use super::{Entities, Entity};
use crate::emulator::engine::command::{EntityQuery, PAGE_BYTES, Refusal};
use crate::model::InstanceId;
use crate::wire;
use prost::Message as _;
use std::ops::Bound;

/// How many entities one page may look at; a page that finds few then ends early, and the next one goes on.
const MOST_VISITED: usize = 10_000;

/// What every cursor begins with; the id of the last entity looked at follows.
const CURSOR: &str = "entity/";

impl Entities {
    /// How many there are, stateless ones among them.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Every entity, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&InstanceId, &Entity)> {
        self.all.iter()
    }

    /// The entity of that id, whatever it has.
    pub fn find(&self, id: &InstanceId) -> Option<&Entity> {
        self.all.get(id)
    }

    /// How an entity looks to a client; `None` where there is none, or none with a state.
    pub fn get(&self, id: &InstanceId, with_state: bool) -> Option<wire::EntityMetadata> {
        let entity = self.all.get(id)?;
        entity.state()?;
        Some(entity.metadata(with_state))
    }

    /// A page of entities, and where the next one begins. A page ends early where its states would make it too long for
    /// one message.
    ///
    /// # Errors
    ///
    /// [`Refusal::Invalid`] where `after` is not what a page before said.
    pub fn query(&self, query: &EntityQuery) -> Result<(Vec<wire::EntityMetadata>, Option<String>), Refusal> {
        let after = query.after.as_deref().map(parse).transpose()?;
        let from = match after {
            Some(after) if after >= query.id_prefix.as_str() => Bound::Excluded(after),
            Some(_) | None => Bound::Included(query.id_prefix.as_str()),
        };
        let mut matching = self
            .all
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(id, _)| id.as_str().starts_with(&query.id_prefix));
        let mut page = Vec::new();
        let mut room = PAGE_BYTES;
        let mut visited = 0;
        let mut last = None;
        let mut ended_early = false;
        for (id, entity) in matching.by_ref() {
            if shows(entity, query) {
                let metadata = entity.metadata(query.state);
                let size = metadata.encoded_len();
                if size > room && !page.is_empty() {
                    ended_early = true;
                    break;
                }
                room = room.saturating_sub(size);
                page.push(metadata);
            }
            visited += 1;
            last = Some(id);
            // Java's client takes an empty page for the last one, whatever it says of a next.
            if page.len() >= query.page_size.max(1) || (visited >= MOST_VISITED && !page.is_empty()) {
                break;
            }
        }
        // The next page is promised only if there is something on it, as far as a look ahead may go.
        let more = matching.take(MOST_VISITED).enumerate();
        let mut more = more.filter(|(at, (_, entity))| shows(entity, query) || at + 1 == MOST_VISITED);
        let next = last.filter(|_| ended_early || more.next().is_some()).map(|id| format!("{CURSOR}{id}"));
        Ok((page, next))
    }
}

fn shows(entity: &Entity, query: &EntityQuery) -> bool {
    let kind = if query.transient { entity.is_visible() } else { entity.state().is_some() };
    let from = query.modified_from.is_none_or(|from| entity.modified >= from);
    let to = query.modified_to.is_none_or(|to| entity.modified < to);
    kind && from && to
}

fn parse(cursor: &str) -> Result<&str, Refusal> {
    match cursor.strip_prefix(CURSOR) {
        Some(id) if !id.is_empty() => Ok(id),
        Some(_) | None => Err(Refusal::Invalid {
            what: format!(
                "the continuation token {cursor:?} is none of this hub's: give back what the last page said"
            ),
        }),
    }
}
