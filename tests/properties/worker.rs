//! Plays a lawful worker of orchestrations whose code is drawn by lot: it numbers its actions as SDKs do, is silent
//! while suspended, obeys a termination, and rewrites a history when it is rewound.

use super::entities::entity;
use super::reading::Reading;
use super::step::{Ending, Turn, Wish};
use super::world::{Held, HeldTurn, World, instance, life, status};
use std::time::Duration;
use taskhub::emulator::engine::command::{Command, Offer, Refusal, Reply};
use taskhub::model::{InstanceId, Kind, Timestamp};
use taskhub::wire::{
    self, HistoryEvent, OrchestrationStatus, history_event::EventType,
    orchestrator_action::OrchestratorActionType as Action,
    send_entity_message_action::EntityMessageType as Message,
};

/// What a turn's answer sends, to be put into the book once it is known to count.
#[derive(Debug, Default)]
struct Sent {
    letters: Vec<(InstanceId, String)>,
    errands: Vec<(InstanceId, String, Option<Timestamp>)>,
    /// A critical section is asked for.
    locks: bool,
    /// Events that the next execution sees again.
    carries: bool,
}

impl World {
    /// Looks at a turn that is handed out, and completes its past.
    pub(crate) fn check_turn(&mut self, turn: wire::OrchestratorRequest, offer: &Offer) -> HeldTurn {
        let id = InstanceId::unchecked(turn.instance_id.as_str());
        let execution = turn.execution_id.clone().expect("always set");
        let state = self.state(&id).expect("its instance exists");
        assert_eq!(state.execution_id.as_ref(), Some(&execution), "the current execution");
        assert!(!status(&state).is_terminal(), "an ended instance takes no turn: {state:?}");
        let takes =
            offer.filters.as_ref().is_none_or(|f| f.orchestrations.iter().any(|o| o.name == state.name));
        assert!(takes, "not what the stream takes: {state:?}");
        let window = turn.entity_parameters.as_ref().and_then(|p| p.entity_message_reorder_window);
        assert_eq!(window, Some(prost_types::Duration::default()));
        let others = self.turns.extract_if(.., |held| held.work.id == id && held.work.execution == execution);
        for other in others.collect::<Vec<_>>() {
            assert!(other.lost, "two turns at a time: {other:?}");
            self.spend(Command::CompleteTurn(Box::new(empty(&other))));
        }
        let past = self.history(&id);
        let kept = turn.properties.get("taskhub.past").map(|value| match &value.kind {
            Some(prost_types::value::Kind::NumberValue(number)) => number.to_string(),
            other => panic!("{other:?}"),
        });
        match (&kept, turn.requires_history_streaming) {
            (Some(kept), false) => {
                assert!(offer.sticky && turn.past_events.is_empty());
                assert_eq!(*kept, past.len().to_string());
            }
            (None, true) => assert!(offer.history_streaming && turn.past_events.is_empty()),
            (None, false) => assert_eq!(turn.past_events, past),
            (Some(_), true) => panic!("both kept and to be fetched"),
        }
        check_new(&past, &turn.new_events);
        HeldTurn { id, execution, past, new: turn.new_events, begun: false }
    }

    /// Answers a turn that is in a worker's hands.
    pub(crate) fn answer_turn(&mut self, at: usize, plan: &Turn) {
        let held = self.turns[at].clone();
        let mut answer = empty(&held);
        let mut sent = Sent::default();
        answer.requires_history = plan.forgetful && !held.work.begun;
        if !answer.requires_history {
            answer.actions = self.actions(&held.work, plan, &mut sent);
            answer.custom_status = (plan.wishes.len() == 1).then(|| "\"busy\"".to_owned());
            // Together with the end of an execution a partial count says nothing that could be checked.
            let ends = answer.actions.iter().any(|action| {
                matches!(
                    action.orchestrator_action_type,
                    Some(Action::CompleteOrchestration(_) | Action::RewindOrchestration(_))
                )
            });
            answer.num_events_processed = plan.consumed.filter(|_| !ends).map(i32::from);
        }
        if plan.in_parts && !answer.requires_history && !held.work.begun {
            let rest = answer.actions.split_off(answer.actions.len() / 2);
            let first = wire::OrchestratorResponse { is_partial: true, ..answer.clone() };
            match self.ask(Command::CompleteTurn(Box::new(first))) {
                Ok(Reply::Done) => {}
                Err(Refusal::NoSuchWorkItem { .. }) if held.lost => {
                    self.turns.remove(at);
                    return;
                }
                told => panic!("{told:?}"),
            }
            answer.actions = rest;
            answer.num_events_processed = Some(0);
            self.turns[at].work.begun = true;
        }
        self.give(at, &held, answer, sent);
    }

