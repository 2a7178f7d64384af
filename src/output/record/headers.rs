//! What every file of a recording has to begin with.
//!
//! Owns: the latest metadata and decoder configuration of each track, in bounded memory. Does not know how they are
//! written.

use crate::media::{Frame, FrameKind, FrameRole};

/// Headers of all tracks.
const MAX_HEADERS: usize = 64;
/// Longest of them that is kept, in bytes.
const MAX_HEADER_BYTES: usize = 256 * 1024;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// What was known already.
    Nothing,
    /// The first of its track.
    First,
    /// Other than before: what follows cannot be decoded with what a file began with.
    Changed,
}

/// The latest of each.
#[derive(Debug, Default)]
pub(super) struct Headers {
    metadata: Option<Frame>,
    frames: Vec<Frame>,
}

impl Headers {
    /// Keeps `frame` where it is a header or metadata.
    pub(super) fn note(&mut self, frame: &Frame) -> News {
        if frame.payload.len() > MAX_HEADER_BYTES {
            return News::Nothing;
        }
        match frame.role {
            FrameRole::Metadata => {
                self.metadata = Some(frame.clone());
                return News::Nothing;
            }
            FrameRole::Header(_) => {}
            _ => return News::Nothing,
        }
        let is_full = self.frames.len() >= MAX_HEADERS;
        match self.frames.iter_mut().find(|other| is_same_kind(other, frame)) {
            Some(known) if known.payload == frame.payload => News::Nothing,
            Some(known) => {
                *known = frame.clone();
                News::Changed
            }
            None if is_full => News::Nothing,
            None => {
                self.frames.push(frame.clone());
                News::First
            }
        }
    }

    /// Whether `frame` is a header other than the one of its track that is known.
    pub(super) fn differs(&self, frame: &Frame) -> bool {
        let known = self.frames.iter().find(|other| is_same_kind(other, frame));
        known.is_some_and(|known| known.payload != frame.payload)
    }

    /// AMF0 values of the publisher's metadata; nothing where there are none.
    pub(super) fn metadata(&self) -> &[u8] {
        self.metadata.as_ref().map_or(&[], |frame| &frame.payload)
    }

    /// Headers, video first.
    pub(super) fn frames(&self) -> impl Iterator<Item = &Frame> {
        let of = |kind: FrameKind| self.frames.iter().filter(move |frame| frame.kind == kind);
        of(FrameKind::Video).chain(of(FrameKind::Audio))
    }

    /// Whether video was announced.
    pub(super) fn has_video(&self) -> bool {
        self.frames.iter().any(|frame| frame.kind == FrameKind::Video)
    }
}

fn is_same_kind(one: &Frame, other: &Frame) -> bool {
    one.kind == other.kind && one.role == other.role && one.tracks == other.tracks
}
