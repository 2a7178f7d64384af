//! MPEG-TS.

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::BytesMut;
use rtmpd::container::mpegts::Muxer;
use rtmpd::media::{Frame, FrameKind};

use super::clips::{
    HEVC, assert_each_same, assert_nobody_complains, frames_of, make_flv, packets_of, pictures_of, sound_of,
};
use super::media::{AAC, H264, PICTURE, Scratch, TONE, ffmpeg, new_ffmpeg};
use super::packets::{Packet, only};

/// Which programs read it as something.
const READERS: [fn() -> Command; 2] = [ffmpeg, new_ffmpeg];

fn write(scratch: &Scratch, name: &str, bytes: &[u8]) -> PathBuf {
    let path = scratch.file(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn mux(frames: &[Frame]) -> BytesMut {
    let (mut muxer, mut out) = (Muxer::new(), BytesMut::new());
    frames.iter().for_each(|frame| muxer.push(frame, &mut out));
    out
}

/// Time in ticks, of packets in milliseconds.
fn in_ticks(packets: &[Packet]) -> Vec<(i64, i64)> {
    packets.iter().map(|packet| (packet.dts_ms * 90, packet.pts_ms * 90)).collect()
}

fn times(packets: &[Packet]) -> Vec<(i64, i64)> {
    packets.iter().map(|packet| (packet.dts_ms, packet.pts_ms)).collect()
}

/// Muxes a clip and has all readers compare it with the FLV that it came from: every packet's time to the tick, every
/// picture, all sound. `filter` takes off what an audio packet has in MPEG-TS only.
fn is_as_it_was(arguments: &[&[&str]], kinds: &[&str], filter: &[&str]) {
    let scratch = Scratch::new();
    let clip = make_flv(&scratch, "4", arguments);
    let ours = write(&scratch, "ours.ts", &mux(&frames_of(&clip)));
    assert_nobody_complains(&ours, "warning");
    assert_same_as_clip(&clip, &ours, kinds, filter);
}

fn assert_same_as_clip(clip: &Path, ours: &Path, kinds: &[&str], filter: &[&str]) {
    // Only the current ffmpeg knows all codecs in FLV.
    let mut sent = packets_of(new_ffmpeg(), clip, &[]);
    // ffmpeg makes an empty packet of the message that tells the places of channels.
    sent.retain(|packet| !packet.content.starts_with("0 "));
    for reader in READERS {
        let received = packets_of(reader(), ours, filter);
        for kind in ["video", "audio"] {
            let (sent, received) = (only(kind, &sent), only(kind, &received));
            assert_eq!(!sent.is_empty(), kinds.contains(&kind));
            assert_each_same(kind, &in_ticks(&sent), &times(&received));
            let contents = |packets: &[Packet]| packets.iter().map(|packet| packet.content.clone()).collect::<Vec<_>>();
            if kind == "audio" {
                assert_each_same("payload", &contents(&sent), &contents(&received));
            }
        }
    }
    if kinds.contains(&"video") {
        assert_each_same("picture", &pictures_of(new_ffmpeg(), clip), &pictures_of(new_ffmpeg(), ours));
    }
}

const ASC: &[&str] = &["-bsf:a", "aac_adtstoasc"];

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn h264_with_b_frames_and_aac() {
    is_as_it_was(&[PICTURE, TONE, H264, AAC], &["video", "audio"], ASC);
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn h264_alone() {
    is_as_it_was(&[PICTURE, H264], &["video"], &[]);
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn aac_alone_as_it_was() {
    is_as_it_was(&[TONE, AAC], &["audio"], ASC);
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn aac_of_seven_channels_which_only_a_program_config_element_tells() {
    let scratch = Scratch::new();
    let channels = ["-af", "aformat=channel_layouts=6.1"];
    let clip = make_flv(&scratch, "2", &[TONE, &channels, AAC]);
    let ours = write(&scratch, "ours.ts", &mux(&frames_of(&clip)));
    assert_nobody_complains(&ours, "warning");
    assert_eq!(sound_of(new_ffmpeg(), &ours), sound_of(new_ffmpeg(), &clip));
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn hevc_and_ac3() {
    is_as_it_was(&[PICTURE, TONE, HEVC, &["-c:a", "ac3"]], &["video", "audio"], &[]);
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn h264_and_mp3() {
    is_as_it_was(&[PICTURE, TONE, H264, &["-c:a", "libmp3lame"]], &["video", "audio"], &[]);
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn mp3_of_a_low_rate_alone() {
    is_as_it_was(&[TONE, &["-c:a", "libmp3lame", "-ar", "22050"]], &["audio"], &[]);
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn h264_and_enhanced_ac3() {
    is_as_it_was(&[PICTURE, TONE, H264, &["-c:a", "eac3"]], &["video", "audio"], &[]);
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn hevc_and_opus() {
    is_as_it_was(&[PICTURE, TONE, HEVC, &["-c:a", "libopus"]], &["video", "audio"], &[]);
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn opus_of_six_channels() {
    let channels = ["-af", "aformat=channel_layouts=5.1", "-c:a", "libopus"];
    is_as_it_was(&[TONE, &channels], &["audio"], &[]);
}

/// Key frames longer than a PES packet can tell.
#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn large_pictures() {
    let noise = ["-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25,noise=alls=60:allf=t"];
    let codec = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "35"];
    let scratch = Scratch::new();
    let clip = make_flv(&scratch, "2", &[&noise, &codec]);
    let frames = frames_of(&clip);
    assert!(frames.iter().any(|frame| frame.payload.len() > 65_535));
    let ours = write(&scratch, "ours.ts", &mux(&frames));
    assert_nobody_complains(&ours, "warning");
    assert_same_as_clip(&clip, &ours, &["video"], &[]);
}

/// At every tenth frame somebody joins: the GOP so far, then what all get.
#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn who_joins_reads_without_a_gap() {
    let scratch = Scratch::new();
    let frames = frames_of(&make_flv(&scratch, "4", &[PICTURE, TONE, H264, AAC]));
    let (mut muxer, mut shared) = (Muxer::new(), BytesMut::new());
    let mut key_at = None;
    for (index, frame) in frames.iter().enumerate() {
        muxer.push(frame, &mut shared);
        if frame.is_video_key() {
            key_at = Some(index);
        }
        let Some(key_at) = key_at.filter(|_| index % 40 == 39) else { continue };
        let mut bytes = BytesMut::new();
        muxer.joined(&frames[key_at..=index], &mut bytes);
        let mut going_on = muxer.clone();
        frames[index + 1..].iter().for_each(|frame| going_on.push(frame, &mut bytes));
        let ours = write(&scratch, "joined.ts", &bytes);
        assert_nobody_complains(&ours, "warning");
        let coded = frames[key_at..].iter().filter(|frame| frame.is_coded()).count();
        assert_eq!(packets_of(ffmpeg(), &ours, &[]).len(), coded, "joined at {index}");
    }
}

/// Audio that comes two seconds late is read too.
#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn audio_that_appears_later_is_read() {
    let scratch = Scratch::new();
    let mut frames = frames_of(&make_flv(&scratch, "4", &[PICTURE, TONE, H264, AAC]));
    frames.retain(|frame| frame.kind == FrameKind::Video || !frame.is_coded() || frame.timestamp_ms > 2000);
    frames.sort_by_key(|frame| match frame.kind {
        FrameKind::Audio => frame.timestamp_ms.max(2000),
        _ => frame.timestamp_ms,
    });
    let ours = write(&scratch, "ours.ts", &mux(&frames));
    assert_nobody_complains(&ours, "warning");
    let coded = frames.iter().filter(|frame| frame.is_coded()).count();
    let mut longer = ffmpeg();
    longer.args(["-probesize", "10M", "-analyzeduration", "10M"]);
    assert_eq!(packets_of(longer, &ours, &[]).len(), coded);
}
