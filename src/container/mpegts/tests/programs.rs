//! Which streams the program has, and how they are declared.

use bytes::BytesMut;

use super::parser::{maps, units};
use super::*;
use crate::container::mpegts::carries;
use crate::container::mpegts::psi::checksum;
use crate::media::codec::CodecId;

#[test]
fn the_checksum_is_the_one_of_mpeg() {
    assert_eq!(checksum(b"123456789"), 0x0376_E6E7);
}

/// Byte for byte what other muxers write for the same program.
#[test]
fn tables_of_h264_and_aac() {
    let (mut muxer, mut out) = (Muxer::new(), BytesMut::new());
    for frame in [avc_header(), aac_header(), avc_frame(0, true, 0, 10)] {
        muxer.push(&frame, &mut out);
    }
    let association = b"\x47\x40\0\x10\0\0\xb0\x0d\0\x01\xc1\0\0\0\x01\xf0\0\x2a\xb1\x04\xb2\xff\xff";
    assert_eq!(out[..23], *association);
    let map =
        b"\x47\x50\0\x10\0\x02\xb0\x17\0\x01\xc1\0\0\xe1\0\xf0\0\x1b\xe1\0\xf0\0\x0f\xe1\x01\xf0\0\x2f\x44\xb9\x9b\xff";
    assert_eq!(out[188..188 + map.len()], *map);
}

/// Name, frames, stream type, stream id, descriptors, payload.
type Declared<'a> = (&'a str, &'a [Frame], u8, u8, Vec<u8>, &'a [u8]);

#[test]
fn how_each_codec_is_declared() {
    let hevc_header = video(0, &b"\x90hvc1\x01\x01\x60\0\0\0\x90\0\0\0\0\0\x3c\xf0\0\xfc\xfd\xf8\xf8\0\0\x0f\0"[..]);
    let hevc = video(0, &b"\x91hvc1\0\0\0\0\0\0\x03\x26\x01\xAF"[..]);
    let opus_header = audio(0, &b"\x90OpusOpusHead\x01\x06\x38\x01\x80\xbb\0\0\0\0\x01"[..]);
    let opus = audio(0, &b"\x91Opus\xfc\x01"[..]);
    let opus_map = |channels: u8| [b"\x05\x04Opus\x7f\x02\x80", &[channels][..]].concat();
    let table: [Declared<'_>; 9] = [
        (
            "HEVC",
            &[hevc_header, hevc],
            0x24,
            0xE0,
            b"\x05\x04HEVC".to_vec(),
            b"\0\0\0\x01\x46\x01\x50\0\0\0\x01\x26\x01\xAF",
        ),
        ("AAC", &[aac_header(), audio(0, &b"\xAF\x01raw"[..])], 0x0F, 0xC0, vec![], b"\xff\xf1\x4c\x80\x01\x5f\xfcraw"),
        ("MP3", &[audio(0, &b"\x2F\xFF\xFBmp3"[..])], 0x03, 0xC0, vec![], b"\xFF\xFBmp3"),
        ("MP3 of MPEG-2", &[audio(0, &b"\x2F\xFF\xF3mp3"[..])], 0x04, 0xC0, vec![], b"\xFF\xF3mp3"),
        ("MP3 of MPEG-2.5", &[audio(0, &b"\x91.mp3\xFF\xE3mp3"[..])], 0x04, 0xC0, vec![], b"\xFF\xE3mp3"),
        ("AC-3", &[audio(0, &b"\x91ac-3\x0b\x77"[..])], 0x81, 0xBD, b"\x05\x04AC-3".to_vec(), b"\x0b\x77"),
        ("E-AC-3", &[audio(0, &b"\x91ec-3\x0b\x77"[..])], 0x87, 0xBD, b"\x05\x04EAC3".to_vec(), b"\x0b\x77"),
        ("Opus", &[opus_header, opus.clone()], 0x06, 0xBD, opus_map(6), b"\x7f\xe0\x02\xfc\x01"),
        ("Opus without a header", &[opus], 0x06, 0xBD, opus_map(2), b"\x7f\xe0\x02\xfc\x01"),
    ];
    for (name, frames, stream_type, stream_id, descriptors, payload) in table {
        let packets = mux(frames);
        let pid = if stream_id == 0xE0 { 0x100 } else { 0x101 };
        let map = &maps(&packets)[0];
        assert_eq!((map.clock_pid, &map.streams[..]), (pid, &[(stream_type, pid, descriptors)][..]), "{name}");
        let units = units(&packets);
        assert_eq!((units[0].stream_id, &units[0].payload[..]), (stream_id, payload), "{name}");
    }
}

