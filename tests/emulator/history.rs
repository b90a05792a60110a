//! Looks at histories: the golden one, and the facts that a golden one cannot say.

use taskhub::model::History;
use taskhub::testing::golden;
use taskhub::wire::{HistoryEvent, history_event::EventType};

/// What an event completes.
fn completes(event: &HistoryEvent) -> Option<i32> {
    match &event.event_type {
        Some(EventType::TaskCompleted(done)) => Some(done.task_scheduled_id),
        Some(EventType::TaskFailed(done)) => Some(done.task_scheduled_id),
        Some(EventType::SubOrchestrationInstanceCompleted(done)) => Some(done.task_scheduled_id),
        Some(EventType::SubOrchestrationInstanceFailed(done)) => Some(done.task_scheduled_id),
        Some(EventType::TimerFired(fired)) => Some(fired.timer_id),
        _ => None,
    }
}

fn schedules(event: &HistoryEvent) -> bool {
    matches!(
        event.event_type,
        Some(
            EventType::TaskScheduled(_)
                | EventType::TimerCreated(_)
                | EventType::SubOrchestrationInstanceCreated(_)
        )
    )
}

/// Compares with the golden file; `GOLDEN=write` writes it anew.
#[track_caller]
pub(crate) fn is_golden(name: &str, history: &History) {
    let file = std::path::Path::new("tests/fixtures").join(name);
    golden::history(file, history).unwrap_or_else(|differs| panic!("{differs}"));
}

/// What is true of every history: ids of what is scheduled increase, every completion refers to something scheduled
/// before and completes it once, and every event has a moment.
///
/// An event's moment is the one it came at, and it may have waited for its turn: so turns begin one after another, and
/// what is completed came one after another, each in the order of the history; the two are not compared.
#[track_caller]
pub(crate) fn is_sound(history: &History) {
    let history: &[HistoryEvent] = history.as_ref();
    let mut open = Vec::new();
    let mut last = -1;
    let (mut turn, mut arrival) = ((0, 0), (0, 0));
    for event in history {
        let moment = event.timestamp.unwrap_or_else(|| panic!("an event without a moment: {event:?}"));
        let moment = (moment.seconds, moment.nanos);
        if matches!(event.event_type, Some(EventType::OrchestratorStarted(_))) {
            assert!(moment >= turn, "a turn at {moment:?} comes after one at {turn:?}");
            turn = moment;
        }
        if schedules(event) {
            assert!(event.event_id > last, "{} comes after {last}", event.event_id);
            last = event.event_id;
            open.push(event.event_id);
        }
        if let Some(task) = completes(event) {
            assert!(moment >= arrival, "{task} came at {moment:?}, after one that came at {arrival:?}");
            arrival = moment;
            let at = open.iter().position(|id| *id == task);
            open.swap_remove(
                at.unwrap_or_else(|| panic!("{task} is completed twice, or was never scheduled")),
            );
        }
    }
}

/// Whether this many activities of that name, and no others, were scheduled, and each completed.
#[track_caller]
pub(crate) fn runs_each_once(history: &History, name: &str, width: usize) {
    let history: &[HistoryEvent] = history.as_ref();
    let (mut scheduled, mut completed) = (Vec::new(), Vec::new());
    for event in history {
        match &event.event_type {
            Some(EventType::TaskScheduled(task)) => {
                assert_eq!(task.name, name);
                scheduled.push(event.event_id);
            }
            Some(EventType::TaskCompleted(done)) => completed.push(done.task_scheduled_id),
            _ => {}
        }
    }
    completed.sort_unstable();
    assert_eq!((scheduled.len(), &scheduled), (width, &completed));
}

/// Whether an event came, and the timer it raced against never fired.
#[track_caller]
pub(crate) fn is_won_by_an_event(history: &History) {
    is_sound(history);
    let history: &[HistoryEvent] = history.as_ref();
    assert_eq!(race(history), (1, 1, 0));
}

/// Whether the timer fired, and no event came.
#[track_caller]
pub(crate) fn is_won_by_a_timer(history: &History) {
    is_sound(history);
    let history: &[HistoryEvent] = history.as_ref();
    assert_eq!(race(history), (0, 1, 1));
}

/// How many events came, and how many timers were set and fired.
fn race(history: &[HistoryEvent]) -> (usize, usize, usize) {
    let (mut came, mut set, mut fired) = (0, 0, 0);
    for event in history {
        match &event.event_type {
            Some(EventType::EventRaised(_)) => came += 1,
            Some(EventType::TimerCreated(_)) => set += 1,
            Some(EventType::TimerFired(_)) => fired += 1,
            _ => {}
        }
    }
    (came, set, fired)
}

/// Whether all of a run of activities are scheduled before the first of them completes.
#[track_caller]
pub(crate) fn fans_out(history: &History, name: &str, width: usize) {
    let history: &[HistoryEvent] = history.as_ref();
    let mut scheduled = Vec::new();
    for event in history {
        match &event.event_type {
            Some(EventType::TaskScheduled(task)) if task.name == name => scheduled.push(event.event_id),
            Some(EventType::TaskCompleted(done)) if scheduled.contains(&done.task_scheduled_id) => {
                assert_eq!(scheduled.len(), width, "one completed before all were scheduled");
                return;
            }
            _ => {}
        }
    }
    panic!("no {name} has completed");
}
