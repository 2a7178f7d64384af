//! Transport streams against a small reader: tables, clock, timestamps, continuity and every size of frame.

mod join;
mod parser;
mod programs;
mod time;

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use self::parser::{Packet, Unit, assert_continuous, packets, units};
use super::packet::{Marks, Pcr, put_unit};
use super::{Counter, Muxer, Pid};
use crate::container::flv::tag;
use crate::media::{Frame, FrameKind};

/// A frame as an FLV tag body brings it.
fn frame(kind: FrameKind, timestamp_ms: u64, payload: impl Into<Vec<u8>>) -> Frame {
    let payload = Bytes::from(payload.into());
    let info = match kind {
        FrameKind::Video => tag::video_info(&payload),
        _ => tag::audio_info(&payload),
    };
    let (role, tracks, composition_ms) = (info.role, info.tracks, info.composition_ms);
    Frame { kind, role, tracks, timestamp_ms, composition_ms, payload }
}

fn video(timestamp_ms: u64, payload: impl Into<Vec<u8>>) -> Frame {
    frame(FrameKind::Video, timestamp_ms, payload)
}

fn audio(timestamp_ms: u64, payload: impl Into<Vec<u8>>) -> Frame {
    frame(FrameKind::Audio, timestamp_ms, payload)
}

/// A sequence header with the sets `67 01` and `68 02`.
fn avc_header() -> Frame {
    video(0, &b"\x17\0\0\0\0\x01\x64\0\x0c\xff\xe1\0\x02\x67\x01\x01\0\x02\x68\x02"[..])
}

/// An H.264 frame of one slice with `slice_len` bytes, 1 at least.
fn avc_frame(timestamp_ms: u64, is_key: bool, composition_ms: i32, slice_len: usize) -> Frame {
    let [_, c1, c2, c3] = composition_ms.to_be_bytes();
    let mut payload = vec![if is_key { 0x17 } else { 0x27 }, 1, c1, c2, c3];
    payload.extend((slice_len as u32).to_be_bytes());
    payload.push(if is_key { 0x65 } else { 0x41 });
    payload.resize(9 + slice_len, 0xAB);
    video(timestamp_ms, payload)
}

/// What a slice of [`avc_frame`] is in a byte stream.
fn annex_b(is_key: bool, slice_len: usize) -> Vec<u8> {
    let mut bytes = b"\0\0\0\x01\x09\xf0".to_vec();
    bytes.extend(if is_key { &b"\0\0\0\x01\x67\x01\0\0\0\x01\x68\x02\0\0\0\x01\x65"[..] } else { b"\0\0\0\x01\x41" });
    bytes.resize(bytes.len() + slice_len - 1, 0xAB);
    bytes
}

/// AAC, 48 kHz, stereo.
fn aac_header() -> Frame {
    audio(0, &b"\xAF\0\x11\x90"[..])
}

fn aac_frame(timestamp_ms: u64, len: usize) -> Frame {
    let mut payload = vec![0xAF, 1];
    payload.resize(2 + len, 0xCD);
    audio(timestamp_ms, payload)
}

/// All packets of `frames` by a new muxer.
fn mux(frames: &[Frame]) -> Vec<Packet> {
    let (mut muxer, mut out) = (Muxer::new(), BytesMut::new());
    frames.iter().for_each(|frame| muxer.push(frame, &mut out));
    let packets = packets(&out);
    assert_continuous(&packets, &mut BTreeMap::new());
    packets
}

fn units_of(frames: &[Frame]) -> Vec<Unit> {
    units(&mux(frames))
}

/// One unit of every size, alone and behind others, with and without something in the adaptation field.
#[test]
fn a_unit_of_any_size_comes_out_as_it_went_in() {
    let around = (3..12_usize).flat_map(|packets| packets * 184 - 12..packets * 184 + 12);
    let pcr = Some(Pcr { base: 5, is_discontinuity: false });
    let marks = [
        Marks::default(),
        Marks { pcr, is_random_access: true },
        Marks { pcr, is_random_access: false },
        Marks { pcr: None, is_random_access: true },
    ];
    for len in (1..600).chain(around) {
        let unit: Vec<u8> = (0..len).map(|index| index as u8).collect();
        for marks in marks {
            let (mut counter, mut out) = (Counter::default(), BytesMut::new());
            put_unit(&mut out, Pid(0x100), &mut counter, marks, &unit[..]);
            let packets = packets(&out);
            assert_continuous(&packets, &mut BTreeMap::new());
            assert_eq!(packets.iter().flat_map(|packet| packet.payload.clone()).collect::<Vec<u8>>(), unit);
            let starts: Vec<bool> = packets.iter().map(|packet| packet.is_start).collect();
            assert!(starts[0] && !starts[1..].contains(&true), "{len} bytes");
            assert_eq!(packets[0].pcr, marks.pcr.map(|pcr| pcr.base));
            assert_eq!(packets[0].is_random_access, marks.is_random_access);
            let least =
                (len + if marks.pcr.is_some() { 8 } else { 2 * usize::from(marks.is_random_access) }).div_ceil(184);
            assert_eq!(packets.len(), least, "no packet more than it takes, {len} bytes");
        }
    }
}