#[test]
fn sizes_of_opus_packets_are_written_in_steps_of_255() {
    for (len, size) in [(1, &b"\x01"[..]), (254, b"\xfe"), (255, b"\xff\0"), (600, b"\xff\xff\x5a")] {
        let mut payload = b"\x91Opus".to_vec();
        payload.resize(5 + len, 0xFC);
        let units = units_of(&[audio(0, payload)]);
        assert_eq!(units[0].payload[..2 + size.len()], [b"\x7f\xe0", size].concat());
        assert_eq!(units[0].payload.len(), 2 + size.len() + len);
    }
}

#[test]
fn what_is_not_carried_is_left_out() {
    use CodecId::{Aac, Ac3, Av1, Avc, Eac3, Flac, Hevc, Mp3, Opus, Other, Vp8, Vp9};
    assert!([Avc, Hevc, Aac, Mp3, Ac3, Eac3, Opus].into_iter().all(carries));
    assert!(![Av1, Vp8, Vp9, Flac, Other].into_iter().any(carries));
    let frames = [
        video(0, &b"\x90av01\x81"[..]),
        video(0, &b"\x91av01\x12\0"[..]),
        audio(0, &b"\x90fLaCfLaC"[..]),
        audio(0, &b"\x91fLaC\xff"[..]),
        audio(0, &b"\x3F\0"[..]),
        Frame { kind: FrameKind::Data, ..aac_frame(0, 3) },
    ];
    let mut muxer = Muxer::new();
    let mut out = BytesMut::new();
    frames.iter().for_each(|frame| muxer.push(frame, &mut out));
    muxer.joined(&frames, &mut out);
    assert!(out.is_empty() && !muxer.has_tracks());
}

#[test]
fn frames_without_their_sequence_header_are_left_out() {
    let mut muxer = Muxer::new();
    let mut out = BytesMut::new();
    for frame in [avc_frame(0, true, 0, 5), aac_frame(0, 5), video(0, &b"\x17\0\0\0\0\x01"[..])] {
        muxer.push(&frame, &mut out);
    }
    assert!(out.is_empty() && !muxer.has_tracks());
    muxer.push(&avc_header(), &mut out);
    assert!(out.is_empty() && muxer.has_tracks());
}

#[test]
fn a_frame_that_ends_before_its_first_nal_unit_is_left_out() {
    assert_eq!(units_of(&[avc_header(), video(0, &b"\x17\x01\0\0\0\0\0\0\x09\x65"[..])]), []);
}

#[test]
fn a_damaged_header_does_not_replace_a_good_one() {
    let frames = [avc_header(), video(0, &b"\x17\0\0\0\0\x01"[..]), avc_frame(0, true, 0, 5)];
    assert_eq!(units_of(&frames)[0].payload, annex_b(true, 5));
}

#[test]
fn tracks_come_from_what_arrives() {
    let frames = [aac_header(), aac_frame(0, 9), avc_header(), avc_frame(20, true, 0, 9), aac_frame(21, 9)];
    let packets = mux(&frames);
    let maps = maps(&packets);
    let seen: Vec<_> = maps.iter().map(|map| (map.version, map.clock_pid, map.streams.len())).collect();
    assert_eq!(seen, [(0, 0x101, 1), (1, 0x100, 2)]);
    let first_video = packets.iter().find(|packet| packet.pid == 0x100).unwrap();
    assert!(first_video.pcr.is_some(), "the clock moved to video");
}

