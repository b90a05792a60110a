//! Hands completions and events to the waits for them, and starts the next attempt of a failed call.

use super::call::child_id;
use super::core::{Attempts, Core, OpenAction, Recipe};
use super::failure::FailureDetails;
use super::lock::Hold;
use super::slot::WaitOutcome;
use crate::model::extension::{ATTEMPT_TAG, CALL_TAG};
use crate::wire::TaskFailureDetails;
use std::collections::btree_map::Entry;
use std::rc::Rc;
use uuid::Uuid;

impl Core {
    /// The activity or child `id` has ended. An id without an open wait is passed over: a completion may come twice.
    pub(super) fn task_ended(&self, id: i32, outcome: WaitOutcome) {
        let slot =
            match self.take_open(id, |open| matches!(open, OpenAction::Task(..) | OpenAction::Attempt(_))) {
                Some(OpenAction::Task(slot, _)) => slot,
                Some(OpenAction::Attempt(attempts)) if self.next_attempt(&attempts, &outcome) => return,
                Some(OpenAction::Attempt(attempts)) => Rc::clone(&attempts.slot),
                Some(OpenAction::Timer(_) | OpenAction::Pause(_)) | None => return,
            };
        self.settle(&slot, outcome);
    }

    /// The timer `id` has fired. One that was withdrawn is passed over.
    pub(super) fn timer_fired(&self, id: i32) {
        match self.take_open(id, |open| matches!(open, OpenAction::Timer(_) | OpenAction::Pause(_))) {
            Some(OpenAction::Timer(slot)) => self.settle(&slot, WaitOutcome::Value(None)),
            Some(OpenAction::Pause(attempts)) if attempts.slot.keeps_trying() => self.try_again(attempts),
            Some(_) | None => {}
        }
    }

    fn take_open(&self, id: i32, wanted: fn(&OpenAction) -> bool) -> Option<OpenAction> {
        let open = &mut self.ledger.borrow_mut().open;
        match open.entry(id) {
            Entry::Occupied(entry) if wanted(&entry.get().0) => Some(entry.remove().0),
            Entry::Occupied(_) | Entry::Vacant(_) => None,
        }
    }

    /// Whether the call is tried again; sets the timer that it waits for.
    fn next_attempt(&self, attempts: &Rc<Attempts>, outcome: &WaitOutcome) -> bool {
        let WaitOutcome::Failure(failure) = outcome else { return false };
        if failure.is_non_retriable || !attempts.slot.keeps_trying() {
            return false;
        }
        let policy = &attempts.policy;
        if policy.looks_at_failures()
            && !policy.accepts(&FailureDetails::from_wire(TaskFailureDetails::clone(failure)))
        {
            return false;
        }
        let seed = format!("{}:{}", self.facts.instance_id, attempts.first_id);
        let Some(wait) = policy.wait(attempts.attempt.get(), attempts.began, self.now.get(), &seed) else {
            return false;
        };
        let fire_at = self.now.get().plus(wait);
        self.timer(self.next_id(), fire_at, OpenAction::Pause(Rc::clone(attempts)), attempts.at);
        true
    }

    fn try_again(&self, attempts: Rc<Attempts>) {
        let attempt = attempts.attempt.get() + 1;
        attempts.attempt.set(attempt);
        let id = self.next_id();
        let mut recipe = attempts.recipe.clone();
        match &mut recipe {
            Recipe::Activity(task) => {
                task.tags.insert(ATTEMPT_TAG.to_owned(), attempt.to_string());
                task.tags.insert(CALL_TAG.to_owned(), attempts.first_id.to_string());
            }
            // A child whose id was chosen for it keeps the id; the others get one each.
            Recipe::Child(child) if child.instance_id == child_id(self, attempts.first_id) => {
                child.instance_id = child_id(self, id);
            }
            Recipe::Child(_) => {}
        }
        let at = attempts.at;
        self.schedule_open(id, recipe.into_action(), OpenAction::Attempt(attempts), at);
    }

    /// An external event has arrived.
    pub(super) fn event_raised(
        &self,
        name: String,
        input: Option<String>,
        timestamp: Option<prost_types::Timestamp>,
    ) {
        let taker = self.ledger.borrow_mut().events.arrive(name, input, timestamp);
        if let Some((slot, raised)) = taker {
            self.settle(&slot, WaitOutcome::Event(raised));
        }
    }

    /// An entity has answered, or all entities of a critical section are locked.
    pub(super) fn answered(&self, request_id: &str, outcome: WaitOutcome) {
        let Ok(id) = Uuid::parse_str(request_id) else { return };
        let request = {
            let mut ledger = self.ledger.borrow_mut();
            let Some(request) = ledger.requests.remove(&id) else { return };
            if let (None, Some(section)) = (&request.lock, &mut ledger.section) {
                section.leave(&request.what);
            }
            request
        };
        match request.lock {
            // The future that waited for the lock is dropped: the lock must not stay.
            Some(entities) if !request.slot.is_wanted() => {
                self.unlock(&Hold { section: id, entities, at: request.at });
            }
            _ => self.settle(&request.slot, outcome),
        }
    }
}
