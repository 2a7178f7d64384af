//! An HLS output on a clock that the test sets, with a publisher and a checker.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rtmpd::config::HlsConfig;
use rtmpd::media::Frame;
use rtmpd::output::hls::{Answer, Hls, Response};

use super::checker::Checker;
use crate::support::frames;

/// 2024-02-29 12:00:00 UTC.
pub const UNIX_MS: u64 = 1_709_208_000_000;

/// What a publisher sends.
#[derive(Debug, Clone)]
pub struct Source {
    /// Distances of pictures in milliseconds, used in turn; none: no video.
    pub steps_ms: Vec<u64>,
    /// Pictures from one key frame to the next, used in turn.
    pub gops: Vec<usize>,
    pub has_audio: bool,
    /// Pictures are shown later than they are decoded, not all by the same time.
    pub has_b_frames: bool,
    pub width: u32,
    pub is_48k: bool,
}

impl Default for Source {
    fn default() -> Self {
        Source {
            steps_ms: vec![33, 33, 34],
            gops: vec![60],
            has_audio: true,
            has_b_frames: false,
            width: 640,
            is_48k: false,
        }
    }
}

impl Source {
    pub fn headers(&self) -> Vec<Frame> {
        let video = (!self.steps_ms.is_empty()).then(|| frames::video_header(self.width, 368));
        let audio = self.has_audio.then(|| frames::audio_header(self.is_48k));
        video.into_iter().chain(audio).collect()
    }

    /// Coded frames of a time, in order; the first picture is a key frame.
    pub fn frames(&self, from_ms: u64, until_ms: u64) -> Vec<Frame> {
        let mut all = self.pictures(from_ms, until_ms);
        if self.has_audio {
            let samples = (0..).map(|n| from_ms + n * 1_024 * 1_000 / if self.is_48k { 48_000 } else { 44_100 });
            all.extend(samples.take_while(|ms| *ms < until_ms).map(|ms| frames::audio(ms, 200)));
        }
        all.sort_by_key(|frame| frame.timestamp_ms);
        all
    }

    fn pictures(&self, from_ms: u64, until_ms: u64) -> Vec<Frame> {
        let mut steps = self.steps_ms.iter().copied().cycle();
        let mut gops = self.gops.iter().copied().cycle();
        let (mut ms, mut left, mut number) = (from_ms, 0, 0);
        let mut pictures = Vec::new();
        while let Some(step_ms) = steps.next().filter(|_| ms < until_ms) {
            let is_key = left == 0;
            if is_key {
                left = gops.next().unwrap_or(1).max(1);
            }
            left -= 1;
            let composition_ms = if self.has_b_frames { [2, 4, 1, 1][number % 4] * step_ms as i32 } else { 0 };
            pictures.push(frames::video(ms, is_key, composition_ms, if is_key { 9_000 } else { 1_500 }));
            number += 1;
            ms += step_ms;
        }
        pictures
    }
}

/// The output under test, and a player that looks at everything.
pub struct Rig {
    pub hls: Hls,
    pub now: Instant,
    pub checker: Checker,
    started: Instant,
    got: BTreeSet<String>,
    looked_ms: u64,
    tickets: u64,
    problems: Vec<String>,
}

impl Rig {
    pub fn new(config: HlsConfig) -> Rig {
        let now = Instant::now();
        Rig {
            hls: Hls::new(config, "live/cam", now, UNIX_MS),
            now,
            checker: Checker::default(),
            started: now,
            got: BTreeSet::new(),
            looked_ms: 0,
            tickets: 0,
            problems: Vec::new(),
        }
    }

    /// Milliseconds since the beginning.
    pub fn at_ms(&self) -> u64 {
        (self.now - self.started).as_millis() as u64
    }

    /// Time passes.
    pub fn wait_until(&mut self, at_ms: u64) {
        self.now = self.now.max(self.started + Duration::from_millis(at_ms));
        if self.hls.poll_timeout().is_some_and(|at| at <= self.now) {
            self.hls.handle_timeout(self.now);
        }
    }

    pub fn request(&mut self, path: &str, query: &str) -> Answer {
        self.tickets += 1;
        self.hls.request(self.now, path, query, self.tickets, 0xABC)
    }

    /// The body of what is there.
    pub fn get(&mut self, uri: &str) -> Option<Vec<u8>> {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        match self.request(path, query) {
            Answer::Ready(Response { body, .. }) => Some(body.concat()),
            Answer::Wait => {
                self.hls.forget(self.tickets);
                None
            }
            _ => None,
        }
    }

    pub fn get_text(&mut self, uri: &str) -> Option<String> {
        self.get(uri).map(|body| String::from_utf8(body).unwrap())
    }

    /// A publisher sends at the pace of its timestamps; somebody looks at the playlist five times a second.
    pub fn publish(&mut self, source: &Source, from_ms: u64, until_ms: u64) {
        self.publish_some(source, from_ms, until_ms, |_| true);
    }

    /// The same without the frames that are lost before they are sent.
    pub fn publish_some(&mut self, source: &Source, from_ms: u64, until_ms: u64, is_sent: impl Fn(&Frame) -> bool) {
        for header in source.headers() {
            self.hls.frame(self.now, &header);
        }
        for frame in source.frames(from_ms, until_ms).into_iter().filter(is_sent) {
            self.wait_until(frame.timestamp_ms);
            self.hls.frame(self.now, &frame);
            if self.at_ms() >= self.looked_ms + 200 {
                self.look();
            }
        }
    }

    /// Gets the playlist and everything that is new in it.
    pub fn look(&mut self) {
        self.looked_ms = self.at_ms();
        let Some(text) = self.get_text("media.m3u8") else { return };
        let at_ms = self.at_ms();
        let mut found = self.checker.playlist(at_ms, &text);
        let delta = self.get_text("media.m3u8?_HLS_skip=YES").unwrap();
        found.extend(self.checker.delta(&delta));
        let playlist = self.checker.last().unwrap().clone();
        let maps = playlist.all().filter_map(|segment| segment.map.clone());
        let segments = playlist.segments.iter().filter_map(|segment| segment.uri.clone());
        let parts = playlist.part_uris().into_iter().map(str::to_owned);
        let listed: Vec<String> = maps.chain(segments).chain(parts).collect();
        let new: Vec<String> = listed.into_iter().filter(|uri| !self.got.contains(uri)).collect();
        let removed = self.checker.still_there(at_ms);
        for uri in new.into_iter().chain(removed) {
            match self.get(&uri) {
                Some(body) => found.extend(self.checker.body(&uri, &body)),
                None => found.push(format!("{uri} is not there")),
            }
            self.got.insert(uri);
        }
        self.problems.extend(found.into_iter().map(|problem| format!("at {at_ms} ms: {problem}")));
    }

    /// Everything that was wrong so far.
    pub fn problems(&self) -> Vec<String> {
        self.problems.iter().cloned().chain(self.checker.parts_sum_up()).collect()
    }

    pub fn assert_fine(&self) {
        let problems = self.problems();
        assert!(problems.is_empty(), "{}", problems.iter().take(4).cloned().collect::<Vec<_>>().join("\n"));
    }
}
