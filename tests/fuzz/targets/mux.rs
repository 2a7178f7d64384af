//! Containers that are written: whatever a publisher sent, the packets and boxes are whole.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use rtmpd::container::es::{Adts, AnnexB};
use rtmpd::container::flv::tag::{audio_info, video_info};
use rtmpd::container::{fmp4, mpegts};
use rtmpd::media::{Frame, FrameKind};

use super::script::Script;

/// What a frame costs in any container beyond its bytes: tables, heads, stuffing.
const FRAME_COST: usize = 2048;
/// Parameter sets of a sequence header, which come again with each key frame.
const HEADER_BYTES: usize = 8 * 1024;
/// Longest name of a codec's track.
const CODECS_LEN: usize = 256;
/// Most boxes inside each other.
const BOX_DEPTH: usize = 12;

/// What to do next with the frame that comes with it.
struct Step {
    flags: u8,
    frame: Frame,
}

/// Steps of a script: flags with the kind of frame, how time goes on, the length of the body, and the body. The role
/// is what the body says, as in the server.
fn step(script: &mut Script<'_>, clock_ms: &mut u64) -> Step {
    let flags = script.u8();
    let passed = script.u8();
    *clock_ms = match passed {
        255 => clock_ms.saturating_add(5_000_000_000),
        254 => clock_ms.saturating_sub(3_000),
        _ => clock_ms.saturating_add(u64::from(passed)),
    };
    let len = usize::from(script.u8());
    let len = if flags & 0x80 == 0 { len } else { len * 40 };
    let mut body = script.bytes(len).to_vec();
    // The fuzzer need not send long frames to have them.
    if flags & 0x80 != 0 && body.len() < len {
        body.resize(len, 0xA5);
    }
    let payload = Bytes::from(body);
    let (kind, info) = match flags & 1 {
        0 => (FrameKind::Video, video_info(&payload)),
        _ => (FrameKind::Audio, audio_info(&payload)),
    };
    let (role, tracks, composition_ms) = (info.role, info.tracks, info.composition_ms);
    Step { flags, frame: Frame { kind, role, tracks, timestamp_ms: *clock_ms, composition_ms, payload } }
}

/// How many bytes a container may write for a frame: sequence headers come again before key frames, and start codes
/// may be longer than the lengths that they stand for.
fn most_bytes(frame: &Frame, headers: usize) -> usize {
    FRAME_COST + 6 * (frame.payload.len() + headers.min(HEADER_BYTES))
}

/// Packets of a transport stream, and elementary streams.
pub fn ts_mux(data: &[u8]) {
    let mut script = Script::new(data);
    let mut clock_ms = 1000;
    let mut muxer = mpegts::Muxer::new();
    let (mut annex_b, mut adts) = (AnnexB::new(), Adts::new());
    let mut counters = BTreeMap::new();
    let mut group: Vec<Frame> = Vec::new();
    let mut headers = 0;
    while !script.is_empty() {
        let Step { flags, frame } = step(&mut script, &mut clock_ms);
        match flags >> 1 & 7 {
            1 => muxer.begin(),
            2 => muxer.discontinuity(),
            3 => joined(&muxer, &group, &counters),
            _ => {}
        }
        if !frame.is_coded() {
            headers = headers.max(frame.payload.len());
        }
        let most = most_bytes(&frame, headers);
        let mut out = BytesMut::new();
        muxer.push(&frame, &mut out);
        assert!(out.len() <= most, "{} bytes for {frame:?}", out.len());
        packets(&out, &mut counters);

        let mut es = BytesMut::new();
        annex_b.push(&frame, &mut es);
        adts.push(&frame, &mut es);
        assert!(es.len() <= most, "{} bytes for {frame:?}", es.len());
        let _ = annex_b.codec();
        if frame.is_video_key() || group.len() > 20 {
            group.clear();
        }
        group.push(frame);
    }
}

/// What one who joins gets ends where the muxer goes on.
fn joined(muxer: &mpegts::Muxer, group: &[Frame], counters: &BTreeMap<u16, u8>) {
    let mut out = BytesMut::from(&[0xEE; 3][..]);
    muxer.joined(group, &mut out);
    let out = out.split_off(3);
    let mut own = BTreeMap::new();
    packets(&out, &mut own);
    for (pid, counter) in &own {
        assert!(counters.get(pid).is_none_or(|before| before == counter), "pid {pid:#x} goes on with a gap");
    }
}

