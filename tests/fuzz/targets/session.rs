//! Whole sessions, the server's and the client's: the contract with their owner holds whatever the peer sends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtmpd::config::SessionLimits;
use rtmpd::rtmp::amf0::Value;
use rtmpd::rtmp::chunk::{ChunkDecoder, ChunkLimits, encode_message};
use rtmpd::rtmp::client::{ClientEvent, ClientRole, ClientSession, ClientTarget};
use rtmpd::rtmp::command::Command;
use rtmpd::rtmp::message::{Message, type_id};
use rtmpd::rtmp::server::{Event, ServerSession, SessionConfig, SessionError, code};

use super::script::{Script, pieces};

/// Three packets, of which the first has its version in front.
const HANDSHAKE_BYTES: usize = 1 + 2 * 1536;
/// What one command may be answered with beyond what it says itself, in bytes.
const LONGEST_ANSWER: usize = 4096;

fn config(is_small: bool) -> Arc<SessionConfig> {
    let limits = match is_small {
        true => SessionLimits {
            message_bytes: 4096,
            command_bytes: 1024,
            partial_bytes: 4096,
            chunk_streams: 8,
            message_streams: 3,
            answer_bytes: 1000,
            ..SessionLimits::default()
        },
        false => SessionLimits::default(),
    };
    Arc::new(SessionConfig { chunk_size: if is_small { 128 } else { 65_536 }, limits })
}

/// The messages in what a session sent; it must be well framed and whole.
fn sent(bytes: &[u8]) -> Vec<Message> {
    let Some(mut rest) = bytes.get(HANDSHAKE_BYTES..) else { return Vec::new() };
    let limits = ChunkLimits { message_bytes: 0x00FF_FFFF, partial_bytes: 1 << 25, chunk_streams: 8 };
    let mut decoder = ChunkDecoder::new(limits);
    let mut messages = Vec::new();
    while let Some(message) = decoder.decode(&mut rest).expect("our own framing") {
        if message.type_id == type_id::COMMAND_AMF0 {
            Command::decode(message.type_id, &message.payload).expect("our own command");
        }
        messages.push(message);
    }
    assert_eq!(decoder.partial_bytes(), 0, "the last message is not whole");
    messages
}

/// Without acknowledgements, which depend on how the bytes came in.
fn without_acknowledgements(bytes: &[u8]) -> Vec<Message> {
    let mut messages = sent(bytes);
    messages.retain(|message| message.type_id != type_id::ACKNOWLEDGEMENT);
    messages
}

fn with_prefix(flags: u8, script: &Script<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if flags & 1 == 0 {
        bytes.resize(HANDSHAKE_BYTES, 0);
        bytes[0] = 3;
    }
    if flags & 3 == 0 {
        let object = Value::object([("app", Value::string("live")), ("tcUrl", Value::string("rtmp://host/live"))]);
        let mut body = BytesMut::new();
        Command::new("connect", 1.0, object, []).encode(&mut body);
        let mut out = BytesMut::new();
        encode_message(&mut out, 128, 3, 0, type_id::COMMAND_AMF0, 0, &body);
        bytes.extend_from_slice(&out);
    }
    bytes.extend_from_slice(script.rest());
    bytes
}

/// First byte: what stands in front (handshake, `connect`), limits, and what the owner says. Second: how to cut. The
/// rest is what the peer sent.
pub fn server_session(data: &[u8]) {
    let mut script = Script::new(data);
    let flags = script.u8();
    let how = script.u8();
    let bytes = with_prefix(flags, &script);
    let config = config(flags & 4 != 0);
    let start = Instant::now();

    let whole = undrained_server(start, &config, &[&bytes]);
    let cut = undrained_server(start, &config, &pieces(&bytes, how));
    assert_eq!(whole, cut, "how the bytes were cut");

    Owner::new(start, config, flags >> 4).run(&pieces(&bytes, how));
}

