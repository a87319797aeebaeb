//! One request as handlers see it, and the answers that they give.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ring::digest::{Context, SHA256};
use serde::Serialize;
use serde_json::{Value, json};

use super::body;
use super::edge::Api;
use super::params::Params;
use super::problem::{Kind, Problem};
use super::refusal;
use super::scope::Scope;
use super::steps::{Form, Steps};
use super::wait::Touched;
use crate::clock::Timestamp;
use crate::document::Fields;
use crate::engine::{Actor, Change, ChangeId, IfMatch, Op, Outcome, Undo};
use crate::wire::Apex;

/// One request, with all that a handler asks of it.
#[derive(Debug)]
pub(super) struct Call {
    /// The server behind it.
    pub(super) api: Arc<Api>,
    /// Method, address and header fields.
    parts: Parts,
    /// What stands in the place of the route's `{names}`.
    segments: Vec<(String, String)>,
    /// The query's parameters.
    query: Vec<(String, String)>,
    /// The body, until it is read. The lock is never waited for: it lets a call be shared between
    /// threads, which a body alone does not.
    body: Mutex<Option<Body>>,
}

/// How a change is asked for.
#[derive(Debug, Default)]
pub(super) struct Wish {
    /// Why.
    pub(super) reason: Option<String>,
    /// Under which key it may come again.
    pub(super) id: Option<ChangeId>,
    /// Whether the plan alone is wanted.
    pub(super) dry_run: bool,
    /// How many existing domains it is meant to touch.
    pub(super) expect_domains: Option<u64>,
    /// When it is to be made, if not now.
    pub(super) at: Option<Timestamp>,
}

impl Wish {
    /// Takes in what a document says of its change: why, and whether the plan alone is wanted.
    pub(super) fn read(&mut self, fields: &Fields<'_, '_>) {
        let reason = fields.optional("reason");
        let reason = reason.and_then(|it| it.words(REASON_LENGTH));
        self.reason = reason.map(str::to_owned);
        self.dry_run |= fields.or("dry_run", false, |it| it.boolean());
    }
}

/// The longest reason: it is kept with each domain that is suspended or held for it.
const REASON_LENGTH: usize = 1_000;

/// The longest idempotency key.
const KEY_LENGTH: usize = 255;

impl FromRequest<Arc<Api>> for Call {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let unreadable =
            |what: &dyn std::fmt::Display| Problem::new(Kind::Malformed, what.to_string());
        let segments = RawPathParams::from_request_parts(&mut parts, api)
            .await
            .map_err(|error| unreadable(&error))?;
        let segments = segments
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let segments = segments.collect();
        let Query(query) = Query::try_from_uri(&parts.uri).map_err(|error| unreadable(&error))?;
        Ok(Self {
            api: Arc::clone(api),
            parts,
            segments,
            query,
            body: Mutex::new(Some(body)),
        })
    }
}

impl Call {
    /// Returns what stands in the place of `{name}` in the route.
    pub(super) fn segment(&self, name: &str) -> &str {
        let mut segments = self.segments.iter();
        let found = segments.find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    /// Returns the zone that stands in the place of `{name}` in the route.
    ///
    /// # Errors
    ///
    /// 422 for what is no zone's name.
    pub(super) fn apex(&self, name: &str) -> Result<Apex, Problem> {
        Apex::parse_unicode(self.segment(name))
            .map_err(|error| Problem::new(Kind::Invalid, format!("{name}: {error}")))
    }

    /// Returns whether the header fields alone are wanted.
    pub(super) fn is_head(&self) -> bool {
        self.parts.method == Method::HEAD
    }

    /// Returns the query's parameters, all of which are in `known`.
    pub(super) fn params(&self, known: &[&str]) -> Params<'_> {
        Params::new(&self.query, known)
    }

    /// Returns what the query says of a change: whether the plan alone is wanted, and how many
    /// existing domains it is meant to touch.
    ///
    /// # Errors
    ///
    /// 422 for what is wrong with it, and for other parameters.
    pub(super) fn wish(&self) -> Result<Wish, Problem> {
        let params = self.params(&["dry_run", "expect_domains"]);
        let wish = Wish {
            dry_run: params.flag("dry_run"),
            expect_domains: params.expect_domains(),
            ..Wish::default()
        };
        params.finish()?;
        Ok(wish)
    }

    /// Reads the body as JSON, and returns it with its octets.
    ///
    /// # Errors
    ///
    /// 400, 408, 413 and 415.
    pub(super) async fn json(&mut self) -> Result<(Value, Bytes), Problem> {
        body::expect_type(&self.parts.headers, "application/json")?;
        let octets = self.octets(body::JSON_LIMIT).await?;
        Ok((body::parse_json(&octets)?, octets))
    }

