//! Every RPC: parse the request, ask the hub, render the reply.

use super::metadata::Sdk;
use super::oversized::Oversized;
use super::{Service, metadata, parse, render};
use crate::emulator::dispatch::HubHandle;
use crate::emulator::engine::command::{Command, PurgeTarget, Refusal, Reply, Until, WorkKind};
use crate::model::{InstanceId, Timestamp};
use crate::wire::{self, task_hub_sidecar_service_server::TaskHubSidecarService};
use std::time::Duration;
use tonic::{Request, Response, Status};

type RpcResult<T> = Result<Response<T>, Status>;

impl Service {
    pub(super) fn hub<T>(&self, request: &Request<T>) -> Result<HubHandle, Status> {
        self.hub_of(request.metadata().as_ref())
    }

    async fn ask<T>(
        &self,
        request: Request<T>,
        parse: impl FnOnce(T) -> Result<Command, Refusal>,
    ) -> Result<Result<Reply, Refusal>, Status> {
        let hub = self.hub(&request)?;
        Ok(hub.ask(parse(request.into_inner())?).await)
    }

    /// Completes a work item.
    async fn complete<T>(
        &self,
        request: Request<T>,
        parse: impl FnOnce(T) -> Command,
    ) -> RpcResult<wire::CompleteTaskResponse> {
        let sdk = metadata::sdk(request.metadata().as_ref());
        match self.ask(request, infallible(parse)).await? {
            // After any refusal Java's worker opens a second stream and never reads the first one again (R79).
            Err(Refusal::NoSuchWorkItem { .. }) if sdk == Sdk::Java => {
                Ok(Response::new(wire::CompleteTaskResponse {}))
            }
            reply => render::done(reply, wire::CompleteTaskResponse {}),
        }
    }

    /// Purges by filter in slices, so that the hub serves other calls in between and the client's timeout holds.
    async fn purge_filtered(
        &self,
        hub: &HubHandle,
        target: PurgeTarget,
        recursive: bool,
        deadline: Option<Timestamp>,
    ) -> RpcResult<wire::PurgeInstancesResponse> {
        let mut total = 0;
        loop {
            let command = Command::Purge { target: target.clone(), recursive };
            let Reply::Purged { deleted, more } = hub.ask(command).await? else {
                return Err(render::unexpected());
            };
            total += deleted;
            if !more {
                return Ok(render::purged(total, true));
            }
            if deadline.is_some_and(|deadline| self.clock.now() >= deadline) {
                return Ok(render::purged(total, false));
            }
        }
    }
}

/// The mark of a completion above the message limit.
fn oversized<T>(request: &Request<T>) -> Option<Oversized> {
    request.extensions().get().copied()
}

/// A parser that cannot fail.
fn infallible<T>(parse: impl FnOnce(T) -> Command) -> impl FnOnce(T) -> Result<Command, Refusal> {
    |request| Ok(parse(request))
}

#[tonic::async_trait]
impl TaskHubSidecarService for Service {
    async fn hello(&self, request: Request<()>) -> RpcResult<()> {
        self.hub(&request)?;
        Ok(Response::new(()))
    }

    async fn start_instance(
        &self,
        request: Request<wire::CreateInstanceRequest>,
    ) -> RpcResult<wire::CreateInstanceResponse> {
        let reply = self.ask(request, |request| self.parse_start(request)).await?;
        Ok(Response::new(wire::CreateInstanceResponse { instance_id: render::started(reply)? }))
    }

    async fn get_instance(
        &self,
        request: Request<wire::GetInstanceRequest>,
    ) -> RpcResult<wire::GetInstanceResponse> {
        self.read(request, parse::get, render::state).await
    }

    async fn rewind_instance(
        &self,
        request: Request<wire::RewindInstanceRequest>,
    ) -> RpcResult<wire::RewindInstanceResponse> {
        let parse = |request: wire::RewindInstanceRequest| {
            self.reason(request.reason.as_ref())?;
            Ok(Command::Rewind { id: InstanceId::unchecked(request.instance_id), reason: request.reason })
        };
        render::done(self.ask(request, parse).await?, wire::RewindInstanceResponse {})
    }

    async fn restart_instance(
        &self,
        request: Request<wire::RestartInstanceRequest>,
    ) -> RpcResult<wire::RestartInstanceResponse> {
        let parse = |request: wire::RestartInstanceRequest| {
            self.capacity.check()?;
            let id = InstanceId::unchecked(request.instance_id);
            Ok(Command::Restart { id, new_id: request.restart_with_new_instance_id })
        };
        let reply = self.ask(request, parse).await?;
        Ok(Response::new(wire::RestartInstanceResponse { instance_id: render::started(reply)? }))
    }

