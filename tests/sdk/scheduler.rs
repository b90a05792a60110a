//! Plays a scheduler that does as it is told, for what no honest one does: silence, refusals, stale tokens.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use taskhub::wire::task_hub_sidecar_service_server::{TaskHubSidecarService, TaskHubSidecarServiceServer};
use taskhub::wire::{self, WorkItem};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status};

type Stream<T> = Pin<Box<dyn futures::Stream<Item = Result<T, Status>> + Send>>;

/// One call that came in.
#[derive(Debug, Clone)]
pub struct Call {
    pub rpc: &'static str,
    pub metadata: MetadataMap,
}

impl Call {
    /// A header's value, or an empty string.
    pub fn header(&self, name: &str) -> &str {
        self.metadata.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// The scheduler. Dropping it closes its port and its connections.
pub struct Scheduler {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    calls: watch::Sender<Vec<Call>>,
    /// What to answer instead of OK, one for each call but the hellos.
    refusals: Mutex<VecDeque<Code>>,
    /// What goes into the newest stream.
    stream: Mutex<Option<mpsc::UnboundedSender<Result<WorkItem, Status>>>>,
    turns: watch::Sender<Vec<wire::OrchestratorResponse>>,
    activities: watch::Sender<Vec<wire::ActivityResponse>>,
    history: Mutex<Vec<wire::HistoryEvent>>,
    /// Whether completions are taken and never answered.
    silent: AtomicBool,
    how: Mutex<Histories>,
    /// How many endless histories were cut off by the worker.
    cut_off: watch::Sender<usize>,
}

/// How histories are sent.
#[derive(Clone, Copy, Default)]
enum Histories {
    #[default]
    Whole,
    /// Nothing comes.
    Held,
    Endless,
}

/// Says that a stream is gone.
struct Gone(Arc<Shared>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.cut_off.send_modify(|cut_off| *cut_off += 1);
    }
}

impl Scheduler {
    /// Listens in the clear.
    pub fn plain() -> Self {
        Self::start(Server::builder())
    }

    /// Listens with a certificate of its own for `localhost`; returns what to trust.
    pub fn tls() -> (Self, String) {
        // Two libraries of ours bring a provider each; a server must say which one it means.
        drop(rustls::crypto::ring::default_provider().install_default());
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let pem = made.cert.pem();
        let identity = Identity::from_pem(&pem, made.signing_key.serialize_pem());
        let server = Server::builder().tls_config(ServerTlsConfig::new().identity(identity)).unwrap();
        (Self::start(server), pem)
    }

    fn start(mut server: Server) -> Self {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap().with_nodelay(Some(true));
        let address = incoming.local_addr().unwrap();
        let shared = Arc::new(Shared {
            calls: watch::Sender::default(),
            refusals: Mutex::default(),
            stream: Mutex::default(),
            turns: watch::Sender::default(),
            activities: watch::Sender::default(),
            history: Mutex::default(),
            silent: AtomicBool::new(false),
            how: Mutex::default(),
            cut_off: watch::Sender::default(),
        });
        let service = TaskHubSidecarServiceServer::new(Handler(Arc::clone(&shared)));
        let serve = server.add_service(service).serve_with_incoming(incoming);
        let server = tokio::spawn(async move { serve.await.unwrap() });
        Self { address, shared, server }
    }

    /// Answers the next call, if it is no hello, with this code.
    pub fn refuse_next(&self, code: Code) {
        self.shared.refusals.lock().unwrap().push_back(code);
    }

    /// What a turn's history stream holds.
    pub fn set_history(&self, events: Vec<wire::HistoryEvent>) {
        *self.shared.history.lock().unwrap() = events;
    }

    /// Takes completions from now on and never answers them.
    pub fn fall_silent(&self) {
        self.shared.silent.store(true, Ordering::SeqCst);
    }

    /// Opens histories from now on and sends nothing.
    pub fn hold_histories(&self) {
        *self.shared.how.lock().unwrap() = Histories::Held;
    }

    /// Sends histories without end from now on.
    pub fn send_history_for_ever(&self) {
        *self.shared.how.lock().unwrap() = Histories::Endless;
    }

    /// Waits until a worker has cut a history without end off.
    pub async fn history_ended(&self) {
        self.shared.cut_off.subscribe().wait_for(|cut_off| *cut_off > 0).await.unwrap();
    }

