//! Says what happens in a test: which functions the worker has, what comes from outside, and what goes wrong on purpose.

use crate::sdk::Registry;
use std::time::Duration;

/// What a test hub is told before it runs.
#[derive(Clone)]
pub(super) struct Scenario {
    pub(super) registry: Registry,
    pub(super) script: Vec<(Duration, ScriptStep)>,
    pub(super) faults: Faults,
    pub(super) check: bool,
    pub(super) order: Option<u64>,
    pub(super) until: Option<Duration>,
    pub(super) id: String,
}

/// What happens to the orchestration from outside while it runs.
#[derive(Debug, Clone)]
pub(super) enum ScriptStep {
    Raise { name: String, data: Result<String, String> },
    Terminate { output: Option<String> },
    Suspend,
    Resume,
}

/// What goes wrong on purpose.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    /// After each of these turns worker and hub are killed; the hub comes back from what it stored.
    pub(super) crashes: Vec<usize>,
    /// Every answer is sent twice.
    pub(super) answers_twice: bool,
    /// Every activity runs twice, and both results are sent.
    pub(super) activities_twice: bool,
}
