//! HLS as one who asks sees it: whatever is asked for and whatever is published, playlists keep the rules, waits end,
//! and nothing of a query leaves its line.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rtmpd::config::{HlsConfig, HlsFormat};
use rtmpd::output::hls::{Answer, Hls, Response};

use super::script::Script;
use crate::support::frames;
use crate::support::hls::checker::Checker;

const UNIX_MS: u64 = 1_709_208_000_000;
const FIRST: u64 = UNIX_MS / 1_000;
const WAITING: usize = 4;
const WINDOW_BYTES: usize = 64 * 1024;
/// What one frame may add to the bytes of a segment.
const FRAME_BYTES: usize = 2 * 1024;
/// Longer than any wait.
const LONGEST_WAIT_MS: u64 = 60_000;
const KINDS: [(&str, &str); 6] = [
    ("seg-", ".m4s"),
    ("seg-", ".ts"),
    ("init-", ".mp4"),
    ("part-", ".0.m4s"),
    ("part-", ".1.m4s"),
    ("media.m3u8", ""),
];

fn config(flags: u8) -> HlsConfig {
    HlsConfig {
        format: if flags & 1 == 0 { HlsFormat::Fmp4 } else { HlsFormat::Ts },
        low_latency: flags & 2 == 0,
        segment_ms: 500,
        max_segment_ms: 2_000,
        segments: 3,
        removed_ms: 3_000,
        window_bytes: WINDOW_BYTES,
        waiting_requests: WAITING,
        // Nobody having asked for so long, target durations may change.
        idle_timeout_ms: 100_000_000,
        directory: if flags & 4 == 0 { String::new() } else { "hls".to_owned() },
        ..HlsConfig::default()
    }
}

struct Stage {
    hls: Hls,
    now: Instant,
    began: Instant,
    clock_ms: u64,
    checker: Checker,
    waiting: BTreeSet<u64>,
    tickets: u64,
    /// Frames so far.
    frames: usize,
    is_published: bool,
    /// The stream ended for good.
    is_over: bool,
}

/// First byte: format. Then steps: what happens, and what it needs to know.
pub fn hls(data: &[u8]) {
    let mut script = Script::new(data);
    let now = Instant::now();
    let mut stage = Stage {
        hls: Hls::new(config(script.u8()), "live/c\"m?", now, UNIX_MS),
        now,
        began: now,
        clock_ms: 1_000,
        checker: Checker::default(),
        waiting: BTreeSet::new(),
        tickets: 0,
        frames: 0,
        is_published: true,
        is_over: false,
    };
    while !script.is_empty() {
        stage.step(&mut script);
        stage.drain();
    }
    stage.finish();
}

impl Stage {
    fn step(&mut self, script: &mut Script<'_>) {
        let step = script.u8();
        match step % 16 {
            // The hub has no frames without a publisher.
            0..9 if !self.is_published => {}
            0..7 => self.frame(step),
            7 => {
                let width = 16 * (1 + u32::from(step >> 6));
                self.hls.frame(self.now, &frames::video_header(width, 16));
            }
            8 => self.hls.frame(self.now, &frames::audio_header(step & 16 == 0)),
            9 => self.pass(u64::from(script.u16())),
            10 => self.change(step >> 4),
            11 => {
                let ticket = u64::from(script.u8()) % (self.tickets + 1);
                self.hls.forget(ticket);
                self.waiting.remove(&ticket);
            }
            12 | 13 => {
                let (before, after) = KINDS[usize::from(step >> 4) % KINDS.len()];
                let number = script.u8();
                let path = match after {
                    "" => before.to_owned(),
                    _ => format!("{before}{}{after}", FIRST + u64::from(number)),
                };
                let query = match step & 16 {
                    0 => format!("_HLS_msn={}&_HLS_part={}", FIRST + u64::from(number & 15), number >> 4),
                    _ => String::new(),
                };
                self.ask(&path, &query);
            }
            14 => {
                let len = usize::from(script.u8());
                let text = String::from_utf8_lossy(script.bytes(len)).into_owned();
                let (path, query) = text.split_once('?').unwrap_or(("media.m3u8", &text));
                self.ask(path, query);
            }
            _ => self.look(),
        }
    }

    /// The publisher goes, for now or for good, or is there again.
    fn change(&mut self, what: u8) {
        match what {
            0..6 => self.hls.publisher_ended(self.now),
            6..14 => {
                self.hls.publisher_began(self.now);
                // A name that is published once more has a playlist of its own.
                if std::mem::take(&mut self.is_over) {
                    self.checker = Checker::default();
                }
            }
            _ => {
                self.hls.ended(self.now);
                self.is_over = true;
            }
        }
        self.is_published = matches!(what, 6..14);
    }

