//! The boxes as a player reads them, by tables and with any bytes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::container::flv::tag;

/// A record of H.264 High, level 3.1, whose sequence parameter set says 1280x720.
const AVC_RECORD: &[u8] =
    b"\x01\x64\0\x1F\xFF\xE1\0\x0F\x67\x64\0\x1F\xAC\xD9\x40\x50\x05\xBB\x01\x10\0\0\x03\x01\0\x04\x68\xEB\xE3\xCB";

fn frame(kind: FrameKind, timestamp_ms: u64, payload: &[u8]) -> Frame {
    let info = match kind {
        FrameKind::Video => tag::video_info(payload),
        _ => tag::audio_info(payload),
    };
    Frame {
        kind,
        role: info.role,
        tracks: info.tracks,
        timestamp_ms,
        composition_ms: info.composition_ms,
        payload: Bytes::copy_from_slice(payload),
    }
}

fn video(timestamp_ms: u64, payload: &[u8]) -> Frame {
    frame(FrameKind::Video, timestamp_ms, payload)
}

fn audio(timestamp_ms: u64, payload: &[u8]) -> Frame {
    frame(FrameKind::Audio, timestamp_ms, payload)
}

fn avc_header() -> Frame {
    video(0, &[b"\x17\0\0\0\0", AVC_RECORD].concat())
}

fn aac_header() -> Frame {
    audio(0, b"\xAF\0\x11\x90")
}

fn key(timestamp_ms: u64, composition_ms: i32, data: &[u8]) -> Frame {
    Frame { composition_ms, ..video(timestamp_ms, &[b"\x17\x01\0\0\0", data].concat()) }
}

fn delta(timestamp_ms: u64, composition_ms: i32, data: &[u8]) -> Frame {
    Frame { composition_ms, ..video(timestamp_ms, &[b"\x27\x01\0\0\0", data].concat()) }
}

fn disposable(timestamp_ms: u64, composition_ms: i32, data: &[u8]) -> Frame {
    Frame { composition_ms, ..video(timestamp_ms, &[b"\x37\x01\0\0\0", data].concat()) }
}

fn sound(timestamp_ms: u64, data: &[u8]) -> Frame {
    audio(timestamp_ms, &[b"\xAF\x01", data].concat())
}

fn muxer(frames: &[Frame]) -> Muxer {
    let mut muxer = Muxer::new();
    for frame in frames {
        muxer.push(frame);
    }
    muxer
}

// A small reader of boxes, that knows nothing of the writer.

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Boxes one behind the other that fill `bytes`: kind, offset of the content in `bytes`, content.
fn boxes(bytes: &[u8]) -> Vec<(String, usize, &[u8])> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let size = u32_at(bytes, at) as usize;
        let kind = String::from_utf8(bytes[at + 4..at + 8].to_vec()).unwrap();
        found.push((kind, at + 8, &bytes[at + 8..at + size]));
        at += size;
    }
    found
}

fn child<'a>(bytes: &'a [u8], path: &[&str]) -> &'a [u8] {
    path.iter().fold(bytes, |bytes, kind| {
        let found = boxes(bytes).into_iter().find(|(found, ..)| found == kind);
        found.unwrap_or_else(|| panic!("no {kind}")).2
    })
}

/// The names of boxes, those of boxes inside behind them in brackets.
fn outline(bytes: &[u8]) -> String {
    const CONTAINERS: [&str; 9] = ["moov", "trak", "mdia", "minf", "dinf", "stbl", "mvex", "moof", "traf"];
    let names: Vec<String> = boxes(bytes)
        .into_iter()
        .map(|(kind, _, content)| match CONTAINERS.contains(&kind.as_str()) {
            true => format!("{kind}[{}]", outline(content)),
            false => kind,
        })
        .collect();
    names.join(" ")
}

/// A sample as a player sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    start: u64,
    duration: u32,
    flags: u32,
    composition: i32,
    data: Vec<u8>,
}

