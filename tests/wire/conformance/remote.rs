//! A scheduler at an endpoint, of which no more is known.

use super::builders::now;
use super::{Controls, Hub, Later, Need, Target};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// One hub of a scheduler that runs already. Cases share it, one at a time, and begin their ids with a prefix of their own.
pub(crate) struct Remote {
    endpoint: String,
    hub: String,
    count: AtomicU64,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Remote {
    pub(crate) fn new(endpoint: String, hub: String) -> Self {
        Self { endpoint, hub, count: AtomicU64::new(0), turn: Arc::default() }
    }
}

impl Target for Remote {
    fn lacks(&self, needs: &[Need]) -> Option<Need> {
        needs.first().copied()
    }

    fn hub<'a>(&'a self, _: &'a [Need]) -> Later<'a, Hub> {
        Box::pin(async {
            let turn = Arc::clone(&self.turn).lock_owned().await;
            let nonce = now().seconds * 1_000 + i64::from(now().nanos) / 1_000_000;
            let prefix = format!("w{nonce:x}-{}-", self.count.fetch_add(1, Ordering::Relaxed));
            Hub::new(self.endpoint.clone(), self.hub.clone(), prefix, Arc::new(OutOfReach(turn)))
        })
    }
}

/// The hub is the case's until this is dropped, and that is all that can be had.
struct OutOfReach(
    #[expect(dead_code, reason = "the hub is another case's when this is dropped")]
    tokio::sync::OwnedMutexGuard<()>,
);

impl Controls for OutOfReach {
    fn advance(&self, _: Duration) {
        unreachable!("a case says that it turns the clock");
    }

    fn stop(&self) -> Later<'_, ()> {
        unreachable!("a case says that it stops the scheduler");
    }

    fn turns_held<'a>(&'a self, _: &'a str) -> Later<'a, Vec<usize>> {
        unreachable!("a case says that it asks for figures");
    }
}
