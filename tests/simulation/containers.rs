//! What arrives over HTTP, down to the marks in it: FLV, MPEG-TS, fragmented MP4, WebSocket around them.

use std::collections::{BTreeMap, BTreeSet};

use rtmpd::container::flv::file::FlvDemuxer;
use rtmpd::container::mpegts::PACKET_LEN;

use crate::truth::Mark;

const TAG_BYTES: usize = 1 << 20;
/// Boxes that a stream of fragments may have at its top.
const BOXES: [&[u8]; 7] = [b"ftyp", b"moov", b"moof", b"mdat", b"styp", b"emsg", b"prft"];

/// How a stream is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Flv,
    Ts,
    Mp4,
}

/// A frame that was found.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    pub mark: Mark,
    /// Timestamp and length of the body, where the container says so (FLV).
    pub tag: Option<(u32, usize)>,
}

/// Reads one container as it comes in.
#[derive(Debug)]
pub enum Reader {
    Flv(Box<FlvDemuxer>),
    Ts(Ts),
    Mp4(Mp4),
}

impl Reader {
    pub fn new(form: Form) -> Self {
        match form {
            Form::Flv => Reader::Flv(Box::new(FlvDemuxer::new(TAG_BYTES))),
            Form::Ts => Reader::Ts(Ts::default()),
            Form::Mp4 => Reader::Mp4(Mp4::default()),
        }
    }

    pub fn gaps(&self) -> usize {
        if let Reader::Ts(ts) = self { ts.gaps } else { 0 }
    }

    pub fn read(&mut self, bytes: &[u8]) -> Result<Vec<Found>, String> {
        match self {
            Reader::Flv(demuxer) => tags(demuxer, bytes),
            Reader::Ts(ts) => ts.read(bytes),
            Reader::Mp4(mp4) => mp4.read(bytes),
        }
    }
}

fn tags(demuxer: &mut FlvDemuxer, mut bytes: &[u8]) -> Result<Vec<Found>, String> {
    let mut found = Vec::new();
    while let Some(tag) = demuxer.demux(&mut bytes).map_err(|error| error.to_string())? {
        if matches!(tag.tag_type, 8 | 9) {
            let mark = Mark::parse(tag.tag_type == 9, &tag.body).ok_or("a tag without a mark")?;
            found.push(Found { mark, tag: Some((tag.timestamp, tag.body.len())) });
        }
    }
    Ok(found)
}

fn without_tags(marks: Vec<Mark>) -> impl Iterator<Item = Found> {
    marks.into_iter().filter(|mark| mark.kind.is_coded()).map(|mark| Found { mark, tag: None })
}

/// Packets: their counters go on, and what each programme stream carries is looked through.
#[derive(Debug, Default)]
pub struct Ts {
    packet: Vec<u8>,
    counters: BTreeMap<u16, u8>,
    streams: BTreeMap<u16, Vec<u8>>,
    /// Packets are missing: one who is too slow loses some. The first gap of each stream does not count: whoever joins
    /// is sent the tables at once, and what comes first of the stream later, when others are ahead.
    pub gaps: usize,
    gapped: BTreeSet<u16>,
}

impl Ts {
    pub fn read(&mut self, bytes: &[u8]) -> Result<Vec<Found>, String> {
        self.packet.extend_from_slice(bytes);
        let whole = self.packet.len() / PACKET_LEN * PACKET_LEN;
        let rest = self.packet.split_off(whole);
        let packets = std::mem::replace(&mut self.packet, rest);
        let mut found = Vec::new();
        for packet in packets.chunks(PACKET_LEN) {
            let pid = self.packet_of(packet)?;
            let stream = self.streams.entry(pid).or_default();
            let (marks, seen) = Mark::scan(stream);
            stream.drain(..seen);
            found.extend(without_tags(marks));
        }
        Ok(found)
    }

