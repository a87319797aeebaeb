//! A copy of the running store, streamed while it is read.

use std::io;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::call::Call;
use super::problem::Problem;
use super::stream::streamed;
use super::zones::internal;

/// The header field that names the sealing key.
pub(super) const SEALING_KEY: &str = "mxpool-sealing-key-id";

/// Streams a consistent copy of the store; the key that opens it is named, never sent.
pub(super) async fn read(call: Call) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    let engine = call.api.engine.clone();
    let id = engine.sealing_key_id().map_err(|error| internal(&error))?;
    let body = if call.is_head() {
        Body::empty()
    } else {
        streamed("a backup", move |to| {
            engine.backup(to).map(|_| ()).map_err(io::Error::other)
        })
    };
    let name = HeaderValue::from_static("attachment; filename=\"mxpool.backup\"");
    let mut response = body.into_response();
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CONTENT_DISPOSITION, name);
    if let Some(id) = id.and_then(|id| HeaderValue::try_from(id).ok()) {
        headers.insert(HeaderName::from_static(SEALING_KEY), id);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use crate::api::edge::tests::Server;

    #[test]
    fn a_backup_comes_whole_and_not_as_json() {
        let server = Server::with_pool();

        let answer = server.call("GET", "/v1/backup", None);

        assert_eq!(answer.status, 200);
        assert_eq!(answer.media_type, "application/octet-stream");
        assert!(answer.octets.starts_with(b"MXPOOL-BACKUP"));
        assert_eq!(server.bare("GET", "/v1/backup", &[], "").status, 401);
        let head = server.call("HEAD", "/v1/backup", None);
        assert_eq!((head.status, head.media_type), (200, answer.media_type));
    }
}
