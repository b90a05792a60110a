//! The stream of work items.

use super::metadata::Sdk;
use super::{Service, metadata};
use crate::emulator::dispatch::{CloseNotice, Items};
use crate::emulator::engine::command::Offer;
use crate::model::extension::STICKY_HEADER;
use crate::wire;
use bytes::Bytes;
use futures_util::stream::Stream;
use http::HeaderMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::Status;

/// A stream of encoded work items.
pub(super) struct WorkItemStream {
    items: Items,
    ended: bool,
}

impl Stream for WorkItemStream {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match self.items.poll_next(cx) {
            Poll::Ready(Ok(item)) => Poll::Ready(Some(Ok(item))),
            Poll::Ready(Err(end)) => {
                self.ended = true;
                // Never CANCELLED, after which some workers never connect again (protocol/transport.md#streams).
                Poll::Ready(Some(Err(end.into())))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Service {
    /// `GetWorkItems`. The response headers are sent at once, before there is any work.
    pub(super) fn work_items(
        &self,
        headers: &HeaderMap,
        request: wire::GetWorkItemsRequest,
        notice: Arc<CloseNotice>,
    ) -> Result<WorkItemStream, Status> {
        let hub = self.hub_of(headers)?;
        let sdk = metadata::sdk(headers);
        // Zero and less mean that no limit is stated (protocol/transport.md#limits-of-a-worker), and the hub's own limit
        // holds. Python's worker means none by zero turns or activities, and never states a limit for entities. Go's
        // published worker never answers an entity item (R93, R94).
        let limit = |given: i32, zero: Option<usize>| usize::try_from(given).ok().filter(|l| *l > 0).or(zero);
        let named = Some(request.worker_instance_id.clone()).filter(|name| !name.is_empty());
        let none_of = |is: Sdk| (sdk == is).then_some(0);
        let offer = Offer {
            turns: limit(request.max_concurrent_orchestration_work_items, none_of(Sdk::Python)),
            activities: limit(request.max_concurrent_activity_work_items, none_of(Sdk::Python)),
            batches: limit(request.max_concurrent_entity_work_items, none_of(Sdk::PlainGo)),
            history_streaming: request
                .capabilities()
                .any(|capability| capability == wire::WorkerCapability::HistoryStreaming),
            sticky: headers.get(STICKY_HEADER).is_some_and(|value| value == "1"),
            worker: metadata::worker(headers).or(named),
            // Both cancel the stream to stop, and complete what they hold for up to 30 s (docs/clients).
            drains: matches!(sdk, Sdk::Python | Sdk::JavaScript),
            // .NET sends the message always, and all three lists empty where it filters nothing (R48).
            filters: request.work_item_filters.filter(|filters| {
                !(filters.orchestrations.is_empty()
                    && filters.activities.is_empty()
                    && filters.entities.is_empty())
            }),
        };
        Ok(WorkItemStream { items: hub.open_over(offer, Some(notice))?, ended: false })
    }
}
