//! Answers for work items: sends what came of them, again where the scheduler may not have heard it.

use crate::clock::Clock;
use crate::entropy;
use crate::sdk::connect::{Backoff, Stub};
use crate::sdk::replay::split_response;
use crate::wire::{self, orchestrator_action::OrchestratorActionType};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tonic::{Code, Response, Status};

/// How often an answer is sent before it is given up, and the delays between.
const ATTEMPTS: usize = 10;
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(15);

/// The largest answer that is sent in one message, in bytes: schedulers take 4 MiB, and the envelope needs some room.
const LARGEST: usize = 3_900_000;

/// What came of a turn or an entity batch.
#[derive(Debug)]
pub(super) enum Answer {
    Turn(Box<wire::OrchestratorResponse>),
    Batch(Box<wire::EntityBatchResult>),
    /// Somebody else should do it.
    Abandon(Kind, String),
}

/// The kinds of work item that can be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Turn,
    Batch,
}

/// The connection that answers go over; a lost one is replaced under everybody's hands. Cheap to clone.
#[derive(Clone)]
pub(super) struct Line {
    stub: Arc<RwLock<Stub>>,
    clock: Arc<dyn Clock>,
}

/// What to do about an answer that did not arrive.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It may not have been heard: say it again.
    Again,
    /// The work item is nobody's any more, or somebody else's.
    Gone,
    /// The scheduler does not take this answer.
    Refused,
}

impl Verdict {
    fn of(code: Code) -> Self {
        match code {
            Code::Unavailable | Code::Unknown | Code::DeadlineExceeded | Code::Internal | Code::Cancelled => {
                Self::Again
            }
            Code::NotFound => Self::Gone,
            Code::Ok
            | Code::InvalidArgument
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::DataLoss
            | Code::Unauthenticated => Self::Refused,
        }
    }
}

impl Line {
    pub(super) fn new(stub: Stub, clock: Arc<dyn Clock>) -> Self {
        Self { stub: Arc::new(RwLock::new(stub)), clock }
    }

    pub(super) fn stub(&self) -> Stub {
        self.stub.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn replace(&self, stub: Stub) {
        *self.stub.write().unwrap_or_else(PoisonError::into_inner) = stub;
    }

    /// Sends an answer until it is heard or there is no point any more; returns why it was refused, if it was.
    async fn send<F, Fut, T>(&self, what: &str, call: F) -> Result<(), Status>
    where
        F: Fn(Stub) -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        let mut delays = None;
        loop {
            let Err(status) = call(self.stub()).await else { return Ok(()) };
            match Verdict::of(status.code()) {
                Verdict::Gone => {
                    tracing::debug!(
                        what,
                        said = status.message(),
                        "the work item is gone; its answer is dropped"
                    );
                    return Ok(());
                }
                Verdict::Refused => return Err(status),
                Verdict::Again => {}
            }
            let delays = delays.get_or_insert_with(|| {
                Backoff::new(FIRST_DELAY, LONGEST_DELAY, entropy::seed()).take(ATTEMPTS - 1)
            });
            let Some(delay) = delays.next() else {
                tracing::warn!(what, code = ?status.code(), said = status.message(),
                    "an answer could not be delivered; the scheduler will hand the work out again");
                return Ok(());
            };
            self.clock.sleep_until(self.clock.now().plus(delay)).await;
        }
    }

    /// Answers for an activity. A result that the scheduler does not take becomes a failure that it does take.
    pub(super) async fn activity(&self, response: wire::ActivityResponse) {
        let send = |response: wire::ActivityResponse| async move {
            self.send("an activity", |mut stub| {
                let response = response.clone();
                async move { stub.complete_activity_task(response).await }
            })
            .await
        };
        let (instance_id, task_id) = (response.instance_id.clone(), response.task_id);
        let completion_token = response.completion_token.clone();
        let Err(status) = send(response).await else { return };
        tracing::error!(instance_id, task_id, code = ?status.code(), said = status.message(),
            "the scheduler refused an activity's result");
        let failure_details = Some(refused("the activity's result", &status));
        let failed =
            wire::ActivityResponse { instance_id, task_id, result: None, failure_details, completion_token };
        if let Err(status) = send(failed).await {
            tracing::error!(said = status.message(), "the scheduler refused that activity's failure too");
        }
    }