    fn give(&mut self, at: usize, held: &Held<HeldTurn>, answer: wire::OrchestratorResponse, sent: Sent) {
        self.turns.remove(at);
        let work = &held.work;
        let before = self.state(&work.id).filter(|state| {
            state.execution_id.as_ref() == Some(&work.execution) && !status(state).is_terminal()
        });
        let targets: Vec<_> = sent.letters.iter().map(|(to, _)| self.state(to)).collect();
        let forgot = answer.requires_history;
        let command = Command::CompleteTurn(Box::new(answer));
        let told = self.ask(command.clone());
        self.spend(command);
        match told {
            Ok(Reply::Done) => {}
            Err(Refusal::NoSuchWorkItem { .. }) if held.lost => return,
            told => panic!("{told:?}"),
        }
        let Some(before) = before.filter(|_| !forgot) else { return };
        for ((to, text), target) in sent.letters.into_iter().zip(targets) {
            let after = self.state(&to);
            let lives = |state: &wire::OrchestrationState| !status(state).is_terminal();
            match (target, after) {
                (Some(before), Some(after)) => {
                    let owed = life(&before) == life(&after) && lives(&before) && lives(&after);
                    self.mail.sent(&text, life(&after), owed);
                }
                (None, Some(after)) => self.mail.sent(&text, life(&after), false),
                (_, None) => {}
            }
        }
        for (entity, text, later) in sent.errands {
            self.mail.ordered(&text, &entity, later);
        }
        let after = self.state(&work.id).expect("it is there");
        if after.execution_id != before.execution_id && life(&after) == life(&before) {
            // The execution is over and its history gone, or written anew: what the last turn consumed is booked here.
            let rewound = work.new.iter().any(|event| kind(event) == Kind::ExecutionRewound);
            if !sent.carries && !rewound {
                self.saw_all(&life(&after), &work.new);
            }
        }
    }

    fn actions(&mut self, work: &HeldTurn, plan: &Turn, sent: &mut Sent) -> Vec<wire::OrchestratorAction> {
        let new = &work.new;
        if new.iter().any(|event| kind(event) == Kind::ExecutionRewound) {
            assert_eq!(new.len(), 2, "a rewind turn is exactly two events");
            // What was held when the execution failed is held no more: a section cannot be gone on with.
            let holds = Reading::of(&work.past).held.values().any(|left| !left.is_empty());
            return if plan.ending == Ending::Refuse || holds {
                Vec::new()
            } else {
                vec![rewind(work, self.mail.number())]
            };
        }
        let reading = Reading::of(work.past.iter().chain(new));
        let mut next = reading.next_id();
        if let Some(output) = &reading.terminated {
            // An unlawful worker may miss it; the server then ends the instance.
            let ignores = plan.ending == Ending::Refuse;
            let end = complete(OrchestrationStatus::Terminated, output.clone());
            return if ignores { Vec::new() } else { vec![action(next, end)] };
        }
        if reading.suspended {
            return Vec::new();
        }
        let mut actions = Vec::new();
        let mut failed = reading.failed.clone();
        let ends = plan.ending != Ending::Open && plan.ending != Ending::Refuse;
        for wish in &plan.wishes {
            let body = match *wish {
                // The results of what a last execution schedules are dropped; and what is not consumed has not failed yet.
                Wish::Activity { again: true } if !failed.is_empty() && !ends && plan.consumed.is_none() => {
                    let id = failed.remove(0);
                    actions.push(action(id, Action::ScheduleTask(activity())));
                    continue;
                }
                wish => self.wish(wish, work, &reading, next, sent),
            };
            for body in body {
                actions.push(action(next, body));
                next += 1;
            }
        }
        let end = match plan.ending {
            Ending::Open | Ending::Refuse => None,
            Ending::Complete => Some(complete(OrchestrationStatus::Completed, Some("\"out\"".into()))),
            Ending::Fail => Some(fail()),
            Ending::ContinueAsNew { carry } => {
                let carryover_events: Vec<_> =
                    new.iter().filter(|event| carry && kind(event) == Kind::EventRaised).cloned().collect();
                sent.carries = !carryover_events.is_empty();
                let end = wire::CompleteOrchestrationAction {
                    orchestration_status: OrchestrationStatus::ContinuedAsNew.into(),
                    result: Some("\"again\"".into()),
                    carryover_events,
                    ..Default::default()
                };
                Some(Action::CompleteOrchestration(end))
            }
        };
        if let Some(end) = end {
            let end = action(next, end);
            // What stands after the end of an execution is done all the same.
            if plan.wishes.len() % 2 == 1 { actions.insert(0, end) } else { actions.push(end) }
        }
        actions
    }

