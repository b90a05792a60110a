//! Keeps a worker connected from its start to its stop, on a runtime of its own.

use super::Stop;
use super::answer::Line;
use super::callers::watch_callers;
use super::flight::Flight;
use super::history;
use super::options::Options;
use super::session::{Desk, Ended, Told, offer};
use super::sized::SizedItem;
use super::staff::Staff;
use super::turns::Done;
use crate::entropy;
use crate::linger::Linger;
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

/// Everything a worker is given.
pub(super) struct Life {
    pub(super) target: Target,
    pub(super) options: Options,
    pub(super) filters: Option<wire::WorkItemFilters>,
    pub(super) id: String,
    pub(super) stop: watch::Receiver<Stop>,
    pub(super) connected: watch::Sender<u64>,
    pub(super) staff: Arc<Staff>,
    pub(super) flight: Flight,
    /// What is to be sent.
    pub(super) done: Option<Done>,
}

impl Life {
    /// Works until it is told to stop.
    pub(super) async fn run(mut self) {
        let clock = Arc::clone(self.target.time());
        let line = match self.transport() {
            Ok(transport) => Line::new(transport, self.target.message_limit(), Arc::clone(&clock)),
            Err(error) => {
                tracing::error!(%error, "the worker cannot start");
                return;
            }
        };
        // A scheduler far away takes longer to answer than a thread should stay awake for.
        let linger = if self.target.endpoint().is_loopback() { Linger::default() } else { Linger::never() };
        let twice = |most: usize| most.max(1).saturating_mul(2);
        let desk = Desk {
            staff: Arc::clone(&self.staff),
            line: line.clone(),
            flight: self.flight.clone(),
            clock: Arc::clone(&clock),
            request: offer(&self.options, &self.id, self.filters.take()),
            sticky: self.options.sticky > 0,
            silence: self.options.silence,
            linger: linger.clone(),
            most: [self.options.max_turns, self.options.max_entities].map(twice),
            history: self.options.history,
            histories: Arc::new(Semaphore::new(history::AT_ONCE)),
            told: Told::default(),
        };
        if let Some(done) = self.done.take() {
            tokio::spawn(send(done, line.clone()));
        }
        tokio::spawn(linger.keep_looking());
        let activities = Arc::clone(&self.staff.activities);
        tokio::spawn(watch_callers(activities, line.clone(), self.flight.clone(), Arc::clone(&clock)));
        tokio::select! {
            biased;
            () = self.told(|stop| stop == Stop::Now) => {}
            stream = self.connect_and_receive(&desk, &line) => {
                let over = clock.sleep_until(clock.now().plus(self.options.grace));
                tokio::select! {
                    biased;
                    () = self.flight.landed() => {}
                    () = over => tracing::warn!(grace = ?self.options.grace, "the worker stops before all its work has ended"),
                }
                // Open until here, so that no other worker began what was about to end.
                drop(stream);
            }
        }
    }

    /// Waits for a word; that nobody can say one any more is one too.
    async fn told(&self, word: impl Fn(Stop) -> bool + Send) {
        let mut stop = self.stop.clone();
        drop(stop.wait_for(|stop| word(*stop)).await);
    }

    fn transport(&self) -> Result<Transport, InvalidTarget> {
        Transport::new(&self.target, Role::Worker(&self.id))
    }

    /// Connects again and again, until the worker is told to stop taking work.
    /// Returns the stream that is open then, to be kept open until what has begun has ended.
    async fn connect_and_receive(&self, desk: &Desk, line: &Line) -> Option<Streaming<SizedItem>> {
        let mut delays = delays();
        loop {
            let stopped = self.told(|stop| stop != Stop::No);
            tokio::pin!(stopped);
            let mut stream = None;
            let ended = tokio::select! {
                biased;
                () = &mut stopped => None,
                opened = desk.open() => match opened {
                    Err(status) => Some(Ended::Failed { status, opened: false }),
                    Ok(opened) => {
                        tracing::info!(target = %self.target, worker = self.id, "connected");
                        self.connected.send_modify(|times| *times += 1);
                        let stream = stream.insert(opened);
                        tokio::select! {
                            biased;
                            () = &mut stopped => None,
                            ended = desk.receive(stream) => Some(ended),
                        }
                    }
                },
            };
            let Some(ended) = ended else { return stream };
            drop(stream);
            if self.after(&ended, line) {
                delays = self::delays();
            }
            let delay = delays.next().unwrap_or(LONGEST_DELAY);
            let pause = desk.clock.sleep_until(desk.clock.now().plus(delay));
            tokio::select! {
                biased;
                () = &mut stopped => return None,
                () = pause => {}
            }
        }
    }

    /// Says why a connection ended, and whether the next attempt may begin with short delays.
    fn after(&self, ended: &Ended, line: &Line) -> bool {
        match ended {
            Ended::Closed { heard } => {
                tracing::info!(target = %self.target, "the scheduler closed the stream; connecting again");
                *heard
            }
            Ended::Failed { status, opened } => {
                let error = client::Error::from_status(status, &self.target, "");
                tracing::warn!(%error, "the connection is lost; connecting again");
                if Reach::of(status) != Reach::Answered {
                    self.renew(line);
                }
                *opened
            }
            Ended::Silent => {
                tracing::warn!(target = %self.target, silence = ?self.options.silence,
                    "the stream is silent, not even a ping came; connecting again");
                self.renew(line);
                true
            }
        }
    }

    /// A connection that does not answer any more is not used again.
    fn renew(&self, line: &Line) {
        if let Ok(transport) = self.transport() {
            line.replace(transport);
        }
    }
}

fn delays() -> Backoff {
    Backoff::new(FIRST_DELAY, LONGEST_DELAY, entropy::seed())
}

/// Sends what the lanes have done.
async fn send(mut done: Done, line: Line) {
    while let Some((answer, ticket)) = done.recv().await {
        let line = line.clone();
        tokio::spawn(async move {
            line.answer(answer).await;
            drop(ticket);
        });
    }
}
