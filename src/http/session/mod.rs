//! The server's session: one peer that sends requests, one after the other, or WebSocket frames.
//!
//! Owns: how bytes become requests, the order of answers, and how long a peer may take. Does not know what is served:
//! it tells its owner the request and is given the answer.

mod event;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::body::{BodyError, BodyReader, Framing};
use super::error::HttpError;
use super::output::Output;
use super::request::{self, Head, Method, Request, Version};
use super::response::{Response, ResponseHead, field};
use super::websocket::{self, WebSocket};
use crate::config::HttpLimits;

pub use self::event::Event;

/// One connection's protocol state.
///
/// Contract: after each `handle_input`, `handle_timeout` or answer, drain [`poll_event`](Self::poll_event) and
/// [`poll_output`](Self::poll_output) to `None`. An answer may also come later, after more input. When all output is
/// sent and [`wants_close`](Self::wants_close), the connection closes; it should read past what still comes for a
/// moment, so that the answer is not lost (RFC 9112, 9.6).
///
/// An idle connection holds no buffer.
#[derive(Debug)]
pub struct HttpSession {
    limits: Arc<HttpLimits>,
    stage: Stage,
    /// The head under way, or what stands behind a request that waits for its answer.
    buffer: Vec<u8>,
    /// Whether `buffer` begins with a whole request line that was checked.
    has_request_line: bool,
    events: VecDeque<Event>,
    output: Output,
    /// When the wait of this stage began.
    since: Instant,
    /// Whether no request came yet.
    is_new: bool,
}

#[derive(Debug)]
enum Stage {
    /// A head is to come.
    Head,
    /// A body is to come.
    Body(Box<(Request, BodyReader)>),
    /// The owner is to answer.
    Answer(Pending),
    /// The owner sends a body that ends with the connection.
    Endless,
    /// Frames, both ways.
    WebSocket(Box<WebSocket>),
    /// All was said.
    Closed,
}

/// What an answer needs to know of its request.
#[derive(Debug)]
struct Pending {
    method: Method,
    version: Version,
    keeps_alive: bool,
    websocket_key: Option<Box<str>>,
}

impl HttpSession {
    /// A session whose connection was accepted at `now`.
    pub fn new(now: Instant, limits: Arc<HttpLimits>) -> Self {
        HttpSession {
            limits,
            stage: Stage::Head,
            buffer: Vec::new(),
            has_request_line: false,
            events: VecDeque::new(),
            output: Output::default(),
            since: now,
            is_new: true,
        }
    }

    /// Takes bytes of the peer. All of them are eaten. Events of one call are bounded by its bytes.
    ///
    /// # Errors
    /// [`HttpError`]; it is answered already, where it has an answer. `poll_output` still counts, then the connection
    /// closes.
    pub fn handle_input(&mut self, now: Instant, input: &[u8]) -> Result<(), HttpError> {
        let mut rest = input;
        let result = self.read(now, &mut rest);
        self.fail_where(result)
    }

