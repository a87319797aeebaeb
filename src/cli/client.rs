//! HTTP to the server's API.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::{Method, Request, Response};

use super::command::{Connection, DEFAULT_API};
use super::failure::{Failure, Refusal};

/// Where the token lies when nothing else is said: where `serve` writes it.
const DEFAULT_TOKEN_FILE: &str = "data/admin.token";
/// How long the server may take to accept a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// The most of an answer that is kept in memory; a backup is copied instead.
const ANSWER_LIMIT: u64 = 1 << 30;

/// Speaks to the server's API.
#[derive(Debug)]
pub(super) struct Client {
    /// Keeps the connection between calls.
    agent: Agent,
    /// Where the API is, without a slash at its end.
    api: String,
    /// What shows that we may.
    token: Option<String>,
}

/// What is sent with a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Payload<'p> {
    /// Nothing.
    Nothing,
    /// A JSON document.
    Json(&'p Value),
    /// A master file.
    MasterFile(&'p str),
}

/// An answer that is read while it comes.
#[derive(Debug)]
pub(super) struct Streamed<R> {
    /// The header field that was asked for.
    pub(super) header: Option<String>,
    /// The body.
    pub(super) body: R,
}

impl Client {
    /// Reads the token; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// When the API's address is no HTTP address, or a token file that was named cannot be read.
    pub(super) fn new(connection: &Connection) -> Result<Self, Failure> {
        let api = match connection.api.trim_end_matches('/') {
            // A variable that is set to nothing counts as absent.
            "" => DEFAULT_API.to_owned(),
            api => api.to_owned(),
        };
        if api.starts_with("https://") {
            return Err(Failure::Usage(format!(
                "--api: found {:?}, and the API speaks no TLS: expected an address like \
                 http://127.0.0.1:8053, from elsewhere through a tunnel (`ssh -L \
                 8053:127.0.0.1:8053 HOST`)",
                connection.api
            )));
        }
        if !api.starts_with("http://") {
            return Err(Failure::Usage(format!(
                "--api: expected an address like http://127.0.0.1:8053, found {:?}",
                connection.api
            )));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_PATIENCE))
            // The API is reached directly; a proxy for the web has no business with its token.
            .proxy(None)
            .max_redirects(0)
            .user_agent(concat!("mxpool/", env!("CARGO_PKG_VERSION")));
        let token = token(connection)?;
        if let Some(token) = &token
            && (token.is_empty() || !token.bytes().all(|octet| octet.is_ascii_graphic()))
        {
            return Err(Failure::Usage(
                "expected a token of printable ASCII characters without spaces in --token, \
                 MXPOOL_TOKEN or the token's file, found other characters or nothing"
                    .to_owned(),
            ));
        }
        Ok(Self {
            agent: config.build().new_agent(),
            api,
            token,
        })
    }

    /// Returns what the server says at `path`.
    ///
    /// # Errors
    ///
    /// As [`Client::send`].
    pub(super) fn get(&self, path: &str) -> Result<Vec<u8>, Failure> {
        self.send(Method::GET, path, Payload::Nothing)
    }

    /// Returns the JSON document at `path`.
    ///
    /// # Errors
    ///
    /// As [`Client::send`].
    pub(super) fn get_json(&self, path: &str) -> Result<Value, Failure> {
        self.json(&self.get(path)?)
    }

    /// Reads an answer as JSON.
    ///
    /// # Errors
    ///
    /// When it is none: something else listens there.
    pub(super) fn json(&self, answer: &[u8]) -> Result<Value, Failure> {
        serde_json::from_slice(answer).map_err(|error| Failure::Unreachable {
            api: self.api.clone(),
            reason: format!("what answers there speaks no JSON: {error}"),
        })
    }

    /// Asks the server to do something and returns its answer.
    ///
    /// # Errors
    ///
    /// When it cannot be reached, or refuses.
    pub(super) fn send(
        &self,
        method: Method,
        path: &str,
        payload: Payload<'_>,
    ) -> Result<Vec<u8>, Failure> {
        let mut response = self.call(method, path, payload)?;
        let body = response.body_mut().with_config().limit(ANSWER_LIMIT);
        body.read_to_vec().map_err(|error| self.unreachable(&error))
    }

    /// Asks for something that may be long and returns a reader of it, with one header field.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, or refuses.
    pub(super) fn stream(
        &self,
        path: &str,
        header: &str,
    ) -> Result<Streamed<impl Read + use<>>, Failure> {
        let response = self.call(Method::GET, path, Payload::Nothing)?;
        let value = response.headers().get(header);
        let header = value.and_then(|value| Some(value.to_str().ok()?.to_owned()));
        let body = response.into_body().into_with_config();
        Ok(Streamed {
            header,
            body: body.limit(u64::MAX).reader(),
        })
    }

    /// Sends a request and returns the answer if it is a good one.
    fn call(
        &self,
        method: Method,
        path: &str,
        payload: Payload<'_>,
    ) -> Result<Response<ureq::Body>, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.api));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let bad = |error: ureq::http::Error| Failure::Usage(format!("--api: {error}"));
        let answer = match payload {
            Payload::Nothing => self.agent.run(request.body(()).map_err(bad)?),
            Payload::Json(document) => {
                let request = request.header("content-type", "application/json");
                self.agent
                    .run(request.body(document.to_string()).map_err(bad)?)
            }
            Payload::MasterFile(text) => {
                let request = request.header("content-type", "text/dns; charset=utf-8");
                self.agent.run(request.body(text).map_err(bad)?)
            }
        };
        let mut response = answer.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.body_mut().with_config().limit(ANSWER_LIMIT);
        let body = body.read_to_vec().unwrap_or_default();
        let refusal = Refusal::read(status.as_u16(), &body);
        Err(Failure::Refused(Box::new(refusal)))
    }

    /// Says that the server cannot be reached.
    fn unreachable(&self, error: &ureq::Error) -> Failure {
        Failure::Unreachable {
            api: self.api.clone(),
            reason: error.to_string(),
        }
    }
}

