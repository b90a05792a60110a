//! Keeps a worker connected from its start to its stop, on a runtime of its own.

use super::Stop;
use super::answer::Line;
use super::baton::Baton;
use super::flight::Flight;
use super::options::Options;
use super::perform::Performer;
use super::session::{Desk, Ended, offer};
use super::turns::{Done, Turns};
use crate::clock::Clock;
use crate::entropy;
use crate::linger::Linger;
use crate::sdk::client;
use crate::sdk::connect::{Backoff, InvalidTarget, Reach, Role, Target, Transport};
use crate::sdk::registry::Registry;
use crate::sdk::replay::Cancellation;
use crate::wire;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tonic::Streaming;

/// The bounds of the delays between attempts to connect: the first ones are short, for an emulator in the same
/// process that comes back at once.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// Everything a worker is given.
pub(super) struct Life {
    pub(super) target: Target,
    pub(super) registry: Arc<Registry>,
    pub(super) options: Options,
    pub(super) id: String,
    pub(super) stop: watch::Receiver<Stop>,
    pub(super) connected: watch::Sender<u64>,
    pub(super) baton: Arc<Baton>,
    /// Cancelled by whoever drops the runtime, after that: an activity that is given up says nothing more.
    pub(super) stopping: Cancellation,
}

impl Life {
    /// Works until it is told to stop.
    pub(super) async fn run(self) {
        let clock = Arc::clone(self.target.time());
        let flight = Flight::default();
        let (line, turns, done) = match self.set_up(&clock, &flight) {
            Ok(parts) => parts,
            Err(error) => {
                tracing::error!(error, "the worker cannot start");
                return;
            }
        };
        let performer = Performer {
            registry: Arc::clone(&self.registry),
            line: line.clone(),
            flight: flight.clone(),
            stopping: self.stopping.clone(),
            elsewhere: self.options.runtime.clone(),
            clock: Arc::clone(&clock),
        };
        let filters = self.options.filters.then(|| self.registry.filters());
        // A scheduler far away takes longer to answer than anybody should stay awake for.
        let linger = if self.target.endpoint().is_loopback() { Linger::default() } else { Linger::never() };
        let desk = Desk {
            performer,
            turns: Arc::clone(&turns),
            clock: Arc::clone(&clock),
            request: offer(&self.options, &self.id, filters),
            sticky: self.options.sticky > 0,
            silence: self.options.silence,
            linger: linger.clone(),
        };
        tokio::spawn(send(done, line.clone()));
        tokio::spawn(linger.keep_looking());
        tokio::select! {
            biased;
            () = self.told(|stop| stop == Stop::Now) => {}
            () = turns.watch(&line) => {}
            stream = self.connect_and_receive(&desk, &line) => {
                let over = clock.sleep_until(clock.now().plus(self.options.grace));
                tokio::select! {
                    biased;
                    () = flight.landed() => {}
                    () = over => tracing::warn!(grace = ?self.options.grace, "the worker stops before all its work has ended"),
                }
                // Open until here, so that nobody else began what was about to end.
                drop(stream);
            }
        }
    }

    /// Waits for a word; that nobody can say one any more is one too.
    async fn told(&self, word: impl Fn(Stop) -> bool + Send) {
        let mut stop = self.stop.clone();
        drop(stop.wait_for(|stop| word(*stop)).await);
    }

    fn set_up(&self, clock: &Arc<dyn Clock>, flight: &Flight) -> Result<(Line, Arc<Turns>, Done), String> {
        let transport = self.transport().map_err(|error| error.to_string())?;
        let line = Line::new(transport, self.target.message_limit(), Arc::clone(clock));
        let (turns, done) = Turns::start(&self.registry, &self.options, clock, flight.clone(), &self.baton)
            .map_err(|error| format!("no thread for orchestrations: {error}"))?;
        Ok((line, Arc::new(turns), done))
    }

    fn transport(&self) -> Result<Transport, InvalidTarget> {
        Transport::new(&self.target, Role::Worker(&self.id))
    }

    /// Connects again and again, until the worker is told to stop taking work.
    /// Returns the stream that is open then, to be kept open until what has begun has ended.
    async fn connect_and_receive(&self, desk: &Desk, line: &Line) -> Option<Streaming<wire::WorkItem>> {
        let mut delays = delays();
        loop {
            let stopped = self.told(|stop| stop != Stop::No);
            tokio::pin!(stopped);
            let mut stream = None;
            let ended = tokio::select! {
                biased;
                () = &mut stopped => None,
                opened = desk.open(line.stub()) => match opened {
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
