//! Answers whether the emulator is up, over HTTP/1.1.
//!
//! Scripts ask in many ways (`GET /`, `/health`, `/healthz`, a ping of one hub); all of them get an answer.

use super::dispatch::{HubError, Hubs};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::routing::get;
use http::{Request, Response};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use tower_service::Service as _;

/// What a connection to the health port talks to.
#[derive(Debug, Clone)]
pub(super) struct Health(Router);

impl Health {
    pub(super) fn new(hubs: Hubs) -> Self {
        let router = Router::new()
            .route("/", get(|| async { "taskhub emulator: up\n" }))
            .route("/health", get(|| async { "up\n" }))
            .route("/healthz", get(|| async { StatusCode::NO_CONTENT }))
            .route("/v1/taskhubs/ping", get(ping))
            .with_state(hubs);
        Self(router)
    }
}

impl hyper::service::Service<Request<Incoming>> for Health {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        Box::pin(self.0.clone().call(request))
    }
}

/// Whether a gRPC request with the hub of `x-taskhub`, or with none, would find one.
async fn ping(State(hubs): State<Hubs>, headers: HeaderMap) -> (StatusCode, String) {
    let named = match headers.get("x-taskhub").map(HeaderValue::to_str).transpose() {
        Ok(named) => named.filter(|name| !name.trim().is_empty()),
        Err(_) => {
            return (StatusCode::BAD_REQUEST, "the header 'x-taskhub' is not printable ASCII\n".to_owned());
        }
    };
    let Err(error) = hubs.find(named) else { return (StatusCode::OK, String::new()) };
    match error {
        HubError::NotFound { .. } => (StatusCode::NOT_FOUND, format!("{error}\n")),
        HubError::Unnamed => (StatusCode::BAD_REQUEST, format!("{error}; send the header 'x-taskhub'\n")),
        HubError::AlreadyExists { .. } | HubError::ServesTheUnnamed { .. } => {
            (StatusCode::BAD_REQUEST, format!("{error}\n"))
        }
    }
}
