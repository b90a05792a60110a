//! Compares what the code schedules with what history says it scheduled.

use super::core::{Core, OpenAction, PendingAction};
use super::failure::FailureDetails;
use super::slot::CallSite;
use crate::wire::history_event::EventType;
use crate::wire::orchestrator_action::OrchestratorActionType as Action;
use crate::wire::send_entity_message_action::EntityMessageType as Message;
use std::fmt;

/// The type of the failure when code and history differ.
pub const NONDETERMINISM: &str = "NonDeterminism";

/// Something that can be scheduled: its kind, and the name that must not differ.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) struct ScheduledAction<'a> {
    kind: &'static str,
    name: &'a str,
}

impl fmt::Display for ScheduledAction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            "" => f.write_str(self.kind),
            name => write!(f, "{} '{name}'", self.kind),
        }
    }
}

const fn scheduled<'a>(kind: &'static str, name: &'a str) -> ScheduledAction<'a> {
    ScheduledAction { kind, name }
}

impl<'a> ScheduledAction<'a> {
    /// What an action schedules.
    pub(super) fn by(action: &'a Action) -> Self {
        match action {
            Action::ScheduleTask(task) => scheduled("activity", &task.name),
            Action::CreateSubOrchestration(child) => scheduled("child", &child.name),
            Action::CreateTimer(_) => scheduled("timer", ""),
            Action::SendEvent(event) => scheduled("event", &event.name),
            Action::SendEntityMessage(message) => match &message.entity_message_type {
                Some(Message::EntityOperationSignaled(signal)) => scheduled("signal", &signal.operation),
                Some(Message::EntityOperationCalled(call)) => scheduled("entity call", &call.operation),
                Some(Message::EntityLockRequested(_)) => scheduled("lock", ""),
                Some(Message::EntityUnlockSent(_)) => scheduled("unlock", ""),
                None => scheduled("entity message", ""),
            },
            Action::CompleteOrchestration(_) => scheduled("completion", ""),
            Action::TerminateOrchestration(_) => scheduled("termination", ""),
            Action::RewindOrchestration(_) => scheduled("rewind", ""),
        }
    }

    /// What an event says was scheduled; `None` for events that nothing schedules.
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other event arrives, and is not scheduled")]
    pub(super) fn in_history(event: &'a EventType) -> Option<Self> {
        Some(match event {
            EventType::TaskScheduled(task) => scheduled("activity", &task.name),
            EventType::SubOrchestrationInstanceCreated(child) => scheduled("child", &child.name),
            EventType::TimerCreated(_) => scheduled("timer", ""),
            EventType::EventSent(event) => scheduled("event", &event.name),
            EventType::EntityOperationSignaled(signal) => scheduled("signal", &signal.operation),
            EventType::EntityOperationCalled(call) => scheduled("entity call", &call.operation),
            EventType::EntityLockRequested(_) => scheduled("lock", ""),
            EventType::EntityUnlockSent(_) => scheduled("unlock", ""),
            _ => return None,
        })
    }
}

impl Core {
    /// Takes note that history holds what was scheduled as `id`.
    ///
    /// # Errors
    ///
    /// The code scheduled something else, or nothing, under that id.
    pub(super) fn confirm(&self, id: i32, recorded: ScheduledAction<'_>) -> Result<(), FailureDetails> {
        let mut ledger = self.ledger.borrow_mut();
        match ledger.pending.remove(&id) {
            Some(pending) if ScheduledAction::by(&pending.action) == recorded => Ok(()),
            // Some schedulers note a message to an entity as an event that was sent.
            Some(PendingAction { action: Action::SendEntityMessage(_), .. }) if recorded.kind == "event" => {
                Ok(())
            }
            Some(PendingAction { action, at }) => {
                let code = ScheduledAction::by(&action);
                Err(differs(&format!(
                    "history says that {recorded} was scheduled as #{id}, but the code at {at} scheduled {code}"
                )))
            }
            None => {
                let instead = ledger.pending.iter().next().map(|(id, pending)| {
                    let code = ScheduledAction::by(&pending.action);
                    format!("; it scheduled {code} as #{id} at {}", pending.at)
                });
                let last = || ledger.last.map(|at| format!("; what it scheduled last is at {at}"));
                let instead = instead.or_else(last).unwrap_or_default();
                Err(differs(&format!(
                    "history says that {recorded} was scheduled as #{id}, but the code scheduled nothing as #{id}{instead}"
                )))
            }
        }
    }

    /// What the code scheduled in a turn that is over, and history does not hold.
    pub(super) fn unconfirmed(&self) -> Option<FailureDetails> {
        let ledger = self.ledger.borrow();
        ledger.pending.iter().next().map(|(id, PendingAction { action, at })| {
            let code = ScheduledAction::by(action);
            differs(&format!("the code at {at} scheduled {code} as #{id}, but history says it did not"))
        })
    }

    /// What is waited for, and where in the source.
    pub(super) fn waits(&self) -> Vec<(String, CallSite)> {
        let ledger = self.ledger.borrow();
        let open = ledger.open.iter().filter_map(|(id, (open, at))| {
            let (slot, what) = match open {
                OpenAction::Task(slot, what) => (slot, format!("{what} #{id}")),
                OpenAction::Timer(slot) => (slot, format!("timer #{id}")),
                OpenAction::Attempt(attempts) | OpenAction::Pause(attempts) => {
                    (&attempts.slot, format!("{} #{id}", attempts.recipe.name()))
                }
            };
            slot.is_wanted().then_some((what, *at))
        });
        let requests = ledger.requests.values().filter(|request| request.slot.is_wanted());
        let requests = requests.map(|request| (format!("entity {}", request.what), request.at));
        let events = ledger.events.waits().map(|(name, at)| (format!("event '{name}'"), at));
        open.chain(requests).chain(events).collect()
    }
}

fn differs(how: &str) -> FailureDetails {
    let message = format!(
        "{how}; was the orchestrator changed while this instance ran, or does it decide by something other than its input and its tasks?"
    );
    FailureDetails::permanent(NONDETERMINISM, message)
}
