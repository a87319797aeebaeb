//! `?wait=`: an answer that comes when the world has caught up with a change.
//!
//! A change is durable and served by this node when it is answered; `wait=live` waits until every
//! listed server serves it, `wait=cache_clear` until no cache can hold what was before.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderValue, Method, Uri};
use axum::response::Response;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::params::Params;
use super::problem::{Kind, Problem};
use crate::clock::{Span, Timestamp};
use crate::engine::{DomainFilter, Engine, Outcome};
use crate::lifecycle::{ConditionKind, Status};
use crate::wire::Apex;

/// How many may wait at a time: they hold connections, of which there are 256, and the mail hosts that
/// read the routing need some, too.
pub(super) const MOST_WAITS: usize = 64;
/// The header field that says how the waiting ended: `reached`, `timeout`, or `busy` where too many wait
/// already and it was not begun.
pub(super) const WAIT: &str = "mxpool-wait";
/// How long is waited where nothing else is said.
const USUAL: Duration = Duration::from_secs(60);
/// The longest that is waited.
const LONGEST: Duration = Duration::from_secs(86_400);
/// How often the facts are looked at.
const INTERVAL: Duration = Duration::from_millis(200);
/// How many domains are looked at while the facts are held still, which the writer waits for.
const SLICE: usize = 256;

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// Every listed server serves what was changed.
    Live,
    /// No cache can hold what was before.
    CacheClear,
}

/// A wish to wait.
#[derive(Debug)]
pub(super) struct Wait {
    /// For what.
    goal: Goal,
    /// How long at most.
    timeout: Duration,
    /// The domains that the change touched; filled by who makes it.
    touched: Arc<Touched>,
}

/// The domains that a request's change touched, and when; `None` while it has made none.
#[derive(Debug, Default)]
pub(super) struct Touched(Mutex<Option<(Vec<Apex>, Timestamp)>>);

