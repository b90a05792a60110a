//! Opens the stream of work items, each with the number of bytes it came in.
//!
//! The generated client does not tell how large a message was, and to measure it again would cost as much as to read it.

use crate::sdk::connect::Transport;
use crate::wire::{GetWorkItemsRequest, WorkItem};
use bytes::Buf as _;
use http::uri::PathAndQuery;
use prost::Message as _;
use tonic::client::Grpc;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, Streaming};
use tonic::{Request, Status};
use tonic_prost::{ProstCodec, ProstEncoder};

const PATH: &str = "/TaskHubSidecarService/GetWorkItems";

/// A work item and how many bytes its message had.
#[derive(Debug)]
pub(super) struct SizedItem {
    pub(super) item: WorkItem,
    pub(super) bytes: usize,
}

/// Opens the stream; no message may have more than `limit` bytes.
pub(super) async fn open(
    transport: Transport,
    request: Request<GetWorkItemsRequest>,
    limit: usize,
) -> Result<Streaming<SizedItem>, Status> {
    let mut grpc = Grpc::new(transport).max_decoding_message_size(limit);
    grpc.ready().await.map_err(|error| Status::unavailable(format!("the connection is gone: {error}")))?;
    let path = PathAndQuery::from_static(PATH);
    Ok(grpc.server_streaming(request, path, SizedCodec).await?.into_inner())
}

struct SizedCodec;

struct SizedDecoder;

impl Codec for SizedCodec {
    type Encode = GetWorkItemsRequest;
    type Decode = SizedItem;
    type Encoder = ProstEncoder<GetWorkItemsRequest>;
    type Decoder = SizedDecoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<GetWorkItemsRequest, WorkItem>::default().encoder()
    }

    fn decoder(&mut self) -> SizedDecoder {
        SizedDecoder
    }
}

impl Decoder for SizedDecoder {
    type Item = SizedItem;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<SizedItem>, Status> {
        let bytes = buffer.remaining();
        let item = WorkItem::decode(buffer).map_err(|error| Status::internal(error.to_string()))?;
        Ok(Some(SizedItem { item, bytes }))
    }

    // As the other codecs of this crate have it (`codec`).
    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(512, 32 * 1024)
    }
}
