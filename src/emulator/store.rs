//! Keeps records, a batch at a time.

use super::engine::record::Record;

/// What a hub's records are kept in.
///
/// A batch is kept whole or not at all, and once [`Store::commit`] has returned it stays: nothing is felt outside
/// before that.
pub trait Store: Send + 'static {
    /// Keeps a batch, after all earlier ones.
    ///
    /// # Errors
    ///
    /// A [`Fault`] where it could not be kept. The hub stops then: what it has decided since is not to be relied on.
    fn commit(&mut self, batch: Vec<Record>) -> Result<(), Fault>;

    /// Everything that was kept, in order.
    ///
    /// # Errors
    ///
    /// A [`Fault`] where it cannot be read.
    fn load(&mut self) -> Result<Vec<Record>, Fault>;
}

/// A store could not do its work: our mistake or the machine's, never the caller's.
#[derive(Debug, thiserror::Error)]
#[error("the store failed: {0}")]
pub struct Fault(pub String);

/// A store that forgets: records are dropped, the hub's memory is all there is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Forgetful;

impl Store for Forgetful {
    fn commit(&mut self, _batch: Vec<Record>) -> Result<(), Fault> {
        Ok(())
    }

    fn load(&mut self) -> Result<Vec<Record>, Fault> {
        Ok(Vec::new())
    }
}

/// A store in memory, shared by its clones: what a test keeps while it kills the hub over it.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(std::sync::Arc<std::sync::Mutex<Vec<Record>>>);

impl Store for MemoryStore {
    fn commit(&mut self, batch: Vec<Record>) -> Result<(), Fault> {
        self.0.lock().map_err(|poisoned| Fault(poisoned.to_string()))?.extend(batch);
        Ok(())
    }

    fn load(&mut self) -> Result<Vec<Record>, Fault> {
        self.0.lock().map(|kept| kept.clone()).map_err(|poisoned| Fault(poisoned.to_string()))
    }
}
