//! Locks entities for an orchestration until the guard of its critical section is dropped.

use super::core::{Core, Request, entity_message};
use super::entity::EntityId;
use super::failure::InvalidCall;
use super::section::Section;
use super::slot::{CallSite, Slot, SlotPoll, WaitOutcome};
use crate::wire::{self, send_entity_message_action::EntityMessageType};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use uuid::Uuid;

/// Waits until every entity is locked. Returned by `ctx.lock(..)`.
///
/// # Panics
///
/// Awaited again after it has given its result.
#[derive(Debug)]
#[must_use = "nothing is locked until it is awaited; a wait that is dropped unlocks"]
pub struct LockWait {
    core: Rc<Core>,
    slot: Rc<Slot>,
    hold: Option<Hold>,
}

/// What to unlock.
#[derive(Debug, Clone)]
pub(super) struct Hold {
    pub(super) section: Uuid,
    pub(super) entities: Vec<String>,
    pub(super) at: CallSite,
}

impl LockWait {
    pub(super) fn ask<'a>(
        core: &Rc<Core>,
        entities: impl IntoIterator<Item = &'a EntityId>,
        at: CallSite,
    ) -> Self {
        let core = Rc::clone(core);
        // The scheduler locks them one after the other; one order for all prevents a deadlock.
        let locked: BTreeSet<String> = entities.into_iter().map(EntityId::to_string).collect();
        if core.ledger.borrow().section.is_some() {
            let slot = Slot::settled(core.next_order(), WaitOutcome::InvalidCall(InvalidCall::NestedLock));
            return Self { core, slot: Rc::new(slot), hold: None };
        }
        let entities: Vec<String> = locked.iter().cloned().collect();
        core.ledger.borrow_mut().section = Some(Section::asked(locked));
        if entities.is_empty() {
            let slot = Slot::settled(core.next_order(), WaitOutcome::Value(None));
            return Self {
                core,
                slot: Rc::new(slot),
                hold: Some(Hold { section: Uuid::nil(), entities, at }),
            };
        }
        let id = core.next_id();
        let section = core.request_id(id);
        let slot = Rc::new(Slot::open());
        core.schedule(
            id,
            entity_message(EntityMessageType::EntityLockRequested(wire::EntityLockRequestedEvent {
                critical_section_id: section.to_string(),
                lock_set: entities.clone(),
                position: 0,
                parent_instance_id: Some(core.facts.instance_id.clone()),
            })),
            at,
        );
        let request =
            Request { slot: Rc::clone(&slot), what: entities.join(", "), lock: Some(entities.clone()), at };
        core.ledger.borrow_mut().requests.insert(section, request);
        Self { core, slot, hold: Some(Hold { section, entities, at }) }
    }
}

impl Future for LockWait {
    type Output = Result<LockGuard, InvalidCall>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.core.look(&self.slot, cx.waker()) {
            SlotPoll::Waiting { .. } => Poll::Pending,
            SlotPoll::Ready(WaitOutcome::InvalidCall(why)) => Poll::Ready(Err(why)),
            SlotPoll::Ready(_) => {
                if let Some(section) = &mut self.core.ledger.borrow_mut().section {
                    section.grant();
                }
                let hold = self.hold.take();
                Poll::Ready(Ok(LockGuard { core: Rc::clone(&self.core), hold }))
            }
            SlotPoll::Gone => panic!("a lock was awaited again after it had been granted"),
        }
    }
}

impl Drop for LockWait {
    fn drop(&mut self) {
        let Some(hold) = self.hold.take().filter(|_| !self.core.evicted.get()) else { return };
        // A lock that is not granted yet is released when the grant comes; until then no other section may begin.
        let granted = !self.slot.is_open();
        self.core.give_up(&self.slot);
        if granted {
            self.core.unlock(&hold);
        }
    }
}

/// Entities that are locked, until this is dropped.
#[derive(Debug)]
#[must_use = "the entities are unlocked as soon as this is dropped"]
pub struct LockGuard {
    core: Rc<Core>,
    hold: Option<Hold>,
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        if let Some(hold) = self.hold.take().filter(|_| !self.core.evicted.get()) {
            self.core.unlock(&hold);
        }
    }
}

impl Core {
    /// Ends a critical section.
    pub(super) fn unlock(&self, hold: &Hold) {
        self.ledger.borrow_mut().section = None;
        for entity in &hold.entities {
            let id = self.next_id();
            self.schedule(
                id,
                entity_message(EntityMessageType::EntityUnlockSent(wire::EntityUnlockSentEvent {
                    critical_section_id: hold.section.to_string(),
                    parent_instance_id: Some(self.facts.instance_id.clone()),
                    target_instance_id: Some(entity.clone()),
                })),
                hold.at,
            );
        }
    }
}
