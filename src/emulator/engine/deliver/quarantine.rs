//! Hands suspects out alone, and has failed what is known to kill its workers.

use super::departure::Departure;
use super::lease::Held;
use super::suspects::{FRESH, Quarantine, Verdict};
use super::worklist::{WaitingWork, Work};
use crate::emulator::engine::Engine;
use crate::emulator::engine::command::StreamId;
use crate::emulator::engine::volatile::{LeaseId, Stage};
use crate::model::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a suspect rests that no connected worker takes.
const NO_WORKER: Duration = Duration::from_secs(1);

impl Engine {
    /// Which of the leases of a stream that has ended are suspects, and whether there is only one to blame.
    pub(crate) fn suspects_among(
        &self,
        held: &[LeaseId],
        departure: Departure,
        now: Timestamp,
    ) -> Option<Accused> {
        match departure {
            Departure::Lost => {
                let fresh = self.fresh_among(held.iter().copied(), now);
                let blamed = match held {
                    [only] => Some(*only),
                    _ if fresh.len() == 1 => fresh.first().copied(),
                    _ => None,
                };
                Some(Accused { fresh, blamed })
            }
            Departure::Orderly | Departure::Cancelled | Departure::GivenUp => None,
        }
    }

    fn fresh_among(&self, held: impl Iterator<Item = LeaseId>, now: Timestamp) -> BTreeSet<LeaseId> {
        let is_fresh = |id: &LeaseId| self.leases.get(*id).is_some_and(|lease| lease.given.plus(FRESH) > now);
        held.filter(is_fresh).collect()
    }

    /// What becomes of an item that was lost with its worker.
    pub(crate) fn judge(&mut self, work: &Work, lease: LeaseId, accused: Option<&Accused>) -> Verdict {
        let Some(Accused { fresh, blamed }) = accused else { return Verdict::Again(Duration::ZERO) };
        let alone = *blamed == Some(lease);
        self.suspects.lost(work, fresh.contains(&lease), alone, self.config.most_losses)
    }

    /// A worker has said something about an item: it does not kill its workers. Of an entity only the first operation
    /// was handed out; those behind it are as suspect as before.
    pub(crate) fn answered(&mut self, lease: LeaseId, held: &Held) {
        self.quarantine_ends(lease);
        let work = held.work();
        match held {
            Held::Batch { id, .. } if self.decider.state.entities().backlog(id) > 1 => {
                self.suspects.forgive(&work);
            }
            Held::Batch { .. } | Held::Turn(..) | Held::Activity { .. } => self.suspects.clear(&work),
        }
    }

    /// The stream of the quarantine is open to all again, if this lease is what it was kept for.
    pub(crate) fn quarantine_ends(&mut self, lease: LeaseId) {
        if let Quarantine::Watching { stream, lease: watched, .. } = self.suspects.quarantine
            && watched == lease
        {
            self.streams.reserve(stream, false);
            self.suspects.quarantine = Quarantine::Free;
        }
    }

    /// The quarantine ends with its stream.
    pub(crate) fn quarantine_lost(&mut self, ended: StreamId) {
        match self.suspects.quarantine {
            Quarantine::Draining { stream, .. } | Quarantine::Watching { stream, .. } if stream == ended => {
                self.suspects.quarantine = Quarantine::Free;
            }
            Quarantine::Free | Quarantine::Draining { .. } | Quarantine::Watching { .. } => {}
        }
    }

    /// Opens the stream again whose suspect has let it live.
    pub(crate) fn end_watch(&mut self, now: Timestamp) {
        if let Quarantine::Watching { lease, until, .. } = self.suspects.quarantine
            && until <= now
        {
            if let Some(work) = self.leases.get(lease).map(|lease| lease.held.work()) {
                self.suspects.trust(&work);
            }
            self.quarantine_ends(lease);
        }
    }

