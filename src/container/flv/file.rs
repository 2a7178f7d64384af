//! FLV files (Video File Format 10.1, annex E.2 to E.4.1): bytes to tags and back.
//!
//! Owns: the file header, tag headers and back pointers. Reads liberally: what a reader does not need (version, flags,
//! back pointers, stream ids) is not checked, and a tag of unknown type is a tag. Does not know what a tag says, nor
//! where the bytes come from: it serves files and endless HTTP responses alike.

use std::mem;

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::wire::{Incomplete, Reader, put_u24};

/// Tag types (E.4.1). Those of audio, video and data are also the RTMP message type ids.
pub mod tag_type {
    /// Audio.
    pub const AUDIO: u8 = 8;
    /// Video.
    pub const VIDEO: u8 = 9;
    /// Script data, AMF3 (Enhanced RTMP v2).
    pub const SCRIPT_AMF3: u8 = 15;
    /// Script data, AMF0.
    pub const SCRIPT: u8 = 18;
}

/// Length of the file header, in bytes (E.2).
const FILE_HEADER_LEN: u32 = 9;

/// Length of a tag header, in bytes (E.4.1).
pub const TAG_HEADER_LEN: usize = 11;

/// Length of the back pointer behind each tag, in bytes (E.3).
pub const BACK_POINTER_LEN: usize = 4;

/// Longest tag body that the 3-byte size field can announce, in bytes.
pub const MAX_BODY_LEN: usize = 0x00FF_FFFF;

/// Longest run of bytes that is read as one: a back pointer and the tag header behind it.
const MAX_HEAD_LEN: usize = BACK_POINTER_LEN + TAG_HEADER_LEN;

/// Why an FLV file cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FlvError {
    /// The first three bytes are not `FLV`.
    #[error("not an FLV file")]
    Signature,
    /// A tag announced as longer than the limit.
    #[error("tag of {announced} bytes announced, limit {limit}")]
    TagTooLong {
        /// Bytes announced.
        announced: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// One tag of an FLV file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlvTag {
    /// See [`tag_type`]. The `Filter` bit (0x20) is kept, so an encrypted tag is none of the known types.
    pub tag_type: u8,
    /// Milliseconds, with the extended byte, wrapping at 2^32.
    pub timestamp: u32,
    /// Audio, video or script data.
    pub body: Bytes,
}

/// Reads an FLV file as it comes in and gives its tags.
#[derive(Debug)]
pub struct FlvDemuxer {
    max_body_bytes: usize,
    state: State,
    /// The end of an input that stopped inside a file or tag header.
    head: [u8; MAX_HEAD_LEN],
    head_len: usize,
}

/// What comes next.
#[derive(Debug)]
enum State {
    FileHeader,
    /// The rest of a file header longer than it has to be.
    FileHeaderRest {
        left: usize,
    },
    /// Back pointer and tag header.
    TagHeader,
    Body {
        tag: TagHeader,
        body: Vec<u8>,
    },
}

#[derive(Debug, Clone, Copy)]
struct TagHeader {
    tag_type: u8,
    timestamp: u32,
    body_len: usize,
}

impl FlvDemuxer {
    /// Starts at the first byte of the file. `max_body_bytes` is the longest tag body, in bytes.
    pub fn new(max_body_bytes: usize) -> Self {
        FlvDemuxer { max_body_bytes, state: State::FileHeader, head: [0; MAX_HEAD_LEN], head_len: 0 }
    }

    /// Eats bytes from the front of `input` up to the end of the next tag's body. `None`: all of `input` is eaten and
    /// the tag is not whole yet. A file may end anywhere.
    ///
    /// # Errors
    /// [`FlvError`] where this is no FLV file or a limit is passed; the demuxer must not be used after.
    pub fn demux(&mut self, input: &mut &[u8]) -> Result<Option<FlvTag>, FlvError> {
        loop {
            let went_on = match &mut self.state {
                State::FileHeader => self.read_file_header(input)?,
                State::FileHeaderRest { left } => {
                    let (skipped, rest) = input.split_at(input.len().min(*left));
                    *input = rest;
                    *left -= skipped.len();
                    let whole = *left == 0;
                    if whole {
                        self.state = State::TagHeader;
                    }
                    whole
                }
                State::TagHeader => self.read_tag_header(input)?,
                State::Body { tag, body } => {
                    let tag = read_body(tag, body, input);
                    if tag.is_some() {
                        self.state = State::TagHeader;
                    }
                    return Ok(tag);
                }
            };
            if !went_on {
                return Ok(None);
            }
        }
    }

