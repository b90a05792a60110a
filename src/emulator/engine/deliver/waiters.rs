//! Keeps which calls wait for which instance, and answers them.

use crate::emulator::engine::Engine;
use crate::emulator::engine::command::{Effect, Refusal, Reply, Until, WaiterId};
use crate::model::{InstanceId, Status};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Every call that waits.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    by_instance: BTreeMap<InstanceId, BTreeMap<WaiterId, WaitedFor>>,
    all: BTreeMap<WaiterId, InstanceId>,
}

#[derive(Debug, Clone, Copy)]
struct WaitedFor {
    until: Until,
    payloads: bool,
}

impl Waiters {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    fn wait(&mut self, waiter: WaiterId, id: &InstanceId, wanted: WaitedFor) {
        self.by_instance.entry(id.clone()).or_default().insert(waiter, wanted);
        self.all.insert(waiter, id.clone());
    }

    pub(crate) fn forget(&mut self, waiter: WaiterId) {
        let Some(id) = self.all.remove(&waiter) else { return };
        if let Some(waiting) = self.by_instance.get_mut(&id) {
            waiting.remove(&waiter);
            if waiting.is_empty() {
                self.by_instance.remove(&id);
            }
        }
    }

    /// Those for which `is_met` holds; they wait no longer.
    fn take(&mut self, id: &InstanceId, is_met: impl Fn(Until) -> bool) -> Vec<(WaiterId, WaitedFor)> {
        let Some(waiting) = self.by_instance.get(id) else { return Vec::new() };
        let met: Vec<_> = waiting
            .iter()
            .filter(|(_, wanted)| is_met(wanted.until))
            .map(|(who, wanted)| (*who, *wanted))
            .collect();
        for (who, _) in &met {
            self.forget(*who);
        }
        met
    }
}

/// Whether a status is what is waited for (protocol/instances.md#waits).
fn is_met(until: Until, status: Status) -> bool {
    match until {
        Until::Started => status != Status::Pending,
        Until::Ended => status.is_terminal(),
    }
}

impl Engine {
    /// Waiting for an instance that does not exist is refused at once (protocol/instances.md#waits).
    pub(crate) fn wait(
        &mut self,
        waiter: WaiterId,
        id: &InstanceId,
        until: Until,
        payloads: bool,
    ) -> Result<Reply, Refusal> {
        let instance =
            self.decider.state.instance(id).ok_or_else(|| Refusal::NoSuchInstance { id: id.clone() })?;
        if is_met(until, instance.status()) {
            return Ok(Reply::State(Some(Arc::new(instance.state(id, payloads)))));
        }
        self.waiters.wait(waiter, id, WaitedFor { until, payloads });
        Ok(Reply::Waiting)
    }

    /// Answers those who waited for what an instance is now.
    pub(crate) fn notify(&mut self, id: &InstanceId) {
        match self.decider.state.instance(id) {
            Some(instance) => {
                let status = instance.status();
                // All who wait for the same get the same: hundreds may wait for an output of megabytes.
                let mut shared = [None, None];
                for (waiter, wanted) in self.waiters.take(id, |until| is_met(until, status)) {
                    let state = shared[usize::from(wanted.payloads)]
                        .get_or_insert_with(|| Arc::new(instance.state(id, wanted.payloads)));
                    self.effects.push(Effect::Answer { waiter, answer: Ok(state.clone()) });
                }
            }
            None => {
                for (waiter, _) in self.waiters.take(id, |_| true) {
                    let answer = Err(Refusal::Purged { id: id.clone() });
                    self.effects.push(Effect::Answer { waiter, answer });
                }
            }
        }
    }
}
