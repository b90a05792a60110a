//! Draws a history over time: one line a task, what runs in parallel one above the other.

use super::{one_line, spoken};
use crate::model::{History, Status, Timestamp};
use crate::view::{Attempt, InstanceView, Task, TaskKind};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How a timeline looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimelineStyle {
    /// How many columns the whole time takes.
    pub width: usize,
    /// Whether how a task ended is coloured too, for a terminal.
    pub colour: bool,
    /// From how many tasks of one name on they share a line.
    pub fold_above: usize,
}

impl Default for TimelineStyle {
    fn default() -> Self {
        Self { width: 56, colour: false, fold_above: 50 }
    }
}

/// The longest title that is shown whole.
const TITLE: usize = 28;

/// What the share of a column's busiest moment looks like, from nothing to everything.
const DENSITY: [char; 8] = [' ', '.', ':', '-', '=', '+', '#', '@'];

/// The history as a timeline, 56 columns wide and without colours.
///
/// `=` is a task that is on its way, which is queued and running alike: a history does not tell them apart. It ends in
/// `x` where it failed and in `>` where it is still open; dots are the pause before another attempt.
pub fn timeline(history: &History) -> String {
    timeline_in(history, TimelineStyle::default())
}

/// What a scheduler says of an instance beside its history, which may have nothing in it yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// The name of its orchestration.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Its status, where it is known.
    pub status: Option<Status>,
}

/// The history as a timeline that looks so.
pub fn timeline_in(history: &History, look: TimelineStyle) -> String {
    laid_out(&InstanceView::of(history.as_ref()), look)
}

/// The history as a timeline that looks so, below what the scheduler says of the instance.
pub fn timeline_of(head: &Head, history: &History, look: TimelineStyle) -> String {
    let Head { name, id, status } = head.clone();
    laid_out(&InstanceView { name, id, status, ..InstanceView::of(history.as_ref()) }, look)
}

fn laid_out(instance: &InstanceView, look: TimelineStyle) -> String {
    let mut many: BTreeMap<(TaskKind, &str), Vec<&Task>> = BTreeMap::new();
    for task in &instance.tasks {
        many.entry((task.kind, &task.name)).or_default().push(task);
    }
    many.retain(|_, tasks| tasks.len() > look.fold_above);
    let axis = Axis { began: instance.began, ended: instance.last, width: look.width.max(8) };
    let mut rows = Vec::new();
    for task in &instance.tasks {
        match many.get_mut(&(task.kind, task.name.as_str())) {
            None => rows.push(one(task, axis, look)),
            Some(tasks) if tasks.is_empty() => {}
            Some(tasks) => rows.push(folded(&std::mem::take(tasks), axis)),
        }
    }
    draw(instance, axis, &rows)
}

/// One line: a title, what happens over time, and a word on it.
struct Row {
    title: String,
    bar: String,
    note: String,
}

fn draw(instance: &InstanceView, axis: Axis, rows: &[Row]) -> String {
    let title = rows.iter().map(|row| row.title.chars().count()).max().unwrap_or(0);
    let status = instance.status.map_or("?", Status::as_str);
    let whole = spoken(axis.ended.since(axis.began));
    let mut text = String::new();
    // Writing to a text cannot fail.
    let (name, id) = (one_line(&instance.name), one_line(&instance.id));
    let _ = writeln!(text, "{name}  {status}  {whole}  {id}");
    if !rows.is_empty() {
        let (zero, width) = ("0", axis.width);
        let _ = writeln!(text, "  {:title$}  {zero}{whole:>rest$}", "", rest = width - zero.len());
    }
    for Row { title: name, bar, note } in rows {
        let _ = writeln!(text, "  {name:title$} |{bar}| {note}");
    }
    if !instance.outcome.is_empty() {
        let _ = writeln!(text, "  => {}", one_line(&instance.outcome));
    }
    text
}