    /// Reads the body as a master file.
    ///
    /// # Errors
    ///
    /// 400, 408, 413 and 415.
    pub(super) async fn master_file(&mut self) -> Result<String, Problem> {
        body::expect_type(&self.parts.headers, "text/dns")?;
        let octets = self.octets(body::MASTER_FILE_LIMIT).await?;
        String::from_utf8(octets.into()).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let line = 1 + error.as_bytes()[..at]
                .iter()
                .filter(|o| **o == b'\n')
                .count();
            Problem::new(
                Kind::Malformed,
                format!("line {line}: expected UTF-8, found other octets; write them as \\DDD"),
            )
        })
    }

    /// Returns what `If-Match` asks for (RFC 9110, section 13.1.1).
    ///
    /// # Errors
    ///
    /// 400 for several tags, and for what is no tag: a number without its quotes would never match.
    pub(super) fn if_match(&self) -> Result<Option<IfMatch>, Problem> {
        let Some(tag) = self.parts.headers.get(header::IF_MATCH) else {
            return Ok(None);
        };
        let tag = tag.to_str().unwrap_or_default().trim();
        if tag.contains(',') {
            return Err(Problem::new(
                Kind::Malformed,
                "If-Match: expected one entity tag, found several",
            ));
        }
        if tag == "*" {
            return Ok(Some(IfMatch::Any));
        }
        // A weak tag is one, but never equal to ours (RFC 9110, section 8.8.3.2).
        let quoted = tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"');
        if quoted.is_none_or(|quoted| !quoted.ends_with('"')) {
            return Err(Problem::new(
                Kind::Malformed,
                format!(
                    "If-Match: expected the ETag of an answer with its quotes, like \"12\", or *, \
                     found {tag}"
                ),
            ));
        }
        let number = tag.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
        let revision = number.and_then(|number| number.parse().ok());
        Ok(Some(revision.map_or(IfMatch::Never, IfMatch::Revision)))
    }

    /// Returns the idempotency key with a digest of what is asked under it.
    ///
    /// # Errors
    ///
    /// 400 for a key that is empty, too long or has other than printable characters.
    pub(super) fn idempotency(&self, octets: &[u8]) -> Result<Option<ChangeId>, Problem> {
        let Some(key) = self.parts.headers.get("idempotency-key") else {
            return Ok(None);
        };
        let key = key.to_str().unwrap_or_default().trim();
        if key.is_empty() || key.len() > KEY_LENGTH {
            return Err(Problem::new(
                Kind::Malformed,
                format!("Idempotency-Key: expected 1 to {KEY_LENGTH} printable ASCII characters"),
            ));
        }
        let mut digest = Context::new(&SHA256);
        digest.update(self.parts.method.as_str().as_bytes());
        digest.update(b" ");
        digest.update(self.parts.uri.to_string().as_bytes());
        digest.update(b"\n");
        digest.update(octets);
        let mut octets = [0; 32];
        octets.copy_from_slice(digest.finish().as_ref());
        Ok(Some(ChangeId {
            key: key.to_owned(),
            digest: octets,
        }))
    }

    /// Asks the engine for a change.
    ///
    /// # Errors
    ///
    /// Its refusals, with pointers into the request's document.
    pub(super) async fn change(&self, steps: Steps, wish: Wish) -> Result<Outcome, Problem> {
        if steps.ops().iter().any(Op::is_forced) && self.scope() < Scope::Admin {
            return Err(Problem::new(
                Kind::Forbidden,
                format!(
                    "the token's scope is {}, force needs admin",
                    self.scope().as_str()
                ),
            ));
        }
        let (ops, places) = steps.into_parts();
        let change = Change {
            ops,
            actor: self.actor(),
            reason: wish.reason,
            id: wish.id.filter(|_| !wish.dry_run),
            dry_run: wish.dry_run,
            expect_domains: wish.expect_domains,
        };
        let dry_run = change.dry_run;
        let outcome = match wish.at {
            Some(at) => self.api.engine.schedule(change, at).await,
            None => self.api.engine.change(change).await,
        };
        let outcome = outcome.map_err(|errors| places.problem(errors))?;
        if !dry_run && wish.at.is_none() {
            self.note_touched(&outcome);
        }
        Ok(outcome)
    }

    /// Asks the engine to take a change back.
    ///
    /// # Errors
    ///
    /// Its refusals.
    pub(super) async fn undo(&self, id: u64, wish: Wish) -> Result<Outcome, Problem> {
        let dry_run = wish.dry_run;
        let undo = Undo {
            id,
            actor: self.actor(),
            reason: wish.reason,
            key: wish.id.filter(|_| !dry_run),
            dry_run,
            expect_domains: wish.expect_domains,
        };
        let outcome = self.api.engine.undo(undo).await;
        let outcome = outcome.map_err(refusal::of_path)?;
        if !dry_run {
            self.note_touched(&outcome);
        }
        Ok(outcome)
    }

    /// Refuses a tag where no single resource is changed: a precondition that nobody looks at would
    /// be taken for one that holds.
    ///
    /// # Errors
    ///
    /// 400 when there is an `If-Match`.
    pub(super) fn refuse_if_match(&self) -> Result<(), Problem> {
        match self.parts.headers.get(header::IF_MATCH) {
            None => Ok(()),
            Some(_) => Err(Problem::new(
                Kind::Malformed,
                "If-Match: expected none, for what is changed here has no ETag of its own; found one",
            )),
        }
    }

    /// Returns whether the client wants to wait until the world has caught up (`?wait=`).
    pub(super) fn is_waited_for(&self) -> bool {
        self.parts.extensions.get::<Arc<Touched>>().is_some()
    }

    /// Notes what a change touched for the one who waits until the world has caught up with it.
    fn note_touched(&self, outcome: &Outcome) {
        if let Some(touched) = self.parts.extensions.get::<Arc<Touched>>() {
            touched.note(&self.api.engine, outcome);
        }
    }

    /// Asks the engine to remove something; the answer is the revision alone.
    ///
    /// # Errors
    ///
    /// As [`Call::change`].
    pub(super) async fn delete(&self, op: Op, wish: Wish) -> Result<Response, Problem> {
        let outcome = self.change(Steps::one(op, Form::Plain), wish).await?;
        let revision = json!({"revision": outcome.revision});
        Ok(json(StatusCode::OK, &revision))
    }

    /// Returns whether the client has what it asks for already.
    pub(super) fn has(&self, tag: &HeaderValue) -> bool {
        let known = self.parts.headers.get_all(header::IF_NONE_MATCH).iter();
        let mut known = known.filter_map(|tags| tags.to_str().ok());
        known.any(|tags| {
            let mut tags = tags.split(',').map(str::trim);
            // Weak comparison (RFC 9110, section 13.1.2).
            tags.any(|known| known == "*" || known.trim_start_matches("W/") == tag)
        })
    }

    /// Returns whether the client asks for a media type by name.
    pub(super) fn accepts(&self, media_type: &str) -> bool {
        let accepted = self.parts.headers.get_all(header::ACCEPT).iter();
        let mut accepted = accepted.filter_map(|types| types.to_str().ok());
        accepted.any(|types| {
            let mut types = types
                .split(',')
                .map(|it| it.split(';').next().unwrap_or(it));
            types.any(|accepted| accepted.trim().eq_ignore_ascii_case(media_type))
        })
    }

    /// Returns what the token that came with the request may do.
    fn scope(&self) -> Scope {
        let scope = self.parts.extensions.get::<Scope>();
        scope.copied().unwrap_or(Scope::Read)
    }

    /// Returns whose token came with the request.
    fn actor(&self) -> Actor {
        let actor = self.parts.extensions.get::<Actor>();
        actor.cloned().unwrap_or_else(|| Actor("nobody".to_owned()))
    }

    /// Reads the body.
    async fn octets(&mut self, limit: usize) -> Result<Bytes, Problem> {
        let body = self.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        let body = body.take().unwrap_or_default();
        body::read(body, self.headers(), limit).await
    }

    /// Returns the header fields.
    fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }
}

