//! The head of a recorded FLV file: the file header and an `onMetaData` tag (Video File Format 10.1, E.5) with room for
//! what is known only at the end.
//!
//! Owns: that tag's layout, so that duration, size and index can be written over it without moving a byte. Does not
//! know when that is done.
//!
//! Behind the name stand, in this order: `rtmpdFinished` (so that a file whose end was never written is known),
//! `rtmpdRoom` (entries for which there is room), `duration` in seconds, `filesize` in bytes, `keyframes` with `times`
//! and `filepositions` (called `noEntries` where there are fewer than two), `reserved` (zeros where entries could
//! stand), then what the publisher said. All of the first six together are the front: its length depends on the room
//! only.

use bytes::{BufMut, Bytes, BytesMut};

use super::file::{BACK_POINTER_LEN, TAG_HEADER_LEN, mux_back_pointer, mux_file_header, mux_tag_header, tag_type};
use super::summary::{INDEX_ENTRIES, Summary};
use crate::wire::{Incomplete, Reader};

/// Bytes before the first tag.
const FILE_HEAD_LEN: usize = 13;
/// AMF0 type markers (AMF 0 specification, 2.1).
const NUMBER: u8 = 0;
const BOOLEAN: u8 = 1;
const STRING: u8 = 2;
const OBJECT: u8 = 3;
const NULL: u8 = 5;
const UNDEFINED: u8 = 6;
const ECMA_ARRAY: u8 = 8;
const STRICT_ARRAY: u8 = 10;
const DATE: u8 = 11;
const LONG_STRING: u8 = 12;

const EVENT: &[u8] = b"onMetaData";
const FINISHED: &str = "rtmpdFinished";
/// Members of the front.
const FRONT_MEMBERS: u32 = 6;
/// What ends the members of an object.
const MEMBERS_END: [u8; 3] = [0, 0, 9];
/// Bytes of one number in an array.
const NUMBER_LEN: usize = 9;

/// Offset of the byte that says whether a file is finished.
const FINISHED_AT: usize = FILE_HEAD_LEN + TAG_HEADER_LEN + 1 + 2 + EVENT.len() + 1 + 4 + 2 + FINISHED.len() + 1;

/// Members that are taken over from a publisher's metadata.
const MAX_CARRIED: u32 = 64;
/// Bytes of all of them together.
const MAX_CARRIED_BYTES: usize = 8 * 1024;
/// Longest text of one of them.
const MAX_CARRIED_TEXT: usize = 512;
/// What is ours to say, or was true only of what the publisher's metadata came from.
const NOT_CARRIED: [&str; 11] = [
    "duration",
    "filesize",
    "fileSize",
    "keyframes",
    "reserved",
    "lasttimestamp",
    "lastkeyframetimestamp",
    "lastkeyframelocation",
    "datasize",
    "rtmpdFinished",
    "rtmpdRoom",
];

/// The head of one file.
#[derive(Debug, Clone)]
pub struct Head {
    layout: Layout,
    /// What the publisher said, as AMF0 members.
    carried: Bytes,
}

/// All that the front's bytes depend on, except for what is known only at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// Entries for which there is room.
    room: usize,
    /// Bytes of the tag's body.
    body_len: usize,
    /// Members of the array.
    members: u32,
}

impl Head {
    /// `metadata`: AMF0 values of the publisher's `onMetaData`, whose numbers, booleans and short texts are taken over.
    pub fn new(metadata: &[u8]) -> Self {
        let (carried, count) = carried_members(metadata);
        let front_len = front_body_len(INDEX_ENTRIES);
        let body_len = front_len + carried.len() + MEMBERS_END.len();
        Head { layout: Layout { room: INDEX_ENTRIES, body_len, members: FRONT_MEMBERS + count }, carried }
    }

    /// What an unfinished file begins with. Tags may follow.
    pub fn encode(&self, has_audio: bool, has_video: bool) -> Bytes {
        let mut out = BytesMut::with_capacity(self.layout.head_len());
        self.layout.put_front(&mut out, (has_audio, has_video), &Summary::default(), 0);
        out.put_slice(&self.carried);
        out.put_slice(&MEMBERS_END);
        mux_back_pointer(&mut out, self.layout.body_len);
        out.freeze()
    }

