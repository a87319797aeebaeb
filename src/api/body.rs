//! Request bodies: their size, their type, and the patience with them.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, HeaderValue, header};
use serde_json::Value;
use tokio::time::timeout;

use super::problem::{Kind, Problem};

/// The largest master file (16 MiB).
pub(super) const MASTER_FILE_LIMIT: usize = 16 << 20;
/// The largest JSON document: a whole master file as a JSON text, with room for what else a change
/// says (10 000 names of 253 octets are 2.6 MB).
pub(super) const JSON_LIMIT: usize = 32 << 20;
/// How long a client may take between two pieces of its body.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a client may take for all of its body: the largest one needs less than a second, and
/// who sends it octet by octet must not hold a connection for ever.
const PATIENCE_FOR_ALL: Duration = Duration::from_secs(120);
/// How much of a body that is refused is read all the same. A client that is cut off while it
/// sends sees a broken connection and never reads why (RFC 9112, section 9.6).
const DRAINED: usize = 64 << 20;

/// Reads a whole body of at most `limit` octets.
///
/// # Errors
///
/// 413 over the limit, 408 when the client stalls, 400 when the connection breaks.
pub(super) async fn read(body: Body, headers: &HeaderMap, limit: usize) -> Result<Bytes, Problem> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let mut body = body;
    if announced.is_some_and(|length| length > limit) {
        drain(&mut body).await;
        return Err(too_large(limit));
    }
    let mut read = Vec::with_capacity(announced.unwrap_or_default());
    let pieces = async {
        while let Some(piece) = next_piece(&mut body).await? {
            if read.len() + piece.len() > limit {
                return Ok(false);
            }
            read.extend_from_slice(&piece);
        }
        Ok(true)
    };
    let fits = timeout(PATIENCE_FOR_ALL, pieces).await.map_err(|_| {
        let seconds = PATIENCE_FOR_ALL.as_secs();
        let detail = format!("the body was not complete after {seconds} seconds");
        Problem::new(Kind::Timeout, detail)
    })??;
    if !fits {
        drain(&mut body).await;
        return Err(too_large(limit));
    }
    Ok(read.into())
}

/// Reads and drops what a client still sends of a body that is not wanted; gives up on one that
/// takes its time.
pub(super) async fn drain(body: &mut Body) {
    let mut room = DRAINED;
    let pieces = async {
        while let Ok(Some(piece)) = next_piece(body).await {
            let Some(rest) = room.checked_sub(piece.len()) else {
                return;
            };
            room = rest;
        }
    };
    // Whether all was read or not, the answer is the same.
    let _ = timeout(PATIENCE, pieces).await;
}

/// Reads JSON; that it is said to be JSON, or nothing, has been asked by [`expect_type`].
///
/// # Errors
///
/// 400 with line and column.
pub(super) fn parse_json(octets: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(octets).map_err(|error| {
        let what = if octets.is_empty() {
            "the body is empty, expected a JSON document".to_owned()
        } else {
            // The error's own words end with "at line 3 column 7".
            format!("the body is no JSON: {error}")
        };
        Problem::new(Kind::Malformed, what)
            .with("line", error.line().into())
            .with("column", error.column().into())
    })
}

/// Refuses a body that says to be of another type than `wanted`; one that says nothing is taken.
///
/// # Errors
///
/// 415 with what was found.
pub(super) fn expect_type(headers: &HeaderMap, wanted: &'static str) -> Result<(), Problem> {
    let Some(found) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let found = found.to_str().unwrap_or_default();
    let essence = found.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    let problem = Problem::new(
        Kind::MediaType,
        format!("expected a body of Content-Type {wanted}, found {found:?}"),
    );
    Err(problem.with_header(header::ACCEPT, HeaderValue::from_static(wanted)))
}

/// Returns the next piece of data; trailers are skipped.
async fn next_piece(body: &mut Body) -> Result<Option<Bytes>, Problem> {
    loop {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
        let frame = timeout(PATIENCE, frame).await.map_err(|_| {
            let seconds = PATIENCE.as_secs();
            Problem::new(
                Kind::Timeout,
                format!("no piece of the body came for {seconds} seconds"),
            )
        })?;
        match frame {
            None => return Ok(None),
            Some(Err(error)) => {
                return Err(Problem::new(
                    Kind::Malformed,
                    format!("the body broke off: {error}"),
                ));
            }
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// Says that a body is over its limit.
fn too_large(limit: usize) -> Problem {
    Problem::new(
        Kind::TooLarge,
        format!("the body is over the limit of {limit} octets"),
    )
}
