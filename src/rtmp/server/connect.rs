//! `connect` (7.2.1.1): what the client says of itself and what it is told of this server.

use std::time::Instant;

use super::{ConnectInfo, Event, ServerSession, SessionError, status};
use crate::rtmp::amf0::{Value, ValueRef};
use crate::rtmp::command::Command;
use crate::rtmp::message::{BandwidthLimit, ControlMessage};
use crate::rtmp::path::{PathError, StreamPath};

/// What Flash Media Server calls itself: some clients turn features off for what they do not know.
const SERVER_VERSION: &str = "FMS/3,5,7,7009";
/// Set of features that goes with that version.
const SERVER_CAPABILITIES: f64 = 31.0;

/// `capsEx` (Enhanced RTMP v2): multitrack 2, ModEx 4, nanosecond offsets 8, all forwarded as they came; reconnect 1:
/// clients that announce it are asked to, before this server ends.
const CAPS_EX: f64 = 15.0;
/// `CapsExMask.Reconnect`.
const CAPS_EX_RECONNECT: u32 = 1;
/// `FourCcInfoMask.CanForward` (Enhanced RTMP v2).
const CAN_FORWARD: f64 = 4.0;

/// The parts of `connect` from which the names of streams are made.
#[derive(Debug)]
pub(super) struct ConnectNames {
    app: Box<str>,
    tc_url: Option<Box<str>>,
    /// For `publish` and `play` without a name; see [`name_in_swf_url`].
    spare_name: Option<Box<str>>,
    /// It announced that it knows a reconnect request.
    pub(super) can_reconnect: bool,
}

/// A `connect` that the owner has not answered.
#[derive(Debug)]
pub(super) struct Connecting {
    transaction_id: f64,
    asks_amf3: bool,
    /// What came behind it; of one input, where the owner gives no more.
    behind: Vec<u8>,
}

impl ConnectNames {
    /// Memory behind it, in bytes: a client may send long ones.
    pub(super) fn held_bytes(&self) -> usize {
        let len = |text: &Option<Box<str>>| text.as_deref().map_or(0, str::len);
        size_of::<ConnectNames>() + self.app.len() + len(&self.tc_url) + len(&self.spare_name)
    }

    /// The `tcUrl` of the same app on the server at `url` (scheme, host and port).
    pub(super) fn tc_url_at(&self, url: &str) -> String {
        format!("{}/{}", url.trim_end_matches('/'), self.app.trim_start_matches('/'))
    }

    /// The canonical name of what `publish` or `play` calls `name`.
    pub(super) fn resolve(&self, name: &str) -> Result<StreamPath, PathError> {
        let spare_name = self.spare_name.as_deref().unwrap_or("");
        let name = if name.is_empty() { spare_name } else { name };
        StreamPath::resolve(self.tc_url.as_deref(), &self.app, name)
    }
}

impl ServerSession {
    pub(super) fn connect(&mut self, command: &Command) -> Result<(), SessionError> {
        if self.names.is_some() {
            return Err(self.out_of_order(command));
        }
        let object = command.object.view();
        let info = connect_info(object);
        let spare_name = name_in_swf_url(object, info.tc_url.as_deref());
        self.names = Some(Box::new(ConnectNames {
            app: info.app.as_str().into(),
            tc_url: info.tc_url.as_deref().map(Into::into),
            spare_name: spare_name.map(Into::into),
            can_reconnect: info.caps_ex & CAPS_EX_RECONNECT != 0,
        }));
        let encoding = object.member("objectEncoding").and_then(ValueRef::as_number);
        let connecting = Connecting {
            transaction_id: command.transaction_id,
            asks_amf3: encoding.is_some_and(|encoding| (encoding - 3.0).abs() < 0.5),
            behind: Vec::new(),
        };
        if self.asks_connect {
            self.connecting = Some(Box::new(connecting));
        } else {
            self.answer_connect(&connecting);
        }
        self.events.push_back(Event::Connected(Box::new(info)));
        Ok(())
    }

    fn answer_connect(&mut self, connecting: &Connecting) {
        let window_bytes = self.config.limits.window_bytes;
        let limit = BandwidthLimit::Dynamic;
        self.answers.control(ControlMessage::WindowAcknowledgementSize(window_bytes));
        self.answers.control(ControlMessage::SetPeerBandwidth { window_bytes, limit });
        // Before the result: some clients cannot put an answer together that is split over chunks.
        self.answers.set_chunk_size(self.config.chunk_size);
        let status = connected_status(connecting.asks_amf3);
        self.answers.result(connecting.transaction_id, properties(), status);
    }