    fn wish(
        &mut self,
        wish: Wish,
        work: &HeldTurn,
        reading: &Reading,
        next: i32,
        sent: &mut Sent,
    ) -> Vec<Action> {
        let sender = work.id.as_str();
        let moment = |world: &Self, millis: u16| world.now.plus(Duration::from_millis(millis.into()));
        match wish {
            Wish::Activity { .. } => vec![Action::ScheduleTask(activity())],
            Wish::Timer { millis } => {
                let fire_at = Some(moment(self, millis).to_wire());
                vec![Action::CreateTimer(wire::CreateTimerAction { fire_at })]
            }
            Wish::Child { who } => {
                let instance_id = who.map(|who| instance(who).to_string()).unwrap_or_default();
                let name = if next % 2 == 0 { "A" } else { "B" }.into();
                vec![Action::CreateSubOrchestration(wire::CreateSubOrchestrationAction {
                    instance_id,
                    name,
                    ..Default::default()
                })]
            }
            Wish::Send { who } => {
                let (to, text) = (instance(who), self.mail.write(sender));
                sent.letters.push((to.clone(), text.clone()));
                let instance =
                    wire::OrchestrationInstance { instance_id: to.to_string(), execution_id: None };
                let mail =
                    wire::SendEventAction { instance: Some(instance), name: "e".into(), data: Some(text) };
                vec![Action::SendEvent(mail)]
            }
            Wish::Terminate { who, recursive } => {
                vec![Action::TerminateOrchestration(wire::TerminateOrchestrationAction {
                    instance_id: instance(who).to_string(),
                    reason: None,
                    recurse: recursive,
                })]
            }
            Wish::Call { entity: which } => {
                let (target, text) = (entity(which), self.mail.write(sender));
                let number = self.mail.number();
                sent.errands.push((target.clone(), text.clone(), None));
                vec![message(Message::EntityOperationCalled(wire::EntityOperationCalledEvent {
                    request_id: guid(number),
                    operation: "op".into(),
                    input: Some(text),
                    target_instance_id: Some(target.to_string()),
                    ..Default::default()
                }))]
            }
            Wish::Signal { entity: which, later } => {
                let (target, text) = (entity(which), self.mail.write(sender));
                let number = self.mail.number();
                let later = later.map(|millis| moment(self, millis));
                sent.errands.push((target.clone(), text.clone(), later));
                vec![message(Message::EntityOperationSignaled(wire::EntityOperationSignaledEvent {
                    request_id: guid(number),
                    operation: "op".into(),
                    input: Some(text),
                    scheduled_time: later.map(Timestamp::to_wire),
                    target_instance_id: Some(target.to_string()),
                }))]
            }
            Wish::Lock { set } => {
                let mask = set % 7 + 1;
                let names =
                    (0..3).filter(|bit| mask & (1 << bit) != 0).map(|which| entity(which).to_string());
                let number = self.mail.number();
                // One section at a time, as every SDK has it.
                let holds = reading.held.values().any(|left| !left.is_empty());
                let busy = sent.locks || !reading.asked.is_empty() || holds;
                if busy || !sent.errands.is_empty() {
                    return Vec::new();
                }
                sent.locks = true;
                vec![message(Message::EntityLockRequested(wire::EntityLockRequestedEvent {
                    critical_section_id: guid(number),
                    lock_set: names.collect(),
                    position: 0,
                    parent_instance_id: Some(sender.into()),
                }))]
            }
            Wish::Unlock => {
                let held =
                    reading.held.iter().flat_map(|(section, left)| left.iter().map(move |e| (section, e)));
                let unlocks = held.map(|(section, entity)| {
                    message(Message::EntityUnlockSent(wire::EntityUnlockSentEvent {
                        critical_section_id: section.clone(),
                        parent_instance_id: Some(sender.into()),
                        target_instance_id: Some(entity.clone()),
                    }))
                });
                unlocks.collect()
            }
        }
    }

