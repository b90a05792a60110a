//! Decides when completions are worth a turn.
//!
//! A worker that keeps nothing between turns replays the whole history in each. A fan-in whose completions come in
//! waves then costs a replay for every wave, which grows with the square of its width. So completions of activities are
//! gathered for a while where a turn is dear and more of them are to come:
//!
//! - Gathered is only while activities of the instance are under way, [`FEW`] at the least, those that have come and
//!   wait counted in, while its history has [`SHORT`] events or more, and its last turn took [`CHEAP`] or longer.
//! - Whatever else arrives releases the turn at once, with what was gathered.
//! - A turn that brings half as many completions as the history has events is worth its replay: so the history grows by
//!   a factor each time, and the number of turns with the logarithm of the width.
//! - Otherwise the turn is released by time: after as long as the last turn took, [`crate::emulator::engine::Config::gather`] at the most.
//!   Each turn that comes to nothing doubles this, up to [`MOST`] times: the orchestrator waits for more, and its
//!   replays are to take a small part of the time.
//! - An orchestrator that answered completions with actions (it takes the first of several, it keeps a window of
//!   activities under way) hears of the next one at once.
//! - Nothing is gathered for a worker that keeps orchestrations between turns, nor while no work is with any worker; and
//!   when a worker goes, whatever is gathered is told.
//!
//! What is noted for this is gone with the process; after a rebuild the first turn is handed out at once.

use crate::emulator::engine::Engine;
use crate::emulator::engine::command::StreamId;
use crate::emulator::engine::decide::open_turn::TurnEnded;
use crate::emulator::engine::state::instance::Instance;
use crate::emulator::engine::volatile::{Habit, Pace, Stage};
use crate::model::{InstanceId, Kind, Timestamp};
use std::collections::BTreeSet;
use std::time::Duration;

/// Turns of a history with fewer events are handed out at once.
const SHORT: usize = 128;

/// So are turns after one that took less than this.
const CHEAP: Duration = Duration::from_millis(2);

/// Where fewer completions than this are gathered or to come, there is little to save.
const FEW: usize = 8;

/// How many times as long is gathered at the most where turns came to nothing.
const MOST: u32 = 8;

impl Pace {
    /// How long completions are gathered, where `longest` is the longest time at first.
    fn patience(&self, longest: Duration) -> Duration {
        self.took.min(longest).saturating_mul(self.habit.times())
    }

    pub(crate) fn is_gathering(&self) -> bool {
        self.until.is_some()
    }
}

impl Habit {
    /// How many times as long as at first completions are gathered.
    fn times(self) -> u32 {
        match self {
            Self::New => 1,
            Self::Waits(turns) => 1_u32.checked_shl(turns).unwrap_or(MOST).min(MOST),
            Self::Reacts => 0,
        }
    }
}

/// The instances whose completions are gathered, by the moment at which their turns are released at the latest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gathering(BTreeSet<(Timestamp, InstanceId)>);

impl Gathering {
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.0.first().map(|(at, _)| *at)
    }
}

impl Engine {
    /// Readies a turn for an event that has arrived, at once or when it is worth its replay.
    pub(crate) fn ready_or_gather(&mut self, id: &InstanceId, kind: Kind, now: Timestamp) {
        if !is_gathered(kind) || !self.gather(id, now) {
            self.ready_turn(id, now);
        }
    }

    /// Readies the next turn after one was committed, if anything has arrived while that one ran.
    pub(crate) fn ready_next(&mut self, id: &InstanceId, ended: TurnEnded, now: Timestamp) {
        let Some((instance, volatile)) = self.decider.state.slot_mut(id) else { return };
        let habit = match (volatile.pace.habit, ended.reacted) {
            (_, _) if ended.first => Habit::New,
            (_, true) => Habit::Reacts,
            (Habit::New | Habit::Reacts, false) => Habit::Waits(1),
            (Habit::Waits(turns), false) => Habit::Waits(turns.saturating_add(1)),
        };
        volatile.pace = Pace { until: None, took: ended.took, habit };
        // A worker that takes its events one by one is not made to wait for each.
        let may_wait = ended.took_all && instance.inbox().iter().all(|arrived| is_gathered(arrived.kind));
        if instance.inbox().is_empty() || !may_wait || !self.gather(id, now) {
            self.ready_turn(id, now);
        }
    }

    /// Whether the turn of an instance waits for more completions; all that has arrived are completions.
    fn gather(&mut self, id: &InstanceId, now: Timestamp) -> bool {
        let longest = self.config.gather;
        if longest.is_zero() {
            return false;
        }
        let Some((instance, volatile)) = self.decider.state.slot_mut(id) else { return false };
        let replays = |stream: StreamId| self.streams.get(stream).is_some_and(|it| !it.offer.sticky);
        if volatile.turn.stage != Stage::Idle
            || !is_worth_gathering(instance, volatile.pace)
            || !volatile.kept_by.is_some_and(replays)
        {
            return false;
        }
        let until = volatile.pace.until.unwrap_or_else(|| now.plus(volatile.pace.patience(longest)));
        if until <= now {
            return false;
        }
        if volatile.pace.until.is_none() {
            volatile.pace.until = Some(until);
            self.gathering.0.insert((until, id.clone()));
        }
        true
    }

    /// The turn of an instance is ready: nothing is gathered for it any more.
    pub(crate) fn end_gathering(&mut self, id: &InstanceId) {
        if let Some(until) =
            self.decider.state.volatile_mut(id).and_then(|volatile| volatile.pace.until.take())
        {
            self.gathering.0.remove(&(until, id.clone()));
        }
    }

    /// Releases the turns whose completions were gathered for long enough.
    pub(crate) fn release_gathered(&mut self, now: Timestamp) {
        while self.gathering.next_due().is_some_and(|due| due <= now) {
            self.release_next(now);
        }
    }

    /// Releases every turn if no work is with any worker: no completion will come. Whether there was one.
    pub(crate) fn release_if_idle(&mut self, now: Timestamp) -> bool {
        let idle = !self.gathering.0.is_empty() && self.leases.under_way() == 0;
        if idle {
            self.release_all_gathered(now);
        }
        idle
    }

    /// Releases every turn: what would complete next is not known any more.
    pub(crate) fn release_all_gathered(&mut self, now: Timestamp) {
        while !self.gathering.0.is_empty() {
            self.release_next(now);
        }
    }

    fn release_next(&mut self, now: Timestamp) {
        // An instance that ended or was replaced meanwhile may have left its entry behind.
        if let Some((until, id)) = self.gathering.0.pop_first()
            && let Some(volatile) = self.decider.state.volatile_mut(&id)
            && volatile.pace.until == Some(until)
        {
            volatile.pace.until = None;
            self.ready_turn(&id, now);
        }
    }
}

/// Whether so many completions may come that a turn with them is worth waiting for, and a turn is dear.
fn is_worth_gathering(instance: &Instance, pace: Pace) -> bool {
    let (past, arrived) = (instance.history().len(), instance.inbox().len());
    let to_come = instance.activities().len();
    to_come > 0 && to_come + arrived >= FEW && past >= SHORT && arrived * 2 < past && pace.took >= CHEAP
}

/// Whether an event may wait for others: only completions of activities may.
fn is_gathered(kind: Kind) -> bool {
    matches!(kind, Kind::TaskCompleted | Kind::TaskFailed)
}
