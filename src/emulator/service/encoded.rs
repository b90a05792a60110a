//! A codec for replies that are encoded already.

use bytes::{BufMut as _, Bytes};
use std::marker::PhantomData;
use tonic::Status;
use tonic::codec::{Codec, EncodeBuf, Encoder};
use tonic_prost::{ProstCodec, ProstDecoder};

/// A codec that decodes requests `T` and sends replies as the bytes they are.
#[derive(Debug)]
pub(super) struct RawReplyCodec<T>(PhantomData<T>);

impl<T> Default for RawReplyCodec<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: prost::Message + Default + Send + 'static> Codec for RawReplyCodec<T> {
    type Encode = Bytes;
    type Decode = T;
    type Encoder = RawEncoder;
    type Decoder = ProstDecoder<T>;

    fn encoder(&mut self) -> RawEncoder {
        RawEncoder
    }

    fn decoder(&mut self) -> ProstDecoder<T> {
        ProstCodec::<T, T>::default().decoder()
    }
}

/// Copies bytes into the message.
#[derive(Debug)]
pub(super) struct RawEncoder;

impl Encoder for RawEncoder {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.reserve(item.len());
        into.put(item);
        Ok(())
    }
}
