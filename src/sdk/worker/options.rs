//! Says how a worker works.

use std::time::Duration;

/// How many answers may be on their way beside the work that the limits allow.
const ON_THEIR_WAY: usize = 256;

/// How a worker works; [`super::Worker`] has a method for each.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) id: Option<String>,
    pub(super) max_turns: usize,
    pub(super) max_activities: usize,
    pub(super) max_entities: usize,
    pub(super) filters: bool,
    pub(super) history_streaming: bool,
    /// How many orchestrations are kept between turns, over all threads.
    pub(super) sticky: usize,
    pub(super) threads: usize,
    /// How long a stream may be silent before it counts as lost.
    pub(super) silence: Duration,
    /// How long a turn may take before it is told of.
    pub(super) slow: Option<Duration>,
    /// How long a turn may take before its thread is given up.
    pub(super) stuck: Option<Duration>,
    /// How long an activity may run before it is told of.
    pub(super) long: Option<Duration>,
    /// How many threads turns that do not yield may keep.
    pub(super) stuck_threads: usize,
    /// How many bytes the work items under way may have.
    pub(super) max_bytes: usize,
    /// How much of a history is fetched.
    pub(super) history: HistoryLimit,
    /// How long what has begun may take to end when the worker stops.
    pub(super) grace: Duration,
    pub(super) runtime: Option<tokio::runtime::Handle>,
}

/// How much of a history is fetched for one turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct HistoryLimit {
    pub(super) events: usize,
    /// What it takes in memory.
    pub(super) bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            id: None,
            max_turns: 100 * cpus,
            max_activities: 100 * cpus,
            max_entities: 100 * cpus,
            filters: true,
            history_streaming: true,
            sticky: 10_000,
            threads: 1,
            silence: Duration::from_secs(120),
            slow: Some(Duration::from_secs(1)),
            stuck: Some(Duration::from_secs(10)),
            long: Some(Duration::from_secs(300)),
            stuck_threads: 16,
            max_bytes: 256 * 1024 * 1024,
            history: HistoryLimit { events: 1_000_000, bytes: 256 * 1024 * 1024 },
            grace: Duration::from_secs(30),
            runtime: None,
        }
    }
}

impl Options {
    /// How many work items may be under way: as many as the limits allow, as many again that a lost stream left behind, and
    /// some whose answers are on their way.
    pub(super) fn max_under_way(&self) -> usize {
        let all = [self.max_turns, self.max_activities, self.max_entities].map(|most| most.max(1));
        all.into_iter().fold(0, usize::saturating_add).saturating_mul(2).saturating_add(ON_THEIR_WAY)
    }

    /// A limit as the wire carries it.
    pub(super) fn limit(given: usize) -> i32 {
        i32::try_from(given.max(1)).unwrap_or(i32::MAX)
    }
}
