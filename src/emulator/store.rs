//! Keeps records, a batch at a time.
//!
//! A store of your own implements [`Store`] with what is public here: [`Record::encode`] and [`Record::decode`] turn
//! records into bytes and back (`docs/records.md`), [`CommitStatus::later`] says afterwards that a batch is kept.

mod commit;

pub use super::engine::record::{Record, RecordError};
pub use commit::{CommitStatus, Confirmation, Keeping};

/// What a hub's records are kept in.
///
/// A batch is kept whole or not at all, and what was said to be kept stays: the hub answers nothing and hands out
/// nothing before the records that say so are kept.
pub trait Store: Send + 'static {
    /// Keeps a batch, after all earlier ones. The hub gives the next batch when this one is kept; what it decides
    /// meanwhile is in that one.
    ///
    /// This runs on the thread that serves every hub, so it must not block. A store that keeps records somewhere slow
    /// hands them to a thread or task of its own and returns [`CommitStatus::later`].
    ///
    /// # Errors
    ///
    /// A [`Fault`] where the batch could not be kept, here or from the future in [`CommitStatus::Pending`]. The hub stops
    /// then and answers nothing of what it has decided since the last batch that was kept.
    fn commit(&mut self, batch: Vec<Record>) -> Result<CommitStatus, Fault>;

    /// Everything that was kept, in order; `None` where nothing ever was. Called once, before the first commit.
    ///
    /// This too runs on the thread that serves and must not block; the iterator is run on a thread where it may. So a
    /// store opens and reads its files in the iterator.
    fn load(&mut self) -> Option<Records>;
}

/// The records of a store, one after the other. A [`Fault`] ends them: the hub does not start.
pub type Records = Box<dyn Iterator<Item = Result<Record, Fault>> + Send>;

/// A store could not do its work: our mistake or the machine's, never the caller's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store failed: {0}")]
pub struct Fault(pub String);

impl From<RecordError> for Fault {
    fn from(error: RecordError) -> Self {
        Self(error.to_string())
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// A store that forgets: records are dropped, the hub's memory is all there is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Forgetful;

impl Store for Forgetful {
    fn commit(&mut self, _batch: Vec<Record>) -> Result<CommitStatus, Fault> {
        Ok(CommitStatus::Kept)
    }

    fn load(&mut self) -> Option<Records> {
        None
    }
}

/// A store in memory, shared by its clones: what a test keeps while it kills the hub over it.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(std::sync::Arc<std::sync::Mutex<Vec<Record>>>);

impl Store for MemoryStore {
    fn commit(&mut self, batch: Vec<Record>) -> Result<CommitStatus, Fault> {
        self.0.lock().map_err(|poisoned| Fault(poisoned.to_string()))?.extend(batch);
        Ok(CommitStatus::Kept)
    }

    fn load(&mut self) -> Option<Records> {
        // A lock that is poisoned fails the first commit.
        let kept = self.0.lock().map(|kept| kept.clone()).unwrap_or_default();
        (!kept.is_empty()).then(|| -> Records { Box::new(kept.into_iter().map(Ok)) })
    }
}
