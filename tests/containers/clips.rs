//! FLV clips, as frames and as ffmpeg reads them.

use std::path::{Path, PathBuf};
use std::process::Command;

use rtmpd::container::flv::file::{FlvDemuxer, tag_type};
use rtmpd::container::flv::tag;
use rtmpd::media::{Frame, FrameKind};

use super::media::{Scratch, new_ffmpeg};
use super::packets::{Packet, framemd5, from_framemd5};
use super::program::Program;

/// HEVC with B-frames, a key frame each second.
pub const HEVC: &[&str] = &["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:bframes=2"];

/// A clip of `seconds` in FLV, made by a current ffmpeg.
pub fn make_flv(scratch: &Scratch, seconds: &str, arguments: &[&[&str]]) -> PathBuf {
    let path = scratch.file("clip.flv");
    let mut command = new_ffmpeg();
    command.args(arguments.concat()).args(["-pix_fmt", "yuv420p", "-g", "25", "-t", seconds]);
    command.args(["-flvflags", "no_duration_filesize"]).arg(&path);
    Program::start("ffmpeg makes a clip", &mut command).succeed();
    path
}

/// The frames of an FLV file.
pub fn frames_of(path: &Path) -> Vec<Frame> {
    let bytes = std::fs::read(path).unwrap();
    let mut demuxer = FlvDemuxer::new(1 << 24);
    let mut input = &bytes[..];
    let mut frames = Vec::new();
    while let Some(tag) = demuxer.demux(&mut input).unwrap() {
        let (kind, info) = match tag.tag_type {
            tag_type::AUDIO => (FrameKind::Audio, tag::audio_info(&tag.body)),
            tag_type::VIDEO => (FrameKind::Video, tag::video_info(&tag.body)),
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

/// The packets of a file as `command`, an ffmpeg, reads them without decoding, in units of the file's own clock.
/// `filter` makes payloads comparable.
pub fn packets_of(command: Command, path: &Path, filter: &[&str]) -> Vec<Packet> {
    let listing = framemd5(command, path);
    let (name, before) = {
        let mut arguments: Vec<_> = listing.get_args().map(ToOwned::to_owned).collect();
        (arguments.pop().unwrap(), arguments)
    };
    // Options of the output stand before its name.
    let mut command = Command::new(listing.get_program());
    command.args(before).args(filter).arg(name);
    let lines = Program::start("ffmpeg reads packets", &mut command).succeed_quietly().stdout;
    // Behind the six fields there may be digests of what the container adds.
    let cut = lines.iter().map(|line| match line.starts_with('#') {
        true => line.clone(),
        false => line.split(',').take(6).collect::<Vec<_>>().join(","),
    });
    from_framemd5(&cut.collect::<Vec<_>>())
}

/// Fails at the first difference, so that it can be read.
#[track_caller]
pub fn assert_each_same<T: PartialEq + std::fmt::Debug>(what: &str, sent: &[T], received: &[T]) {
    for (index, (sent, received)) in sent.iter().zip(received).enumerate() {
        assert_eq!(received, sent, "{what} {index}");
    }
    assert_eq!(received.len(), sent.len(), "number: {what}");
}

/// Pictures as `command` decodes them: time in ticks of 90 kHz, and digest.
pub fn pictures_of(mut command: Command, path: &Path) -> Vec<Packet> {
    command.arg("-copyts").arg("-i").arg(path).args(["-map", "0:v?", "-fps_mode", "passthrough"]);
    command.args(["-enc_time_base", "1:90000", "-f", "framemd5", "pipe:1"]);
    from_framemd5(&Program::start("ffmpeg decodes pictures", &mut command).succeed_quietly().stdout)
}

/// A digest of all sound that `command` decodes.
pub fn sound_of(mut command: Command, path: &Path) -> Vec<String> {
    command.args(["-v", "error", "-i"]).arg(path).args(["-map", "0:a?", "-f", "md5", "pipe:1"]);
    Program::start("ffmpeg decodes sound", &mut command).succeed_quietly().stdout
}

/// Has ffprobe and both ffmpegs read and decode all of a file; none of them may say a word. `level` is the least that
/// counts, normally `warning`.
pub fn assert_nobody_complains(path: &Path, level: &str) {
    let mut probe = Command::new("ffprobe");
    probe.args(["-v", level, "-show_streams", "-show_packets"]).arg(path);
    Program::start("ffprobe", &mut probe).succeed_quietly();
    for mut command in [super::media::ffmpeg(), new_ffmpeg()] {
        command.args(["-v", level, "-i"]).arg(path).args(["-map", "0", "-f", "null", "-"]);
        Program::start("ffmpeg decodes", &mut command).succeed_quietly();
    }
}
