//! Clips to publish, made in a directory that goes with the test.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::program::Program;

/// Codecs of an Enhanced RTMP stream, as the option of a current ffmpeg wants them.
pub const ENHANCED_CODECS: &str = "avc1,hvc1,av01,vp09,mp4a,Opus,fLaC,ac-3,ec-3,.mp3";

/// A picture that changes all over, small enough to be encoded in no time.
pub const PICTURE: &[&str] = &["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25"];

/// A tone.
pub const TONE: &[&str] = &["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"];

/// H.264 with B-frames, a key frame each second.
pub const H264: &[&str] =
    &["-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "25", "-sc_threshold", "0", "-pix_fmt", "yuv420p"];

/// H.264 without B-frames.
pub const H264_NO_B: &[&str] =
    &["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25", "-pix_fmt", "yuv420p"];

/// AAC.
pub const AAC: &[&str] = &["-c:a", "aac", "-b:a", "64k"];

/// A directory that is removed with the test, unless it failed.
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A new, empty directory.
    pub fn new() -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("interop-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Scratch { path }
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("files are kept in {}", self.path.display());
        } else {
            // Left over files do no harm; they are below target/.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// The distribution's ffmpeg.
pub fn ffmpeg() -> Command {
    quiet(Command::new("ffmpeg"))
}

/// A current ffmpeg, which speaks Enhanced RTMP.
pub fn new_ffmpeg() -> Command {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools/ffmpeg");
    quiet(Command::new(std::env::var_os("RTMPD_TEST_FFMPEG").unwrap_or(installed.into())))
}

fn quiet(mut command: Command) -> Command {
    command.args(["-hide_banner", "-nostdin", "-nostats", "-y", "-v", "warning"]);
    command
}

/// Makes a clip of `seconds` with the distribution's ffmpeg. Its name says the container.
pub fn make_clip(scratch: &Scratch, name: &str, seconds: &str, arguments: &[&[&str]]) -> PathBuf {
    let path = scratch.file(name);
    let mut command = ffmpeg();
    command.args(arguments.concat()).args(["-t", seconds]).args(flv_flags(name)).arg(&path);
    Program::start("ffmpeg makes a clip", &mut command).succeed();
    path
}

/// Has `command` copy all tracks of `clip` into the FLV file that publishing the same way would be, and gives its path.
pub fn remux(command: Command, scratch: &Scratch, clip: &Path, options: &[&str]) -> PathBuf {
    let path = scratch.file("sent.flv");
    Program::start("ffmpeg remuxes", &mut copying(command, clip, options, path.as_os_str())).succeed();
    path
}

/// Has `command` publish all tracks of `clip` as they are, as quickly as the server takes them.
pub fn publish(command: Command, clip: &Path, options: &[&str], url: &str) -> Program {
    Program::start("publisher", &mut copying(command, clip, options, url.as_ref()))
}

/// Like [`publish`], at the speed at which a camera would.
pub fn publish_live(mut command: Command, clip: &Path, url: &str) -> Program {
    command.arg("-re");
    publish(command, clip, &[], url)
}

/// Publishes a moving picture and a tone, encoded as they go, with B-frames and a key frame each second, without end.
pub fn publish_endless(url: &str) -> Program {
    let mut command = ffmpeg();
    command.arg("-re").args(PICTURE).arg("-re").args(TONE);
    command.args(["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"]);
    command.args(["-bf", "2", "-x264-params", "b-adapt=0", "-g", "25"]).args(AAC).args(["-f", "flv", url]);
    Program::start("publisher", &mut command)
}

fn copying(mut command: Command, clip: &Path, options: &[&str], to: &OsStr) -> Command {
    command.arg("-i").arg(clip).args(["-map", "0", "-c", "copy"]).args(options);
    command.args(["-flvflags", "no_duration_filesize", "-f", "flv"]).arg(to);
    command
}

fn flv_flags(name: &str) -> &'static [&'static str] {
    if name.ends_with(".flv") { &["-flvflags", "no_duration_filesize"] } else { &[] }
}
