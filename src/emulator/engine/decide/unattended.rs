//! Lets terminate, suspend and resume take effect where no worker is there to be told.
//!
//! An instance that has begun hears of them in a turn. Where no connected worker takes its orchestrator, that turn never
//! comes: after a time, in which a worker may connect, the engine does what the worker would have done.

use super::complete::terminate_of;
use super::end::terminated;
use super::outbox::Outgoing;
use crate::emulator::engine::Engine;
use crate::emulator::engine::command::Reply;
use crate::emulator::engine::record::Record;
use crate::emulator::engine::state::instance::{Instance, Stage};
use crate::model::{InstanceId, Kind, Timestamp};

/// What the control events that wait in an inbox come to.
enum Wish {
    Terminate { output: Option<String>, recursive: bool },
    Suspended(bool),
}

impl Engine {
    /// A control event waits for a turn of this instance.
    pub(crate) fn await_worker(&mut self, id: &InstanceId, now: Timestamp) {
        if let Some(after) = self.config.unattended {
            self.unattended.insert((now.plus(after), id.clone()));
        }
    }

    /// Does for instances without a worker what they were told long enough ago.
    pub(crate) fn attend(&mut self, now: Timestamp) {
        while let Some((_, id)) = self.unattended.first().filter(|(due, _)| *due <= now).cloned() {
            self.unattended.pop_first();
            let Some(instance) = self.instances.get(&id).filter(|instance| !instance.has_ended()) else {
                continue;
            };
            let Some(wish) = wish(instance) else { continue };
            let (class, is_out) = (instance.class, matches!(instance.stage, Stage::Out(_)));
            let suspended = instance.suspended;
            let named = self.work.named(class).clone();
            if is_out || self.streams.anyone_takes(class, &named) {
                // A worker is there, and may be gone before it has done it.
                self.await_worker(&id, now);
                continue;
            }
            match wish {
                Wish::Terminate { output, recursive } => {
                    self.end_by_decree(&id, &terminated(output, now), recursive, now);
                }
                // The event stays where it is: a worker that comes later is told as usual.
                Wish::Suspended(wanted) if wanted != suspended => {
                    self.put(Record::Paused { id, at: now, suspended: wanted });
                }
                Wish::Suspended(_) => {}
            }
        }
    }

    /// Ends instances here and now, whatever their workers do: answers that still come are taken and dropped. Those that
    /// could not be ended: entities, what does not exist, and what has ended.
    pub(crate) fn force_terminate(
        &mut self,
        ids: Vec<InstanceId>,
        output: Option<&String>,
        recursive: bool,
        now: Timestamp,
    ) -> Reply {
        let left = ids.into_iter().filter(|id| !self.force(id, output, recursive, now)).collect();
        Reply::Unterminated(left)
    }

    /// Whether there was anything to end.
    pub(crate) fn force(
        &mut self,
        id: &InstanceId,
        output: Option<&String>,
        recursive: bool,
        now: Timestamp,
    ) -> bool {
        let Some(instance) = self.instances.get(id).filter(|instance| !instance.has_ended()) else {
            return false;
        };
        if recursive {
            let children = instance.offspring.iter();
            let force = |id: &InstanceId| Outgoing::Force { id: id.clone(), output: output.cloned() };
            self.outbox.extend(children.map(force));
        }
        let event = crate::model::event::execution_terminated(now, output.cloned(), recursive);
        self.deliver(id, Kind::ExecutionTerminated, &event, now);
        self.end_by_decree(id, &terminated(output.cloned(), now), false, now);
        true
    }

    /// After a rebuild: who was told something then still waits for a worker.
    pub(crate) fn await_worker_again(&mut self, id: &InstanceId, now: Timestamp) {
        if self.instances.get(id).is_some_and(|i| !i.has_ended() && wish(i).is_some()) {
            self.await_worker(id, now);
        }
    }
}

/// What an instance was told and has not heard yet; the first terminate wins, otherwise the last word does.
fn wish(instance: &Instance) -> Option<Wish> {
    let mut wish = None;
    for arrived in &instance.inbox {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "these three kinds control an execution, no other does"
        )]
        match arrived.kind {
            Kind::ExecutionTerminated => {
                let (output, recursive) = terminate_of(arrived);
                return Some(Wish::Terminate { output, recursive });
            }
            Kind::ExecutionSuspended => wish = Some(Wish::Suspended(true)),
            Kind::ExecutionResumed => wish = Some(Wish::Suspended(false)),
            _ => {}
        }
    }
    wish
}