    /// Hands out work on the newest stream.
    pub fn hand_out(&self, item: WorkItem) {
        self.shared.stream.lock().unwrap().as_ref().unwrap().send(Ok(item)).unwrap();
    }

    /// Ends the newest stream.
    pub fn end_stream(&self, how: Result<(), Status>) {
        let stream = self.shared.stream.lock().unwrap().take().unwrap();
        if let Err(status) = how {
            stream.send(Err(status)).unwrap();
        }
    }

    /// The calls of one kind, as soon as there are `count` of them.
    pub async fn calls(&self, rpc: &str, count: usize) -> Vec<Call> {
        let of = |calls: &Vec<Call>| calls.iter().filter(|call| call.rpc == rpc).cloned().collect::<Vec<_>>();
        let mut calls = self.shared.calls.subscribe();
        let calls = calls.wait_for(|calls| of(calls).len() >= count).await.unwrap();
        of(&calls)
    }

    /// Every call there was.
    pub fn all_calls(&self) -> Vec<Call> {
        self.shared.calls.borrow().clone()
    }

    /// The answers for activities, as soon as there are `count` of them.
    pub async fn activities(&self, count: usize) -> Vec<wire::ActivityResponse> {
        let mut activities = self.shared.activities.subscribe();
        activities.wait_for(|all| all.len() >= count).await.unwrap().clone()
    }