/// Finds the token: given, in the file that is named, or where `serve` writes it; what is empty
/// counts as absent.
fn token(connection: &Connection) -> Result<Option<String>, Failure> {
    let given = connection.token.as_deref().map(str::trim);
    if let Some(token) = given.filter(|token| !token.is_empty()) {
        return Ok(Some(token.to_owned()));
    }
    let file = connection.token_file.as_deref();
    if let Some(file) = file.filter(|file| !file.as_os_str().is_empty()) {
        let text = fs::read_to_string(file).map_err(|error| {
            Failure::Usage(format!("the token file {}: {error}", file.display()))
        })?;
        return Ok(Some(text.trim().to_owned()));
    }
    let default = fs::read_to_string(Path::new(DEFAULT_TOKEN_FILE));
    Ok(default.ok().map(|text| text.trim().to_owned()))
}

/// Joins a path out of segments, each escaped (RFC 3986, section 2.1).
pub(super) fn path(segments: &[&str]) -> String {
    let mut path = String::new();
    for segment in segments {
        path.push('/');
        escape_into(&mut path, segment);
    }
    path
}

/// Appends the query parameters that have a value.
pub(super) fn with_query(mut path: String, parameters: &[(&str, Option<String>)]) -> String {
    let mut separator = '?';
    for (name, value) in parameters {
        if let Some(value) = value {
            path.push(separator);
            path.push_str(name);
            path.push('=');
            escape_into(&mut path, value);
            separator = '&';
        }
    }
    path
}

/// Appends a text, with all that is not unreserved escaped.
fn escape_into(path: &mut String, text: &str) {
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            path.push(char::from(octet));
        } else {
            path.push_str(&format!("%{octet:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::OutputForm;

    #[test]
    fn what_users_type_cannot_leave_its_place_in_a_path() {
        let domain = path(&["v1", "domains", "../pools?x", "zone"]);

        assert_eq!(domain, "/v1/domains/..%2Fpools%3Fx/zone");
    }

    #[test]
    fn an_address_with_tls_is_refused_with_the_way_round() {
        let refused = |api: &str| {
            let connection = Connection {
                api: api.to_owned(),
                token: None,
                token_file: None,
                output: OutputForm::Table,
            };
            Client::new(&connection).unwrap_err().to_string()
        };

        assert!(refused("https://ns1.example:8053").contains("the API speaks no TLS"));
        assert!(refused("ns1.example:8053").contains("expected an address like http://"));
    }

    #[test]
    fn absent_parameters_leave_no_trace() {
        let listed = with_query(
            "/v1/domains".to_owned(),
            &[("pool", None), ("after", Some("a&b".to_owned()))],
        );

        assert_eq!(listed, "/v1/domains?after=a%26b");
    }
}
