//! Holds back what was decided until the store has kept its records.
//!
//! One batch is with the store at a time. What is decided meanwhile gathers in the next one, which is committed when
//! the first is kept: effects are released in the order in which they were decided, and a store that is slow gets fewer
//! and larger batches.

use super::message::ReplySender;
use crate::emulator::engine::command::{Effect, Refusal, Reply};
use crate::emulator::engine::notice::Notice;
use crate::emulator::store::{CommitStatus, Fault, Keeping, Record, Store};
use tokio::sync::oneshot;

/// How many replies or records wait for the store before the hub takes no more commands.
const MOST_HELD: usize = 8_192;

/// How many bytes of replies wait for the store before the hub takes no more commands.
const MOST_HELD_BYTES: usize = 32 << 20;

/// What was decided together: records, and what follows once they are kept.
#[derive(Default)]
pub(super) struct Decided {
    pub(super) records: Vec<Record>,
    pub(super) notices: Vec<Notice>,
    pub(super) effects: Vec<Effect>,
    pub(super) replies: Vec<(ReplySender, Result<Reply, Refusal>)>,
    /// How many bytes the replies take.
    pub(super) reply_bytes: usize,
    pub(super) stopped: Vec<oneshot::Sender<()>>,
}

impl Decided {
    fn append(&mut self, later: Self) {
        let Self { records, notices, effects, replies, reply_bytes, stopped } = later;
        self.records.extend(records);
        self.notices.extend(notices);
        self.effects.extend(effects);
        self.replies.extend(replies);
        self.reply_bytes += reply_bytes;
        self.stopped.extend(stopped);
    }
}

/// A store, and what waits for it.
pub(super) struct Journal {
    store: Box<dyn Store>,
    keeping: Option<(Keeping, Decided)>,
    /// What was decided since; there is none while no batch is with the store.
    next: Decided,
}

impl Journal {
    pub(super) fn over(store: Box<dyn Store>) -> Self {
        Self { store, keeping: None, next: Decided::default() }
    }

    /// Commits what was decided, or lets it wait for the batch that is with the store. What comes back is kept, and is
    /// to be released.
    pub(super) fn commit(&mut self, decided: Decided) -> Result<Option<Decided>, Fault> {
        if self.keeping.is_some() {
            self.next.append(decided);
            return Ok(None);
        }
        self.begin(decided)
    }

    fn begin(&mut self, mut decided: Decided) -> Result<Option<Decided>, Fault> {
        if decided.records.is_empty() {
            return Ok(Some(decided));
        }
        match self.store.commit(std::mem::take(&mut decided.records))? {
            CommitStatus::Kept => Ok(Some(decided)),
            CommitStatus::Pending(keeping) => {
                self.keeping = Some((keeping, decided));
                Ok(None)
            }
        }
    }

    /// Whether a batch is with the store.
    pub(super) fn is_keeping(&self) -> bool {
        self.keeping.is_some()
    }

    /// Whether so much waits for the store that no more is to be decided.
    pub(super) fn is_full(&self) -> bool {
        let next = &self.next;
        next.records.len().max(next.replies.len()) >= MOST_HELD || next.reply_bytes >= MOST_HELD_BYTES
    }

    /// Waits until the batch that is with the store is kept, and gives back what is to be released. A caller that
    /// drops this future may call it again.
    pub(super) async fn kept(&mut self) -> Result<Decided, Fault> {
        let Some((keeping, _)) = &mut self.keeping else { return std::future::pending().await };
        keeping.await?;
        Ok(self.keeping.take().map(|(_, decided)| decided).unwrap_or_default())
    }

    /// Commits what was decided while the last batch was being kept, as one batch.
    pub(super) fn begin_next(&mut self) -> Result<Option<Decided>, Fault> {
        let next = std::mem::take(&mut self.next);
        self.begin(next)
    }
}
