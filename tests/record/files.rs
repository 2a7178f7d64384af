//! What ffmpeg thinks of recorded files.

use std::path::Path;
use std::process::Command;

use rtmpd::config::RecordFormat;
use rtmpd::server::disk::repair_directory;

use super::media::{AAC, H264, PICTURE, Scratch, TONE, ffmpeg, make_clip};
use super::packets;
use super::program::Program;
use super::recording::{frames, record};

const SECONDS: &str = "6";
const EVERY: [RecordFormat; 4] = [RecordFormat::Flv, RecordFormat::Ts, RecordFormat::Mp4, RecordFormat::Es];

/// What ffprobe answers, without a warning.
fn probe(file: &Path, arguments: &[&str]) -> Vec<String> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "warning", "-of", "csv=p=0"]).args(arguments).arg(file);
    Program::start(&format!("ffprobe {}", file.display()), &mut command).succeed_quietly().stdout
}

fn duration(file: &Path) -> f64 {
    probe(file, &["-show_entries", "format=duration"])[0].parse().unwrap()
}

fn pictures(file: &Path) -> usize {
    let arguments = ["-count_frames", "-select_streams", "v", "-show_entries", "stream=nb_read_frames"];
    probe(file, &arguments)[0].trim_end_matches(',').parse().unwrap()
}

/// Decodes all of a file, without a complaint of any decoder.
fn decode(file: &Path) {
    let mut command = ffmpeg();
    command.arg("-i").arg(file).args(["-f", "null", "-"]);
    let mut told = Program::start(&format!("ffmpeg decodes {}", file.display()), &mut command).succeed().stderr;
    // Streams without a container have no duration to tell.
    told.retain(|line| !line.contains("Estimating duration from bitrate"));
    assert_eq!(told, Vec::<String>::new(), "{}", file.display());
}

fn assert_duration(file: &Path, expected: f64) {
    let found = duration(file);
    assert!((found - expected).abs() < 0.1, "{}: {found} s, not {expected}", file.display());
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn files_of_every_format_are_whole() {
    let scratch = Scratch::new();
    let clip = make_clip(&scratch, "clip.flv", SECONDS, &[PICTURE, TONE, H264, AAC]);
    let (files, _) = record(&scratch.file("recorded"), &frames(&clip, 10_000), &EVERY);
    let ends: Vec<&str> = files.iter().map(|file| file.extension().unwrap().to_str().unwrap()).collect();
    assert_eq!(ends.len(), 5, "{ends:?}");
    for (file, end) in files.iter().zip(ends) {
        decode(file);
        if end != "aac" {
            assert_eq!(pictures(file), 150, "{end}");
        }
        if matches!(end, "flv" | "ts" | "mp4") {
            assert_duration(file, 6.0);
        }
    }
    let sent = packets::of_file(&clip);
    let of = |end: &str| files.iter().find(|file| file.extension().unwrap() == end).unwrap();
    packets::assert_same("FLV", &sent, &packets::of_file(of("flv")));
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn a_killed_flv_plays_and_is_repaired() {
    let scratch = Scratch::new();
    let clip = make_clip(&scratch, "clip.flv", SECONDS, &[PICTURE, TONE, H264, AAC]);
    let directory = scratch.file("recorded");
    let (files, unfinished) = record(&directory, &frames(&clip, 0), &[RecordFormat::Flv]);
    let whole = std::fs::read(&files[0]).unwrap();
    let unfinished = &unfinished[0];
    assert!(*unfinished != whole);
    std::fs::write(&files[0], unfinished).unwrap();
    decode(&files[0]);
    assert_eq!(pictures(&files[0]), 150);
    // Killed in the middle of a frame.
    std::fs::write(&files[0], &unfinished[..unfinished.len() - 5]).unwrap();
    let (repaired, problems) = repair_directory(&directory);
    assert_eq!((repaired.len(), problems.len()), (1, 0));
    decode(&files[0]);
    assert_duration(&files[0], 6.0);
    // Killed just before its end was written.
    std::fs::write(&files[0], unfinished).unwrap();
    assert_eq!(repair_directory(&directory).0.len(), 1);
    assert!(std::fs::read(&files[0]).unwrap() == whole);
}

/// Bytes that ffprobe reads to come to the first picture from `at` on, and when that picture is shown, in seconds.
fn seek(file: &Path, at: &str) -> (usize, f64) {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "debug", "-read_intervals", &format!("{at}%+#1"), "-select_streams", "v"]);
    command.args(["-show_entries", "packet=pts_time", "-of", "csv=p=0"]).arg(file);
    let finished = Program::start("ffprobe seeks", &mut command).succeed();
    let read = finished.stderr.iter().filter_map(|line| line.split_once("Statistics: ")?.1.split_once(" bytes read"));
    let read = read.map(|(bytes, _)| bytes.parse().unwrap()).max().unwrap();
    (read, finished.stdout[0].trim_end_matches(',').parse().unwrap())
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn players_jump_by_the_index() {
    let scratch = Scratch::new();
    let large: &[&str] =
        &["-b:v", "4M", "-minrate", "4M", "-maxrate", "4M", "-bufsize", "1M", "-x264-params", "nal-hrd=cbr"];
    let clip = make_clip(&scratch, "clip.flv", "20", &[PICTURE, TONE, H264, large, AAC]);
    let (files, unfinished) = record(&scratch.file("recorded"), &frames(&clip, 0), &[RecordFormat::Flv]);
    let size = unfinished[0].len();
    let (read, at_s) = seek(&files[0], "18");
    assert!((17.0..=18.2).contains(&at_s), "{at_s}");
    assert!(read < size / 2, "{read} of {size} bytes read: not by the index");
    // Without one all that stands before has to be read.
    std::fs::write(&files[0], &unfinished[0]).unwrap();
    let (read, _) = seek(&files[0], "18");
    assert!(read > size / 2, "{read} of {size} bytes read");
}
