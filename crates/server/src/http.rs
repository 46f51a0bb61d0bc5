//! HTTP: metrics, health, and a page that links them. Served on the control thread.
//!
//! It must answer while every worker is at 100 %, so nothing here waits for a worker or a gate.
//! A connection serves one request and has `PATIENCE` for it: who scrapes connects anew, and
//! nobody holds a connection for nothing.
//!
//! # Invariants
//!
//! 1. Nothing is told to who is no user that may run INFO, unless the request came by an admin port
//!    that needs no password.
//! 2. At most `GUESTS_MAX` connections are served at one time.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use command::Words;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderValue};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use protocol::Span;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::acl::{Asked, Attempt, User};
use crate::metrics;
use crate::server::{CommandEntry, Server};

/// How long one connection may take, from its first byte to its last.
const PATIENCE: Duration = Duration::from_secs(15);

/// Connections served at one time.
const GUESTS_MAX: usize = 64;

/// Bytes that the head of a request may have.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// A connection that speaks HTTP, on its way from a worker.
pub struct Guest {
    /// Its socket.
    pub socket: std::net::TcpStream,
    /// What it has sent.
    pub first_bytes: Vec<u8>,
    /// Whether it came by the admin port.
    pub admin: bool,
}

/// Serves the connections that workers hand over.
pub async fn receive(server: Arc<Server>, mut guests: UnboundedReceiver<Guest>) {
    while let Some(Guest { socket, first_bytes, admin }) = guests.recv().await {
        let is_open = admin || server.settings().http_on_main_port;
        if let (true, Ok(socket)) = (is_open, TcpStream::from_std(socket)) {
            tokio::spawn(serve(Arc::clone(&server), socket, first_bytes, admin));
        }
    }
}

/// Bounds how many connections are served at one time.
static GUESTS: Semaphore = Semaphore::const_new(GUESTS_MAX);

/// Serves one connection. `first_bytes`: what it has sent already.
pub async fn serve(server: Arc<Server>, socket: TcpStream, first_bytes: Vec<u8>, admin: bool) {
    let Ok(_permit) = GUESTS.try_acquire() else { return };
    let answer = |request: Request<Incoming>| {
        let response = answer(&server, admin, &request);
        async move { Ok::<_, Infallible>(response) }
    };
    let mut options = http1::Builder::new();
    options.keep_alive(false).max_buf_size(HEAD_BYTES_MAX);
    let socket = Replayed { socket, first_bytes, at: 0 };
    let connection = options.serve_connection(socket, service_fn(answer));
    match tokio::time::timeout(PATIENCE, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("HTTP: {error}"),
        Err(_) => tracing::debug!("HTTP: a connection was too slow"),
    }
}

fn answer<B>(server: &Server, admin: bool, request: &Request<B>) -> Response<Page> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = page(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "only GET and HEAD\n");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    if !is_admitted(server, admin, request) {
        server.arrivals.http_auth_failures.fetch_add(1, Ordering::Relaxed);
        let mut response = page(StatusCode::UNAUTHORIZED, PLAIN, "a password is needed\n");
        let challenge = HeaderValue::from_static("Basic realm=\"anax\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        return response;
    }
    match request.uri().path() {
        "/" => page(StatusCode::OK, "text/html; charset=utf-8", INDEX),
        "/healthz" => page(StatusCode::OK, PLAIN, "OK"),
        "/metrics" => page(StatusCode::OK, metrics::CONTENT_TYPE, metrics::exposition(server)),
        _ => page(StatusCode::NOT_FOUND, PLAIN, "no such page\n"),
    }
}

const PLAIN: &str = "text/plain; charset=utf-8";

const INDEX: &str = "<!doctype html>\n\
    <html lang=\"en\">\n\
    <head><meta charset=\"utf-8\"><title>Anax</title></head>\n\
    <body>\n\
    <h1>Anax</h1>\n\
    <ul>\n\
    <li><a href=\"/metrics\">/metrics</a>: what is counted, for Prometheus</li>\n\
    <li><a href=\"/healthz\">/healthz</a>: OK while the server answers</li>\n\
    </ul>\n\
    </body>\n\
    </html>\n";

