//! Encoders that do it right, and those that do not.

use bytes::Bytes;

use super::*;
use crate::media::TrackSet;

/// 640x360, baseline, without VUI.
const AVC_HEADER: &[u8] =
    b"\x17\0\0\0\0\x01\x42\xC0\x1E\xFF\xE1\0\x09\x67\x42\xC0\x1E\xDA\x02\x80\xBF\xE5\x01\0\x01\x68";
const AAC_HEADER: &[u8] = b"\xAF\0\x12\x10";

struct Rig {
    now: Instant,
    monitor: StreamMonitor,
    anomalies: u64,
    found: Vec<&'static str>,
}

impl Rig {
    fn new() -> Self {
        Rig { now: Instant::now(), monitor: StreamMonitor::default(), anomalies: 0, found: Vec::new() }
    }

    fn send(&mut self, kind: FrameKind, timestamp: u32, payload: &[u8]) {
        let info = match kind {
            FrameKind::Video => tag::video_info(payload),
            _ => tag::audio_info(payload),
        };
        let payload = Bytes::copy_from_slice(payload);
        let (role, tracks) = (info.role, info.tracks);
        let frame = IncomingFrame { kind, role, tracks, timestamp, composition_ms: 0, payload };
        if self.monitor.frame(self.now, &frame) {
            self.found.extend(self.monitor.check(self.now, self.anomalies).iter().map(|warning| warning.kind.name()));
        }
    }

    fn headers(&mut self) {
        self.send(FrameKind::Video, 0, AVC_HEADER);
        self.send(FrameKind::Audio, 0, AAC_HEADER);
    }

    /// 25 pictures of 1000 bytes a second, and sound of 100 bytes beside each, for so many of them.
    fn play(&mut self, source: &Source, pictures: u32) {
        for number in 0..pictures {
            let key = number.is_multiple_of(source.gop);
            let mut picture = vec![0; 1000];
            picture[..2].copy_from_slice(if key { b"\x17\x01" } else { b"\x27\x01" });
            let timestamp = source.start.wrapping_add(number * 40);
            self.send(FrameKind::Video, timestamp, &picture);
            let mut sound = vec![0; 100];
            sound[..2].copy_from_slice(b"\xAF\x01");
            self.send(FrameKind::Audio, timestamp.wrapping_add(source.audio_ahead_ms), &sound);
            self.now += Duration::from_millis(40);
        }
    }
}

struct Source {
    gop: u32,
    start: u32,
    audio_ahead_ms: u32,
}

const GOOD: Source = Source { gop: 50, start: 0, audio_ahead_ms: 20 };

#[test]
fn a_stream_is_told_in_numbers() {
    // The publisher's clock wraps meanwhile.
    for start in [0, u32::MAX - 5_000] {
        let mut rig = Rig::new();
        rig.headers();
        rig.play(&Source { start, ..GOOD }, 300);
        let video = rig.monitor.video(rig.now).unwrap();
        assert_eq!((video.codec, video.dimensions), (CodecId::Avc, Some((640, 360))));
        assert_eq!((video.gop_ms, video.frame_rate, video.bitrate_bps), (Some(2_000), Some(25.0), 200_000));
        let audio = rig.monitor.audio(rig.now).unwrap();
        assert_eq!((audio.codec, audio.sample_rate, audio.channels), (CodecId::Aac, Some(44_100), Some(2)));
        assert_eq!(audio.bitrate_bps, 20_000);
        assert_eq!(rig.found, [""; 0]);
        rig.now += Duration::from_secs(3);
        assert_eq!(rig.monitor.video(rig.now).unwrap().bitrate_bps, 0, "it fell silent");
    }
}

#[test]
fn sound_without_headers_is_read_from_its_frames() {
    type Row = (&'static str, &'static [u8], CodecId, Option<u32>, Option<u8>);
    let rows: [Row; 3] = [
        ("MP3, 44.1 kHz, stereo", b"\x2F\xFF\xFB\x90\x00\0\0\0", CodecId::Mp3, Some(44_100), Some(2)),
        ("Speex", b"\xB6abcdef", CodecId::Other, None, None),
        ("Opus without its header", b"\x91Opus\xFC\xFF\xFE", CodecId::Opus, None, None),
    ];
    for (name, payload, codec, sample_rate, channels) in rows {
        let mut rig = Rig::new();
        rig.send(FrameKind::Audio, 0, payload);
        let audio = rig.monitor.audio(rig.now).unwrap();
        assert_eq!((audio.codec, audio.sample_rate, audio.channels), (codec, sample_rate, channels), "{name}");
    }
}

#[test]
fn each_mistake_of_an_encoder_is_told_once() {
    type Row = (&'static str, fn(&mut Rig), &'static [&'static str]);
    let rows: [Row; 8] = [
        ("nothing wrong", |rig| rig.play(&GOOD, 600), &[]),
        ("a key frame every 10 s", |rig| rig.play(&Source { gop: 250, ..GOOD }, 600), &["long-gop"]),
        ("one key frame only", |rig| rig.play(&Source { gop: 1_000, ..GOOD }, 150), &["long-gop"]),
        ("sound 1.5 s ahead", |rig| rig.play(&Source { audio_ahead_ms: 1_500, ..GOOD }, 200), &["audio-video-apart"]),
        (
            "the clock is corrected again and again",
            |rig| {
                for _ in 0..4 {
                    rig.play(&GOOD, 50);
                    rig.anomalies += 1;
                }
                rig.play(&GOOD, 50);
            },
            &["clock-jumps"],
        ),
        (
            "twice the rate that was promised",
            |rig| {
                let declared = Declared { video_bps: Some(100_000), audio_bps: Some(20_000), frame_rate: None };
                rig.monitor.set_declared(declared);
                rig.play(&GOOD, 300);
            },
            &["bitrate-above-metadata"],
        ),
        (
            "a little more than was promised",
            |rig| {
                rig.monitor.set_declared(Declared { video_bps: Some(140_000), ..Declared::default() });
                rig.play(&GOOD, 300);
            },
            &[],
        ),
        (
            "a pause",
            |rig| {
                rig.play(&GOOD, 100);
                rig.now += Duration::from_secs(100);
                rig.play(&Source { start: 100_000, ..GOOD }, 100);
            },
            &["long-gop"],
        ),
    ];
    for (name, play, expected) in rows {
        let mut rig = Rig::new();
        rig.headers();
        play(&mut rig);
        assert_eq!(rig.found, expected, "{name}");
        let told: Vec<_> = rig.monitor.warnings().iter().map(|warning| warning.kind.name()).collect();
        assert_eq!(told, expected, "{name}");
    }
}

#[test]
fn aac_without_its_header_is_told() {
    let mut rig = Rig::new();
    rig.play(&GOOD, 100);
    assert_eq!(rig.found, ["aac-without-header"]);
    assert_eq!(rig.monitor.audio(rig.now).unwrap().codec, CodecId::Aac);
}

#[test]
fn frames_of_other_tracks_count_as_bytes_only() {
    let mut rig = Rig::new();
    rig.headers();
    rig.play(&GOOD, 100);
    let mut tracks = TrackSet::EMPTY;
    tracks.insert(1);
    let payload = Bytes::from_static(&[0; 500]);
    for timestamp in 0..50 {
        let (kind, role) = (FrameKind::Video, FrameRole::Key);
        rig.monitor.frame(
            rig.now,
            &IncomingFrame { kind, role, tracks, timestamp, composition_ms: 0, payload: payload.clone() },
        );
    }
    assert_eq!(rig.monitor.video(rig.now).unwrap().gop_ms, Some(2_000));
}
