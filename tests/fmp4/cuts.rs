//! A clip as frames, and the ways in which a server cuts them.

use std::path::Path;

use bytes::Bytes;
use rtmpd::container::flv::file::{FlvDemuxer, tag_type};
use rtmpd::container::flv::tag;
use rtmpd::container::fmp4::Muxer;
use rtmpd::media::{Frame, FrameKind};

/// When a fragment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Before each key frame.
    Gop,
    /// Behind each frame, when it is not known when the next one comes.
    Frame,
    /// As soon as it is 300 ms long, and before each key frame.
    Part,
    /// Like `Part`, for one who joins in the middle of the last group of pictures.
    Joined,
}

/// All of them.
pub const CUTS: [Cut; 4] = [Cut::Gop, Cut::Frame, Cut::Part, Cut::Joined];

const PART_MS: u64 = 300;

/// Reads the audio and video of an FLV file.
pub fn frames(flv: &Path) -> Vec<Frame> {
    let file = std::fs::read(flv).unwrap();
    let mut input = &file[..];
    let mut demuxer = FlvDemuxer::new(usize::MAX);
    let mut frames = Vec::new();
    while let Some(tag) = demuxer.demux(&mut input).unwrap() {
        let (kind, info) = match tag.tag_type {
            tag_type::VIDEO => (FrameKind::Video, tag::video_info(&tag.body)),
            tag_type::AUDIO => (FrameKind::Audio, tag::audio_info(&tag.body)),
            _ => continue,
        };
        frames.push(Frame {
            kind,
            role: info.role,
            tracks: info.tracks,
            timestamp_ms: u64::from(tag.timestamp),
            composition_ms: info.composition_ms,
            payload: tag.body,
        });
    }
    frames
}

/// Index of the first frame of which `Cut::Joined` has the bytes: the last key frame, or one second before the end.
pub fn joined_from(frames: &[Frame]) -> usize {
    let last_key = frames.iter().rposition(Frame::is_video_key);
    let late = frames.last().map_or(0, |last| last.timestamp_ms.saturating_sub(1000));
    last_key.unwrap_or_else(|| frames.iter().position(|frame| frame.timestamp_ms >= late && frame.is_coded()).unwrap())
}

/// The whole file that someone who plays live gets.
pub fn mux(frames: &[Frame], cut: Cut) -> Vec<u8> {
    let mut muxer = Muxer::new();
    let mut fragments: Vec<(usize, Bytes)> = Vec::new();
    let has_video = frames.iter().any(|frame| frame.kind == FrameKind::Video);
    let main = if has_video { FrameKind::Video } else { FrameKind::Audio };
    for (index, frame) in frames.iter().enumerate() {
        let is_next = frame.kind == main && frame.is_coded();
        let is_due = match cut {
            Cut::Frame => false,
            Cut::Gop => frame.is_video_key() || (!has_video && muxer.pending_ms() >= 1000),
            Cut::Part | Cut::Joined => frame.is_video_key() || muxer.pending_ms() >= PART_MS,
        };
        if muxer.changes_tracks(frame) || (is_next && is_due) {
            let next_ms = is_next.then_some(frame.timestamp_ms);
            fragments.extend(muxer.cut(next_ms).map(|fragment| (index, fragment.bytes)));
        }
        muxer.push(frame);
        if cut == Cut::Frame {
            fragments.extend(muxer.cut(None).map(|fragment| (index + 1, fragment.bytes)));
        }
    }
    fragments.extend(muxer.cut(None).map(|fragment| (frames.len(), fragment.bytes)));
    let mut file = Vec::new();
    match cut {
        Cut::Joined => {
            // Fragments end before the frame with their number: the one who joins gets all up to a cut.
            let from = joined_from(frames);
            let joins_at = fragments.iter().map(|(end, _)| *end).find(|&end| end > from).unwrap();
            file.extend_from_slice(&muxer.joined(&frames[from..joins_at]));
            fragments.retain(|(end, _)| *end > joins_at);
        }
        _ => file.extend_from_slice(&muxer.init_segment().unwrap()),
    }
    for (_, bytes) in fragments {
        file.extend_from_slice(&bytes);
    }
    file
}
