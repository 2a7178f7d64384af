//! RTMP messages (RTMP 1.0, section 6) and the protocol control and user control ones among them (5.4, 7.1.7).
//!
//! Owns: message type ids and the bodies of control messages. Does not know chunks.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::wire::Reader;

/// Message type ids (RTMP 1.0, 5.4 and 7.1).
pub mod type_id {
    /// Set Chunk Size.
    pub const SET_CHUNK_SIZE: u8 = 1;
    /// Abort Message.
    pub const ABORT: u8 = 2;
    /// Acknowledgement.
    pub const ACKNOWLEDGEMENT: u8 = 3;
    /// User Control Message.
    pub const USER_CONTROL: u8 = 4;
    /// Window Acknowledgement Size.
    pub const WINDOW_ACKNOWLEDGEMENT_SIZE: u8 = 5;
    /// Set Peer Bandwidth.
    pub const SET_PEER_BANDWIDTH: u8 = 6;
    /// Audio Message.
    pub const AUDIO: u8 = 8;
    /// Video Message.
    pub const VIDEO: u8 = 9;
    /// Data Message, AMF3.
    pub const DATA_AMF3: u8 = 15;
    /// Shared Object Message, AMF3.
    pub const SHARED_OBJECT_AMF3: u8 = 16;
    /// Command Message, AMF3.
    pub const COMMAND_AMF3: u8 = 17;
    /// Data Message, AMF0.
    pub const DATA_AMF0: u8 = 18;
    /// Shared Object Message, AMF0.
    pub const SHARED_OBJECT_AMF0: u8 = 19;
    /// Command Message, AMF0.
    pub const COMMAND_AMF0: u8 = 20;
    /// Aggregate Message.
    pub const AGGREGATE: u8 = 22;
}

/// Chunk stream ids that this server writes on. Receivers must not care (5.3.1.1).
pub mod chunk_stream_id {
    /// Protocol control and user control (fixed by the specification).
    pub const CONTROL: u32 = 2;
    /// Commands and their answers.
    pub const COMMAND: u32 = 3;
    /// Audio.
    pub const AUDIO: u32 = 4;
    /// Data messages.
    pub const DATA: u32 = 5;
    /// Video.
    pub const VIDEO: u32 = 6;
}

/// One whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Chunk stream it came on.
    pub chunk_stream_id: u32,
    /// Absolute timestamp in milliseconds, wrapping at 2^32.
    pub timestamp: u32,
    /// See [`type_id`].
    pub type_id: u8,
    /// Message stream id.
    pub stream_id: u32,
    /// Body.
    pub payload: Bytes,
}

/// AMF3 messages begin with this byte and are then AMF0 (Enhanced RTMP v2, "Action Message Format").
const AMF3_FORMAT: u8 = 0;

/// The AMF0 values of a data message of type 18 or 15. Some peers leave the format byte of the latter out.
pub(super) fn data_values(type_id: u8, mut payload: Bytes) -> Bytes {
    if type_id == type_id::DATA_AMF3 && payload.first() == Some(&AMF3_FORMAT) {
        payload.advance(1);
    }
    payload
}

/// A protocol control or user control message, its type id included (5.4 and 7.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlMessage {
    /// Bytes of each chunk from the next one on (5.4.1). The highest bit is never set.
    SetChunkSize(u32),
    /// Chunk stream whose unfinished message is to be thrown away (5.4.2).
    Abort(u32),
    /// Bytes received so far, wrapping at 2^32 (5.4.3).
    Acknowledgement(u32),
    /// See [`UserControl`].
    UserControl(UserControl),
    /// The sender wants an acknowledgement after so many bytes (5.4.4).
    WindowAcknowledgementSize(u32),
    /// The receiver shall limit what it sends (5.4.5).
    SetPeerBandwidth {
        /// Bytes that may stay unacknowledged.
        window_bytes: u32,
        /// How strict.
        limit: BandwidthLimit,
    },
}

/// Limit type of Set Peer Bandwidth (5.4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BandwidthLimit {
    /// 0: limit to the window.
    Hard,
    /// 1: limit to the smaller of the window and the one in force.
    Soft,
    /// 2: like [`BandwidthLimit::Hard`] where the last one was hard, else to be ignored. Unknown values are read as
    /// this.
    Dynamic,
}

/// A User Control message (7.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserControl {
    /// 0: a message stream can be used.
    StreamBegin(u32),
    /// 1: playing on a message stream is over.
    StreamEof(u32),
    /// 2: nothing to play at the moment.
    StreamDry(u32),
    /// 3: how much the client buffers.
    SetBufferLength {
        /// Message stream.
        stream_id: u32,
        /// Milliseconds.
        buffer_ms: u32,
    },
    /// 4: the stream is a recorded one.
    StreamIsRecorded(u32),
    /// 6: the peer shall answer with the same number.
    PingRequest(u32),
    /// 7: the number of the Ping Request.
    PingResponse(u32),
}