/// Events, messages and the error of a session that is drained at the end only.
fn undrained_server(
    start: Instant,
    config: &Arc<SessionConfig>,
    pieces: &[&[u8]],
) -> (Vec<String>, Vec<Message>, Result<(), SessionError>) {
    let mut session = ServerSession::new(start, Arc::clone(config), 7);
    let result = pieces.iter().try_for_each(|piece| session.handle_input(start, piece));
    // As text: NaN of a peer is not equal to itself.
    let events = std::iter::from_fn(|| session.poll_event()).map(|event| format!("{event:?}")).collect();
    let mut out = Vec::new();
    while let Some(bytes) = session.poll_output() {
        out.extend_from_slice(&bytes);
    }
    (events, without_acknowledgements(&out), result)
}

/// What a message stream is for the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    PublishAsked,
    Publishing,
    PlayAsked,
    Playing,
}

/// The owner of a server's session, and what it knows of it.
struct Owner {
    session: ServerSession,
    config: Arc<SessionConfig>,
    now: Instant,
    policy: u8,
    asked: u8,
    roles: BTreeMap<u32, Role>,
    out: Vec<u8>,
}

impl Owner {
    fn new(start: Instant, config: Arc<SessionConfig>, policy: u8) -> Self {
        Owner {
            session: ServerSession::new(start, Arc::clone(&config), 7),
            config,
            now: start,
            policy,
            asked: 0,
            roles: BTreeMap::new(),
            out: Vec::new(),
        }
    }

    fn run(&mut self, pieces: &[&[u8]]) {
        for piece in pieces {
            let result = self.session.handle_input(self.now, piece);
            let ended = self.drain(piece.len());
            if result.is_err() || ended || self.pass_time().is_err() {
                break;
            }
        }
        self.session.shut_down("the end");
        self.drain(0);
        sent(&self.out);
    }

    fn pass_time(&mut self) -> Result<(), SessionError> {
        self.now += Duration::from_millis([0, 40, 700, 9_000][usize::from(self.policy & 3)]);
        if self.session.poll_timeout().is_some_and(|at| at <= self.now) {
            self.session.handle_timeout(self.now)?;
            self.drain(0);
            assert!(self.session.poll_timeout().is_none_or(|at| at > self.now), "a deadline that is never over");
        }
        Ok(())
    }

    /// Whether the owner wants to close the connection.
    fn drain(&mut self, input_len: usize) -> bool {
        let mut closes = false;
        while let Some(event) = self.session.poll_event() {
            closes |= self.event(event);
        }
        self.answer_late();
        let before = self.out.len();
        while let Some(bytes) = self.session.poll_output() {
            self.out.extend_from_slice(&bytes);
        }
        let most = self.config.limits.answer_bytes + 8 * input_len + 4 * LONGEST_ANSWER;
        assert!(self.out.len() - before <= most, "{} bytes of answers", self.out.len() - before);
        closes
    }

    fn event(&mut self, event: Event) -> bool {
        match event {
            Event::Connected(_) => assert!(self.roles.is_empty()),
            Event::Publish { stream_id, path, .. } => {
                assert!(!path.stream.is_empty());
                return self.asked(stream_id, Role::PublishAsked);
            }
            Event::Play { stream_id, path } => {
                assert!(!path.stream.is_empty());
                return self.asked(stream_id, Role::PlayAsked);
            }
            // What came behind a question that was withdrawn, or answered with no, may still follow.
            Event::Audio { stream_id, .. } | Event::Video { stream_id, .. } | Event::ClearMetadata { stream_id } => {
                self.media(stream_id);
            }
            Event::Data { stream_id, payload, .. } => {
                assert!(!payload.is_empty());
                self.media(stream_id);
            }
            Event::Pause { stream_id, .. }
            | Event::ReceiveAudio { stream_id, .. }
            | Event::ReceiveVideo { stream_id, .. } => {
                assert_eq!(self.roles.get(&stream_id), Some(&Role::Playing), "of players only");
            }
            Event::Ended { stream_id } => {
                assert!(self.roles.remove(&stream_id).is_some(), "the end of what did not begin");
            }
        }
        false
    }

    fn media(&self, stream_id: u32) {
        let role = self.roles.get(&stream_id);
        assert!(!matches!(role, Some(Role::PlayAsked | Role::Playing)), "media of a player");
    }