    /// What has to be written over a file of `file_bytes` bytes, and where, to finish it: in this order, so that a file
    /// that says it is finished is.
    pub fn finish(&self, summary: &Summary, file_bytes: u64) -> [(u64, Bytes); 2] {
        self.layout.finish(summary, file_bytes)
    }
}

impl Layout {
    /// Bytes before the first tag of the publisher.
    pub(super) fn head_len(self) -> usize {
        FILE_HEAD_LEN + TAG_HEADER_LEN + self.body_len + BACK_POINTER_LEN
    }

    /// Bytes of the tag's body.
    pub(super) fn body_len(self) -> usize {
        self.body_len
    }

    /// See [`Head::finish`].
    pub(super) fn finish(self, summary: &Summary, file_bytes: u64) -> [(u64, Bytes); 2] {
        let mut front = BytesMut::new();
        let extent = summary.extent();
        self.put_front(&mut front, (extent.has_audio(), extent.has_video()), summary, file_bytes);
        [(0, front.freeze()), (FINISHED_AT as u64, Bytes::from_static(&[1]))]
    }

    fn put_front(self, out: &mut BytesMut, (audio, video): (bool, bool), summary: &Summary, file_bytes: u64) {
        mux_file_header(out, audio, video);
        mux_tag_header(out, tag_type::SCRIPT, 0, self.body_len);
        out.put_u8(STRING);
        out.put_u16(EVENT.len() as u16);
        out.put_slice(EVENT);
        out.put_u8(ECMA_ARRAY);
        out.put_u32(self.members);
        put_name(out, FINISHED);
        out.put_slice(&[BOOLEAN, 0]);
        put_name(out, "rtmpdRoom");
        put_number(out, self.room as f64);
        put_name(out, "duration");
        put_number(out, seconds(summary.extent().duration_ms()));
        put_name(out, "filesize");
        put_number(out, file_bytes as f64);
        let entries = summary.key_frames().get(..self.room).unwrap_or(summary.key_frames());
        // The same length: an index of fewer entries is of no use, and ffmpeg complains of it.
        put_name(out, if entries.len() < 2 { "noEntries" } else { "keyframes" });
        out.put_u8(OBJECT);
        put_numbers(out, "times", entries.iter().map(|entry| seconds(entry.time_ms)));
        put_numbers(out, "filepositions", entries.iter().map(|entry| entry.offset as f64));
        out.put_slice(&MEMBERS_END);
        let unused = 2 * self.room.saturating_sub(entries.len());
        put_numbers(out, "reserved", std::iter::repeat_n(0.0, unused));
    }
}

/// What the beginning of a file says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    /// This is no recording of ours.
    Foreign,
    /// Its end was written.
    Finished,
    /// Its end was never written.
    Unfinished(Layout),
}

/// Bytes that [`read_beginning`] wants to see.
pub(super) const BEGINNING_LEN: usize = FINISHED_AT + 1 + 2 + 9 + NUMBER_LEN;

/// Reads the first [`BEGINNING_LEN`] bytes of a file.
pub(super) fn read_beginning(bytes: &[u8]) -> Beginning {
    read_ours(bytes).unwrap_or(Beginning::Foreign)
}

fn read_ours(bytes: &[u8]) -> Result<Beginning, Incomplete> {
    let mut reader = Reader::new(bytes);
    let file_header = reader.bytes(FILE_HEAD_LEN)?;
    let tag = reader.u8()?;
    let body_len = reader.u24()? as usize;
    reader.skip(TAG_HEADER_LEN - 4)?;
    let is_string = reader.u8()? == STRING && usize::from(reader.u16()?) == EVENT.len();
    let event = reader.bytes(EVENT.len())?;
    let is_array = reader.u8()? == ECMA_ARRAY;
    let members = reader.u32()?;
    let name_is_ours = read_name(&mut reader)? == FINISHED.as_bytes() && reader.u8()? == BOOLEAN;
    let finished = reader.u8()? != 0;
    let room_is_told = read_name(&mut reader)? == b"rtmpdRoom" && reader.u8()? == NUMBER;
    let room = reader.f64()?;
    let is_ours = file_header.starts_with(b"FLV") && tag == tag_type::SCRIPT && is_string && event == EVENT;
    if !(is_ours && is_array && name_is_ours && room_is_told) || room != INDEX_ENTRIES as f64 {
        return Ok(Beginning::Foreign);
    }
    if finished {
        return Ok(Beginning::Finished);
    }
    let front_len = front_body_len(INDEX_ENTRIES);
    let longest = front_len + MAX_CARRIED_BYTES + MEMBERS_END.len();
    if !(front_len + MEMBERS_END.len()..=longest).contains(&body_len) {
        return Ok(Beginning::Foreign);
    }
    Ok(Beginning::Unfinished(Layout { room: INDEX_ENTRIES, body_len, members }))
}