    /// `false`: it is not all there.
    fn read_file_header(&mut self, input: &mut &[u8]) -> Result<bool, FlvError> {
        let Ok(head) = self.head::<{ FILE_HEADER_LEN as usize }>(input) else {
            return Ok(false);
        };
        let [b'F', b'L', b'V', _, _, header_len @ ..] = head else {
            return Err(FlvError::Signature);
        };
        let left = u32::from_be_bytes(header_len).saturating_sub(FILE_HEADER_LEN) as usize;
        self.state = State::FileHeaderRest { left };
        Ok(true)
    }

    /// `false`: it is not all there.
    fn read_tag_header(&mut self, input: &mut &[u8]) -> Result<bool, FlvError> {
        let Ok(head) = self.head::<MAX_HEAD_LEN>(input) else { return Ok(false) };
        let [_, _, _, _, tag_type, l0, l1, l2, t1, t2, t3, t0, _, _, _] = head;
        let body_len = u32::from_be_bytes([0, l0, l1, l2]) as usize;
        if body_len > self.max_body_bytes {
            let limit = self.max_body_bytes;
            return Err(FlvError::TagTooLong { announced: body_len, limit });
        }
        let timestamp = u32::from_be_bytes([t0, t1, t2, t3]);
        let tag = TagHeader { tag_type: tag_type & 0x3F, timestamp, body_len };
        self.state = State::Body { tag, body: Vec::new() };
        Ok(true)
    }

    /// The next `N` bytes, which may have come in parts. [`Incomplete`]: all of `input` is eaten and kept.
    fn head<const N: usize>(&mut self, input: &mut &[u8]) -> Result<[u8; N], Incomplete> {
        let missing = N.saturating_sub(self.head_len);
        let (arrived, rest) = input.split_at(input.len().min(missing));
        let place = self.head.iter_mut().skip(self.head_len);
        for (to, from) in place.zip(arrived) {
            *to = *from;
        }
        self.head_len += arrived.len();
        *input = rest;
        if self.head_len < N {
            return Err(Incomplete);
        }
        self.head_len = 0;
        Reader::new(&self.head).array()
    }
}

/// Moves what is there of a tag's body out of `input`. Memory follows what arrived, not what the tag announced.
fn read_body(tag: &TagHeader, body: &mut Vec<u8>, input: &mut &[u8]) -> Option<FlvTag> {
    let left = tag.body_len.saturating_sub(body.len());
    let (arrived, rest) = input.split_at(input.len().min(left));
    *input = rest;
    let body = if arrived.len() == tag.body_len {
        Bytes::copy_from_slice(arrived)
    } else {
        if body.capacity() - body.len() < arrived.len() {
            body.reserve_exact(body.len().max(arrived.len()).min(left));
        }
        body.extend_from_slice(arrived);
        if body.len() < tag.body_len {
            return None;
        }
        Bytes::from(mem::take(body))
    };
    Some(FlvTag { tag_type: tag.tag_type, timestamp: tag.timestamp, body })
}

/// Writes the file header and the back pointer of no tag behind it: what every FLV file and response begins with.
/// The flags say which kinds of tags will come.
pub fn mux_file_header(out: &mut BytesMut, has_audio: bool, has_video: bool) {
    let flags = u8::from(has_audio) << 2 | u8::from(has_video);
    out.reserve(FILE_HEADER_LEN as usize + BACK_POINTER_LEN);
    out.put_slice(&[b'F', b'L', b'V', 1, flags]);
    out.put_u32(FILE_HEADER_LEN);
    out.put_u32(0);
}

