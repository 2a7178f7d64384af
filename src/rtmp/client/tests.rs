//! Tests of the client's session against scripted servers.

use super::super::chunk::{ChunkError, encode_message};
use super::super::handshake::{HandshakeError, PACKET_BYTES, ServerHandshake};
use super::super::message::BandwidthLimit;
use super::super::server::status;
use super::*;
use crate::config::SessionLimits;

/// A server that says what a test tells it to, and reads what the client sends.
struct Script {
    client: ClientSession,
    now: Instant,
    handshake: Option<ServerHandshake>,
    decoder: ChunkDecoder,
    chunk_size: usize,
}

impl Script {
    fn new(role: ClientRole) -> Self {
        Script::with_limits(role, SessionLimits::default())
    }

    fn with_limits(role: ClientRole, limits: SessionLimits) -> Self {
        let now = Instant::now();
        let target = ClientTarget {
            role,
            tc_url: "rtmp://host/live".to_owned(),
            app: "live".to_owned(),
            stream: "x?key=1".to_owned(),
            digest: role == ClientRole::Play,
        };
        let config = SessionConfig { chunk_size: 4096, limits };
        Script {
            client: ClientSession::new(now, Arc::new(config), target, 5),
            now,
            handshake: Some(ServerHandshake::new(6)),
            decoder: ChunkDecoder::new(ChunkLimits {
                message_bytes: 1 << 20,
                partial_bytes: 1 << 20,
                chunk_streams: 16,
            }),
            chunk_size: 128,
        }
    }

    /// A client whose `publish` or `play` was accepted on message stream 7, everything drained.
    fn started(role: ClientRole) -> Self {
        let mut script = Script::new(role);
        script.start();
        script
    }

    fn start(&mut self) {
        self.shake_hands();
        self.result(1.0, Value::Null);
        self.result(4.0, Value::Number(7.0));
        let code = match self.client.target.role {
            ClientRole::Publish => "NetStream.Publish.Start",
            ClientRole::Play => "NetStream.Play.Start",
        };
        self.on_status("status", code);
        assert_eq!(self.events(), [ClientEvent::Started]);
        self.sent();
    }

    fn shake_hands(&mut self) {
        let mut answer = BytesMut::new();
        let hello = self.output();
        let handshake = self.handshake.as_mut().unwrap();
        assert_eq!(handshake.handle_input(&mut &hello[..], &mut answer), Ok(false));
        self.client.handle_input(self.now, &answer).unwrap();
    }

    fn output(&mut self) -> Vec<u8> {
        std::iter::from_fn(|| self.client.poll_output()).flatten().collect()
    }

    /// Messages that the client sent since the last call.
    fn sent(&mut self) -> Vec<Message> {
        let output = self.output();
        let mut input = &output[..];
        if let Some(handshake) = &mut self.handshake {
            assert_eq!(handshake.handle_input(&mut input, &mut BytesMut::new()), Ok(true));
            self.handshake = None;
        }
        std::iter::from_fn(|| self.decoder.decode(&mut input).unwrap()).collect()
    }

    /// The same, in words.
    fn said(&mut self) -> Vec<String> {
        self.sent().iter().map(in_words).collect()
    }

    fn events(&mut self) -> Vec<ClientEvent> {
        std::iter::from_fn(|| self.client.poll_event()).collect()
    }

    fn try_message(&mut self, type_id: u8, payload: &[u8]) -> Result<(), SessionError> {
        let mut bytes = BytesMut::new();
        encode_message(&mut bytes, self.chunk_size, 3, 40, type_id, 7, payload);
        self.client.handle_input(self.now, &bytes)
    }

    fn message(&mut self, type_id: u8, payload: &[u8]) {
        self.try_message(type_id, payload).unwrap();
    }

    fn control(&mut self, message: ControlMessage) {
        let mut body = BytesMut::new();
        message.encode(&mut body);
        self.message(message.type_id(), &body);
    }

    fn command(&mut self, name: &str, transaction_id: f64, value: Value) {
        let command = Command::new(name, transaction_id, Value::Null, [value]);
        let mut body = BytesMut::new();
        command.encode(&mut body);
        self.message(type_id::COMMAND_AMF0, &body);
    }

    fn result(&mut self, transaction_id: f64, value: Value) {
        self.command("_result", transaction_id, value);
    }

    fn on_status(&mut self, level: &str, code: &str) {
        self.command("onStatus", 0.0, status(level, code, "words"));
    }
}

