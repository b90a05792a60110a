//! Takes work back from workers that give it back, and ends leases.

use super::lease::{Held, TokenLookup};
use super::worklist::{WaitingWork, Work};
use crate::emulator::engine::Engine;
use crate::emulator::engine::command::{Refusal, Reply, StreamId, WorkKind};
use crate::emulator::engine::notice::Notice;
use crate::emulator::engine::volatile::{ClassId, LeaseId, Stage};
use crate::model::Timestamp;
use std::time::Duration;

/// The first delay of work that was given back; it doubles (protocol/transport.md#abandoning).
pub(crate) const FIRST_REST: Duration = Duration::from_millis(100);

/// Why work comes back.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Why {
    /// Its worker gave it back: no answer of that one counts any more.
    GivenBack,
    /// Its worker is gone: an answer that still arrives counts until another worker has the work.
    Lost,
}

impl Engine {
    /// The work that a lease is about, if it is still wanted; an entity's batch is given back on the way.
    pub(crate) fn work_of(&mut self, lease: LeaseId, why: Why) -> Option<(Work, ClassId)> {
        match &self.leases.get_mut(lease)?.held {
            Held::Turn(turn, _) => {
                let volatile = self.decider.state.volatile_mut(&turn.id)?;
                if volatile.turn.stage != Stage::Out(lease) {
                    return None;
                }
                // The worker that kept the orchestrator is gone or did not finish: the next one gets the whole history.
                volatile.kept_by = None;
                Some((Work::Turn(turn.id.clone()), volatile.turn.class))
            }
            Held::Activity { id, task, .. } => {
                let activity = self.decider.state.instance(id)?.activity(*task)?.place();
                if activity.stage != Stage::Out(lease) {
                    return None;
                }
                Some((Work::Activity(id.clone(), *task), activity.class))
            }
            Held::Batch { id, number } => {
                let (id, number) = (id.clone(), *number);
                let wanted = match why {
                    Why::GivenBack => self.decider.state.give_back_batch(&id, number),
                    Why::Lost => self.decider.state.lose_batch(&id, number),
                };
                if !wanted {
                    return None;
                }
                let class = self.batch_class(&id);
                Some((Work::Batch(id), class))
            }
        }
    }

    /// A worker gives work back: it is offered again after a while that grows, to another worker first.
    pub(crate) fn abandon(&mut self, kind: WorkKind, token: &str, now: Timestamp) -> Result<Reply, Refusal> {
        match self.leases.find(token) {
            TokenLookup::Live(lease) if self.leases.get_mut(lease).is_some_and(|l| l.held.kind() == kind) => {
                self.give_back(lease, None, now);
                Ok(Reply::Done)
            }
            TokenLookup::JustConsumed => Ok(Reply::Done),
            TokenLookup::Live(_) | TokenLookup::Unknown => {
                Err(Refusal::NoSuchWorkItem { token: token.to_owned() })
            }
        }
    }

    /// Ends a lease without an answer; the work rests for `rest`, or for a while that grows each time.
    pub(crate) fn give_back(&mut self, lease: LeaseId, rest: Option<Duration>, now: Timestamp) {
        let item = self.item_to_note(lease);
        let wanted = self.work_of(lease, Why::GivenBack);
        let Some(ended) = self.consume(lease) else { return };
        let Some((work, class)) = wanted else { return };
        let state = &mut self.decider.state;
        let given_back = match &work {
            Work::Turn(id) => state.volatile_mut(id).map(|volatile| &mut volatile.turn.given_back),
            Work::Activity(id, task) => state.activity_mut(id, *task).map(|place| &mut place.given_back),
            Work::Batch(id) => Some(self.batches_given_back.entry(id.clone()).or_default()),
        };
        let times = given_back.map_or(0, |times| {
            *times = times.saturating_add(1);
            *times - 1
        });
        if let Some(item) = item {
            let notice = Notice::GivenBack { item, times: times + 1 };
            self.decider.notices.note(notice.needs(), || notice);
        }
        let rest = rest.unwrap_or_else(|| FIRST_REST.saturating_mul(1 << times.min(10)));
        self.set_stage(&work, Stage::Out(lease), Stage::Resting);
        let at = now.plus(rest.min(self.config.longest_rest));
        self.work.put_off(at, WaitingWork { work, class, avoid: ended });
    }

    /// Uses a lease up and frees its place on the stream. The stream, if it still lives.
    #[expect(clippy::option_option, reason = "no lease, and one whose stream is gone, are two things")]
    pub(crate) fn consume(&mut self, lease: LeaseId) -> Option<Option<StreamId>> {
        let ended = self.leases.consume(lease)?;
        if !self.suspects.are_none() {
            self.answered(lease, &ended.held);
        }
        if let Some(stream) = ended.stream {
            self.streams.free(stream, ended.held.kind(), lease);
        } else {
            self.orphans.remove(&ended.held.work());
        }
        Some(ended.stream)
    }
}
