//! Answers whether the emulator is up, over HTTP/1.1.
//!
//! Scripts ask in many ways (`GET /`, `/health`, `/healthz`, a ping of one hub); all of them get an answer.

use super::service::Hubs;
use crate::model::HubName;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;

/// The routes of the health port.
pub(super) fn router(hubs: Hubs) -> Router {
    Router::new()
        .route("/", get(|| async { "taskhub emulator: up\n" }))
        .route("/health", get(|| async { "up\n" }))
        .route("/healthz", get(|| async { StatusCode::NO_CONTENT }))
        .route("/v1/taskhubs/ping", get(ping))
        .with_state(hubs)
}

/// Whether the hub named by `x-taskhub` exists; `default` where none is named.
async fn ping(State(hubs): State<Hubs>, headers: HeaderMap) -> (StatusCode, String) {
    let named = headers.get("x-taskhub").and_then(|name| name.to_str().ok()).unwrap_or("default");
    match hubs.get(&HubName::new(named)) {
        Some(_) => (StatusCode::OK, String::new()),
        None => (StatusCode::NOT_FOUND, format!("Task hub not found: {named}\n")),
    }
}