/// One line for a message of the client: a command with its stream, id and arguments, a control message, or media.
fn in_words(message: &Message) -> String {
    if message.type_id == type_id::COMMAND_AMF0 {
        let command = Command::decode(message.type_id, &message.payload).unwrap();
        let arguments: Vec<String> = command.arguments.iter().map(value_in_words).collect();
        let (id, arguments) = (command.transaction_id, arguments.join(" "));
        return format!("{}: {} {id} {arguments}", message.stream_id, command.name).trim_end().to_owned();
    }
    match ControlMessage::decode(message.type_id, &message.payload) {
        Some(control) => format!("{control:?}"),
        None => format!("{}: type {} at {}", message.stream_id, message.type_id, message.timestamp),
    }
}

fn value_in_words(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

fn status_of(level: &str, code: &str) -> ClientEvent {
    ClientEvent::Status { level: level.to_owned(), code: code.to_owned(), description: "words".to_owned() }
}

#[test]
fn publisher_from_handshake_to_media() {
    let mut script = Script::new(ClientRole::Publish);
    assert_eq!(script.client.out.len(), 1 + PACKET_BYTES);
    script.shake_hands();
    let sent = script.sent();
    assert_eq!(sent.len(), 1, "Set Chunk Size is acted on by the decoder");
    let connect = Command::decode(sent[0].type_id, &sent[0].payload).unwrap();
    assert_eq!((connect.name.as_str(), connect.transaction_id), ("connect", 1.0));
    let text = |name| connect.object.member(name).and_then(ValueRef::as_str);
    assert_eq!(text("app"), Some("live"));
    assert_eq!(text("tcUrl"), Some("rtmp://host/live"));
    assert!(text("flashVer").unwrap().starts_with("FMLE/"));
    assert!(connect.object.member("videoFunction").is_none());

    script.result(1.0, Value::Null);
    assert_eq!(script.said(), ["0: releaseStream 2 x?key=1", "0: FCPublish 3 x?key=1", "0: createStream 4"]);
    script.result(2.0, Value::Undefined);
    script.result(3.0, Value::Undefined);
    assert!(script.said().is_empty());
    script.result(4.0, Value::Number(7.0));
    assert_eq!(script.said(), ["7: publish 5 x?key=1 live"]);

    script.client.send(type_id::VIDEO, 1, b"too early");
    assert!(script.said().is_empty());
    script.on_status("status", "NetStream.Publish.Start");
    assert_eq!(script.events(), [ClientEvent::Started]);

    script.client.send(type_id::DATA_AMF0, 0, b"data");
    script.client.send(type_id::AUDIO, 10, b"");
    script.client.send(type_id::VIDEO, 0xFFFF_FFFF, &[1; 10_000]);
    script.client.send(type_id::COMMAND_AMF0, 0, b"no media");
    let sent = script.sent();
    let seen: Vec<_> = sent.iter().map(|m| (m.type_id, m.stream_id, m.timestamp)).collect();
    assert_eq!(seen, [(18, 7, 0), (8, 7, 10), (9, 7, 0xFFFF_FFFF)]);
    assert_eq!(sent[2].payload, [1; 10_000][..]);
    let streams: Vec<_> = sent.iter().map(|m| m.chunk_stream_id).collect();
    assert_eq!(streams, [chunk_stream_id::DATA, chunk_stream_id::AUDIO, chunk_stream_id::VIDEO]);
}

#[test]
fn player_from_handshake_to_media() {
    let mut script = Script::new(ClientRole::Play);
    script.shake_hands();
    let sent = script.sent();
    let connect = Command::decode(sent[0].type_id, &sent[0].payload).unwrap();
    let number = |name| connect.object.member(name).and_then(ValueRef::as_number);
    assert_eq!(number("videoFunction"), Some(1.0));
    assert_eq!(number("capsEx"), Some(14.0));
    let codecs = connect.object.member("fourCcList").unwrap();
    assert!(codecs.elements().any(|codec| codec.as_str() == Some("hvc1")));

    script.result(1.0, Value::Null);
    assert_eq!(script.said(), ["WindowAcknowledgementSize(2500000)", "0: createStream 4"]);
    script.result(4.0, Value::Number(7.0));
    assert_eq!(
        script.said(),
        ["7: play 5 x?key=1 -2", "UserControl(SetBufferLength { stream_id: 7, buffer_ms: 3000 })"]
    );
    script.on_status("status", "NetStream.Play.Reset");
    script.on_status("status", "NetStream.Play.Start");
    script.on_status("status", "NetStream.Play.Start");
    assert_eq!(
        script.events(),
        [
            status_of("status", "NetStream.Play.Reset"),
            ClientEvent::Started,
            status_of("status", "NetStream.Play.Start")
        ]
    );
    for (type_id, payload) in [(18, &b"data"[..]), (9, &[1; 5000]), (8, b"")] {
        script.message(type_id, payload);
        let events = script.events();
        let [ClientEvent::Media(message)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((message.type_id, &message.payload[..]), (type_id, payload));
        assert_eq!((message.timestamp, message.stream_id), (40, 7));
    }
    script.client.send(type_id::VIDEO, 0, b"a player sends no media");
    assert!(script.said().is_empty());
}

#[test]
fn media_before_play_start_is_not_lost() {
    let mut script = Script::new(ClientRole::Play);
    script.shake_hands();
    script.result(1.0, Value::Null);
    script.message(type_id::VIDEO, b"before createStream");
    script.result(4.0, Value::Number(1.0));
    script.message(type_id::VIDEO, b"sequence header");
    assert!(matches!(&script.events()[..], [ClientEvent::Media(m)] if m.payload == "sequence header"));
}

#[test]
fn aggregates_and_amf3_data_of_flash_media_server_are_understood() {
    let mut script = Script::started(ClientRole::Play);
    let tag = |type_id: u8, timestamp: u8, body: u8| [type_id, 0, 0, 1, 0, 0, timestamp, 0, 0, 0, 0, body, 0, 0, 0, 12];
    script.message(type_id::AGGREGATE, &[tag(8, 5, b'a'), tag(20, 6, 0), tag(9, 7, b'v')].concat());
    script.message(type_id::DATA_AMF3, &[0, 2, 0, 1, b'x']);
    let media: Vec<(u8, Vec<u8>)> = script
        .events()
        .into_iter()
        .map(|event| match event {
            ClientEvent::Media(message) => (message.type_id, message.payload.to_vec()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(media, [(8, b"a".to_vec()), (9, b"v".to_vec()), (18, vec![2, 0, 1, b'x'])]);
}

#[test]
fn publisher_ignores_media() {
    let mut script = Script::started(ClientRole::Publish);
    script.message(type_id::VIDEO, b"video");
    assert!(script.events().is_empty());
}

#[test]
fn answers_to_other_requests_do_not_move_the_session() {
    let mut script = Script::new(ClientRole::Publish);
    script.shake_hands();
    script.sent();
    script.result(4.0, Value::Number(1.0));
    script.result(0.0, Value::Null);
    script.on_status("status", "NetStream.Publish.Start");
    assert!(script.said().is_empty());
    assert_eq!(script.events(), [status_of("status", "NetStream.Publish.Start")]);
    script.result(1.0, Value::Null);
    script.result(1.0, Value::Null);
    assert_eq!(script.said().len(), 3);
}

#[test]
fn start_of_the_other_role_starts_nothing() {
    let mut script = Script::new(ClientRole::Play);
    script.shake_hands();
    script.result(1.0, Value::Null);
    script.result(4.0, Value::Number(1.0));
    script.on_status("status", "NetStream.Publish.Start");
    assert_eq!(script.events(), [status_of("status", "NetStream.Publish.Start")]);
}

#[test]
fn create_stream_without_a_number_means_stream_1() {
    let mut script = Script::new(ClientRole::Publish);
    script.shake_hands();
    script.result(1.0, Value::Null);
    script.sent();
    script.result(4.0, Value::Null);
    assert_eq!(script.said(), ["1: publish 5 x?key=1 live"]);
}

#[test]
fn servers_that_do_not_know_release_stream_are_no_trouble() {
    let mut script = Script::new(ClientRole::Publish);
    script.shake_hands();
    script.result(1.0, Value::Null);
    script.command("_error", 2.0, status("error", "NetConnection.Call.Failed", "words"));
    script.command("_error", 3.0, status("error", "NetConnection.Call.Failed", "words"));
    assert!(script.events().is_empty());
    script.sent();
    script.result(4.0, Value::Number(1.0));
    assert_eq!(script.said().len(), 1);
}

#[test]
fn refusals_end_the_session() {
    let info = || status("error", "NetConnection.Connect.Rejected", "words");
    for refused in [1.0, 4.0, 5.0] {
        let mut script = Script::new(ClientRole::Publish);
        script.shake_hands();
        if refused > 1.0 {
            script.result(1.0, Value::Null);
        }
        if refused > 4.0 {
            script.result(4.0, Value::Number(1.0));
        }
        script.command("_error", refused, info());
        assert_eq!(script.events(), [status_of("error", "NetConnection.Connect.Rejected")]);
        script.sent();
        script.result(1.0, Value::Null);
        script.result(4.0, Value::Number(1.0));
        script.on_status("status", "NetStream.Publish.Start");
        script.client.send(type_id::VIDEO, 0, b"video");
        script.client.finish();
        assert!(script.said().is_empty(), "after the refusal of {refused}");
    }
}

#[test]
fn status_errors_are_reported() {
    let mut script = Script::new(ClientRole::Publish);
    script.shake_hands();
    script.result(1.0, Value::Null);
    script.result(4.0, Value::Number(1.0));
    script.on_status("error", "NetStream.Publish.BadName");
    script.command("_error", 0.0, Value::Null);
    script.command("onStatus", 0.0, Value::Null);
    let nothing =
        |level: &str| ClientEvent::Status { level: level.to_owned(), code: String::new(), description: String::new() };
    assert_eq!(script.events(), [status_of("error", "NetStream.Publish.BadName"), nothing("error"), nothing("status")]);
}

#[test]
fn clean_end() {
    let mut script = Script::started(ClientRole::Publish);
    script.client.finish();
    assert_eq!(script.said(), ["0: FCUnpublish 6 x?key=1", "0: deleteStream 7 7"]);
    script.client.finish();
    script.client.send(type_id::VIDEO, 0, b"late");
    assert!(script.said().is_empty());
    script.on_status("status", "NetStream.Unpublish.Success");
    assert_eq!(script.events(), [status_of("status", "NetStream.Unpublish.Success")]);

    let mut script = Script::started(ClientRole::Play);
    script.client.finish();
    assert_eq!(script.said(), ["0: deleteStream 7 7"]);
    script.message(type_id::VIDEO, b"late");
    assert!(script.events().is_empty());
}

#[test]
fn finish_before_the_handshake_is_done_sends_nothing_more() {
    let mut script = Script::new(ClientRole::Publish);
    script.client.finish();
    script.shake_hands();
    assert!(script.said().is_empty());
}

#[test]
fn pings_are_answered_with_the_same_number() {
    let mut script = Script::started(ClientRole::Play);
    script.control(ControlMessage::UserControl(UserControl::PingRequest(0x0102_0304)));
    assert_eq!(script.said(), ["UserControl(PingResponse(16909060))"]);
    script.message(type_id::USER_CONTROL, &[0, 6, 1]);
    script.message(type_id::USER_CONTROL, &[0, 0x1A, 0, 0, 0, 0]);
    assert!(script.said().is_empty());
}

#[test]
fn acknowledges_by_the_window_of_the_server() {
    let mut script = Script::started(ClientRole::Play);
    script.control(ControlMessage::WindowAcknowledgementSize(1000));
    assert_eq!(script.said(), [format!("Acknowledgement({})", script.client.received_bytes)]);
    script.control(ControlMessage::WindowAcknowledgementSize(0));
    script.message(type_id::AUDIO, &[0; 500]);
    assert!(script.said().is_empty());
    script.message(type_id::AUDIO, &[0; 500]);
    assert_eq!(script.said(), [format!("Acknowledgement({})", script.client.received_bytes)]);
    script.message(type_id::AUDIO, &[0; 500]);
    assert!(script.said().is_empty());
}

#[test]
fn acknowledges_also_without_a_window() {
    let limits = SessionLimits { acknowledgement_bytes: 10_000, ..SessionLimits::default() };
    let mut script = Script::with_limits(ClientRole::Play, limits);
    script.start();
    script.control(ControlMessage::WindowAcknowledgementSize(1 << 30));
    script.message(type_id::AUDIO, &[0; 10_000]);
    assert_eq!(script.said(), [format!("Acknowledgement({})", script.client.received_bytes)]);
}

#[test]
fn acknowledged_bytes_wrap() {
    let mut script = Script::started(ClientRole::Play);
    script.client.received_bytes = 0xFFFF_FF00;
    script.client.acknowledged_bytes = 0xFFFF_FF00;
    script.control(ControlMessage::WindowAcknowledgementSize(1000));
    script.message(type_id::AUDIO, &[0; 2000]);
    let received = script.client.received_bytes;
    assert!(received < 2000);
    assert_eq!(script.said(), [format!("Acknowledgement({received})")]);
}

#[test]
fn peer_bandwidth_is_answered_once_by_the_window() {
    let mut script = Script::started(ClientRole::Publish);
    for window_bytes in [0, 5000, 5000, 6000] {
        let limit = BandwidthLimit::Dynamic;
        script.control(ControlMessage::SetPeerBandwidth { window_bytes, limit });
    }
    assert_eq!(script.said(), ["WindowAcknowledgementSize(5000)", "WindowAcknowledgementSize(6000)"]);
}

#[test]
fn chunk_size_of_the_server_is_honoured() {
    let mut script = Script::started(ClientRole::Play);
    script.control(ControlMessage::SetChunkSize(60_000));
    script.chunk_size = 60_000;
    script.message(type_id::VIDEO, &[3; 50_000]);
    assert!(matches!(&script.events()[..], [ClientEvent::Media(m)] if m.payload == [3; 50_000][..]));
}

#[test]
fn stream_eof_is_reported() {
    let mut script = Script::started(ClientRole::Play);
    script.control(ControlMessage::UserControl(UserControl::StreamBegin(7)));
    script.control(ControlMessage::UserControl(UserControl::StreamEof(7)));
    assert_eq!(script.events(), [ClientEvent::StreamEof]);
}

#[test]
fn unknown_messages_are_ignored() {
    let mut script = Script::started(ClientRole::Play);
    for (type_id, payload) in [
        (0, &b""[..]),
        (3, &[0, 0, 0, 1]),
        (5, &[0]),
        (7, b"x"),
        (16, b"shared object"),
        (20, b""),
        (20, b"\x05 no name"),
        (22, b"aggregate"),
        (255, b"x"),
    ] {
        script.message(type_id, payload);
    }
    script.command("onBWDone", 0.0, Value::Null);
    script.command("onFCPublish", 0.0, Value::Null);
    assert!(script.events().is_empty());
    assert!(script.said().is_empty());
}

#[test]
fn amf3_commands_are_understood() {
    let mut script = Script::new(ClientRole::Publish);
    script.shake_hands();
    script.sent();
    let mut body = BytesMut::from(&[0_u8][..]);
    Command::result(1.0, Value::Null, []).encode(&mut body);
    script.message(type_id::COMMAND_AMF3, &body);
    assert_eq!(script.said().len(), 3);
}

#[test]
fn flood_of_pings_ends_the_session() {
    let limits = SessionLimits { answer_bytes: 1000, ..SessionLimits::default() };
    let mut script = Script::with_limits(ClientRole::Publish, limits);
    script.start();
    script.client.send(type_id::VIDEO, 0, &[0; 5000]);
    let mut flood = BytesMut::new();
    for _ in 0..100 {
        encode_message(&mut flood, 128, 2, 0, type_id::USER_CONTROL, 0, &[0, 6, 0, 0, 0, 1]);
    }
    let error = Err(SessionError::TooManyAnswers(1000));
    assert_eq!(script.client.handle_input(script.now, &flood), error);
}

#[test]
fn errors_of_handshake_and_chunks_are_given_on() {
    let mut script = Script::new(ClientRole::Play);
    assert_eq!(
        script.client.handle_input(script.now, b"HTTP/1.1 400"),
        Err(SessionError::Handshake(HandshakeError::Version(b'H')))
    );
    let mut script = Script::started(ClientRole::Play);
    assert_eq!(
        script.try_message(type_id::SET_CHUNK_SIZE, &[0; 4]),
        Err(SessionError::Chunk(ChunkError::ZeroChunkSize))
    );
}

#[test]
fn one_byte_at_a_time() {
    let mut script = Script::new(ClientRole::Play);
    let hello = script.output();
    let mut bytes = BytesMut::new();
    script.handshake.as_mut().unwrap().handle_input(&mut &hello[..], &mut bytes).unwrap();
    let answers = [
        Command::result(1.0, Value::Null, []),
        Command::result(4.0, Value::Null, [Value::Number(1.0)]),
        Command::on_status(status("status", "NetStream.Play.Start", "")),
    ];
    for answer in answers {
        let mut body = BytesMut::new();
        answer.encode(&mut body);
        encode_message(&mut bytes, 128, 3, 0, type_id::COMMAND_AMF0, 0, &body);
    }
    for byte in &bytes {
        script.client.handle_input(script.now, &[*byte]).unwrap();
    }
    assert_eq!(script.events(), [ClientEvent::Started]);
    assert_eq!(script.said().len(), 5);
}
