//! Accepts completions above the message limit, so that their work item fails with an error that names the limit.

use super::body::{BufferedBody, HEADER, PeekedBody};
use super::skim::{Malformed, Skimmer, number, text};
use crate::emulator::engine::command::{Command, WorkKind};
use crate::emulator::engine::limit::STORE;
use bytes::{Buf as _, Bytes};
use http_body::Body;
use std::convert::Infallible;
use tonic::Status;

/// A call that completes a work item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CompletionCall {
    Turn,
    Activity,
    Batch,
}

impl CompletionCall {
    pub(super) fn at(path: &str) -> Option<Self> {
        match path.strip_prefix("/TaskHubSidecarService/")? {
            "CompleteOrchestratorTask" => Some(Self::Turn),
            "CompleteActivityTask" => Some(Self::Activity),
            "CompleteEntityTask" => Some(Self::Batch),
            _ => None,
        }
    }

    /// The fields of its message that name the work item.
    fn fields(self) -> &'static [u64] {
        match self {
            // instanceId and completionToken.
            Self::Turn => const { &[text(1), text(4)] },
            // instanceId, taskId and completionToken.
            Self::Activity => const { &[text(1), number(2), text(5)] },
            // completionToken.
            Self::Batch => const { &[text(5)] },
        }
    }
}

/// Marks a request whose message was above the limit: only the fields that name its work item are left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Oversized {
    bytes: usize,
    limit: usize,
    /// Why the message is malformed too, if it is.
    malformed: Option<Malformed>,
}

impl Oversized {
    /// The command that fails the work item.
    pub(super) fn fails(self, kind: WorkKind, token: String, instance: String, task: i32) -> Command {
        let mut why = format!("the worker's completion is {}", too_long(self.bytes, self.limit));
        if let Some(malformed) = self.malformed {
            why = format!("{why}; besides, {malformed}");
        }
        Command::FailWork { kind, token, instance, task, why }
    }
}

fn too_long(bytes: usize, limit: usize) -> String {
    format!("a message of {bytes} bytes; at most {limit} are allowed: {STORE}")
}

/// The status for any other message above the limit.
pub(super) fn refusal(bytes: usize, limit: usize) -> Status {
    Status::resource_exhausted(format!("the request is {}", too_long(bytes, limit)))
}

/// Reads the fields that name the work item from a completion of any length, in bounded memory. A malformed one is read up
/// to the error, because a completion is refused only for its token.
pub(super) async fn skim<B>(
    completion: CompletionCall,
    mut body: PeekedBody<B>,
    limit: usize,
) -> Result<(Oversized, BufferedBody<Infallible>), Status>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let bytes = body.length().unwrap_or_default();
    let mut skimmer = Skimmer::new(completion.fields());
    let (mut header, mut left, mut malformed) = (HEADER, bytes, None);
    while left > 0 {
        let piece = match body.next().await {
            Some(Ok(piece)) => piece,
            Some(Err(error)) => return Err(Status::unknown(format!("the message did not arrive: {error}"))),
            None => {
                malformed = malformed.or(Some(Malformed("it is shorter than it says")));
                break;
            }
        };
        let mut piece = piece;
        let of_header = header.min(piece.len());
        piece.advance(of_header);
        header -= of_header;
        piece.truncate(left);
        left -= piece.len();
        if malformed.is_none() {
            malformed = skimmer.read(&piece).err();
        }
    }
    let (small, end) = skimmer.end();
    let malformed = malformed.or(end.err());
    Ok((Oversized { bytes, limit, malformed }, BufferedBody::of(&small)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;
    use prost::Message as _;

    /// What is left of an activity's completion that is followed by `rest`.
    async fn left_of(rest: &[u8], cut: usize) -> (String, wire::ActivityResponse) {
        let named = wire::ActivityResponse {
            instance_id: "a".into(),
            task_id: 7,
            completion_token: "token".into(),
            ..Default::default()
        };
        let message = [named.encode_to_vec(), rest.to_vec()].concat();
        let mut sent: BufferedBody<Infallible> = BufferedBody::of(&message);
        sent.cut(HEADER + message.len() - cut);
        let body = PeekedBody::read(sent).await;
        let (oversized, small) = skim(CompletionCall::Activity, body, 10).await.unwrap();
        let mut small = PeekedBody::read(small).await;
        let small = small.next().await.unwrap().unwrap();
        let command = oversized.fails(WorkKind::Activity, String::new(), String::new(), 0);
        let Command::FailWork { why, .. } = command else { panic!("{command:?}") };
        (why, wire::ActivityResponse::decode(small.slice(HEADER..)).unwrap())
    }

    #[tokio::test]
    async fn a_completion_that_is_too_large_and_malformed_still_names_its_work() {
        // A field of no known type; a field that does not end; a token again that is no text, and one that is a number.
        for (rest, cut) in [(&[0x2f, 0][..], 0), (&[0x1a, 200, 1], 0), (&[0x1a, 100, 1, 1], 1)] {
            let (why, left) = left_of(rest, cut).await;
            assert_eq!((left.completion_token.as_str(), left.task_id), ("token", 7), "{rest:?}");
            assert!(why.contains("at most 10 are allowed") && why.contains("malformed"), "{why}");
        }
        for rest in [&[0x2a, 1, 0xff][..], &[0x28, 1]] {
            let (why, left) = left_of(rest, 0).await;
            assert_eq!((left.completion_token.as_str(), left.task_id), ("token", 7), "{rest:?}");
            assert!(!why.contains("malformed"), "{why}");
        }
    }
}
