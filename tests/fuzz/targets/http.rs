//! HTTP and WebSocket, the server's side and the client's: how the bytes were cut does not matter, and what is said
//! can be read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rtmpd::config::HttpLimits;
use rtmpd::http::client::{ClientError, ClientResponse, ResponseLimits, ResponseReader, Url, get, post};
use rtmpd::http::{Event, HttpError, HttpSession, Method, Request, Response, ResponseHead, query_pairs, query_value};

use super::script::{Script, pieces};

const UPGRADE: &[u8] = b"GET /live/x.flv HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn limits(is_small: bool) -> Arc<HttpLimits> {
    Arc::new(match is_small {
        true => HttpLimits {
            head_bytes: 256,
            headers: 4,
            body_bytes: 64,
            websocket_message_bytes: 130,
            ..HttpLimits::default()
        },
        false => HttpLimits::default(),
    })
}

/// What became of a session.
#[derive(Debug, PartialEq)]
struct Outcome {
    events: Vec<Event>,
    error: Option<HttpError>,
    wants_close: bool,
}

/// A session and an owner that answers each request at once.
struct Owner {
    session: HttpSession,
    now: Instant,
    policy: u8,
    /// What was sent in answer to each piece of input.
    out: Vec<u8>,
    outcome: Outcome,
    is_endless: bool,
}

impl Owner {
    fn new(is_small: bool, policy: u8) -> Self {
        let now = Instant::now();
        Owner {
            session: HttpSession::new(now, limits(is_small)),
            now,
            policy,
            out: Vec::new(),
            outcome: Outcome { events: Vec::new(), error: None, wants_close: false },
            is_endless: false,
        }
    }

    fn run(mut self, pieces: &[&[u8]]) -> (Outcome, Vec<u8>) {
        for piece in pieces {
            if self.outcome.error.is_some() || self.session.wants_close() {
                break;
            }
            let result = self.session.handle_input(self.now, piece);
            self.drain(result);
            assert!(!self.is_endless || self.session.poll_timeout().is_none());
        }
        self.outcome.wants_close = self.session.wants_close();
        let outcome = self.outcome;
        wait(self.session, self.now);
        (outcome, self.out)
    }

    fn drain(&mut self, mut result: Result<(), HttpError>) {
        loop {
            if let Err(error) = result {
                assert!(self.session.wants_close());
                self.outcome.error.get_or_insert(error);
            }
            let Some(event) = self.session.poll_event() else { break };
            result = Ok(());
            if let Event::Request(request) = &event {
                assert!(self.outcome.error.is_none() || self.session.wants_close());
                looked_at(request);
                result = self.answer(request);
            }
            self.outcome.events.push(event);
        }
        while let Some(bytes) = self.session.poll_output() {
            assert!(!bytes.is_empty());
            self.out.extend_from_slice(&bytes);
        }
    }

    fn answer(&mut self, request: &Request) -> Result<(), HttpError> {
        if request.is_websocket && self.policy & 1 == 0 {
            return self.session.accept_websocket(self.now, None);
        }
        if self.policy & 2 != 0 && request.path.ends_with('e') {
            self.is_endless = self.session.begin_endless(&ResponseHead::new(200, "video/x-flv"));
            return Ok(());
        }
        let response = match request.is_preflight() {
            true => Response::preflight(request, "GET, POST"),
            // What a peer says must not be able to end a line.
            false => Response::text(200, &request.path).with_header("X-Query", request.query.clone()),
        };
        self.session.respond(self.now, response)
    }
}

/// Waits end, each with an error or another wait.
fn wait(mut session: HttpSession, mut now: Instant) {
    for _ in 0..8 {
        let Some(at) = session.poll_timeout() else { return };
        now = now.max(at) + Duration::from_millis(1);
        if session.handle_timeout(now).is_err() {
            assert!(session.wants_close());
            assert_eq!(session.poll_timeout(), None);
        } else {
            assert!(session.poll_timeout().is_none_or(|next| next > now), "a deadline that is never over");
        }
        while session.poll_output().is_some() {}
        assert_eq!(session.poll_event(), None);
    }
    assert_eq!(session.poll_timeout(), None, "a peer that says nothing and stays");
}

fn looked_at(request: &Request) {
    let Request { path, raw_path, query, fields, body, .. } = request;
    assert!(raw_path.starts_with('/') || raw_path == "*" || raw_path.is_empty(), "{request:?}");
    assert!(body.len() <= HttpLimits::default().body_bytes);
    assert!(!path.contains('\0') || raw_path.contains('%'));
    assert!(query_pairs(query).count() <= query.len() + 1);
    let _ = (query_value(query, "join"), request.header("range"), request.query_value("token"));
    for (name, value) in fields.iter() {
        assert!(!name.is_empty());
        assert!(!value.contains(&b'\n') && !value.contains(&b'\r') && !value.contains(&0), "{request:?}");
    }
}