/// Samples of a fragment by track id.
fn seen(fragment: &[u8]) -> BTreeMap<u32, Vec<Seen>> {
    let moof = child(fragment, &["moof"]);
    let mut tracks = BTreeMap::new();
    for (kind, _, traf) in boxes(moof) {
        if kind != "traf" {
            continue;
        }
        let tfhd = child(traf, &["tfhd"]);
        let flags = u32_at(tfhd, 0);
        assert_eq!(flags & 0x02_0000, 0x02_0000, "default-base-is-moof");
        let mut at = 8;
        let mut optional = |bit: u32| {
            at += if flags & bit != 0 { 4 } else { 0 };
            if flags & bit != 0 { u32_at(tfhd, at - 4) } else { 0 }
        };
        let defaults = (optional(0x8), optional(0x20));
        assert_eq!(at, tfhd.len());
        let tfdt = child(traf, &["tfdt"]);
        assert_eq!(tfdt[0], 1, "64 bits");
        let start = u64::from_be_bytes(tfdt[4..12].try_into().unwrap());
        let samples = run(fragment, child(traf, &["trun"]), start, defaults);
        tracks.insert(u32_at(tfhd, 4), samples);
    }
    tracks
}

fn run(fragment: &[u8], trun: &[u8], mut start: u64, (duration, flags): (u32, u32)) -> Vec<Seen> {
    assert_eq!(trun[0], 1, "signed composition times");
    let told = u32_at(trun, 0) & 0x00FF_FFFF;
    assert_eq!(told & 0x201, 0x201, "offset and sizes");
    let (count, mut data_at) = (u32_at(trun, 4), u32_at(trun, 8) as usize);
    let mut at = 12;
    let mut samples = Vec::new();
    for _ in 0..count {
        let mut field = |bit: u32, default: u32| {
            if told & bit == 0 {
                return default;
            }
            at += 4;
            u32_at(trun, at - 4)
        };
        let (duration, size) = (field(0x100, duration), field(0x200, 0) as usize);
        let (flags, composition) = (field(0x400, flags), field(0x800, 0) as i32);
        let data = fragment[data_at..data_at + size].to_vec();
        samples.push(Seen { start, duration, flags, composition, data });
        start = start.saturating_add(u64::from(duration));
        data_at += size;
    }
    assert_eq!(at, trun.len());
    samples
}

const KEY: u32 = 0x0200_0000;
const DELTA: u32 = 0x0101_0000;
const DISPOSABLE: u32 = 0x0181_0000;

fn row(start: u64, duration: u32, flags: u32, composition: i32, data: &[u8]) -> Seen {
    Seen { start, duration, flags, composition, data: data.to_vec() }
}

#[test]
fn the_init_segment_has_the_boxes_that_it_needs() {
    let muxer = muxer(&[avc_header(), aac_header()]);
    let init = muxer.init_segment().unwrap();
    let track =
        |media: &str| format!("trak[tkhd mdia[mdhd hdlr minf[{media} dinf[dref] stbl[stsd stts stsc stco stsz]]]]");
    let (video, audio) = (track("vmhd"), track("smhd"));
    assert_eq!(outline(&init), format!("ftyp moov[mvhd {video} {audio} mvex[trex trex]]"));
    let moov = child(&init, &["moov"]);
    let [video, audio] = [1, 2].map(|at| boxes(moov)[at].2);
    assert_eq!(u32_at(child(video, &["tkhd"]), 12), 1);
    assert_eq!(child(video, &["tkhd"])[76..], [5, 0, 0, 0, 2, 208, 0, 0], "1280x720");
    assert_eq!(u32_at(child(video, &["mdia", "mdhd"]), 12), 90_000);
    assert_eq!(u32_at(child(audio, &["tkhd"]), 12), 2);
    assert_eq!(u32_at(child(audio, &["mdia", "mdhd"]), 12), 48_000);
    let entries = |track| boxes(&child(track, &["mdia", "minf", "stbl", "stsd"])[8..]).into_iter();
    assert_eq!(entries(video).map(|(kind, ..)| kind).collect::<Vec<_>>(), ["avc1"]);
    assert_eq!(entries(audio).map(|(kind, ..)| kind).collect::<Vec<_>>(), ["mp4a"]);
}

#[test]
fn what_is_known_of_the_tracks() {
    assert_eq!(Muxer::new().init_segment(), None);
    assert_eq!(Muxer::new().codecs(), None);
    type Row<'a> = (&'a [Frame], &'a str, Option<(u16, u16)>, (bool, bool));
    let rows: [Row<'_>; 3] = [
        (&[avc_header(), aac_header()], "avc1.64001f,mp4a.40.2", Some((1280, 720)), (true, true)),
        (&[avc_header()], "avc1.64001f", Some((1280, 720)), (true, false)),
        (&[aac_header()], "mp4a.40.2", None, (false, true)),
    ];
    for (frames, codecs, dimensions, has) in rows {
        let muxer = muxer(frames);
        assert_eq!(muxer.codecs().as_deref(), Some(codecs));
        assert_eq!(muxer.dimensions(), dimensions, "{codecs}");
        assert_eq!((muxer.has_video(), muxer.has_audio()), has, "{codecs}");
    }
}

