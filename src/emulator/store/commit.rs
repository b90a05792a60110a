//! Says whether a batch is kept: at once, or later from another thread.

use super::Fault;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// What became of a batch that was given to a store.
pub enum CommitStatus {
    /// It is kept.
    Kept,
    /// It is kept when this future says so. The hub polls it in its own task and serves meanwhile.
    Pending(Keeping),
}

/// Done when a batch is kept, or cannot be.
pub type Keeping = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send>>;

impl CommitStatus {
    /// A commit whose end is said later, from any thread.
    pub fn later() -> (Confirmation, Self) {
        let shared = Arc::new(Mutex::new(BatchState::default()));
        (Confirmation(Some(shared.clone())), Self::Pending(Box::pin(AwaitedBatch(shared))))
    }
}

impl std::fmt::Debug for CommitStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Kept => "Kept",
            Self::Pending(_) => "Pending",
        })
    }
}

/// Says what became of one batch. A store that drops this without a word has not kept the batch.
#[derive(Debug)]
#[must_use = "the batch counts as lost when this is dropped"]
pub struct Confirmation(Option<Arc<Mutex<BatchState>>>);

#[derive(Debug, Default)]
struct BatchState {
    result: Option<Result<(), Fault>>,
    hub: Option<Waker>,
}

impl Confirmation {
    /// The batch is kept.
    pub fn kept(mut self) {
        self.say(Ok(()));
    }

    /// The batch cannot be kept.
    pub fn failed(mut self, fault: Fault) {
        self.say(Err(fault));
    }

    fn say(&mut self, result: Result<(), Fault>) {
        let Some(shared) = self.0.take() else { return };
        let mut shared = lock(&shared);
        shared.result = Some(result);
        let hub = shared.hub.take();
        drop(shared);
        // Outside of the lock, which the hub takes as soon as it wakes.
        if let Some(hub) = hub {
            hub.wake();
        }
    }
}

impl Drop for Confirmation {
    fn drop(&mut self) {
        self.say(Err(Fault("it dropped a batch without saying whether it is kept".to_owned())));
    }
}

struct AwaitedBatch(Arc<Mutex<BatchState>>);

impl Future for AwaitedBatch {
    type Output = Result<(), Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut shared = lock(&self.0);
        if let Some(result) = shared.result.take() {
            Poll::Ready(result)
        } else {
            shared.hub = Some(cx.waker().clone());
            Poll::Pending
        }
    }
}

fn lock(shared: &Mutex<BatchState>) -> MutexGuard<'_, BatchState> {
    // No code that could panic runs under this lock.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn pending() -> (Confirmation, Keeping) {
        match CommitStatus::later() {
            (confirmation, CommitStatus::Pending(keeping)) => (confirmation, keeping),
            (_, CommitStatus::Kept) => panic!("it is not kept yet"),
        }
    }

    #[test]
    fn a_batch_is_kept_when_the_store_says_so_and_lost_when_it_drops_it() {
        let (confirmation, mut keeping) = pending();
        assert_eq!((&mut keeping).now_or_never(), None);
        std::thread::spawn(|| confirmation.kept()).join().unwrap();
        assert_eq!(keeping.now_or_never(), Some(Ok(())));

        let (confirmation, keeping) = pending();
        confirmation.failed(Fault("disk full".to_owned()));
        assert_eq!(keeping.now_or_never(), Some(Err(Fault("disk full".to_owned()))));

        let (confirmation, keeping) = pending();
        drop(confirmation);
        let fault = keeping.now_or_never().unwrap().unwrap_err();
        assert!(fault.to_string().contains("without saying"), "{fault}");
    }
}