fn one(task: &Task, axis: Axis, look: TimelineStyle) -> Row {
    let mut bar = vec![' '; axis.width];
    let (first, last) = (axis.column(task.from()), axis.column(task.to().unwrap_or(axis.ended)));
    bar[first..=last].fill('.');
    for Attempt { from, to, failed } in &task.attempts {
        let (first, last) = (axis.column(*from), axis.column(to.unwrap_or(axis.ended)));
        bar[first..=last].fill('=');
        bar[last] = match to {
            None => '>',
            Some(_) if *failed => 'x',
            Some(to) if to == from => '|',
            Some(_) => '=',
        };
    }
    let mut note = match task.to() {
        None => "open".to_owned(),
        Some(_) if task.kind == TaskKind::Moment => {
            format!("at {}", spoken(task.from().since(axis.began)))
        }
        Some(to) if task.failed() => format!("failed after {}", spoken(to.since(task.from()))),
        Some(to) => spoken(to.since(task.from())),
    };
    if task.attempts.len() > 1 {
        let _ = write!(note, ", {} attempts", task.attempts.len());
    }
    if !task.outcome.is_empty() {
        let _ = write!(note, "  {}", one_line(&task.outcome));
    }
    let bar: String = bar.into_iter().collect();
    let bar = match (look.colour, task.to(), task.failed()) {
        (false, ..) => bar,
        (true, None, _) => format!("\u{1b}[33m{bar}\u{1b}[0m"),
        (true, Some(_), true) => format!("\u{1b}[31m{bar}\u{1b}[0m"),
        (true, Some(_), false) => format!("\u{1b}[32m{bar}\u{1b}[0m"),
    };
    Row { title: super::short(&task.title(), TITLE), bar, note }
}

/// Many tasks of one name on one line: the denser a column, the more of them were on their way at once.
fn folded(tasks: &[&Task], axis: Axis) -> Row {
    let mut steps = vec![0_isize; axis.width + 1];
    for task in tasks {
        steps[axis.column(task.from())] += 1;
        steps[axis.column(task.to().unwrap_or(axis.ended)) + 1] -= 1;
    }
    let mut at_once = 0;
    let counts: Vec<usize> = steps[..axis.width]
        .iter()
        .map(|step| {
            at_once += step;
            at_once.unsigned_abs()
        })
        .collect();
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let shade = |count: &usize| DENSITY[(count * (DENSITY.len() - 1)).div_ceil(most)];
    let durations = tasks.iter().filter_map(|task| Some(task.to()?.since(task.from())));
    let (shortest, longest) =
        (durations.clone().min().unwrap_or_default(), durations.max().unwrap_or_default());
    let failed = tasks.iter().filter(|task| task.failed()).count();
    let open = tasks.iter().filter(|task| task.to().is_none()).count();
    let mut note = format!("{} to {}, up to {most} at once", spoken(shortest), spoken(longest));
    if failed > 0 {
        let _ = write!(note, ", {failed} failed");
    }
    if open > 0 {
        let _ = write!(note, ", {open} open");
    }
    let title = format!("{} x{}", super::short(&tasks[0].name, TITLE - 8), tasks.len());
    Row { title, bar: counts.iter().map(shade).collect(), note }
}

/// Where a moment is on the line.
#[derive(Debug, Clone, Copy)]
struct Axis {
    began: Timestamp,
    ended: Timestamp,
    width: usize,
}

