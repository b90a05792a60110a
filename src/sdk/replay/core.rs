//! Keeps what an orchestrator's futures and the engine share: ids, actions that history does not hold yet, and open waits.

use super::events::Events;
use super::failure::{FailureDetails, InvalidCall};
use super::names::FunctionNames;
use super::retry::RetryPolicy;
use super::section::Section;
use super::slot::{AbandonedWait, CallSite, Slot, SlotPoll, WaitOutcome};
use crate::model::Timestamp;
use crate::wire::{self, orchestrator_action::OrchestratorActionType as Action};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use uuid::Uuid;
use wire::send_entity_message_action::EntityMessageType;

/// The namespace of every id that an orchestrator derives, the same in all SDKs of the family.
const NAMESPACE: Uuid = Uuid::from_u128(0x9e95_2958_5e33_4daf_827f_2fa1_2937_b875);

/// What never changes during an execution.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) instance_id: String,
    pub(super) execution_id: String,
    pub(super) name: String,
    pub(super) version: Option<String>,
    pub(super) parent: Option<Parent>,
    pub(super) tags: BTreeMap<String, String>,
    /// The version that children get when none is given.
    pub(super) child_version: Option<Arc<str>>,
}

/// Who started a child.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parent {
    /// The parent's instance id.
    pub instance_id: String,
    /// The parent's orchestrator.
    pub name: String,
    /// The parent's version.
    pub version: Option<String>,
    /// The parent's action that started this child.
    pub task_id: i32,
}

/// What an orchestrator has scheduled and history does not hold yet.
#[derive(Debug)]
pub(super) struct PendingAction {
    pub(super) action: Action,
    pub(super) at: CallSite,
}

/// What waits for the completion of an action.
#[derive(Debug)]
pub(super) enum OpenAction {
    /// With what was called.
    Task(Rc<Slot>, Rc<str>),
    Timer(Rc<Slot>),
    Attempt(Rc<Attempts>),
    Pause(Rc<Attempts>),
}

/// A call with a retry policy.
#[derive(Debug)]
pub(super) struct Attempts {
    pub(super) slot: Rc<Slot>,
    pub(super) policy: RetryPolicy,
    pub(super) recipe: Recipe,
    pub(super) attempt: Cell<u32>,
    pub(super) first_id: i32,
    pub(super) began: Timestamp,
    pub(super) at: CallSite,
}

/// What to schedule again.
#[derive(Debug, Clone)]
pub(super) enum Recipe {
    Activity(wire::ScheduleTaskAction),
    Child(wire::CreateSubOrchestrationAction),
}

/// What the next execution begins with.
#[derive(Debug)]
pub(super) struct NextExecution {
    pub(super) input: String,
    pub(super) version: Option<String>,
    pub(super) keep_events: bool,
}

#[derive(Debug)]
pub(super) struct Ledger {
    next_id: i32,
    pub(super) pending: BTreeMap<i32, PendingAction>,
    pub(super) open: BTreeMap<i32, (OpenAction, CallSite)>,
    /// Where something was scheduled last.
    pub(super) last: Option<CallSite>,
    pub(super) requests: BTreeMap<Uuid, Request>,
    pub(super) events: Events,
    pub(super) section: Option<Section>,
}

/// An entity call or a lock that waits for an answer.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) slot: Rc<Slot>,
    pub(super) what: String,
    /// The entities, where a lock was asked for.
    pub(super) lock: Option<Vec<String>>,
    pub(super) at: CallSite,
}

#[derive(Debug)]
pub(super) struct Core {
    pub(super) facts: Facts,
    pub(super) names: Arc<FunctionNames>,
    pub(super) now: Cell<Timestamp>,
    pub(super) replaying: Cell<bool>,
    pub(super) ledger: RefCell<Ledger>,
    pub(super) status: RefCell<Option<String>>,
    pub(super) next: RefCell<Option<NextExecution>>,
    /// A rule that was broken by a call that has no future to report it.
    pub(super) broken: RefCell<Option<FailureDetails>>,
    /// How many durable waits hold a waker.
    parked: Cell<usize>,
    order: Cell<u64>,
    uuids: Cell<u32>,
    /// Set before the future is dropped unfinished; dropping then changes nothing.
    pub(super) evicted: Cell<bool>,
}

