//! Recordings survive `kill -9`: what is on the disk plays, and little is lost.

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::files;
use super::media::{AAC, H264, PICTURE, Scratch, TONE, make_clip};
use super::peer::{Peer, Tag, tags};
use super::server::{Server, recording};

const KILLS: usize = 20;
/// Servers at the same time: none of them has much to do.
const AT_ONCE: usize = 4;
/// Frames are given to the system after `flush_ms`, 200 ms; the rest is for a machine that is busy with other tests.
const FLUSH: Duration = Duration::from_millis(1_000);
/// An MP4 fragment ends at the first key frame after a second at the latest, and they come each second here.
const FRAGMENT: Duration = Duration::from_millis(1_050);

/// Numbers that look like chance and can be had again.
struct Chance(u64);

impl Chance {
    /// Below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn whenever_it_is_killed_each_recording_plays_after_the_next_start() {
    let seed = std::env::var("RTMPD_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("RTMPD_TEST_SEED={seed}");
    let mut chance = Chance(seed);
    // Sometimes before the first byte is written, mostly in the middle of it all.
    let moments: Vec<u64> = (0..KILLS).map(|_| chance.below(3_000)).collect();
    println!("killed after so many ms: {moments:?}");
    let scratch = Scratch::new();
    let clip = tags(&make_clip(&scratch, "clip.flv", "6", &[PICTURE, TONE, H264, AAC]));
    let left = Mutex::new(moments);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(moment) = left.lock().unwrap().pop() else { return };
                    kill_once(&clip, Duration::from_millis(moment));
                }
            });
        }
    });
}

fn kill_once(clip: &[Tag], moment: Duration) {
    let scratch = Scratch::new();
    let directory = scratch.file("recorded");
    let config = recording(&directory, "\"flv\", \"mp4\", \"ts\"");
    let server = Server::start(&scratch, &config);
    let mut publisher = Peer::publish(server.rtmp, "cam");
    let killed_at = Instant::now() + moment;
    let sent = publisher.send_paced(clip, || Instant::now() >= killed_at);
    std::thread::sleep(killed_at.saturating_duration_since(Instant::now()));
    let killed_at = Instant::now();
    server.program.kill();

    let has_some = directory.is_dir();
    let recorded = if has_some { files::below(&directory) } else { Vec::new() };
    let unfinished = recorded.iter().filter(|file| is_flv(file) && length(file) > 0).count();
    let server = Server::start(&scratch, &config);
    server.wait_for_log("repaired ", unfinished);
    server.stop();
    let seconds_before = |loss: Duration| {
        let newest = sent.iter().rev().find(|(at, _)| *at + loss <= killed_at);
        newest.map_or(0.0, |(_, ms)| f64::from(*ms) / 1_000.0)
    };
    let mut told = vec![format!("killed after {} ms:", moment.as_millis())];
    for (end, loss) in [("flv", FLUSH), ("ts", FLUSH), ("mp4", FLUSH + FRAGMENT)] {
        let expected = seconds_before(loss);
        let file = recorded.iter().find(|file| file.extension().is_some_and(|is| is == end));
        let file = file.filter(|file| length(file) > 0);
        assert!(file.is_some() || expected == 0.0, "{end}: nothing of {expected} s was kept");
        let Some(file) = file else { continue };
        let seconds = files::plays(file);
        told.push(format!("{end} {:.0} ms", (seconds_before(Duration::ZERO) - seconds) * 1_000.0));
        assert!(seconds + 0.1 >= expected, "{end}: {seconds} s of {expected} s");
    }
    println!("{} lost", told.join(" "));
}

fn is_flv(file: &Path) -> bool {
    file.extension().is_some_and(|end| end == "flv")
}

fn length(file: &Path) -> u64 {
    file.metadata().unwrap().len()
}