#[test]
fn a_fragment_has_both_tracks_with_their_times() {
    let mut muxer = muxer(&[
        avc_header(),
        aac_header(),
        key(1000, 80, b"KEY"),
        sound(1000, b"a"),
        sound(1021, b"bb"),
        delta(1040, 80, b"P"),
        disposable(1080, 0, b"bB"),
        sound(1043, b"c"),
    ]);
    assert_eq!(muxer.pending_ms(), 120);
    let fragment = muxer.cut(Some(1121)).unwrap();
    assert_eq!(outline(&fragment.bytes), "moof[mfhd traf[tfhd tfdt trun] traf[tfhd tfdt trun]] mdat");
    let tracks = seen(&fragment.bytes);
    let video = [
        row(90_000, 3600, KEY, 7200, b"KEY"),
        row(93_600, 3600, DELTA, 7200, b"P"),
        row(97_200, 3690, DISPOSABLE, 0, b"bB"),
    ];
    let audio = [row(48_000, 1024, KEY, 0, b"a"), row(49_024, 1024, KEY, 0, b"bb"), row(50_048, 1024, KEY, 0, b"c")];
    assert_eq!((&tracks[&1][..], &tracks[&2][..]), (&video[..], &audio[..]));
    let expected = Fragment {
        bytes: fragment.bytes.clone(),
        start_ms: 1000,
        duration_ms: 121,
        starts_with_key: true,
        has_video: true,
        video_samples: 3,
        audio_samples: 3,
    };
    assert_eq!(fragment, expected);
    assert!(!muxer.has_samples());
    assert_eq!((muxer.cut(None), muxer.pending_ms()), (None, 0));
}

#[test]
fn the_buffer_of_a_fragment_is_made_in_the_right_size() {
    for frames in [
        vec![key(0, 0, b"KEY"), sound(0, b"a")],
        vec![key(0, 0, b"KEY")],
        vec![sound(0, b"a"), sound(21, b"b")],
        vec![key(0, 0, b"KEY"), sound(0, b"a"), sound(500, b"after a pause"), sound(521, b"b")],
    ] {
        let mut muxer = muxer(&[avc_header(), aac_header()]);
        frames.iter().for_each(|frame| muxer.push(frame));
        let mut out = BytesMut::new();
        muxer.put_fragment(&mut out, None).unwrap();
        assert_eq!(out.capacity(), out.len(), "{frames:?}");
        assert_eq!(seen(&out).values().map(Vec::len).sum::<usize>(), frames.len());
    }
}

#[test]
fn composition_times_may_be_negative() {
    let mut muxer = muxer(&[avc_header(), key(100, 0, b"K"), delta(140, -40, b"b")]);
    let tracks = seen(&muxer.cut(None).unwrap().bytes);
    assert_eq!(tracks[&1], [row(9000, 3600, KEY, 0, b"K"), row(12_600, 3600, DELTA, -3600, b"b")]);
}

#[test]
fn one_frame_in_a_fragment_lasts_as_long_as_the_one_before_it() {
    let mut muxer = muxer(&[avc_header()]);
    let mut durations = Vec::new();
    for (index, start_ms) in [0, 33, 67, 100].into_iter().enumerate() {
        muxer.push(&if index == 0 { key(start_ms, 0, b"K") } else { delta(start_ms, 0, b"P") });
        let fragment = muxer.cut(None).unwrap();
        assert_eq!((fragment.start_ms, fragment.starts_with_key), (start_ms, index == 0));
        let sequence = u32_at(child(&fragment.bytes, &["moof", "mfhd"]), 4);
        assert_eq!(sequence as usize, index + 1);
        durations.push(fragment.duration_ms);
    }
    assert_eq!(durations, [40, 33, 34, 33]);
}

