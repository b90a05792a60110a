//! Shows instances, lists of them, and their histories.

use super::Decider;
use crate::emulator::engine::command::{
    EntityQuery, HistoryPage, ListIds, PAGE_BYTES, Query, Refusal, Reply,
};
use crate::model::InstanceId;
use bytes::Bytes;
use prost::Message as _;
use std::sync::Arc;

impl Decider {
    /// `GetInstance`: one that does not exist is an answer, not an error (protocol/instances.md#state).
    pub(crate) fn get(&self, id: &InstanceId, payloads: bool) -> Reply {
        Reply::State(self.state.instance(id).map(|instance| Arc::new(instance.state(id, payloads))))
    }

    /// `QueryInstances` (protocol/instances.md#query). A page ends early where its payloads would make it too long for one message.
    pub(crate) fn query(&self, query: &Query) -> Result<Reply, Refusal> {
        let mut page = self.state.index().query(query)?;
        let mut states = Vec::with_capacity(page.ids.len());
        let mut room = PAGE_BYTES;
        for id in &page.ids {
            let Some(instance) = self.state.instance(id) else { continue };
            let state = instance.state(id, query.payloads);
            let size = state.encoded_len();
            if size > room && !states.is_empty() {
                let shorter = Query { page_size: states.len(), ..query.clone() };
                page = self.state.index().query(&shorter)?;
                break;
            }
            room = room.saturating_sub(size);
            states.push(state);
        }
        Ok(Reply::States { states, next: page.next })
    }

    /// `ListInstanceIds` (protocol/instances.md#list-ids).
    pub(crate) fn list_ids(&self, list: &ListIds) -> Result<Reply, Refusal> {
        let page = self.state.index().list_ids(list)?;
        let ids = page.ids.iter().map(|id| id.as_str().to_owned()).collect();
        Ok(Reply::Ids { ids, next: page.next })
    }

    /// `StreamInstanceHistory`: what is committed of the current execution. Of an instance that does not exist, and of
    /// an execution that is over, there is nothing (protocol/instances.md#history). The past of a turn in flight is the same:
    /// while it is out nothing is committed.
    pub(crate) fn read_history(&self, id: &InstanceId, execution: Option<&str>) -> Reply {
        let instance = self.state.instance(id);
        let current = |asked: &str, current: &str| asked.is_empty() || asked == current;
        let asked = execution.unwrap_or_default();
        let instance = instance.filter(|instance| current(asked, instance.execution().as_str()));
        let events = instance.map(|i| i.history().events().map(Bytes::copy_from_slice).collect());
        Reply::History(events.unwrap_or_default())
    }

    /// A part of what [`Decider::read_history`] says: a reader that is slow, or never reads, holds one part of it.
    pub(crate) fn read_history_page(&self, page: HistoryPage) -> Result<Reply, Refusal> {
        let HistoryPage { id, execution, after, until, bytes } = page;
        let asked = execution.as_deref().unwrap_or_default();
        let instance =
            self.state.instance(&id).filter(|i| asked.is_empty() || asked == i.execution().as_str());
        let Some(instance) = instance else {
            return match until {
                None => Ok(Reply::HistoryPage { events: Vec::new(), next: None }),
                Some(_) => Err(Refusal::HistoryReplaced { id }),
            };
        };
        let until = until.unwrap_or(instance.history().len());
        let (mut events, mut room) = (Vec::new(), bytes);
        for event in instance.history().events_from(after).take(until.saturating_sub(after)) {
            if event.len() > room && !events.is_empty() {
                break;
            }
            room = room.saturating_sub(event.len());
            events.push(Bytes::copy_from_slice(event));
        }
        let after = after + events.len();
        let execution = Some(instance.execution().as_str().to_owned());
        let next = (after < until).then_some(HistoryPage { id, execution, after, until: Some(until), bytes });
        Ok(Reply::HistoryPage { events, next })
    }

    /// `GetEntity` (protocol/entities.md#reading).
    pub(crate) fn get_entity(&self, id: &InstanceId, state: bool) -> Reply {
        Reply::Entity(self.state.entities().get(id, state).map(Box::new))
    }

    pub(crate) fn query_entities(&self, query: &EntityQuery) -> Result<Reply, Refusal> {
        let (entities, next) = self.state.entities().query(query)?;
        Ok(Reply::Entities { entities, next })
    }
}
