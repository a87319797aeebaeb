//! What asks for no token: health, metrics, the description of the API.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::call::{Call, json as answer};
use super::problem::{Kind, Problem};

/// Prometheus' text format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Says that the process is alive.
pub(super) async fn alive(_: Call) -> Response {
    answer(StatusCode::OK, &json!({"status": "alive"}))
}

/// Says whether current data is served and changes are taken.
pub(super) async fn ready(call: Call) -> Result<Response, Problem> {
    if !call.api.engine.is_ready() {
        return Err(Problem::new(
            Kind::Unavailable,
            "the server is starting or stopping",
        ));
    }
    let view = call.api.engine.view();
    let revision = view.revision();
    // What a backup filled is served, but withdraws nothing for a while (K28).
    let document = match view.recovering() {
        None => json!({"status": "ready", "revision": revision}),
        Some((until, bogus)) => {
            let bogus = bogus.iter().map(|name| json!(name.to_api_text()));
            json!({
                "status": "recovering",
                "revision": revision,
                "until": until.to_string(),
                "ds_matches_no_key": bogus.collect::<serde_json::Value>(),
            })
        }
    };
    Ok(answer(StatusCode::OK, &document))
}

/// Returns every metric.
pub(super) async fn metrics(call: Call) -> Response {
    let headers = [(header::CONTENT_TYPE, METRICS)];
    (headers, call.api.metrics.render()).into_response()
}

/// Returns the description of this API.
pub(super) async fn describe(_: Call) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (headers, super::openapi::openapi()).into_response()
}
