//! Keeps what is with a worker, under the token that its answer must carry.

use super::chunks::AnswerChunks;
use super::worklist::Work;
use crate::emulator::engine::command::{StreamId, WorkKind};
use crate::emulator::engine::decide::open_turn::OpenTurn;
use crate::emulator::engine::volatile::LeaseId;
use crate::model::{ExecutionId, InstanceId, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// A worker's hold on a piece of work.
#[derive(Debug)]
pub(crate) struct Lease {
    /// Who holds it; `None` since its stream has ended: an answer still counts until another worker has the work.
    pub(crate) stream: Option<StreamId>,
    pub(crate) held: Held,
    /// When it was handed out.
    pub(crate) given: Timestamp,
}

/// What is held, and what its answer is about.
#[derive(Debug)]
pub(crate) enum Held {
    /// A turn, and the chunks of its answer that have come (`isPartial`).
    Turn(OpenTurn, AnswerChunks),
    Activity {
        id: InstanceId,
        execution: ExecutionId,
        task: i32,
    },
    Batch {
        id: InstanceId,
        number: u64,
    },
}

impl Held {
    pub(crate) fn is_turn_of(&self, instance: &InstanceId) -> bool {
        match self {
            Self::Turn(turn, _) => turn.id == *instance,
            Self::Activity { .. } | Self::Batch { .. } => false,
        }
    }

    pub(crate) fn is_activity_of(&self, instance: &InstanceId, of: i32) -> bool {
        match self {
            Self::Activity { id, task, .. } => id == instance && *task == of,
            Self::Turn(..) | Self::Batch { .. } => false,
        }
    }

    pub(crate) fn kind(&self) -> WorkKind {
        match self {
            Self::Turn(..) => WorkKind::Turn,
            Self::Activity { .. } => WorkKind::Activity,
            Self::Batch { .. } => WorkKind::Batch,
        }
    }

    /// The piece of work that is held.
    pub(crate) fn work(&self) -> Work {
        match self {
            Self::Turn(turn, _) => Work::Turn(turn.id.clone()),
            Self::Activity { id, task, .. } => Work::Activity(id.clone(), *task),
            Self::Batch { id, .. } => Work::Batch(id.clone()),
        }
    }
}

/// What a token is found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenLookup {
    /// It holds work.
    Live(LeaseId),
    /// Its work was completed or given back not long ago: the same call was sent twice.
    JustConsumed,
    /// It was never given out, is of another life of the hub, or another worker has the work.
    Unknown,
}

/// Consumed tokens that are remembered, so that a call sent twice is not an error.
const REMEMBERED: usize = 20_000;

/// How many answered leases a queue of deadlines may hold beside twice the live ones.
const PASSED_OVER: usize = 1_024;

/// How long a worker may hold work before another stream gets it; `None` for as long as its stream lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeaseTimes {
    /// A turn: the orchestrator only computes in it.
    pub turns: Option<Duration>,
    /// An activity or an entity's batch, which may lawfully run for hours.
    pub others: Option<Duration>,
}

impl LeaseTimes {
    fn of(self, kind: WorkKind) -> Option<Duration> {
        match kind {
            WorkKind::Turn => self.turns,
            WorkKind::Activity | WorkKind::Batch => self.others,
        }
    }
}

/// Every lease of a hub.
#[derive(Debug)]
pub(crate) struct Leases {
    life: String,
    times: LeaseTimes,
    /// Leases by the moment they run out. Those of one queue last equally long, so the queue is in order by itself; a
    /// lease that was answered is passed over when its moment comes.
    running_out: [VecDeque<(Timestamp, LeaseId)>; 2],
    given: LeaseId,
    live: BTreeMap<LeaseId, Lease>,
    consumed: VecDeque<LeaseId>,
    recent: BTreeSet<LeaseId>,
}