impl Axis {
    fn column(self, at: Timestamp) -> usize {
        let whole = self.ended.since(self.began).as_micros().max(1);
        let column = at.since(self.began).as_micros() * (self.width as u128 - 1) / whole;
        usize::try_from(column).unwrap_or(usize::MAX).min(self.width - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event;
    use crate::wire::{self, HistoryEvent, ScheduleTaskAction, history_event::EventType};
    use pretty_assertions::assert_eq;

    fn ms(ms: i64) -> Timestamp {
        Timestamp::from_micros(ms * 1_000)
    }

    fn scheduled(id: i32, at: i64, name: &str) -> HistoryEvent {
        event::task_scheduled(id, ms(at), ScheduleTaskAction { name: name.into(), ..Default::default() })
    }

    fn began() -> Vec<HistoryEvent> {
        let started = wire::ExecutionStartedEvent {
            name: "fan".into(),
            orchestration_instance: Some(wire::OrchestrationInstance {
                instance_id: "demo".into(),
                execution_id: None,
            }),
            ..Default::default()
        };
        vec![event::orchestrator_started(ms(0)), event::execution_started(ms(0), started)]
    }

    fn style(width: usize) -> TimelineStyle {
        TimelineStyle { width, ..TimelineStyle::default() }
    }

    #[test]
    fn parallel_tasks_stand_one_above_the_other() {
        let mut history = began();
        history.extend([scheduled(0, 0, "a"), scheduled(1, 0, "b"), scheduled(2, 4, "c")]);
        history.push(event::task_completed(ms(8), 0, Some("9".into())));
        let busy = wire::TaskFailureDetails { error_type: "Busy".into(), ..Default::default() };
        history.push(event::task_failed(ms(4), 1, busy));
        history.push(event::event_raised(ms(6), "Go".into(), None));
        assert_eq!(
            timeline_in(&history.into(), style(9)),
            "fan  RUNNING  8.0 ms  demo\n\
            \x20           0  8.0 ms\n\
            \x20 a #0     |=========| 8.0 ms  9\n\
            \x20 b #1     |====x    | failed after 4.0 ms  Busy: \n\
            \x20 c #2     |    ====>| open\n\
            \x20 event Go |      |  | at 6.0 ms\n"
        );
    }

    #[test]
    fn attempts_of_one_call_share_a_line_and_the_pause_between_them_is_dotted() {
        let again = |id, at| {
            let tags =
                [("taskhub.attempt", "2"), ("taskhub.call", "0")].map(|(k, v)| (k.to_owned(), v.to_owned()));
            let task = ScheduleTaskAction { name: "a".into(), tags: tags.into(), ..Default::default() };
            event::task_scheduled(id, ms(at), task)
        };
        let mut history = began();
        history.push(scheduled(0, 0, "a"));
        history.push(event::task_failed(ms(2), 0, wire::TaskFailureDetails::default()));
        history.push(event::timer_created(1, ms(2), ms(6).to_wire()));
        history.push(event::orchestrator_started(ms(6)));
        history.push(event::timer_fired(ms(6), 1, ms(6).to_wire()));
        history.push(again(2, 6));
        history.push(event::task_completed(ms(8), 2, None));
        let text = timeline_in(&history.into(), style(9));
        assert_eq!(text.lines().nth(2).unwrap(), "  a #0 |==x...===| 8.0 ms, 2 attempts");
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn many_alike_are_folded_into_one_line() {
        let mut history = began();
        history.extend((0..100).map(|id| scheduled(id, 0, "square")));
        history.extend((0..99).map(|id| event::task_completed(ms(i64::from(id) + 1), id, None)));
        history.push(event::task_failed(ms(100), 99, wire::TaskFailureDetails::default()));
        history.push(event::execution_completed(100, ms(100), Status::Completed, None, None));
        let text = timeline_in(&history.into(), style(20));
        assert_eq!(text.lines().count(), 3);
        let row = text.lines().last().unwrap();
        assert!(row.starts_with("  square x100 |@"), "{row}");
        assert!(row.ends_with("| 1.0 ms to 100.0 ms, up to 100 at once, 1 failed"), "{row}");
    }

    #[test]
    fn one_that_failed_before_any_task_says_why_and_steers_no_terminal() {
        let mut history = began();
        history.push(event::event_raised(ms(6), "\u{1b}[2JGo".into(), None));
        let boom = wire::TaskFailureDetails {
            error_type: "Bo\u{1b}om".into(),
            error_message: "no\nluck".into(),
            ..Default::default()
        };
        let failed = |history: &[HistoryEvent], boom| {
            [history, &[event::execution_completed(1, ms(8), Status::Failed, None, Some(boom))]].concat()
        };
        assert_eq!(
            timeline(&failed(&began(), boom.clone()).into()),
            "fan  FAILED  8.0 ms  demo\n  => Bo om: no luck\n"
        );
        let history = History::from(failed(&history, boom));
        for text in [timeline(&history), crate::report::table(&history), crate::report::sequence(&history)] {
            assert!(!text.contains('\u{1b}') && text.contains("[2J"), "{text}");
        }
    }

    #[test]
    fn what_has_no_history_yet_is_headed_by_what_the_scheduler_says() {
        let head = Head { name: "fan".into(), id: "a".into(), status: Some(Status::Pending) };
        assert_eq!(timeline_of(&head, &History::default(), TimelineStyle::default()), "fan  PENDING  0  a\n");
    }

    #[test]
    fn no_history_is_drawn_as_nothing() {
        assert_eq!(timeline(&History::default()), "  ?  0  \n");
        let unknown =
            event::new(-1, ms(0), EventType::OrchestratorStarted(wire::OrchestratorStartedEvent {}));
        assert_eq!(timeline(&vec![unknown].into()), "  ?  0  \n");
    }
}
