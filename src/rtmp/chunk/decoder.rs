//! Chunks to messages.
//!
//! Owns: reading chunk headers as peers really write them, and the messages that are not whole yet. Holds memory
//! only for those: between messages a decoder owns nothing but the state of its few chunk streams.

use std::mem;

use bytes::Bytes;
use thiserror::Error;

use super::{DEFAULT_CHUNK_SIZE, EXTENDED};
use crate::rtmp::message::{Message, type_id};
use crate::wire::{Incomplete, Reader};

/// Longest chunk header: 3 bytes basic header, 11 bytes message header, 4 bytes extended timestamp.
const MAX_HEADER_LEN: usize = 18;

/// Largest chunk size, in bytes. No message is longer, so a larger one means the same (5.4.1).
const MAX_CHUNK_SIZE: u32 = 0x00FF_FFFF;

/// Longest step, in milliseconds, that a type 3 chunk may take over from the absolute timestamp of a type 0 chunk.
///
/// The specification says that it takes that timestamp as its delta (5.3.1.2.4), and ffmpeg writes so when the second
/// message is as far from the first as the first is from zero. nginx writes the same bytes for "no time has passed".
/// Up to this value the step can be the distance of two frames; above it, it would be a jump and is taken as 0.
const LONGEST_FIRST_DELTA_MS: u32 = 1000;

/// Why a chunk stream cannot be read on. Framing is lost: the session must close.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChunkError {
    /// Set Chunk Size with 0 (5.4.1).
    #[error("chunk size 0 announced")]
    ZeroChunkSize,
    /// A message announced as longer than the limit.
    #[error("message of {announced} bytes announced, limit {limit}")]
    MessageTooLong {
        /// Bytes announced.
        announced: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// More chunk streams in use than the limit.
    #[error("more than {limit} chunk streams")]
    TooManyChunkStreams {
        /// Chunk streams allowed.
        limit: usize,
    },
    /// Unfinished messages hold more bytes than the limit.
    #[error("unfinished messages hold more than {limit} bytes")]
    TooManyPartialBytes {
        /// Bytes allowed.
        limit: usize,
    },
}

/// Limits of a [`ChunkDecoder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkLimits {
    /// Longest message, in bytes.
    pub message_bytes: usize,
    /// Memory that all unfinished messages together may take, in bytes. Should be well above `message_bytes`.
    pub partial_bytes: usize,
    /// Chunk streams in use.
    pub chunk_streams: usize,
}

/// Reads chunks and gives whole messages.
#[derive(Debug)]
pub struct ChunkDecoder {
    limits: ChunkLimits,
    /// Searched from `current` on: most chunks follow one of the same chunk stream.
    streams: Vec<ChunkStream>,
    /// Memory taken by the unfinished messages of all `streams`.
    partial_bytes: usize,
    dropped_partials: u64,
    chunk_size: u32,
    /// Index in `streams` of the chunk that was begun last.
    current: usize,
    /// Bytes of that chunk which did not arrive yet.
    chunk_left: u32,
    held: HeldBytes,
}

/// How far one step of the decoder came.
enum Step {
    /// The bytes end inside a chunk header or at the end of what a chunk has so far; nothing was eaten.
    NeedMore,
    /// Bytes were eaten.
    Advanced,
    /// Bytes were eaten, and the last of them ended a message.
    Whole(Message),
}

impl ChunkDecoder {
    /// Starts with the chunk size of the specification, 128.
    pub fn new(limits: ChunkLimits) -> Self {
        ChunkDecoder {
            limits,
            streams: Vec::new(),
            partial_bytes: 0,
            dropped_partials: 0,
            chunk_size: DEFAULT_CHUNK_SIZE as u32,
            current: 0,
            chunk_left: 0,
            held: HeldBytes::default(),
        }
    }

    /// Replaces the limits; what is already held stays.
    pub fn set_limits(&mut self, limits: ChunkLimits) {
        self.limits = limits;
    }

    /// Messages that never became whole because the peer began another one on the same chunk stream. Those that the
    /// peer took back with Abort are not counted.
    pub fn dropped_partials(&self) -> u64 {
        self.dropped_partials
    }

    /// Memory that the unfinished messages take now, in bytes. 0 between messages.
    pub fn partial_bytes(&self) -> usize {
        self.partial_bytes
    }

