//! Requests: what a head means (RFC 9112, 3 to 6; RFC 6455, 4.2.1).
//!
//! Owns: which heads are refused, how long the body is, and whether the connection stays. Does not know how a head
//! arrives.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

use super::body::Framing;
use super::error::HttpError;
use super::fields::Fields;
use super::target::Target;
use crate::config::HttpLimits;

/// What is asked for (RFC 9110, 9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// HEAD: as GET, but the body stays here.
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
    /// Anything else. To be answered with 405.
    Other,
}

impl Method {
    /// Methods are told apart by case.
    pub(super) fn parse(token: &str) -> Method {
        match token {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            _ => Method::Other,
        }
    }
}

/// Version of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// A whole request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method.
    pub method: Method,
    /// Percent-decoded, beginning with `/`, without `.` and `..` segments, backslashes and control characters. An
    /// escaped `/` stays `%2F`, so that it divides no segments. `*` only with [`Method::Options`].
    pub path: String,
    /// The path as it was sent.
    pub raw_path: String,
    /// As it was sent, without `?`. See [`query_value`](super::query_value).
    pub query: String,
    /// Version.
    pub version: Version,
    /// Header fields.
    pub fields: Fields,
    /// Empty where there is none.
    pub body: Bytes,
    /// Whether the peer may be answered with
    /// [`accept_websocket`](super::HttpSession::accept_websocket).
    pub is_websocket: bool,
}

impl Request {
    /// Value of the first header field with this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.fields.get(name)
    }

    /// Value of the first `key` in the query, percent-decoded.
    pub fn query_value(&self, key: &str) -> Option<String> {
        super::query_value(&self.query, key)
    }

    /// Whether a browser asks what it may ask another site for (Fetch Standard, 3.3.2). See
    /// [`Response::preflight`](super::Response::preflight).
    pub fn is_preflight(&self) -> bool {
        self.method == Method::Options
            && self.fields.get("Origin").is_some()
            && self.fields.get("Access-Control-Request-Method").is_some()
    }

    /// Memory that it takes, in bytes.
    pub fn held_bytes(&self) -> usize {
        let texts = self.path.len() + self.raw_path.len() + self.query.len();
        size_of::<Request>() + texts + self.fields.held_bytes() + self.body.len()
    }

    /// The key of a valid upgrade.
    pub(super) fn websocket_key(&self) -> Option<&str> {
        self.fields.get("Sec-WebSocket-Key").filter(|_| self.is_websocket)
    }

    /// Whether the connection may stay (RFC 9112, 9.3).
    pub(super) fn keeps_alive(&self) -> bool {
        let has = |token| self.fields.lists("Connection", token);
        match self.version {
            Version::Http11 => !has("close"),
            Version::Http10 => has("keep-alive") && !has("close"),
        }
    }
}

/// A request whose body is still to come.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) request: Request,
    pub(super) framing: Framing,
    /// Whether the peer waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
}

/// Checks a request line by itself, so that what is no HTTP is refused before its end was waited for.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_request_line(line: &[u8]) -> Result<(), HttpError> {
    let mut none = [];
    match httparse::Request::new(&mut none).parse(line) {
        Ok(_) | Err(httparse::Error::TooManyHeaders) => Ok(()),
        Err(error) => Err(explain(error, line, 0)),
    }
}

/// Reads a whole head, its empty line included.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse_head(head: &[u8], limits: &HttpLimits) -> Result<Head, HttpError> {
    let mut headers = vec![httparse::EMPTY_HEADER; limits.headers];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(len)) if len == head.len() => {}
        Ok(_) => return Err(HttpError::NotHttp("the head does not end where it should")),
        Err(error) => return Err(explain(error, head, limits.headers)),
    }
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(HttpError::NotHttp("the request line is not complete"));
    };
    let method = Method::parse(method);
    let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
    let fields = Fields::new(parsed.headers);
    check_host(&fields, version)?;
    let framing = framing(&fields, version, limits)?;
    let expects_continue = expects_continue(&fields, version)?;
    let Target { path, raw_path, query } = Target::parse(method, target)?;
    let is_websocket = is_websocket(&fields, method, version, framing)?;
    let body = Bytes::new();
    let request = Request { method, path, raw_path, query, version, fields, body, is_websocket };
    Ok(Head { request, framing, expects_continue })
}

