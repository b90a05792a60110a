//! Says how a worker works.

use std::time::Duration;

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
    /// How long what has begun may take to end when the worker stops.
    pub(super) grace: Duration,
    pub(super) runtime: Option<tokio::runtime::Handle>,
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
            grace: Duration::from_secs(30),
            runtime: None,
        }
    }
}

impl Options {
    /// A limit as the wire carries it.
    pub(super) fn limit(given: usize) -> i32 {
        i32::try_from(given.max(1)).unwrap_or(i32::MAX)
    }
}
