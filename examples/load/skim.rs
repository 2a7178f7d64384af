//! Reads chunks without keeping their payload: what a player of this program looks at once it plays.
//!
//! Owns: finding each message's type, length and first bytes, whatever chunk types and sizes the server uses. Does not
//! copy or check payload, so that the meter costs little.

use rtmpd::rtmp::chunk::DEFAULT_CHUNK_SIZE;
use rtmpd::rtmp::message::type_id;

use crate::clip::HEAD_LEN;

/// S0, S1 and S2 come before the first chunk.
const HANDSHAKE_LEN: usize = 1 + 2 * 1536;
const MAX_HEADER_LEN: usize = 18;
const EXTENDED: u32 = 0x00FF_FFFF;

/// A message that has passed.
pub struct Skimmed<'a> {
    /// Message type id.
    pub type_id: u8,
    /// Length of the body in bytes.
    pub len: usize,
    /// The body's first bytes.
    pub head: &'a [u8],
}

/// State of one chunk stream.
struct Lane {
    id: u32,
    type_id: u8,
    len: usize,
    left: usize,
    extended: bool,
    head: [u8; HEAD_LEN],
    held: usize,
}

/// See the module.
pub struct Skimmer {
    handshake_left: usize,
    chunk_size: usize,
    lanes: Vec<Lane>,
    current: usize,
    in_chunk: bool,
    chunk_left: usize,
    header: [u8; MAX_HEADER_LEN],
    header_len: usize,
}

impl Skimmer {
    /// Begins with the server's handshake.
    pub fn new() -> Skimmer {
        Skimmer {
            handshake_left: HANDSHAKE_LEN,
            chunk_size: DEFAULT_CHUNK_SIZE,
            lanes: Vec::new(),
            current: 0,
            in_chunk: false,
            chunk_left: 0,
            header: [0; MAX_HEADER_LEN],
            header_len: 0,
        }
    }

    /// Takes bytes of the server and calls `on_message` for each message that ends in them.
    pub fn skim(&mut self, mut input: &[u8], mut on_message: impl FnMut(Skimmed<'_>)) {
        input = input.get(take(&mut self.handshake_left, input.len())..).unwrap_or_default();
        loop {
            if !self.in_chunk {
                input = self.read_header(input);
            }
            let Some(lane) = self.lanes.get_mut(self.current).filter(|_| self.in_chunk) else {
                return;
            };
            let (payload, rest) = input.split_at(take(&mut self.chunk_left, input.len()));
            input = rest;
            lane.read(payload);
            if self.chunk_left > 0 {
                return;
            }
            self.in_chunk = false;
            if lane.left == 0 {
                let head = lane.head.get(..lane.held).unwrap_or_default();
                if let (type_id::SET_CHUNK_SIZE, Some(size)) = (lane.type_id, head.first_chunk()) {
                    self.chunk_size = (u32::from_be_bytes(*size) as usize).max(1);
                }
                on_message(Skimmed { type_id: lane.type_id, len: lane.len, head });
            }
        }
    }

    /// Collects a chunk header; once it is whole, `in_chunk` is set.
    fn read_header<'a>(&mut self, mut input: &'a [u8]) -> &'a [u8] {
        loop {
            let have = self.header.get(..self.header_len).unwrap_or_default();
            let wanted = self.wanted(have);
            if wanted == self.header_len {
                break;
            }
            let count = (wanted - self.header_len).min(input.len());
            if count == 0 {
                return input;
            }
            let (taken, rest) = input.split_at(count);
            if let Some(place) = self.header.get_mut(self.header_len..self.header_len + count) {
                place.copy_from_slice(taken);
            }
            self.header_len += count;
            input = rest;
        }
        self.begin_chunk();
        self.header_len = 0;
        self.in_chunk = true;
        input
    }

    /// Length of the header that begins with `have`, as far as it can be told.
    fn wanted(&self, have: &[u8]) -> usize {
        let Some(&first) = have.first() else { return 1 };
        let basic = basic_len(first);
        let format = first >> 6;
        let plain = basic + message_header_len(format);
        if have.len() < plain {
            return plain;
        }
        let extended = if format == 3 {
            self.lane(chunk_stream_id(have)).is_some_and(|lane| lane.extended)
        } else {
            u24(have.get(basic..).unwrap_or_default()) == EXTENDED
        };
        plain + if extended { 4 } else { 0 }
    }

    fn lane(&self, id: u32) -> Option<&Lane> {
        self.lanes.iter().find(|lane| lane.id == id)
    }

    fn begin_chunk(&mut self) {
        let header = self.header.get(..self.header_len).unwrap_or_default();
        let Some(&first) = header.first() else { return };
        let id = chunk_stream_id(header);
        self.current = self.lanes.iter().position(|lane| lane.id == id).unwrap_or_else(|| {
            self.lanes.push(Lane::new(id));
            self.lanes.len() - 1
        });
        let Some(lane) = self.lanes.get_mut(self.current) else { return };
        let fields = header.get(basic_len(first)..).unwrap_or_default();
        let format = first >> 6;
        if format < 3 {
            lane.extended = u24(fields) == EXTENDED;
        }
        if format < 2 {
            lane.len = u24(fields.get(3..).unwrap_or_default()) as usize;
            lane.type_id = fields.get(6).copied().unwrap_or_default();
        }
        if lane.left == 0 {
            lane.left = lane.len;
            lane.held = 0;
        }
        self.chunk_left = lane.left.min(self.chunk_size);
    }
}

impl Lane {
    fn new(id: u32) -> Lane {
        Lane { id, type_id: 0, len: 0, left: 0, extended: false, head: [0; HEAD_LEN], held: 0 }
    }

    fn read(&mut self, payload: &[u8]) {
        self.left -= payload.len().min(self.left);
        if self.held < HEAD_LEN {
            let count = payload.len().min(HEAD_LEN - self.held);
            let place = self.head.get_mut(self.held..self.held + count);
            if let (Some(place), Some(taken)) = (place, payload.get(..count)) {
                place.copy_from_slice(taken);
            }
            self.held += count;
        }
    }
}

/// Takes up to `count` from `left`; says how many.
fn take(left: &mut usize, count: usize) -> usize {
    let taken = count.min(*left);
    *left -= taken;
    taken
}

fn basic_len(first: u8) -> usize {
    match first & 0x3F {
        0 => 2,
        1 => 3,
        _ => 1,
    }
}

fn message_header_len(format: u8) -> usize {
    match format {
        0 => 11,
        1 => 7,
        2 => 3,
        _ => 0,
    }
}

fn chunk_stream_id(header: &[u8]) -> u32 {
    match header {
        [first, low, ..] if first & 0x3F == 0 => 64 + u32::from(*low),
        [first, low, high, ..] if first & 0x3F == 1 => 64 + u32::from(*low) + 256 * u32::from(*high),
        [first, ..] => u32::from(first & 0x3F),
        [] => 0,
    }
}

fn u24(bytes: &[u8]) -> u32 {
    bytes.iter().take(3).fold(0, |value, byte| value << 8 | u32::from(*byte))
}