/// Packets are whole, and their counters go on.
fn packets(out: &[u8], counters: &mut BTreeMap<u16, u8>) {
    assert_eq!(out.len() % mpegts::PACKET_LEN, 0);
    for packet in out.chunks(mpegts::PACKET_LEN) {
        let [sync, high, low, flags, ..] = *packet else { panic!("a short packet") };
        assert_eq!(sync, 0x47);
        let pid = u16::from(high & 0x1F) << 8 | u16::from(low);
        let has_payload = flags & 0x10 != 0;
        if flags & 0x20 != 0 {
            let len = usize::from(packet[4]);
            assert!(if has_payload { len <= 182 } else { len == 183 }, "adaptation field of {len} bytes");
        }
        if has_payload {
            let before = counters.insert(pid, flags & 0x0F);
            assert!(before.is_none_or(|before| (before + 1) % 16 == flags & 0x0F), "a gap on pid {pid:#x}");
        }
    }
}

/// Init segments and fragments.
pub fn fmp4_mux(data: &[u8]) {
    let mut script = Script::new(data);
    let mut clock_ms = 1000;
    let mut muxer = fmp4::Muxer::new();
    let mut group: Vec<Frame> = Vec::new();
    let (mut pending, mut headers) = (0, 0);
    while !script.is_empty() {
        let Step { flags, frame } = step(&mut script, &mut clock_ms);
        let changes = muxer.changes_tracks(&frame);
        if changes || flags >> 1 & 7 == 1 {
            cut(&mut muxer, (flags & 16 == 0).then_some(clock_ms), pending);
            pending = 0;
        }
        if flags >> 1 & 7 == 2 {
            let bytes = muxer.joined(&group);
            let most: usize = group.iter().map(|frame| most_bytes(frame, headers)).sum();
            assert!(bytes.len() <= most + 2 * FRAME_COST + 4 * headers);
            boxes(&bytes, 0);
        }
        let before = muxer.init_segment();
        headers = headers.max(frame.payload.len());
        pending += most_bytes(&frame, 0);
        muxer.push(&frame);
        if !changes {
            assert_eq!(muxer.init_segment(), before, "an init segment that changed without a word");
        }
        described(&muxer);
        let _ = muxer.pending_ms();
        if frame.is_video_key() || group.len() > 20 {
            group.clear();
        }
        group.push(frame);
    }
    cut(&mut muxer, None, pending);
}

fn described(muxer: &fmp4::Muxer) {
    let init = muxer.init_segment();
    assert_eq!(init.is_some(), muxer.has_audio() || muxer.has_video());
    assert_eq!(init.is_some(), muxer.codecs().is_some());
    if let Some(codecs) = muxer.codecs() {
        assert!(codecs.len() <= CODECS_LEN && codecs.bytes().all(|byte| byte.is_ascii_graphic()), "{codecs:?}");
    }
    if let Some(init) = init {
        boxes(&init, 0);
    }
}

fn cut(muxer: &mut fmp4::Muxer, next_ms: Option<u64>, pending: usize) {
    let had_samples = muxer.has_samples();
    let fragment = muxer.cut(next_ms);
    assert_eq!(fragment.is_some(), had_samples);
    assert!(!muxer.has_samples());
    let Some(fragment) = fragment else { return };
    assert!(fragment.video_samples + fragment.audio_samples > 0);
    assert_eq!(fragment.has_video, fragment.video_samples > 0);
    assert!(fragment.bytes.len() <= pending + FRAME_COST, "{} bytes", fragment.bytes.len());
    boxes(&fragment.bytes, 0);
}

/// Boxes fill what holds them to the last byte.
fn boxes(mut rest: &[u8], depth: usize) {
    const HOLDERS: [&[u8]; 9] = [b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl", b"mvex", b"moof", b"traf"];
    assert!(depth < BOX_DEPTH);
    while !rest.is_empty() {
        let (head, _) = rest.split_at_checked(8).expect("the head of a box");
        let size = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let name = &head[4..];
        assert!(size >= 8 && size <= rest.len(), "{} of {size} bytes in {}", name.escape_ascii(), rest.len());
        if HOLDERS.contains(&name) {
            boxes(&rest[8..size], depth + 1);
        }
        rest = &rest[size..];
    }
}
