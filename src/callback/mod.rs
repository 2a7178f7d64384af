//! Telling other programs what happens, and asking them whether it may.
//!
//! Owns: what is posted for each event ([`request`]), what an answer means ([`Verdict`]), when it is tried again
//! ([`Outcome::step`]), and what waits to be posted ([`Outbox`]). Does not know sockets, names of hosts, sessions or
//! the clock: time is handed in.
//!
//! A program that is asked and does not answer has not allowed anything: the request is refused. One that is told and
//! does not answer is not waited for.

mod body;
mod outbox;

use std::net::SocketAddr;

use bytes::Bytes;

pub use self::outbox::{Outbox, OutboxFull, Post, QUESTIONS_AT_ONCE, RETRY_WAIT, TOLD_AT_ONCE};
use crate::config::{CallbackConfig, CallbackFormat, CallbackUrl};

/// What has happened, or is to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A client connects.
    Connect,
    /// It is to publish.
    Publish,
    /// It is to play.
    Play,
    /// A publisher is gone.
    Unpublish(Traffic),
    /// A player is gone.
    Stop(Traffic),
    /// A recording is finished.
    RecordDone {
        /// Its file.
        path: &'a str,
        /// Size of the file.
        bytes: u64,
        /// Stream time from its first frame to its last.
        duration_ms: u64,
    },
}

/// What passed between server and client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// From its publish or play on.
    pub duration_ms: u64,
    /// Bytes that came from it.
    pub bytes_in: u64,
    /// Bytes that went to it.
    pub bytes_out: u64,
}

impl Event<'_> {
    /// Its name, as it is posted in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Connect => "connect",
            Event::Publish => "publish",
            Event::Play => "play",
            Event::Unpublish(_) => "unpublish",
            Event::Stop(_) => "stop",
            Event::RecordDone { .. } => "record_done",
        }
    }

    /// Whether the answer is waited for.
    pub fn is_question(&self) -> bool {
        matches!(self, Event::Connect | Event::Publish | Event::Play)
    }

    fn url<'c>(&self, config: &'c CallbackConfig) -> &'c CallbackUrl {
        match self {
            Event::Connect => &config.on_connect,
            Event::Publish => &config.on_publish,
            Event::Play => &config.on_play,
            Event::Unpublish(_) => &config.on_unpublish,
            Event::Stop(_) => &config.on_stop,
            Event::RecordDone { .. } => &config.on_record_done,
        }
    }
}

/// The client that an event is about. Texts are empty where it did not say them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client<'a> {
    /// A number that no other connection of this run has or had.
    pub id: u64,
    /// Its address.
    pub peer: SocketAddr,
    /// Virtual host.
    pub vhost: &'a str,
    /// Application.
    pub app: &'a str,
    /// Name of the stream, without the application; empty for [`Event::Connect`].
    pub stream: &'a str,
    /// Query of app and name, percent-encoded, without `?`.
    pub query: &'a str,
    /// `tcUrl` of its `connect` command.
    pub tc_url: &'a str,
    /// `flashVer` of its `connect` command.
    pub flash_ver: &'a str,
    /// `swfUrl` of its `connect` command.
    pub swf_url: &'a str,
    /// `pageUrl` of its `connect` command.
    pub page_url: &'a str,
}

/// What is posted, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where to.
    pub url: CallbackUrl,
    /// The whole HTTP/1.1 request. The connection is closed behind the answer.
    pub bytes: Bytes,
    /// Whether the answer is waited for.
    pub is_question: bool,
}

/// The request for `event`; `None` where nobody wants to know.
pub fn request(config: &CallbackConfig, event: &Event<'_>, client: &Client<'_>) -> Option<Request> {
    let url = event.url(config);
    if !url.is_set() {
        return None;
    }
    let (content_type, body) = match config.format {
        CallbackFormat::Json => ("application/json", body::json(event, client)),
        CallbackFormat::Form => ("application/x-www-form-urlencoded", body::form(event, client)),
    };
    let slash = if url.path_and_query().starts_with('/') { "" } else { "/" };
    let text = format!(
        "POST {slash}{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: rtmpd/{}\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        url.path_and_query(),
        url.authority(),
        env!("CARGO_PKG_VERSION"),
        body.len(),
    );
    Some(Request { url: url.clone(), bytes: Bytes::from(text), is_question: event.is_question() })
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// 2xx.
    Allow,
    /// 3xx with a `Location` that is a stream's name: it may, under that name, in the same application.
    Rename(String),
    /// Anything else.
    Refuse,
}

impl Verdict {
    /// The verdict of an answer with this status and `Location`.
    pub fn of(status: u16, location: Option<&str>) -> Verdict {
        match status {
            200..=299 => Verdict::Allow,
            300..=399 => location.and_then(stream_name).map_or(Verdict::Refuse, Verdict::Rename),
            _ => Verdict::Refuse,
        }
    }
}

/// Longest name that a stream is renamed to, in bytes.
const NAME_BYTES: usize = 255;