    fn packet_of(&mut self, packet: &[u8]) -> Result<u16, String> {
        if packet[0] != 0x47 {
            return Err("no packet begins here".to_owned());
        }
        let pid = u16::from(packet[1] & 0x1F) << 8 | u16::from(packet[2]);
        let mut payload = &packet[4..];
        if packet[3] & 0x20 != 0 {
            payload = payload.get(1 + usize::from(payload[0])..).ok_or("an adaptation field that is too long")?;
        }
        if packet[3] & 0x10 != 0 {
            let counter = packet[3] & 0x0F;
            let before = self.counters.insert(pid, counter);
            let is_gap = before.is_some_and(|before| (before + 1) % 16 != counter);
            self.gaps += usize::from(is_gap && !self.gapped.insert(pid));
            self.streams.entry(pid).or_default().extend_from_slice(payload);
        }
        Ok(pid)
    }
}

/// Boxes: each is known and follows the one before it.
#[derive(Debug, Default)]
pub struct Mp4 {
    head: Vec<u8>,
    left: usize,
    unseen: Vec<u8>,
    has_init: bool,
}

impl Mp4 {
    pub fn read(&mut self, mut bytes: &[u8]) -> Result<Vec<Found>, String> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            if self.left == 0 {
                let (part, rest) = bytes.split_at(bytes.len().min(8 - self.head.len()));
                self.head.extend_from_slice(part);
                bytes = rest;
                if self.head.len() == 8 {
                    self.begin_box()?;
                }
                continue;
            }
            let (body, rest) = bytes.split_at(bytes.len().min(self.left));
            self.left -= body.len();
            bytes = rest;
            self.unseen.extend_from_slice(body);
            let (marks, seen) = Mark::scan(&self.unseen);
            self.unseen.drain(..seen);
            found.extend(without_tags(marks));
        }
        Ok(found)
    }

    fn begin_box(&mut self) -> Result<(), String> {
        let head = std::mem::take(&mut self.head);
        let size = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let name = &head[4..];
        if size < 8 || !BOXES.contains(&name) {
            return Err(format!("box {} of {size} bytes", name.escape_ascii()));
        }
        self.has_init |= name == b"moov";
        if name == b"moof" && !self.has_init {
            return Err("a fragment before its init segment".to_owned());
        }
        self.left = size - 8;
        self.unseen.clear();
        Ok(())
    }

    /// A segment of HLS, whose init segment stands elsewhere.
    pub fn of_segment() -> Self {
        Mp4 { has_init: true, ..Mp4::default() }
    }

    pub fn is_between_boxes(&self) -> bool {
        self.left == 0 && self.head.is_empty()
    }
}

/// Frames of a server, of which those with a stream inside are taken.
#[derive(Debug, Default)]
pub struct WebSocket {
    buffer: Vec<u8>,
    pub is_closed: bool,
}

impl WebSocket {
    /// What is in the binary messages that are whole now.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        self.buffer.extend_from_slice(bytes);
        let mut payload = Vec::new();
        while let Some((first, head, len)) = frame_head(&self.buffer)? {
            if self.buffer.len() < head + len {
                break;
            }
            if self.is_closed {
                return Err(format!("a frame {first:#x} behind the close"));
            }
            match first {
                0x82 => payload.extend_from_slice(&self.buffer[head..head + len]),
                0x81 | 0x89 | 0x8A => {}
                0x88 => self.is_closed = true,
                _ => return Err(format!("a frame that begins with {first:#x}")),
            }
            self.buffer.drain(..head + len);
        }
        Ok(payload)
    }
}

/// First byte, length of the head, length of the payload.
fn frame_head(bytes: &[u8]) -> Result<Option<(u8, usize, usize)>, String> {
    let [first, second, ..] = *bytes else { return Ok(None) };
    if second & 0x80 != 0 {
        return Err("a server masks nothing".to_owned());
    }
    let long = match second {
        126 => 2,
        127 => 8,
        short => return Ok(Some((first, 2, short.into()))),
    };
    let Some(number) = bytes.get(2..2 + long) else { return Ok(None) };
    let len = number.iter().fold(0, |len, byte| len << 8 | usize::from(*byte));
    Ok(Some((first, 2 + long, len)))
}
