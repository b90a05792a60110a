//! Runs what a scheduler hands out: orchestrations, activities and entities.

mod activities;
mod activity;
mod activity_watch;
mod callers;
mod completion;
mod connection_loop;
mod executors;
mod handoff;
#[cfg(test)]
mod handoff_tests;
mod history;
mod in_flight;
mod lru;
mod options;
mod pool;
mod running;
mod session;
mod sized;
mod stopped;
mod sync;
mod turn_thread;
mod turns;
mod unary;
mod watchdog;

pub use running::RunningWorker;
pub use stopped::{Left, Stopped};
pub use turns::STUCK;

use super::client::Client;
use super::connect::Target;
use super::registry::Registry;
use super::replay::Cancellation;
use crate::entropy;
use activities::Activities;
use connection_loop::ConnectionLoop;
use executors::{Executors, StoppedSender};
use handoff::{EndOnDrop, Handoff};
use in_flight::{InFlight, InFlightLimit};
use options::{HistoryLimit, Options};
use running::Stop;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use turn_thread::TurnLimits;
use turns::Turns;
use watchdog::Watchdog;

/// How many checks of a millisecond the standby thread makes after the last turn before it sleeps ([`Handoff::new`]).
const STANDBY_CHECKS: u32 = 50;

/// A worker that is not started yet.
///
/// It takes work from the client's task hub and runs it with the functions of its registry, on threads of its own. It
/// connects by itself, and again whenever the connection is lost. What panics or fails fails alone.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use taskhub::sdk::{Client, Registry, Worker};
///
/// let client = Client::from_env().await?;
/// let worker = Worker::new(&client, Registry::new()).max_activities(64).start()?;
/// worker.stop().await;
/// # Ok(())
/// # }
/// ```
#[must_use = "a worker does nothing before it is started"]
pub struct Worker {
    target: Target,
    registry: Registry,
    options: Options,
}