/// Bytes of the front that stand in the tag's body.
fn front_body_len(room: usize) -> usize {
    let mut out = BytesMut::new();
    let layout = Layout { room: 0, body_len: 0, members: 0 };
    layout.put_front(&mut out, (false, false), &Summary::default(), 0);
    out.len() - FILE_HEAD_LEN - TAG_HEADER_LEN + 2 * room * NUMBER_LEN
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

fn put_name(out: &mut BytesMut, name: &str) {
    out.put_u16(name.len() as u16);
    out.put_slice(name.as_bytes());
}

fn put_number(out: &mut BytesMut, number: f64) {
    out.put_u8(NUMBER);
    out.put_f64(number);
}

fn put_numbers(out: &mut BytesMut, name: &str, numbers: impl ExactSizeIterator<Item = f64>) {
    put_name(out, name);
    out.put_u8(STRICT_ARRAY);
    out.put_u32(numbers.len() as u32);
    numbers.for_each(|number| put_number(out, number));
}

fn read_name<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Incomplete> {
    let len = usize::from(reader.u16()?);
    reader.bytes(len)
}

/// Numbers, booleans and short texts among the members of a publisher's metadata, as they stand there, and how many.
/// Reading ends at the first thing that is not understood.
fn carried_members(metadata: &[u8]) -> (Bytes, u32) {
    let mut out = BytesMut::new();
    let mut count = 0;
    let mut reader = Reader::new(metadata);
    let _ = carry_members(&mut reader, &mut out, &mut count);
    (out.freeze(), count)
}

/// `Incomplete` only ends the reading.
fn carry_members(reader: &mut Reader<'_>, out: &mut BytesMut, count: &mut u32) -> Result<(), Incomplete> {
    if reader.u8()? != STRING || read_name(reader)? != EVENT {
        return Ok(());
    }
    match reader.u8()? {
        OBJECT => {}
        ECMA_ARRAY => reader.skip(4)?,
        _ => return Ok(()),
    }
    while *count < MAX_CARRIED {
        let member = reader.rest();
        let name = read_name(reader)?;
        let marker = reader.peek_u8()?;
        let Some(len) = simple_len(reader.rest())? else { return Ok(()) };
        reader.skip(len)?;
        let whole = member.get(..2 + name.len() + len).unwrap_or_default();
        let is_ours = NOT_CARRIED.iter().any(|ours| ours.as_bytes() == name);
        let is_useful = matches!(marker, NUMBER | BOOLEAN | STRING) && len <= MAX_CARRIED_TEXT;
        if is_useful && !is_ours && !name.is_empty() && out.len() + whole.len() <= MAX_CARRIED_BYTES {
            out.put_slice(whole);
            *count += 1;
        }
    }
    Ok(())
}

/// Bytes of a value that holds no others; `None` where it may hold some.
fn simple_len(value: &[u8]) -> Result<Option<usize>, Incomplete> {
    let mut reader = Reader::new(value);
    Ok(match reader.u8()? {
        NUMBER => Some(NUMBER_LEN),
        BOOLEAN => Some(2),
        STRING => Some(3 + usize::from(reader.u16()?)),
        NULL | UNDEFINED => Some(1),
        DATE => Some(11),
        LONG_STRING => Some(5 + reader.u32()? as usize),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{FrameKind, FrameRole};

    fn metadata(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = b"\x02\0\x0AonMetaData\x08\0\0\0\x09".to_vec();
        for (name, value) in members {
            bytes.extend_from_slice(&(name.len() as u16).to_be_bytes());
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(value);
        }
        bytes.extend_from_slice(&MEMBERS_END);
        bytes
    }

    fn names(head: &Head) -> Vec<String> {
        let mut reader = Reader::new(&head.carried);
        let mut names = Vec::new();
        while let Ok(name) = read_name(&mut reader) {
            names.push(String::from_utf8(name.to_vec()).unwrap());
            let len = simple_len(reader.rest()).unwrap().unwrap();
            reader.skip(len).unwrap();
        }
        assert_eq!(head.layout.members, FRONT_MEMBERS + names.len() as u32);
        names
    }

    #[test]
    fn what_the_publisher_says_of_its_codecs_is_taken_over() {
        let width = [&[NUMBER][..], &1280_f64.to_be_bytes()].concat();
        let long = [&[STRING, 2, 0][..], &[b'x'; 512]].concat();
        let table: [(&str, Vec<u8>, &[&str]); 8] = [
            ("nothing", Vec::new(), &[]),
            ("another event", b"\x02\0\x02on\x08\0\0\0\0".to_vec(), &[]),
            (
                "simple values",
                metadata(&[("width", &width), ("stereo", b"\x01\x01"), ("encoder", b"\x02\0\x03obs")]),
                &["width", "stereo", "encoder"],
            ),
            ("ours", metadata(&[("duration", &width), ("filesize", &width), ("height", &width)]), &["height"]),
            ("null and date", metadata(&[("a", b"\x05"), ("b", &[11; 11]), ("c", b"\x01\0")]), &["c"]),
            ("long text", metadata(&[("long", &long), ("c", b"\x01\0")]), &["c"]),
            ("up to an object", metadata(&[("a", b"\x01\0"), ("o", b"\x03\0\0\x09"), ("c", b"\x01\0")]), &["a"]),
            ("cut off", metadata(&[("a", b"\x01\0"), ("width", &width[..5])])[..34].to_vec(), &["a"]),
        ];
        for (name, bytes, expected) in table {
            assert_eq!(names(&Head::new(&bytes)), expected, "{name}");
        }
    }

    #[test]
    fn metadata_without_end_stay_within_the_limits() {
        let text = [&[STRING, 1, 0][..], &[b'x'; 256]].concat();
        let many: Vec<(&str, &[u8])> = vec![("text", &text[..]); 1_000];
        let head = Head::new(&metadata(&many));
        assert!(head.carried.len() <= MAX_CARRIED_BYTES);
        let many: Vec<(&str, &[u8])> = vec![("a", &b"\x01\0"[..]); 1_000];
        assert_eq!(names(&Head::new(&metadata(&many))).len(), MAX_CARRIED as usize);
        let head = Head::new(&metadata(&many));
        assert!(matches!(read_beginning(&head.encode(true, true)), Beginning::Unfinished(_)));
    }

    #[test]
    fn finishing_moves_no_byte() {
        let head = Head::new(&metadata(&[("a", b"\x01\x01")]));
        let begun = head.encode(true, true);
        assert_eq!(begun.len(), head.layout.head_len());
        for count in [0, 1, INDEX_ENTRIES, INDEX_ENTRIES + 1] {
            let mut summary = Summary::default();
            for number in 0..count as u64 {
                summary.note(FrameKind::Video, FrameRole::Key, number, number);
            }
            let [(0, front), (at, mark)] = head.finish(&summary, 7) else { panic!("the front is at 0") };
            let mut whole = begun.to_vec();
            whole[..front.len()].copy_from_slice(&front);
            assert!(matches!(read_beginning(&whole), Beginning::Unfinished(layout) if layout == head.layout));
            whole[at as usize] = mark[0];
            assert_eq!(read_beginning(&whole), Beginning::Finished);
            assert_eq!(front.len() + head.carried.len() + 3 + 4, whole.len());
        }
    }

    #[test]
    fn other_files_are_foreign() {
        let ours = Head::new(&[]).encode(true, true);
        for cut in 0..BEGINNING_LEN {
            assert_eq!(read_beginning(&ours[..cut]), Beginning::Foreign, "{cut}");
        }
        // The body length, or the room, of no file that we wrote.
        for (at, value) in [(14, 0xFF), (BEGINNING_LEN - 8, 0x41)] {
            let mut other = ours.to_vec();
            other[at] = value;
            assert_eq!(read_beginning(&other), Beginning::Foreign);
        }
        assert_eq!(read_beginning(&[0; BEGINNING_LEN]), Beginning::Foreign);
    }
}
