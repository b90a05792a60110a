//! Does what follows from the end of an instance, and ends one without its worker.

use super::Decider;
use super::outbox::Outgoing;
use crate::emulator::engine::record::{Commit, Record};
use crate::emulator::engine::state::history;
use crate::emulator::engine::state::phase::End;
use crate::model::{InstanceId, Status, Timestamp, event, failure};
use crate::wire;

impl Decider {
    /// What an end asks of others: the parent hears of it, locks are free, and a recursive termination goes on with
    /// the children.
    pub(crate) fn after_end(&mut self, id: &InstanceId, end: &End, recursive: bool) {
        self.outbox.push_back(Outgoing::Release { holder: id.clone() });
        let Some(instance) = self.state.instance(id) else { return };
        if let Some(parent) = instance.parent() {
            self.outbox.push_back(Outgoing::ChildEnded {
                parent: parent.clone(),
                child: instance.execution().clone(),
                outcome: outcome(end),
            });
        }
        if recursive && end.status == Status::Terminated {
            for child in instance.offspring() {
                self.outbox.push_back(Outgoing::Terminate {
                    id: child.clone(),
                    output: end.output.clone(),
                    recursive: true,
                });
            }
        }
    }

    /// Ends an instance without a worker, with everything in its inbox in its history.
    pub(crate) fn end_by_decree(&mut self, id: &InstanceId, end: &End, recursive: bool, now: Timestamp) {
        let Some(instance) = self.state.instance(id) else { return };
        let failure = end.failure.as_deref().cloned();
        let completed =
            event::execution_completed(event::ARRIVED, now, end.status, end.output.clone(), failure);
        let commit = Commit {
            at: now,
            turn_at: now.max(instance.clock()),
            consumed: instance.inbox().len(),
            events: vec![history::encode(&completed)],
            scheduled: Vec::new(),
            custom_status: instance.custom_status().cloned(),
            trace: instance.trace().cloned(),
            suspended: false,
            end: Some(end.clone()),
        };
        self.put(Record::Committed { id: id.clone(), commit: Box::new(commit) });
        self.after_end(id, end, recursive);
    }
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
