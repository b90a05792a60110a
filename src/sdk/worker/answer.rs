//! Answers for work items: sends what came of them, again where the scheduler may not have heard it.

use super::flight::Kind;
use super::unary::{Framed, call};
use crate::clock::Clock;
use crate::entropy;
use crate::sdk::connect::{Backoff, Stub, Transport};
use crate::sdk::replay::split_response;
use crate::wire::{self, orchestrator_action::OrchestratorActionType};
use prost::Message;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tonic::{Code, Status};

/// How often an answer is sent before it is given up, and the delays between.
const ATTEMPTS: usize = 10;
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(15);

/// The largest answer that is sent in one message, in bytes: schedulers take 4 MiB, and the envelope needs some room.
const LARGEST: usize = 3_900_000;

/// What came of a work item.
#[derive(Debug)]
pub(super) enum Answer {
    Turn(Box<wire::OrchestratorResponse>),
    Batch(Box<wire::EntityBatchResult>),
    Activity(Box<wire::ActivityResponse>),
    /// It is given back: another worker should do it, or this one later.
    Abandon(Kind, String),
}

/// The calls that answer.
#[derive(Debug, Clone, Copy)]
enum Rpc {
    Activity,
    Turn,
    Batch,
    AbandonTurn,
    AbandonBatch,
    AbandonActivity,
}

impl Rpc {
    const fn path(self) -> &'static str {
        match self {
            Self::Activity => "/TaskHubSidecarService/CompleteActivityTask",
            Self::Turn => "/TaskHubSidecarService/CompleteOrchestratorTask",
            Self::Batch => "/TaskHubSidecarService/CompleteEntityTask",
            Self::AbandonTurn => "/TaskHubSidecarService/AbandonTaskOrchestratorWorkItem",
            Self::AbandonBatch => "/TaskHubSidecarService/AbandonTaskEntityWorkItem",
            Self::AbandonActivity => "/TaskHubSidecarService/AbandonTaskActivityWorkItem",
        }
    }
}

/// The connection that answers go over; a lost one is replaced under everybody's hands. Cheap to clone.
#[derive(Clone)]
pub(super) struct Line {
    transport: Arc<RwLock<Transport>>,
    limit: usize,
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
    /// `limit` is the largest message that is taken or sent, in bytes.
    pub(super) fn new(transport: Transport, limit: usize, clock: Arc<dyn Clock>) -> Self {
        Self { transport: Arc::new(RwLock::new(transport)), limit, clock }
    }

    /// The connection that is good now.
    pub(super) fn transport(&self) -> Transport {
        self.transport.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The generated client over the connection that is good now.
    pub(super) fn stub(&self) -> Stub {
        self.transport().stub(self.limit)
    }

    pub(super) fn replace(&self, transport: Transport) {
        *self.transport.write().unwrap_or_else(PoisonError::into_inner) = transport;
    }

    async fn call(&self, rpc: Rpc, message: &Framed) -> Result<(), Status> {
        call(self.transport(), rpc.path(), message.clone()).await
    }

    /// Sends an answer until it is heard or there is no point any more; returns why it was refused, if it was.
    async fn send(&self, rpc: Rpc, message: &impl Message) -> Result<(), Status> {
        let message = Framed::new(message)?;
        match self.call(rpc, &message).await {
            Ok(()) => Ok(()),
            // In a box: almost never wanted, and larger than what is.
            Err(status) => Box::pin(self.insist(rpc, message, status)).await,
        }
    }

    async fn insist(&self, rpc: Rpc, message: Framed, mut status: Status) -> Result<(), Status> {
        let mut delays = Backoff::new(FIRST_DELAY, LONGEST_DELAY, entropy::seed()).take(ATTEMPTS - 1);
        loop {
            match Verdict::of(status.code()) {
                Verdict::Gone => {
                    tracing::debug!(
                        ?rpc,
                        said = status.message(),
                        "the work item is gone; its answer is dropped"
                    );
                    return Ok(());
                }
                Verdict::Refused => return Err(status),
                Verdict::Again => {}
            }
            let Some(delay) = delays.next() else {
                tracing::warn!(?rpc, code = ?status.code(), said = status.message(),
                    "an answer could not be delivered; the scheduler will hand the work out again");
                return Ok(());
            };
            self.clock.sleep_until(self.clock.now().plus(delay)).await;
            match self.call(rpc, &message).await {
                Ok(()) => return Ok(()),
                Err(again) => status = again,
            }
        }
    }

    /// The largest message that is taken, in bytes.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Answers for an activity. A result that the scheduler does not take becomes a failure that it does take.
    async fn activity(&self, mut response: wire::ActivityResponse) {
        let Err(status) = self.send(Rpc::Activity, &response).await else { return };
        tracing::error!(instance = response.instance_id, task = response.task_id, code = ?status.code(),
            said = status.message(), "the scheduler refused an activity's result");
        response.result = None;
        response.failure_details = Some(refused("the activity's result", &status));
        if let Err(status) = Box::pin(self.send(Rpc::Activity, &response)).await {
            tracing::error!(said = status.message(), "the scheduler refused that activity's failure too");
        }
    }

    /// Answers for a work item.
    pub(super) async fn answer(&self, answer: Answer) {
        match answer {
            Answer::Turn(response) => self.turn(*response).await,
            Answer::Batch(result) => self.batch(*result).await,
            Answer::Activity(response) => self.activity(*response).await,
            Answer::Abandon(kind, token) => self.abandon(kind, token).await,
        }
    }

    /// A turn whose answer the scheduler does not take fails its orchestration: to run it again would come to the
    /// same.
    async fn turn(&self, response: wire::OrchestratorResponse) {
        let (instance_id, token) = (response.instance_id.clone(), response.completion_token.clone());
        for part in split_response(response, LARGEST) {
            let Err(status) = self.send(Rpc::Turn, &part).await else { continue };
            tracing::error!(instance = instance_id, code = ?status.code(), said = status.message(),
                "the scheduler refused a turn's answer; the orchestration fails");
            let failed = failed_turn(instance_id, token, refused("the orchestrator's answer", &status));
            if let Err(status) = Box::pin(self.send(Rpc::Turn, &failed)).await {
                tracing::error!(said = status.message(), "the scheduler refused that failure too");
            }
            return;
        }
    }

    async fn batch(&self, result: wire::EntityBatchResult) {
        let Err(status) = self.send(Rpc::Batch, &result).await else { return };
        tracing::error!(code = ?status.code(), said = status.message(),
            "the scheduler refused an entity batch's result; it is given back");
        Box::pin(self.abandon(Kind::Batch, result.completion_token)).await;
    }

    /// Gives a work item back.
    pub(super) async fn abandon(&self, kind: Kind, completion_token: String) {
        let sent = match kind {
            Kind::Turn => {
                let request = wire::AbandonOrchestrationTaskRequest { completion_token };
                self.send(Rpc::AbandonTurn, &request).await
            }
            Kind::Batch => {
                let request = wire::AbandonEntityTaskRequest { completion_token };
                self.send(Rpc::AbandonBatch, &request).await
            }
            Kind::Activity => {
                let request = wire::AbandonActivityTaskRequest { completion_token };
                self.send(Rpc::AbandonActivity, &request).await
            }
        };
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
