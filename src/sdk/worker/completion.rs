//! Completes work items: sends their results to the scheduler, and again where the scheduler may not have received them.

use super::in_flight::{InFlightGuard, WorkItemKind};
use super::unary::{Framed, call};
use crate::clock::Clock;
use crate::entropy;
use crate::sdk::connect::{Backoff, SchedulerStub, Transport};
use crate::sdk::replay::split_response;
use crate::wire::{self, orchestrator_action::OrchestratorActionType};
use prost::Message;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tonic::{Code, Status};

/// How often a result is sent before the worker gives up, and the bounds of the delays between.
const ATTEMPTS: usize = 10;
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(15);

/// The largest result that is sent in one message, in bytes: schedulers take 4 MiB, and the envelope needs some room.
const LARGEST: usize = 3_900_000;

/// The result of a work item, to be sent to the scheduler.
#[derive(Debug)]
pub(super) enum WorkResult {
    Turn(Box<wire::OrchestratorResponse>),
    Batch(Box<wire::EntityBatchResult>),
    Activity(Box<wire::ActivityResponse>),
    /// The work item is given back: another worker should take it, or this one later.
    Abandon(WorkItemKind, String),
}

/// Where results go to be sent.
pub(super) type ResultSender = UnboundedSender<(WorkResult, InFlightGuard)>;

/// The results that are to be sent.
pub(super) type ResultReceiver = UnboundedReceiver<(WorkResult, InFlightGuard)>;

/// The calls that end a work item.
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

/// The calls that a worker makes of its scheduler, over the connection that works now: `replace` changes it for every clone.
/// Cheap to clone.
#[derive(Clone)]
pub(super) struct SchedulerClient {
    transport: Arc<RwLock<Transport>>,
    limit: usize,
    clock: Arc<dyn Clock>,
}

/// What to do about a call that failed.
#[derive(Debug, PartialEq, Eq)]
enum RetryDecision {
    /// The scheduler may not have received the result: send it again.
    Again,
    /// The scheduler has ended the work item, or has given it to another worker.
    Gone,
    /// The scheduler does not accept this result.
    Refused,
}

impl RetryDecision {
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

impl SchedulerClient {
    /// `limit` is the largest message that is taken or sent, in bytes.
    pub(super) fn new(transport: Transport, limit: usize, clock: Arc<dyn Clock>) -> Self {
        Self { transport: Arc::new(RwLock::new(transport)), limit, clock }
    }

    /// The connection that works now.
    pub(super) fn transport(&self) -> Transport {
        self.transport.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The generated client over the connection that works now.
    pub(super) fn stub(&self) -> SchedulerStub {
        self.transport().stub(self.limit)
    }

    pub(super) fn replace(&self, transport: Transport) {
        *self.transport.write().unwrap_or_else(PoisonError::into_inner) = transport;
    }

    async fn call(&self, rpc: Rpc, message: &Framed) -> Result<(), Status> {
        call(self.transport(), rpc.path(), message.clone()).await
    }

    /// Sends a result until the scheduler has accepted it or no attempt can help.
    ///
    /// # Errors
    ///
    /// The status with which the scheduler refused it.
    async fn send(&self, rpc: Rpc, message: &impl Message) -> Result<(), Status> {
        let message = Framed::new(message)?;
        match self.call(rpc, &message).await {
            Ok(()) => Ok(()),
            // In a box: this future is large and almost never needed.
            Err(status) => Box::pin(self.insist(rpc, message, status)).await,
        }
    }

    async fn insist(&self, rpc: Rpc, message: Framed, mut status: Status) -> Result<(), Status> {
        let mut delays = Backoff::new(FIRST_DELAY, LONGEST_DELAY, entropy::seed()).take(ATTEMPTS - 1);
        loop {
            match RetryDecision::of(status.code()) {
                RetryDecision::Gone => {
                    tracing::debug!(
                        ?rpc,
                        said = status.message(),
                        "the scheduler has no such work item any more; its result is dropped"
                    );
                    return Ok(());
                }
                RetryDecision::Refused => return Err(status),
                RetryDecision::Again => {}
            }
            let Some(delay) = delays.next() else {
                tracing::warn!(?rpc, code = ?status.code(), said = status.message(),
                    "a result could not be delivered; the scheduler will hand the work item out again");
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

    /// Completes an activity. A result that the scheduler refuses becomes a failure that it accepts.
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

    /// Completes a work item, or gives it back.
    pub(super) async fn complete(&self, answer: WorkResult) {
        match answer {
            WorkResult::Turn(response) => self.turn(*response).await,
            WorkResult::Batch(result) => self.batch(*result).await,
            WorkResult::Activity(response) => self.activity(*response).await,
            WorkResult::Abandon(kind, token) => self.abandon(kind, token).await,
        }
    }

    /// Completes a turn. Where the scheduler refuses its actions, the orchestration fails: another run would give the same
    /// actions.
    async fn turn(&self, response: wire::OrchestratorResponse) {
        let (instance_id, token) = (response.instance_id.clone(), response.completion_token.clone());
        for part in split_response(response, LARGEST) {
            let Err(status) = self.send(Rpc::Turn, &part).await else { continue };
            tracing::error!(instance = instance_id, code = ?status.code(), said = status.message(),
                "the scheduler refused a turn's actions; the orchestration fails");
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
        Box::pin(self.abandon(WorkItemKind::Batch, result.completion_token)).await;
    }

    /// Gives a work item back.
    pub(super) async fn abandon(&self, kind: WorkItemKind, completion_token: String) {
        let sent = match kind {
            WorkItemKind::Turn => {
                let request = wire::AbandonOrchestrationTaskRequest { completion_token };
                self.send(Rpc::AbandonTurn, &request).await
            }
            WorkItemKind::Batch => {
                let request = wire::AbandonEntityTaskRequest { completion_token };
                self.send(Rpc::AbandonBatch, &request).await
            }
            WorkItemKind::Activity => {
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
    fn a_result_that_may_not_have_arrived_is_sent_again_and_one_that_was_refused_is_not() {
        for code in [Code::Unavailable, Code::Unknown, Code::DeadlineExceeded, Code::Internal] {
            assert_eq!(RetryDecision::of(code), RetryDecision::Again);
        }
        assert_eq!(RetryDecision::of(Code::NotFound), RetryDecision::Gone);
        assert_eq!(RetryDecision::of(Code::InvalidArgument), RetryDecision::Refused);
    }
}
