//! Takes in workers that come, and takes back what those held that go.

use super::draining::DRAIN;
use super::returned::Why;
use super::suspects::Verdict;
use super::worklist::WaitingWork;
use crate::emulator::engine::Engine;
use crate::emulator::engine::command::{Offer, Reply, StreamId};
use crate::emulator::engine::notice::{Listening, Notice};
use crate::emulator::engine::volatile::Stage;
use crate::model::Timestamp;

/// How a stream came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Departure {
    /// Its worker ended it, or closed the connection in good order.
    Orderly,
    /// Its worker cancelled it and keeps the connection: some workers complete what they hold before they stop.
    Cancelled,
    /// Its connection broke without a word: the worker may have died of what it held.
    Lost,
    /// The worker did not read it: it was given up.
    GivenUp,
}

impl Engine {
    /// A worker opens a stream.
    pub(crate) fn open_stream(&mut self, stream: StreamId, offer: Offer) -> Reply {
        self.decider.notices.note(Listening::Lives, || Notice::WorkerJoined {
            stream,
            worker: offer.worker.clone(),
            takes: offer.to_string(),
        });
        self.streams.open(stream, offer);
        Reply::Done
    }

    /// A stream has ended: what it held is offered to others, before what was not out yet. An answer that still
    /// arrives counts until then.
    pub(crate) fn close_stream(&mut self, stream: StreamId, departure: Departure, now: Timestamp) -> Reply {
        // One that was given up ends a second time when its connection lets go of it, and one that drains when its
        // connection ends.
        let Some(found) = self.streams.get(stream) else {
            self.end_draining(stream);
            return Reply::Done;
        };
        let drains = departure == Departure::Cancelled && found.offer.drains;
        let worker = found.offer.worker.clone();
        let held = self.streams.close(stream);
        self.note_broken(stream, worker.as_deref(), now);
        self.stalled.remove(&stream);
        self.quarantine_lost(stream);
        let accused = self.suspects_among(&held, departure, now);
        if departure == Departure::Lost && held.is_empty() {
            self.suspects.forgive_all();
        }
        self.decider.notices.note(Listening::Lives, || Notice::WorkerLeft {
            stream,
            worker,
            held: held.len(),
        });
        for lease in held.iter().copied().rev() {
            let Some(found) = self.leases.get_mut(lease) else { continue };
            found.stream = None;
            let Some((work, class)) = self.work_of(lease, Why::Lost) else {
                self.leases.supersede(lease);
                continue;
            };
            let rest = match self.judge(&work, lease, accused.as_ref()) {
                Verdict::Fails(times) => {
                    self.fail_lost(work, lease, times, now);
                    continue;
                }
                Verdict::Again(_) if drains => DRAIN,
                Verdict::Again(rest) => rest.min(self.config.longest_rest).max(self.config.grace),
            };
            self.orphans.insert(work.clone(), lease);
            let waiting = WaitingWork { work, class, avoid: None };
            if rest.is_zero() {
                self.set_stage(&waiting.work, Stage::Out(lease), Stage::Ready);
                self.work.push_front(waiting);
            } else {
                self.set_stage(&waiting.work, Stage::Out(lease), Stage::Resting);
                self.work.put_off(now.plus(rest), waiting);
            }
        }
        if drains {
            self.hold_for_draining(stream, held);
        }
        self.release_all_gathered(now);
        Reply::Done
    }
}
