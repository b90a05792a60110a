//! Decides what happens in one hub: commands in, records and effects out.
//!
//! Pure: no clock, no randomness but the seed it is given, no IO, no `async`. The owner of an [`Engine`] feeds it
//! commands with [`Engine::handle`], lets it hand out work with [`Engine::settle`], stores what
//! [`Engine::take_records`] gives, and only then does what [`Engine::take_effects`] says.
//!
//! # Layout
//!
//! - [`command`]: what can be asked, and what is answered. [`record`]: what is stored. [`notice`]: what the log is told.
//! - `state`: what is durable, and how a record changes it.
//! - `decide`: what a command means, one file for each kind of thing decided.
//! - `deliver`: which worker gets what and when, and who is answered. Nothing in it is durable.
//! - [`entity`]: one entity, a machine of its own.

pub mod command;
mod decide;
mod deliver;
pub mod entity;
pub mod notice;
pub mod record;
mod state;
mod volatile;

#[cfg(test)]
mod tests;

use crate::model::{InstanceId, Timestamp};
use command::{Command, Effect, Refusal, Reply, StreamId};
use decide::Decider;
#[cfg(feature = "emulator")]
pub(in crate::emulator) use decide::limit;
use deliver::departure::Departure;
use deliver::gather::Gathering;
pub use deliver::lease::LeaseTimes;
use deliver::lease::Leases;
use deliver::observe;
use deliver::streams::{StreamBounds, Streams};
use deliver::suspects::Suspects;
use deliver::unclaimed::Unclaimed;
use deliver::waiters::Waiters;
use deliver::worklist::{Work, Worklist};
use record::Record;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use volatile::LeaseId;

/// What a hub is told when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where every minted id comes from. Two lives of a hub need two seeds.
    pub seed: u128,
    /// How long the work of a stream that has ended waits before another worker gets it.
    pub grace: Duration,
    /// How many bytes of new events one turn holds, one event at the least; the others wait for the next turn. Where the
    /// past and they have more, a worker that can is told to fetch the past by `StreamInstanceHistory`.
    pub turn_bytes: usize,
    /// How many bytes a work item may have: what workers receive. What cannot be made to fit fails by name.
    pub item_bytes: usize,
    /// The longest delay before work that was given back is offered again; the first is 100 ms.
    pub longest_rest: Duration,
    /// How long after its moment a timer fires at the earliest: some workers read moments more coarsely than we do, and
    /// find a timer too early. Zero is right under a clock that is turned by hand.
    pub timer_lag: Duration,
    /// How many operations a batch of an entity has at the most.
    pub batch: usize,
    /// How many bytes a payload in a worker's answer may have; `None` is any number.
    pub max_payload: Option<usize>,
    /// How many uncompleted items of each kind a stream holds whose worker does not say how many it takes.
    pub unstated_limit: usize,
    /// How many bytes of work items may wait for a worker to read them before its stream gets no more.
    pub backlog: usize,
    /// How long such a stream may stay so, without one item being taken, before it is given up; `None` for ever.
    pub stall: Option<Duration>,
    /// How long a worker may hold work that it does not answer.
    pub leases: LeaseTimes,
    /// How many workers in a row may be lost with the same work item, and with no other to blame, before it fails; `None`
    /// for any number.
    pub most_losses: Option<u32>,
    /// How long a terminate, suspend or resume waits for a worker where none is connected that takes the instance; `None`
    /// for ever.
    pub unattended: Option<Duration>,
    /// How long a completion waits at the most for others of the same instance, where its worker replays the whole
    /// history in each turn and a turn is dear. Turns that come to nothing double it, up to eight times. Zero hands every
    /// turn out at once, and is right under a clock that is turned by hand.
    pub gather: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 0,
            grace: Duration::ZERO,
            turn_bytes: 3 << 20,
            // Only a network has a limit of messages.
            item_bytes: usize::MAX,
            longest_rest: Duration::from_secs(5),
            timer_lag: Duration::ZERO,
            batch: 1_000,
            max_payload: None,
            unstated_limit: 1_000,
            // Only those who drain streams can say so: without a network nothing waits.
            backlog: usize::MAX,
            stall: None,
            leases: LeaseTimes::default(),
            most_losses: Some(10),
            unattended: None,
            gather: Duration::ZERO,
        }
    }
}

/// A hub: what is durable of it, and who gets what of it.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    /// The state, which only records change, and what decisions about it have left to do.
    decider: Decider,
    /// How many of the records that the store has not got yet delivery has followed.
    followed: usize,
    effects: Vec<Effect>,
    // Delivery's, from here on: gone with the process.
    work: Worklist,
    streams: Streams,
    leases: Leases,
    /// Leases whose stream has ended, by their work: the next worker to get it puts an end to them.
    orphans: BTreeMap<Work, LeaseId>,
    /// What streams held whose workers have cancelled them and still complete it.
    draining: BTreeMap<StreamId, Vec<LeaseId>>,
    /// Streams that get no more because their workers do not read, and when each is given up.
    stalled: BTreeMap<StreamId, Timestamp>,
    suspects: Suspects,
    /// Instances that were told something in a turn that no worker has taken yet, and when that takes effect without.
    unattended: BTreeSet<(Timestamp, InstanceId)>,
    gathering: Gathering,
    waiters: Waiters,
    /// How often the batch of an entity was given back since one was answered.
    batches_given_back: BTreeMap<InstanceId, u32>,
    /// The last work item of each stream; kept only while warnings are listened to.
    last_sent: BTreeMap<StreamId, observe::Sent>,
    unclaimed: Unclaimed,
}