#[test]
fn audio_that_appears_later_makes_a_new_version_at_once() {
    let frames = [avc_header(), avc_frame(0, true, 0, 9), aac_header(), avc_frame(40, false, 0, 9), aac_frame(41, 9)];
    let packets = mux(&frames);
    let versions: Vec<_> = maps(&packets).iter().map(|map| (map.version, map.streams.len())).collect();
    assert_eq!(versions, [(0, 1), (1, 2)]);
    let kinds: Vec<u16> = packets.iter().map(|packet| packet.pid).collect();
    assert_eq!(kinds, [0, 0x1000, 0x100, 0, 0x1000, 0x100, 0x101]);
}

#[test]
fn the_same_header_again_makes_no_new_version() {
    let frames = [avc_header(), avc_frame(0, true, 0, 9), avc_header(), avc_frame(40, true, 0, 9)];
    let versions: Vec<u8> = maps(&mux(&frames)).iter().map(|map| map.version).collect();
    assert_eq!(versions, [0, 0]);
}

#[test]
fn the_version_wraps_after_32_changes_of_codec() {
    let mut frames = Vec::new();
    for _ in 0..17 {
        frames.extend([audio(0, &b"\x2F\xFF\xFB"[..]), audio(0, &b"\x2F\xFF\xF3"[..])]);
    }
    let versions: Vec<u8> = maps(&mux(&frames)).iter().map(|map| map.version).collect();
    assert_eq!(versions, (0..32).chain(0..2).collect::<Vec<u8>>());
}

#[test]
fn a_track_that_turns_to_a_codec_that_is_not_carried_leaves_the_program() {
    let frames = [
        avc_header(),
        aac_header(),
        avc_frame(0, true, 0, 9),
        video(40, &b"\x90av01\x81"[..]),
        video(40, &b"\x91av01\x12\0"[..]),
        aac_frame(41, 9),
    ];
    let maps = maps(&mux(&frames));
    let seen: Vec<_> = maps.iter().map(|map| (map.version, map.clock_pid, map.streams.len())).collect();
    assert_eq!(seen, [(0, 0x100, 2), (1, 0x101, 1)]);
}

#[test]
fn only_the_default_track_is_written() {
    let header = |track: u8| [b"\x95", &[track][..], b"Opus", b"OpusHead\x01\x01"].concat();
    let coded = |track: u8| [b"\x95\x01Opus", &[track][..], b"\xfc"].concat();
    let mut second_header = header(2);
    second_header.splice(1..7, *b"\x00Opus\x02");
    let frames = [audio(0, second_header), audio(0, coded(1)), audio(0, coded(2)), audio(20, coded(2))];
    assert_eq!(units_of(&frames).len(), 2);
    let both = b"\x95\x11Opus\x03\0\0\x01\xfc\x01\0\0\x02\xfc\xfc";
    assert_eq!(units_of(&[audio(0, &both[..])])[0].payload, b"\x7f\xe0\x02\xfc\xfc", "the lowest of several");
}

#[test]
fn parameter_sets_of_the_frame_itself_are_enough() {
    let own = b"\x17\x01\0\0\0\0\0\0\x02\x67\x09\0\0\0\x02\x68\x09\0\0\0\x01\x65";
    let payload = &units_of(&[avc_header(), video(0, &own[..])])[0].payload;
    let expected = b"\0\0\0\x01\x09\xf0\0\0\0\x01\x67\x09\0\0\0\x01\x68\x09\0\0\0\x01\x65";
    assert_eq!(payload[..], *expected);
}

#[test]
fn a_delimiter_of_the_frame_itself_is_not_written_twice() {
    let own = b"\x27\x01\0\0\0\0\0\0\x02\x09\x10\0\0\0\x01\x41";
    assert_eq!(units_of(&[avc_header(), video(0, &own[..])])[0].payload, annex_b(false, 1));
}
