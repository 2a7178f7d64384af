//! Recorded files, and what ffmpeg thinks of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::media::ffmpeg;
use super::program::Program;

/// All files below `directory`, in the order of their names.
pub fn below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            files.extend(below(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files.sort();
    files
}

/// Seconds that a file plays, once ffprobe and ffmpeg have read all of it without a word.
pub fn plays(file: &Path) -> f64 {
    let name = file.display();
    let mut probe = Command::new("ffprobe");
    probe.args(["-v", "warning", "-show_entries", "packet=pts_time,duration_time", "-of", "csv=p=0"]).arg(file);
    let packets = Program::start(&format!("ffprobe {name}"), &mut probe).succeed_quietly().stdout;
    let mut decode = ffmpeg();
    decode.args(["-xerror", "-v", "error", "-i"]).arg(file).args(["-f", "null", "-"]);
    Program::start(&format!("ffmpeg decodes {name}"), &mut decode).succeed_quietly();
    let times: Vec<f64> = packets.iter().filter_map(|line| line.split(',').next()?.parse().ok()).collect();
    let first = times.iter().copied().fold(f64::INFINITY, f64::min);
    let last = times.iter().copied().fold(0.0, f64::max);
    last - first
}
