//! Problem documents (RFC 9457): the one form of every error.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::document::Fault;

/// Why a request is not answered with what it asked for (RFC 9457).
#[derive(Clone, Debug)]
pub(super) struct Problem {
    /// What kind of problem it is.
    kind: Kind,
    /// What is wrong with this request, in words.
    detail: String,
    /// Each field that is wrong.
    errors: Vec<Fault>,
    /// Members that only some kinds have.
    extra: Map<String, Value>,
    /// Header fields that belong to the answer.
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The kinds of problems: each has a status, a title and a name in its `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The body is no JSON, or the request cannot be understood at all.
    Malformed,
    /// No token, or one that is not known.
    Unauthorized,
    /// The token does not allow this.
    Forbidden,
    /// There is no such route or no such thing.
    NotFound,
    /// The route knows other methods.
    MethodNotAllowed,
    /// The client did not send its body in time.
    Timeout,
    /// It does not go together with what is.
    Conflict,
    /// A rule says: not yet.
    TooEarly,
    /// More existing domains are touched than the request says.
    ExpectDomains,
    /// `If-Match` names another version.
    Precondition,
    /// The body is over the limit.
    TooLarge,
    /// The body is of a type that the route does not read.
    MediaType,
    /// Fields are wrong.
    Invalid,
    /// The idempotency key was used for another request.
    KeyReused,
    /// There is no room for another idempotency key.
    TooManyKeys,
    /// There is no room for another scheduled change.
    TooManyScheduled,
    /// Something of ours failed.
    Internal,
    /// Not now: starting, stopping, or the clock is not to be trusted.
    Unavailable,
    /// The store has no room left.
    StoreFull,
}

impl Kind {
    /// Returns status, name and title.
    fn describe(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Malformed => (
                StatusCode::BAD_REQUEST,
                "malformed",
                "The request cannot be read",
            ),
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "A valid token is needed",
            ),
            Self::Forbidden => (
                StatusCode::FORBIDDEN,
                "forbidden",
                "The token does not allow this",
            ),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "The method is not known here",
            ),
            Self::Timeout => (
                StatusCode::REQUEST_TIMEOUT,
                "timeout",
                "The request did not come in time",
            ),
            Self::Conflict => (
                StatusCode::CONFLICT,
                "conflict",
                "The change does not fit what is",
            ),
            Self::TooEarly => (
                StatusCode::CONFLICT,
                "too-early",
                "The step must wait or be forced",
            ),
            Self::ExpectDomains => (
                StatusCode::CONFLICT,
                "expect-domains",
                "The change touches many domains",
            ),
            Self::Precondition => (
                StatusCode::PRECONDITION_FAILED,
                "precondition-failed",
                "It has changed meanwhile",
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "The body is too large",
            ),
            Self::MediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "media-type",
                "The body is of another type",
            ),
            Self::Invalid => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid",
                "Fields are wrong",
            ),
            Self::KeyReused => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "key-reused",
                "The idempotency key was used before",
            ),
            Self::TooManyKeys => (
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-keys",
                "Too many idempotency keys",
            ),
            Self::TooManyScheduled => (
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-scheduled",
                "Too many scheduled changes",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "The server failed",
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "The server cannot do this now",
            ),
            Self::StoreFull => (
                StatusCode::INSUFFICIENT_STORAGE,
                "store-full",
                "The store is full",
            ),
        }
    }
}

impl Problem {
    /// Makes a problem of a kind.
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            extra: Map::new(),
            headers: Vec::new(),
        }
    }

    /// Makes the problem of wrong fields; all of them at once.
    pub(super) fn invalid(errors: Vec<Fault>) -> Self {
        let detail = match errors.as_slice() {
            [] => "the request is wrong".to_owned(),
            [only] => only.to_string(),
            [first, others @ ..] => format!("{first} (and {} more)", others.len()),
        };
        Self {
            errors,
            ..Self::new(Kind::Invalid, detail)
        }
    }

    /// Says that something does not exist.
    pub(super) fn not_found(kind: &str, name: &str) -> Self {
        Self::new(Kind::NotFound, format!("there is no {kind} {name:?}"))
    }

    /// Adds the fields that are wrong.
    #[must_use]
    pub(super) fn with_errors(mut self, errors: Vec<Fault>) -> Self {
        self.errors = errors;
        self
    }

    /// Adds a member of this kind's own.
    #[must_use]
    pub(super) fn with(mut self, member: &str, value: Value) -> Self {
        self.extra.insert(member.to_owned(), value);
        self
    }

    /// Adds a header field.
    #[must_use]
    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, name, title) = self.kind.describe();
        let mut document = self.extra;
        document.insert("type".to_owned(), json!(format!("/problems/{name}")));
        document.insert("title".to_owned(), json!(title));
        document.insert("status".to_owned(), json!(status.as_u16()));
        document.insert("detail".to_owned(), json!(self.detail));
        document.insert("errors".to_owned(), json!(self.errors));
        let mut response = Response::new(Body::from(Value::Object(document).to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if self.kind == Kind::Unauthorized {
            // RFC 6750, section 3.
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"mxpool\""),
            );
        }
        headers.extend(self.headers);
        response
    }
}
