//! Keeps who waits for which instance.

use crate::emulator::engine::Engine;
use crate::emulator::engine::command::{Effect, Refusal, Reply, Until, WaiterId};
use crate::model::{InstanceId, Status};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everybody who waits.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    by_instance: BTreeMap<InstanceId, BTreeMap<WaiterId, Wish>>,
    all: BTreeMap<WaiterId, InstanceId>,
}

#[derive(Debug, Clone, Copy)]
struct Wish {
    until: Until,
    payloads: bool,
}

impl Waiters {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    fn wait(&mut self, waiter: WaiterId, id: &InstanceId, wish: Wish) {
        self.by_instance.entry(id.clone()).or_default().insert(waiter, wish);
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

    /// Those whose wish `met` says is met; they wait no longer.
    fn take(&mut self, id: &InstanceId, met: impl Fn(Until) -> bool) -> Vec<(WaiterId, Wish)> {
        let Some(waiting) = self.by_instance.get(id) else { return Vec::new() };
        let happy: Vec<_> =
            waiting.iter().filter(|(_, wish)| met(wish.until)).map(|(who, wish)| (*who, *wish)).collect();
        for (who, _) in &happy {
            self.forget(*who);
        }
        happy
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
        let instance = self.instances.get(id).ok_or_else(|| Refusal::NoSuchInstance { id: id.clone() })?;
        if is_met(until, instance.status()) {
            return Ok(Reply::State(Some(Arc::new(instance.state(id, payloads)))));
        }
        self.waiters.wait(waiter, id, Wish { until, payloads });
        Ok(Reply::Waiting)
    }

    /// Answers those who waited for what an instance is now.
    pub(crate) fn notify(&mut self, id: &InstanceId) {
        match self.instances.get(id) {
            Some(instance) => {
                let status = instance.status();
                // All who wait for the same get the same: hundreds may wait for an output of megabytes.
                let mut shared = [None, None];
                for (waiter, wish) in self.waiters.take(id, |until| is_met(until, status)) {
                    let state = shared[usize::from(wish.payloads)]
                        .get_or_insert_with(|| Arc::new(instance.state(id, wish.payloads)));
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
