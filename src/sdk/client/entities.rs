//! Signals entities, reads their state and lists them.

use super::calls::Retry;
use super::query::Page;
use super::{Client, Error};
use crate::entropy;
use crate::model::Timestamp;
use crate::sdk::replay::{Entity, EntityId, Operation, name_of, names_itself};
use crate::wire;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::type_name;

/// An entity as the scheduler last saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct EntitySnapshot {
    metadata: wire::EntityMetadata,
}

impl EntitySnapshot {
    /// Its id, `@name@key`.
    pub fn id(&self) -> &str {
        &self.metadata.instance_id
    }

    /// When it last changed.
    pub fn modified(&self) -> Option<Timestamp> {
        self.metadata.last_modified_time.as_ref().map(Timestamp::from_wire)
    }

    /// The orchestration that holds a lock on it, where one does.
    pub fn locked_by(&self) -> Option<&str> {
        self.metadata.locked_by.as_deref()
    }

    /// How many operations wait for it.
    pub fn backlog(&self) -> usize {
        usize::try_from(self.metadata.backlog_queue_size).unwrap_or_default()
    }

    /// Its state; `None` where it has none, or where none was asked for.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] when it is not a `T`.
    pub fn state<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        self.metadata
            .serialized_state
            .as_deref()
            .map(|json| {
                serde_json::from_str(json).map_err(|error| Error::decode("the entity's state", &error))
            })
            .transpose()
    }
}

/// Which entities to list: all that have a state until a method changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "this only describes; give it to `Client::query_entities`"]
pub struct EntityQuery {
    prefix: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    state: bool,
    transient: bool,
    page: i32,
}

impl EntityQuery {
    /// Lists every entity that has a state, with the state.
    pub const fn all() -> Self {
        Self { prefix: None, from: None, to: None, state: true, transient: false, page: 100 }
    }

    /// Lists only entities of the kind `name`, without regard to case.
    pub fn kind(mut self, name: &str) -> Self {
        self.prefix = Some(format!("@{}@", name.to_lowercase()));
        self
    }

    /// Lists only entities whose id, `@name@key`, begins with `prefix`.
    pub fn id_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Lists only entities that changed at `moment` or later.
    pub fn modified_from(mut self, moment: Timestamp) -> Self {
        self.from = Some(moment);
        self
    }

    /// Lists only entities that changed before `moment`.
    pub fn modified_before(mut self, moment: Timestamp) -> Self {
        self.to = Some(moment);
        self
    }

    /// Leaves the states out.
    pub fn without_state(mut self) -> Self {
        self.state = false;
        self
    }

    /// Lists entities without a state too: locked ones, for example, or ones with a backlog.
    pub fn with_transient(mut self) -> Self {
        self.transient = true;
        self
    }

    /// Asks for pages of this many entities; 100 unless set.
    pub fn page_size(mut self, entities: u16) -> Self {
        self.page = i32::from(entities.max(1));
        self
    }

    fn request(&self, after: Option<String>) -> wire::QueryEntitiesRequest {
        let query = wire::EntityQuery {
            instance_id_starts_with: self.prefix.clone(),
            last_modified_from: self.from.map(Timestamp::to_wire),
            last_modified_to: self.to.map(Timestamp::to_wire),
            include_state: self.state,
            include_transient: self.transient,
            page_size: Some(self.page),
            continuation_token: after,
        };
        wire::QueryEntitiesRequest { query: Some(query) }
    }
}

impl Client {
    /// Signals an entity: the operation is performed later, in the order of the signals, and its result is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when the entity is of another kind than the operation, [`Error::Encode`] when `input` cannot
    /// be written; when the scheduler is out of reach or refuses.
    pub async fn signal<F, M>(&self, entity: &EntityId, operation: F, input: F::Input) -> Result<(), Error>
    where
        F: Operation<M>,
    {
        let _ = operation;
        if !entity.name().eq_ignore_ascii_case(F::State::NAME) {
            return Err(Error::Refused { why: format!("{entity} is no '{}'", F::State::NAME) });
        }
        if !names_itself::<F>() {
            return Err(Error::Nameless { path: type_name::<F>() });
        }
        self.send_signal(entity, name_of::<F>(), &input, None).await
    }