    /// Reads messages up to `connect`, and all where that needs no answer of the owner. What stands behind one that
    /// does is kept: none of it may be answered first.
    pub(super) fn read_up_to_connect(&mut self, rest: &mut &[u8]) -> Result<(), SessionError> {
        while self.connecting.is_none()
            && let Some(message) = self.decoder.decode(rest)?
        {
            self.handle_message(message)?;
            self.check_answers()?;
        }
        if let Some(connecting) = &mut self.connecting {
            connecting.behind.extend_from_slice(rest);
            *rest = &[];
        }
        Ok(())
    }

    /// From now on (`true`) a `connect` waits for [`accept_connect`](Self::accept_connect) or
    /// [`reject_connect`](Self::reject_connect). The owner gives no more input until then.
    pub const fn ask_before_connect(&mut self, asks: bool) {
        self.asks_connect = asks;
    }

    /// Answers the `connect` that waits with yes, and goes on with what stood behind it. Nothing where none waits.
    ///
    /// # Errors
    /// As [`handle_input`](Self::handle_input).
    pub fn accept_connect(&mut self, now: Instant) -> Result<(), SessionError> {
        let Some(connecting) = self.connecting.take() else { return Ok(()) };
        self.answer_connect(&connecting);
        self.read_messages(now, &connecting.behind)
    }

    /// Answers the `connect` that waits with `NetConnection.Connect.Rejected`; the owner then closes the connection
    /// once that is sent. Nothing where none waits.
    pub fn reject_connect(&mut self, description: &str) {
        let Some(connecting) = self.connecting.take() else { return };
        // So that the answer is not split over chunks.
        self.answers.set_chunk_size(self.config.chunk_size);
        self.answers.error(connecting.transaction_id, "NetConnection.Connect.Rejected", description);
    }
}

/// The properties of this server in the answer.
fn properties() -> Value {
    let any = || Value::object([("*", Value::Number(CAN_FORWARD))]);
    Value::object([
        ("fmsVer", Value::string(SERVER_VERSION)),
        ("capabilities", Value::Number(SERVER_CAPABILITIES)),
        ("mode", Value::Number(1.0)),
        ("capsEx", Value::Number(CAPS_EX)),
        ("videoFourCcInfoMap", any()),
        ("audioFourCcInfoMap", any()),
    ])
}

/// The information object of the answer. Encoding 3 allows both kinds of messages (Enhanced RTMP v2, "Action Message
/// Format"): a client that asks for it may send AMF3, and goes on getting AMF0.
fn connected_status(amf3: bool) -> Value {
    let mut info = status("status", "NetConnection.Connect.Success", "Connection succeeded.");
    if let Value::Object(members) = &mut info {
        let encoding = if amf3 { 3.0 } else { 0.0 };
        members.push(("objectEncoding".to_owned(), Value::Number(encoding)));
    }
    info
}

fn connect_info(object: ValueRef<'_>) -> ConnectInfo {
    let text = |name| object.member(name).and_then(ValueRef::as_str);
    let listed = object.member("fourCcList").into_iter().flat_map(ValueRef::elements);
    let mapped = ["videoFourCcInfoMap", "audioFourCcInfoMap"]
        .into_iter()
        .filter_map(|name| object.member(name))
        .flat_map(ValueRef::entries);
    let four_ccs = listed.filter_map(ValueRef::as_str).chain(mapped.map(|(four_cc, _)| four_cc));
    // A cast of a float keeps to the range of the integer.
    let caps_ex = object.member("capsEx").and_then(ValueRef::as_number).unwrap_or(0.0) as u32;
    ConnectInfo {
        app: text("app").unwrap_or("").to_owned(),
        tc_url: text("tcUrl").or_else(|| text("tcurl")).map(|url| unquoted(url).to_owned()),
        flash_ver: text("flashVer").map(ToOwned::to_owned),
        swf_url: text("swfUrl").map(ToOwned::to_owned),
        page_url: text("pageUrl").map(ToOwned::to_owned),
        caps_ex,
        four_ccs: four_ccs.map(ToOwned::to_owned).collect(),
    }
}

/// Some encoders put quotes around `tcUrl`.
fn unquoted(text: &str) -> &str {
    text.trim_matches(['\'', '"'])
}

/// Some encoders leave the name out of `publish` and put it at the end of `swfUrl`, which is `tcUrl` otherwise.
fn name_in_swf_url<'a>(object: ValueRef<'a>, tc_url: Option<&str>) -> Option<&'a str> {
    let swf_url = unquoted(object.member("swfUrl")?.as_str()?);
    let tc_url = tc_url?.trim_end_matches('/');
    let name = swf_url.strip_prefix(tc_url)?.strip_prefix('/')?;
    (!tc_url.is_empty() && !name.is_empty()).then_some(name)
}