fn explain(error: httparse::Error, head: &[u8], headers: usize) -> HttpError {
    match error {
        httparse::Error::TooManyHeaders => HttpError::TooManyHeaders(headers),
        httparse::Error::Version if names_a_version(head) => HttpError::Version,
        httparse::Error::Version | httparse::Error::Token | httparse::Error::Status => {
            HttpError::NotHttp("its first line is not METHOD /path HTTP/1.1")
        }
        httparse::Error::NewLine => HttpError::NotHttp("a line does not end with CR LF"),
        httparse::Error::HeaderName => HttpError::BadRequest("a header's name has a character that is not allowed"),
        httparse::Error::HeaderValue => HttpError::BadRequest("a header's value has a character that is not allowed"),
    }
}

/// Whether the first line ends like one of HTTP, in some version.
fn names_a_version(head: &[u8]) -> bool {
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let last = line.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    matches!(last, [b'H', b'T', b'T', b'P', b'/', digit, rest @ ..]
        if digit.is_ascii_digit() && matches!(rest, [] | [b'.', _, ..]))
}

/// Host has to be there once (RFC 9112, 3.2); what it names is for nobody here to know.
fn check_host(fields: &Fields, version: Version) -> Result<(), HttpError> {
    let mut hosts = fields.all("Host");
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::Http11 => Err(HttpError::BadRequest("the Host header is missing")),
        (_, Some(_)) => Err(HttpError::BadRequest("there are two Host headers")),
        (Some(host), _) if !host.iter().all(|&byte| is_host_byte(byte)) => {
            Err(HttpError::BadRequest("the Host header names no host"))
        }
        _ => Ok(()),
    }
}

/// Characters of a name, an address in brackets and a port (RFC 3986, 3.2.2), escapes included.
const fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%' | b':' | b'[' | b']' | b'!')
}

/// Where the body ends. Whatever two readers could understand differently is refused (RFC 9112, 6.1 to 6.3).
fn framing(fields: &Fields, version: Version, limits: &HttpLimits) -> Result<Framing, HttpError> {
    let mut lengths = fields.all("Content-Length");
    let length = lengths.next();
    if lengths.next().is_some() {
        return Err(HttpError::BadRequest("there are two Content-Length headers"));
    }
    let mut codings = fields.all("Transfer-Encoding");
    if let Some(coding) = codings.next() {
        if length.is_some() {
            return Err(HttpError::BadRequest("Content-Length and Transfer-Encoding contradict each other"));
        }
        if version == Version::Http10 {
            return Err(HttpError::BadRequest("HTTP/1.0 knows no Transfer-Encoding"));
        }
        let is_chunked = coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
        return if is_chunked { Ok(Framing::Chunked) } else { Err(HttpError::Coding) };
    }
    let Some(digits) = length else { return Ok(Framing::Length(0)) };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(HttpError::BadRequest("Content-Length is no number"));
    }
    // Digits that no number can hold say that it is too long.
    let length = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    length.map(Framing::Length).ok_or(HttpError::BodyTooLong(limits.body_bytes))
}

/// RFC 9110, 10.1.1. HTTP/1.0 does not know it.
fn expects_continue(fields: &Fields, version: Version) -> Result<bool, HttpError> {
    match fields.all("Expect").next() {
        Some(_) if version == Version::Http10 => Ok(false),
        Some(value) if value.eq_ignore_ascii_case(b"100-continue") => Ok(true),
        Some(_) => Err(HttpError::Expectation),
        None => Ok(false),
    }
}

/// Whether this is a WebSocket upgrade (RFC 6455, 4.2.1). One that tries to be and is not is refused; upgrades to
/// anything else are plain requests.
fn is_websocket(fields: &Fields, method: Method, version: Version, framing: Framing) -> Result<bool, HttpError> {
    let asks = fields.lists("Upgrade", "websocket") && fields.lists("Connection", "upgrade");
    if !asks || version == Version::Http10 {
        return Ok(false);
    }
    if method != Method::Get || framing != Framing::Length(0) {
        return Err(HttpError::BadRequest("a WebSocket begins with a GET request without a body"));
    }
    if fields.get("Sec-WebSocket-Version") != Some("13") {
        return Err(HttpError::WebSocketVersion);
    }
    let mut keys = fields.all("Sec-WebSocket-Key");
    match (keys.next().and_then(|key| BASE64.decode(key).ok()), keys.next()) {
        (Some(key), None) if key.len() == 16 => Ok(true),
        _ => Err(HttpError::BadRequest("Sec-WebSocket-Key is not the base64 of 16 bytes")),
    }
}