    /// Does what is due at `now`.
    ///
    /// # Errors
    /// [`HttpError`] where a wait ended, as in [`handle_input`](Self::handle_input).
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), HttpError> {
        if self.poll_timeout().is_none_or(|deadline| deadline > now) {
            return Ok(());
        }
        let result = match &mut self.stage {
            Stage::Head if self.buffer.is_empty() => Err(HttpError::Idle(self.head_wait_ms())),
            Stage::Head => Err(HttpError::RequestTimeout(self.limits.head_timeout_ms)),
            Stage::Body(_) => Err(HttpError::RequestTimeout(self.limits.body_timeout_ms)),
            Stage::WebSocket(websocket) => websocket.handle_timeout(now, &mut self.output).map_err(HttpError::from),
            Stage::Answer(_) | Stage::Endless | Stage::Closed => Ok(()),
        };
        self.fail_where(result)
    }

    /// When `handle_timeout` wants to be called next. `None` while the owner is to answer or sends an endless body.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Head => after(self.since, self.head_wait_ms()),
            Stage::Body(_) => after(self.since, self.limits.body_timeout_ms),
            Stage::WebSocket(websocket) => websocket.poll_timeout(),
            Stage::Answer(_) | Stage::Endless | Stage::Closed => None,
        }
    }

    /// Next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if self.events.is_empty() {
            self.events = VecDeque::new();
        }
        event
    }

    /// Bytes to send, in order. With a WebSocket they are whole frames: between two of them the owner may send whole
    /// messages of its own.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.output.take()
    }

    /// Whether the connection closes once all output is sent.
    pub fn wants_close(&self) -> bool {
        matches!(self.stage, Stage::Closed)
    }

    /// Answers the request that waits for it; nothing where none does. Then the next one, if it is there, is read.
    ///
    /// # Errors
    /// The next request's, as in [`handle_input`](Self::handle_input).
    pub fn respond(&mut self, now: Instant, response: Response) -> Result<(), HttpError> {
        let Some(pending) = self.take_pending() else { return Ok(()) };
        let keeps_alive = pending.keeps_alive && !response.head.close;
        let connection = match (keeps_alive, pending.version) {
            (false, _) => Some("close"),
            (true, Version::Http10) => Some("keep-alive"),
            (true, Version::Http11) => None,
        };
        let head = response.head.encode(Some(response.body_len()), connection);
        self.output.write(head.as_bytes());
        if response.sends_body(pending.method) {
            for piece in response.body {
                self.output.share(piece);
            }
        }
        if !keeps_alive {
            self.close();
            return Ok(());
        }
        self.stage = Stage::Head;
        self.since = now;
        self.read_waiting(now)
    }

    /// Answers the request that waits for it with a body that ends with the connection. From now on the owner sends
    /// the body's bytes, and closes when it ends; what the peer sends is read past. Says whether there is a body:
    /// there is none for HEAD, nor where no request waits.
    #[must_use]
    pub fn begin_endless(&mut self, head: &ResponseHead) -> bool {
        let Some(pending) = self.take_pending() else { return false };
        self.output.write(head.encode(None, Some("close")).as_bytes());
        self.close();
        let has_body = pending.method != Method::Head;
        if has_body {
            self.stage = Stage::Endless;
        }
        has_body
    }

    /// Answers a request with [`Request::is_websocket`]; from now on there are only frames. `protocol` is one of those
    /// that the peer listed in `Sec-WebSocket-Protocol`, where it has to be told. Where no such request waits, nothing
    /// happens.
    ///
    /// # Errors
    /// Those of frames that came too early, as in [`handle_input`](Self::handle_input).
    pub fn accept_websocket(&mut self, now: Instant, protocol: Option<&str>) -> Result<(), HttpError> {
        let Stage::Answer(Pending { websocket_key: Some(key), .. }) = &self.stage else { return Ok(()) };
        let mut head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n".to_owned();
        field(&mut head, "Sec-WebSocket-Accept", &websocket::accept_value(key));
        if let Some(protocol) = protocol {
            field(&mut head, "Sec-WebSocket-Protocol", protocol);
        }
        head.push_str("\r\n");
        self.output.write(head.as_bytes());
        self.stage = Stage::WebSocket(Box::new(WebSocket::new(now, &self.limits)));
        self.read_waiting(now)
    }

    /// Closes the WebSocket with a code (RFC 6455, 7.4.1) and a reason of at most 123 bytes. The peer's answer is not
    /// waited for.
    pub fn websocket_close(&mut self, code: u16, reason: &str) {
        if matches!(self.stage, Stage::WebSocket(_)) {
            websocket::write_close(&mut self.output, Some(code), reason);
            self.close();
        }
    }

    /// Memory that unfinished heads, bodies and messages take, and what was sent ahead; in bytes.
    pub fn partial_bytes(&self) -> usize {
        let unfinished = match &self.stage {
            Stage::Body(incoming) => incoming.1.held_bytes(),
            Stage::WebSocket(websocket) => websocket.held_bytes(),
            _ => 0,
        };
        self.buffer.capacity() + unfinished
    }

    /// Memory that requests take which nobody has answered yet, in bytes.
    pub fn held_bytes(&self) -> usize {
        let in_body = match &self.stage {
            Stage::Body(incoming) => incoming.0.held_bytes(),
            _ => 0,
        };
        let in_events = self.events.iter().map(|event| match event {
            Event::Request(request) => request.held_bytes(),
            Event::WebSocketText(text) => text.len(),
            Event::WebSocketBinary(bytes) => bytes.len(),
            Event::WebSocketClosed { .. } => 0,
        });
        in_body + in_events.sum::<usize>() + self.events.capacity() * size_of::<Event>()
    }

    fn read(&mut self, now: Instant, rest: &mut &[u8]) -> Result<(), HttpError> {
        if matches!(self.stage, Stage::Head) && !self.read_head(now, rest)? {
            return Ok(());
        }
        if matches!(self.stage, Stage::Body(_)) && !self.read_body(rest)? {
            return Ok(());
        }
        match &mut self.stage {
            Stage::Answer(_) => self.keep(rest),
            Stage::WebSocket(websocket) => {
                let is_open = websocket.handle_input(now, rest, &mut self.events, &mut self.output)?;
                if !is_open {
                    self.close();
                }
                Ok(())
            }
            Stage::Head | Stage::Body(_) | Stage::Endless | Stage::Closed => Ok(()),
        }
    }

    /// Reads on behind the request that was answered.
    fn read_waiting(&mut self, now: Instant) -> Result<(), HttpError> {
        let waiting = std::mem::take(&mut self.buffer);
        let result = self.read(now, &mut &waiting[..]);
        self.fail_where(result)
    }

    /// Takes lines up to the empty one. Says whether the head is whole.
    fn read_head(&mut self, now: Instant, rest: &mut &[u8]) -> Result<bool, HttpError> {
        while !rest.is_empty() {
            let end = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |at| at + 1);
            let (line, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            *rest = after;
            if self.buffer.is_empty() && !self.is_new {
                self.since = now;
            }
            self.check_length(line.len())?;
            self.buffer.extend_from_slice(line);
            if self.check_lines()? {
                let head = std::mem::take(&mut self.buffer);
                self.has_request_line = false;
                self.begin_request(now, &head, rest)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn check_length(&self, more: usize) -> Result<(), HttpError> {
        let limit = self.limits.head_bytes;
        if self.buffer.len() + more <= limit {
            Ok(())
        } else if self.has_request_line {
            Err(HttpError::HeadTooLong(limit))
        } else {
            Err(HttpError::TargetTooLong(limit))
        }
    }

    /// Looks at what was taken so far. Says whether the head is whole.
    fn check_lines(&mut self) -> Result<bool, HttpError> {
        if self.buffer == b"\r\n" {
            // Some clients end a body with one line too many (RFC 9112, 2.2).
            self.buffer = Vec::new();
            return Ok(false);
        }
        match self.buffer.first() {
            // A TLS handshake.
            Some(0x16) => return Err(HttpError::NotHttp("it is TLS (https), and this port speaks plain HTTP")),
            Some(b'\r') => {}
            Some(byte) if byte.is_ascii_graphic() => {}
            _ => return Err(HttpError::NotHttp("its first line is not METHOD /path HTTP/1.1")),
        }
        if !self.buffer.ends_with(b"\n") {
            return Ok(false);
        }
        if !self.buffer.ends_with(b"\r\n") {
            // Some proxies read a lone LF as the end of a line, and others do not.
            return Err(HttpError::NotHttp("a line does not end with CR LF"));
        }
        if self.buffer.ends_with(b"\r\n\r\n") {
            return Ok(true);
        }
        if !self.has_request_line {
            request::check_request_line(&self.buffer)?;
            self.has_request_line = true;
        }
        Ok(false)
    }

    /// The head is whole; what stands behind it is `rest`.
    fn begin_request(&mut self, now: Instant, head: &[u8], rest: &[u8]) -> Result<(), HttpError> {
        let Head { request, framing, expects_continue } = request::parse_head(head, &self.limits)?;
        self.is_new = false;
        if framing == Framing::Length(0) {
            self.end_request(request);
            return Ok(());
        }
        let reader = BodyReader::new(framing, self.limits.body_bytes).map_err(|error| self.body_error(error))?;
        if expects_continue && rest.is_empty() {
            self.output.write(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        self.since = now;
        self.stage = Stage::Body(Box::new((request, reader)));
        Ok(())
    }

    /// Says whether the body is whole.
    fn read_body(&mut self, rest: &mut &[u8]) -> Result<bool, HttpError> {
        let Stage::Body(incoming) = &mut self.stage else { return Ok(false) };
        match incoming.1.read(rest) {
            Ok(false) => return Ok(false),
            Ok(true) => {}
            Err(error) => return Err(self.body_error(error)),
        }
        if let Stage::Body(incoming) = std::mem::replace(&mut self.stage, Stage::Closed) {
            let (mut request, reader) = *incoming;
            request.body = reader.into_data().into();
            self.end_request(request);
        }
        Ok(true)
    }

    fn end_request(&mut self, request: Request) {
        self.stage = Stage::Answer(Pending {
            method: request.method,
            version: request.version,
            keeps_alive: request.keeps_alive(),
            websocket_key: request.websocket_key().map(Into::into),
        });
        self.events.push_back(Event::Request(Box::new(request)));
    }

    /// Keeps what was sent ahead, unless nobody will read it.
    fn keep(&mut self, rest: &[u8]) -> Result<(), HttpError> {
        let Stage::Answer(pending) = &self.stage else { return Ok(()) };
        if !pending.keeps_alive && pending.websocket_key.is_none() {
            return Ok(());
        }
        let limit = self.limits.head_bytes;
        if self.buffer.len() + rest.len() > limit {
            return Err(HttpError::TooMuchAhead(limit));
        }
        self.buffer.extend_from_slice(rest);
        Ok(())
    }

    /// What the answer needs to know; the stage is [`Stage::Closed`] then.
    fn take_pending(&mut self) -> Option<Pending> {
        if !matches!(self.stage, Stage::Answer(_)) {
            return None;
        }
        match std::mem::replace(&mut self.stage, Stage::Closed) {
            Stage::Answer(pending) => Some(pending),
            _ => None,
        }
    }

    fn close(&mut self) {
        self.stage = Stage::Closed;
        self.buffer = Vec::new();
    }

    /// Answers an error, where it has an answer, and closes.
    fn fail_where(&mut self, result: Result<(), HttpError>) -> Result<(), HttpError> {
        let Err(error) = &result else { return result };
        if let Some(status) = error.status() {
            let mut response = Response::text(status, &error.to_string());
            if matches!(error, HttpError::WebSocketVersion) {
                // RFC 6455, 4.4; RFC 9110, 15.5.22.
                response = response.with_header("Upgrade", "websocket").with_header("Sec-WebSocket-Version", "13");
            }
            self.output.write(response.head.encode(Some(response.body_len()), Some("close")).as_bytes());
            for piece in response.body {
                self.output.share(piece);
            }
        }
        self.close();
        result
    }

    fn body_error(&self, error: BodyError) -> HttpError {
        match error {
            BodyError::TooLong => HttpError::BodyTooLong(self.limits.body_bytes),
            BodyError::Chunks(problem) => HttpError::BadRequest(problem),
        }
    }

    fn head_wait_ms(&self) -> u64 {
        if self.is_new || !self.buffer.is_empty() { self.limits.head_timeout_ms } else { self.limits.idle_timeout_ms }
    }
}

/// `millis` after `instant`; `None` where that is beyond what the clock can say, which is never.
pub(super) fn after(instant: Instant, millis: u64) -> Option<Instant> {
    instant.checked_add(Duration::from_millis(millis))
}