    /// The hub hands frames out in order, and time does not go back.
    fn frame(&mut self, step: u8) {
        let passed = [0, 20, 33, 40, 100, 160, 330, 1_000][usize::from(step >> 4) & 7];
        self.clock_ms += passed;
        self.pass(passed);
        let frame = match step % 16 {
            0 | 1 => frames::video(self.clock_ms, true, i32::from(step >> 7) * 80, 600),
            2..5 => frames::video(self.clock_ms, false, i32::from(step >> 7) * 80, 100),
            _ => frames::audio(self.clock_ms, 50),
        };
        self.frames += 1;
        self.hls.frame(self.now, &frame);
    }

    fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        for _ in 0..1_000 {
            if self.hls.poll_timeout().is_none_or(|at| at > self.now) {
                return;
            }
            self.hls.handle_timeout(self.now);
            self.drain();
        }
        panic!("a deadline that is never over");
    }

    fn ask(&mut self, path: &str, query: &str) {
        self.tickets += 1;
        match self.hls.request(self.now, path, query, self.tickets, 0xABC) {
            Answer::Wait => {
                self.waiting.insert(self.tickets);
            }
            answer => self.judge(&answer),
        }
        assert!(self.waiting.len() <= WAITING, "{} wait", self.waiting.len());
    }

    fn judge(&self, answer: &Answer) {
        let Answer::Ready(Response { body, content_type, cache_max_age_s }) = answer else { return };
        let bytes = body.concat();
        let most = WINDOW_BYTES + self.frames * FRAME_BYTES;
        assert!(!bytes.is_empty() && bytes.len() <= most, "{} bytes", bytes.len());
        if !content_type.contains("mpegurl") {
            return;
        }
        assert_eq!(*cache_max_age_s, 0);
        let text = String::from_utf8(bytes).expect("text");
        assert!(text.starts_with("#EXTM3U\n") && text.ends_with('\n'), "{text}");
        for line in text.lines() {
            assert!(!line.is_empty() && line.bytes().all(|byte| (0x20..0x7F).contains(&byte)), "{line:?}");
            assert!(line.bytes().filter(|byte| *byte == b'"').count() % 2 == 0, "{line:?}");
            let known = ["#EXTM3U", "#EXTINF:", "#EXT-X-"];
            assert!(!line.starts_with('#') || known.iter().any(|begin| line.starts_with(begin)), "{line:?}");
        }
    }

    /// Gets the playlist as a player does, and what it lists.
    fn look(&mut self) {
        self.tickets += 1;
        let answer = self.hls.request(self.now, "media.m3u8", "", self.tickets, 0);
        self.judge(&answer);
        let Answer::Ready(response) = answer else { return self.hls.forget(self.tickets) };
        let text = String::from_utf8(response.body.concat()).expect("text");
        let at_ms = (self.now - self.began).as_millis() as u64;
        let mut problems = self.checker.playlist(at_ms, &text);
        let Some(playlist) = self.checker.last() else { panic!("{problems:?}") };
        let uris: Vec<String> = playlist.segments.iter().filter_map(|segment| segment.uri.clone()).collect();
        for uri in uris {
            match self.hls.request(self.now, &uri, "", 0, 0) {
                Answer::Ready(response) => problems.extend(self.checker.body(&uri, &response.body.concat())),
                other => problems.push(format!("{uri}: {other:?}")),
            }
        }
        // Steps of any length cannot be cut into parts of nearly one length.
        let is_of_step = |problem: &String| problem.ends_with("is too short") || problem.ends_with("is too long");
        // Bytes have a limit that comes before any other.
        let is_of_bytes = |problem: &String| problem.starts_with("removal left less than");
        problems.retain(|problem| !is_of_step(problem) && !is_of_bytes(problem) && !problem.starts_with("#EXTM3U"));
        assert!(problems.is_empty(), "{problems:?}\n{text}");
    }

    fn drain(&mut self) {
        while let Some((ticket, answer)) = self.hls.poll_ready() {
            assert!(self.waiting.remove(&ticket), "an answer that nobody waits for");
            assert_ne!(answer, Answer::Wait);
            self.judge(&answer);
        }
        while let Some(effect) = self.hls.poll_file() {
            assert!(!effect.name.contains(['/', '\\']) && !effect.name.starts_with('.'), "{effect:?}");
        }
    }

    /// Whoever waits is answered in time.
    fn finish(&mut self) {
        self.pass(LONGEST_WAIT_MS);
        self.drain();
        assert!(self.waiting.is_empty(), "{:?} wait for ever", self.waiting);
        assert!(self.hls.idle_at().is_some());
    }
}