impl Leases {
    pub(crate) fn new(life: String, times: LeaseTimes) -> Self {
        Self {
            life,
            times,
            running_out: Default::default(),
            given: 0,
            live: BTreeMap::new(),
            consumed: VecDeque::new(),
            recent: BTreeSet::new(),
        }
    }

    /// The number that [`Leases::give`] gives next, and its token.
    pub(crate) fn next(&self) -> (LeaseId, String) {
        let id = self.given + 1;
        (id, format!("{}:{id:x}", self.life))
    }

    pub(crate) fn give(&mut self, stream: StreamId, held: Held, now: Timestamp) -> LeaseId {
        self.given += 1;
        if let Some(time) = self.times.of(held.kind()) {
            let queue = &mut self.running_out[usize::from(held.kind() != WorkKind::Turn)];
            queue.push_back((now.plus(time), self.given));
            // One lease that lasts keeps the answered ones behind it; they must not pile up.
            if queue.len() > 2 * self.live.len() + PASSED_OVER {
                queue.retain(|(_, id)| self.live.contains_key(id) || *id == self.given);
            }
        }
        self.live.insert(self.given, Lease { stream: Some(stream), held, given: now });
        self.given
    }

    /// The next lease that has run out at `now`.
    pub(crate) fn run_out(&mut self, now: Timestamp) -> Option<LeaseId> {
        for queue in &mut self.running_out {
            while let Some(&(at, id)) = queue.front() {
                let live = self.live.contains_key(&id);
                if live && at > now {
                    break;
                }
                queue.pop_front();
                if live {
                    return Some(id);
                }
            }
        }
        None
    }

    /// When the next lease runs out, or would have if it had not been answered.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.running_out.iter().filter_map(|queue| queue.front()).map(|(at, _)| *at).min()
    }

    /// How many deadlines are kept.
    #[cfg(test)]
    pub(crate) fn queued(&self) -> usize {
        self.running_out.iter().map(VecDeque::len).sum()
    }

    pub(crate) fn get(&self, id: LeaseId) -> Option<&Lease> {
        self.live.get(&id)
    }

    pub(crate) fn find(&self, token: &str) -> TokenLookup {
        let id = token.strip_prefix(self.life.as_str()).and_then(|rest| rest.strip_prefix(':'));
        match id.and_then(|id| LeaseId::from_str_radix(id, 16).ok()) {
            Some(id) if self.live.contains_key(&id) => TokenLookup::Live(id),
            Some(id) if self.recent.contains(&id) => TokenLookup::JustConsumed,
            Some(_) | None => TokenLookup::Unknown,
        }
    }

    /// The oldest lease that fits, for an answer that names its work instead of its token (protocol/transport.md#leases).
    pub(crate) fn oldest(&self, fits: impl Fn(&Held) -> bool) -> TokenLookup {
        self.live
            .iter()
            .find(|(_, lease)| fits(&lease.held))
            .map_or(TokenLookup::Unknown, |(id, _)| TokenLookup::Live(*id))
    }

    /// Whether it still holds work.
    pub(crate) fn is_live(&self, id: LeaseId) -> bool {
        self.live.contains_key(&id)
    }

    pub(crate) fn get_mut(&mut self, id: LeaseId) -> Option<&mut Lease> {
        self.live.get_mut(&id)
    }

    /// How much is handed out and not answered.
    pub(crate) fn under_way(&self) -> usize {
        self.live.len()
    }

    /// The answer is here: the token is used up, and remembered for a while.
    pub(crate) fn consume(&mut self, id: LeaseId) -> Option<Lease> {
        let lease = self.live.remove(&id)?;
        self.consumed.push_back(id);
        self.recent.insert(id);
        if self.consumed.len() > REMEMBERED
            && let Some(oldest) = self.consumed.pop_front()
        {
            self.recent.remove(&oldest);
        }
        Some(lease)
    }

    /// Another worker has the work now: the token is unknown from here on.
    pub(crate) fn supersede(&mut self, id: LeaseId) {
        self.live.remove(&id);
    }
}