    fn asked(&mut self, stream_id: u32, role: Role) -> bool {
        let before = self.roles.insert(stream_id, role);
        assert_eq!(before, None, "a message stream in use");
        assert!(self.roles.len() <= self.config.limits.message_streams);
        self.asked = self.asked.wrapping_add(1);
        let says_no = self.policy & 4 != 0 && self.asked.is_multiple_of(3);
        if says_no {
            self.session.reject(stream_id, code::PUBLISH_BAD_NAME, "no");
            self.roles.remove(&stream_id);
        } else if self.policy & 8 == 0 {
            self.accept(stream_id, role);
        }
        says_no
    }

    fn accept(&mut self, stream_id: u32, role: Role) {
        if role == Role::PublishAsked {
            self.session.accept_publish(stream_id);
            self.roles.insert(stream_id, Role::Publishing);
        } else {
            self.session.accept_play(stream_id);
            self.roles.insert(stream_id, Role::Playing);
            self.session.notify_unpublished(stream_id);
            self.session.notify_published(stream_id);
        }
    }

    /// Answers that come after all events of an input.
    fn answer_late(&mut self) {
        let asked = |role: &Role| matches!(role, Role::PublishAsked | Role::PlayAsked);
        let waiting: Vec<(u32, Role)> =
            self.roles.iter().filter(|(_, role)| asked(role)).map(|(id, role)| (*id, *role)).collect();
        for (stream_id, role) in waiting {
            self.accept(stream_id, role);
        }
    }
}

fn target(flags: u8) -> ClientTarget {
    ClientTarget {
        role: if flags & 8 == 0 { ClientRole::Play } else { ClientRole::Publish },
        tc_url: "rtmp://host/live".to_owned(),
        app: "live".to_owned(),
        stream: "x".to_owned(),
        digest: flags & 16 != 0,
    }
}

/// First byte: what stands in front (handshake), limits, and what the client is there for. Second: how to cut. The
/// rest is what the server sent.
pub fn client_session(data: &[u8]) {
    let mut script = Script::new(data);
    let flags = script.u8();
    let how = script.u8();
    let bytes = with_prefix(flags | 2, &script);
    let config = config(flags & 4 != 0);
    let start = Instant::now();

    let run = |pieces: &[&[u8]]| {
        let mut session = ClientSession::new(start, Arc::clone(&config), target(flags), 7);
        let result = pieces.iter().try_for_each(|piece| session.handle_input(start, piece));
        let events: Vec<ClientEvent> = std::iter::from_fn(|| session.poll_event()).collect();
        let mut out = Vec::new();
        while let Some(bytes) = session.poll_output() {
            out.extend_from_slice(&bytes);
        }
        (events, without_acknowledgements(&out), result)
    };
    let whole = run(&[&bytes]);
    let cut = run(&pieces(&bytes, how));
    // Small limits count what one input was answered with.
    if flags & 4 == 0 {
        assert_eq!(whole, cut, "how the bytes were cut");
    }
    drained_client(start, config, flags, &pieces(&bytes, how));
}

fn drained_client(start: Instant, config: Arc<SessionConfig>, flags: u8, pieces: &[&[u8]]) {
    let mut session = ClientSession::new(start, config, target(flags), 7);
    let mut out = Vec::new();
    let mut starts = 0;
    for (index, piece) in pieces.iter().enumerate() {
        let result = session.handle_input(start, piece);
        while let Some(event) = session.poll_event() {
            match event {
                ClientEvent::Started => {
                    starts += 1;
                    session.send(type_id::VIDEO, 40, &[0x17, 1, 0, 0, 0]);
                }
                ClientEvent::Media(message) => {
                    assert_eq!(flags & 8, 0, "media for a publisher");
                    assert!(matches!(message.type_id, type_id::AUDIO | type_id::VIDEO | type_id::DATA_AMF0));
                }
                ClientEvent::Status { .. } | ClientEvent::StreamEof => {}
            }
        }
        if result.is_err() {
            break;
        }
        session.send(type_id::AUDIO, index as u32, &[0xAF, 1]);
        while let Some(bytes) = session.poll_output() {
            out.extend_from_slice(&bytes);
        }
    }
    assert!(starts <= 1, "started {starts} times");
    session.finish();
    while let Some(bytes) = session.poll_output() {
        out.extend_from_slice(&bytes);
    }
    sent(&out);
}
