//! Every codec, cut in every way.

use std::path::Path;
use std::process::Command;

use super::cuts::{CUTS, Cut, frames, joined_from, mux};
use super::media::{AAC, H264, H264_NO_B, PICTURE, Scratch, TONE, ffmpeg, new_ffmpeg};
use super::program::Program;
use super::readback::{Entry, Track, assert_same, decoded, packets};

const HEVC: &[&str] = &["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:bframes=3"];
const AV1: &[&str] = &["-c:v", "libsvtav1", "-preset", "12"];
const VP9: &[&str] = &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"];

/// An audio time is counted in samples; the millisecond clock of the source was rounded.
const AUDIO_TOLERANCE_US: i64 = 2000;

/// Whether the packets of a file are byte for byte those that were sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Packets {
    Same,
    /// A part that files do not carry is taken off video packets.
    Shorter,
}

/// Makes a clip in FLV with `maker`, muxes it in every way, and has `reader` read all of them.
fn plays_as_it_was_sent(maker: fn() -> Command, reader: fn() -> Command, arguments: &[&[&str]], kind: Packets) {
    let scratch = Scratch::new();
    let clip = scratch.file("clip.flv");
    let mut command = maker();
    command.args(arguments.concat()).args(["-g", "25", "-t", "3", "-flvflags", "no_duration_filesize"]).arg(&clip);
    Program::start("ffmpeg makes a clip", &mut command).succeed();
    let frames = frames(&clip);
    let sent = packets(maker(), &clip);
    assert!(sent.0.len() + sent.1.len() > 70, "the clip is empty");
    let pictures = decoded(maker(), &clip).0;
    for cut in CUTS {
        let file = scratch.file(&format!("{cut:?}.mp4"));
        std::fs::write(&file, mux(&frames, cut)).unwrap();
        let from_us = if cut == Cut::Joined { frames[joined_from(&frames)].timestamp_ms as i64 * 1000 } else { 0 };
        let of_part = |track: &Track, time: fn(&Entry) -> i64| -> Track {
            track.iter().filter(|entry| time(entry) >= from_us).cloned().collect()
        };
        let received = packets(reader(), &file);
        let mut sent_video = of_part(&sent.0, |it| it.dts_us);
        if kind == Packets::Shorter {
            assert_eq!(received.0.len(), sent_video.len(), "{cut:?}");
            for (sent, received) in sent_video.iter_mut().zip(&received.0) {
                sent.content.clone_from(&received.content);
            }
        }
        assert_same(&format!("{cut:?}, video packet"), &sent_video, &received.0, 500);
        let sent_audio = of_part(&sent.1, |it| it.dts_us);
        let skipped = sent_audio.len().saturating_sub(received.1.len());
        assert!(skipped <= usize::from(cut == Cut::Joined), "{cut:?}: audio packets are missing");
        assert_same(
            &format!("{cut:?}, audio packet"),
            &sent_audio[skipped..].to_vec(),
            &received.1,
            AUDIO_TOLERANCE_US,
        );
        // B-frames before the first key frame of one who joins cannot be shown.
        let shown = decoded(reader(), &file).0;
        let expected = of_part(&pictures, |it| it.pts_us).len();
        assert!((expected.saturating_sub(3)..=pictures.len()).contains(&shown.len()), "{cut:?}: pictures are missing");
        let last = pictures[pictures.len() - shown.len()..].to_vec();
        assert_same(&format!("{cut:?}, picture"), &last, &shown, 500);
        probe(&file);
    }
}

/// The distribution's ffprobe has nothing to complain of.
fn probe(file: &Path) {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "warning", "-show_packets", "-of", "csv"]).arg(file);
    Program::start("ffprobe", &mut command).succeed_quietly();
}

fn classic(arguments: &[&[&str]]) {
    plays_as_it_was_sent(ffmpeg, ffmpeg, arguments, Packets::Same);
    plays_as_it_was_sent(ffmpeg, new_ffmpeg, arguments, Packets::Same);
}

fn enhanced(arguments: &[&[&str]], kind: Packets) {
    plays_as_it_was_sent(new_ffmpeg, new_ffmpeg, arguments, kind);
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn h264_with_b_frames_and_aac() {
    classic(&[PICTURE, TONE, H264, AAC]);
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn h264_at_29_97_and_aac_at_44_1_khz() {
    let picture = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30000/1001"];
    let tone = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100"];
    classic(&[&picture, &tone, H264_NO_B, AAC]);
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn h264_alone() {
    classic(&[PICTURE, H264]);
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn aac_alone() {
    classic(&[TONE, AAC]);
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn h264_and_mp3() {
    let tone = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100"];
    classic(&[PICTURE, &tone, H264, &["-c:a", "libmp3lame"]]);
}

#[test]
#[ignore = "needs a current ffmpeg: run scripts/test.sh"]
fn hevc_with_b_frames_and_opus() {
    enhanced(&[PICTURE, TONE, HEVC, &["-c:a", "libopus"]], Packets::Same);
}

#[test]
#[ignore = "needs a current ffmpeg: run scripts/test.sh"]
fn av1_and_flac() {
    enhanced(&[PICTURE, TONE, AV1, &["-c:a", "flac"]], Packets::Shorter);
}

#[test]
#[ignore = "needs a current ffmpeg: run scripts/test.sh"]
fn vp9_and_ac3() {
    enhanced(&[PICTURE, TONE, VP9, &["-c:a", "ac3"]], Packets::Same);
}

#[test]
#[ignore = "needs a current ffmpeg: run scripts/test.sh"]
fn h264_and_enhanced_ac3_surround() {
    enhanced(&[PICTURE, TONE, H264, &["-c:a", "eac3", "-ac", "6"]], Packets::Same);
}

#[test]
#[ignore = "needs a current ffmpeg: run scripts/test.sh"]
fn opus_surround() {
    enhanced(&[TONE, &["-c:a", "libopus", "-ac", "6"]], Packets::Same);
}