    async fn wait_for_instance_start(
        &self,
        request: Request<wire::GetInstanceRequest>,
    ) -> RpcResult<wire::GetInstanceResponse> {
        self.wait(request, Until::Started).await
    }

    async fn wait_for_instance_completion(
        &self,
        request: Request<wire::GetInstanceRequest>,
    ) -> RpcResult<wire::GetInstanceResponse> {
        self.wait(request, Until::Ended).await
    }

    async fn raise_event(
        &self,
        request: Request<wire::RaiseEventRequest>,
    ) -> RpcResult<wire::RaiseEventResponse> {
        let reply = self.ask(request, |request| self.parse_raise(request)).await?;
        render::done(reply, wire::RaiseEventResponse {})
    }

    async fn terminate_instance(
        &self,
        request: Request<wire::TerminateRequest>,
    ) -> RpcResult<wire::TerminateResponse> {
        let reply = self.ask(request, |request| self.parse_terminate(request)).await?;
        render::done(reply, wire::TerminateResponse {})
    }

    async fn suspend_instance(
        &self,
        request: Request<wire::SuspendRequest>,
    ) -> RpcResult<wire::SuspendResponse> {
        let parse = |request: wire::SuspendRequest| {
            self.reason(request.reason.as_ref())?;
            Ok(Command::Suspend { id: InstanceId::unchecked(request.instance_id), reason: request.reason })
        };
        render::done(self.ask(request, parse).await?, wire::SuspendResponse {})
    }

    async fn resume_instance(
        &self,
        request: Request<wire::ResumeRequest>,
    ) -> RpcResult<wire::ResumeResponse> {
        let parse = |request: wire::ResumeRequest| {
            self.reason(request.reason.as_ref())?;
            Ok(Command::Resume { id: InstanceId::unchecked(request.instance_id), reason: request.reason })
        };
        render::done(self.ask(request, parse).await?, wire::ResumeResponse {})
    }

    async fn query_instances(
        &self,
        request: Request<wire::QueryInstancesRequest>,
    ) -> RpcResult<wire::QueryInstancesResponse> {
        self.read(request, parse::query, render::states).await
    }

    async fn list_instance_ids(
        &self,
        request: Request<wire::ListInstanceIdsRequest>,
    ) -> RpcResult<wire::ListInstanceIdsResponse> {
        let sdk = metadata::sdk(request.metadata().as_ref());
        render::ids(self.ask(request, infallible(|request| parse::list_ids(request, sdk))).await?)
    }

    async fn purge_instances(
        &self,
        request: Request<wire::PurgeInstancesRequest>,
    ) -> RpcResult<wire::PurgeInstancesResponse> {
        let hub = self.hub(&request)?;
        let request = request.into_inner();
        let recursive = request.recursive;
        let (target, timeout) = parse::purge(request)?;
        let deadline = timeout.map(|timeout: Duration| self.clock.now().plus(timeout));
        self.purge_filtered(&hub, target, recursive, deadline).await
    }

    type GetWorkItemsStream = tokio_stream::Empty<Result<wire::WorkItem, Status>>;

    async fn get_work_items(
        &self,
        _: Request<wire::GetWorkItemsRequest>,
    ) -> RpcResult<Self::GetWorkItemsStream> {
        // `GrpcRouter` serves this stream before a request gets here.
        Err(render::unexpected())
    }

    async fn complete_activity_task(
        &self,
        request: Request<wire::ActivityResponse>,
    ) -> RpcResult<wire::CompleteTaskResponse> {
        let oversized = oversized(&request);
        let parse = |answer: wire::ActivityResponse| match oversized {
            None => Command::CompleteActivity(Box::new(answer)),
            Some(oversized) => {
                let wire::ActivityResponse { completion_token, instance_id, task_id, .. } = answer;
                oversized.fails(WorkKind::Activity, completion_token, instance_id, task_id)
            }
        };
        self.complete(request, parse).await
    }

    async fn complete_orchestrator_task(
        &self,
        request: Request<wire::OrchestratorResponse>,
    ) -> RpcResult<wire::CompleteTaskResponse> {
        let oversized = oversized(&request);
        let parse = |answer: wire::OrchestratorResponse| match oversized {
            None => Command::CompleteTurn(Box::new(answer)),
            Some(oversized) => {
                oversized.fails(WorkKind::Turn, answer.completion_token, answer.instance_id, 0)
            }
        };
        self.complete(request, parse).await
    }