/// Why a worker cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two functions want the same name, or one has none.
    #[error(transparent)]
    Registry(#[from] super::registry::InvalidRegistry),
    /// The machine gives us no thread.
    #[error("the worker's thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl Worker {
    /// A worker for the client's task hub.
    pub fn new(client: &Client, registry: Registry) -> Self {
        Self::for_target(client.target().clone(), registry)
    }

    /// A worker for a target.
    pub fn for_target(target: Target, registry: Registry) -> Self {
        Self { target, registry, options: Options::default() }
    }

    /// Holds at most this many turns at a time; 100 for each processor unless set.
    ///
    /// A scheduler is told so. From one that does not keep to it the worker takes as many again, which is what a lost
    /// connection may leave behind, and gives back what is more; so for activities and entity batches.
    pub fn max_turns(mut self, turns: usize) -> Self {
        self.options.max_turns = turns;
        self
    }

    /// Performs at most this many activities at a time; 100 for each processor unless set.
    pub fn max_activities(mut self, activities: usize) -> Self {
        self.options.max_activities = activities;
        self
    }

    /// Holds at most this many entity batches at a time; 100 for each processor unless set.
    pub fn max_entities(mut self, entities: usize) -> Self {
        self.options.max_entities = entities;
        self
    }

    /// Holds work items of at most this many bytes together; 256 MiB unless set. Beyond that it takes the next one when
    /// others have ended.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.options.max_bytes = bytes.max(1);
        self
    }

    /// Fetches at most this many events, and at most this many bytes as they lie in memory, of the history of one turn;
    /// 1,000,000 events and 256 MiB unless set. A turn with a longer history is given back, with a warning that names
    /// the limit.
    pub fn history_limit(mut self, events: usize, bytes: usize) -> Self {
        self.options.history = HistoryLimit { events, bytes };
        self
    }

    /// Whether the worker takes only what its registry can run; true unless set. Otherwise it takes every work item, and one
    /// whose name is not registered fails.
    pub fn filters(mut self, on: bool) -> Self {
        self.options.filters = on;
        self
    }

    /// Whether the worker can fetch a long history by a stream of its own; true unless set.
    pub fn history_streaming(mut self, on: bool) -> Self {
        self.options.history_streaming = on;
        self
    }

    /// Keeps this many orchestrations between turns, so that a turn costs what is new; 10,000 unless set, none at 0.
    pub fn sticky_cache(mut self, orchestrations: usize) -> Self {
        self.options.sticky = orchestrations;
        self
    }

    /// Runs orchestrators and entities on this many threads; on one unless set.
    ///
    /// With one, turns run where the connection is served, so that no thread has to be woken for a turn; where one
    /// takes long, another thread serves the connection meanwhile. With more, each of them runs turns only: for
    /// orchestrations that have much to compute.
    pub fn orchestrator_threads(mut self, threads: usize) -> Self {
        self.options.threads = threads;
        self
    }

    /// Sets the name by which the worker shows itself to the scheduler; `taskhub`, the process id and a random part, with commas between, unless set.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.options.id = Some(id.into());
        self
    }

    /// Takes the connection for lost when nothing came for this long, not even a ping; 120 s unless set.
    pub fn silence(mut self, limit: Duration) -> Self {
        self.options.silence = limit;
        self
    }

    /// Warns of a turn that does not yield for `slow` (1 s unless set), and fails its orchestration after `stuck`
    /// (10 s unless set). `None` never does: for a debugger, say.
    ///
    /// Where other turns wait for one that does not yield, they go on after `slow` on a new thread, and sooner if there are
    /// several of its kind. The thread of a turn that never yields cannot be ended: it keeps a processor until the
    /// process ends ([`Worker::stuck_threads`]). `slow` is also how long an async activity may block its thread before
    /// the worker warns of it; it is not failed.
    pub fn watchdog(mut self, slow: Option<Duration>, stuck: Option<Duration>) -> Self {
        self.options.slow = slow;
        self.options.stuck = stuck;
        self
    }

    /// Warns of an activity that runs for this long, by name; 5 minutes unless set, never with `None`. The activity
    /// goes on.
    pub fn activity_watchdog(mut self, long: Option<Duration>) -> Self {
        self.options.long = long;
        self
    }

    /// Replaces at most this many threads that turns keep without yielding; 16 unless set. When as many are kept, the
    /// worker says so, and other turns wait until one of them ends.
    pub fn stuck_threads(mut self, threads: usize) -> Self {
        self.options.stuck_threads = threads;
        self
    }

    /// Lets what has begun go on for this long when the worker stops; 30 s unless set. Even where work blocks, the worker has stopped
    /// five seconds after that.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.options.grace = grace;
        self
    }

    /// Performs async activities on another runtime: for those that need what lives there. Ones that block then block its
    /// threads; the worker has threads of its own for them otherwise.
    pub fn activity_runtime(mut self, runtime: tokio::runtime::Handle) -> Self {
        self.options.runtime = Some(runtime);
        self
    }

    /// Starts the worker on threads of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Registry`] when the registry is wrong, [`Error::Thread`] when the machine gives us no thread. That
    /// no server answers at the endpoint is no error: the worker goes on trying.
    pub fn start(self) -> Result<RunningWorker, Error> {
        let Self { target, registry, options } = self;
        registry.check()?;
        let id = options
            .id
            .clone()
            .unwrap_or_else(|| format!("taskhub,{},{}", std::process::id(), entropy::uuid().simple()));
        let (stop, stopped) = watch::channel(Stop::No);
        let (connected, connections) = watch::channel(0);
        let (heard, ended) = oneshot::channel();
        let ending = StoppedSender::new(heard);
        let runtime = Arc::new(tokio::runtime::Builder::new_current_thread().enable_all().build()?);
        let handoff = Arc::new(Handoff::new(&runtime, STANDBY_CHECKS));
        let stopping = Cancellation::new();
        let over = EndOnDrop(Arc::clone(&handoff));
        let in_flight =
            InFlight::new(InFlightLimit { items: options.max_under_way(), bytes: options.max_bytes });
        let (outbox, done) = mpsc::unbounded_channel();
        let registry = Arc::new(registry);
        let clock = Arc::clone(target.time());
        let activities = Arc::new(Activities::new(activities::ActivitiesConfig {
            registry: Arc::clone(&registry),
            most: options.max_activities,
            on_turn_thread: options.threads <= 1,
            elsewhere: options.runtime.clone(),
            stopping: stopping.clone(),
            done: outbox.clone(),
            clock: Arc::clone(&clock),
        })?);
        let for_turns = (&activities, outbox);
        let turns = Turns::start(&registry, &options, &clock, in_flight.clone(), &handoff, for_turns)?;
        let executors = Arc::new(Executors {
            turns,
            activities,
            limits: TurnLimits { slow: options.slow, stuck: options.stuck },
            long: options.long,
        });
        let watchdog = Watchdog {
            executors: Arc::clone(&executors),
            in_flight: in_flight.clone(),
            clock,
            stop: stopped.clone(),
            grace: options.grace,
            ending: ending.clone(),
        };
        let (all_over, watchdog_ends) = oneshot::channel();
        watchdog.start(watchdog_ends)?;
        let life = ConnectionLoop {
            target,
            filters: options.filters.then(|| registry.filters()),
            options,
            id: id.clone(),
            stop: stopped,
            connected,
            executors: Arc::clone(&executors),
            in_flight,
            done: Some(done),
        };
        std::thread::Builder::new().name("taskhub-worker".into()).spawn(move || {
            runtime.spawn(async move {
                let _over = over;
                life.run().await;
            });
            handoff.run_standby(runtime);
            let stopped = executors.stopped();
            // After the runtime is gone: an activity that is given up says nothing more.
            stopping.cancel();
            executors.close();
            drop(all_over);
            ending.send(stopped);
        })?;
        Ok(RunningWorker::new(id, stop, connections, ended))
    }

    /// Works until `shutdown` resolves, then stops as [`RunningWorker::stop`] does.
    ///
    /// # Errors
    ///
    /// As [`Worker::start`].
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<Stopped, Error> {
        let running = self.start()?;
        shutdown.await;
        Ok(running.stop().await)
    }
}