impl ControlMessage {
    /// Decodes the body of a message of `type_id` 1 to 6. `None` where it is too short, names an event that is not
    /// known, or is no control message; bytes behind the body are not looked at.
    pub fn decode(type_id: u8, payload: &[u8]) -> Option<ControlMessage> {
        let mut reader = Reader::new(payload);
        if type_id == type_id::USER_CONTROL {
            return UserControl::decode(&mut reader).map(ControlMessage::UserControl);
        }
        let value = reader.u32().ok()?;
        match type_id {
            type_id::SET_CHUNK_SIZE => Some(ControlMessage::SetChunkSize(value & 0x7FFF_FFFF)),
            type_id::ABORT => Some(ControlMessage::Abort(value)),
            type_id::ACKNOWLEDGEMENT => Some(ControlMessage::Acknowledgement(value)),
            type_id::WINDOW_ACKNOWLEDGEMENT_SIZE => Some(ControlMessage::WindowAcknowledgementSize(value)),
            type_id::SET_PEER_BANDWIDTH => Some(ControlMessage::SetPeerBandwidth {
                window_bytes: value,
                limit: BandwidthLimit::from_byte(reader.u8().unwrap_or(2)),
            }),
            _ => None,
        }
    }

    /// The message's [`type_id`].
    pub const fn type_id(&self) -> u8 {
        match self {
            ControlMessage::SetChunkSize(_) => type_id::SET_CHUNK_SIZE,
            ControlMessage::Abort(_) => type_id::ABORT,
            ControlMessage::Acknowledgement(_) => type_id::ACKNOWLEDGEMENT,
            ControlMessage::UserControl(_) => type_id::USER_CONTROL,
            ControlMessage::WindowAcknowledgementSize(_) => type_id::WINDOW_ACKNOWLEDGEMENT_SIZE,
            ControlMessage::SetPeerBandwidth { .. } => type_id::SET_PEER_BANDWIDTH,
        }
    }

    /// Appends the body.
    pub fn encode(&self, out: &mut BytesMut) {
        match *self {
            ControlMessage::SetChunkSize(value)
            | ControlMessage::Abort(value)
            | ControlMessage::Acknowledgement(value)
            | ControlMessage::WindowAcknowledgementSize(value) => out.put_u32(value),
            ControlMessage::UserControl(event) => event.encode(out),
            ControlMessage::SetPeerBandwidth { window_bytes, limit } => {
                out.put_u32(window_bytes);
                out.put_u8(limit.to_byte());
            }
        }
    }
}

impl BandwidthLimit {
    const fn from_byte(byte: u8) -> Self {
        match byte {
            0 => BandwidthLimit::Hard,
            1 => BandwidthLimit::Soft,
            _ => BandwidthLimit::Dynamic,
        }
    }

    const fn to_byte(self) -> u8 {
        match self {
            BandwidthLimit::Hard => 0,
            BandwidthLimit::Soft => 1,
            BandwidthLimit::Dynamic => 2,
        }
    }
}

impl UserControl {
    /// `None` where the event is unknown or cut short.
    fn decode(reader: &mut Reader<'_>) -> Option<UserControl> {
        let event = reader.u16().ok()?;
        let value = reader.u32().ok()?;
        match event {
            0 => Some(UserControl::StreamBegin(value)),
            1 => Some(UserControl::StreamEof(value)),
            2 => Some(UserControl::StreamDry(value)),
            3 => {
                let buffer_ms = reader.u32().ok()?;
                Some(UserControl::SetBufferLength { stream_id: value, buffer_ms })
            }
            4 => Some(UserControl::StreamIsRecorded(value)),
            6 => Some(UserControl::PingRequest(value)),
            7 => Some(UserControl::PingResponse(value)),
            _ => None,
        }
    }