#[test]
fn audio_alone_tells_its_own_duration() {
    let mut muxer = muxer(&[aac_header(), sound(0, b"a"), sound(21, b"b"), sound(43, b"c")]);
    assert_eq!(muxer.pending_ms(), 64);
    let fragment = muxer.cut(Some(64)).unwrap();
    assert_eq!((fragment.start_ms, fragment.duration_ms, fragment.starts_with_key), (0, 64, true));
    assert!(!fragment.has_video);
    assert_eq!(seen(&fragment.bytes)[&2].iter().map(|it| it.duration).collect::<Vec<_>>(), [1024; 3]);
}

#[test]
fn sound_alone_is_no_start_where_there_are_pictures() {
    let mut muxer = muxer(&[avc_header(), aac_header(), sound(0, b"a")]);
    let fragment = muxer.cut(None).unwrap();
    assert_eq!((fragment.starts_with_key, fragment.has_video), (false, false));
}

#[test]
fn headers_that_say_nothing_new_change_nothing() {
    let known = muxer(&[avc_header(), aac_header(), key(0, 0, b"K")]);
    let other_aac = audio(0, b"\xAF\0\x12\x10");
    let mut other_avc = [b"\x17\0\0\0\0", AVC_RECORD].concat();
    other_avc[8] = 0x20;
    let rows: [(&str, Frame, bool); 8] = [
        ("the same video header", avc_header(), false),
        ("the same audio header", aac_header(), false),
        ("another video header", video(0, &other_avc), true),
        ("another audio header", other_aac, true),
        ("a key frame", key(40, 0, b"K"), false),
        ("a damaged header", video(0, b"\x17\0\0\0\0\x01\x64"), false),
        ("a codec that is not carried", video(0, b"\x12screen"), false),
        ("MP3", audio(0, b"\x2F\xFF\xFB\x90\x64"), true),
    ];
    for (name, frame, changes) in rows {
        assert_eq!(known.changes_tracks(&frame), changes, "{name}");
        let mut muxer = known.clone();
        muxer.push(&frame);
        assert!(!muxer.changes_tracks(&frame), "{name}, twice");
        assert_eq!(muxer.init_segment() != known.init_segment(), changes, "{name}");
    }
}

#[test]
fn a_changed_track_drops_what_is_pending_of_it() {
    let mut muxer = muxer(&[avc_header(), aac_header(), key(0, 0, b"K"), sound(0, b"a")]);
    muxer.push(&audio(21, b"\xAF\0\x12\x10"));
    muxer.push(&sound(21, b"b"));
    let tracks = seen(&muxer.cut(None).unwrap().bytes);
    assert_eq!(tracks[&1].len(), 1);
    assert_eq!(tracks[&2], [row(926, 1024, KEY, 0, b"b")]);
}

#[test]
fn frames_before_their_header_and_of_other_tracks_are_passed_over() {
    let frames = [
        key(0, 0, b"K"),
        sound(0, b"a"),
        avc_header(),
        video(0, b"\x96\x01avc1\x01\0\0\0K"),
        video(0, b"\xA1hvc1\0\0\0K"),
        audio(0, b"\x2Fno MP3"),
    ];
    assert!(!muxer(&frames).has_samples());
}

#[test]
fn av1_frames_lose_their_temporal_delimiter() {
    let obus = b"\x0A\x0B\x02\0\0\x05\x21\xE7\xF6\x60\x17\xC0\x02";
    let header = [b"\x90av01\x81\0\x0C\0", &obus[..]].concat();
    let mut muxer = muxer(&[video(0, &header), video(0, b"\x91av01\x12\0\x32\x01K")]);
    assert_eq!(muxer.codecs().as_deref(), Some("av01.0.00M.08"));
    assert_eq!(muxer.dimensions(), Some((320, 180)));
    assert_eq!(seen(&muxer.cut(None).unwrap().bytes)[&1][0].data, b"\x32\x01K");
}

#[test]
fn vp9_is_a_track_from_the_first_key_frame_on() {
    let header = video(0, b"\x90vp09\x01\0\0\0\0\x0B\x82\x02\x02\x02\0\0");
    // 16x16, profile 0.
    let key_frame = video(0, &[&b"\x91vp09"[..], &[0x82, 0x49, 0x83, 0x42, 0x20, 0x00, 0xF0, 0x00, 0xF0]].concat());
    let mut muxer = Muxer::new();
    assert!(!muxer.changes_tracks(&header));
    muxer.push(&header);
    assert_eq!((muxer.init_segment(), muxer.has_video()), (None, false));
    assert!(muxer.changes_tracks(&key_frame));
    muxer.push(&key_frame);
    assert_eq!((muxer.dimensions(), muxer.has_samples()), (Some((16, 16)), true));
    assert!(!muxer.changes_tracks(&key_frame));
    assert!(!muxer.changes_tracks(&header));
}

