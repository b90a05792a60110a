//! Reads and writes messages with small buffers.
//!
//! Each side of a call gives its message a buffer. tonic takes 8 KiB for each, which an allocator has to look for; most
//! messages here are a few hundred bytes, and a buffer of that size lies ready (docs/performance.md).

use prost::Message;
use std::marker::PhantomData;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// How large a buffer is at first, in bytes; it grows with what is put into it.
const BUFFER: usize = 512;
/// From how many bytes on a stream's messages are sent without waiting for more; tonic's own measure.
const ENOUGH: usize = 32 * 1024;

fn buffers() -> BufferSettings {
    BufferSettings::new(BUFFER, ENOUGH)
}

/// The codec of the generated client and server: sends `T`, reads `U`. `build.rs` names it.
#[derive(Debug)]
pub(crate) struct Small<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Small<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for Small<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> ProstEncoder<T> {
        ProstCodec::<T, U>::raw_encoder(buffers())
    }

    fn decoder(&mut self) -> ProstDecoder<U> {
        ProstCodec::<T, U>::raw_decoder(buffers())
    }
}
