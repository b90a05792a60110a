//! Makes calls, and makes them again where that can do no harm.

use super::{Client, Error};
use crate::entropy;
use crate::sdk::connect::{Backoff, Reach, SchedulerStub};
use std::time::Duration;
use tonic::{Code, Response, Status};

/// When a call that failed on its way may be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// Never: the caller wants to know at once.
    Never,
    /// While there was no connection: what was not sent was not done.
    NotSent,
    /// Whenever the scheduler was out of reach: doing it twice is doing it once.
    Always,
    /// As `Always`, for longer: the caller waits anyway, and a scheduler may be restarted meanwhile.
    Patient,
}

impl Retry {
    fn allows(self, status: &Status) -> bool {
        match (self, Reach::of(status)) {
            (Self::Never, _) | (Self::NotSent, Reach::Lost | Reach::Answered) => false,
            (Self::NotSent | Self::Always | Self::Patient, Reach::NotSent)
            | (Self::Always | Self::Patient, Reach::Lost) => true,
            (Self::Always | Self::Patient, Reach::Answered) => status.code() == Code::Unavailable,
        }
    }

    /// The delays between the attempts.
    fn delays(self) -> impl Iterator<Item = Duration> {
        let (times, limit) = match self {
            Self::Never => (0, 0),
            Self::NotSent | Self::Always => (9, 250),
            Self::Patient => (60, 1_000),
        };
        let first = Duration::from_millis(50);
        Backoff::new(first, Duration::from_millis(limit), entropy::seed()).take(times)
    }
}

impl Client {
    /// Makes a call about `id` until it is answered or `retry` gives up.
    pub(super) async fn call<T, F, Fut>(&self, retry: Retry, id: &str, call: F) -> Result<T, Error>
    where
        F: FnMut(SchedulerStub) -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        let answer = self.attempt(retry, call).await;
        answer.map_err(|status| Error::from_status(&status, self.target(), id))
    }

    /// As [`Client::call`], for those who look at the status themselves.
    pub(super) async fn attempt<T, F, Fut>(&self, retry: Retry, mut call: F) -> Result<T, Status>
    where
        F: FnMut(SchedulerStub) -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        let mut delays = None;
        loop {
            let status = match call(self.inner.stub.clone()).await {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => status,
            };
            if !retry.allows(&status) {
                return Err(status);
            }
            let Some(delay) = delays.get_or_insert_with(|| retry.delays()).next() else {
                return Err(status);
            };
            tracing::debug!(target = %self.target(), code = ?status.code(), ?delay, "trying again");
            self.pause(delay).await;
        }
    }

    pub(super) async fn pause(&self, delay: Duration) {
        let clock = self.target().time();
        clock.sleep_until(clock.now().plus(delay)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_final_unless_it_says_unavailable() {
        let busy = Status::unavailable("busy");
        assert!(Retry::Always.allows(&busy) && Retry::Patient.allows(&busy));
        assert!(!Retry::NotSent.allows(&busy) && !Retry::Never.allows(&busy));
        assert!(!Retry::Always.allows(&Status::not_found("no")));
    }
}
