//! Carries calls: one HTTP/2 connection, the metadata that every call has, and what became of a call that failed.

use super::loopback::Loopback;
use super::{InvalidTarget, Target};
use crate::sdk::auth;
use crate::wire::task_hub_sidecar_service_client::TaskHubSidecarServiceClient;
use http::HeaderValue;
use http::header::{AUTHORIZATION, HeaderName};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Code, Status};

/// How much of one stream may be under way: a turn with a long history must not wait for acknowledgements.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
/// How much of all streams may be under way.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// How long a connection may take to come up.
const CONNECT: Duration = Duration::from_secs(10);

const TASKHUB: HeaderName = HeaderName::from_static("taskhub");
const WORKER_ID: HeaderName = HeaderName::from_static("workerid");
const USER_AGENT: HeaderName = HeaderName::from_static("x-user-agent");

/// The generated client over our transport.
pub(crate) type SchedulerStub = TaskHubSidecarServiceClient<Transport>;

type Error = Box<dyn std::error::Error + Send + Sync>;
type CallResult = Result<http::Response<Body>, Error>;
type ChannelFuture = <Channel as Service<http::Request<Body>>>::Future;

/// A connection to a target that puts hub, identity and names into every call. Cheap to clone.
///
/// It connects when it is first used, and again when the connection was lost.
#[derive(Clone)]
pub(crate) struct Transport {
    channel: Channel,
    headers: Arc<Headers>,
    tokens: Option<Arc<auth::Cache>>,
}

struct Headers {
    hub: HeaderValue,
    agent: HeaderValue,
    worker: Option<HeaderValue>,
}

/// Whether a client or a worker makes the calls, as `x-user-agent` tells.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role<'a> {
    /// A client.
    Client,
    /// A worker with its id.
    Worker(&'a str),
}

impl Transport {
    /// A transport to `target`; must be called inside a tokio runtime, which then carries the connection.
    pub(crate) fn new(target: &Target, role: Role<'_>) -> Result<Self, InvalidTarget> {
        let text = |value: &str, why| {
            HeaderValue::from_str(value)
                .map_err(|_| InvalidTarget::Endpoint { endpoint: target.to_string(), why })
        };
        let (caller, worker) = match role {
            Role::Client => ("TaskHubClient", None),
            Role::Worker(id) => ("TaskHubWorker", Some(text(id, "the worker id is not printable ASCII")?)),
        };
        let agent = format!("taskhub-rust/{} ({caller})", env!("CARGO_PKG_VERSION"));
        let headers = Headers {
            hub: text(target.hub.as_str(), "the task hub's name is not printable ASCII")?,
            agent: text(&agent, "the user agent is not printable ASCII")?,
            worker,
        };
        let tokens =
            target.identity.as_ref().map(|source| auth::Cache::new(source.clone(), target.clock.clone()));
        Ok(Self { channel: channel(target)?, headers: Arc::new(headers), tokens: tokens.map(Arc::new) })
    }

    /// The generated client over this transport.
    pub(crate) fn stub(&self, max_message: usize) -> SchedulerStub {
        SchedulerStub::new(self.clone())
            .max_decoding_message_size(max_message)
            .max_encoding_message_size(max_message)
    }
}

fn channel(target: &Target) -> Result<Channel, InvalidTarget> {
    let wrong = |why| InvalidTarget::Endpoint { endpoint: target.endpoint.to_string(), why };
    let builder = Channel::from_shared(target.endpoint.to_string())
        .map_err(|_| wrong("it is not an address"))?
        .tcp_nodelay(true)
        .connect_timeout(CONNECT)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(target.keep_alive.every)
        .keep_alive_timeout(target.keep_alive.answer)
        .keep_alive_while_idle(true);
    let builder = if target.endpoint.is_tls() {
        let tls = ClientTlsConfig::new().with_native_roots();
        let tls = match &target.roots {
            Some(pem) => tls.ca_certificate(Certificate::from_pem(pem.as_bytes())),
            None => tls,
        };
        builder.tls_config(tls).map_err(|_| wrong("TLS cannot be set up for it"))?
    } else {
        builder
    };
    let endpoint = &target.endpoint;
    if !endpoint.is_tls() && endpoint.host().eq_ignore_ascii_case("localhost") {
        return Ok(builder.connect_with_connector_lazy(Loopback { port: endpoint.port() }));
    }
    Ok(builder.connect_lazy())
}

impl Service<http::Request<Body>> for Transport {
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = CallFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.channel.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> CallFuture {
        let headers = request.headers_mut();
        headers.insert(TASKHUB, self.headers.hub.clone());
        headers.insert(USER_AGENT, self.headers.agent.clone());
        if let Some(worker) = &self.headers.worker {
            headers.insert(WORKER_ID, worker.clone());
        }
        let Some(tokens) = &self.tokens else {
            return CallFuture::Sent(self.channel.call(request));
        };
        if let Some(token) = tokens.fresh() {
            headers.insert(AUTHORIZATION, token);
            return CallFuture::Sent(self.channel.call(request));
        }
        // The channel that was polled ready must make the call; a clone would not be ready.
        let channel = self.channel.clone();
        let mut channel = std::mem::replace(&mut self.channel, channel);
        let tokens = Arc::clone(tokens);
        CallFuture::Asking(Box::pin(async move {
            let token = tokens.get().await.map_err(|error| Status::unauthenticated(error.to_string()))?;
            request.headers_mut().insert(AUTHORIZATION, token);
            channel.call(request).await.map_err(Into::into)
        }))
    }
}

/// A call under way.
pub(crate) enum CallFuture {
    /// Sent; the usual case, which costs nothing over the channel's own future.
    Sent(ChannelFuture),
    /// Waits for a token first.
    Asking(Pin<Box<dyn Future<Output = CallResult> + Send>>),
}

impl Future for CallFuture {
    type Output = CallResult;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CallResult> {
        match self.get_mut() {
            Self::Sent(call) => Pin::new(call).poll(cx).map_err(Into::into),
            Self::Asking(asking) => asking.as_mut().poll(cx),
        }
    }
}

/// How far a failed call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// There was no connection: nothing was sent.
    NotSent,
    /// The connection was lost on the way: it may have been carried out.
    Lost,
    /// A server answered.
    Answered,
}

impl Reach {
    /// Reads it from a call's status.
    pub(crate) fn of(status: &Status) -> Self {
        let mut source = std::error::Error::source(status);
        if source.is_none() {
            return Self::Answered;
        }
        while let Some(error) = source {
            if error.is::<tonic::ConnectError>() {
                return Self::NotSent;
            }
            if error.is::<Status>() {
                return Self::Answered;
            }
            source = error.source();
        }
        let lost =
            matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled);
        if lost { Self::Lost } else { Self::Answered }
    }
}
