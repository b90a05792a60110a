//! Fetches the past of a turn whose history does not come with it, up to a limit.

use super::options::HistoryLimit;
use crate::clock::Clock;
use crate::sdk::connect::SchedulerStub;
use crate::wire;
use prost::Message;
use std::time::Duration;
use tonic::Status;

/// How many histories are fetched, or wait for their turn to begin, at a time: together with the limit of each this bounds
/// the memory that they take.
pub(super) const AT_ONCE: usize = 4;

/// How long a scheduler may take to send the next part of a history.
const SILENCE: Duration = Duration::from_secs(30);

/// How long the worker waits before it gives a turn back whose history is over the limit: the scheduler hands it out again
/// at once, perhaps to this worker, which would fetch as much again.
pub(super) const PAUSE: Duration = Duration::from_secs(5);

/// Why a history could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum HistoryError {
    #[error(
        "its history has more than {0} events, the limit of this worker (Worker::history_limit); \
         raise the limit, or end the execution earlier with continue_as_new"
    )]
    Events(usize),
    #[error(
        "its history takes more than {0} bytes, the limit of this worker (Worker::history_limit); \
         raise the limit, or end the execution earlier with continue_as_new"
    )]
    Bytes(usize),
    #[error("the scheduler sent no further part of it for {SILENCE:?}")]
    Silent,
    #[error("the scheduler does not send it: {}", .0.message())]
    Refused(#[from] Status),
}

impl HistoryError {
    /// Whether another attempt would come to the same.
    pub(super) fn is_over_limit(&self) -> bool {
        match self {
            Self::Events(_) | Self::Bytes(_) => true,
            Self::Silent | Self::Refused(_) => false,
        }
    }
}

/// Fetches the past of a turn. `more` hears how many bytes each part of it takes in memory.
pub(super) async fn fetch(
    mut stub: SchedulerStub,
    request: &wire::OrchestratorRequest,
    limit: HistoryLimit,
    clock: &dyn Clock,
    mut more: impl FnMut(usize),
) -> Result<Vec<wire::HistoryEvent>, HistoryError> {
    let ask = wire::StreamInstanceHistoryRequest {
        instance_id: request.instance_id.clone(),
        execution_id: request.execution_id.clone(),
        for_work_item_processing: true,
    };
    let mut events = Vec::new();
    let mut bytes = 0;
    let opening = within(clock, stub.stream_instance_history(ask));
    let mut chunks = opening.await?.into_inner();
    while let Some(chunk) = within(clock, chunks.message()).await? {
        let count = events.len() + chunk.events.len();
        if count > limit.events {
            return Err(HistoryError::Events(limit.events));
        }
        let size = chunk.encoded_len() + chunk.events.len() * size_of::<wire::HistoryEvent>();
        bytes += size;
        if bytes > limit.bytes {
            return Err(HistoryError::Bytes(limit.bytes));
        }
        more(size);
        events.extend(chunk.events);
    }
    Ok(events)
}

async fn within<T>(
    clock: &dyn Clock,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<T, HistoryError> {
    let late = clock.sleep_until(clock.now().plus(SILENCE));
    tokio::select! {
        biased;
        said = call => Ok(said?),
        () = late => Err(HistoryError::Silent),
    }
}