#[test]
fn opus_may_come_without_a_header() {
    for frames in [vec![audio(0, b"\x91Opus\xFCx")], vec![audio(0, b"\x90Opus"), audio(0, b"\x91Opus\xFCx")]] {
        let mut muxer = muxer(&frames);
        assert_eq!(muxer.codecs().as_deref(), Some("opus"));
        assert_eq!(seen(&muxer.cut(None).unwrap().bytes)[&2], [row(0, 960, KEY, 0, b"\xFCx")]);
    }
    let mono = muxer(&[audio(0, b"\x90OpusOpusHead\x01\x01\x38\x01\x80\xBB\0\0\0\0\0")]);
    assert!(!mono.changes_tracks(&audio(0, b"\x91Opus\xFCx")), "a header stays");
}

#[test]
fn one_who_joins_gets_the_tracks_and_goes_on_with_later_fragments() {
    let mut live = muxer(&[avc_header(), aac_header()]);
    let frames: Vec<Frame> = (0..50)
        .flat_map(|index| {
            let picture = if index == 0 { key(0, 0, b"K") } else { delta(index * 21, 0, b"P") };
            [picture, sound(index * 1024 / 48, b"a")]
        })
        .collect();
    for frame in &frames {
        live.push(frame);
        live.cut(None);
    }
    let joined = live.joined(&frames[80..]);
    live.push(&sound(50 * 1024 / 48, b"z"));
    let next = live.cut(None).unwrap();

    let init = live.init_segment().unwrap();
    assert_eq!(joined[..init.len()], init);
    let tracks = seen(&joined[init.len()..]);
    assert_eq!((tracks[&1].len(), tracks[&2].len()), (10, 10));
    let last = tracks[&2].last().unwrap();
    assert_eq!(seen(&next.bytes)[&2][0].start, last.start + u64::from(last.duration));
    assert_eq!(live.joined(&[]), init);
    assert_eq!(Muxer::new().joined(&[]), Bytes::new());
}

#[test]
fn live_frames_follow_squeezed_ones_without_a_gap() {
    let mut live = muxer(&[avc_header(), key(0, 0, b"K"), delta(40, 0, b"P"), delta(80, 0, b"P")]);
    live.cut(None);
    let squeezed = [key(78, 0, b"K"), delta(79, 0, b"P"), delta(80, 0, b"P")];
    let joined = live.joined(&squeezed);
    let tracks = seen(&joined[live.init_segment().unwrap().len()..]);
    let durations: Vec<u32> = tracks[&1].iter().map(|sample| sample.duration).collect();
    assert_eq!(durations, [90, 90, 3600]);
}

#[test]
fn a_gap_between_fragments_is_none_in_decoding_time() {
    let mut muxer = muxer(&[avc_header(), aac_header(), key(0, 0, b"K"), sound(0, b"a"), delta(40, 0, b"P")]);
    muxer.cut(None);
    muxer.push(&delta(240, 40, b"Q"));
    muxer.push(&sound(240, b"b"));
    let fragment = muxer.cut(None).unwrap();
    let tracks = seen(&fragment.bytes);
    // The pause is a usual step, for nothing else is known.
    assert_eq!(tracks[&1], [row(80 * 90, (160 + 200) * 90, DELTA, (160 + 40) * 90, b"Q")]);
    assert_eq!(tracks[&2], [row(1024, 240 * 48, KEY, 240 * 48 - 1024, b"b")]);
    assert_eq!((fragment.start_ms, fragment.duration_ms), (80, 360));
}

#[test]
fn what_is_pending_is_bounded() {
    let mut muxer = muxer(&[avc_header()]);
    let mut payload = b"\x17\x01\0\0\0".to_vec();
    payload.resize(1 << 24, 7);
    let frame = video(0, &payload);
    for index in 0..100 {
        muxer.push(&Frame { timestamp_ms: index, ..frame.clone() });
    }
    assert!(muxer.pending_bytes() <= MAX_PENDING_BYTES);
    assert_eq!(muxer.video_queue.samples().len(), MAX_PENDING_BYTES / (payload.len() - 5));
}

