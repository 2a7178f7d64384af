//! WebSocket (RFC 6455), the server's side.
//!
//! Owns: frames, messages, pings and closing of one connection, and the heads of frames whose payload is shared among
//! many. Does not know the request that it began with.

mod frame;
#[cfg(test)]
pub(super) mod tests;

use std::collections::VecDeque;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{BufMut as _, Bytes, BytesMut};
use sha1::{Digest as _, Sha1};
use thiserror::Error;

use self::frame::{Decoded, FrameDecoder, Opcode};
use super::output::Output;
use super::session::{Event, after};
use crate::config::HttpLimits;

/// Close codes (7.4.1).
pub mod code {
    /// All was said.
    pub const NORMAL: u16 = 1000;
    /// The server goes, or the stream ended.
    pub const GOING_AWAY: u16 = 1001;
    /// Bytes that are no frames.
    pub const PROTOCOL: u16 = 1002;
    /// Stands for a close without a code; never sent.
    pub const NONE: u16 = 1005;
    /// Text that is not UTF-8.
    pub const NOT_UTF8: u16 = 1007;
    /// What was asked for is not allowed.
    pub const POLICY: u16 = 1008;
    /// Too long a message.
    pub const TOO_LONG: u16 = 1009;
    /// The server cannot go on.
    pub const INTERNAL: u16 = 1011;
}

/// Longest payload of a control frame (5.5).
pub(super) const CONTROL_BYTES: usize = 125;

/// Why a WebSocket cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WebSocketError {
    /// What arrived are no frames as clients have to send them.
    #[error("WebSocket: {0}")]
    Protocol(&'static str),
    /// A text that is not UTF-8.
    #[error("WebSocket: a text that is not UTF-8")]
    NotUtf8,
    /// A message longer than the limit, in bytes.
    #[error("WebSocket: a message longer than {0} bytes")]
    TooLong(usize),
    /// Nothing arrived for so long after a ping, in ms.
    #[error("WebSocket: nothing arrived for {0} ms after a ping")]
    Dead(u64),
}

impl WebSocketError {
    /// Close code that the peer is told; `None` where nobody is there to read it.
    pub const fn code(&self) -> Option<u16> {
        match self {
            WebSocketError::Protocol(_) => Some(code::PROTOCOL),
            WebSocketError::NotUtf8 => Some(code::NOT_UTF8),
            WebSocketError::TooLong(_) => Some(code::TOO_LONG),
            WebSocketError::Dead(_) => None,
        }
    }
}

/// Head of a frame of the server; 2, 4 or 10 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    bytes: [u8; 10],
    len: u8,
}

impl FrameHead {
    /// The only frame of a message (5.2), unmasked.
    fn new(opcode: Opcode, len: usize) -> FrameHead {
        const FIN: u8 = 0x80;
        let mut head = FrameHead { bytes: [0; 10], len: 0 };
        let mut out = &mut head.bytes[..];
        out.put_u8(FIN | opcode as u8);
        match (u8::try_from(len), u16::try_from(len)) {
            (Ok(len @ 0..=125), _) => out.put_u8(len),
            (_, Ok(len)) => {
                out.put_u8(126);
                out.put_u16(len);
            }
            _ => {
                out.put_u8(127);
                out.put_u64(len as u64);
            }
        }
        head.len = match len {
            0..=125 => 2,
            126..=0xFFFF => 4,
            _ => 10,
        };
        head
    }
}

impl AsRef<[u8]> for FrameHead {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }
}

/// What stands in front of a binary message of `len` bytes, so that its payload can be shared.
pub fn binary_head(len: usize) -> FrameHead {
    FrameHead::new(Opcode::Binary, len)
}

/// A whole text message.
pub fn text_message(text: &str) -> Bytes {
    let head = FrameHead::new(Opcode::Text, text.len());
    let mut message = BytesMut::with_capacity(head.as_ref().len() + text.len());
    message.put_slice(head.as_ref());
    message.put_slice(text.as_bytes());
    message.freeze()
}

