//! Deletes what has ended.

use super::calls::Retry;
use super::{Client, Error};
use crate::model::{Status, Timestamp};
use crate::wire::{self, purge_instances_request::Request};
use std::time::Duration;

/// What a purge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// How many instances were deleted.
    pub deleted: usize,
    /// Whether every instance that fits is deleted. Where it is false, call again.
    pub complete: bool,
}

/// Which ended instances to delete: all of them until a method narrows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "this only describes; give it to `Client::purge`"]
pub struct Purge {
    statuses: Vec<Status>,
    created_from: Option<Timestamp>,
    created_to: Option<Timestamp>,
    limit: Option<Duration>,
    recursive: bool,
}

impl Purge {
    /// Deletes every ended instance.
    pub fn ended() -> Self {
        Self::default()
    }

    /// Deletes only instances with this status. Each further call adds one status.
    pub fn status(mut self, status: Status) -> Self {
        self.statuses.push(status);
        self
    }

    /// Deletes only instances that were created at `moment` or later.
    pub fn created_from(mut self, moment: Timestamp) -> Self {
        self.created_from = Some(moment);
        self
    }

    /// Deletes only instances that were created before `moment`.
    pub fn created_before(mut self, moment: Timestamp) -> Self {
        self.created_to = Some(moment);
        self
    }

    /// Stops after this long; [`Purged::complete`] then says that there is more.
    pub fn for_at_most(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Deletes their children too.
    pub fn with_children(mut self) -> Self {
        self.recursive = true;
        self
    }
}

impl Client {
    /// Deletes the ended instances that `which` selects.
    ///
    /// # Errors
    ///
    /// When the scheduler is out of reach or refuses.
    pub async fn purge(&self, which: Purge) -> Result<Purged, Error> {
        let Purge { statuses, created_from, created_to, limit, recursive } = which;
        let filter = wire::PurgeInstanceFilter {
            created_time_from: created_from.map(Timestamp::to_wire),
            created_time_to: created_to.map(Timestamp::to_wire),
            runtime_status: statuses.into_iter().map(|status| status.to_wire().into()).collect(),
            timeout: limit.map(|limit| prost_types::Duration {
                seconds: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
                nanos: i32::try_from(limit.subsec_nanos()).unwrap_or_default(),
            }),
        };
        self.purge_what(Request::PurgeInstanceFilter(filter), recursive, "").await
    }

    /// Deletes those of these instances that have ended; at most 500 at a time.
    ///
    /// # Errors
    ///
    /// When the scheduler is out of reach or refuses.
    pub async fn purge_all(&self, ids: impl IntoIterator<Item = impl Into<String>>) -> Result<Purged, Error> {
        let batch = wire::InstanceBatch { instance_ids: ids.into_iter().map(Into::into).collect() };
        self.purge_what(Request::InstanceBatch(batch), false, "").await
    }

    pub(super) async fn purge_one(&self, id: &str, recursive: bool) -> Result<Purged, Error> {
        self.purge_what(Request::InstanceId(id.to_owned()), recursive, id).await
    }

    async fn purge_what(&self, what: Request, recursive: bool, id: &str) -> Result<Purged, Error> {
        let request = wire::PurgeInstancesRequest { request: Some(what), recursive, is_orchestration: false };
        let answer = self
            .call(Retry::Always, id, |mut stub| {
                let request = request.clone();
                async move { stub.purge_instances(request).await }
            })
            .await?;
        Ok(Purged {
            deleted: usize::try_from(answer.deleted_instance_count).unwrap_or_default(),
            complete: answer.is_complete.unwrap_or(true),
        })
    }
}