impl Touched {
    /// Notes the domains that a change touched.
    pub(super) fn note(&self, engine: &Engine, outcome: &Outcome) {
        let mut names = Vec::new();
        for effect in &outcome.plan.effects {
            if effect.kind == "put_pool" {
                names.extend(members(engine, &effect.subject));
            }
            // A domain's own record is `a.example www TXT`.
            let name = effect.subject.split(' ').next().unwrap_or_default();
            names.extend(Apex::parse(name));
        }
        let touched = Some((names, engine.now()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = touched;
    }
}

/// Returns the names of a pool's domains.
fn members(engine: &Engine, pool: &str) -> Vec<Apex> {
    let filter = DomainFilter {
        pool: Some(pool.to_owned()),
        state: None,
    };
    let mut names: Vec<Apex> = Vec::new();
    loop {
        let page = engine.view().domains(&filter, names.last(), SLICE);
        names.extend(page.items.into_iter().map(|domain| domain.name));
        if page.next.is_none() {
            return names;
        }
    }
}

impl Wait {
    /// Takes the wish to wait out of a request that changes something.
    ///
    /// It is no part of what is asked: the same request under the same idempotency key may wait
    /// another time, or not at all.
    ///
    /// # Errors
    ///
    /// 422 for what is no such wish.
    pub(super) fn take(request: &mut Request) -> Result<Option<Self>, Problem> {
        let reads = request.method() == Method::GET || request.method() == Method::HEAD;
        let Some(query) = request.uri().query().filter(|_| !reads) else {
            return Ok(None);
        };
        let is_ours = |pair: &&str| {
            let name = pair.split('=').next();
            matches!(name, Some("wait" | "timeout"))
        };
        let (ours, others): (Vec<&str>, Vec<&str>) = query.split('&').partition(is_ours);
        if ours.is_empty() {
            return Ok(None);
        }
        let pairs = ours.iter().map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.to_owned(), value.to_owned())
        });
        let pairs: Vec<(String, String)> = pairs.collect();
        let params = Params::new(&pairs, &["wait", "timeout"]);
        let goal = params.with("wait", |text| match text {
            "live" => Ok(Goal::Live),
            "cache_clear" => Ok(Goal::CacheClear),
            found => Err(format!("expected live or cache_clear, found {found:?}")),
        });
        let timeout = params.with("timeout", |text| {
            let span: Span = text.parse().map_err(|error| format!("{error}"))?;
            if span.as_duration() > LONGEST {
                return Err(format!("expected at most 1d, found {text:?}"));
            }
            Ok(span.as_duration())
        });
        params.finish()?;
        let mut path = request.uri().path().to_owned();
        if !others.is_empty() {
            path.push('?');
            path.push_str(&others.join("&"));
        }
        let unreadable =
            |error: axum::http::uri::InvalidUri| Problem::new(Kind::Malformed, error.to_string());
        *request.uri_mut() = path.parse::<Uri>().map_err(unreadable)?;
        let Some(goal) = goal else {
            return Ok(None);
        };
        let touched = Arc::<Touched>::default();
        request.extensions_mut().insert(Arc::clone(&touched));
        Ok(Some(Self {
            goal,
            timeout: timeout.unwrap_or(USUAL),
            touched,
        }))
    }

    /// Waits, and says in the answer how that ended; a dry run changed nothing that could be waited
    /// for.
    pub(super) async fn over(
        self,
        engine: &Engine,
        places: &Semaphore,
        mut response: Response,
    ) -> Response {
        if !response.status().is_success() {
            return response;
        }
        let Ok(_place) = places.try_acquire() else {
            let ended = HeaderValue::from_static("busy");
            response.headers_mut().insert(WAIT, ended);
            return response;
        };
        let end = Instant::now() + self.timeout;
        let touched = self.touched.0.lock();
        let touched = touched.unwrap_or_else(PoisonError::into_inner).take();
        let Some((mut left, changed)) = touched else {
            return response;
        };
        let ended = loop {
            self.goal.strike_out(engine, changed, &mut left);
            if left.is_empty() {
                break "reached";
            }
            if Instant::now() >= end {
                break "timeout";
            }
            sleep(INTERVAL.min(end - Instant::now())).await;
        };
        let headers = response.headers_mut();
        headers.insert(WAIT, HeaderValue::from_static(ended));
        response
    }
}