    /// As [`Client::signal`], for an operation that is only known by its name.
    ///
    /// # Errors
    ///
    /// As [`Client::signal`].
    pub async fn signal_named(
        &self,
        entity: &EntityId,
        operation: &str,
        input: impl Serialize,
    ) -> Result<(), Error> {
        self.send_signal(entity, operation, &input, None).await
    }

    /// As [`Client::signal_named`], delivered at `moment` instead of at once.
    ///
    /// # Errors
    ///
    /// As [`Client::signal`].
    pub async fn signal_named_at(
        &self,
        entity: &EntityId,
        operation: &str,
        input: impl Serialize,
        moment: Timestamp,
    ) -> Result<(), Error> {
        self.send_signal(entity, operation, &input, Some(moment)).await
    }

    async fn send_signal(
        &self,
        entity: &EntityId,
        operation: &str,
        input: &impl Serialize,
        at: Option<Timestamp>,
    ) -> Result<(), Error> {
        let input =
            serde_json::to_string(input).map_err(|error| Error::encode("the signal's input", &error))?;
        let id = entity.to_string();
        let request = wire::SignalEntityRequest {
            instance_id: id.clone(),
            name: operation.to_owned(),
            input: Some(input),
            request_id: entropy::uuid().to_string(),
            scheduled_time: at.map(Timestamp::to_wire),
            request_time: Some(self.target().time().now().to_wire()),
            parent_trace_context: None,
        };
        // Two calls would be two signals.
        self.call(Retry::NotSent, &id, |mut stub| {
            let request = request.clone();
            async move { stub.signal_entity(request).await }
        })
        .await
        .map(drop)
    }

    /// Fetches an entity with its state. `None` when there is no such entity, or it has no state.
    ///
    /// # Errors
    ///
    /// When the scheduler is out of reach or refuses.
    pub async fn entity(&self, entity: &EntityId) -> Result<Option<EntitySnapshot>, Error> {
        let id = entity.to_string();
        let request = wire::GetEntityRequest { instance_id: id.clone(), include_state: true };
        let answer = self
            .call(Retry::Always, &id, |mut stub| {
                let request = request.clone();
                async move { stub.get_entity(request).await }
            })
            .await?;
        Ok(answer.entity.filter(|_| answer.exists).map(|metadata| EntitySnapshot { metadata }))
    }

    /// Lists the entities that `query` selects, as a stream that fetches each page when it is reached.
    pub fn query_entities(&self, query: EntityQuery) -> BoxStream<'static, Result<EntitySnapshot, Error>> {
        let client = self.clone();
        let pages = stream::try_unfold(Page::First, move |page| {
            let (client, query) = (client.clone(), query.clone());
            async move {
                if page.is_last() {
                    return Ok::<_, Error>(None);
                }
                let request = query.request(page.token());
                let answer = client
                    .call(Retry::Always, "", |mut stub| {
                        let request = request.clone();
                        async move { stub.query_entities(request).await }
                    })
                    .await?;
                let found: Vec<_> =
                    answer.entities.into_iter().map(|metadata| Ok(EntitySnapshot { metadata })).collect();
                Ok(Some((stream::iter(found), page.next(answer.continuation_token))))
            }
        });
        pages.try_flatten().boxed()
    }

    /// Asks the scheduler to remove empty entities and to release locks whose orchestrations have ended; returns how many
    /// of each. A scheduler that does so by itself returns zeros.
    ///
    /// # Errors
    ///
    /// When the scheduler is out of reach or refuses.
    pub async fn clean_entities(&self) -> Result<(usize, usize), Error> {
        let (mut removed, mut released, mut page) = (0, 0, Page::First);
        while !page.is_last() {
            let request = wire::CleanEntityStorageRequest {
                continuation_token: page.token(),
                remove_empty_entities: true,
                release_orphaned_locks: true,
            };
            let answer = self
                .call(Retry::Always, "", |mut stub| {
                    let request = request.clone();
                    async move { stub.clean_entity_storage(request).await }
                })
                .await?;
            removed += usize::try_from(answer.empty_entities_removed).unwrap_or_default();
            released += usize::try_from(answer.orphaned_locks_released).unwrap_or_default();
            page = page.next(answer.continuation_token);
        }
        Ok((removed, released))
    }
}