#[test]
fn frames_of_every_size_come_out_as_they_went_in() {
    let around = (3..12_usize).flat_map(|packets| packets * 184 - 50..packets * 184 + 2);
    for len in (1..600).chain(around) {
        let frames = [
            avc_header(),
            aac_header(),
            avc_frame(0, true, 80, len),
            aac_frame(0, len),
            avc_frame(40, false, 0, len),
            aac_frame(21, len),
        ];
        let units = units_of(&frames);
        assert_eq!(units.len(), 4);
        assert_eq!(units[0].payload, annex_b(true, len));
        assert_eq!(units[2].payload, annex_b(false, len));
        for unit in [&units[1], &units[3]] {
            assert_eq!((unit.payload.len(), &unit.payload[7..]), (len + 7, &vec![0xCD; len][..]));
        }
    }
}

#[test]
fn a_video_frame_tells_its_length_where_it_can() {
    // Head of 3 + 5 bytes behind the length, delimiter of 6, start code of 4.
    let longest = 65_535 - 8 - 6 - 4;
    for (slice_len, announced_len) in [(longest, 65_535), (longest + 1, 0), (200_000, 0)] {
        let units = units_of(&[avc_header(), avc_frame(0, false, 0, slice_len)]);
        assert_eq!(units[0].announced_len, announced_len);
        assert_eq!(units[0].payload, annex_b(false, slice_len));
    }
}

#[test]
fn an_audio_frame_longer_than_a_length_can_tell_is_left_out() {
    let mut payload = b"\x2F\xFF\xFB".to_vec();
    payload.resize(1 + 65_535 - 8, 0);
    assert_eq!(units_of(&[audio(0, payload.clone())]).len(), 1);
    payload.push(0);
    assert_eq!(units_of(&[audio(0, payload)]), []);
}

proptest! {
    #[test]
    fn streams_of_any_frames_come_out_as_they_went_in(
        sizes in prop::collection::vec((any::<bool>(), any::<bool>(), 1..3000_usize), 1..40),
    ) {
        let mut frames = vec![avc_header(), aac_header()];
        let mut expected = Vec::new();
        for (index, &(is_video, is_key, len)) in sizes.iter().enumerate() {
            let now_ms = index as u64 * 20;
            frames.push(if is_video { avc_frame(now_ms, is_key, 0, len) } else { aac_frame(now_ms, len) });
            expected.push(if is_video { annex_b(is_key, len) } else { vec![0xCD; len] });
        }
        for (unit, expected) in units_of(&frames).iter().zip(&expected) {
            let payload = if unit.pid == 0x101 { &unit.payload[7..] } else { &unit.payload[..] };
            prop_assert_eq!(payload, &expected[..]);
        }
        prop_assert_eq!(units_of(&frames).len(), expected.len());
    }

    #[test]
    fn any_bytes_are_muxed_without_panic(
        bodies in prop::collection::vec(
            (any::<bool>(), any::<u64>(), prop::sample::select(HEADS), prop::collection::vec(any::<u8>(), 0..60)),
            0..12,
        ),
    ) {
        let (mut muxer, mut out) = (Muxer::new(), BytesMut::new());
        for (is_video, now_ms, head, body) in bodies {
            let kind = if is_video { FrameKind::Video } else { FrameKind::Audio };
            muxer.push(&frame(kind, now_ms, [head, &body].concat()), &mut out);
        }
        muxer.joined(&[avc_frame(0, true, 0, 5)], &mut out);
        prop_assert_eq!(out.len() % 188, 0);
    }
}

const HEADS: &[&[u8]] = &[
    b"\x17\0\0\0\0\x01\x64\0\x0c\xff\xe1",
    b"\x17\x01\0\0\0",
    b"\x90hvc1",
    b"\xA3hvc1",
    b"\x96\x11avc1\x00",
    b"\xAF\0\x11",
    b"\xAF\x01",
    b"\x90Opus",
    b"\x91Opus",
    b"\x2F\xFF",
    b"",
];
