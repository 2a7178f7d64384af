//! Packets as players see them, and how they compare with what was sent.

use std::path::Path;
use std::process::Command;

use super::program::Program;

/// One audio or video packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// `audio` or `video`; in a list of several such tracks with their number before it.
    pub track: String,
    /// Decoding time in milliseconds.
    pub dts_ms: i64,
    /// Presentation time in milliseconds.
    pub pts_ms: i64,
    /// Whether it is a key frame. `false` where the tool does not say.
    pub is_key: bool,
    /// Size and digest of the payload.
    pub content: String,
}

impl Packet {
    /// Whether it is video.
    pub fn is_video(&self) -> bool {
        self.track.ends_with("video")
    }
}

/// What ffprobe is asked for, so that [`from_ffprobe`] understands its answer.
pub fn ffprobe(input: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "warning", "-show_packets", "-show_data_hash", "md5", "-of", "csv"]);
    command.args(["-show_entries", "packet=codec_type,pts,dts,size,flags,data_hash"]).arg(input);
    command
}

/// The packets of a file in the order in which they stand there.
pub fn of_file(path: &Path) -> Vec<Packet> {
    from_ffprobe(&Program::start("ffprobe of a file", &mut ffprobe(path)).succeed().stdout)
}

/// Reads the answer of [`ffprobe`].
pub fn from_ffprobe(lines: &[String]) -> Vec<Packet> {
    let mut packets = Vec::new();
    // A packet that comes with side data, a new sequence header, goes over two lines.
    for line in lines.join("\n").replace("\n,", ",").lines() {
        let fields: Vec<&str> = line.split(',').collect();
        let ["packet", kind @ ("audio" | "video"), pts, dts, size, flags, ref rest @ ..] = fields[..] else {
            continue;
        };
        let hash = rest.iter().find(|field| field.starts_with("MD5:")).unwrap();
        packets.push(Packet {
            track: kind.to_owned(),
            dts_ms: dts.parse().unwrap(),
            pts_ms: pts.parse().unwrap(),
            is_key: flags.starts_with('K'),
            content: format!("{size} {hash}"),
        });
    }
    packets
}

/// Has `command`, an ffmpeg, list the packets of `input` in a form that [`from_framemd5`] understands: without decoding
/// and at once, with the timestamps that it was sent.
pub fn framemd5(mut command: Command, input: impl AsRef<std::ffi::OsStr>) -> Command {
    command.arg("-copyts").arg("-i").arg(input);
    command.args(["-map", "0:v?", "-map", "0:a?", "-c", "copy", "-flush_packets", "1"]);
    command.args(["-f", "framemd5", "pipe:1"]);
    command
}

/// Reads a list that [`framemd5`] had made.
pub fn from_framemd5(lines: &[String]) -> Vec<Packet> {
    let mut kinds = Vec::new();
    let mut packets = Vec::new();
    for line in lines {
        if let Some(kind) = line.strip_prefix("#media_type ") {
            kinds.push(kind.replace(':', ""));
        }
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let [track, dts, pts, _, size, hash] = fields[..] else { continue };
        let Ok(track) = track.parse::<usize>() else { continue };
        packets.push(Packet {
            track: kinds[track].clone(),
            dts_ms: dts.parse().unwrap(),
            pts_ms: pts.parse().unwrap(),
            is_key: false,
            content: format!("{size} {hash}"),
        });
    }
    packets
}

/// Digests of the sequence headers, by track, that [`framemd5`] lists.
pub fn sequence_headers(lines: &[String]) -> Vec<&String> {
    lines.iter().filter(|line| line.starts_with("#extradata")).collect()
}

/// Fails unless `received` is `sent`: same packets in the same order, at the same distances in time.
#[track_caller]
pub fn assert_same(who: &str, sent: &[Packet], received: &[Packet]) {
    let (Some(first_sent), Some(first_received)) = (sent.first(), received.first()) else {
        panic!("{who}: {} packets sent, {} received", sent.len(), received.len());
    };
    let shift_ms = first_received.dts_ms - first_sent.dts_ms;
    for (index, (sent, received)) in sent.iter().zip(received).enumerate() {
        let expected = Packet { dts_ms: sent.dts_ms + shift_ms, pts_ms: sent.pts_ms + shift_ms, ..sent.clone() };
        assert_eq!(*received, expected, "{who}: packet {index}");
    }
    assert_eq!(received.len(), sent.len(), "{who}: number of packets");
}

/// Fails where time does not grow within a track.
#[track_caller]
pub fn assert_time_grows(who: &str, packets: &[Packet]) {
    for track in ["audio", "video"] {
        let of_track: Vec<&Packet> = packets.iter().filter(|packet| packet.track.ends_with(track)).collect();
        for pair in of_track.windows(2) {
            let (earlier, later) = (pair[0], pair[1]);
            assert!(later.dts_ms > earlier.dts_ms, "{who}: {later:?} after {earlier:?}");
        }
    }
}

/// The packets of `track` only.
pub fn only(track: &str, packets: &[Packet]) -> Vec<Packet> {
    packets.iter().filter(|packet| packet.track.ends_with(track)).cloned().collect()
}