/// First byte: limits and what the owner answers. Second: how to cut. The rest is what a client sent.
pub fn http_request(data: &[u8]) {
    let mut script = Script::new(data);
    let policy = script.u8();
    let how = script.u8();
    let (whole, out) = Owner::new(policy & 4 != 0, policy).run(&[script.rest()]);
    let (cut, _) = Owner::new(policy & 4 != 0, policy).run(&pieces(script.rest(), how));
    // Small limits count what came at once.
    if policy & 4 == 0 {
        assert_eq!(whole, cut, "how the bytes were cut");
    }
    assert!(whole.events.len() <= data.len());
    assert!(out.is_empty() || out.starts_with(b"HTTP/1.1 "), "{}", out.escape_ascii());
    first_answer(&whole, &out, policy & 2 != 0);
}

/// Our own client can read what we answer to the first request.
fn first_answer(outcome: &Outcome, out: &[u8], may_be_endless: bool) {
    let Some(Event::Request(request)) = outcome.events.first() else { return };
    if request.is_websocket || request.method == Method::Head || out.is_empty() {
        return;
    }
    let limits = ResponseLimits { head_bytes: 1 << 16, headers: 64, body_bytes: 1 << 20 };
    let mut reader = ResponseReader::new(limits);
    match reader.handle_input(out) {
        Ok(Some(response)) => assert!(matches!(response.status, 200 | 204), "{response:?}"),
        // An endless body.
        Ok(None) => assert!(may_be_endless && request.path.ends_with('e'), "{}", out.escape_ascii()),
        Err(error) => panic!("{error}: {}", out.escape_ascii()),
    }
}

/// First byte: limits. Second: how to cut. The rest are frames of a client.
pub fn websocket(data: &[u8]) {
    let mut script = Script::new(data);
    let policy = script.u8() & 4;
    let how = script.u8();
    let is_small = policy != 0;
    let run = |pieces: &[&[u8]]| {
        let mut owner = Owner::new(false, 0);
        // The upgrade is longer than small limits allow.
        if is_small {
            let few = HttpLimits { websocket_message_bytes: 130, ..HttpLimits::default() };
            owner.session = HttpSession::new(owner.now, Arc::new(few));
        }
        let all: Vec<&[u8]> = [UPGRADE].into_iter().chain(pieces.iter().copied()).collect();
        owner.run(&all)
    };
    let (whole, out) = run(&[script.rest()]);
    let (cut, _) = run(&pieces(script.rest(), how));
    assert_eq!(whole, cut, "how the bytes were cut");
    let most = if is_small { 130 } else { HttpLimits::default().websocket_message_bytes };
    for event in &whole.events {
        match event {
            Event::Request(request) => assert!(request.is_websocket),
            Event::WebSocketText(text) => assert!(text.len() <= most),
            Event::WebSocketBinary(bytes) => assert!(bytes.len() <= most),
            Event::WebSocketClosed { reason, .. } => assert!(reason.len() <= 123),
        }
    }
    let head = out.windows(4).position(|window| window == b"\r\n\r\n").expect("the answer 101") + 4;
    own_frames(&out[head..]);
}

/// Frames of a server are whole, unmasked and, as ours, short.
fn own_frames(mut rest: &[u8]) {
    while let [first, len, after @ ..] = rest {
        assert!(matches!(first, 0x88..=0x8A), "{first:#x}");
        assert!(*len <= 125);
        rest = after.get(usize::from(*len)..).expect("a whole frame");
        assert!(*first != 0x88 || rest.is_empty(), "a frame behind the close");
    }
    assert!(rest.is_empty());
}

/// First byte: limits. Second: how to cut. The rest is what a server sent; its start is also taken for a URL.
pub fn http_response(data: &[u8]) {
    let mut script = Script::new(data);
    let is_small = script.u8() & 1 != 0;
    let how = script.u8();
    let limits = match is_small {
        true => ResponseLimits { head_bytes: 128, headers: 3, body_bytes: 32 },
        false => ResponseLimits { head_bytes: 1 << 14, headers: 64, body_bytes: 1 << 16 },
    };
    let read = |pieces: &[&[u8]]| -> Result<ClientResponse, ClientError> {
        let mut reader = ResponseReader::new(limits);
        for piece in pieces {
            if let Some(response) = reader.handle_input(piece)? {
                assert_eq!(reader.handle_input(b"x"), Err(ClientError::Done));
                return Ok(response);
            }
        }
        reader.handle_end()
    };
    let whole = read(&[script.rest()]);
    let cut = read(&pieces(script.rest(), how));
    if is_small {
        assert_eq!(whole.is_ok(), cut.is_ok());
    } else {
        assert_eq!(whole, cut, "how the bytes were cut");
    }
    if let Ok(response) = whole {
        assert!(response.body.len() <= limits.body_bytes);
        assert!((200..=999).contains(&response.status));
    }
    url(&String::from_utf8_lossy(script.rest()));
}

/// A URL never ends a line of a request.
fn url(text: &str) {
    let first = text.lines().next().unwrap_or_default();
    for text in [text, first] {
        let Ok(url) = Url::parse(text) else { continue };
        assert!(!url.host().is_empty() && url.target().starts_with('/'), "{url:?}");
        let lines = |bytes: &[u8]| bytes.windows(2).filter(|two| two == b"\r\n").count();
        let request = get(&url, &[("X-Text", text)]);
        assert_eq!(lines(&request), 5, "{}", request.escape_ascii());
        assert!(!request.contains(&0), "{}", request.escape_ascii());
        let request = post(&url, &[], "text/plain", b"body");
        assert_eq!(lines(&request), 6, "{}", request.escape_ascii());
    }
}