    /// Answers for a turn or an entity batch.
    pub(super) async fn answer(&self, answer: Answer) {
        match answer {
            Answer::Turn(response) => self.turn(*response).await,
            Answer::Batch(result) => self.batch(*result).await,
            Answer::Abandon(kind, token) => self.abandon(kind, token).await,
        }
    }

    /// A turn whose answer the scheduler does not take fails its orchestration: to run it again would come to the
    /// same.
    async fn turn(&self, response: wire::OrchestratorResponse) {
        let (instance_id, token) = (response.instance_id.clone(), response.completion_token.clone());
        for part in split_response(response, LARGEST) {
            let sent = self
                .send("a turn", |mut stub| {
                    let part = part.clone();
                    async move { stub.complete_orchestrator_task(part).await }
                })
                .await;
            let Err(status) = sent else { continue };
            tracing::error!(instance_id, code = ?status.code(), said = status.message(),
                "the scheduler refused a turn's answer; the orchestration fails");
            let failed = failed_turn(instance_id, token, refused("the orchestrator's answer", &status));
            let sent = self
                .send("a failed turn", |mut stub| {
                    let failed = failed.clone();
                    async move { stub.complete_orchestrator_task(failed).await }
                })
                .await;
            if let Err(status) = sent {
                tracing::error!(said = status.message(), "the scheduler refused that failure too");
            }
            return;
        }
    }

    async fn batch(&self, result: wire::EntityBatchResult) {
        let token = result.completion_token.clone();
        let sent = self
            .send("an entity batch", |mut stub| {
                let result = result.clone();
                async move { stub.complete_entity_task(result).await }
            })
            .await;
        if let Err(status) = sent {
            tracing::error!(code = ?status.code(), said = status.message(),
                "the scheduler refused an entity batch's result; it is given back");
            self.abandon(Kind::Batch, token).await;
        }
    }

    /// Gives a work item back.
    pub(super) async fn abandon(&self, kind: Kind, token: String) {
        let sent = self
            .send("an abandoned work item", |mut stub| {
                let completion_token = token.clone();
                async move {
                    match kind {
                        Kind::Turn => {
                            let request = wire::AbandonOrchestrationTaskRequest { completion_token };
                            stub.abandon_task_orchestrator_work_item(request).await.map(|_| Response::new(()))
                        }
                        Kind::Batch => {
                            let request = wire::AbandonEntityTaskRequest { completion_token };
                            stub.abandon_task_entity_work_item(request).await.map(|_| Response::new(()))
                        }
                    }
                }
            })
            .await;
        if let Err(status) = sent {
            tracing::warn!(?kind, said = status.message(), "a work item could not be given back");
        }
    }
}

fn refused(what: &str, status: &Status) -> wire::TaskFailureDetails {
    let why = format!("the scheduler refused {what}: {}", status.message());
    crate::model::failure::not_retriable("AnswerRefused", why)
}

/// A turn that ends its orchestration with a failure.
pub(super) fn failed_turn(
    instance_id: String,
    completion_token: String,
    failure: wire::TaskFailureDetails,
) -> wire::OrchestratorResponse {
    let complete = wire::CompleteOrchestrationAction {
        orchestration_status: wire::OrchestrationStatus::Failed.into(),
        failure_details: Some(failure),
        ..Default::default()
    };
    let action = wire::OrchestratorAction {
        id: -1,
        orchestrator_action_type: Some(OrchestratorActionType::CompleteOrchestration(complete)),
    };
    wire::OrchestratorResponse { instance_id, actions: vec![action], completion_token, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_may_not_have_been_heard_is_said_again_and_one_that_is_not_wanted_is_not() {
        for code in [Code::Unavailable, Code::Unknown, Code::DeadlineExceeded, Code::Internal] {
            assert_eq!(Verdict::of(code), Verdict::Again);
        }
        assert_eq!(Verdict::of(Code::NotFound), Verdict::Gone);
        assert_eq!(Verdict::of(Code::InvalidArgument), Verdict::Refused);
    }
}