impl Engine {
    /// An empty hub.
    pub fn new(config: Config) -> Self {
        let decider = Decider::new(config.seed, config.max_payload);
        Self {
            leases: Leases::new(decider.life(), config.leases),
            streams: Streams::new(StreamBounds { items: config.unstated_limit, backlog: config.backlog }),
            config,
            decider,
            followed: 0,
            effects: Vec::new(),
            work: Worklist::default(),
            orphans: BTreeMap::new(),
            draining: BTreeMap::new(),
            stalled: BTreeMap::new(),
            suspects: Suspects::default(),
            unattended: BTreeSet::new(),
            gathering: Gathering::default(),
            waiters: Waiters::default(),
            batches_given_back: BTreeMap::new(),
            last_sent: BTreeMap::new(),
            unclaimed: Unclaimed::default(),
        }
    }

    /// The hub that these records made. What they say is scheduled and not done is ready again; streams, leases and
    /// waiters are gone.
    pub fn rebuild(config: Config, records: impl IntoIterator<Item = Record>, now: Timestamp) -> Self {
        let mut engine = Self::new(config);
        engine.decider.replay(records);
        engine.make_ready(now);
        engine
    }

    /// Decides one command. Work is not handed out here but in [`Engine::settle`], so that what arrives together is
    /// handed out together.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] says why the command was turned down; then nothing has changed.
    pub fn handle(&mut self, command: Command, now: Timestamp) -> Result<Reply, Refusal> {
        let reply = self.decide(command, now);
        self.carry(now);
        reply
    }

    fn decide(&mut self, command: Command, now: Timestamp) -> Result<Reply, Refusal> {
        let decider = &mut self.decider;
        match command {
            // What clients ask for is decided on the state alone.
            Command::Start { id, request } => decider.start(id, *request, now),
            Command::Get { id, payloads } => Ok(decider.get(&id, payloads)),
            Command::Raise { id, name, input } => decider.raise(&id, name, input, now),
            Command::Terminate { id, output, recursive } => decider.terminate(&id, output, recursive, now),
            Command::ForceTerminate { ids, output, recursive } => {
                Ok(decider.force_terminate(ids, output.as_ref(), recursive, now))
            }
            Command::Suspend { id, reason } => decider.suspend(&id, reason, now),
            Command::Resume { id, reason } => decider.resume(&id, reason, now),
            Command::Rewind { id, reason } => decider.rewind(&id, reason, now),
            Command::Restart { id, new_id } => decider.restart(&id, new_id, now),
            Command::Query(query) => decider.query(&query),
            Command::ListIds(list) => decider.list_ids(&list),
            Command::Purge { target, recursive } => decider.purge(target, recursive, now),
            Command::History { id, execution } => Ok(decider.read_history(&id, execution.as_deref())),
            Command::HistoryPage(page) => decider.read_history_page(page),
            Command::SignalEntity { id, operation, input, request_id, at } => {
                Ok(decider.signal_entity(&id, operation, input, request_id, at, now))
            }
            Command::GetEntity { id, state } => Ok(decider.get_entity(&id, state)),
            Command::QueryEntities(query) => decider.query_entities(&query),
            // What calls and workers want of delivery.
            Command::Wait { waiter, id, until, payloads } => self.wait(waiter, &id, until, payloads),
            Command::Forget { waiter } => {
                self.waiters.forget(waiter);
                Ok(Reply::Done)
            }
            Command::OpenStream { stream, offer } => Ok(self.open_stream(stream, *offer)),
            Command::CloseStream { stream } => Ok(self.close_stream(stream, Departure::Orderly, now)),
            Command::LoseStream { stream } => Ok(self.close_stream(stream, Departure::Lost, now)),
            Command::CancelStream { stream } => Ok(self.close_stream(stream, Departure::Cancelled, now)),
            Command::Drained { stream, bytes } => Ok(self.drained(stream, bytes, now)),
            Command::Abandon { kind, token } => self.abandon(kind, &token, now),
            Command::Stats => Ok(Reply::Stats(Box::new(self.stats()))),
            // A worker's answer: delivery finds what it is about, and has it decided.
            Command::CompleteTurn(answer) => self.complete_turn(*answer, now),
            Command::CompleteActivity(answer) => self.complete_activity(*answer, now),
            Command::CompleteBatch(answer) => self.complete_batch(*answer, now),
            Command::FailWork { kind, token, instance, task, why } => {
                self.fail_work(kind, token, instance, task, why, now)
            }
        }
    }

    /// What must be stored before the effects are performed.
    pub fn take_records(&mut self) -> Vec<Record> {
        self.followed = 0;
        self.decider.take_records()
    }

    /// What to do once the records are stored.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// About how many bytes instances and entities take.
    pub fn bytes(&self) -> usize {
        self.decider.state.bytes()
    }

    /// How many work items are handed out and not answered.
    pub fn under_way(&self) -> usize {
        self.leases.under_way()
    }

    /// Fires what is due at `now`, and hands ready work to the streams that take it.
    pub fn settle(&mut self, now: Timestamp) {
        self.fire(now);
        self.carry(now);
        self.hand_out(now);
        if !self.suspects.are_none() {
            self.hand_suspect(now);
        }
        if self.release_if_idle(now) {
            self.hand_out(now);
        }
        while !self.decider.has_carried() {
            // What could not be handed out has failed, and others are to hear of it.
            self.carry(now);
            self.hand_out(now);
        }
        self.look_for_unclaimed(now);
    }
}