    /// Hands out the next suspect, where a stream has nothing else that is fresh; otherwise keeps one free for it.
    pub(crate) fn hand_suspect(&mut self, now: Timestamp) {
        loop {
            let kept = match self.suspects.quarantine {
                Quarantine::Watching { .. } => return,
                Quarantine::Draining { stream, .. } => Some(stream),
                Quarantine::Free => None,
            };
            let Some(mut waiting) = self.suspects.waiting.pop_front() else {
                // It was for a suspect that is not wanted any more.
                if let Some(stream) = kept {
                    self.streams.reserve(stream, false);
                    self.suspects.quarantine = Quarantine::Free;
                }
                return;
            };
            if !self.is_ready(&waiting.work, waiting.class) {
                self.suspects.clear(&waiting.work);
                continue;
            }
            // That of an entity may have been forgotten while it waited here.
            waiting.class = self.class_of(&waiting.work).unwrap_or(waiting.class);
            // The past of a long instance has to be fetched.
            let long = matches!(&waiting.work, Work::Turn(id) if self.is_long(id));
            let class = self.work.named(waiting.class).clone();
            let able: Vec<(StreamId, Vec<LeaseId>)> = self
                .streams
                .able(waiting.class, &class)
                .into_iter()
                .filter(|(stream, _)| kept.is_none_or(|kept| kept == *stream))
                .filter(|(_, found)| !long || found.offer.history_streaming)
                .map(|(stream, found)| (stream, found.held.iter().copied().collect()))
                .collect();
            let by_company = able.into_iter().map(|(stream, held)| {
                let fresh = self.fresh_among(held.iter().copied(), now).len();
                (fresh, held.len(), stream)
            });
            match (by_company.min(), kept) {
                (Some((0, _, stream)), _) => {
                    if let Some(lease) = self.hand(stream, &waiting.work, class.kind, now) {
                        self.streams.reserve(stream, true);
                        let until = now.plus(FRESH);
                        self.suspects.quarantine = Quarantine::Watching { stream, lease, until };
                        return;
                    }
                }
                (Some((_, _, stream)), None) => {
                    self.streams.reserve(stream, true);
                    self.suspects.quarantine = Quarantine::Draining { stream, until: now.plus(FRESH) };
                    self.suspects.waiting.push_front(waiting);
                    return;
                }
                (Some(_), Some(_)) => {
                    self.suspects.waiting.push_front(waiting);
                    return;
                }
                (None, kept) => {
                    self.set_stage(&waiting.work, Stage::Ready, Stage::Resting);
                    self.work.put_off(now.plus(NO_WORKER), waiting);
                    if let Some(stream) = kept {
                        self.streams.reserve(stream, false);
                        self.suspects.quarantine = Quarantine::Free;
                    }
                }
            }
        }
    }

    /// Fails what its workers died of so many times: the activity, the instance of the turn, or the calls among the
    /// entity's operations.
    pub(crate) fn fail_lost(&mut self, work: Work, lease: LeaseId, times: u32, now: Timestamp) {
        self.leases.supersede(lease);
        let class = self.class_of(&work);
        let name = class.map(|class| self.work.named(class).name.clone()).unwrap_or_default();
        match &work {
            Work::Turn(id) => {
                if let Some(volatile) = self.decider.state.volatile_mut(id) {
                    volatile.turn.stage = Stage::Idle;
                }
                self.decider.turn_kills_workers(id, &name, times, now);
            }
            Work::Activity(id, task) => self.decider.activity_kills_workers(id, *task, &name, times, now),
            Work::Batch(id) => {
                let left = self.decider.batch_kills_workers(id, &name, times, now);
                self.follow(now);
                if left {
                    self.suspects.forgive(&work);
                    let class = self.batch_class(id);
                    self.work.put_off(
                        now.plus(self.config.longest_rest),
                        WaitingWork { work, class, avoid: None },
                    );
                    return;
                }
            }
        }
        self.follow(now);
        self.suspects.clear(&work);
    }
}

/// The suspects among what a worker held when it died.
#[derive(Debug)]
pub(crate) struct Accused {
    fresh: BTreeSet<LeaseId>,
    blamed: Option<LeaseId>,
}
