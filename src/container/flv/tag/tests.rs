//! Tests of the heads of tag bodies.

use proptest::prelude::*;

use super::*;
use crate::media::FrameKind;

const SEQUENCE: FrameRole = FrameRole::Header(HeaderKind::Sequence);
const COLOR: FrameRole = FrameRole::Header(HeaderKind::ColorInfo);
const MULTICHANNEL: FrameRole = FrameRole::Header(HeaderKind::Multichannel);
use FrameRole::{Delta, Disposable, Key, Passing};

/// Name, body, role, FourCC, composition time.
type Row = (&'static str, &'static [u8], FrameRole, &'static [u8; 4], i32);

/// Name, body, role, tracks, FourCC, composition time.
type TracksRow = (&'static str, &'static [u8], FrameRole, &'static [u8], &'static [u8; 4], i32);

fn tracks(ids: &[u8]) -> TrackSet {
    let mut set = TrackSet::EMPTY;
    for &id in ids {
        set.insert(id);
    }
    set
}

fn four_cc(name: &[u8; 4]) -> Codec {
    Codec::FourCc(*name)
}

fn bytes(parts: &[&[u8]]) -> Bytes {
    Bytes::from(parts.concat())
}

#[test]
fn classic_video() {
    let table: [(&str, &[u8], u8, FrameRole, i32); 27] = [
        ("AVC sequence header", &[0x17, 0, 0, 0, 0, 1, 100], 7, SEQUENCE, 0),
        ("its composition time says nothing", &[0x17, 0, 0, 0, 9, 1], 7, SEQUENCE, 0),
        ("AVC sequence header in an inter frame", &[0x27, 0, 0, 0, 0, 1], 7, SEQUENCE, 0),
        ("AVC key frame", &[0x17, 1, 0, 0, 40, 0], 7, Key, 40),
        ("AVC generated key frame", &[0x47, 1, 0, 0, 0, 0], 7, Key, 0),
        ("AVC inter frame", &[0x27, 1, 0, 1, 0, 0], 7, Delta, 256),
        ("AVC disposable frame", &[0x37, 1, 0, 0, 0, 0], 7, Disposable, 0),
        ("AVC command frame", &[0x57, 0], 7, Passing, 0),
        ("AVC command frame with a key's packet type", &[0x57, 1, 0, 0, 0], 7, Passing, 0),
        ("AVC end of sequence", &[0x27, 2, 0, 0, 0], 7, Passing, 0),
        ("AVC end of sequence in a key frame", &[0x17, 2, 0, 0, 0], 7, Passing, 0),
        ("AVC, unknown packet type", &[0x17, 3, 0, 0, 0], 7, Passing, 0),
        ("AVC, codec only", &[0x17], 7, Passing, 0),
        ("AVC, composition time cut off", &[0x27, 1, 0, 0], 7, Delta, 0),
        ("AVC, reserved frame type", &[0x07, 1, 0, 0, 0, 0], 7, Delta, 0),
        ("negative composition time", &[0x27, 1, 0xFF, 0xFF, 0xD8, 0], 7, Delta, -40),
        ("lowest composition time", &[0x27, 1, 0x80, 0, 0, 0], 7, Delta, -0x80_0000),
        ("highest composition time", &[0x27, 1, 0x7F, 0xFF, 0xFF, 0], 7, Delta, 0x7F_FFFF),
        ("HEVC sequence header as codec 12", &[0x1C, 0, 0, 0, 0, 1], 12, SEQUENCE, 0),
        ("HEVC key frame as codec 12", &[0x1C, 1, 0, 0, 5, 0], 12, Key, 5),
        ("HEVC inter frame as codec 12", &[0x2C, 1, 0, 0, 5, 0], 12, Delta, 5),
        ("AV1 sequence header as codec 13", &[0x1D, 0, 0, 0, 0, 0x81], 13, SEQUENCE, 0),
        ("AV1 key frame as codec 13", &[0x1D, 1, 0, 0, 0, 0], 13, Key, 0),
        ("H.263 key frame", &[0x12, 0, 0], 2, Key, 0),
        ("H.263 disposable frame", &[0x32, 1, 0], 2, Disposable, 0),
        ("VP6 inter frame", &[0x24], 4, Delta, 0),
        ("Screen video command frame", &[0x53, 0], 3, Passing, 0),
    ];
    for (name, body, codec, role, composition_ms) in table {
        let codec = Codec::Classic(codec);
        let expected = TagInfo { role, tracks: TrackSet::DEFAULT, composition_ms, codec };
        assert_eq!(video_info(body), expected, "{name}");
    }
}

#[test]
fn old_obs_sends_hevc_under_the_codec_id_of_avc() {
    let header = [0x17, 0, 0, 0, 0, 1, 1, 0x60];
    assert_eq!(video_info(&header).role, SEQUENCE);
    assert_eq!(video_info(&[0x17, 1, 0, 0, 33, 0, 0, 0, 1, 0x26]).role, Key);
}

#[test]
fn dji_sends_video_ids_that_no_list_knows() {
    for id in [0, 1, 8, 9, 10, 11, 14, 15] {
        assert_eq!(video_info(&[0x10 | id, 0]).role, Key);
        assert_eq!(video_info(&[0x20 | id, 0]).role, Delta);
        assert_eq!(video_info(&[0x20 | id, 0]).codec, Codec::Classic(id));
    }
}

#[test]
fn classic_audio() {
    let table: [(&str, &[u8], u8, FrameRole); 9] = [
        ("AAC sequence header", &[0xAF, 0, 0x12, 0x10], 10, SEQUENCE),
        ("AAC frame", &[0xAF, 1, 0x21], 10, Key),
        ("AAC, unknown packet type", &[0xAF, 2, 0x21], 10, Key),
        ("AAC, format only", &[0xAF], 10, Passing),
        ("MP3 frame", &[0x2F, 0, 0xFB], 2, Key),
        ("PCM, format only", &[0x3F], 3, Key),
        ("G.711 A-law frame", &[0x72, 0xD5], 7, Key),
        ("Speex frame", &[0xB2, 0], 11, Key),
        ("DJI's device-specific sound", &[0xFF, 0], 15, Key),
    ];
    for (name, body, codec, role) in table {
        let codec = Codec::Classic(codec);
        let expected = TagInfo { role, tracks: TrackSet::DEFAULT, composition_ms: 0, codec };
        assert_eq!(audio_info(body), expected, "{name}");
    }
}

#[test]
fn zero_length_messages_are_passed_on() {
    assert_eq!(video_info(b""), TagInfo::passing(Codec::Unknown));
    assert_eq!(audio_info(b""), TagInfo::passing(Codec::Unknown));
    assert_eq!(with_composition_ms(&Bytes::new(), 7), Bytes::new());
}

#[test]
fn enhanced_video_of_one_track() {
    let table: [Row; 19] = [
        ("AVC sequence start", b"\x90avc1\x01\x64", SEQUENCE, b"avc1", 0),
        ("HEVC sequence start", b"\x90hvc1\x01\x01", SEQUENCE, b"hvc1", 0),
        ("AV1 sequence start", b"\x90av01\x81\x05", SEQUENCE, b"av01", 0),
        ("AV1 MPEG-2 TS sequence start", b"\x95av01\x80\x04", SEQUENCE, b"av01", 0),
        ("HEVC key frame", b"\x91hvc1\x00\x00\x28\x00", Key, b"hvc1", 40),
        ("AVC key frame", b"\x91avc1\xFF\xFF\xFF\x00", Key, b"avc1", -1),
        ("VVC inter frame", b"\xA1vvc1\x00\x00\x28\x00", Delta, b"vvc1", 40),
        ("AV1 has no composition time", b"\x91av01\x00\x00\x28\x00", Key, b"av01", 0),
        ("VP9 inter frame", b"\xA1vp09\x00\x00\x28\x00", Delta, b"vp09", 0),
        ("VP8 disposable frame", b"\xB1vp08\x00", Disposable, b"vp08", 0),
        ("HEVC without composition time", b"\xA3hvc1\x00\x00\x28\x00", Delta, b"hvc1", 0),
        ("HEVC key without composition time", b"\x93hvc1\x00\x00\x28", Key, b"hvc1", 0),
        ("generated key frame", b"\xC3hvc1\x00", Key, b"hvc1", 0),
        ("sequence end", b"\x92hvc1", Passing, b"hvc1", 0),
        ("colour information", b"\x94hvc1\x02\x00\x09colorInfo", COLOR, b"hvc1", 0),
        ("colour information, frame type ignored", b"\xD4hvc1\x02", COLOR, b"hvc1", 0),
        ("reserved packet type", b"\x98hvc1\x00", Passing, b"hvc1", 0),
        ("a codec nobody knows", b"\x91zzzz\x00", Key, b"zzzz", 0),
        ("composition time cut off", b"\xA1hvc1\x00\x00", Delta, b"hvc1", 0),
    ];
    for (name, body, role, codec, composition_ms) in table {
        let codec = four_cc(codec);
        let expected = TagInfo { role, tracks: TrackSet::DEFAULT, composition_ms, codec };
        assert_eq!(video_info(body), expected, "{name}");
    }
}

#[test]
fn enhanced_audio_of_one_track() {
    let table: [(&str, &[u8], FrameRole, &[u8; 4]); 8] = [
        ("Opus sequence start", b"\x90OpusOpusHead", SEQUENCE, b"Opus"),
        ("Opus sequence start may be empty", b"\x90Opus", SEQUENCE, b"Opus"),
        ("Opus frame", b"\x91Opus\xFC", Key, b"Opus"),
        ("sequence end", b"\x92fLaC", Passing, b"fLaC"),
        ("multichannel configuration", b"\x94ac-3\x01\x06", MULTICHANNEL, b"ac-3"),
        ("AAC frame", b"\x91mp4a\x21", Key, b"mp4a"),
        ("reserved packet type", b"\x93mp4a\x21", Passing, b"mp4a"),
        ("a codec nobody knows", b"\x91zzzz\x21", Key, b"zzzz"),
    ];
    for (name, body, role, codec) in table {
        let codec = four_cc(codec);
        let expected = TagInfo { role, tracks: TrackSet::DEFAULT, composition_ms: 0, codec };
        assert_eq!(audio_info(body), expected, "{name}");
    }
}

#[test]
fn a_command_frame_is_passed_on() {
    for packet_type in [0, 1, 2, 3, 5, 6] {
        let body = [0xD0 | packet_type, b'h', b'v', b'c', b'1', 0, 0, 0, 0];
        assert_eq!(video_info(&body), TagInfo::passing(Codec::Unknown), "{packet_type}");
    }
}

#[test]
fn mod_ex_is_passed_over() {
    let long_size = [&[0xFF_u8, 1, 0][..], &[7; 257], &[0x01]].concat();
    let full_size = [&[0xFF_u8, 0, 255][..], &[7; 256], &[0x01]].concat();
    let byte_size = [&[0xFE_u8][..], &[7; 255], &[0x01]].concat();
    let table: [(&str, &[u8]); 6] = [
        ("timestamp offset", &[2, 0x01, 0x02, 0x03, 0x01]),
        ("one byte, type not known", &[0, 9, 0xF1]),
        ("two of them", &[2, 1, 2, 3, 0x07, 0, 9, 0x01]),
        ("largest size in one byte", &byte_size),
        ("256 bytes need the long size", &full_size),
        ("257 bytes", &long_size),
    ];
    for (name, mod_ex) in table {
        let video = bytes(&[&[0x97], mod_ex, b"hvc1\x00\x00\x28\x00"]);
        let info = video_info(&video);
        assert_eq!((info.role, info.composition_ms), (Key, 40), "{name}");
        let audio = bytes(&[&[0x97], mod_ex, b"Opus\xFC"]);
        assert_eq!(audio_info(&audio).role, Key, "{name}");
    }
}

#[test]
fn a_body_that_is_nothing_but_mod_ex_ends() {
    let endless: Vec<u8> = [0x97].into_iter().chain([0, 9, 0x07].repeat(100_000)).collect();
    assert_eq!(video_info(&endless), TagInfo::passing(Codec::Unknown));
    assert_eq!(audio_info(&endless), TagInfo::passing(Codec::Unknown));
    for cut in [&[0x97][..], &[0x97, 0], &[0x97, 0, 9], &[0x97, 0xFF], &[0x97, 0xFF, 0xFF, 0xFF]] {
        assert_eq!(video_info(cut), TagInfo::passing(Codec::Unknown));
    }
}

#[test]
fn every_track_of_a_multitrack_video_body_is_found() {
    let table: [TracksRow; 12] = [
        ("one track", b"\x96\x01hvc1\x03\x00\x00\x28\x00", Key, &[3], b"hvc1", 40),
        ("one track, header", b"\x96\x00avc1\x01\x01\x64", SEQUENCE, &[1], b"avc1", 0),
        ("one track, colour", b"\x96\x04hvc1\x02\x02", COLOR, &[2], b"hvc1", 0),
        (
            "many tracks",
            b"\xA6\x11hvc1\x00\x00\x00\x04\x00\x00\x05\x00\xFF\x00\x00\x04\x00\x00\x09\x00",
            Delta,
            &[0, 255],
            b"hvc1",
            5,
        ),
        (
            "many tracks, many codecs",
            b"\x96\x21av01\x01\x00\x00\x01\x00avc1\x02\x00\x00\x04\x00\x00\x09\x00",
            Key,
            &[1, 2],
            b"av01",
            9,
        ),
        ("many tracks, headers", b"\x96\x10av01\x00\x00\x00\x00\x01\x00\x00\x01\x81", SEQUENCE, &[0, 1], b"av01", 0),
        ("a size that passes the end", b"\x96\x13av01\x05\xFF\xFF\xFF\x00", Key, &[5], b"av01", 0),
        ("a second track cut off", b"\x96\x13av01\x05\x00\x00\x01\x00\x06", Key, &[5], b"av01", 0),
        ("after ModEx", b"\x97\x00\x09\x06\x03hvc1\x04\x00", Key, &[4], b"hvc1", 0),
        ("sequence end", b"\x96\x02hvc1\x04", Passing, &[4], b"hvc1", 0),
        ("empty frame", b"\x96\x01hvc1\x04", Key, &[4], b"hvc1", 0),
        ("one track twice", b"\x96\x13av01\x05\x00\x00\x00\x05\x00\x00\x00", Key, &[5], b"av01", 0),
    ];
    for (name, body, role, ids, codec, composition_ms) in table {
        let (tracks, codec) = (tracks(ids), four_cc(codec));
        let expected = TagInfo { role, tracks, composition_ms, codec };
        assert_eq!(video_info(body), expected, "{name}");
    }
}

#[test]
fn every_track_of_a_multitrack_audio_body_is_found() {
    let table: [TracksRow; 4] = [
        ("one track", b"\x95\x01Opus\x03\xFC", Key, &[3], b"Opus", 0),
        ("many tracks", b"\x95\x10mp4a\x00\x00\x00\x01\x12\x01\x00\x00\x01\x12", SEQUENCE, &[0, 1], b"mp4a", 0),
        (
            "many tracks, many codecs",
            b"\x95\x21Opus\x01\x00\x00\x01\xFCmp4a\x02\x00\x00\x01\x21",
            Key,
            &[1, 2],
            b"Opus",
            0,
        ),
        ("multichannel", b"\x95\x04Opus\x02\x01\x06", MULTICHANNEL, &[2], b"Opus", 0),
    ];
    for (name, body, role, ids, codec, composition_ms) in table {
        let (tracks, codec) = (tracks(ids), four_cc(codec));
        let expected = TagInfo { role, tracks, composition_ms, codec };
        assert_eq!(audio_info(body), expected, "{name}");
    }
}

#[test]
fn enhanced_bodies_that_cannot_be_read_are_passed_on() {
    let table: [(&str, &[u8]); 8] = [
        ("first byte only", b"\x91"),
        ("FourCC cut off", b"\x91hvc"),
        ("multitrack cut off", b"\x96"),
        ("multitrack, FourCC cut off", b"\x96\x01hv"),
        ("multitrack without a track", b"\x96\x01hvc1"),
        ("multitrack, size cut off", b"\x96\x11hvc1\x00\x00"),
        ("multitrack type not defined", b"\x96\x31hvc1\x00\x00\x00"),
        ("multitrack in multitrack", b"\x96\x06hvc1\x00\x00\x00"),
    ];
    for (name, body) in table {
        assert_eq!(video_info(body), TagInfo::passing(Codec::Unknown), "{name}");
    }
    assert_eq!(audio_info(b"\x95\x05Opus\x00"), TagInfo::passing(Codec::Unknown));
}

#[test]
fn the_composition_time_is_replaced() {
    let table: [(&str, &[u8], i32, &[u8]); 14] = [
        ("AVC", b"\x27\x01\x00\x00\x28\x00", 7, b"\x27\x01\x00\x00\x07\x00"),
        ("negative", b"\x27\x01\x00\x00\x28\x00", -1, b"\x27\x01\xFF\xFF\xFF\x00"),
        ("from negative", b"\x27\x01\xFF\xFF\xFF\x00", 0, b"\x27\x01\x00\x00\x00\x00"),
        ("clamped up", b"\x27\x01\x00\x00\x28\x00", i32::MIN, b"\x27\x01\x80\x00\x00\x00"),
        ("clamped down", b"\x27\x01\x00\x00\x28\x00", i32::MAX, b"\x27\x01\x7F\xFF\xFF\x00"),
        ("HEVC as codec 12", b"\x1C\x01\x00\x00\x00\x00", 7, b"\x1C\x01\x00\x00\x07\x00"),
        ("AV1 as codec 13", b"\x1D\x01\x00\x00\x00\x00", 7, b"\x1D\x01\x00\x00\x07\x00"),
        ("enhanced", b"\xA1hvc1\x00\x00\x28\x09", 7, b"\xA1hvc1\x00\x00\x07\x09"),
        ("enhanced, to zero", b"\xA1avc1\x00\x00\x28\x09", 0, b"\xA1avc1\x00\x00\x00\x09"),
        ("field left out", b"\xA3vvc1\x09", 7, b"\xA1vvc1\x00\x00\x07\x09"),
        ("ModEx and field left out", b"\xA7\x00\x01\x03hvc1\x09", -1, b"\xA7\x00\x01\x01hvc1\xFF\xFF\xFF\x09"),
        ("ModEx", b"\xA7\x00\x01\x01hvc1\x00\x00\x28\x09", 7, b"\xA7\x00\x01\x01hvc1\x00\x00\x07\x09"),
        ("one track", b"\xA6\x01hvc1\x05\x00\x00\x28\x09", 7, b"\xA6\x01hvc1\x05\x00\x00\x07\x09"),
        ("one track, field left out", b"\xA6\x03hvc1\x05\x09", 7, b"\xA6\x01hvc1\x05\x00\x00\x07\x09"),
    ];
    for (name, before, composition_ms, after) in table {
        let before = Bytes::from_static(before);
        let changed = with_composition_ms(&before, composition_ms);
        assert_eq!(changed, after, "{name}");
        let (was, is) = (video_info(&before), video_info(&changed));
        assert_eq!(TagInfo { composition_ms: 0, ..is }, TagInfo { composition_ms: 0, ..was });
    }
}

#[test]
fn a_body_without_a_composition_time_or_with_the_right_one_is_shared() {
    let table: [(&str, &[u8], i32); 12] = [
        ("the right one", b"\x27\x01\x00\x00\x28\x00", 40),
        ("clamped to the right one", b"\x27\x01\x7F\xFF\xFF\x00", i32::MAX),
        ("field left out, zero wanted", b"\xA3hvc1\x09", 0),
        ("sequence header", b"\x17\x00\x00\x00\x00\x01", 7),
        ("end of sequence", b"\x27\x02\x00\x00\x00", 7),
        ("cut off", b"\x27\x01\x00\x00", 7),
        ("H.263", b"\x22\x01\x00\x00\x00", 7),
        ("command frame", b"\x57\x01\x00\x00\x00", 7),
        ("AV1", b"\x91av01\x00\x00\x00\x00", 7),
        ("AV1 without field", b"\x93av01\x00", 7),
        ("many tracks", b"\xA6\x11hvc1\x00\x00\x00\x04\x00\x00\x05\x00", 7),
        ("many tracks, field left out", b"\xA6\x13hvc1\x00\x00\x00\x01\x00", 7),
    ];
    for (name, body, composition_ms) in table {
        let body = Bytes::from_static(body);
        let same = with_composition_ms(&body, composition_ms);
        assert_eq!((same.as_ptr(), same.len()), (body.as_ptr(), body.len()), "{name}");
    }
}

#[test]
fn codecs_have_their_usual_names() {
    let table = [
        (Codec::AVC, FrameKind::Video, "H.264"),
        (Codec::CLASSIC_HEVC, FrameKind::Video, "HEVC"),
        (Codec::CLASSIC_AV1, FrameKind::Video, "AV1"),
        (Codec::AAC, FrameKind::Audio, "AAC"),
        (Codec::Classic(7), FrameKind::Audio, "G.711 A-law"),
        (Codec::Classic(2), FrameKind::Audio, "MP3"),
        (Codec::Classic(9), FrameKind::Video, "codec 9"),
        (Codec::Classic(12), FrameKind::Audio, "codec 12"),
        (four_cc(b"hvc1"), FrameKind::Video, "HEVC"),
        (four_cc(b"vvc1"), FrameKind::Video, "VVC"),
        (four_cc(b"Opus"), FrameKind::Audio, "Opus"),
        (four_cc(b"ec-3"), FrameKind::Audio, "E-AC-3"),
        (four_cc(b"a\n\0\xFF"), FrameKind::Audio, r"codec 'a\n\x00\xff'"),
        (Codec::Unknown, FrameKind::Video, "unknown"),
    ];
    for (codec, kind, name) in table {
        assert_eq!(codec.name(kind).to_string(), name);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(
        first in any::<u8>(),
        rest in prop::collection::vec(prop_oneof![0..8_u8, any::<u8>()], 0..60),
        composition_ms in any::<i32>(),
    ) {
        let body = bytes(&[&[first], &rest]);
        audio_info(&body);
        check_composition(&body, composition_ms)?;
    }

    #[test]
    fn any_enhanced_video_keeps_what_it_says_with_another_composition_time(
        frame_type in 0..8_u8,
        packet_type in 0..8_u8,
        codec in prop_oneof![Just(b"avc1"), Just(b"hvc1"), Just(b"av01")],
        rest in prop::collection::vec(any::<u8>(), 0..12),
        composition_ms in any::<i32>(),
    ) {
        let first = 0x80 | frame_type << 4 | packet_type;
        check_composition(&bytes(&[&[first], codec, &rest]), composition_ms)?;
    }
}

/// Either the body is unchanged, or it says the same but for the composition time.
fn check_composition(body: &Bytes, composition_ms: i32) -> Result<(), TestCaseError> {
    let before = video_info(body);
    let changed = with_composition_ms(body, composition_ms);
    if changed != body {
        let (lowest, highest) = COMPOSITION_MS;
        let composition_ms = composition_ms.clamp(lowest, highest);
        prop_assert_eq!(video_info(&changed), TagInfo { composition_ms, ..before });
    }
    Ok(())
}
