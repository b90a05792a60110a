//! Readies activities, and takes what they come to.

use crate::emulator::engine::Engine;
use crate::emulator::engine::command::{Refusal, Reply};
use crate::emulator::engine::deliver::lease::{Found, Held};
use crate::emulator::engine::deliver::worklist::{Waiting, Work};
use crate::emulator::engine::record::Settles;
use crate::emulator::engine::state::instance::Stage;
use crate::model::{InstanceId, Kind, Timestamp, event};
use crate::wire;

impl Engine {
    /// Puts activities into the worklist.
    pub(crate) fn ready_activities(&mut self, id: &InstanceId, tasks: &[i32]) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        for task in tasks {
            let Some(activity) = instance.activities.get_mut(task) else { continue };
            if activity.stage == Stage::Idle {
                activity.stage = Stage::Ready;
                let work = Work::Activity(id.clone(), *task);
                self.work.push(Waiting { work, class: activity.class, avoid: None });
            }
        }
    }

    /// Takes the answer of an activity (protocol/turns.md#activities). It counts once, for the execution that asked, and while
    /// that still waits for it; otherwise it is taken and dropped.
    pub(crate) fn complete_activity(
        &mut self,
        mut answer: wire::ActivityResponse,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let found = if answer.completion_token.is_empty() {
            self.lease_of_activity(&InstanceId::unchecked(answer.instance_id.as_str()), answer.task_id)
        } else {
            self.leases.find(&answer.completion_token)
        };
        let unknown = || Err(Refusal::NoSuchWorkItem { token: answer.completion_token.clone() });
        let lease = match found {
            Found::Live(lease) => lease,
            Found::JustConsumed => return Ok(Reply::Done),
            Found::Unknown => return unknown(),
        };
        let Some(lease_now) = self.leases.get_mut(lease) else { return unknown() };
        let Held::Activity { id, execution, task } = &lease_now.held else { return unknown() };
        let (id, execution, task, orphaned) =
            (id.clone(), execution.clone(), *task, lease_now.stream.is_none());
        self.note_answered(lease);
        self.consume(lease);
        let instance = self.instances.get(&id).filter(|instance| instance.execution == execution);
        let waited_for =
            instance.and_then(|instance| instance.activities.get(&task)).is_some_and(|activity| {
                match activity.stage {
                    Stage::Out(holder) => holder == lease,
                    // Its stream has ended and nobody else has it yet.
                    Stage::Ready | Stage::Resting => orphaned,
                    Stage::Idle => false,
                }
            });
        if waited_for {
            self.limit().on_activity(&mut answer);
            let (kind, event) = match answer.failure_details {
                Some(failure) => (Kind::TaskFailed, event::task_failed(now, task, failure)),
                None => (Kind::TaskCompleted, event::task_completed(now, task, answer.result)),
            };
            self.arrive(&id, Settles::Activity(task), kind, &event, now);
        }
        Ok(Reply::Done)
    }
}
