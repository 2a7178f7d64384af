//! FLV: files cut anywhere, and heads of tag bodies.

use bytes::{Bytes, BytesMut};
use rtmpd::container::flv::file::{FlvDemuxer, FlvError, FlvTag, mux_file_header, mux_tag};
use rtmpd::container::flv::tag::{TagInfo, audio_info, video_info, with_composition_ms};
use rtmpd::container::flv::unit::units;
use rtmpd::media::{Frame, FrameKind, FrameRole, TrackSet};

use super::script::{Script, pieces};

/// Longest body, low enough for a fuzzer to announce more.
const MAX_BODY_BYTES: usize = 1 << 16;

fn demux<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<FlvTag>, Option<FlvError>) {
    let mut demuxer = FlvDemuxer::new(MAX_BODY_BYTES);
    let mut tags = Vec::new();
    for piece in pieces {
        let mut rest = piece;
        loop {
            match demuxer.demux(&mut rest) {
                Ok(Some(tag)) => tags.push(tag),
                Ok(None) => break,
                Err(error) => return (tags, Some(error)),
            }
        }
        assert!(rest.is_empty(), "bytes that were not eaten");
    }
    (tags, None)
}

/// First byte: how to cut. The rest is a file; whether it begins with a good header is the second byte's choice.
pub fn flv_demux(data: &[u8]) {
    let mut script = Script::new(data);
    let how = script.u8();
    let mut file = BytesMut::new();
    if script.u8() & 1 == 0 {
        mux_file_header(&mut file, true, true);
    }
    file.extend_from_slice(script.rest());
    let whole = demux([&file[..]]);
    assert_eq!(whole, demux(pieces(&file, how)));
    let (tags, _) = whole;

    let mut again = BytesMut::new();
    mux_file_header(&mut again, how & 1 != 0, how & 2 != 0);
    for tag in &tags {
        assert!(tag.body.len() <= MAX_BODY_BYTES);
        mux_tag(&mut again, tag.tag_type, tag.timestamp, &tag.body);
    }
    assert_eq!(demux(pieces(&again, how)), (tags, None));
}

fn frame(kind: FrameKind, info: &TagInfo, payload: &Bytes) -> Frame {
    let TagInfo { role, tracks, composition_ms, .. } = *info;
    Frame { kind, role, tracks, timestamp_ms: 1000, composition_ms, payload: payload.clone() }
}

/// First four bytes: a composition time. The rest is a tag body, read as video and as audio.
pub fn flv_tag(data: &[u8]) {
    let mut script = Script::new(data);
    let wanted_ms = script.u32().cast_signed();
    let body = Bytes::copy_from_slice(script.rest());

    let video = video_info(&body);
    assert!(!video.tracks.is_empty());
    moved(&body, video, wanted_ms);
    parts(&frame(FrameKind::Video, &video, &body));
    let audio = audio_info(&body);
    assert!(!audio.tracks.is_empty());
    assert!(!matches!(audio.role, FrameRole::Delta | FrameRole::Disposable));
    assert_eq!(audio.composition_ms, 0);
    parts(&frame(FrameKind::Audio, &audio, &body));
    let data = TagInfo { role: FrameRole::Passing, tracks: TrackSet::DEFAULT, ..audio };
    assert!(units(&frame(FrameKind::Data, &data, &body)).is_empty());
}

/// Another composition time changes nothing else, and is there where it can be written at all.
fn moved(body: &Bytes, before: TagInfo, wanted_ms: i32) {
    let changed = with_composition_ms(body, wanted_ms);
    let after = video_info(&changed);
    assert_eq!(TagInfo { composition_ms: before.composition_ms, ..after }, before);
    let clamped = wanted_ms.clamp(-0x80_0000, 0x7F_FFFF);
    if changed == body {
        assert_eq!(after, before);
    } else {
        assert_eq!(after.composition_ms, clamped);
        assert!(changed.len() <= body.len() + 3);
    }
    assert_eq!(with_composition_ms(&changed, wanted_ms), changed, "done twice");
    let inside = |info: &TagInfo, body: &Bytes| -> Vec<(u8, Bytes, bool, bool)> {
        let units = units(&frame(FrameKind::Video, info, body));
        units.into_iter().map(|unit| (unit.track, unit.data, unit.is_header, unit.is_key)).collect()
    };
    assert_eq!(inside(&before, body), inside(&after, &changed), "the codec's own bytes");
}

/// Units lie in the body, one behind the other, and only where there is something to decode.
fn parts(frame: &Frame) {
    let found = units(frame);
    let mut end = frame.payload.as_ptr().addr();
    let last = end + frame.payload.len();
    for unit in &found {
        if !unit.data.is_empty() {
            let start = unit.data.as_ptr().addr();
            assert!(end <= start && start + unit.data.len() <= last, "{unit:?} of {frame:?}");
            end = start + unit.data.len();
        }
        assert!(frame.tracks.contains(unit.track));
        assert_eq!(unit.is_key, frame.role == FrameRole::Key);
        assert_eq!(unit.is_header, matches!(frame.role, FrameRole::Header(_)));
    }
    if matches!(frame.role, FrameRole::Passing | FrameRole::Metadata) {
        assert!(found.is_empty());
    }
}
