//! Replies that can be large: states, lists and histories, each within the budget for unread replies.

use super::admission::{ReplyReservation, SMALL};
use super::{Service, metadata, render};
use crate::emulator::dispatch::HubHandle;
use crate::emulator::engine::command::{Command, HistoryPage, Refusal, Reply, Until};
use crate::model::InstanceId;
use crate::wire;
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http::HeaderMap;
use prost::encoding::{WireType, encode_key, encode_varint};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tonic::{Request, Response, Status};

/// How long a call waits for an instance that does not exist before it is refused: the instance may be a child that its
/// parent is about to start (the .NET suite waits for one).
const MISSING_INSTANCE_WAIT: Duration = Duration::from_secs(1);

/// From how many bytes on a chunk of history is full.
const CHUNK: usize = 1 << 20;

/// The chunks of a history. Each is read from the hub when the one before it was sent.
pub(super) type HistoryChunks = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

impl Service {
    /// Asks the hub, and renders the reply once the budget has room for it.
    pub(super) async fn read<T, M>(
        &self,
        request: Request<T>,
        parse: impl FnOnce(T) -> Command,
        render: impl FnOnce(Result<Reply, Refusal>) -> Result<Response<M>, Status>,
    ) -> Result<Response<M>, Status> {
        let hub = self.hub(&request)?;
        let command = parse(request.into_inner());
        let (reply, reserved) = self.within_budget(|| hub.ask(command.clone())).await?;
        Ok(with_reservation(render(Ok(reply))?, reserved))
    }

    /// Asks until there is room for the reply. While the call waits for room only the reply's size is kept.
    async fn within_budget<F>(&self, ask: impl Fn() -> F) -> Result<(Reply, Option<ReplyReservation>), Status>
    where
        F: Future<Output = Result<Reply, Refusal>>,
    {
        let mut room: Option<(usize, ReplyReservation)> = None;
        loop {
            let reply = ask().await?;
            let bytes = reply.bytes();
            if bytes <= SMALL {
                return Ok((reply, None));
            }
            if let Some((_, reserved)) = room.take().filter(|(enough_for, _)| *enough_for >= bytes) {
                return Ok((reply, Some(reserved)));
            }
            if let Some(reserved) = self.budget.try_reserve(bytes) {
                return Ok((reply, Some(reserved)));
            }
            drop(reply);
            room = Some((bytes, self.budget.reserve(bytes, &*self.clock).await?));
        }
    }

    /// Waits for an instance up to the client's deadline. The client then gets `DEADLINE_EXCEEDED` from the emulator, and
    /// not a cancelled stream.
    pub(super) async fn wait(
        &self,
        request: Request<wire::GetInstanceRequest>,
        until: Until,
    ) -> Result<Response<wire::GetInstanceResponse>, Status> {
        let hub = self.hub(&request)?;
        let _permit = self.budget.wait()?;
        let deadline = metadata::deadline(request.metadata().as_ref());
        let wire::GetInstanceRequest { instance_id, get_inputs_and_outputs } = request.into_inner();
        let id = InstanceId::unchecked(instance_id);
        let wait = async || hub.wait(id.clone(), until, get_inputs_and_outputs).await.map(Reply::State);
        let reply = self.within_budget(async || match wait().await {
            Err(Refusal::NoSuchInstance { .. }) => {
                self.clock.sleep_until(self.clock.now().plus(MISSING_INSTANCE_WAIT)).await;
                wait().await
            }
            found => found,
        });
        let (reply, reserved) = match deadline {
            None => reply.await?,
            Some(after) => {
                let passed = self.clock.sleep_until(self.clock.now().plus(after));
                tokio::select! {
                    biased;
                    reply = reply => reply?,
                    () = passed => return Err(Status::deadline_exceeded(
                        "the deadline passed before the instance was there; set a later one, or ask again",
                    )),
                }
            }
        };
        Ok(with_reservation(render::state(Ok(reply))?, reserved))
    }

    /// `StreamInstanceHistory`, in chunks.
    pub(super) async fn history(
        &self,
        headers: &HeaderMap,
        request: wire::StreamInstanceHistoryRequest,
    ) -> Result<Response<HistoryChunks>, Status> {
        let hub = self.hub_of(headers)?;
        let first = HistoryPage {
            id: InstanceId::unchecked(request.instance_id),
            execution: request.execution_id,
            after: 0,
            until: None,
            bytes: CHUNK,
        };
        let command = Command::HistoryPage(first);
        let (reply, reserved) = self.within_budget(|| hub.ask(command.clone())).await?;
        let Reply::HistoryPage { events, next } = reply else { return Err(render::unexpected()) };
        let first = (!events.is_empty()).then(|| Ok(chunk(&events)));
        let rest = stream::unfold((hub, next), async |(hub, next)| {
            let (chunk, next) = match next_chunk(&hub, next?).await {
                Ok((chunk, next)) => (Ok(chunk), next),
                Err(status) => (Err(status), None),
            };
            Some((chunk, (hub, next)))
        });
        let chunks: HistoryChunks = Box::pin(futures_util::StreamExt::chain(stream::iter(first), rest));
        Ok(with_reservation(Response::new(chunks), reserved))
    }
}

async fn next_chunk(hub: &HubHandle, page: HistoryPage) -> Result<(Bytes, Option<HistoryPage>), Status> {
    let reply = hub.ask(Command::HistoryPage(page)).await?;
    let Reply::HistoryPage { events, next } = reply else { return Err(render::unexpected()) };
    Ok((chunk(&events), next))
}

/// A response that holds its reservation until it is written.
fn with_reservation<T>(mut response: Response<T>, reserved: Option<ReplyReservation>) -> Response<T> {
    if let Some(reserved) = reserved {
        response.extensions_mut().insert(reserved);
    }
    response
}

/// Encodes a `HistoryChunk` from encoded events.
fn chunk(events: &[Bytes]) -> Bytes {
    const EVENTS: u32 = 1;
    let mut chunk = Vec::with_capacity(events.iter().map(|event| event.len() + 8).sum());
    for event in events {
        encode_key(EVENTS, WireType::LengthDelimited, &mut chunk);
        encode_varint(event.len() as u64, &mut chunk);
        chunk.extend_from_slice(event);
    }
    chunk.into()
}
