//! Waits for a scheduler's answers, no longer than `--timeout`, and reports long waits on standard error.

use crate::error::CliError;
use crate::output::{note, plain};
use std::num::NonZeroU32;
use std::time::Duration;
use taskhub::clock::{Clock, WallClock};
use taskhub::sdk::client::Error;

/// After how long a wait is reported the first time. Each further interval is twice as long.
const FIRST_NOTICE: Duration = Duration::from_secs(2);

/// The longest interval between two reports of a wait.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);

/// How long a command waits for each answer of a scheduler.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallTimeout(Duration);

impl CallTimeout {
    pub(crate) fn seconds(seconds: NonZeroU32) -> Self {
        Self(Duration::from_secs(u64::from(seconds.get())))
    }

    /// The answer to a call, or an error that says `what` was waited for and what is `known` by then.
    pub(crate) async fn answer<T>(
        self,
        what: &str,
        known: &str,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, CliError> {
        let began = WallClock.now();
        let late = WallClock.sleep_until(began.plus(self.0));
        let mut notices = WaitNotices::default();
        tokio::pin!(call, late);
        loop {
            tokio::select! {
                biased;
                answer = &mut call => return answer.map_err(CliError::run),
                () = &mut late => return Err(CliError::Run(format!(
                    "no answer in {} s: waited for {what}; {known}; --timeout SECONDS waits longer",
                    self.0.as_secs()
                ))),
                () = notices.next() => note(plain(&format!("waiting for {what} since {} s; {known}", notices.waited()))),
            }
        }
    }
}

/// The moments at which a wait is reported.
#[derive(Debug)]
pub(crate) struct WaitNotices {
    began: taskhub::model::Timestamp,
    interval: Duration,
}

impl Default for WaitNotices {
    fn default() -> Self {
        Self { began: WallClock.now(), interval: FIRST_NOTICE }
    }
}

impl WaitNotices {
    /// Done when the wait is to be reported again.
    pub(crate) async fn next(&mut self) {
        WallClock.sleep_until(WallClock.now().plus(self.interval)).await;
        self.interval = (self.interval * 2).min(LONGEST_INTERVAL);
    }

    /// For how many seconds there was a wait.
    pub(crate) fn waited(&self) -> u64 {
        WallClock.now().since(self.began).as_secs()
    }
}
