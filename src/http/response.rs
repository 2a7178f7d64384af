//! Responses (RFC 9110, RFC 9112).
//!
//! Owns: the bytes of a response's head. Does not know which request is answered, but for what its head has to say.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;

use super::request::{Method, Request};

/// How long an answer may be kept by browsers and caches in between (RFC 9111, 5.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cache {
    /// Not at all: it is about this moment.
    #[default]
    NoStore,
    /// For so many seconds.
    MaxAge(u32),
    /// For so many seconds, without asking meanwhile whether it changed: it never does.
    Immutable(u32),
}

/// All of a response but its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHead {
    /// Status code.
    pub status: u16,
    /// `Content-Type`; none where it is empty.
    pub content_type: Cow<'static, str>,
    /// `Cache-Control`.
    pub cache: Cache,
    /// Whether pages of other sites may read the answer (CORS). For media; never for what only the operator may see.
    pub cors: bool,
    /// Further fields. Control characters in values are sent as spaces.
    pub headers: Vec<(&'static str, String)>,
    /// Whether the connection closes after the answer in any case.
    pub close: bool,
}

impl ResponseHead {
    /// A head without further fields that may not be kept, and not be read by pages of other sites.
    pub fn new(status: u16, content_type: impl Into<Cow<'static, str>>) -> Self {
        let content_type = content_type.into();
        ResponseHead { status, content_type, cache: Cache::NoStore, cors: false, headers: Vec::new(), close: false }
    }

    /// Lets caches keep it.
    #[must_use]
    pub const fn with_cache(mut self, cache: Cache) -> Self {
        self.cache = cache;
        self
    }

    /// Lets pages of other sites read it.
    #[must_use]
    pub const fn with_cors(mut self) -> Self {
        self.cors = true;
        self
    }

    /// Adds a field.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The bytes of the head. `length` is that of the body; `None` where it ends with the connection.
    pub(super) fn encode(&self, length: Option<usize>, connection: Option<&str>) -> String {
        let mut head = String::with_capacity(256);
        // Writing to a string cannot fail.
        let _ = write!(head, "HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        // Those without a body say so by their status alone (RFC 9110, 8.6).
        if has_body(self.status) {
            if !self.content_type.is_empty() {
                field(&mut head, "Content-Type", &self.content_type);
            }
            if let Some(length) = length {
                field(&mut head, "Content-Length", &length.to_string());
            }
        }
        match self.cache {
            Cache::NoStore => field(&mut head, "Cache-Control", "no-store"),
            Cache::MaxAge(seconds) => field(&mut head, "Cache-Control", &format!("max-age={seconds}")),
            Cache::Immutable(seconds) => {
                field(&mut head, "Cache-Control", &format!("public, max-age={seconds}, immutable"));
            }
        }
        if self.cors {
            field(&mut head, "Access-Control-Allow-Origin", "*");
            field(&mut head, "Access-Control-Expose-Headers", "Age, Content-Length, Content-Range");
        }
        field(&mut head, "X-Content-Type-Options", "nosniff");
        for (name, value) in &self.headers {
            field(&mut head, name, value);
        }
        if let Some(connection) = connection {
            field(&mut head, "Connection", connection);
        }
        head.push_str("\r\n");
        head
    }
}

/// A whole response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// All but the body.
    pub head: ResponseHead,
    /// Pieces that are sent one after the other, shared with whoever else is sent them. For HEAD it is the body that
    /// GET would be sent.
    pub body: Vec<Bytes>,
}

impl Response {
    /// A response that may not be kept, and not be read by pages of other sites.
    pub fn new(status: u16, content_type: impl Into<Cow<'static, str>>, body: impl Into<Bytes>) -> Self {
        Response::of_pieces(status, content_type, vec![body.into()])
    }

    /// As [`Response::new`], with a body of several pieces.
    pub fn of_pieces(status: u16, content_type: impl Into<Cow<'static, str>>, body: Vec<Bytes>) -> Self {
        Response { head: ResponseHead::new(status, content_type), body }
    }

    /// Bytes of the whole body.
    pub fn body_len(&self) -> usize {
        self.body.iter().map(Bytes::len).sum()
    }

    /// One line of text that begins with the status.
    pub fn text(status: u16, text: &str) -> Self {
        let body = format!("{status} {}: {text}\n", reason(status));
        Response::new(status, "text/plain; charset=utf-8", body)
    }

    /// Answers [`Request::is_preflight`]: pages of other sites may use `methods` (`GET, HEAD`), with the headers that
    /// they ask for.
    pub fn preflight(request: &Request, methods: &str) -> Self {
        let mut response = Response::new(204, "", Bytes::new()).with_cors();
        response = response.with_header("Access-Control-Allow-Methods", methods);
        if let Some(headers) = request.header("Access-Control-Request-Headers") {
            response = response.with_header("Access-Control-Allow-Headers", headers);
        }
        response.with_header("Access-Control-Max-Age", "86400")
    }

    /// Answers a method that the path does not have; `methods` are those it has (`GET, HEAD`).
    pub fn method_not_allowed(methods: &str) -> Self {
        Response::text(405, &format!("use {methods}")).with_header("Allow", methods)
    }

    /// See [`ResponseHead::with_cache`].
    #[must_use]
    pub fn with_cache(mut self, cache: Cache) -> Self {
        self.head = self.head.with_cache(cache);
        self
    }

    /// See [`ResponseHead::with_cors`].
    #[must_use]
    pub fn with_cors(mut self) -> Self {
        self.head = self.head.with_cors();
        self
    }

    /// See [`ResponseHead::with_header`].
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.head = self.head.with_header(name, value);
        self
    }

    /// Whether the body is sent where `method` asked.
    pub(super) fn sends_body(&self, method: Method) -> bool {
        method != Method::Head && has_body(self.head.status)
    }
}

/// Whether responses with this status have a body (RFC 9112, 6.3).
pub(super) const fn has_body(status: u16) -> bool {
    !matches!(status, 100..=199 | 204 | 304)
}

/// Appends a field. Control characters become spaces, so that a value can never end its line.
pub(super) fn field(head: &mut String, name: &str, value: &str) {
    head.push_str(name);
    head.push_str(": ");
    head.extend(value.chars().map(|c| if c.is_control() { ' ' } else { c }));
    head.push_str("\r\n");
}

/// What a status code means (RFC 9110, 15).
pub(super) const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Unknown",
    }
}
