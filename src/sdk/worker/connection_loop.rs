//! Keeps a worker connected from its start to its stop: opens the stream of work items again whenever it ends.

use super::callers::watch_callers;
use super::completion::{ResultReceiver, SchedulerClient};
use super::executors::Executors;
use super::history;
use super::in_flight::InFlight;
use super::options::Options;
use super::running::Stop;
use super::session::{Session, StreamEnd, WarnedOnce, work_items_request};
use super::sized::SizedItem;
use crate::busy_wait::BusyWait;
use crate::entropy;
use crate::sdk::client;
use crate::sdk::connect::{Backoff, InvalidTarget, Reach, Role, Target, Transport};
use crate::wire;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tonic::Streaming;

/// The bounds of the delays between attempts to connect: the first ones are short, for an emulator in the same
/// process that comes back at once.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// What one worker is given to keep it connected.
pub(super) struct ConnectionLoop {
    pub(super) target: Target,
    pub(super) options: Options,
    pub(super) filters: Option<wire::WorkItemFilters>,
    pub(super) id: String,
    pub(super) stop: watch::Receiver<Stop>,
    pub(super) connected: watch::Sender<u64>,
    pub(super) executors: Arc<Executors>,
    pub(super) in_flight: InFlight,
    /// The results that are to be sent; `run` takes it.
    pub(super) done: Option<ResultReceiver>,
}

impl ConnectionLoop {
    /// Runs until the worker is told to stop.
    pub(super) async fn run(mut self) {
        let clock = Arc::clone(self.target.time());
        let scheduler = match self.transport() {
            Ok(transport) => SchedulerClient::new(transport, self.target.message_limit(), Arc::clone(&clock)),
            Err(error) => {
                tracing::error!(%error, "the worker cannot start");
                return;
            }
        };
        // A scheduler far away takes longer to answer than a thread should stay awake for.
        let busy_wait =
            if self.target.endpoint().is_loopback() { BusyWait::default() } else { BusyWait::never() };
        let twice = |most: usize| most.max(1).saturating_mul(2);
        let session = Session {
            executors: Arc::clone(&self.executors),
            scheduler: scheduler.clone(),
            in_flight: self.in_flight.clone(),
            clock: Arc::clone(&clock),
            request: work_items_request(&self.options, &self.id, self.filters.take()),
            sticky: self.options.sticky > 0,
            silence: self.options.silence,
            busy_wait: busy_wait.clone(),
            most: [self.options.max_turns, self.options.max_entities].map(twice),
            history: self.options.history,
            histories: Arc::new(Semaphore::new(history::AT_ONCE)),
            warned: WarnedOnce::default(),
        };
        if let Some(done) = self.done.take() {
            tokio::spawn(send(done, scheduler.clone()));
        }
        tokio::spawn(busy_wait.run());
        let activities = Arc::clone(&self.executors.activities);
        tokio::spawn(watch_callers(
            activities,
            scheduler.clone(),
            self.in_flight.clone(),
            Arc::clone(&clock),
        ));
        tokio::select! {
            biased;
            () = self.told(|stop| stop == Stop::Now) => {}
            stream = self.connect_and_receive(&session, &scheduler) => {
                let over = clock.sleep_until(clock.now().plus(self.options.grace));
                tokio::select! {
                    biased;
                    () = self.in_flight.until_idle() => {}
                    () = over => tracing::warn!(grace = ?self.options.grace, "the worker stops before all its work has ended"),
                }
                // Open until here, so that no other worker began what was about to end.
                drop(stream);
            }
        }
    }

    /// Waits until the worker is told `word`. A handle that is dropped counts as told.
    async fn told(&self, word: impl Fn(Stop) -> bool + Send) {
        let mut stop = self.stop.clone();
        drop(stop.wait_for(|stop| word(*stop)).await);
    }

    fn transport(&self) -> Result<Transport, InvalidTarget> {
        Transport::new(&self.target, Role::Worker(&self.id))
    }

    /// Connects again and again, until the worker is told to stop taking work.
    /// Returns the stream that is open then, to be kept open until what has begun has ended.
    async fn connect_and_receive(
        &self,
        session: &Session,
        scheduler: &SchedulerClient,
    ) -> Option<Streaming<SizedItem>> {
        let mut delays = delays();
        loop {
            let stopped = self.told(|stop| stop != Stop::No);
            tokio::pin!(stopped);
            let mut stream = None;
            let ended = tokio::select! {
                biased;
                () = &mut stopped => None,
                opened = session.open() => match opened {
                    Err(status) => Some(StreamEnd::Failed { status, opened: false }),
                    Ok(opened) => {
                        tracing::info!(target = %self.target, worker = self.id, "connected");
                        self.connected.send_modify(|times| *times += 1);
                        let stream = stream.insert(opened);
                        tokio::select! {
                            biased;
                            () = &mut stopped => None,
                            ended = session.receive(stream) => Some(ended),
                        }
                    }
                },
            };
            let Some(ended) = ended else { return stream };
            drop(stream);
            if self.after(&ended, scheduler) {
                delays = self::delays();
            }
            let delay = delays.next().unwrap_or(LONGEST_DELAY);
            let pause = session.clock.sleep_until(session.clock.now().plus(delay));
            tokio::select! {
                biased;
                () = &mut stopped => return None,
                () = pause => {}
            }
        }
    }

    /// Says why a connection ended, and whether the next attempt may begin with short delays.
    fn after(&self, ended: &StreamEnd, scheduler: &SchedulerClient) -> bool {
        match ended {
            StreamEnd::Closed { heard } => {
                tracing::info!(target = %self.target, "the scheduler closed the stream; connecting again");
                *heard
            }
            StreamEnd::Failed { status, opened } => {
                let error = client::Error::from_status(status, &self.target, "");
                tracing::warn!(%error, "the connection is lost; connecting again");
                if Reach::of(status) != Reach::Answered {
                    self.renew(scheduler);
                }
                *opened
            }
            StreamEnd::Silent => {
                tracing::warn!(target = %self.target, silence = ?self.options.silence,
                    "the stream is silent, not even a ping came; connecting again");
                self.renew(scheduler);
                true
            }
        }
    }

    /// A connection that does not answer any more is not used again.
    fn renew(&self, scheduler: &SchedulerClient) {
        if let Ok(transport) = self.transport() {
            scheduler.replace(transport);
        }
    }
}

fn delays() -> Backoff {
    Backoff::new(FIRST_DELAY, LONGEST_DELAY, entropy::seed())
}

/// Sends the results of work items to the scheduler as they come.
async fn send(mut done: ResultReceiver, scheduler: SchedulerClient) {
    while let Some((result, guard)) = done.recv().await {
        let scheduler = scheduler.clone();
        tokio::spawn(async move {
            scheduler.complete(result).await;
            drop(guard);
        });
    }
}
