//! Runs what a scheduler hands out: orchestrations, activities and entities.

mod answer;
mod baton;
mod flight;
mod lane;
mod life;
mod options;
mod perform;
mod session;
mod sticky;
mod turns;
mod unary;

pub use turns::STUCK;

use super::client::Client;
use super::connect::Target;
use super::registry::Registry;
use super::replay::Cancellation;
use crate::entropy;
use baton::{Baton, Over};
use life::Life;
use options::Options;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// A worker that has not begun yet.
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

/// How far a worker is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    No,
    Drain,
    Now,
}

impl Worker {
    /// A worker for the client's task hub.
    pub fn new(client: &Client, registry: Registry) -> Self {
        Self::to(client.target().clone(), registry)
    }

    /// A worker for a target.
    pub fn to(target: Target, registry: Registry) -> Self {
        Self { target, registry, options: Options::default() }
    }

    /// Holds at most this many turns at a time; 100 for each processor unless set.
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

    /// Whether it takes only what its registry can run, which is how it begins; otherwise it takes everything, and
    /// what it does not know fails.
    pub fn filters(mut self, on: bool) -> Self {
        self.options.filters = on;
        self
    }

    /// Whether it can fetch long histories by a stream of their own, which is how it begins.
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

    /// Calls itself so; `taskhub`, the process id and a random part, with commas between, unless set.
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
    pub fn watchdog(mut self, slow: Option<Duration>, stuck: Option<Duration>) -> Self {
        self.options.slow = slow;
        self.options.stuck = stuck;
        self
    }

    /// Lets what has begun go on for this long when the worker stops; 30 s unless set.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.options.grace = grace;
        self
    }

    /// Performs async activities on another runtime: for those that compute long, or need what lives there.
    pub fn activity_runtime(mut self, runtime: tokio::runtime::Handle) -> Self {
        self.options.runtime = Some(runtime);
        self
    }

    /// Begins.
    ///
    /// # Errors
    ///
    /// [`Error::Registry`] when the registry is wrong, [`Error::Thread`] when the machine gives us no thread. That
    /// nobody answers at the endpoint is no error: the worker goes on trying.
    pub fn start(self) -> Result<RunningWorker, Error> {
        let Self { target, registry, options } = self;
        registry.check()?;
        let id = options
            .id
            .clone()
            .unwrap_or_else(|| format!("taskhub,{},{}", std::process::id(), entropy::uuid().simple()));
        let (stop, stopped) = watch::channel(Stop::No);
        let (connected, connections) = watch::channel(0);
        let (gone, ended) = oneshot::channel();
        let runtime = Arc::new(tokio::runtime::Builder::new_current_thread().enable_all().build()?);
        let baton = Arc::new(Baton::new(&runtime));
        let stopping = Cancellation::new();
        let over = Over(Arc::clone(&baton));
        let life = Life {
            target,
            registry: Arc::new(registry),
            options,
            id: id.clone(),
            stop: stopped,
            connected,
            baton: Arc::clone(&baton),
            stopping: stopping.clone(),
        };
        std::thread::Builder::new().name("taskhub-worker".into()).spawn(move || {
            runtime.spawn(async move {
                let _over = over;
                life.run().await;
            });
            baton.stand_by(runtime);
            // For activities that run elsewhere; those in the runtime are gone.
            stopping.cancel();
            drop(gone);
        })?;
        Ok(RunningWorker { id, stop, connections, ended })
    }

    /// Works until `shutdown` resolves, then stops as [`RunningWorker::stop`] does.
    ///
    /// # Errors
    ///
    /// As [`Worker::start`].
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let running = self.start()?;
        shutdown.await;
        running.stop().await;
        Ok(())
    }
}

/// A worker at work. Dropping it kills it: what it has begun is given up, and handed out again by the scheduler.
#[must_use = "the worker is killed as soon as this handle is dropped"]
pub struct RunningWorker {
    id: String,
    stop: watch::Sender<Stop>,
    connections: watch::Receiver<u64>,
    ended: oneshot::Receiver<()>,
}

impl RunningWorker {
    /// What it calls itself.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Waits until the scheduler has accepted its connection for the first time.
    pub async fn connected(&self) {
        self.connections_made(1).await;
    }

    /// Waits until the scheduler has accepted its `times`th connection.
    pub async fn connections_made(&self, times: u64) {
        let mut connections = self.connections.clone();
        // An error says that the worker is gone: there is nothing to wait for.
        drop(connections.wait_for(|made| *made >= times).await);
    }

    /// Takes no more work, lets what has begun end (for as long as its grace lasts), and closes the connection.
    pub async fn stop(mut self) {
        self.stop.send_replace(Stop::Drain);
        drop((&mut self.ended).await);
    }

    /// Kills it, and waits until it is gone.
    pub async fn kill(mut self) {
        self.stop.send_replace(Stop::Now);
        drop((&mut self.ended).await);
    }
}

impl Drop for RunningWorker {
    fn drop(&mut self) {
        self.stop.send_replace(Stop::Now);
    }
}

impl fmt::Debug for RunningWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningWorker").field("id", &self.id).finish_non_exhaustive()
    }
}
