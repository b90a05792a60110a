//! Waits for a scheduler's answers: never longer than allowed, and never without a word about what is waited for.

use crate::failure::Failure;
use crate::output::{note, plain};
use std::num::NonZeroU32;
use std::time::Duration;
use taskhub::clock::{Clock, WallClock};
use taskhub::sdk::client::Error;

/// After how long a wait is told the first time. Each further wait until it is told again is twice as long.
const FIRST_WORD: Duration = Duration::from_secs(2);

/// The longest silence about a wait.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// How long a command waits for each answer of a scheduler.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience(Duration);

impl Patience {
    pub(crate) fn seconds(seconds: NonZeroU32) -> Self {
        Self(Duration::from_secs(u64::from(seconds.get())))
    }

    /// The answer to a call, or a failure that says `what` was waited for and what is `known` by then.
    pub(crate) async fn answer<T>(
        self,
        what: &str,
        known: &str,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Failure> {
        let began = WallClock.now();
        let late = WallClock.sleep_until(began.plus(self.0));
        let mut words = Words::default();
        tokio::pin!(call, late);
        loop {
            tokio::select! {
                biased;
                answer = &mut call => return answer.map_err(Failure::run),
                () = &mut late => return Err(Failure::Run(format!(
                    "no answer in {} s: waited for {what}; {known}; --timeout SECONDS waits longer",
                    self.0.as_secs()
                ))),
                () = words.next() => note(plain(&format!("waiting for {what} since {} s; {known}", words.waited()))),
            }
        }
    }
}

/// The moments at which a wait is told.
#[derive(Debug)]
pub(crate) struct Words {
    began: taskhub::model::Timestamp,
    silence: Duration,
}

impl Default for Words {
    fn default() -> Self {
        Self { began: WallClock.now(), silence: FIRST_WORD }
    }
}

impl Words {
    /// Done when the wait is to be told again.
    pub(crate) async fn next(&mut self) {
        WallClock.sleep_until(WallClock.now().plus(self.silence)).await;
        self.silence = (self.silence * 2).min(LONGEST_SILENCE);
    }

    /// For how many seconds there was a wait.
    pub(crate) fn waited(&self) -> u64 {
        WallClock.now().since(self.began).as_secs()
    }
}