/// `Sec-WebSocket-Accept` for a key (4.2.2).
pub(super) fn accept_value(key: &str) -> String {
    const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    BASE64.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// Appends a close frame. A reason that is too long is cut.
pub(super) fn write_close(output: &mut Output, code: Option<u16>, reason: &str) {
    let mut payload = Vec::new();
    if let Some(code) = code {
        payload.put_u16(code);
        let ends = (0..=CONTROL_BYTES - 2).rev();
        let cut = ends.filter_map(|end| reason.get(..end.min(reason.len()))).next();
        payload.put_slice(cut.unwrap_or_default().as_bytes());
    }
    write_frame(output, Opcode::Close, &payload);
}

fn write_frame(output: &mut Output, opcode: Opcode, payload: &[u8]) {
    output.write(FrameHead::new(opcode, payload.len()).as_ref());
    output.write(payload);
}

/// One connection's frames, from the answer 101 on.
#[derive(Debug)]
pub(super) struct WebSocket {
    decoder: FrameDecoder,
    ping_ms: u64,
    /// Last input or ping.
    last_sign: Instant,
    /// The first ping since the last input.
    pinged: Option<Instant>,
}

impl WebSocket {
    pub(super) fn new(now: Instant, limits: &HttpLimits) -> Self {
        WebSocket {
            decoder: FrameDecoder::new(limits.websocket_message_bytes),
            ping_ms: limits.websocket_ping_ms,
            last_sign: now,
            pinged: None,
        }
    }

    /// Eats bytes of the peer. Says whether the WebSocket is still open.
    ///
    /// # Errors
    /// [`WebSocketError`]; the close frame is written already.
    pub(super) fn handle_input(
        &mut self,
        now: Instant,
        rest: &mut &[u8],
        events: &mut VecDeque<Event>,
        output: &mut Output,
    ) -> Result<bool, WebSocketError> {
        if !rest.is_empty() {
            self.last_sign = now;
            self.pinged = None;
        }
        let mut ping = None;
        let result = self.read(rest, events, &mut ping);
        // One answer is enough for several pings at once (5.5.3).
        if let Some(payload) = ping {
            write_frame(output, Opcode::Pong, &payload);
        }
        match &result {
            Ok(None) => {}
            Ok(Some(close)) => {
                write_close(output, close.code, "");
                let (code, reason) = (close.code.unwrap_or(code::NONE), close.reason.clone());
                events.push_back(Event::WebSocketClosed { code, reason });
            }
            Err(error) => {
                let told = error.to_string();
                write_close(output, error.code(), told.trim_start_matches("WebSocket: "));
            }
        }
        Ok(result?.is_none())
    }

    /// Does what is due.
    ///
    /// # Errors
    /// [`WebSocketError::Dead`].
    pub(super) fn handle_timeout(&mut self, now: Instant, output: &mut Output) -> Result<(), WebSocketError> {
        if self.dead_deadline().is_some_and(|deadline| deadline <= now) {
            return Err(WebSocketError::Dead(self.ping_ms.saturating_mul(2)));
        }
        if after(self.last_sign, self.ping_ms).is_some_and(|deadline| deadline <= now) {
            write_frame(output, Opcode::Ping, b"");
            self.last_sign = now;
            self.pinged.get_or_insert(now);
        }
        Ok(())
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        [after(self.last_sign, self.ping_ms), self.dead_deadline()].into_iter().flatten().min()
    }

    /// Memory that unfinished messages take.
    pub(super) fn held_bytes(&self) -> usize {
        self.decoder.held_bytes()
    }

    fn dead_deadline(&self) -> Option<Instant> {
        after(self.pinged?, self.ping_ms.saturating_mul(2))
    }

    /// Reads frames up to a close. Pings are left to the caller.
    fn read(
        &mut self,
        rest: &mut &[u8],
        events: &mut VecDeque<Event>,
        ping: &mut Option<Vec<u8>>,
    ) -> Result<Option<Close>, WebSocketError> {
        while let Some(decoded) = self.decoder.decode(rest)? {
            match decoded {
                Decoded::Text(payload) => {
                    let text = String::from_utf8(payload).map_err(|_| WebSocketError::NotUtf8)?;
                    events.push_back(Event::WebSocketText(text));
                }
                Decoded::Binary(payload) => events.push_back(Event::WebSocketBinary(payload.into())),
                Decoded::Ping(payload) => *ping = Some(payload),
                Decoded::Pong => {}
                Decoded::Close(payload) => return Close::parse(&payload).map(Some),
            }
        }
        Ok(None)
    }
}

/// Payload of a close frame (5.5.1).
struct Close {
    code: Option<u16>,
    reason: String,
}

impl Close {
    fn parse(payload: &[u8]) -> Result<Close, WebSocketError> {
        let Some((code, reason)) = payload.split_first_chunk::<2>() else {
            return match payload {
                [] => Ok(Close { code: None, reason: String::new() }),
                _ => Err(WebSocketError::Protocol("a close frame with half a code")),
            };
        };
        let code = u16::from_be_bytes(*code);
        // 7.4: what may be sent at all.
        if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
            return Err(WebSocketError::Protocol("a close code that nobody may send"));
        }
        let reason = str::from_utf8(reason).map_err(|_| WebSocketError::NotUtf8)?;
        Ok(Close { code: Some(code), reason: reason.to_owned() })
    }
}