    async fn complete_entity_task(
        &self,
        request: Request<wire::EntityBatchResult>,
    ) -> RpcResult<wire::CompleteTaskResponse> {
        let oversized = oversized(&request);
        let parse = |answer: wire::EntityBatchResult| match oversized {
            None => Command::CompleteBatch(Box::new(answer)),
            Some(oversized) => oversized.fails(WorkKind::Batch, answer.completion_token, String::new(), 0),
        };
        self.complete(request, parse).await
    }

    type StreamInstanceHistoryStream = tokio_stream::Empty<Result<wire::HistoryChunk, Status>>;

    async fn stream_instance_history(
        &self,
        _: Request<wire::StreamInstanceHistoryRequest>,
    ) -> RpcResult<Self::StreamInstanceHistoryStream> {
        // `GrpcRouter` serves this stream before a request gets here.
        Err(render::unexpected())
    }

    async fn create_task_hub(
        &self,
        request: Request<wire::CreateTaskHubRequest>,
    ) -> RpcResult<wire::CreateTaskHubResponse> {
        let replace = request.get_ref().recreate_if_exists;
        self.hubs.create(metadata::hub(request.metadata().as_ref())?, replace).await?;
        Ok(Response::new(wire::CreateTaskHubResponse {}))
    }

    async fn delete_task_hub(
        &self,
        request: Request<wire::DeleteTaskHubRequest>,
    ) -> RpcResult<wire::DeleteTaskHubResponse> {
        self.hubs.delete(metadata::hub(request.metadata().as_ref())?).await?;
        Ok(Response::new(wire::DeleteTaskHubResponse {}))
    }

    async fn signal_entity(
        &self,
        request: Request<wire::SignalEntityRequest>,
    ) -> RpcResult<wire::SignalEntityResponse> {
        let reply = self.ask(request, |request| self.parse_signal(request)).await?;
        render::done(reply, wire::SignalEntityResponse {})
    }

    async fn get_entity(
        &self,
        request: Request<wire::GetEntityRequest>,
    ) -> RpcResult<wire::GetEntityResponse> {
        let parse = |request: wire::GetEntityRequest| Command::GetEntity {
            id: InstanceId::unchecked(request.instance_id),
            state: request.include_state,
        };
        self.read(request, parse, render::entity).await
    }

    async fn query_entities(
        &self,
        request: Request<wire::QueryEntitiesRequest>,
    ) -> RpcResult<wire::QueryEntitiesResponse> {
        self.read(request, parse::query_entities, render::entities).await
    }

    /// The emulator removes empty entities by itself, as the service does: the counts are always zero
    /// (protocol/entities.md#cleaning).
    async fn clean_entity_storage(
        &self,
        request: Request<wire::CleanEntityStorageRequest>,
    ) -> RpcResult<wire::CleanEntityStorageResponse> {
        self.hub(&request)?;
        Ok(Response::new(wire::CleanEntityStorageResponse::default()))
    }

    async fn abandon_task_activity_work_item(
        &self,
        request: Request<wire::AbandonActivityTaskRequest>,
    ) -> RpcResult<wire::AbandonActivityTaskResponse> {
        let parse = |request: wire::AbandonActivityTaskRequest| Command::Abandon {
            kind: WorkKind::Activity,
            token: request.completion_token,
        };
        render::done(self.ask(request, infallible(parse)).await?, wire::AbandonActivityTaskResponse {})
    }

    async fn abandon_task_orchestrator_work_item(
        &self,
        request: Request<wire::AbandonOrchestrationTaskRequest>,
    ) -> RpcResult<wire::AbandonOrchestrationTaskResponse> {
        let parse = |request: wire::AbandonOrchestrationTaskRequest| Command::Abandon {
            kind: WorkKind::Turn,
            token: request.completion_token,
        };
        render::done(self.ask(request, infallible(parse)).await?, wire::AbandonOrchestrationTaskResponse {})
    }

    async fn abandon_task_entity_work_item(
        &self,
        request: Request<wire::AbandonEntityTaskRequest>,
    ) -> RpcResult<wire::AbandonEntityTaskResponse> {
        let parse = |request: wire::AbandonEntityTaskRequest| Command::Abandon {
            kind: WorkKind::Batch,
            token: request.completion_token,
        };
        render::done(self.ask(request, infallible(parse)).await?, wire::AbandonEntityTaskResponse {})
    }

    async fn skip_graceful_orchestration_terminations(
        &self,
        request: Request<wire::SkipGracefulOrchestrationTerminationsRequest>,
    ) -> RpcResult<wire::SkipGracefulOrchestrationTerminationsResponse> {
        self.hub(&request)?;
        // As the official emulator answers it (protocol/instances.md#skipping-terminations).
        Err(Status::unimplemented(
            "the emulator does not skip graceful terminations; terminate the instances instead",
        ))
    }
}
