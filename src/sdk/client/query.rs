//! Lists instances, page by page, as a stream.

use super::calls::Retry;
use super::{Client, Error, Snapshot};
use crate::model::{Status, Timestamp};
use crate::wire;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};

/// Which instances to list: all of them until a method narrows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "this only describes; give it to `Client::query`"]
pub struct Query {
    statuses: Vec<Status>,
    created_from: Option<Timestamp>,
    created_to: Option<Timestamp>,
    prefix: Option<String>,
    name: Option<String>,
    tags: Vec<(String, String)>,
    payloads: bool,
    page: i32,
}

impl Default for Query {
    fn default() -> Self {
        Self::all()
    }
}

impl Query {
    /// Lists every instance, without payloads.
    pub const fn all() -> Self {
        Self {
            statuses: Vec::new(),
            created_from: None,
            created_to: None,
            prefix: None,
            name: None,
            tags: Vec::new(),
            payloads: false,
            page: 100,
        }
    }

    /// Lists only instances with this status. Each further call adds one status.
    pub fn status(mut self, status: Status) -> Self {
        self.statuses.push(status);
        self
    }

    /// Lists only instances that were created at `moment` or later.
    pub fn created_from(mut self, moment: Timestamp) -> Self {
        self.created_from = Some(moment);
        self
    }

    /// Lists only instances that were created before `moment`.
    pub fn created_before(mut self, moment: Timestamp) -> Self {
        self.created_to = Some(moment);
        self
    }

    /// Lists only instances whose id begins with `prefix`.
    pub fn id_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Lists only instances of the orchestration `name`. The protocol has no filter for it: the client fetches all and drops the
    /// others.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Lists only instances with this tag; the client drops the others, as for [`Query::name`].
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.push((key.into(), value.into()));
        self
    }

    /// Fetches input, output and custom status too.
    pub fn with_payloads(mut self) -> Self {
        self.payloads = true;
        self
    }

    /// Asks for pages of this many instances; 100 unless set.
    pub fn page_size(mut self, instances: u16) -> Self {
        self.page = i32::from(instances.max(1));
        self
    }

    fn fits(&self, snapshot: &Snapshot) -> bool {
        self.name.as_ref().is_none_or(|name| name == snapshot.name())
            && self.tags.iter().all(|(key, value)| snapshot.tags().get(key) == Some(value))
    }

    fn request(&self, after: Option<String>) -> wire::QueryInstancesRequest {
        let query = wire::InstanceQuery {
            runtime_status: self.statuses.iter().map(|status| status.to_wire().into()).collect(),
            created_time_from: self.created_from.map(Timestamp::to_wire),
            created_time_to: self.created_to.map(Timestamp::to_wire),
            task_hub_names: Vec::new(),
            max_instance_count: self.page,
            continuation_token: after,
            instance_id_prefix: self.prefix.clone(),
            fetch_inputs_and_outputs: self.payloads,
        };
        wire::QueryInstancesRequest { query: Some(query) }
    }
}

/// Which ended instances to list by [`Client::list_ids`], in the order they ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "this only describes; give it to `Client::list_ids`"]
pub struct ListIds {
    statuses: Vec<Status>,
    completed_from: Option<Timestamp>,
    completed_to: Option<Timestamp>,
    page: i32,
}

impl ListIds {
    /// Lists every instance that has ended.
    pub fn ended() -> Self {
        Self { page: 100, ..Self::default() }
    }

    /// Lists only instances with this status. Each further call adds one status.
    pub fn status(mut self, status: Status) -> Self {
        self.statuses.push(status);
        self
    }

    /// Lists only instances that ended at `moment` or later.
    pub fn completed_from(mut self, moment: Timestamp) -> Self {
        self.completed_from = Some(moment);
        self
    }

    /// Lists only instances that ended before `moment`.
    pub fn completed_before(mut self, moment: Timestamp) -> Self {
        self.completed_to = Some(moment);
        self
    }

    /// Asks for pages of this many ids; 100 unless set.
    pub fn page_size(mut self, ids: u16) -> Self {
        self.page = i32::from(ids.max(1));
        self
    }
}

/// Where the next page begins; a scheduler marks the last page by no token, by an empty one, or by repeating the last one.
pub(super) enum Page {
    First,
    After(String),
    Last,
}

impl Page {
    pub(super) fn next(self, said: Option<String>) -> Self {
        match (said.filter(|token| !token.is_empty()), self) {
            (None, _) => Self::Last,
            (Some(token), Self::After(last)) if token == last => Self::Last,
            (Some(token), _) => Self::After(token),
        }
    }

    /// Whether there is nothing to ask for any more.
    pub(super) fn is_last(&self) -> bool {
        matches!(self, Self::Last)
    }

    /// The token to ask with.
    pub(super) fn token(&self) -> Option<String> {
        match self {
            Self::After(token) => Some(token.clone()),
            Self::First | Self::Last => None,
        }
    }
}

impl Client {
    /// The instances that fit, as a stream that fetches a page when it is needed.
    pub fn query(&self, query: Query) -> BoxStream<'static, Result<Snapshot, Error>> {
        let (client, filter) = (self.clone(), query.clone());
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
                        async move { stub.query_instances(request).await }
                    })
                    .await?;
                let snapshots = answer.orchestration_state.into_iter().map(|state| Ok(Snapshot::new(state)));
                Ok(Some((stream::iter(snapshots.collect::<Vec<_>>()), page.next(answer.continuation_token))))
            }
        });
        pages.try_flatten().try_filter(move |snapshot| std::future::ready(filter.fits(snapshot))).boxed()
    }

    /// The ids of the ended instances that fit, as a stream that fetches a page when it is needed.
    pub fn list_ids(&self, list: ListIds) -> BoxStream<'static, Result<String, Error>> {
        let client = self.clone();
        let pages = stream::try_unfold(Page::First, move |page| {
            let (client, list) = (client.clone(), list.clone());
            async move {
                if page.is_last() {
                    return Ok::<_, Error>(None);
                }
                let request = wire::ListInstanceIdsRequest {
                    runtime_status: list.statuses.iter().map(|status| status.to_wire().into()).collect(),
                    completed_time_from: list.completed_from.map(Timestamp::to_wire),
                    completed_time_to: list.completed_to.map(Timestamp::to_wire),
                    page_size: list.page,
                    last_instance_key: page.token(),
                };
                let answer = client
                    .call(Retry::Always, "", |mut stub| {
                        let request = request.clone();
                        async move { stub.list_instance_ids(request).await }
                    })
                    .await?;
                let ids = answer.instance_ids.into_iter().map(Ok);
                Ok(Some((stream::iter(ids.collect::<Vec<_>>()), page.next(answer.last_instance_key))))
            }
        });
        pages.try_flatten().boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paging_ends_by_silence_by_an_empty_token_and_by_a_repeated_one() {
        assert!(Page::First.next(None).is_last());
        assert!(Page::First.next(Some(String::new())).is_last());
        let second = Page::First.next(Some("a".into()));
        assert_eq!(second.token(), Some("a".into()));
        assert!(second.next(Some("a".into())).is_last());
    }
}
