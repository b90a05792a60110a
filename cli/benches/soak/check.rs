//! Reads the history of an instance that has ended, and says what is wrong with it.

use std::collections::BTreeMap;
use taskhub::wire::HistoryEvent;
use taskhub::wire::history_event::EventType;

/// What was asked for under one id, and how often it came about.
type Asked = BTreeMap<i32, usize>;

/// What an instance's history holds.
#[derive(Default)]
pub(crate) struct Seen {
    starts: usize,
    ends: usize,
    activities: Asked,
    timers: Asked,
    children: Asked,
    events: usize,
    /// How many signals it has sent to counters.
    pub(crate) signals: usize,
    wrong: Vec<String>,
}

impl Seen {
    pub(crate) fn read(history: &[HistoryEvent]) -> Self {
        let mut seen = Self::default();
        for event in history {
            seen.take(event);
        }
        seen
    }

    fn take(&mut self, event: &HistoryEvent) {
        let id = event.event_id;
        let wrong = &mut self.wrong;
        let mut ask = |asked: &mut Asked, what: &str| {
            if asked.insert(id, 0).is_some() {
                wrong.push(format!("{what} {id} is there twice"));
            }
        };
        let came = match event.event_type.as_ref() {
            Some(EventType::ExecutionStarted(_)) => {
                self.starts += 1;
                return;
            }
            Some(EventType::ExecutionCompleted(_)) => {
                self.ends += 1;
                return;
            }
            Some(EventType::EventRaised(_)) => {
                self.events += 1;
                return;
            }
            Some(EventType::EntityOperationSignaled(_)) => {
                self.signals += 1;
                return;
            }
            // Python of before 2026 sends signals as events to the entity; its packages here do not.
            Some(EventType::TaskScheduled(_)) => return ask(&mut self.activities, "activity"),
            Some(EventType::TimerCreated(_)) => return ask(&mut self.timers, "timer"),
            Some(EventType::SubOrchestrationInstanceCreated(_)) => return ask(&mut self.children, "child"),
            Some(EventType::TaskCompleted(done)) => (&mut self.activities, done.task_scheduled_id),
            Some(EventType::TaskFailed(failed)) => (&mut self.activities, failed.task_scheduled_id),
            Some(EventType::TimerFired(fired)) => (&mut self.timers, fired.timer_id),
            Some(EventType::SubOrchestrationInstanceCompleted(done)) => {
                (&mut self.children, done.task_scheduled_id)
            }
            Some(EventType::SubOrchestrationInstanceFailed(failed)) => {
                (&mut self.children, failed.task_scheduled_id)
            }
            _ => return,
        };
        match came.0.get_mut(&came.1) {
            Some(times) => *times += 1,
            None => self.wrong.push(format!("{} came about and was never asked for", came.1)),
        }
    }

    /// What is wrong with it; of one that was terminated, some may be missing.
    pub(crate) fn wrong(mut self, completed: bool) -> Vec<String> {
        for (what, asked, wanted) in
            [("activity", &self.activities, 3), ("timer", &self.timers, 1), ("child", &self.children, 1)]
        {
            if completed && asked.len() != wanted {
                self.wrong.push(format!("{} of kind {what}, wanted {wanted}", asked.len()));
            }
            for (id, &times) in asked {
                if times > 1 || completed && times == 0 {
                    self.wrong.push(format!("{what} {id} came about {times} times"));
                }
            }
        }
        for (what, count, wanted) in [("start", self.starts, 1), ("end", self.ends, 1)] {
            if count != wanted {
                self.wrong.push(format!("{count} of kind {what}, wanted {wanted}"));
            }
        }
        if self.events > 1 || completed && self.events != 1 {
            self.wrong.push(format!("the event came {} times", self.events));
        }
        self.wrong
    }
}
