//! Builds what a worker is given for a turn.

use super::chunks::AnswerChunks;
use super::lease::Held;
use crate::emulator::engine::Engine;
use crate::emulator::engine::command::StreamId;
use crate::emulator::engine::decide::open_turn::OpenTurn;
use crate::emulator::engine::state::history::{encode, frame, framed_len};
use crate::emulator::engine::state::instance::Instance;
use crate::emulator::engine::volatile::LeaseId;
use crate::model::extension::PAST_PROPERTY;
use crate::model::{InstanceId, Kind, Timestamp, event};
use crate::wire;
use bytes::Bytes;
use prost::Message as _;
use std::collections::BTreeMap;
use std::ops::Range;

/// Field numbers of `WorkItem` and of `OrchestratorRequest`, which are put together from encoded parts.
mod field {
    pub(crate) const TURN: u32 = 1;
    pub(crate) const ACTIVITY: u32 = 2;
    pub(crate) const BATCH: u32 = 5;
    pub(crate) const TOKEN: u32 = 10;
    pub(crate) const NEW_EVENTS: u32 = 4;
}

/// How many bytes of a turn are kept free for what is neither past nor news: ids, a token, trace contexts.
const ENVELOPE: usize = 64 << 10;

/// How an instance's past travels to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Past {
    /// In the request.
    Embedded,
    /// The worker fetches it by `StreamInstanceHistory`.
    Streamed,
    /// The worker has kept it.
    Kept,
}

impl Engine {
    /// Hands a turn of `id` to a stream: what is in its inbox, as much as one message may hold, and a moment.
    pub(crate) fn turn_for(
        &mut self,
        stream: StreamId,
        id: &InstanceId,
        now: Timestamp,
    ) -> Option<(LeaseId, Bytes)> {
        let (number, token) = self.leases.next();
        let offer = &self.streams.get(stream)?.offer;
        let (instance, volatile) = self.decider.state.slot(id)?;
        // The orchestrator's clock: never before that of the turn before.
        let at = now.max(instance.clock());
        let (most, item_bytes) = (self.config.turn_bytes, self.config.item_bytes);
        let past_len = instance.history().framed().len();
        // A rewind is told no other news; it goes as a whole wherever it fits.
        let is_long = match instance.rewinding() {
            Some(_) => past_len > item_bytes.saturating_sub(ENVELOPE),
            None => past_len + inbox_len(instance, most) > most,
        };
        let past = if instance.history().len() == 0 {
            Past::Embedded
        } else if instance.rewinding().is_none() && offer.sticky && volatile.kept_by == Some(stream) {
            Past::Kept
        } else if offer.history_streaming && is_long {
            Past::Streamed
        } else {
            Past::Embedded
        };
        let room = match past {
            // New events have all the room that the past leaves: few at a time, they would come with all of it every time.
            Past::Embedded => item_bytes.saturating_sub(ENVELOPE + past_len).min(most),
            Past::Streamed | Past::Kept => most,
        };
        let news = News::of(instance, room);
        let item = turn_item(id, instance, at, past, &news, &token);
        if item.len() > item_bytes {
            let bytes = item.len();
            self.fail_long(id, bytes, now);
            return None;
        }
        let held = OpenTurn {
            id: id.clone(),
            execution: instance.execution().clone(),
            at,
            taken: news.taken,
            terminates: news.terminates,
        };
        self.leases.give(stream, Held::Turn(held, AnswerChunks::default()), now);
        Some((number, item))
    }
}

/// About how many bytes the smallest turn of an instance has whose past travels in it.
pub(crate) fn least_len(instance: &Instance) -> usize {
    let first = match instance.rewinding() {
        Some(event) => Some(event),
        None => instance.inbox().front().map(|arrived| &arrived.event),
    };
    instance.history().framed().len() + ENVELOPE + first.map_or(0, |event| framed_len(event.len()))
}

/// What of an inbox a turn covers, and what of that its worker is told.
struct News {
    /// How many of the inbox the turn is about, from the first on.
    taken: usize,
    /// Those that the worker is told.
    told: Range<usize>,
    /// Whether one of them terminates the execution.
    terminates: bool,
}

