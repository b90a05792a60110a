//! Counts what a hub holds.

use super::worklist::Work;
use crate::emulator::engine::Engine;
use crate::emulator::engine::command::{Stats, WorkKind, WorkerStats};
use std::collections::BTreeSet;

impl Engine {
    /// What the hub holds and who is connected.
    pub(crate) fn stats(&mut self) -> Stats {
        let mut stats = Stats {
            instances: self.decider.state.index().counts(),
            entities: self.decider.state.entities().len(),
            timers: self.decider.state.timers(),
            waiters: self.waiters.len(),
            bytes: self.bytes(),
            ..Stats::default()
        };
        for class in self.work.with_work() {
            let waiting = self.work.ready(class);
            // An instance that was replaced while it waited is in its queue twice.
            let ready = waiting.iter().map(|waiting| &waiting.work).filter(|work| self.is_ready(work, class));
            let ready = ready.collect::<BTreeSet<_>>().len();
            let named = self.work.named(class).clone();
            match named.kind {
                WorkKind::Turn => stats.ready_turns += ready,
                WorkKind::Activity => stats.ready_activities += ready,
                WorkKind::Batch => stats.ready_batches += ready,
            }
            if ready > 0 && !self.streams.anyone_takes(class, &named) {
                stats.unclaimed.push((named.kind, named.name.to_string()));
            }
        }
        for waiting in &self.suspects.waiting {
            match waiting.work {
                Work::Turn(_) => stats.ready_turns += 1,
                Work::Activity(..) => stats.ready_activities += 1,
                Work::Batch(_) => stats.ready_batches += 1,
            }
        }
        let worker = |(stream, found): (_, &super::streams::Stream)| WorkerStats {
            stream,
            offer: found.offer.clone(),
            active: found.active,
        };
        stats.workers = self.streams.iter().map(worker).collect();
        stats
    }
}
