//! The session from its owner's side: bytes in, events and bytes out.

mod hostile;
mod limits;
mod refusals;
mod requests;
mod websocket;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::http::Cache;

/// A session with an owner that answers every request at once.
struct Talk {
    session: HttpSession,
    now: Instant,
    events: Vec<Event>,
    output: Vec<u8>,
    errors: Vec<HttpError>,
}

impl Talk {
    fn new() -> Talk {
        Talk::with(HttpLimits::default())
    }

    fn with(limits: HttpLimits) -> Talk {
        let now = Instant::now();
        let session = HttpSession::new(now, Arc::new(limits));
        Talk { session, now, events: Vec::new(), output: Vec::new(), errors: Vec::new() }
    }

    /// Sends without answering.
    fn send(&mut self, input: &[u8]) {
        let result = self.session.handle_input(self.now, input);
        self.errors.extend(result.err());
        self.drain();
    }

    fn drain(&mut self) {
        self.events.extend(std::iter::from_fn(|| self.session.poll_event()));
        while let Some(bytes) = self.session.poll_output() {
            assert!(!bytes.is_empty());
            self.output.extend_from_slice(&bytes);
        }
    }

    fn respond(&mut self, response: Response) {
        let result = self.session.respond(self.now, response);
        self.errors.extend(result.err());
        self.drain();
    }

    /// Sends, and answers each request with its path, or accepts its WebSocket.
    fn ask(&mut self, input: &[u8]) {
        let mut answered = self.events.len();
        self.send(input);
        while let Some(event) = self.events.get(answered) {
            answered += 1;
            if let Event::Request(request) = event {
                if request.is_websocket {
                    let result = self.session.accept_websocket(self.now, None);
                    self.errors.extend(result.err());
                    self.drain();
                } else {
                    let body = format!("{} {}", request.path, request.body.len());
                    self.respond(Response::new(200, "text/plain", body));
                }
            }
        }
    }

    fn wait(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        let result = self.session.handle_timeout(self.now);
        self.errors.extend(result.err());
        self.drain();
    }

    /// How long until something is due.
    fn due_ms(&self) -> Option<u128> {
        self.session.poll_timeout().map(|deadline| deadline.duration_since(self.now).as_millis())
    }

    fn text(&self) -> &str {
        str::from_utf8(&self.output).unwrap()
    }

    fn requests(&self) -> Vec<&Request> {
        let requests = self.events.iter().filter_map(|event| match event {
            Event::Request(request) => Some(&**request),
            _ => None,
        });
        requests.collect()
    }

    fn seen(&self) -> (&[Event], &[u8], &[HttpError], bool) {
        (&self.events, &self.output, &self.errors, self.session.wants_close())
    }
}

/// What comes of `input` whole, in two parts at every place, and byte by byte; it must be all the same.
fn ask_at_every_split(input: &[u8]) -> Talk {
    let mut whole = Talk::new();
    whole.ask(input);
    for at in 0..=input.len() {
        let mut talk = Talk::new();
        talk.ask(&input[..at]);
        talk.ask(&input[at..]);
        assert!(talk.errors.len() <= 1, "nothing is read behind an error");
        assert_eq!(talk.seen(), whole.seen(), "split at {at}");
    }
    let mut talk = Talk::new();
    for byte in input.chunks(1) {
        talk.ask(byte);
    }
    assert_eq!(talk.seen(), whole.seen(), "byte by byte");
    whole
}

/// The head and the body of the only answer in `output`.
fn head_and_body(output: &str) -> (&str, &str) {
    let (head, body) = output.split_once("\r\n\r\n").unwrap();
    (head, body)
}

fn has_header(output: &str, header: &str) -> bool {
    head_and_body(output).0.split("\r\n").any(|line| line == header)
}

const UPGRADE: &str = "GET /live/x.flv HTTP/1.1\r\nHost: h\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn cache_of(response: Response) -> Response {
    response.with_cache(Cache::Immutable(60)).with_cors()
}
