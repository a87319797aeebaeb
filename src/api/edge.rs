//! What every request passes on its way in and every answer on its way out.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use super::body;
use super::problem::{Kind, Problem};
use super::routes;
use super::scope::Scope;
use super::wait::{MOST_WAITS, Wait};
use crate::engine::{Actor, Engine};
use crate::metrics::Metrics;

/// What every handler works with.
#[derive(Clone, Debug)]
pub(super) struct Api {
    /// The control plane.
    pub(super) engine: Engine,
    /// What is counted.
    pub(super) metrics: Arc<Metrics>,
    /// The places of those who wait for the world (`?wait=`).
    waits: Arc<Semaphore>,
}

/// What asks for no token; everything else does.
const PUBLIC: [&str; 5] = ["/", "/healthz", "/readyz", "/metrics", "/openapi.json"];

/// Returns the whole API.
pub fn router(engine: Engine, metrics: Arc<Metrics>) -> Router {
    let api = Arc::new(Api {
        engine,
        metrics,
        waits: Arc::new(Semaphore::new(MOST_WAITS)),
    });
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
    let admitted = admit(&api, &mut request, &route);
    let response = match admitted.and_then(|()| Wait::take(&mut request)) {
        Ok(wait) => match tokio::spawn(next.run(request)).await {
            Ok(response) => match wait {
                // Who hangs up waits no longer; what was changed stays.
                Some(wait) => wait.over(&api.engine, &api.waits, response).await,
                None => response,
            },
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
fn admit(api: &Api, request: &mut Request, route: &str) -> Result<(), Problem> {
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
    let (scope, needed) = (
        Scope::named(&token.scope),
        Scope::needed(request.method(), route),
    );
    if scope < needed {
        return Err(Problem::new(
            Kind::Forbidden,
            format!(
                "the token's scope is {}, this needs {}",
                token.scope,
                needed.as_str()
            ),
        ));
    }
    let actor = Actor(id.to_owned());
    // The secret has done its work: what is not there is not shown by mistake.
    request.headers_mut().remove(header::AUTHORIZATION);
    request.extensions_mut().insert(actor);
    request.extensions_mut().insert(scope);
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use ring::digest::{SHA256, digest};
    use serde_json::{Value, json};
    use tokio::runtime::Runtime;

    use super::*;
    use crate::clock::{Clock, ManualClock, Timestamp};
    use crate::dnssec::SealingKey;
    use crate::engine::{EngineConfig, EngineThreads};
    use crate::store::record::TokenRecord;
    use crate::store::{Batch, Memory, Store};
    use crate::zone::zone_set;

    /// The API over a real engine, on a loopback port.
    pub(in crate::api) struct Server {
        /// Where it listens.
        pub(in crate::api) address: String,
        /// Its clock, which stands still.
        pub(in crate::api) clock: Arc<ManualClock>,
        /// The control plane.
        engine: Engine,
        /// Its threads.
        threads: Option<EngineThreads>,
        /// Runs the API.
        runtime: Option<Runtime>,
    }

    /// What was answered.
    #[derive(Debug)]
    pub(in crate::api) struct Answer {
        /// The status.
        pub(in crate::api) status: u16,
        /// The media type.
        pub(in crate::api) media_type: String,
        /// The entity tag.
        pub(in crate::api) tag: Option<String>,
        /// The header fields.
        headers: ureq::http::HeaderMap,
        /// The body as it came.
        pub(in crate::api) octets: Vec<u8>,
        /// The body as JSON.
        pub(in crate::api) json: Value,
    }

    impl Server {
        /// Starts with an empty store.
        pub(in crate::api) fn start() -> Self {
            let store = Memory::new();
            let mut batch = Batch::new();
            let hash = digest(&SHA256, b"secret").as_ref().try_into().unwrap();
            let token = TokenRecord {
                scope: "admin".to_owned(),
                created: Timestamp::from_secs(1_700_000_000),
                hash,
            };
            batch.put_record(b"admin", &token);
            store.commit(&batch).unwrap();
            let (publisher, _) = zone_set();
            let metrics = Arc::new(Metrics::new());
            let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_795_537_800)));
            let (engine, threads) = Engine::start(
                EngineConfig::default(),
                Arc::new(store),
                Arc::clone(&clock) as Arc<dyn Clock>,
                SealingKey::generate().unwrap(),
                publisher,
                crate::mail::routing_set().0,
                Arc::clone(&metrics),
            )
            .unwrap();
            let runtime = Runtime::new().unwrap();
            let router = router(engine.clone(), metrics);
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            let address = format!("http://{}", listener.local_addr().unwrap());
            runtime.spawn(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, router).await.unwrap();
            });
            Self {
                address,
                clock,
                engine,
                threads: Some(threads),
                runtime: Some(runtime),
            }
        }

        /// The same with a pool `main`.
        pub(in crate::api) fn with_pool() -> Self {
            let server = Self::start();
            let answer = server.call("PUT", "/v1/pools/main", Some(&settings()));
            assert_eq!(answer.status, 201, "{answer:?}");
            server
        }

        /// Calls with a JSON document.
        pub(in crate::api) fn call(
            &self,
            method: &str,
            path: &str,
            body: Option<&Value>,
        ) -> Answer {
            let headers = [("content-type", "application/json")];
            let text = body.map_or_else(String::new, Value::to_string);
            let headers: &[_] = if body.is_some() { &headers } else { &[] };
            self.send(method, path, headers, &text)
        }

        /// Calls with header fields and any body; the token is added.
        pub(in crate::api) fn send(
            &self,
            method: &str,
            path: &str,
            headers: &[(&str, &str)],
            body: &str,
        ) -> Answer {
            let mut all = vec![("authorization", "Bearer secret")];
            all.extend(headers);
            self.bare(method, path, &all, body)
        }

        /// Calls with these header fields and no others.
        pub(in crate::api) fn bare(
            &self,
            method: &str,
            path: &str,
            headers: &[(&str, &str)],
            body: &str,
        ) -> Answer {
            let agent = ureq::Agent::config_builder()
                .http_status_as_error(false)
                .proxy(None)
                .build()
                .new_agent();
            let mut request = ureq::http::Request::builder()
                .method(method)
                .uri(format!("{}{path}", self.address));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let mut response = if body.is_empty() {
                agent.run(request.body(()).unwrap()).unwrap()
            } else {
                agent.run(request.body(body).unwrap()).unwrap()
            };
            let octets = response.body_mut().read_to_vec().unwrap();
            let text = |name: &str| {
                let value = response.headers().get(name)?;
                Some(value.to_str().unwrap().to_owned())
            };
            Answer {
                status: response.status().as_u16(),
                media_type: text("content-type").unwrap_or_default(),
                tag: text("etag"),
                headers: response.headers().clone(),
                json: serde_json::from_slice(&octets).unwrap_or(Value::Null),
                octets,
            }
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            self.engine.stop();
            if let Some(threads) = self.threads.take() {
                threads.join();
            }
            if let Some(runtime) = self.runtime.take() {
                runtime.shutdown_background();
            }
        }
    }

    impl Answer {
        /// Returns a header field.
        pub(in crate::api) fn header(&self, name: &str) -> Option<String> {
            let value = self.headers.get(name)?;
            Some(value.to_str().unwrap().to_owned())
        }

        /// Returns where the faults of a problem document stand.
        pub(in crate::api) fn pointers(&self) -> BTreeSet<String> {
            let errors = self.json["errors"].as_array().into_iter().flatten();
            errors
                .map(|error| error["pointer"].as_str().unwrap().to_owned())
                .collect()
        }
    }

    /// Returns the settings of a pool.
    pub(in crate::api) fn settings() -> Value {
        json!({
            "nameservers": ["ns1.infra.example.", "ns2.infra.example."],
            "hostmaster": "hostmaster@infra.example",
            "mail_host": [{"name": "mx1", "preference": 10, "addresses": ["192.0.2.25"]}],
            "readiness": {"delegated": false, "secured": "no", "mail_ready": false},
        })
    }

    #[test]
    fn every_error_is_a_problem_document() {
        let server = Server::with_pool();
        let json = ("content-type", "application/json");
        let auth = ("authorization", "Bearer secret");
        let cases = [
            (401, server.bare("GET", "/v1/pools", &[], "")),
            (401, server.bare("POST", "/v1/domains", &[json], "{}")),
            (
                401,
                server.bare("GET", "/v1/pools", &[("authorization", "Bearer secre")], ""),
            ),
            (404, server.bare("GET", "/nothing", &[], "")),
            (404, server.call("GET", "/v1/nothing", None)),
            (404, server.call("GET", "/v1/pools/other", None)),
            (404, server.call("GET", "/v1/domains/a.example", None)),
            (405, server.call("DELETE", "/v1/pools", None)),
            (
                400,
                server.bare("POST", "/v1/domains", &[auth, json], "{\"pool\":"),
            ),
            (422, server.call("POST", "/v1/domains", Some(&json!([])))),
            (
                415,
                server.bare(
                    "POST",
                    "/v1/domains",
                    &[auth, ("content-type", "text/plain")],
                    "x",
                ),
            ),
            (
                422,
                server.call("GET", "/v1/domains?limit=1001&after=a..b", None),
            ),
            (400, server.bare("GET", "/v1/pools/%ff", &[auth], "")),
        ];

        for (status, answer) in cases {
            assert_eq!(answer.status, status, "{answer:?}");
            assert_eq!(answer.media_type, "application/problem+json", "{answer:?}");
            for member in ["type", "title", "detail"] {
                assert!(answer.json[member].is_string(), "{answer:?}");
            }
            assert_eq!(answer.json["status"], status);
        }
    }

    #[test]
    fn what_is_public_asks_for_no_token() {
        let server = Server::start();

        for path in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
            assert_eq!(server.bare("GET", path, &[], "").status, 200, "{path}");
        }
    }

    #[test]
    fn a_body_over_the_limit_is_refused_with_the_reason() {
        let server = Server::start();
        let text = "x".repeat(body::MASTER_FILE_LIMIT + 1);

        let answer = server.send(
            "PUT",
            "/v1/zones/infra.example",
            &[("content-type", "text/dns")],
            &text,
        );

        assert_eq!(answer.status, 413, "{answer:?}");
        assert_eq!(answer.media_type, "application/problem+json");
    }

    #[test]
    fn requests_are_counted_by_route_not_by_path() {
        let server = Server::start();
        server.call("GET", "/v1/domains/secret-name.example", None);
        server.call("GET", "/v1/secret-name", None);

        let metrics = server.call("GET", "/metrics", None);

        let metrics = String::from_utf8(metrics.octets).unwrap();
        assert!(
            metrics.contains("route=\"/v1/domains/{name}\""),
            "{metrics}"
        );
        assert!(!metrics.contains("secret-name"), "{metrics}");
    }

    #[test]
    fn every_route_of_the_openapi_document_is_served() {
        let server = Server::start();
        let document = server.call("GET", "/openapi.json", None).json;

        let mut count = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                let asked = path
                    .replace("{zone}", "a.example")
                    .replace("{name}", "a.example")
                    .replace("{pool}", "a")
                    .replace("{owner}", "www")
                    .replace("{type}", "A");
                let answer = server.call(&method.to_uppercase(), &asked, None);
                let detail = answer.json["detail"].as_str().unwrap_or_default();
                assert_ne!(answer.status, 405, "{method} {path}");
                assert!(
                    !detail.starts_with("there is nothing at"),
                    "{method} {path}"
                );
                count += 1;
            }
        }
        assert_eq!(count, routes::all().len());
    }

    #[test]
    fn every_reference_of_the_openapi_document_leads_somewhere() {
        let document: Value = serde_json::from_str(&crate::api::openapi()).unwrap();
        let text = document.to_string();

        let references = text.split("\"#/components/schemas/").skip(1);
        let references: BTreeSet<&str> = references
            .map(|rest| rest.split('"').next().unwrap())
            .collect();

        assert!(references.len() > 10);
        for name in references {
            assert!(
                document["components"]["schemas"][name].is_object(),
                "{name}"
            );
        }
    }

    #[test]
    fn the_openapi_document_knows_every_setting_of_a_pool() {
        let document: Value = serde_json::from_str(&crate::api::openapi()).unwrap();
        let described = &document["components"]["schemas"]["Pool"]["properties"];
        let server = Server::with_pool();

        let pool = server.call("GET", "/v1/pools/main", None).json;

        for key in pool.as_object().unwrap().keys() {
            assert!(described[key].is_object() || key == "plan", "{key}");
        }
    }
}