impl News {
    fn of(instance: &Instance, room: usize) -> Self {
        if instance.rewinding().is_some() {
            return Self { taken: 0, told: 0..0, terminates: false };
        }
        let terminated =
            instance.inbox().iter().position(|arrived| arrived.kind == Kind::ExecutionTerminated);
        match terminated {
            // Java's worker stops for good where a termination stands beside events that end its code: it is told alone,
            // and what came before it goes into history unseen, as nothing can come of it any more (R74).
            Some(at) if instance.history().len() > 0 => {
                Self { taken: at + 1, told: at..at + 1, terminates: true }
            }
            // In the first turn of an execution a worker must be told how it began.
            Some(at) => Self { taken: at + 1, told: 0..at, terminates: true },
            None => {
                let fits = fitting(instance, room);
                Self { taken: fits, told: 0..fits, terminates: false }
            }
        }
    }
}

/// How many events of an inbox fit into so many bytes and belong into one turn; the first one always does. The others
/// wait for the next turn.
///
/// A suspension begins a turn of its own: every SDK's worker puts aside what follows it, and in replay that would be
/// what the events before it scheduled (R72).
fn fitting(instance: &Instance, room: usize) -> usize {
    let mut len = 0;
    let fit = instance.inbox().iter().enumerate().take_while(|(at, arrived)| {
        len += framed_len(arrived.event.len());
        len <= room && (*at == 0 || arrived.kind != Kind::ExecutionSuspended)
    });
    fit.count().max(1).min(instance.inbox().len())
}

/// How many bytes an inbox has; it is not counted further than `most`.
fn inbox_len(instance: &Instance, most: usize) -> usize {
    let mut len = 0;
    for arrived in instance.inbox() {
        len += framed_len(arrived.event.len());
        if len > most {
            break;
        }
    }
    len
}

fn turn_item(
    id: &InstanceId,
    instance: &Instance,
    at: Timestamp,
    past: Past,
    news: &News,
    token: &str,
) -> Bytes {
    let mut properties = BTreeMap::new();
    if past == Past::Kept {
        #[expect(clippy::cast_precision_loss, reason = "no history has 2^52 events")]
        let kept = prost_types::value::Kind::NumberValue(instance.history().len() as f64);
        properties.insert(PAST_PROPERTY.to_owned(), prost_types::Value { kind: Some(kept) });
    }
    let head = wire::OrchestratorRequest {
        instance_id: id.as_str().to_owned(),
        execution_id: Some(instance.execution().as_str().to_owned()),
        past_events: Vec::new(),
        new_events: Vec::new(),
        // Always there, with the duration: .NET and Go refuse entities otherwise (protocol/turns.md#shape).
        entity_parameters: Some(wire::OrchestratorEntityParameters {
            entity_message_reorder_window: Some(prost_types::Duration::default()),
        }),
        requires_history_streaming: past == Past::Streamed,
        properties,
        orchestration_trace_context: instance.trace().cloned(),
    }
    .encode_to_vec();
    let begins = encode(&event::orchestrator_started(at));
    // A rewind is exactly two events; whatever else has arrived waits (protocol/turns.md#rewind).
    let arrived: Vec<&Bytes> = match instance.rewinding() {
        Some(event) => vec![event],
        None => instance.inbox().range(news.told.clone()).map(|arrived| &arrived.event).collect(),
    };
    let new = std::iter::once(&begins).chain(arrived);
    let new_len: usize = new.clone().map(|event| framed_len(event.len())).sum();
    let embedded: &[u8] = if past == Past::Embedded { instance.history().framed() } else { &[] };
    let body = head.len() + embedded.len() + new_len;
    let mut item = Vec::with_capacity(body + token.len() + 16);
    prost::encoding::encode_key(field::TURN, prost::encoding::WireType::LengthDelimited, &mut item);
    prost::encoding::encode_varint(body as u64, &mut item);
    item.extend_from_slice(&head);
    item.extend_from_slice(embedded);
    for event in new {
        frame(field::NEW_EVENTS, event, &mut item);
    }
    frame(field::TOKEN, token.as_bytes(), &mut item);
    item.into()
}

/// The work item of an activity, from its encoded request.
pub(crate) fn activity_item(request: &[u8], token: &str) -> Bytes {
    let mut item = Vec::with_capacity(framed_len(request.len()) + framed_len(token.len()));
    frame(field::ACTIVITY, request, &mut item);
    frame(field::TOKEN, token.as_bytes(), &mut item);
    item.into()
}

/// The work item of an entity's batch.
pub(crate) fn batch_item(request: &wire::EntityRequest, token: &str) -> Bytes {
    let body = request.encode_to_vec();
    let mut item = Vec::with_capacity(framed_len(body.len()) + framed_len(token.len()));
    frame(field::BATCH, &body, &mut item);
    frame(field::TOKEN, token.as_bytes(), &mut item);
    item.into()
}
