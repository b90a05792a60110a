//! Measures what gRPC itself allows: a server pushes a message down a stream, the client answers with a call.
//!
//! Nothing is decided or stored, so no emulator and worker over gRPC can be faster. Server and client have a
//! thread and a current-thread runtime each, as ours do; the messages are of the size of an activity's.

use http::{Request, Response};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use taskhub::wire;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::body::Body;
use tonic::server::{Grpc, ServerStreamingService, UnaryService};
use tonic_prost::ProstCodec;

type Items = UnboundedReceiverStream<Result<wire::WorkItem, tonic::Status>>;

/// How long `trips` round trips take with `in_flight` of them under way at once.
pub(crate) fn measure(trips: usize, in_flight: usize) -> Duration {
    let (address_sender, address) = std::sync::mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = std::thread::spawn(move || {
        super::runtime().block_on(async move {
            let listener =
                tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
            address_sender.send(listener.local_addr().expect("it is bound")).expect("somebody waits");
            let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
            tonic::transport::Server::builder()
                .initial_stream_window_size(8 << 20)
                .initial_connection_window_size(8 << 20)
                .serve_with_incoming_shutdown(Pushing::new(trips, in_flight), incoming, async {
                    drop(stopped.await);
                })
                .await
                .expect("the server runs");
        });
    });
    let address = address.recv().expect("the server says where it is");
    let took = std::thread::spawn(move || super::runtime().block_on(answer(address, trips)))
        .join()
        .expect("the client runs");
    drop(stop);
    server.join().expect("the server stops");
    took
}

/// Takes every message and answers it, each answer a call of its own.
async fn answer(address: std::net::SocketAddr, trips: usize) -> Duration {
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))
        .expect("an address is a URI")
        .initial_stream_window_size(8 << 20)
        .initial_connection_window_size(8 << 20)
        .tcp_nodelay(true)
        .connect()
        .await
        .expect("the server listens");
    let mut client = wire::task_hub_sidecar_service_client::TaskHubSidecarServiceClient::new(channel);
    let began = Instant::now();
    let mut items =
        client.get_work_items(wire::GetWorkItemsRequest::default()).await.expect("it streams").into_inner();
    let mut answers = tokio::task::JoinSet::new();
    for _ in 0..trips {
        let item = items.message().await.expect("the stream lives").expect("there is one more");
        let mut client = client.clone();
        answers.spawn(async move {
            let answer = wire::ActivityResponse {
                instance_id: "0123456789abcdef0123456789abcdef".into(),
                task_id: 1,
                result: Some("123456789".into()),
                failure_details: None,
                completion_token: item.completion_token,
            };
            client.complete_activity_task(answer).await.expect("it is taken");
        });
        while answers.try_join_next().is_some() {}
    }
    while answers.join_next().await.is_some() {}
    began.elapsed()
}

/// A service that keeps `in_flight` messages under way until all are sent.
#[derive(Clone)]
struct Pushing {
    left: Arc<AtomicUsize>,
    in_flight: usize,
    stream: Arc<Mutex<Option<Sender>>>,
}

type Sender = mpsc::UnboundedSender<Result<wire::WorkItem, tonic::Status>>;

impl Pushing {
    fn new(trips: usize, in_flight: usize) -> Self {
        Self { left: Arc::new(AtomicUsize::new(trips)), in_flight, stream: Arc::default() }
    }

    fn push(&self) {
        let took = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        let Ok(left) = took else { return };
        let request = wire::ActivityRequest {
            name: "square".into(),
            input: Some("12345".into()),
            orchestration_instance: Some(wire::OrchestrationInstance {
                instance_id: "0123456789abcdef0123456789abcdef".into(),
                execution_id: Some("0123456789abcdef0123456789abcdef".into()),
            }),
            task_id: i32::try_from(left).unwrap_or(i32::MAX),
            ..wire::ActivityRequest::default()
        };
        let item = wire::WorkItem {
            request: Some(wire::work_item::Request::ActivityRequest(request)),
            completion_token: "0123456789abcdef0123456789abcdef:1".into(),
        };
        if let Some(stream) = self.stream.lock().expect("nobody panics with it").as_ref() {
            drop(stream.send(Ok(item)));
        }
    }
}

impl ServerStreamingService<wire::GetWorkItemsRequest> for Pushing {
    type Response = wire::WorkItem;
    type ResponseStream = Items;
    type Future = std::future::Ready<Result<tonic::Response<Items>, tonic::Status>>;

    fn call(&mut self, _: tonic::Request<wire::GetWorkItemsRequest>) -> Self::Future {
        let (sender, receiver) = mpsc::unbounded_channel();
        *self.stream.lock().expect("nobody panics with it") = Some(sender);
        for _ in 0..self.in_flight {
            self.push();
        }
        std::future::ready(Ok(tonic::Response::new(UnboundedReceiverStream::new(receiver))))
    }
}

impl UnaryService<wire::ActivityResponse> for Pushing {
    type Response = wire::CompleteTaskResponse;
    type Future = std::future::Ready<Result<tonic::Response<wire::CompleteTaskResponse>, tonic::Status>>;

    fn call(&mut self, _: tonic::Request<wire::ActivityResponse>) -> Self::Future {
        self.push();
        std::future::ready(Ok(tonic::Response::new(wire::CompleteTaskResponse {})))
    }
}

impl tonic::server::NamedService for Pushing {
    const NAME: &'static str = "TaskHubSidecarService";
}

impl tower_service::Service<Request<Body>> for Pushing {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            Ok(if request.uri().path().ends_with("/GetWorkItems") {
                Grpc::new(ProstCodec::default()).server_streaming(service, request).await
            } else {
                Grpc::new(ProstCodec::default()).unary(service, request).await
            })
        })
    }
}