fn page(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Response<Page> {
    let mut response = Response::new(Page(Some(text.into())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Whether a request comes from somebody who may run INFO: the user that it names with the right
/// password, or the default one, if that needs none.
fn is_admitted<B>(server: &Server, admin: bool, request: &Request<B>) -> bool {
    if admin && server.settings().admin_nopass {
        return true;
    }
    let given = request.headers().get(header::AUTHORIZATION);
    let user = match given.map(|given| credentials(given.as_bytes())) {
        None => Some(server.acl.default_user()).filter(|user| user.is_open()),
        Some(None) => None,
        Some(Some((name, password))) => server.acl.authenticate(&name, &password),
    };
    user.is_some_and(|user| may_look(server, &user))
}

/// Whether a user may run INFO.
fn may_look(server: &Server, user: &User) -> bool {
    const NAME: &[u8] = b"INFO";
    let spans = [Span { start: 0, end: NAME.len() as u32 }];
    let attempt = |entry: &CommandEntry| {
        let (asked, words) = (Asked::of(entry, entry.command), Words::new(NAME, &spans));
        Attempt { asked, words, db: 0, databases: server.keyspace.databases() }
    };
    server.table.named(NAME).is_some_and(|entry| user.check(&attempt(entry)).is_ok())
}

/// The name and the password of a header of the scheme "Basic" (RFC 7617).
fn credentials(header: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, rest) = header.split_at_checked("Basic ".len())?;
    let pair = unbase64(rest).filter(|_| scheme.eq_ignore_ascii_case(b"Basic "))?;
    let colon = pair.iter().position(|&byte| byte == b':')?;
    Some((pair[..colon].to_vec(), pair[colon + 1..].to_vec()))
}

/// The bytes that letters stand for, six bits each (RFC 4648, section 4).
fn unbase64(text: &[u8]) -> Option<Vec<u8>> {
    let (groups, []) = text.as_chunks::<4>() else { return None };
    let mut bytes = Vec::with_capacity(groups.len() * 3);
    for (at, group) in groups.iter().enumerate() {
        let padding = group.iter().rev().take_while(|&&letter| letter == b'=').count();
        if padding > 2 || (padding > 0 && at + 1 < groups.len()) {
            return None;
        }
        let letters = &group[..4 - padding];
        let bits =
            letters.iter().try_fold(0, |bits, &letter| Some(bits << 6 | six_bits(letter)?))?;
        let [_, whole @ ..] = (bits << (6 * padding)).to_be_bytes();
        bytes.extend_from_slice(&whole[..3 - padding]);
    }
    Some(bytes)
}

fn six_bits(letter: u8) -> Option<u32> {
    Some(u32::from(match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

/// A body that is sent in one piece.
struct Page(Option<Bytes>);

impl Body for Page {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// A socket whose first bytes were read already: they are read again, then the socket.
struct Replayed {
    socket: TcpStream,
    first_bytes: Vec<u8>,
    at: usize,
}

/// Bytes read from the socket in one go.
const READ_BYTES: usize = 4096;

impl Read for Replayed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let waiting = &self.first_bytes[self.at..];
        if !waiting.is_empty() {
            let count = waiting.len().min(into.remaining());
            into.put_slice(&waiting[..count]);
            self.at += count;
            return Poll::Ready(Ok(()));
        }
        let mut bytes = [0; READ_BYTES];
        let count = READ_BYTES.min(into.remaining());
        let mut buffer = ReadBuf::new(&mut bytes[..count]);
        ready!(Pin::new(&mut self.socket).poll_read(context, &mut buffer))?;
        into.put_slice(buffer.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for Replayed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        let cases = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        for (length, text) in cases.iter().enumerate() {
            assert_eq!(unbase64(text.as_bytes()).unwrap(), b"foobar"[..length]);
        }
        assert_eq!(unbase64(b"+/8=").unwrap(), [0xFB, 0xFF]);
        for wrong in ["Z", "Zg=", "Zg", "====", "Z===", "Zg==Zg==", "Zm9*", "=Zg="] {
            assert_eq!(unbase64(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn a_header_names_a_user_and_a_password_that_may_hold_a_colon() {
        let pair = |name: &str, password: &str| Some((name.into(), password.into()));
        assert_eq!(credentials(b"Basic YTpi"), pair("a", "b"));
        assert_eq!(credentials(b"basic YTpiOmM="), pair("a", "b:c"));
        for wrong in ["", "Basic", "Basic YQ==", "Bearer YTpi", "Basic  YTpi"] {
            assert_eq!(credentials(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
