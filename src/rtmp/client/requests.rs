//! Requests of a client, in the order in which Adobe's encoder and player send them.
//!
//! Owns: their names, arguments and transaction ids. Does not know when each is due.

use bytes::BytesMut;

use super::{ClientRole, ClientSession};
use crate::rtmp::amf0::Value;
use crate::rtmp::command::Command;
use crate::rtmp::message::{ControlMessage, UserControl, chunk_stream_id, type_id};

/// Transaction ids: each request is made once, so each has its own number.
pub(super) mod transaction_id {
    pub(in super::super) const CONNECT: f64 = 1.0;
    pub(super) const RELEASE_STREAM: f64 = 2.0;
    pub(super) const FC_PUBLISH: f64 = 3.0;
    pub(in super::super) const CREATE_STREAM: f64 = 4.0;
    /// `publish` or `play`.
    pub(in super::super) const START: f64 = 5.0;
    pub(super) const FC_UNPUBLISH: f64 = 6.0;
    pub(super) const DELETE_STREAM: f64 = 7.0;

    /// Requests that a server need not know.
    pub(in super::super) const OPTIONAL: [f64; 4] = [RELEASE_STREAM, FC_PUBLISH, FC_UNPUBLISH, DELETE_STREAM];
}

/// What a publisher calls itself: some servers allow FMLE only.
const PUBLISHER_VERSION: &str = "FMLE/3.0 (compatible; rtmpd)";
/// What a player calls itself: the version that ffmpeg names.
const PLAYER_VERSION: &str = "LNX 9,0,124,2";

/// FourCCs of Enhanced RTMP. `*` alone would do by the specification, but not for every server.
const FOUR_CCS: [&str; 13] =
    ["*", "avc1", "hvc1", "vvc1", "vp08", "vp09", "av01", "mp4a", ".mp3", "Opus", "fLaC", "ac-3", "ec-3"];
/// `FourCcInfoMask.CanForward` (Enhanced RTMP v2).
const CAN_FORWARD: f64 = 4.0;
/// `capsEx` (Enhanced RTMP v2): multitrack 2, ModEx 4, nanosecond offsets 8. Not reconnect (1).
const CAPS_EX: f64 = 14.0;

/// `start` of `play`: live, else recorded (7.2.2.1).
const START_LIVE_OR_RECORDED: f64 = -2.0;
/// What the server is told of the player's buffer, in milliseconds; the value of librtmp.
const BUFFER_MS: u32 = 3000;

impl ClientSession {
    /// Set Chunk Size, then `connect` (7.2.1.1).
    pub(super) fn connect(&mut self) {
        let chunk_size = u32::try_from(self.config.chunk_size).unwrap_or(0x00FF_FFFF);
        self.control(ControlMessage::SetChunkSize(chunk_size));
        let object = self.connect_object();
        self.command(0, &Command::new("connect", transaction_id::CONNECT, object, []));
    }

    fn connect_object(&self) -> Value {
        let is_player = self.target.role == ClientRole::Play;
        let version = if is_player { PLAYER_VERSION } else { PUBLISHER_VERSION };
        let mut members = vec![
            ("app", Value::string(self.target.app.as_str())),
            ("type", Value::string("nonprivate")),
            ("flashVer", Value::string(version)),
            ("tcUrl", Value::string(self.target.tc_url.as_str())),
        ];
        if is_player {
            // Every codec of the old lists (7.2.1.1), and seeking to the frame.
            members.extend([
                ("fpad", Value::Boolean(false)),
                ("capabilities", Value::Number(15.0)),
                ("audioCodecs", Value::Number(4071.0)),
                ("videoCodecs", Value::Number(252.0)),
                ("videoFunction", Value::Number(1.0)),
            ]);
        }
        let any = || Value::object([("*", Value::Number(CAN_FORWARD))]);
        members.extend([
            ("objectEncoding", Value::Number(0.0)),
            ("fourCcList", Value::StrictArray(FOUR_CCS.map(Value::string).to_vec())),
            ("videoFourCcInfoMap", any()),
            ("audioFourCcInfoMap", any()),
            ("capsEx", Value::Number(CAPS_EX)),
        ]);
        Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// What follows the answer to `connect`, up to `createStream` (7.2.1.3).
    pub(super) fn open(&mut self) {
        match self.target.role {
            ClientRole::Publish => {
                let name = self.name();
                self.call(0, "releaseStream", transaction_id::RELEASE_STREAM, vec![name.clone()]);
                self.call(0, "FCPublish", transaction_id::FC_PUBLISH, vec![name]);
            }
            ClientRole::Play => self.announce_window(self.config.limits.window_bytes),
        }
        self.call(0, "createStream", transaction_id::CREATE_STREAM, Vec::new());
    }

    /// `publish` (7.2.2.6), or `play` (7.2.2.1) and the buffer's length.
    pub(super) fn start(&mut self) {
        let stream_id = self.stream_id;
        let name = self.name();
        match self.target.role {
            ClientRole::Publish => {
                let arguments = vec![name, Value::string("live")];
                self.call(stream_id, "publish", transaction_id::START, arguments);
            }
            ClientRole::Play => {
                let arguments = vec![name, Value::Number(START_LIVE_OR_RECORDED)];
                self.call(stream_id, "play", transaction_id::START, arguments);
                let buffer = UserControl::SetBufferLength { stream_id, buffer_ms: BUFFER_MS };
                self.control(ControlMessage::UserControl(buffer));
            }
        }
    }

    /// `FCUnpublish` of a publisher, and `deleteStream` (7.2.2.3).
    pub(super) fn close_stream(&mut self) {
        if self.target.role == ClientRole::Publish {
            let name = self.name();
            self.call(0, "FCUnpublish", transaction_id::FC_UNPUBLISH, vec![name]);
        }
        let stream_id = Value::Number(f64::from(self.stream_id));
        self.call(0, "deleteStream", transaction_id::DELETE_STREAM, vec![stream_id]);
    }

    /// Window Acknowledgement Size, where the server does not know it yet (5.4.5).
    pub(super) fn announce_window(&mut self, window_bytes: u32) {
        if window_bytes != self.announced_window_bytes {
            self.announced_window_bytes = window_bytes;
            self.control(ControlMessage::WindowAcknowledgementSize(window_bytes));
        }
    }

    fn name(&self) -> Value {
        Value::string(self.target.stream.as_str())
    }

    fn call(&mut self, stream_id: u32, name: &str, transaction_id: f64, arguments: Vec<Value>) {
        self.command(stream_id, &Command::new(name, transaction_id, Value::Null, arguments));
    }

    fn command(&mut self, stream_id: u32, command: &Command) {
        let mut body = BytesMut::new();
        command.encode(&mut body);
        self.write(chunk_stream_id::COMMAND, 0, type_id::COMMAND_AMF0, stream_id, &body);
    }
}
