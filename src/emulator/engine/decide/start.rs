//! Creates instances for clients, and decides what happens to one that has the id already.

use super::Decider;
use crate::emulator::engine::command::{Refusal, Reply};
use crate::emulator::engine::record::Record;
use crate::emulator::engine::state::phase::End;
use crate::model::{ExecutionId, InstanceId, Status, Timestamp, event};
use crate::wire;

impl Decider {
    /// `StartInstance` (protocol/instances.md#start).
    pub(crate) fn start(
        &mut self,
        id: Option<InstanceId>,
        request: wire::CreateInstanceRequest,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let policy = Policy::read(request.orchestration_id_reuse_policy.as_ref())?;
        if request.name.is_empty() {
            let what = "the orchestration has no name; say which orchestrator is to run".to_owned();
            return Err(Refusal::Invalid { what });
        }
        let id = id.unwrap_or_else(|| self.ids.instance());
        if let Some(status) = self.state.status_of(&id) {
            if !policy.replaces(status) {
                return Err(Refusal::AlreadyExists { id, status });
            }
            self.make_way(&id, now);
        }
        let given = request.execution_id.as_deref().filter(|execution| !execution.is_empty());
        let execution = given.map_or_else(|| self.ids.execution(), ExecutionId::new);
        // SDKs send moments in the past, the epoch among them, where they mean "now" (R11).
        let start_at = request.scheduled_start_timestamp.as_ref().map(Timestamp::from_wire);
        let start_at = start_at.filter(|at| *at > now);
        let started = Box::new(event::started_body(&id, &execution, request));
        self.put(Record::Created { id: id.clone(), at: now, started, start_at });
        Ok(Reply::Started(id))
    }

    /// An instance is about to be replaced: if it still runs, it is terminated first, and its parent hears of it.
    pub(crate) fn make_way(&mut self, id: &InstanceId, now: Timestamp) {
        let Some(instance) = self.state.instance(id) else { return };
        if instance.has_ended() {
            return;
        }
        let output = Some("replaced by a new creation request with the same instance id".to_owned());
        let end = End { status: Status::Terminated, output, failure: None, at: now };
        // Only the parent and the entities hear of this end: the new instance takes its place in the same step.
        self.after_end(id, &end, false);
    }
}

/// Which statuses a new instance of the same id may replace.
enum Policy {
    /// None was given: what has ended is replaced.
    Ended,
    /// Exactly these.
    Listed(Vec<Status>),
}

impl Policy {
    fn read(policy: Option<&wire::OrchestrationIdReusePolicy>) -> Result<Self, Refusal> {
        let Some(policy) = policy else { return Ok(Self::Ended) };
        let listed: Vec<Status> = policy.replaceable_status().filter_map(Status::from_wire).collect();
        let running = listed.iter().any(|status| !status.is_terminal());
        if running && !listed.contains(&Status::Terminated) {
            return Err(Refusal::ReusePolicy);
        }
        Ok(Self::Listed(listed))
    }

    fn replaces(&self, status: Status) -> bool {
        match self {
            Self::Ended => status.is_terminal(),
            Self::Listed(listed) => listed.contains(&status),
        }
    }
}
