//! Stands before the service: holds messages to their limit, serves the two streams, and tells HTTP/1.1 clients where they
//! are.

use super::announced::Announced;
use super::encoded::Encoded;
use super::oversized::{self, Completion};
use super::reading::Chunks;
use super::streams::WorkItems;
use super::{Service, elsewhere, status};
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
use tonic::body::Body;
use tonic::server::{Grpc, ServerStreamingService};
use tonic::{Request as Asked, Response as Answer, Status};
use tower_service::Service as _;

const WORK_ITEMS: &str = "/TaskHubSidecarService/GetWorkItems";
const HISTORY: &str = "/TaskHubSidecarService/StreamInstanceHistory";
const HEALTH: &str = "/grpc.health.v1.Health/";

/// What answers calls.
#[derive(Clone)]
struct Calls {
    service: Service,
    generated: TaskHubSidecarServiceServer<Service>,
    max_message: usize,
    /// Whether the client closes the connection in good order.
    notice: Arc<CloseNotice>,
}

/// What a connection talks to.
#[derive(Clone)]
pub(in crate::emulator) struct Front<H> {
    calls: Calls,
    health: H,
    /// Said to HTTP/1.1 clients: where health is.
    hint: Arc<str>,
}

impl<H> Front<H>
where
    H: tower_service::Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    H::Future: Send,
{
    pub(in crate::emulator) fn new(service: Service, health: H, max_message: usize, hint: &str) -> Self {
        let generated = generated(service.clone(), max_message);
        let calls = Calls { service, generated, max_message, notice: Arc::default() };
        Self { calls, health, hint: hint.into() }
    }
}

impl<H: Clone> Front<H> {
    /// The same for one more connection, with bounds of its own. `notice` keeps how its client closes it.
    pub(in crate::emulator) fn over(&self, notice: Arc<CloseNotice>) -> Self {
        let admission = self.calls.service.admission.of_connection();
        let service = Service { admission, ..self.calls.service.clone() };
        let max_message = self.calls.max_message;
        let calls =
            Calls { generated: generated(service.clone(), max_message), service, max_message, notice };
        Self { calls, ..self.clone() }
    }
}

impl<H> hyper::service::Service<Request<Incoming>> for Front<H>
where
    H: tower_service::Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    H::Future: Send,
{
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
        let front = self.calls.clone();
        Box::pin(async move { Ok(front.answer(request).await) })
    }
}

impl Calls {
    /// Answers a call, once it is known how long its message is.
    async fn answer(self, request: Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = Announced::read(body).await;
        let length = body.length().unwrap_or_default();
        if length > self.max_message {
            return match Completion::at(parts.uri.path()) {
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
        if length <= elsewhere::LARGE && body.is_whole() {
            return self.call(Request::from_parts(parts, body)).await;
        }
        // Completions are counted by the work items that are out, and refused for their tokens alone.
        let _receiving = match Completion::at(parts.uri.path()) {
            Some(_) => None,
            None => match self.service.admission.receive(length) {
                Ok(receiving) => Some(receiving),
                Err(status) => return status.into_http(),
            },
        };
        let request = Request::from_parts(parts, body.gather().await);
        if length > elsewhere::LARGE {
            elsewhere::begin(move || self.call(request)).await
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

    fn grpc<T: prost::Message + Default + Send + 'static>(&self) -> Grpc<Encoded<T>> {
        Grpc::new(Encoded::default()).apply_max_message_size_config(Some(self.max_message), Some(usize::MAX))
    }
}

fn generated(service: Service, max_message: usize) -> TaskHubSidecarServiceServer<Service> {
    TaskHubSidecarServiceServer::new(service)
        .max_decoding_message_size(max_message)
        .max_encoding_message_size(usize::MAX)
}

/// What a browser or `curl` gets: scripts use any answer on this port as "it is up".
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
    type ResponseStream = WorkItems;
    type Future = std::future::Ready<Result<Answer<WorkItems>, Status>>;

    fn call(&mut self, request: Asked<wire::GetWorkItemsRequest>) -> Self::Future {
        let (metadata, _, message) = request.into_parts();
        std::future::ready(self.0.work_items(metadata.as_ref(), message, self.1.clone()).map(Answer::new))
    }
}

#[derive(Clone)]
struct ServeHistory(Service);

impl ServerStreamingService<wire::StreamInstanceHistoryRequest> for ServeHistory {
    type Response = Bytes;
    type ResponseStream = Chunks;
    type Future = Pin<Box<dyn Future<Output = Result<Answer<Chunks>, Status>> + Send>>;

    fn call(&mut self, request: Asked<wire::StreamInstanceHistoryRequest>) -> Self::Future {
        let service = self.0.clone();
        let (metadata, _, message) = request.into_parts();
        Box::pin(async move { service.history(metadata.as_ref(), message).await })
    }
}
