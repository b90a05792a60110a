//! Does what follows from the end of an instance, and ends one by decree.

use super::outbox::Outgoing;
use crate::emulator::engine::Engine;
use crate::emulator::engine::command::{Refusal, Reply};
use crate::emulator::engine::record::{Commit, Record};
use crate::emulator::engine::state::history;
use crate::emulator::engine::state::instance::{End, Stage};
use crate::model::{InstanceId, Kind, Status, Timestamp, event, failure};
use crate::wire;

impl Engine {
    /// What an end asks of others: the parent hears of it, locks are free, and a recursive termination goes on with
    /// the children.
    pub(crate) fn after_end(&mut self, id: &InstanceId, end: &End, recursive: bool) {
        self.outbox.push_back(Outgoing::Release { holder: id.clone() });
        let Some(instance) = self.instances.get(id) else { return };
        if let Some(parent) = &instance.parent {
            self.outbox.push_back(Outgoing::ChildEnded {
                parent: parent.clone(),
                child: instance.execution.clone(),
                outcome: outcome(end),
            });
        }
        if recursive && end.status == Status::Terminated {
            for child in &instance.offspring {
                self.outbox.push_back(Outgoing::Terminate {
                    id: child.clone(),
                    output: end.output.clone(),
                    recursive: true,
                });
            }
        }
    }

    /// Terminates an instance (protocol/instances.md#terminate). One that no worker has begun ends here and now; otherwise a worker
    /// is told in a turn.
    pub(crate) fn terminate(
        &mut self,
        id: &InstanceId,
        output: Option<String>,
        recursive: bool,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let instance = self.instances.get(id).ok_or_else(|| Refusal::NoSuchInstance { id: id.clone() })?;
        if instance.has_ended() {
            return Ok(Reply::Done);
        }
        let unbegun = !instance.begun && !matches!(instance.stage, Stage::Out(_));
        let event = event::execution_terminated(now, output.clone(), recursive);
        self.deliver(id, Kind::ExecutionTerminated, &event, now);
        if unbegun || self.reaches_no_worker(id) {
            self.end_by_decree(id, &terminated(output, now), recursive, now);
        } else {
            self.await_worker(id, now);
        }
        Ok(Reply::Done)
    }

    /// Ends an instance without a worker, with everything in its inbox in its history.
    pub(crate) fn end_by_decree(&mut self, id: &InstanceId, end: &End, recursive: bool, now: Timestamp) {
        let Some(instance) = self.instances.get(id) else { return };
        let failure = end.failure.as_deref().cloned();
        let completed =
            event::execution_completed(event::ARRIVED, now, end.status, end.output.clone(), failure);
        let commit = Commit {
            at: now,
            turn_at: now.max(instance.clock),
            consumed: instance.inbox.len(),
            events: vec![history::encode(&completed)],
            scheduled: Vec::new(),
            custom_status: instance.custom_status.clone(),
            trace: instance.trace.clone(),
            suspended: false,
            end: Some(end.clone()),
        };
        self.put(Record::Committed { id: id.clone(), commit: Box::new(commit) });
        self.after_end(id, end, recursive);
    }
}

/// The end of an instance that was terminated.
pub(crate) fn terminated(output: Option<String>, now: Timestamp) -> End {
    End { status: Status::Terminated, output, failure: None, at: now }
}

/// What a parent hears of its child's end: a failure always has details, several SDKs fall over one without
/// (protocol/turns.md#ends).
pub(crate) fn outcome(end: &End) -> Result<Option<String>, Box<wire::TaskFailureDetails>> {
    match end.status {
        Status::Completed => Ok(end.output.clone()),
        Status::Failed | Status::Terminated | Status::Canceled => {
            Err(end.failure.clone().unwrap_or_else(|| Box::new(without_details(end))))
        }
        // No end has one of these.
        Status::Pending | Status::Running | Status::Suspended => Ok(None),
    }
}

fn without_details(end: &End) -> wire::TaskFailureDetails {
    let (kind, said) = match end.status {
        Status::Terminated => ("OrchestrationTerminated", "The sub-orchestration was terminated."),
        Status::Canceled => ("OrchestrationCanceled", "The sub-orchestration was canceled."),
        Status::Failed | Status::Completed | Status::Pending | Status::Running | Status::Suspended => {
            ("OrchestrationFailed", "The sub-orchestration failed.")
        }
    };
    failure::details(kind, end.output.clone().unwrap_or_else(|| said.to_owned()))
}