    /// What [`Self::partial_bytes`] must be, counted again.
    #[cfg(test)]
    pub(super) fn counted_partial_bytes(&self) -> usize {
        self.streams.iter().map(|stream| stream.partial.capacity()).sum()
    }

    /// Memory that the chunk stream states take, in bytes.
    pub fn state_bytes(&self) -> usize {
        self.streams.capacity() * size_of::<ChunkStream>()
    }

    /// Eats bytes from the front of `input` up to the end of the next message. `None`: all of `input` is eaten and
    /// the message is not whole yet. Set Chunk Size and Abort are acted on and not returned.
    ///
    /// # Errors
    /// [`ChunkError`] where framing is lost or a limit is passed; the decoder must not be used after.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Message>, ChunkError> {
        loop {
            let step = if self.held.is_empty() { self.step(input)? } else { self.step_from_held(input)? };
            match step {
                Step::NeedMore => {
                    self.held.fill(input);
                    return Ok(None);
                }
                Step::Advanced => {}
                Step::Whole(message) => {
                    if !self.act_on(&message)? {
                        return Ok(Some(message));
                    }
                }
            }
        }
    }

    /// Reads a chunk header if one is due, and then what is there of the chunk's payload.
    fn step(&mut self, input: &mut &[u8]) -> Result<Step, ChunkError> {
        if self.chunk_left == 0 {
            if !self.begin_chunk(input)? {
                return Ok(Step::NeedMore);
            }
        } else if input.is_empty() {
            return Ok(Step::NeedMore);
        }
        let message = self.read_payload(input)?;
        Ok(message.map_or(Step::Advanced, Step::Whole))
    }

    /// The same, from the bytes held back earlier and the input behind them. Input is eaten only once all held bytes
    /// are: a held byte may turn out to be payload (see [`ChunkStream::pass_extended_timestamp`]).
    fn step_from_held(&mut self, input: &mut &[u8]) -> Result<Step, ChunkError> {
        let held_len = self.held.as_slice().len();
        let mut joined = self.held;
        joined.fill(&mut { *input });
        let mut rest = joined.as_slice();
        let step = self.step(&mut rest)?;
        let eaten = joined.as_slice().len() - rest.len();
        if let Some(eaten_input) = eaten.checked_sub(held_len) {
            self.held = HeldBytes::default();
            *input = input.get(eaten_input..).unwrap_or_default();
        } else {
            self.held.drop_front(eaten);
        }
        Ok(step)
    }

    /// Reads a chunk header. `false`: it is not all there, and nothing was eaten.
    fn begin_chunk(&mut self, input: &mut &[u8]) -> Result<bool, ChunkError> {
        let mut reader = Reader::new(input);
        let Ok((format, id)) = basic_header(&mut reader) else { return Ok(false) };
        let header = if format == 3 {
            None
        } else {
            let Ok(header) = MessageHeader::decode(format, &mut reader) else { return Ok(false) };
            Some(header)
        };
        self.current = self.find_or_add(id)?;
        let Some(stream) = self.streams.get_mut(self.current) else { return Ok(false) };
        if header.is_none() && stream.pass_extended_timestamp(&mut reader).is_err() {
            return Ok(false);
        }
        if header.is_some() && stream.is_partial() {
            self.partial_bytes -= stream.drop_partial();
            self.dropped_partials += 1;
        }
        if !stream.is_partial() {
            stream.begin_message(header);
            if stream.message_len as usize > self.limits.message_bytes {
                return Err(ChunkError::MessageTooLong {
                    announced: stream.message_len as usize,
                    limit: self.limits.message_bytes,
                });
            }
        }
        self.chunk_left = stream.left().min(self.chunk_size);
        *input = reader.rest();
        Ok(true)
    }

    /// Index of a chunk stream, which is added if it is new.
    fn find_or_add(&mut self, id: u32) -> Result<usize, ChunkError> {
        let last = self.streams.get(self.current);
        if last.is_some_and(|stream| stream.id == id) {
            return Ok(self.current);
        }
        if let Some(index) = self.streams.iter().position(|stream| stream.id == id) {
            return Ok(index);
        }
        if self.streams.len() >= self.limits.chunk_streams {
            return Err(ChunkError::TooManyChunkStreams { limit: self.limits.chunk_streams });
        }
        let stream_id = last.map_or(0, |stream| stream.stream_id);
        // Two or three are the rule: no room for more than there are.
        self.streams.reserve_exact(1);
        self.streams.push(ChunkStream { id, stream_id, ..ChunkStream::default() });
        Ok(self.streams.len() - 1)
    }

    /// Moves what is there of the current chunk's payload into its message.
    fn read_payload(&mut self, input: &mut &[u8]) -> Result<Option<Message>, ChunkError> {
        let Some(stream) = self.streams.get_mut(self.current) else { return Ok(None) };
        let available = input.len();
        let (arrived, rest) = input.split_at(available.min(self.chunk_left as usize));
        *input = rest;
        self.chunk_left -= arrived.len() as u32;

        if arrived.len() == stream.message_len as usize {
            return Ok(Some(stream.message(Bytes::copy_from_slice(arrived))));
        }
        let limit = self.limits.partial_bytes;
        let room = limit.saturating_sub(self.partial_bytes);
        let Some(grown) = stream.append(arrived, available, room) else {
            return Err(ChunkError::TooManyPartialBytes { limit });
        };
        self.partial_bytes += grown;
        if stream.left() > 0 {
            return Ok(None);
        }
        self.partial_bytes -= stream.partial.capacity();
        let payload = mem::take(&mut stream.partial);
        Ok(Some(stream.message(Bytes::from(payload))))
    }

    /// Acts on Set Chunk Size (5.4.1) and Abort (5.4.2), on whatever chunk stream and message stream they come. Bodies
    /// that are too short say nothing. `false`: the message is for others.
    fn act_on(&mut self, message: &Message) -> Result<bool, ChunkError> {
        let value = Reader::new(&message.payload).u32();
        match (message.type_id, value) {
            (type_id::SET_CHUNK_SIZE, Ok(size)) => {
                self.chunk_size = match size & 0x7FFF_FFFF {
                    0 => return Err(ChunkError::ZeroChunkSize),
                    size => size.min(MAX_CHUNK_SIZE),
                };
            }
            (type_id::ABORT, Ok(id)) => {
                if let Some(stream) = self.streams.iter_mut().find(|stream| stream.id == id) {
                    self.partial_bytes -= stream.drop_partial();
                }
            }
            (type_id::SET_CHUNK_SIZE | type_id::ABORT, Err(Incomplete)) => {}
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Chunk type (0 to 3) and chunk stream id (5.3.1.1). An id in a longer form than it needs is read all the same.
fn basic_header(reader: &mut Reader<'_>) -> Result<(u8, u32), Incomplete> {
    let first = reader.u8()?;
    let id = match first & 0x3F {
        0 => 64 + u32::from(reader.u8()?),
        1 => {
            let [low, high] = reader.array()?;
            64 + u32::from(u16::from_le_bytes([low, high]))
        }
        id => u32::from(id),
    };
    Ok((first >> 6, id))
}

/// The chunk message header of types 0, 1 and 2 (5.3.1.2) with the extended timestamp behind it (5.3.1.3).
struct MessageHeader {
    /// Absolute timestamp (type 0) or the step from the message before it, in milliseconds.
    time: u32,
    /// Whether `time` stood in the extended timestamp.
    extended: bool,
    /// Types 0 and 1: message length in bytes, and message type id.
    length_and_type: Option<(u32, u8)>,
    /// Type 0: message stream id.
    stream_id: Option<u32>,
}

impl MessageHeader {
    fn decode(format: u8, reader: &mut Reader<'_>) -> Result<Self, Incomplete> {
        let field = reader.u24()?;
        let length_and_type = if format < 2 { Some((reader.u24()?, reader.u8()?)) } else { None };
        let stream_id = if format == 0 { Some(reader.u32_le()?) } else { None };
        let extended = field == EXTENDED;
        let time = if extended { reader.u32()? } else { field };
        Ok(MessageHeader { time, extended, length_and_type, stream_id })
    }
}

/// What a chunk stream remembers from one chunk to the next, and its unfinished message.
///
/// A field that the first chunk of a chunk stream leaves out is 0; its message stream id is that of the chunk before
/// it. So librtmp's first ping (type 1) and the first chunks of ffmpeg over HTTP (type 2) are read.
#[derive(Debug, Default)]
struct ChunkStream {
    id: u32,
    /// Absolute timestamp of the message, in milliseconds, wrapping.
    timestamp: u32,
    /// The time field of the last header that had one.
    time: u32,
    message_len: u32,
    stream_id: u32,
    type_id: u8,
    /// Whether `time` is an absolute timestamp (type 0), not a step.
    absolute: bool,
    /// Whether `time` stood in an extended timestamp.
    extended: bool,
    /// The peer was seen to leave the extended timestamp out of a type 3 chunk.
    never_repeats: bool,
    /// The payload so far; empty between messages, when it takes no memory.
    partial: Vec<u8>,
}

impl ChunkStream {
    /// Whether a message has begun and is not whole.
    fn is_partial(&self) -> bool {
        !self.partial.is_empty()
    }

    /// Payload bytes of the message that did not arrive yet.
    fn left(&self) -> u32 {
        self.message_len.saturating_sub(self.partial.len() as u32)
    }

    /// Forgets the unfinished message and tells how much memory it took.
    fn drop_partial(&mut self) -> usize {
        mem::take(&mut self.partial).capacity()
    }

    /// Takes over a message header; `None` is a type 3 chunk that begins a message like the one before it.
    fn begin_message(&mut self, header: Option<MessageHeader>) {
        let Some(header) = header else {
            let jump = self.absolute && self.time > LONGEST_FIRST_DELTA_MS;
            self.timestamp = self.timestamp.wrapping_add(if jump { 0 } else { self.time });
            return;
        };
        self.time = header.time;
        self.extended = header.extended;
        self.absolute = header.stream_id.is_some();
        self.timestamp = if self.absolute { self.time } else { self.timestamp.wrapping_add(self.time) };
        if let Some((message_len, type_id)) = header.length_and_type {
            self.message_len = message_len;
            self.type_id = type_id;
        }
        if let Some(stream_id) = header.stream_id {
            self.stream_id = stream_id;
        }
    }

    /// Moves over the extended timestamp of a type 3 chunk, if it is there.
    ///
    /// It must be where the last header had one (5.3.1.3), but OBS before 30.1, rtmpdump and old ffmpeg leave it out.
    /// Four bytes that repeat the value are the timestamp; the first byte that differs shows that they are payload,
    /// and, inside a message, that this peer never repeats. [`Incomplete`]: all bytes that are there agree. Then
    /// there is no telling yet, even where the message has fewer than four bytes left, and guessing would lose the
    /// framing; the next bytes of the peer decide.
    fn pass_extended_timestamp(&mut self, reader: &mut Reader<'_>) -> Result<(), Incomplete> {
        if !self.extended || self.never_repeats {
            return Ok(());
        }
        let value = self.time.to_be_bytes();
        if reader.rest().iter().zip(&value).any(|(there, repeated)| there != repeated) {
            self.never_repeats = self.is_partial();
            return Ok(());
        }
        reader.skip(value.len())
    }

    /// Adds payload, and tells by how much the memory of the message grew. `None`: that would be more than `room`.
    ///
    /// Memory follows what arrived, never what was announced: it at least doubles, or makes place for all
    /// `available` input, of which most is this message's; it never gets larger than the message.
    fn append(&mut self, arrived: &[u8], available: usize, room: usize) -> Option<usize> {
        let before = self.partial.capacity();
        if before - self.partial.len() < arrived.len() {
            let wanted = self.partial.len().max(available).min(self.left() as usize);
            let spare = before - self.partial.len();
            let wanted = wanted.min(room.saturating_add(spare));
            if wanted < arrived.len() {
                return None;
            }
            self.partial.reserve_exact(wanted);
        }
        self.partial.extend_from_slice(arrived);
        Some(self.partial.capacity() - before)
    }

    fn message(&self, payload: Bytes) -> Message {
        Message {
            chunk_stream_id: self.id,
            timestamp: self.timestamp,
            type_id: self.type_id,
            stream_id: self.stream_id,
            payload,
        }
    }
}

/// The end of an input that stopped inside a chunk header.
#[derive(Debug, Clone, Copy, Default)]
struct HeldBytes {
    bytes: [u8; MAX_HEADER_LEN],
    len: u8,
}

impl HeldBytes {
    fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Takes bytes from the front of `input` while there is place.
    fn fill(&mut self, input: &mut &[u8]) {
        let place = self.bytes.get_mut(usize::from(self.len)..).unwrap_or_default();
        let (taken, rest) = input.split_at(input.len().min(place.len()));
        for (to, from) in place.iter_mut().zip(taken) {
            *to = *from;
        }
        self.len += taken.len() as u8;
        *input = rest;
    }

    fn drop_front(&mut self, count: usize) {
        let end = usize::from(self.len);
        let count = count.min(end);
        self.bytes.copy_within(count..end, 0);
        self.len -= count as u8;
    }
}
