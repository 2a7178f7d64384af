//! What ffmpeg reads from a file.

use std::path::Path;
use std::process::Command;

use super::program::Program;

/// One packet, or one decoded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// In microseconds, rounded to the nearest.
    pub dts_us: i64,
    /// In microseconds, rounded to the nearest.
    pub pts_us: i64,
    /// Size and digest.
    pub content: String,
}

/// What stands in one kind of track.
pub type Track = Vec<Entry>;

/// Packets of a file: video, audio.
pub fn packets(command: Command, file: &Path) -> (Track, Track) {
    list(command, file, &["-c", "copy"])
}

/// Decoded pictures and sound of a file: video, audio. Fails where the decoders complain.
pub fn decoded(command: Command, file: &Path) -> (Track, Track) {
    list(command, file, &["-fps_mode", "passthrough"])
}

fn list(mut command: Command, file: &Path, options: &[&str]) -> (Track, Track) {
    command.arg("-copyts").arg("-i").arg(file).args(["-map", "0:v?", "-map", "0:a?"]).args(options);
    command.args(["-f", "framemd5", "pipe:1"]);
    parse(&Program::start("ffmpeg lists", &mut command).succeed_quietly().stdout)
}

fn parse(lines: &[String]) -> (Track, Track) {
    let (mut is_video, mut bases) = (Vec::new(), Vec::new());
    let (mut video, mut audio) = (Vec::new(), Vec::new());
    for line in lines {
        if let Some(kind) = line.strip_prefix("#media_type ") {
            is_video.push(kind.ends_with("video"));
        }
        if let Some((_, base)) = line.strip_prefix("#tb ").and_then(|base| base.split_once(": ")) {
            let (numerator, denominator) = base.split_once('/').unwrap();
            bases.push((numerator.parse::<i64>().unwrap(), denominator.parse::<i64>().unwrap()));
        }
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let [track, dts, pts, _, size, hash, ..] = fields[..] else { continue };
        let Ok(track) = track.parse::<usize>() else { continue };
        // What ffmpeg makes of a message of FLV that is no frame.
        if size == "0" {
            continue;
        }
        let (numerator, denominator) = bases[track];
        let us = |time: &str| {
            let scaled = time.parse::<i64>().unwrap() * numerator * 1_000_000;
            (scaled + denominator / 2).div_euclid(denominator)
        };
        let entry = Entry { dts_us: us(dts), pts_us: us(pts), content: format!("{size} {hash}") };
        if is_video[track] { &mut video } else { &mut audio }.push(entry);
    }
    (video, audio)
}

/// Fails unless both have the same contents at the same times; `tolerance_us` is how far off each time may be.
#[track_caller]
pub fn assert_same(what: &str, sent: &Track, received: &Track, tolerance_us: i64) {
    for (index, (sent, received)) in sent.iter().zip(received).enumerate() {
        assert_eq!(sent.content, received.content, "{what}: {index} of {} at {} us", sent.pts_us, sent.dts_us);
        for (sent_us, received_us) in [(sent.dts_us, received.dts_us), (sent.pts_us, received.pts_us)] {
            assert!((sent_us - received_us).abs() <= tolerance_us, "{what} {index}: {sent:?} became {received:?}");
        }
    }
    assert_eq!(sent.len(), received.len(), "{what}: count");
}