impl Core {
    pub(super) fn new(facts: Facts, names: Arc<FunctionNames>) -> Self {
        Self {
            facts,
            names,
            now: Cell::default(),
            replaying: Cell::new(true),
            ledger: RefCell::new(Ledger {
                next_id: 1,
                pending: BTreeMap::new(),
                open: BTreeMap::new(),
                last: None,
                requests: BTreeMap::new(),
                events: Events::default(),
                section: None,
            }),
            status: RefCell::default(),
            next: RefCell::default(),
            broken: RefCell::default(),
            parked: Cell::new(0),
            order: Cell::new(0),
            uuids: Cell::new(0),
            evicted: Cell::new(false),
        }
    }

    /// The next place in the order in which waits are settled.
    pub(super) fn next_order(&self) -> u64 {
        self.order.replace(self.order.get() + 1)
    }

    /// Settles a wait, and wakes the future that waits. Nothing may be borrowed.
    pub(super) fn settle(&self, slot: &Slot, outcome: WaitOutcome) {
        if let Some(waker) = slot.settle(self.next_order(), outcome) {
            self.parked.set(self.parked.get() - 1);
            waker.wake();
        }
    }

    /// Looks at a wait on behalf of a future that is polled.
    pub(super) fn look(&self, slot: &Slot, waker: &Waker) -> SlotPoll {
        let look = slot.look(waker);
        if matches!(look, SlotPoll::Waiting { first: true }) {
            self.parked.set(self.parked.get() + 1);
        }
        look
    }

    /// Gives a wait up. Returns the outcome that was not taken.
    pub(super) fn give_up(&self, slot: &Slot) -> Option<WaitOutcome> {
        match slot.give_up() {
            AbandonedWait::Open { awaited } => {
                if awaited {
                    self.parked.set(self.parked.get() - 1);
                }
                None
            }
            AbandonedWait::Outcome(outcome) => Some(outcome),
            AbandonedWait::Nothing => None,
        }
    }

    /// How many durable waits a future awaits.
    pub(super) fn parked(&self) -> usize {
        self.parked.get()
    }

    /// Notes that a call without a future broke a rule: that fails the orchestration.
    pub(super) fn refuse(&self, why: &InvalidCall, at: CallSite) {
        let details = FailureDetails::permanent("Refused", format!("{why} (at {at})"));
        self.broken.borrow_mut().get_or_insert(details);
    }

    pub(super) fn next_id(&self) -> i32 {
        let mut ledger = self.ledger.borrow_mut();
        let id = ledger.next_id;
        ledger.next_id += 1;
        id
    }

    /// Schedules an action without a result.
    pub(super) fn schedule(&self, id: i32, action: Action, at: CallSite) {
        let mut ledger = self.ledger.borrow_mut();
        ledger.pending.insert(id, PendingAction { action, at });
        ledger.last = Some(at);
    }

    /// Schedules an action, and opens the wait for its completion.
    pub(super) fn schedule_open(&self, id: i32, action: Action, open: OpenAction, at: CallSite) {
        self.ledger.borrow_mut().open.insert(id, (open, at));
        self.schedule(id, action, at);
    }

    pub(super) fn timer(&self, id: i32, fire_at: Timestamp, open: OpenAction, at: CallSite) {
        let action = Action::CreateTimer(wire::CreateTimerAction { fire_at: Some(fire_at.to_wire()) });
        self.schedule_open(id, action, open, at);
    }

    /// Takes back a timer whose future is dropped. Where it is in history already, its firing is ignored.
    pub(super) fn withdraw_timer(&self, id: i32) {
        let mut ledger = self.ledger.borrow_mut();
        ledger.pending.remove(&id);
        ledger.open.remove(&id);
    }

    /// A uuid that every replay derives alike.
    pub(super) fn uuid(&self) -> Uuid {
        let count = self.uuids.replace(self.uuids.get() + 1);
        let now = self.now.get().to_string();
        // Seven digits of a second, as the .NET SDK writes moments.
        let now = now.strip_suffix('Z').unwrap_or(&now);
        Uuid::new_v5(&NAMESPACE, format!("{}_{now}0Z_{count}", self.facts.instance_id).as_bytes())
    }

    /// The id of the request that an action makes of an entity.
    pub(super) fn request_id(&self, id: i32) -> Uuid {
        let facts = &self.facts;
        Uuid::new_v5(&NAMESPACE, format!("{}_{}_{id}", facts.instance_id, facts.execution_id).as_bytes())
    }
}

/// The action that sends a message to an entity.
pub(super) fn entity_message(message: EntityMessageType) -> Action {
    Action::SendEntityMessage(wire::SendEntityMessageAction { entity_message_type: Some(message) })
}