/// Whether video, time, how far that may go, composition time, payload.
fn any_frame() -> impl Strategy<Value = (bool, u64, u8, i32, Vec<u8>)> {
    (any::<bool>(), any::<u64>(), 0..3_u8, any::<i32>(), any_payload())
}

/// Step of time, composition time, whether key, data.
fn any_step() -> impl Strategy<Value = (u64, i32, bool, Vec<u8>)> {
    (0..100_u64, -100..100_i32, any::<bool>(), prop::collection::vec(any::<u8>(), 1..20))
}

fn any_payload() -> impl Strategy<Value = Vec<u8>> {
    let heads: Vec<Vec<u8>> = [
        &b"\x17\0\0\0\0"[..],
        b"\x17\x01\0\0\0",
        b"\x27\x01\0\0\0",
        b"\x90hvc1",
        b"\x91hvc1\0\0\0",
        b"\x90av01\x81",
        b"\x91av01",
        b"\x90vp09",
        b"\x91vp09\x82\x49\x83\x42",
        b"\xAF\0",
        b"\xAF\x01",
        b"\x90Opus",
        b"\x90OpusOpusHead\x01",
        b"\x91Opus",
        b"\x90fLaC",
        b"\x91fLaC\xFF\xF8",
        b"\x91ac-3\x0B\x77",
        b"\x91ec-3\x0B\x77",
        b"\x2F\xFF\xFB",
        b"",
    ]
    .into_iter()
    .map(<[u8]>::to_vec)
    .chain([
        [b"\x17\0\0\0\0", AVC_RECORD].concat(),
        b"\x90av01\x81\0\x0C\0\x0A\x0B\x02\0\0\x05\x21\xE7\xF6\x60\x17\xC0\x02".to_vec(),
    ])
    .collect();
    (prop::sample::select(heads), prop::collection::vec(any::<u8>(), 0..60))
        .prop_map(|(head, rest)| [head, rest].concat())
}

proptest! {
    #[test]
    fn any_bytes_are_survived_and_every_fragment_can_be_read(
        frames in prop::collection::vec(any_frame(), 0..40),
    ) {
        let mut muxer = Muxer::new();
        let mut pushed = Vec::new();
        for (is_video, time, scale, composition_ms, payload) in frames {
            let kind = if is_video { FrameKind::Video } else { FrameKind::Audio };
            let timestamp_ms = [time % 1000, time % 1_000_000_000_000, time][usize::from(scale)];
            let mut frame = frame(kind, timestamp_ms, &payload);
            if scale > 0 {
                frame.composition_ms = composition_ms;
            }
            let changes = muxer.changes_tracks(&frame);
            let before = muxer.init_segment();
            muxer.push(&frame);
            prop_assert!(changes || muxer.init_segment() == before);
            muxer.pending_ms();
            muxer.codecs();
            if time % 3 == 0 && let Some(fragment) = muxer.cut((time % 2 == 0).then_some(time)) {
                let count: usize = seen(&fragment.bytes).values().map(Vec::len).sum();
                prop_assert_eq!(count, fragment.video_samples + fragment.audio_samples);
            }
            pushed.push(frame);
        }
        muxer.joined(&pushed);
    }

    #[test]
    fn what_was_pushed_comes_out(
        frames in prop::collection::vec(any_step(), 1..40),
        cut_every in 1..10_usize,
    ) {
        let mut muxer = muxer(&[avc_header(), aac_header()]);
        let (mut time_ms, mut sent, mut received) = (0, Vec::new(), Vec::new());
        for (index, (step_ms, composition_ms, is_key, data)) in frames.iter().enumerate() {
            time_ms += step_ms;
            if index > 0 && index % cut_every == 0 {
                let fragment = muxer.cut(Some(time_ms)).unwrap();
                received.extend(seen(&fragment.bytes).remove(&1).unwrap());
            }
            let make = if *is_key { key } else { delta };
            muxer.push(&make(time_ms, *composition_ms, data));
            sent.push((time_ms * 90, composition_ms * 90, if *is_key { KEY } else { DELTA }, data.clone()));
        }
        received.extend(seen(&muxer.cut(None).unwrap().bytes).remove(&1).unwrap());
        let received: Vec<_> = received.into_iter().map(|it| (it.start, it.composition, it.flags, it.data)).collect();
        prop_assert_eq!(received, sent);
    }
}
