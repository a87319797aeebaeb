//! Metrics on an address of their own.

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

use crate::metrics::Metrics;

/// The media type of Prometheus' text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Returns the one route that a scraper asks for.
pub(super) fn router(metrics: Arc<Metrics>) -> Router {
    let render = move || async move { ([(CONTENT_TYPE, TEXT_FORMAT)], metrics.render()) };
    Router::new().route("/metrics", get(render))
}
