//! Takes work back whose worker keeps its stream open and does not answer, or does not even read.

use super::departure::Departure;
use super::returned::Why;
use super::worklist::WaitingWork;
use crate::emulator::engine::Engine;
use crate::emulator::engine::command::{Effect, Reply, StreamId};
use crate::emulator::engine::notice::Warning;
use crate::emulator::engine::volatile::Stage;
use crate::model::Timestamp;

impl Engine {
    /// A stream has more bytes before it than may wait: it gets no more work, is asked to say when its worker takes
    /// something, and is given up when that does not happen for a time.
    pub(crate) fn fell_behind(&mut self, stream: StreamId, now: Timestamp) {
        if let Some(stall) = self.config.stall {
            self.stalled.insert(stream, now.plus(stall));
        }
        self.effects.push(Effect::Report { stream });
    }

    /// A worker has taken so many bytes from its stream since it was last asked.
    pub(crate) fn drained(&mut self, stream: StreamId, bytes: usize, now: Timestamp) -> Reply {
        if self.streams.taken(stream, bytes) {
            self.fell_behind(stream, now);
        } else {
            self.stalled.remove(&stream);
        }
        Reply::Done
    }

    /// Gives up streams that have not drained for too long, and takes back work that was held for too long.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        let stuck: Vec<StreamId> =
            self.stalled.iter().filter(|(_, due)| **due <= now).map(|(stream, _)| *stream).collect();
        for stream in stuck {
            if let Some(found) = self.streams.get(stream) {
                let worker = found.offer.worker.clone();
                self.decider.notices.warn(|| Warning::StreamGivenUp { stream, worker });
            }
            self.close_stream(stream, Departure::GivenUp, now);
            self.effects.push(Effect::End { stream });
        }
        while let Some(lease) = self.leases.run_out(now) {
            let Some((Some(stream), kind)) = self.leases.get(lease).map(|l| (l.stream, l.held.kind())) else {
                // The stream has ended before its lease did: the work waits already.
                continue;
            };
            let wanted = self.work_of(lease, Why::GivenBack);
            self.streams.free(stream, kind, lease);
            self.leases.supersede(lease);
            self.quarantine_ends(lease);
            let Some((work, class)) = wanted else { continue };
            let id = work.subject().clone();
            self.decider.notices.warn(|| Warning::LeaseRanOut { kind, id, stream });
            self.set_stage(&work, Stage::Out(lease), Stage::Ready);
            self.work.push_front(WaitingWork { work, class, avoid: Some(stream) });
        }
    }

    /// When [`Engine::expire`] has something to do.
    pub(crate) fn next_expiry(&self) -> Option<Timestamp> {
        self.stalled.values().copied().chain(self.leases.next_due()).min()
    }
}