    pub(crate) fn answer_activity(&mut self, at: usize, ok: bool) {
        let held = self.activities.remove(at);
        let command = Command::CompleteActivity(Box::new(super::entities::activity_answer(&held, ok)));
        match self.ask(command.clone()) {
            Ok(Reply::Done) => {}
            told => assert!(held.lost && matches!(told, Err(Refusal::NoSuchWorkItem { .. })), "{told:?}"),
        }
        self.spend(command);
    }
}

fn empty(held: &Held<HeldTurn>) -> wire::OrchestratorResponse {
    wire::OrchestratorResponse {
        instance_id: held.work.id.as_str().into(),
        completion_token: held.token.clone(),
        ..Default::default()
    }
}

/// What is new in a turn: a moment first, then what has arrived.
fn check_new(past: &[HistoryEvent], new: &[HistoryEvent]) {
    assert_eq!(kind(&new[0]), Kind::OrchestratorStarted);
    // After a rewind a turn is due even if nothing has arrived.
    let rewound = past.iter().any(|event| kind(event) == Kind::ExecutionRewound);
    assert!(new.len() > 1 || rewound, "a turn without anything new");
    let begins = |event: &HistoryEvent| kind(event) == Kind::ExecutionStarted;
    if past.is_empty() {
        assert!(begins(&new[1]), "a fresh execution begins with its start: {new:?}");
    } else {
        assert!(past.iter().any(begins));
    }
    if !new.iter().any(|event| kind(event) == Kind::ExecutionRewound) {
        // Holds past and new to the rules.
        Reading::of(past.iter().chain(new));
    }
}

pub(crate) fn kind(event: &HistoryEvent) -> Kind {
    Kind::of(event.event_type.as_ref().expect("a body"))
}

fn action(id: i32, body: Action) -> wire::OrchestratorAction {
    wire::OrchestratorAction { id, orchestrator_action_type: Some(body) }
}

fn message(body: Message) -> Action {
    Action::SendEntityMessage(wire::SendEntityMessageAction { entity_message_type: Some(body) })
}

fn activity() -> wire::ScheduleTaskAction {
    wire::ScheduleTaskAction { name: "work".into(), ..Default::default() }
}

fn complete(status: OrchestrationStatus, result: Option<String>) -> Action {
    let orchestration_status = status.into();
    Action::CompleteOrchestration(wire::CompleteOrchestrationAction {
        orchestration_status,
        result,
        ..Default::default()
    })
}

fn fail() -> Action {
    Action::CompleteOrchestration(wire::CompleteOrchestrationAction {
        orchestration_status: OrchestrationStatus::Failed.into(),
        failure_details: Some(taskhub::model::failure::details("Broken", "by lot")),
        ..Default::default()
    })
}

/// A number as the GUID that request ids must be.
pub(crate) fn guid(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

/// The answer to a rewind turn (protocol/turns.md#rewind): the history without what failed, under a new execution.
fn rewind(work: &HeldTurn, number: u64) -> wire::OrchestratorAction {
    let all: Vec<&HistoryEvent> = work.past.iter().chain(&work.new).collect();
    let failed: Vec<i32> = all
        .iter()
        .filter_map(|event| match &event.event_type {
            Some(EventType::TaskFailed(failed)) => Some(failed.task_scheduled_id),
            _ => None,
        })
        .collect();
    let parent = all.iter().rev().find_map(|event| match &event.event_type {
        Some(EventType::ExecutionRewound(rewound)) => Some(rewound.parent_execution_id.clone()),
        _ => None,
    });
    let mut new_history = Vec::new();
    for event in all {
        let mut event = event.clone();
        match &mut event.event_type {
            Some(
                EventType::TaskFailed(_)
                | EventType::SubOrchestrationInstanceFailed(_)
                | EventType::ExecutionCompleted(_),
            ) => continue,
            Some(EventType::TaskScheduled(_)) if failed.contains(&event.event_id) => continue,
            Some(EventType::ExecutionStarted(started)) => {
                if let Some(instance) = &mut started.orchestration_instance {
                    instance.execution_id = Some(format!("{number:032x}"));
                }
                let above = started.parent_instance.as_mut().and_then(|p| p.orchestration_instance.as_mut());
                if let (Some(above), Some(Some(execution))) = (above, parent.clone()) {
                    above.execution_id = Some(execution);
                }
            }
            _ => {}
        }
        new_history.push(event);
    }
    action(-1, Action::RewindOrchestration(wire::RewindOrchestrationAction { new_history }))
}
