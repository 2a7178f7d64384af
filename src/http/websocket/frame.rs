//! Frames of clients (RFC 6455, 5).
//!
//! Owns: cutting, unmasking and joining of fragments. Does not know what is answered.

use super::{CONTROL_BYTES, WebSocketError};
use crate::wire::{Incomplete, Reader};

/// Longest head of a masked frame.
const HEAD_BYTES: usize = 14;

/// What a frame is (5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    fn parse(bits: u8) -> Option<Opcode> {
        match bits {
            0 => Some(Opcode::Continuation),
            1 => Some(Opcode::Text),
            2 => Some(Opcode::Binary),
            8 => Some(Opcode::Close),
            9 => Some(Opcode::Ping),
            10 => Some(Opcode::Pong),
            _ => None,
        }
    }

    const fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }
}

/// A whole message, or a control frame, which may stand between the fragments of one (5.4).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Close(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
}

/// Makes messages of bytes. Holds no buffer between two messages.
#[derive(Debug)]
pub(super) struct FrameDecoder {
    message_bytes: usize,
    /// The frame's head, as far as it came.
    head: [u8; HEAD_BYTES],
    head_len: usize,
    /// Once its head is whole.
    frame: Option<Frame>,
    /// What the message under way is, from its first fragment to its last.
    message_opcode: Option<Opcode>,
    message: Vec<u8>,
    control: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    is_last: bool,
    opcode: Opcode,
    /// Payload that is still to come.
    left: usize,
    /// Turned so that its first byte is for the next one.
    mask: [u8; 4],
}

impl FrameDecoder {
    pub(super) fn new(message_bytes: usize) -> Self {
        FrameDecoder {
            message_bytes,
            head: [0; HEAD_BYTES],
            head_len: 0,
            frame: None,
            message_opcode: None,
            message: Vec::new(),
            control: Vec::new(),
        }
    }

    /// The next message or control frame; `None` where all input is eaten.
    pub(super) fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Decoded>, WebSocketError> {
        loop {
            let mut frame = match self.frame {
                Some(frame) => frame,
                None => match self.read_head(input)? {
                    Some(frame) => frame,
                    None => return Ok(None),
                },
            };
            self.read_payload(&mut frame, input);
            if frame.left > 0 {
                self.frame = Some(frame);
                return Ok(None);
            }
            self.frame = None;
            if let Some(decoded) = self.end_frame(frame) {
                return Ok(Some(decoded));
            }
        }
    }

    /// Memory that unfinished messages take.
    pub(super) fn held_bytes(&self) -> usize {
        self.message.capacity() + self.control.capacity()
    }

    /// Takes the bytes of a head one by one: only they say how many there are.
    fn read_head(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, WebSocketError> {
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            if let Some(place) = self.head.get_mut(self.head_len) {
                *place = byte;
                self.head_len += 1;
            }
            if let Ok(head) = parse_head(self.head.get(..self.head_len).unwrap_or_default()) {
                self.head_len = 0;
                return self.begin_frame(head?).map(Some);
            }
        }
        Ok(None)
    }

    /// Checks a frame against what came before it.
    fn begin_frame(&mut self, head: Head) -> Result<Frame, WebSocketError> {
        let Head { is_last, opcode, len, mask } = head;
        let limit = if opcode.is_control() {
            if !is_last || len > CONTROL_BYTES as u64 {
                return Err(WebSocketError::Protocol("a control frame that is fragmented or too long"));
            }
            CONTROL_BYTES
        } else {
            match (opcode, self.message_opcode) {
                (Opcode::Continuation, None) => {
                    return Err(WebSocketError::Protocol("a continuation of nothing"));
                }
                (Opcode::Continuation, Some(_)) => {}
                (_, Some(_)) => return Err(WebSocketError::Protocol("a message within another")),
                (_, None) => self.message_opcode = Some(opcode),
            }
            self.message_bytes.saturating_sub(self.message.len())
        };
        match usize::try_from(len) {
            Ok(left) if left <= limit => Ok(Frame { is_last, opcode, left, mask }),
            _ => Err(WebSocketError::TooLong(self.message_bytes)),
        }
    }

    fn read_payload(&mut self, frame: &mut Frame, input: &mut &[u8]) {
        let take = frame.left.min(input.len());
        let (masked, rest) = input.split_at_checked(take).unwrap_or((input, &[]));
        *input = rest;
        let payload = if frame.opcode.is_control() { &mut self.control } else { &mut self.message };
        payload.extend(masked.iter().zip(frame.mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame.left -= masked.len();
        frame.mask.rotate_left(masked.len() % 4);
    }

    fn end_frame(&mut self, frame: Frame) -> Option<Decoded> {
        match frame.opcode {
            Opcode::Close => Some(Decoded::Close(std::mem::take(&mut self.control))),
            Opcode::Ping => Some(Decoded::Ping(std::mem::take(&mut self.control))),
            Opcode::Pong => {
                self.control = Vec::new();
                Some(Decoded::Pong)
            }
            Opcode::Continuation | Opcode::Text | Opcode::Binary if frame.is_last => {
                let message = std::mem::take(&mut self.message);
                match self.message_opcode.take() {
                    Some(Opcode::Text) => Some(Decoded::Text(message)),
                    _ => Some(Decoded::Binary(message)),
                }
            }
            Opcode::Continuation | Opcode::Text | Opcode::Binary => None,
        }
    }
}

struct Head {
    is_last: bool,
    opcode: Opcode,
    len: u64,
    mask: [u8; 4],
}

/// Reads a head (5.2), once it is whole; what is wrong is told as soon as it can be seen.
fn parse_head(bytes: &[u8]) -> Result<Result<Head, WebSocketError>, Incomplete> {
    const FIN: u8 = 0x80;
    const RESERVED: u8 = 0x70;
    const MASKED: u8 = 0x80;
    let wrong = |problem| Ok(Err(WebSocketError::Protocol(problem)));
    let mut reader = Reader::new(bytes);
    let first = reader.u8()?;
    if first & RESERVED != 0 {
        return wrong("a reserved bit is set");
    }
    let Some(opcode) = Opcode::parse(first & 0x0F) else {
        return wrong("a frame of unknown kind");
    };
    let second = reader.u8()?;
    if second & MASKED == 0 {
        return wrong("a frame without a mask");
    }
    let len = match second & 0x7F {
        126 => match reader.u16()? {
            0..=125 => return wrong("a length in more bytes than it needs"),
            len => u64::from(len),
        },
        127 => match reader.u64()? {
            0..=0xFFFF => return wrong("a length in more bytes than it needs"),
            len => len,
        },
        len => u64::from(len),
    };
    let mask = reader.array()?;
    Ok(Ok(Head { is_last: first & FIN != 0, opcode, len, mask }))
}