impl Goal {
    /// Takes those domains away that have reached it since the change.
    fn strike_out(self, engine: &Engine, changed: Timestamp, left: &mut Vec<Apex>) {
        while !left.is_empty() {
            let from = left.len().saturating_sub(SLICE);
            let view = engine.view();
            let now = engine.now();
            let mut waits = false;
            for at in (from..left.len()).rev() {
                let name = &left[at];
                let reached = match self {
                    Self::Live => view.prospect(name).is_none_or(|prospect| {
                        let mut conditions = prospect.conditions.iter();
                        let published = conditions.find(|it| it.kind == ConditionKind::Published);
                        published.is_none_or(|it| it.status != Status::Unknown)
                    }),
                    Self::CacheClear => {
                        let denied = view.denied_until(name, changed);
                        let held = view.caches(name, now).unwrap_or_default();
                        denied.is_none_or(|until| until.is_some_and(|at| at <= now))
                            && held.iter().all(|it| {
                                it.off.is_none() || it.cache_until.is_some_and(|at| at <= now)
                            })
                    }
                };
                if reached {
                    left.swap_remove(at);
                } else {
                    waits = true;
                }
            }
            if waits {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::api::edge::tests::Server;
    use crate::clock::Clock as _;

    #[test]
    fn an_answer_can_wait_until_all_servers_serve_it() {
        let server = Server::with_pool();
        let body = json!({"pool": "main", "name": "a.example"});
        server.call("POST", "/v1/domains", Some(&body));
        let put = |query: &str| {
            let body = json!({"ttl": 60, "records": ["192.0.2.7"]});
            let path = format!("/v1/domains/a.example/rrsets/www/A{query}");
            server.call("PUT", &path, Some(&body))
        };

        // Propagation is assumed to take a minute, and the clock stands still.
        let waited = put("?wait=live&timeout=1s");
        let wrong = put("?wait=forever&timeout=2w");

        assert_eq!(waited.status, 201, "{waited:?}");
        assert_eq!(waited.header("mxpool-wait").as_deref(), Some("timeout"));
        assert_eq!(wrong.status, 422, "{wrong:?}");
        assert_eq!(wrong.pointers().len(), 2, "{wrong:?}");
        assert_eq!(put("").header("mxpool-wait"), None);
    }

    /// RFC 2308, section 5: a cache that had been told that there is no `www` denied it for a quarter of
    /// an hour, and was called clear.
    #[test]
    fn caches_are_clear_when_none_can_deny_what_is_there_now() {
        let server = Server::with_pool();
        let body = json!({"pool": "main", "name": "a.example"});
        server.call("POST", "/v1/domains", Some(&body));
        let put = |owner: &str, timeout: &str| {
            let body = json!({"ttl": 60, "records": ["192.0.2.7"]});
            let wait = format!("wait=cache_clear&timeout={timeout}");
            let path = format!("/v1/domains/a.example/rrsets/{owner}/A?{wait}");
            server.call("PUT", &path, Some(&body)).header("mxpool-wait")
        };
        let before = server.clock.now();

        let at_once = put("www", "1s");
        let later = std::thread::scope(|scope| {
            let call = scope.spawn(|| put("web", "1m"));
            while !call.is_finished() {
                server.clock.advance(std::time::Duration::from_secs(60));
                std::thread::park_timeout(std::time::Duration::from_millis(20));
            }
            call.join().unwrap()
        });

        assert_eq!(at_once.as_deref(), Some("timeout"));
        assert_eq!(later.as_deref(), Some("reached"));
        // A minute to every server, and the negative TTL.
        assert!(server.clock.now().since(before).as_secs() >= 60 + 900);
    }

    #[test]
    fn what_is_not_made_now_is_not_told_to_be_everywhere() {
        let server = Server::with_pool();
        let body = json!({"pool": "main", "name": "a.example"});
        server.call("POST", "/v1/domains", Some(&body));
        let hold = |at: Option<&str>, query: &str| {
            let steps = json!([{"op": "hold", "domain": "a.example"}]);
            let body = json!({"at": at, "changes": steps});
            let path = format!("/v1/changes?wait=live&timeout=1s{query}");
            server.call("POST", &path, Some(&body))
        };

        let later = hold(Some("2030-01-01T00:00:00Z"), "");
        let dry = hold(None, "&dry_run=true");
        let now = hold(None, "");

        assert_eq!(later.status, 422, "{later:?}");
        assert_eq!(later.pointers(), ["/wait".to_owned()].into());
        assert_eq!((dry.status, dry.header("mxpool-wait")), (200, None));
        assert!(now.header("mxpool-wait").is_some(), "{now:?}");
    }

    /// Some hundred that waited for a day kept every mail host from reading what it may accept.
    #[test]
    fn no_more_wait_than_leave_room_for_others() {
        let server = Server::with_pool();
        let body = json!({"pool": "main", "name": "a.example"});
        server.call("POST", "/v1/domains", Some(&body));
        // What changes nothing is everywhere already.
        let put = |owner: usize, query: &str| {
            let body = json!({"ttl": 60, "records": ["192.0.2.7"]});
            let path = format!("/v1/domains/a.example/rrsets/www{owner}/A{query}");
            server.call("PUT", &path, Some(&body)).header("mxpool-wait")
        };

        std::thread::scope(|scope| {
            for owner in 0..super::MOST_WAITS {
                let put = &put;
                scope.spawn(move || put(owner, "?wait=live&timeout=5s"));
            }
            let mut looks = 0..500;
            let is_busy = looks.any(|look| {
                std::thread::park_timeout(std::time::Duration::from_millis(10));
                put(100 + look, "?wait=live&timeout=0s").as_deref() == Some("busy")
            });
            assert!(is_busy);
        });

        let waited = put(99, "?wait=live&timeout=0s");
        assert_eq!(waited.as_deref(), Some("timeout"));
    }
}