/// Writes one tag and its back pointer. A body longer than [`MAX_BODY_LEN`] is cut there.
pub fn mux_tag(out: &mut BytesMut, tag_type: u8, timestamp: u32, body: &[u8]) {
    let body = body.get(..MAX_BODY_LEN).unwrap_or(body);
    out.reserve(TAG_HEADER_LEN + body.len() + BACK_POINTER_LEN);
    mux_tag_header(out, tag_type, timestamp, body.len());
    out.put_slice(body);
    mux_back_pointer(out, body.len());
}

/// Writes what stands before a tag's body, for those who send the body from where it is. `body_len` is at most
/// [`MAX_BODY_LEN`] bytes.
pub fn mux_tag_header(out: &mut BytesMut, tag_type: u8, timestamp: u32, body_len: usize) {
    let [extended, ..] = timestamp.to_be_bytes();
    out.put_u8(tag_type);
    put_u24(out, body_len.min(MAX_BODY_LEN) as u32);
    put_u24(out, timestamp);
    out.put_slice(&[extended, 0, 0, 0]);
}

/// Writes what stands behind a tag's body of `body_len` bytes (`PreviousTagSize`).
pub fn mux_back_pointer(out: &mut BytesMut, body_len: usize) {
    out.put_u32((TAG_HEADER_LEN + body_len.min(MAX_BODY_LEN)) as u32);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 1 << 20;

    fn tag(tag_type: u8, timestamp: u32, body: &[u8]) -> FlvTag {
        FlvTag { tag_type, timestamp, body: Bytes::copy_from_slice(body) }
    }

    fn drain(demuxer: &mut FlvDemuxer, mut input: &[u8]) -> Result<Vec<FlvTag>, FlvError> {
        let mut tags = Vec::new();
        while let Some(tag) = demuxer.demux(&mut input)? {
            tags.push(tag);
        }
        assert!(input.is_empty(), "None says that all input is eaten");
        Ok(tags)
    }

    /// Demuxes `input` whole and in two parts at every place; it must be all the same.
    fn demux_at_every_split(input: &[u8]) -> Vec<FlvTag> {
        let whole = drain(&mut FlvDemuxer::new(LIMIT), input).unwrap();
        for at in 0..=input.len() {
            let mut demuxer = FlvDemuxer::new(LIMIT);
            let mut tags = drain(&mut demuxer, &input[..at]).unwrap();
            tags.extend(drain(&mut demuxer, &input[at..]).unwrap());
            assert_eq!(tags, whole, "split at {at}");
        }
        whole
    }

    fn mux(tags: &[FlvTag]) -> BytesMut {
        let mut out = BytesMut::new();
        mux_file_header(&mut out, true, true);
        for tag in tags {
            mux_tag(&mut out, tag.tag_type, tag.timestamp, &tag.body);
        }
        out
    }

    #[test]
    fn file_headers() {
        let table: [(bool, bool, u8); 4] = [(false, false, 0), (false, true, 1), (true, false, 4), (true, true, 5)];
        for (has_audio, has_video, flags) in table {
            let mut out = BytesMut::new();
            mux_file_header(&mut out, has_audio, has_video);
            assert_eq!(out[..], [b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]);
            assert_eq!(demux_at_every_split(&out), []);
        }
    }

    #[test]
    fn tags() {
        let table: [(&str, FlvTag, &[u8]); 4] = [
            (
                "audio",
                tag(tag_type::AUDIO, 0x01_0203, &[0xAF, 1]),
                &[8, 0, 0, 2, 1, 2, 3, 0, 0, 0, 0, 0xAF, 1, 0, 0, 0, 13],
            ),
            (
                "the extended byte is the highest",
                tag(tag_type::VIDEO, 0xFF01_0203, &[0x17]),
                &[9, 0, 0, 1, 1, 2, 3, 0xFF, 0, 0, 0, 0x17, 0, 0, 0, 12],
            ),
            ("empty", tag(tag_type::SCRIPT, 0, &[]), &[18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11]),
            ("AMF3 script", tag(tag_type::SCRIPT_AMF3, 0, &[0]), &[15, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12]),
        ];
        for (name, tag, bytes) in table {
            let file = mux(std::slice::from_ref(&tag));
            assert_eq!(file[13..], *bytes, "{name}");
            assert_eq!(demux_at_every_split(&file), [tag], "{name}");
        }
    }

    #[test]
    fn what_a_reader_does_not_need_is_not_checked() {
        let mut file = vec![b'F', b'L', b'V', 9, 0xFF, 0, 0, 0, 12, 1, 2, 3];
        file.extend([9, 9, 9, 9]);
        file.extend([0xC8, 0, 0, 1, 0, 0, 5, 0, 1, 2, 3, b'a']);
        file.extend([9, 9, 9, 9]);
        file.extend([0x1F, 0, 0, 1, 0, 0, 6, 0, 0, 0, 0, b'b']);
        file.extend([0, 0, 0, 0]);
        file.extend([0x28, 0, 0, 1, 0, 0, 7, 0, 0, 0, 0, b'c']);
        let expected = [tag(8, 5, b"a"), tag(0x1F, 6, b"b"), tag(0x28, 7, b"c")];
        assert_eq!(demux_at_every_split(&file), expected);
    }

    #[test]
    fn a_file_header_that_says_it_is_shorter_than_it_is() {
        let mut file = mux(&[tag(8, 5, b"a")]);
        file[8] = 0;
        assert_eq!(demux_at_every_split(&file), [tag(8, 5, b"a")]);
    }

    #[test]
    fn a_tag_is_given_before_its_back_pointer_arrives() {
        let file = mux(&[tag(8, 5, b"a")]);
        assert_eq!(demux_at_every_split(&file[..file.len() - 4]), [tag(8, 5, b"a")]);
    }

    #[test]
    fn something_else_than_flv_is_refused() {
        let result = drain(&mut FlvDemuxer::new(LIMIT), b"FLX\x01\x05\0\0\0\x09");
        assert_eq!(result, Err(FlvError::Signature));
    }

    #[test]
    fn limit_max_body_bytes() {
        let at_limit = mux(&[tag(8, 5, &[0; 10])]);
        assert_eq!(drain(&mut FlvDemuxer::new(10), &at_limit).unwrap().len(), 1);
        let over = mux(&[tag(8, 5, &[0; 11])]);
        let error = FlvError::TagTooLong { announced: 11, limit: 10 };
        assert_eq!(drain(&mut FlvDemuxer::new(10), &over), Err(error));
    }

    #[test]
    fn memory_follows_what_arrived_not_what_was_announced() {
        let file = mux(&[tag(9, 0, &vec![7; LIMIT])]);
        let mut demuxer = FlvDemuxer::new(LIMIT);
        drain(&mut demuxer, &file[..1000]).unwrap();
        let State::Body { body, .. } = &demuxer.state else { panic!("inside the body") };
        assert!(body.capacity() <= 1000);
    }

    #[test]
    fn a_body_longer_than_the_size_field_can_say_is_cut() {
        let mut out = BytesMut::new();
        mux_tag(&mut out, 9, 0, &vec![7; MAX_BODY_LEN + 5]);
        assert_eq!(out.len(), TAG_HEADER_LEN + MAX_BODY_LEN + BACK_POINTER_LEN);
        assert_eq!(out[1..4], [255, 255, 255]);
        assert_eq!(out[out.len() - 4..], [1, 0, 0, 10]);
    }

    proptest! {
        #[test]
        fn tags_round_trip(
            tags in prop::collection::vec(
                (0..0x40_u8, any::<u32>(), prop::collection::vec(any::<u8>(), 0..300))
                    .prop_map(|(tag_type, timestamp, body)| tag(tag_type, timestamp, &body)),
                0..8,
            ),
            part_len in 1..200_usize,
        ) {
            let mut demuxer = FlvDemuxer::new(LIMIT);
            let file = mux(&tags);
            let parts = file.chunks(part_len);
            let read: Vec<_> = parts.flat_map(|part| drain(&mut demuxer, part).unwrap()).collect();
            prop_assert_eq!(read, tags);
        }

        #[test]
        fn any_bytes_behind_a_file_header_are_read_without_panic(
            bytes in prop::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..300),
        ) {
            let mut file = mux(&[]);
            file.extend_from_slice(&bytes);
            let _ = drain(&mut FlvDemuxer::new(LIMIT), &file);
        }
    }
}
