use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};

use super::body;
use super::problem::{Kind, Problem};
use super::routes;
use crate::engine::{Actor, Engine};
use crate::metrics::Metrics;

/// What every handler works with.
#[derive(Clone, Debug)]
pub(super) struct Api {
    /// The control plane.
    pub(super) engine: Engine,
    /// What is counted.
    pub(super) metrics: Arc<Metrics>,
}

/// What asks for no token; everything else does.
const PUBLIC: [&str; 5] = ["/", "/healthz", "/readyz", "/metrics", "/openapi.json"];

/// Returns the whole API.
pub fn router(engine: Engine, metrics: Arc<Metrics>) -> Router {
    let api = Arc::new(Api { engine, metrics });
    let router = routes::all()
        .into_iter()
        .fold(Router::new(), |router, route| {
            router.route(route.path, route.handler)
        });
    router
        .fallback(|request: Request| async move {
            let path = request.uri().path().to_owned();
            Problem::new(Kind::NotFound, format!("there is nothing at {path}"))
        })
        .method_not_allowed_fallback(|request: Request| async move {
            let (method, path) = (request.method(), request.uri().path());
            Problem::new(
                Kind::MethodNotAllowed,
                format!("{path} does not know the method {method}"),
            )
        })
        .layer(middleware::from_fn_with_state(Arc::clone(&api), edge))
        .with_state(api)
}

/// Checks who asks, runs the handler and counts the answer.
///
/// The handler runs as a task of its own: it goes on when the client hangs up, because a change
/// that was begun is finished either way, and a panic in it is one answer, not a dead connection.
async fn edge(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let start = Instant::now();
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or("unmatched".to_owned(), |path| path.as_str().to_owned());
    let method = request.method().clone();
    let response = match admit(&api, &mut request) {
        Ok(()) => match tokio::spawn(next.run(request)).await {
            Ok(response) => response,
            Err(failed) => {
                tracing::error!(%method, %route, error = %failed, "an API handler failed");
                Problem::new(
                    Kind::Internal,
                    "the request ended in a mistake of this server's own; the log says more",
                )
                .into_response()
            }
        },
        Err(problem) => {
            // Read what is still sent, so that the client gets to read why it is refused.
            body::drain(request.body_mut()).await;
            problem.into_response()
        }
    };
    let status = response.status().as_u16();
    api.metrics.api_request(&route, status, start.elapsed());
    tracing::debug!(%method, %route, status, "API request");
    response
}

/// Finds out who asks and notes it in the request.
fn admit(api: &Api, request: &mut Request) -> Result<(), Problem> {
    let path = request.uri().path();
    // Outside of /v1 there is nothing to protect: what is not there may be said to anyone.
    if PUBLIC.contains(&path) || !(path == "/v1" || path.starts_with("/v1/")) {
        return Ok(());
    }
    let header = request.headers().get(header::AUTHORIZATION);
    let Some(header) = header else {
        return Err(Problem::new(
            Kind::Unauthorized,
            "expected the header Authorization: Bearer <token>, found none",
        ));
    };
    let credentials = header.to_str().unwrap_or_default().trim();
    let (scheme, secret) = credentials.split_once(' ').unwrap_or((credentials, ""));
    if !scheme.eq_ignore_ascii_case("bearer") || secret.trim().is_empty() {
        return Err(Problem::new(
            Kind::Unauthorized,
            "expected the header Authorization: Bearer <token>, found another form",
        ));
    }
    let Some((id, token)) = api.engine.token(secret.trim()) else {
        return Err(Problem::new(Kind::Unauthorized, "the token is not known"));
    };
    let reads = request.method() == Method::GET || request.method() == Method::HEAD;
    if !(token.scope == "admin" || reads) {
        return Err(Problem::new(
            Kind::Forbidden,
            format!("the token's scope is {}, this needs admin", token.scope),
        ));
    }
    let actor = Actor(id.to_owned());
    request.extensions_mut().insert(actor);
    Ok(())
}