/// Returns the entity tag of a resource: the revision of the last change of intent that touched it.
pub(super) fn entity_tag(revision: u64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{revision}\"")).expect("digits and quotes are ASCII")
}

/// Answers with a JSON document.
pub(super) fn json(status: StatusCode, document: &Value) -> Response {
    self::document(status, document)
}

/// Answers with whatever JSON can write.
pub(super) fn document(status: StatusCode, document: &impl Serialize) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    let text = serde_json::to_string(document);
    let text = text.expect("documents have texts for keys, and a text only grows");
    (status, headers, text).into_response()
}

/// Answers with a single resource: its document and its tag, or 304.
pub(super) fn resource(call: &Call, revision: u64, document: &Value) -> Response {
    let tag = entity_tag(revision);
    if call.has(&tag) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    with_tag(json(StatusCode::OK, document), revision)
}

/// Adds the tag of a resource to an answer.
pub(super) fn with_tag(mut response: Response, revision: u64) -> Response {
    response
        .headers_mut()
        .insert(header::ETAG, entity_tag(revision));
    response
}

/// Answers with a master file.
pub(super) fn master_file(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/dns; charset=utf-8")], text).into_response()
}

/// Runs what takes long or waits for a disk on a thread of its own.
///
/// # Errors
///
/// 500 when it panicked.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|failed| {
        tracing::error!(error = %failed, "an API handler failed");
        Problem::new(
            Kind::Internal,
            "the request ended in a mistake of this server's own; the log says more",
        )
    })
}
