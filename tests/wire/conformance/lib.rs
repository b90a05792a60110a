//! The rules of the protocol, as cases that can be run against any scheduler.
//!
//! A case has a number, a sentence, what it needs beside an endpoint, and a function, which gets a hub that nothing has been
//! done in and panics where the scheduler does not keep the rule. The numbers: G1 to G41 are the acceptance list, R1 to R59 the
//! behaviour that the official suites ask for, R60 to R79 and R90 to R95 what the sources of the SDKs ask for where no suite
//! does, R80 to R89 what keeps large messages from doing harm. `docs/protocol.md` explains each.
//!
//! Nothing here knows where it runs: [`Target`] hands out hubs. Nothing here needs `cargo test`: the program that runs the cases decides
//! in which order and on how many threads, and what a panic means.

mod bare;
mod builders;
mod clients;
mod corners;
mod delivery;
mod entities;
mod fixture;
mod generations;
mod limits;
mod proxy;
mod remote;
mod rewind;
mod room;
mod sources;
mod sources_agents;
mod sources_control;
mod sources_entities;
mod suites_entities;
mod suites_execution;
mod suites_history;
mod suites_management;
mod suites_starting;
mod suites_transport;
mod transport;
mod turns;
mod worker;

pub(crate) use fixture::Hub;
pub(crate) use remote::Remote;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// What a target answers with, later.
pub(crate) type Later<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// What a case needs beside an endpoint. Times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// A clock that stands until the case turns it.
    StillClock,
    /// To stop the scheduler.
    Stop,
    /// How many turns each connected worker holds.
    Figures,
    /// Hubs that are created when a request names them.
    DynamicHubs,
    /// No limit on the size of payloads and messages.
    NoServiceLimits,
    /// How many items of a kind a worker gets that states no limit.
    UnstatedLimit(usize),
    /// After how long a silent worker is given up; none: never.
    WorkerTimeout(Option<u64>),
    /// How long a worker may keep a turn.
    TurnLease(u64),
    /// How long a worker may keep an activity.
    ActivityLease(u64),
    /// How many workers may die of one item.
    WorkerLosses(u32),
}

/// Where cases are run.
pub(crate) trait Target: Send + Sync {
    /// The first of a case's needs that this target cannot meet.
    fn lacks(&self, needs: &[Need]) -> Option<Need>;

    /// A hub that nothing has been done in, set up as the case needs it.
    fn hub<'a>(&'a self, needs: &'a [Need]) -> Later<'a, Hub>;
}

/// What can be done with a hub's scheduler beside calling it; a case calls only what it said that it needs.
pub(crate) trait Controls: Send + Sync {
    /// Turns the clock.
    fn advance(&self, by: Duration);

    /// Stops the scheduler; its connections are closed in good order.
    fn stop(&self) -> Later<'_, ()>;

    /// How many turns each connected worker of the hub holds.
    fn turns_held<'a>(&'a self, hub: &'a str) -> Later<'a, Vec<usize>>;
}

/// One rule, or one part of it.
pub(crate) struct Case {
    /// The number of the rule: `G19`.
    pub(crate) number: &'static str,
    /// What holds.
    pub(crate) sentence: &'static str,
    /// The path of the function, as the compiler has it.
    pub(crate) path: &'static str,
    pub(crate) needs: &'static [Need],
    /// How our choice differs from the published scheduler's, or why it is a choice.
    pub(crate) differs: Option<&'static str>,
    /// Which part of the rule the case shows, where it does not show all of it.
    pub(crate) partly: Option<&'static str>,
    run: Box<dyn Fn(Hub) -> Later<'static, ()> + Send + Sync>,
}

/// A case that needs an endpoint and no more.
fn case<F: Future<Output = ()> + 'static>(
    number: &'static str,
    sentence: &'static str,
    run: impl Fn(Hub) -> F + Copy + Send + Sync + 'static,
) -> Case {
    let path = std::any::type_name_of_val(&run);
    let run = Box::new(move |hub| -> Later<'static, ()> { Box::pin(run(hub)) });
    Case { number, sentence, path, needs: &[], differs: None, partly: None, run }
}

impl Case {
    fn needs(self, needs: &'static [Need]) -> Self {
        Self { needs, ..self }
    }

    fn differs(self, why: &'static str) -> Self {
        Self { differs: Some(why), ..self }
    }

    fn partly(self, which: &'static str) -> Self {
        Self { partly: Some(which), ..self }
    }

    /// The sentence in the letters of a function's name.
    pub(crate) fn slug(&self) -> String {
        let letters = self.sentence.to_ascii_lowercase().replace('\'', "");
        let words = letters.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join("_")
    }

    /// What the case is called when it is run and filtered: `G19::an_orchestration_lives_a_thousand_generations`.
    pub(crate) fn name(&self) -> String {
        format!("{}::{}", self.number, self.slug())
    }

    /// Runs the case on a hub of the target, on this thread. Panics where the rule is not kept.
    pub(crate) fn run(&self, target: &dyn Target) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime can be made").block_on(async {
            let hub = target.hub(self.needs).await;
            (self.run)(hub).await;
        });
    }
}

/// Every case, in the order of the rules' numbers.
pub(crate) fn cases() -> Vec<Case> {
    let lists = [
        clients::cases,
        corners::cases,
        delivery::cases,
        entities::cases,
        generations::cases,
        limits::cases,
        rewind::cases,
        room::cases,
        sources::cases,
        sources_agents::cases,
        sources_control::cases,
        sources_entities::cases,
        suites_entities::cases,
        suites_execution::cases,
        suites_history::cases,
        suites_management::cases,
        suites_starting::cases,
        suites_transport::cases,
        transport::cases,
        turns::cases,
    ];
    let mut cases: Vec<Case> = lists.into_iter().flat_map(|list| list()).collect();
    cases.sort_by_cached_key(Case::name);
    cases
}
