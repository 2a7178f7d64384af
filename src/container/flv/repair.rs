//! Recorded FLV files whose end was never written.
//!
//! Owns: finding the last whole tag, and what has to be written so that such a file is like one that ended well. Does
//! not know files: it is fed with bytes, and says what to do.

use bytes::Bytes;

use super::file::{BACK_POINTER_LEN, TAG_HEADER_LEN, tag_type};
use super::recording::{BEGINNING_LEN, Beginning, Head, Layout, read_beginning};
use super::summary::Summary;
use super::tag;
use crate::media::{FrameKind, FrameRole};
use crate::wire::{Incomplete, Reader};

/// Bytes of a tag's body that say what is in it.
const LOOKED_AT: usize = 64;

/// What has to be done to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// Bytes that stay.
    pub truncate_to: u64,
    /// What is written, and where, in this order.
    pub writes: Vec<(u64, Bytes)>,
    /// Duration of what stays, in milliseconds.
    pub duration_ms: u64,
}

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// No recording of ours, or too little of one to know.
    Foreign,
    /// A recording that ended well.
    Finished,
    /// A recording that did not.
    Unfinished(Repair),
}

#[derive(Debug, Clone, Copy)]
struct Tag {
    kind: FrameKind,
    role: FrameRole,
    time_ms: u32,
    body_len: usize,
    offset: u64,
}

#[derive(Debug)]
enum Step {
    Beginning,
    Header,
    Body(Tag),
    BackPointer(Tag),
    /// Nothing behind this counts.
    Over,
}

/// Reads a file from its first byte on.
#[derive(Debug)]
pub struct Scanner {
    step: Step,
    /// Bytes that the next step wants, as far as they have come.
    gathered: Vec<u8>,
    wanted: usize,
    /// Bytes that nobody wants.
    skip: u64,
    position: u64,
    whole_until: u64,
    verdict: Option<Verdict>,
    layout: Option<Layout>,
    summary: Summary,
}

impl Default for Scanner {
    fn default() -> Self {
        Scanner::new()
    }
}

impl Scanner {
    /// Starts at the first byte of a file.
    pub fn new() -> Self {
        Scanner {
            step: Step::Beginning,
            gathered: Vec::with_capacity(BEGINNING_LEN),
            wanted: BEGINNING_LEN,
            skip: 0,
            position: 0,
            whole_until: 0,
            verdict: None,
            layout: None,
            summary: Summary::default(),
        }
    }

    /// Takes the next bytes of the file. `false`: enough is known, the rest need not be read.
    pub fn push(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() && !matches!(self.step, Step::Over) {
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
            self.skip -= skipped as u64;
            let missing = if self.skip > 0 { 0 } else { self.wanted.saturating_sub(self.gathered.len()) };
            let (_, rest) = bytes.split_at(skipped);
            let (taken, rest) = rest.split_at(missing.min(rest.len()));
            self.gathered.extend_from_slice(taken);
            self.position += (skipped + taken.len()) as u64;
            bytes = rest;
            if self.skip == 0 && self.gathered.len() >= self.wanted {
                self.take_step();
            }
        }
        !matches!(self.step, Step::Over)
    }

    /// The file ends here.
    pub fn finish(self) -> Verdict {
        if let Some(verdict) = self.verdict {
            return verdict;
        }
        let Some(layout) = self.layout else { return Verdict::Foreign };
        if self.whole_until == 0 {
            return Verdict::Unfinished(empty_file());
        }
        let writes = layout.finish(&self.summary, self.whole_until).to_vec();
        let duration_ms = self.summary.extent().duration_ms();
        Verdict::Unfinished(Repair { truncate_to: self.whole_until, writes, duration_ms })
    }

    fn take_step(&mut self) {
        let gathered = std::mem::take(&mut self.gathered);
        match std::mem::replace(&mut self.step, Step::Over) {
            Step::Beginning => self.begin(&gathered),
            Step::Header => self.read_header(&gathered),
            Step::Body(tag) => self.read_body(tag, &gathered),
            Step::BackPointer(tag) => self.read_back_pointer(tag, &gathered),
            Step::Over => {}
        }
        self.gathered = gathered;
        self.gathered.clear();
    }

    fn expect(&mut self, step: Step, wanted: usize) {
        self.step = step;
        self.wanted = wanted;
    }

    fn begin(&mut self, bytes: &[u8]) {
        match read_beginning(bytes) {
            Beginning::Foreign => self.verdict = Some(Verdict::Foreign),
            Beginning::Finished => self.verdict = Some(Verdict::Finished),
            Beginning::Unfinished(layout) => {
                self.layout = Some(layout);
                let (kind, role) = (FrameKind::Data, FrameRole::Metadata);
                let tag = Tag { kind, role, time_ms: 0, body_len: layout.body_len(), offset: 0 };
                self.skip = (layout.head_len() - BACK_POINTER_LEN - BEGINNING_LEN) as u64;
                self.expect(Step::BackPointer(tag), BACK_POINTER_LEN);
            }
        }
    }

    fn read_header(&mut self, bytes: &[u8]) {
        let offset = self.whole_until;
        // Anything that we do not write is the end: a system that lost its power may leave zeros behind.
        let Some(tag) = read_tag_header(bytes, offset) else { return };
        self.expect(Step::Body(tag), tag.body_len.min(LOOKED_AT));
        if self.wanted == 0 {
            self.expect(Step::BackPointer(tag), BACK_POINTER_LEN);
        }
    }

    fn read_body(&mut self, tag: Tag, bytes: &[u8]) {
        let role = match tag.kind {
            FrameKind::Audio => tag::audio_info(bytes).role,
            FrameKind::Video => tag::video_info(bytes).role,
            FrameKind::Data => FrameRole::Passing,
        };
        let tag = Tag { role, ..tag };
        self.skip = tag.body_len.saturating_sub(bytes.len()) as u64;
        self.expect(Step::BackPointer(tag), BACK_POINTER_LEN);
    }

    fn read_back_pointer(&mut self, tag: Tag, bytes: &[u8]) {
        if Reader::new(bytes).u32() != Ok((TAG_HEADER_LEN + tag.body_len) as u32) {
            return;
        }
        self.summary.note(tag.kind, tag.role, u64::from(tag.time_ms), tag.offset);
        self.whole_until = self.position;
        self.expect(Step::Header, TAG_HEADER_LEN);
    }
}

fn read_tag_header(bytes: &[u8], offset: u64) -> Option<Tag> {
    let mut reader = Reader::new(bytes);
    let mut read =
        || -> Result<(u8, u32, u32, u8), Incomplete> { Ok((reader.u8()?, reader.u24()?, reader.u24()?, reader.u8()?)) };
    let (kind, body_len, low, high) = read().ok()?;
    let kind = match kind {
        tag_type::AUDIO => FrameKind::Audio,
        tag_type::VIDEO => FrameKind::Video,
        tag_type::SCRIPT => FrameKind::Data,
        _ => return None,
    };
    let time_ms = u32::from(high) << 24 | low;
    Some(Tag { kind, role: FrameRole::Passing, time_ms, body_len: body_len as usize, offset })
}

/// Not even the head is whole: a file without a frame takes its place.
fn empty_file() -> Repair {
    let head = Head::new(&[]);
    let bytes = head.encode(false, false);
    let mut writes = vec![(0, bytes.clone())];
    writes.extend(head.finish(&Summary::default(), bytes.len() as u64));
    Repair { truncate_to: 0, writes, duration_ms: 0 }
}
