//! Routes the requests of the gRPC port: checks the length of a message before the service decodes it, serves the two
//! streams and the health service, and answers HTTP/1.1 clients with a hint.

use super::body::PeekedBody;
use super::encoded::RawReplyCodec;
use super::large_replies::HistoryChunks;
use super::oversized::{self, CompletionCall};
use super::streams::WorkItemStream;
use super::{Service, offload, status};
use crate::emulator::dispatch::CloseNotice;
use crate::wire::{self, task_hub_sidecar_service_server::TaskHubSidecarServiceServer};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response, Version};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tonic::Status;
use tonic::body::Body;
use tonic::server::{Grpc, ServerStreamingService};
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tower_service::Service as _;

const WORK_ITEMS: &str = "/TaskHubSidecarService/GetWorkItems";
const HISTORY: &str = "/TaskHubSidecarService/StreamInstanceHistory";
const HEALTH: &str = "/grpc.health.v1.Health/";

/// Handles the calls of one connection.
#[derive(Clone)]
struct CallHandler {
    service: Service,
    generated: TaskHubSidecarServiceServer<Service>,
    max_message: usize,
    /// Whether the client closes the connection gracefully.
    notice: Arc<CloseNotice>,
}

/// The service of the gRPC port.
#[derive(Clone)]
pub(in crate::emulator) struct GrpcRouter {
    calls: CallHandler,
    health: HealthServer<HealthService>,
    /// The text for HTTP/1.1 clients: where the health endpoint is.
    hint: Arc<str>,
}

impl GrpcRouter {
    pub(in crate::emulator) async fn new(service: Service, max_message: usize, hint: &str) -> Self {
        let reporter = HealthReporter::new();
        reporter.set_serving::<TaskHubSidecarServiceServer<Service>>().await;
        let health = HealthServer::new(HealthService::from_health_reporter(reporter));
        let generated = generated(service.clone(), max_message);
        let calls = CallHandler { service, generated, max_message, notice: Arc::default() };
        Self { calls, health, hint: hint.into() }
    }

    /// The same for another connection, with a budget of its own. `notice` keeps how its client closes it.
    pub(in crate::emulator) fn for_connection(&self, notice: Arc<CloseNotice>) -> Self {
        let budget = self.calls.service.budget.for_connection();
        let service = Service { budget, ..self.calls.service.clone() };
        let max_message = self.calls.max_message;
        let generated = generated(service.clone(), max_message);
        let calls = CallHandler { service, generated, max_message, notice };
        Self { calls, ..self.clone() }
    }
}

impl hyper::service::Service<Request<Incoming>> for GrpcRouter {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        if request.version() < Version::HTTP_2 {
            let answer = not_grpc(&self.hint);
            return Box::pin(std::future::ready(Ok(answer)));
        }
        if request.uri().path().starts_with(HEALTH) {
            let mut health = self.health.clone();
            return Box::pin(async move { health.call(request).await });
        }
        let calls = self.calls.clone();
        Box::pin(async move { Ok(calls.answer(request).await) })
    }
}

impl CallHandler {
    /// Reads the length of the message, then handles the call by it.
    async fn answer(self, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = PeekedBody::read(body).await;
        let length = body.length().unwrap_or_default();
        if length > self.max_message {
            return match CompletionCall::at(parts.uri.path()) {
                Some(completion) => match oversized::skim(completion, body, self.max_message).await {
                    Ok((oversized, small)) => {
                        let mut request = Request::from_parts(parts, small);
                        request.extensions_mut().insert(oversized);
                        self.call(request).await
                    }
                    Err(status) => status.into_http(),
                },
                None => oversized::refusal(length, self.max_message).into_http(),
            };
        }
        if length <= offload::LARGE && body.is_whole() {
            return self.call(Request::from_parts(parts, body)).await;
        }
        // A completion needs no permit: the work items that are out bound their number, and a completion must not be refused.
        let _permit = match CompletionCall::at(parts.uri.path()) {
            Some(_) => None,
            None => match self.service.budget.receive(length) {
                Ok(permit) => Some(permit),
                Err(status) => return status.into_http(),
            },
        };
        let request = Request::from_parts(parts, body.buffer().await);
        if length > offload::LARGE {
            offload::run(move || self.call(request)).await
        } else {
            self.call(request).await
        }
    }

    fn call<B>(self, request: Request<B>) -> BoxFuture<'static, Response<Body>>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    {
        match request.uri().path() {
            WORK_ITEMS => {
                let (mut grpc, items) = (self.grpc(), ServeWorkItems(self.service, self.notice));
                Box::pin(async move { status::correct_unread(grpc.server_streaming(items, request).await) })
            }
            HISTORY => {
                let (mut grpc, history) = (self.grpc(), ServeHistory(self.service));
                Box::pin(async move { status::correct_unread(grpc.server_streaming(history, request).await) })
            }
            _ => {
                let mut generated = self.generated;
                let answered = generated.call(request);
                Box::pin(async move {
                    let Ok(response) = answered.await;
                    status::correct_unread(response)
                })
            }
        }
    }

    fn grpc<T: prost::Message + Default + Send + 'static>(&self) -> Grpc<RawReplyCodec<T>> {
        Grpc::new(RawReplyCodec::default())
            .apply_max_message_size_config(Some(self.max_message), Some(usize::MAX))
    }
}

fn generated(service: Service, max_message: usize) -> TaskHubSidecarServiceServer<Service> {
    TaskHubSidecarServiceServer::new(service)
        .max_decoding_message_size(max_message)
        .max_encoding_message_size(usize::MAX)
}

/// The response to HTTP/1.1, as of a browser or `curl`. Scripts take any response on this port as a sign of health.
fn not_grpc(hint: &str) -> Response<Body> {
    let text = format!("This port of a taskhub emulator speaks gRPC over HTTP/2 without TLS. {hint}\n");
    let mut response = Response::new(Body::new(text));
    *response.status_mut() = http::StatusCode::BAD_REQUEST;
    let plain = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, plain);
    response
}

#[derive(Clone)]
struct ServeWorkItems(Service, Arc<CloseNotice>);

impl ServerStreamingService<wire::GetWorkItemsRequest> for ServeWorkItems {
    type Response = Bytes;
    type ResponseStream = WorkItemStream;
    type Future = std::future::Ready<Result<tonic::Response<WorkItemStream>, Status>>;

    fn call(&mut self, request: tonic::Request<wire::GetWorkItemsRequest>) -> Self::Future {
        let (metadata, _, message) = request.into_parts();
        std::future::ready(
            self.0.work_items(metadata.as_ref(), message, self.1.clone()).map(tonic::Response::new),
        )
    }
}

#[derive(Clone)]
struct ServeHistory(Service);

impl ServerStreamingService<wire::StreamInstanceHistoryRequest> for ServeHistory {
    type Response = Bytes;
    type ResponseStream = HistoryChunks;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<HistoryChunks>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<wire::StreamInstanceHistoryRequest>) -> Self::Future {
        let service = self.0.clone();
        let (metadata, _, message) = request.into_parts();
        Box::pin(async move { service.history(metadata.as_ref(), message).await })
    }
}
