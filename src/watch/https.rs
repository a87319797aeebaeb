//! One GET, as a sender fetches a policy: no redirect, a bounded body (RFC 8461, section 3.3).

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body, Frame};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::route;

/// The octets that the head of an answer may have.
const LARGEST_HEAD: usize = 16 * 1_024;
/// The fields that the head of an answer may have.
const MOST_FIELDS: usize = 64;

/// What is fetched.
pub(super) struct Fetch<'f> {
    /// Where to connect to.
    pub(super) address: SocketAddr,
    /// The host that is asked for: what its certificate must be for.
    pub(super) host: &'f str,
    /// The path.
    pub(super) path: &'f str,
    /// What the host lets in.
    pub(super) token: Option<&'f str>,
    /// The octets that the body may have.
    pub(super) largest: usize,
}

/// What was fetched with status 200.
#[derive(Debug)]
pub(super) struct Fetched {
    /// The media type that it says it is, without parameters, in lower case.
    pub(super) media_type: String,
    /// The body.
    pub(super) body: Vec<u8>,
}

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// It cannot be connected to, or the connection was cut.
    #[error("it cannot be spoken to: {0}")]
    Cut(io::Error),
    /// It took too long.
    #[error("it took longer than {} s", .0.as_secs())]
    TooLate(Duration),
    /// The host is called what no certificate can be for.
    #[error("{0:?} is no name of a host")]
    NoName(String),
    /// TLS failed; mostly its certificate is not for the host, or of nobody who is trusted.
    #[error("TLS failed: {0}")]
    Tls(io::Error),
    /// What it says is no HTTP.
    #[error("it does not speak HTTP: {0}")]
    Garbled(hyper::Error),
    /// It answers with another status; redirects are not followed.
    #[error("expected status 200, found {0}")]
    Status(StatusCode),
    /// The body is too large.
    #[error("expected at most {0} octets, found more")]
    TooLarge(usize),
}

impl FetchError {
    /// Returns whether it is we who cannot get there.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self, Self::Cut(error) if route::is_missing(error))
    }

    /// Returns whether that is the host's own answer: a sender would get the same.
    pub(super) fn is_answer(&self) -> bool {
        match self {
            Self::Tls(error) => is_of_certificate(error),
            Self::Status(status) => !status.is_server_error(),
            Self::TooLarge(_) => true,
            Self::Cut(_) | Self::TooLate(_) | Self::NoName(_) | Self::Garbled(_) => false,
        }
    }
}

/// Returns whether TLS failed for the certificate, not for a broken connection.
fn is_of_certificate(error: &io::Error) -> bool {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

/// Fetches by TLS with a connector, or in the clear without one.
///
/// # Errors
///
/// When there is no answer of status 200, or one that is too large.
pub(super) async fn fetch(
    fetch: &Fetch<'_>,
    tls: Option<TlsConnector>,
    patience: Duration,
) -> Result<Fetched, FetchError> {
    let fetched = timeout(patience, go(fetch, tls)).await;
    fetched.unwrap_or(Err(FetchError::TooLate(patience)))
}

/// Connects and asks.
async fn go(fetch: &Fetch<'_>, tls: Option<TlsConnector>) -> Result<Fetched, FetchError> {
    let stream = TcpStream::connect(fetch.address)
        .await
        .map_err(FetchError::Cut)?;
    match tls {
        None => speak(fetch, stream).await,
        Some(tls) => {
            let name = ServerName::try_from(fetch.host.to_owned())
                .map_err(|_| FetchError::NoName(fetch.host.to_owned()))?;
            let stream = tls.connect(name, stream).await.map_err(FetchError::Tls)?;
            speak(fetch, stream).await
        }
    }
}

/// Asks over a stream.
async fn speak<S>(fetch: &Fetch<'_>, stream: S) -> Result<Fetched, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(LARGEST_HEAD).max_headers(MOST_FIELDS);
    let (mut sender, connection) = builder
        .handshake(TokioIo::new(stream))
        .await
        .map_err(FetchError::Garbled)?;
    let mut connection = pin!(connection);
    let exchange = async {
        let request = request(fetch);
        let response = sender
            .send_request(request)
            .await
            .map_err(FetchError::Garbled)?;
        read(response, fetch.largest).await
    };
    let mut exchange = pin!(exchange);
    // The connection is driven here and ends with the exchange: no task is left behind.
    let mut open = true;
    poll_fn(move |context| {
        if open && connection.as_mut().poll(context).is_ready() {
            open = false;
        }
        exchange.as_mut().poll(context)
    })
    .await
}

/// Composes the request.
fn request(fetch: &Fetch<'_>) -> Request<NoBody> {
    let mut request = Request::new(NoBody);
    let uri = fetch.path.parse();
    *request.uri_mut() = uri.unwrap_or_default();
    let headers = request.headers_mut();
    let version = env!("CARGO_PKG_VERSION");
    for (name, value) in [
        (HOST, fetch.host.to_owned()),
        (USER_AGENT, format!("mxpool/{version}")),
        (ACCEPT, "*/*".to_owned()),
        (CONNECTION, "close".to_owned()),
    ] {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    }
    if let Some(Ok(mut value)) = fetch
        .token
        .map(|token| format!("Bearer {token}").parse::<hyper::header::HeaderValue>())
    {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    request
}

/// Reads an answer.
async fn read(response: Response<Incoming>, largest: usize) -> Result<Fetched, FetchError> {
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    let media_type = response.headers().get(CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    let media_type = media_type.unwrap_or_default().split(';').next();
    let media_type = media_type.unwrap_or_default().trim().to_ascii_lowercase();
    let mut incoming = response.into_body();
    let mut body = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut incoming).poll_frame(context)).await {
        let frame = frame.map_err(FetchError::Garbled)?;
        if let Some(data) = frame.data_ref() {
            if body.len() + data.len() > largest {
                return Err(FetchError::TooLarge(largest));
            }
            body.extend_from_slice(data);
        }
    }
    Ok(Fetched { media_type, body })
}

/// The body of a GET.
struct NoBody;

impl Body for NoBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }
}