    fn encode(self, out: &mut BytesMut) {
        let (event, value) = match self {
            UserControl::StreamBegin(id) => (0, id),
            UserControl::StreamEof(id) => (1, id),
            UserControl::StreamDry(id) => (2, id),
            UserControl::SetBufferLength { stream_id, .. } => (3, stream_id),
            UserControl::StreamIsRecorded(id) => (4, id),
            UserControl::PingRequest(number) => (6, number),
            UserControl::PingResponse(number) => (7, number),
        };
        out.put_u16(event);
        out.put_u32(value);
        if let UserControl::SetBufferLength { buffer_ms, .. } = self {
            out.put_u32(buffer_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Name, type id, message, bytes of its body.
    fn table() -> Vec<(&'static str, u8, ControlMessage, &'static [u8])> {
        use ControlMessage as C;
        use UserControl as U;
        let bandwidth = |limit| C::SetPeerBandwidth { window_bytes: 2_500_000, limit };
        let buffer = U::SetBufferLength { stream_id: 1, buffer_ms: 3000 };
        vec![
            ("set chunk size", 1, C::SetChunkSize(4096), &[0, 0, 0x10, 0]),
            ("abort", 2, C::Abort(6), &[0, 0, 0, 6]),
            ("acknowledgement", 3, C::Acknowledgement(0xFFFF_FFFE), &[0xFF, 0xFF, 0xFF, 0xFE]),
            ("stream begin", 4, C::UserControl(U::StreamBegin(1)), &[0, 0, 0, 0, 0, 1]),
            ("stream eof", 4, C::UserControl(U::StreamEof(2)), &[0, 1, 0, 0, 0, 2]),
            ("stream dry", 4, C::UserControl(U::StreamDry(3)), &[0, 2, 0, 0, 0, 3]),
            ("buffer length", 4, C::UserControl(buffer), &[0, 3, 0, 0, 0, 1, 0, 0, 0x0B, 0xB8]),
            ("stream is recorded", 4, C::UserControl(U::StreamIsRecorded(4)), &[0, 4, 0, 0, 0, 4]),
            ("ping request", 4, C::UserControl(U::PingRequest(0x0102_0304)), &[0, 6, 1, 2, 3, 4]),
            ("ping response", 4, C::UserControl(U::PingResponse(0x0102_0304)), &[0, 7, 1, 2, 3, 4]),
            ("window", 5, C::WindowAcknowledgementSize(2_500_000), &[0, 0x26, 0x25, 0xA0]),
            ("bandwidth hard", 6, bandwidth(BandwidthLimit::Hard), &[0, 0x26, 0x25, 0xA0, 0]),
            ("bandwidth soft", 6, bandwidth(BandwidthLimit::Soft), &[0, 0x26, 0x25, 0xA0, 1]),
            ("bandwidth dynamic", 6, bandwidth(BandwidthLimit::Dynamic), &[0, 0x26, 0x25, 0xA0, 2]),
        ]
    }

    #[test]
    fn every_body_in_both_directions() {
        for (name, type_id, message, bytes) in table() {
            assert_eq!(message.type_id(), type_id, "{name}");
            assert_eq!(ControlMessage::decode(type_id, bytes), Some(message), "{name}");
            let mut out = BytesMut::new();
            message.encode(&mut out);
            assert_eq!(out, bytes, "{name}");
        }
    }

    #[test]
    fn a_body_cut_short_anywhere_is_none() {
        for (name, type_id, _, bytes) in table() {
            let needed = if type_id == type_id::SET_PEER_BANDWIDTH { 4 } else { bytes.len() };
            for len in 0..needed {
                assert_eq!(ControlMessage::decode(type_id, &bytes[..len]), None, "{name} {len}");
            }
        }
    }

    #[test]
    fn set_peer_bandwidth_without_limit_type_is_dynamic() {
        let message = ControlMessage::decode(type_id::SET_PEER_BANDWIDTH, &[0, 0, 0, 1]);
        let limit = BandwidthLimit::Dynamic;
        assert_eq!(message, Some(ControlMessage::SetPeerBandwidth { window_bytes: 1, limit }));
    }

    #[test]
    fn events_of_flash_media_server_that_nobody_knows_are_none() {
        for event in [5, 8, 0x1A, 0x1B, 31, 32, 0xFF] {
            let bytes = [0, event, 0, 0, 0, 1];
            assert_eq!(ControlMessage::decode(type_id::USER_CONTROL, &bytes), None, "{event}");
        }
    }

    #[test]
    fn the_highest_bit_of_a_chunk_size_is_masked() {
        let message = ControlMessage::decode(type_id::SET_CHUNK_SIZE, &[0x80, 0, 0x10, 0]);
        assert_eq!(message, Some(ControlMessage::SetChunkSize(4096)));
    }

    proptest! {
        #[test]
        fn what_decodes_encodes_to_what_decodes_the_same(
            type_id in 0_u8..8,
            payload in proptest::collection::vec(any::<u8>(), 0..12),
        ) {
            if let Some(message) = ControlMessage::decode(type_id, &payload) {
                let mut out = BytesMut::new();
                message.encode(&mut out);
                prop_assert_eq!(ControlMessage::decode(message.type_id(), &out), Some(message));
            }
        }
    }
}