    /// The answers for turns, as soon as there are `count` of them.
    pub async fn turns(&self, count: usize) -> Vec<wire::OrchestratorResponse> {
        let mut turns = self.shared.turns.subscribe();
        turns.wait_for(|all| all.len() >= count).await.unwrap().clone()
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Handler(Arc<Shared>);

impl Handler {
    fn note<T>(&self, rpc: &'static str, request: &Request<T>) {
        let call = Call { rpc, metadata: request.metadata().clone() };
        self.0.calls.send_modify(|calls| calls.push(call));
    }

    /// Never ends once the scheduler has fallen silent.
    async fn keep_silent(&self) {
        if self.0.silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }

    fn history(&self, how: Histories) -> Stream<wire::HistoryChunk> {
        match how {
            Histories::Held => Box::pin(futures::stream::pending()),
            Histories::Whole => {
                let events = self.0.history.lock().unwrap().clone();
                let chunk = |event| Ok(wire::HistoryChunk { events: vec![event] });
                Box::pin(futures::stream::iter(events.into_iter().map(chunk)))
            }
            Histories::Endless => {
                let gone = Gone(Arc::clone(&self.0));
                let events = vec![wire::HistoryEvent::default(); 100];
                Box::pin(futures::stream::repeat_with(move || {
                    let _sent_while_there_is = &gone;
                    Ok(wire::HistoryChunk { events: events.clone() })
                }))
            }
        }
    }

    /// An answer, unless it is told to refuse.
    fn answer<T>(&self, answer: T) -> Result<Response<T>, Status> {
        match self.0.refusals.lock().unwrap().pop_front() {
            Some(code) => Err(Status::new(code, "told to refuse")),
            None => Ok(Response::new(answer)),
        }
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send + 'a>>;

/// The methods that this scheduler has no part for.
macro_rules! nothing {
    ($($method:ident($request:ty) -> $response:ty;)*) => {
        $(fn $method<'a, 'b>(&'a self, _: Request<$request>) -> Answer<'b, $response>
        where
            'a: 'b,
            Self: 'b,
        {
            Box::pin(async { Err(Status::unimplemented(stringify!($method))) })
        })*
    };
}

/// The methods that it has.
macro_rules! answers {
    ($($method:ident($request:ty) -> $response:ty, |$handler:ident, $with:ident| $body:expr;)*) => {
        $(fn $method<'a, 'b>(&'a self, $with: Request<$request>) -> Answer<'b, $response>
        where
            'a: 'b,
            Self: 'b,
        {
            self.note(stringify!($method), &$with);
            let $handler = self;
            Box::pin(async move { $body })
        })*
    };
}

impl TaskHubSidecarService for Handler {
    type GetWorkItemsStream = Stream<WorkItem>;
    type StreamInstanceHistoryStream = Stream<wire::HistoryChunk>;

    answers! {
        hello(()) -> (), |_handler, _request| Ok(Response::new(()));
        get_instance(wire::GetInstanceRequest) -> wire::GetInstanceResponse, |handler, _request| {
            handler.answer(wire::GetInstanceResponse::default())
        };
        wait_for_instance_completion(wire::GetInstanceRequest) -> wire::GetInstanceResponse, |handler, request| {
            let mut state = wire::OrchestrationState {
                instance_id: request.into_inner().instance_id,
                output: Some("7".into()),
                ..Default::default()
            };
            state.set_orchestration_status(wire::OrchestrationStatus::Completed);
            handler.answer(wire::GetInstanceResponse { exists: true, orchestration_state: Some(state) })
        };
        start_instance(wire::CreateInstanceRequest) -> wire::CreateInstanceResponse, |handler, request| {
            handler.answer(wire::CreateInstanceResponse { instance_id: request.into_inner().instance_id })
        };
        raise_event(wire::RaiseEventRequest) -> wire::RaiseEventResponse, |handler, _request| {
            handler.answer(wire::RaiseEventResponse {})
        };
        get_work_items(wire::GetWorkItemsRequest) -> Stream<WorkItem>, |handler, _request| {
            let (sender, receiver) = mpsc::unbounded_channel();
            *handler.0.stream.lock().unwrap() = Some(sender);
            Ok(Response::new(Box::pin(UnboundedReceiverStream::new(receiver)) as Stream<WorkItem>))
        };
        stream_instance_history(wire::StreamInstanceHistoryRequest) -> Stream<wire::HistoryChunk>,
        |handler, _request| {
            let how = *handler.0.how.lock().unwrap();
            Ok(Response::new(handler.history(how)))
        };
        complete_activity_task(wire::ActivityResponse) -> wire::CompleteTaskResponse, |handler, request| {
            let answer = handler.answer(wire::CompleteTaskResponse {});
            handler.0.activities.send_modify(|all| all.push(request.into_inner()));
            handler.keep_silent().await;
            answer
        };
        complete_orchestrator_task(wire::OrchestratorResponse) -> wire::CompleteTaskResponse, |handler, request| {
            let answer = handler.answer(wire::CompleteTaskResponse {});
            handler.0.turns.send_modify(|all| all.push(request.into_inner()));
            handler.keep_silent().await;
            answer
        };
        abandon_task_activity_work_item(wire::AbandonActivityTaskRequest)
            -> wire::AbandonActivityTaskResponse, |_handler, _request| {
            Ok(Response::new(wire::AbandonActivityTaskResponse {}))
        };
        abandon_task_orchestrator_work_item(wire::AbandonOrchestrationTaskRequest)
            -> wire::AbandonOrchestrationTaskResponse, |_handler, _request| {
            Ok(Response::new(wire::AbandonOrchestrationTaskResponse {}))
        };
    }

    nothing! {
        rewind_instance(wire::RewindInstanceRequest) -> wire::RewindInstanceResponse;
        restart_instance(wire::RestartInstanceRequest) -> wire::RestartInstanceResponse;
        wait_for_instance_start(wire::GetInstanceRequest) -> wire::GetInstanceResponse;
        terminate_instance(wire::TerminateRequest) -> wire::TerminateResponse;
        suspend_instance(wire::SuspendRequest) -> wire::SuspendResponse;
        resume_instance(wire::ResumeRequest) -> wire::ResumeResponse;
        query_instances(wire::QueryInstancesRequest) -> wire::QueryInstancesResponse;
        list_instance_ids(wire::ListInstanceIdsRequest) -> wire::ListInstanceIdsResponse;
        purge_instances(wire::PurgeInstancesRequest) -> wire::PurgeInstancesResponse;
        complete_entity_task(wire::EntityBatchResult) -> wire::CompleteTaskResponse;
        create_task_hub(wire::CreateTaskHubRequest) -> wire::CreateTaskHubResponse;
        delete_task_hub(wire::DeleteTaskHubRequest) -> wire::DeleteTaskHubResponse;
        signal_entity(wire::SignalEntityRequest) -> wire::SignalEntityResponse;
        get_entity(wire::GetEntityRequest) -> wire::GetEntityResponse;
        query_entities(wire::QueryEntitiesRequest) -> wire::QueryEntitiesResponse;
        clean_entity_storage(wire::CleanEntityStorageRequest) -> wire::CleanEntityStorageResponse;
        abandon_task_entity_work_item(wire::AbandonEntityTaskRequest) -> wire::AbandonEntityTaskResponse;
        skip_graceful_orchestration_terminations(wire::SkipGracefulOrchestrationTerminationsRequest)
            -> wire::SkipGracefulOrchestrationTerminationsResponse;
    }
}
