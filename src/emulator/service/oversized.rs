//! Takes completions that are too large to be read, so that what they are about fails by name.

use super::announced::{Announced, Gathered, HEADER};
use super::skim::Skimmer;
use crate::emulator::engine::command::{Command, WorkKind};
use crate::emulator::engine::limit::STORE;
use bytes::{Buf as _, Bytes};
use http_body::Body;
use std::convert::Infallible;
use tonic::Status;

/// A call that ends a work item, and which fields of its message name that item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completion {
    Turn,
    Activity,
    Batch,
}

impl Completion {
    pub(super) fn at(path: &str) -> Option<Self> {
        match path.strip_prefix("/TaskHubSidecarService/")? {
            "CompleteOrchestratorTask" => Some(Self::Turn),
            "CompleteActivityTask" => Some(Self::Activity),
            "CompleteEntityTask" => Some(Self::Batch),
            _ => None,
        }
    }

    fn fields(self) -> &'static [u64] {
        match self {
            // instanceId and completionToken.
            Self::Turn => &[1, 4],
            // instanceId, taskId and completionToken.
            Self::Activity => &[1, 2, 5],
            // completionToken.
            Self::Batch => &[5],
        }
    }
}

/// Says of a request that it is what is left of a larger one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Oversized {
    bytes: usize,
    limit: usize,
}

impl Oversized {
    /// The command that fails what the completion is of.
    pub(super) fn fails(self, kind: WorkKind, token: String, instance: String, task: i32) -> Command {
        let why = format!("the worker's answer is {}", too_long(self.bytes, self.limit));
        Command::FailWork { kind, token, instance, task, why }
    }
}

fn too_long(bytes: usize, limit: usize) -> String {
    format!("a message of {bytes} bytes; at most {limit} are allowed: {STORE}")
}

/// The answer to a client whose message is too large.
pub(super) fn refusal(bytes: usize, limit: usize) -> Status {
    Status::resource_exhausted(format!("the request is {}", too_long(bytes, limit)))
}

/// Reads a completion of any length for what it is about, in bounded memory.
pub(super) async fn skim<B>(
    completion: Completion,
    mut body: Announced<B>,
    limit: usize,
) -> Result<(Oversized, Gathered<Infallible>), Status>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let bytes = body.length().unwrap_or_default();
    let mut skimmer = Skimmer::new(completion.fields());
    let (mut header, mut left) = (HEADER, bytes);
    while left > 0 {
        let piece = match body.next().await {
            Some(Ok(piece)) => piece,
            Some(Err(error)) => return Err(Status::unknown(format!("the message did not arrive: {error}"))),
            None => return Err(Status::invalid_argument("the message is shorter than it says")),
        };
        let mut piece = piece;
        let of_header = header.min(piece.len());
        piece.advance(of_header);
        header -= of_header;
        piece.truncate(left);
        left -= piece.len();
        skimmer.read(&piece).map_err(|error| Status::invalid_argument(error.to_string()))?;
    }
    let small = skimmer.end().map_err(|error| Status::invalid_argument(error.to_string()))?;
    Ok((Oversized { bytes, limit }, Gathered::of(&small)))
}