/// A stream's name, percent-decoded; `None`: a URL or a path.
fn stream_name(location: &str) -> Option<String> {
    let name = body::percent_decode(location.trim());
    let is_name = !matches!(name.as_str(), "" | "." | "..") && name.len() <= NAME_BYTES;
    let is_clean = !name.contains(|c: char| c.is_control() || matches!(c, '/' | '\\' | '?' | '\u{fffd}'));
    (is_name && is_clean).then_some(name)
}

/// How one attempt to post ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// There was an answer.
    Answer {
        /// Its status.
        status: u16,
        /// Its `Location` header.
        location: Option<String>,
    },
    /// There was none: no connection, no HTTP, or not in time.
    NoAnswer,
}

/// What follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing more is posted.
    Done(Verdict),
    /// The same again.
    Retry,
}

impl Outcome {
    /// What follows after `attempts` in all, this one included: 5xx and silence may pass, everything else stays.
    pub fn step(&self, attempts: u32, config: &CallbackConfig) -> Step {
        let may_pass = match self {
            Outcome::Answer { status, .. } => *status >= 500,
            Outcome::NoAnswer => true,
        };
        if may_pass && attempts <= config.retries {
            return Step::Retry;
        }
        Step::Done(match self {
            Outcome::Answer { status, location } => Verdict::of(*status, location.as_deref()),
            Outcome::NoAnswer => Verdict::Refuse,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client<'static> {
        Client {
            id: 7,
            peer: "[2001:db8::1]:5000".parse().unwrap(),
            vhost: "host",
            app: "live",
            stream: "cam",
            query: "key=a%20b",
            tc_url: "rtmp://host/live",
            flash_ver: "FMLE/3.0",
            swf_url: "",
            page_url: "",
        }
    }

    fn config(url: &str, format: CallbackFormat) -> CallbackConfig {
        CallbackConfig { on_publish: url.parse().unwrap(), format, ..CallbackConfig::default() }
    }

    #[test]
    fn what_nobody_wants_to_know_is_not_posted() {
        let config = config("http://a/", CallbackFormat::Json);
        assert_eq!(request(&config, &Event::Play, &client()), None);
        assert!(request(&config, &Event::Publish, &client()).is_some_and(|request| request.is_question));
    }

    #[test]
    fn a_request_is_whole_http() {
        let cases = [
            ("http://a:8000/x?y=1", "POST /x?y=1 HTTP/1.1\r\nHost: a:8000\r\n"),
            ("http://a", "POST / HTTP/1.1\r\nHost: a\r\n"),
            ("http://a?y", "POST /?y HTTP/1.1\r\nHost: a\r\n"),
        ];
        for (url, head) in cases {
            let request = request(&config(url, CallbackFormat::Form), &Event::Publish, &client()).unwrap();
            let text = std::str::from_utf8(&request.bytes).unwrap();
            assert!(text.starts_with(head), "{text}");
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{text}");
            assert!(head.contains("application/x-www-form-urlencoded") && body.contains("&call=publish&"), "{text}");
        }
    }

    #[test]
    fn answers_allow_rename_or_refuse() {
        let rename = |name: &str| Verdict::Rename(name.to_owned());
        let long = "x".repeat(256);
        let cases = [
            (200, None, Verdict::Allow),
            (204, Some("x"), Verdict::Allow),
            (302, Some("other"), rename("other")),
            (301, Some(" caf%C3%A9 1 "), rename("café 1")),
            (302, None, Verdict::Refuse),
            (302, Some(""), Verdict::Refuse),
            (302, Some("rtmp://host/live/x"), Verdict::Refuse),
            (302, Some("/login"), Verdict::Refuse),
            (302, Some("a%2Fb"), Verdict::Refuse),
            (302, Some(".."), Verdict::Refuse),
            (302, Some("a%0Ab"), Verdict::Refuse),
            (302, Some("x%ff"), Verdict::Refuse),
            (302, Some(&long), Verdict::Refuse),
            (100, None, Verdict::Refuse),
            (403, None, Verdict::Refuse),
            (500, None, Verdict::Refuse),
            (0, None, Verdict::Refuse),
        ];
        for (status, location, expected) in cases {
            assert_eq!(Verdict::of(status, location), expected, "{status} {location:?}");
        }
    }

    #[test]
    fn silence_and_server_errors_are_tried_again_and_then_refused() {
        let config = CallbackConfig { retries: 2, ..CallbackConfig::default() };
        let answer = |status| Outcome::Answer { status, location: None };
        for outcome in [Outcome::NoAnswer, answer(500), answer(503)] {
            assert_eq!(outcome.step(1, &config), Step::Retry);
            assert_eq!(outcome.step(2, &config), Step::Retry);
            assert_eq!(outcome.step(3, &config), Step::Done(Verdict::Refuse));
        }
        assert_eq!(answer(200).step(1, &config), Step::Done(Verdict::Allow));
        assert_eq!(answer(403).step(1, &config), Step::Done(Verdict::Refuse));
        assert_eq!(Outcome::NoAnswer.step(1, &CallbackConfig { retries: 0, ..config }), Step::Done(Verdict::Refuse));
    }
}
