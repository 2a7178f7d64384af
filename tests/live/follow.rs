//! A player that follows live HLS and holds everything against RFC 8216 and RFC 8216bis.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use super::checker::Checker;
use super::http::{Answer, Http};
use super::media::{AAC, ENHANCED_CODECS, H264, PICTURE, Scratch, TONE, ffmpeg, new_ffmpeg};
use super::playlist::Playlist;
use super::program::Program;
use super::server::Server;

/// How often all is fetched that is listed no more and still has to be there.
const LOOK_BACK: Duration = Duration::from_secs(3);
/// How often a player without blocking reload asks.
const POLL_STEP: Duration = Duration::from_millis(500);
/// Requests may be answered by 503 for so long, from the beginning on.
const START: Duration = Duration::from_secs(30);

/// What one publisher sends.
struct Source {
    command: Command,
    options: Vec<&'static str>,
    seconds: u32,
}

impl Source {
    fn new(command: Command, seconds: u32, options: &[&[&'static str]]) -> Source {
        Source { command, options: options.concat(), seconds }
    }

    fn publish(mut self, url: &str) -> (Program, u32) {
        self.command.args(["-re"]).args(self.options).args(["-t", "600", "-f", "flv", url]);
        (Program::start("publisher", &mut self.command), self.seconds)
    }
}

struct Follower {
    http: Http,
    /// Asks for what is only hinted.
    ahead: Http,
    hinted: Option<String>,
    base: String,
    media: String,
    checker: Checker,
    began: Instant,
    looked_back: Instant,
    got: BTreeSet<String>,
    deltas: usize,
    skips: usize,
    hints: usize,
    playlists: usize,
    problems: Vec<String>,
}

impl Follower {
    /// Begins with the multivariant playlist, as players do.
    fn new(server: &Server, stream: &str) -> Follower {
        let mut http = Http::connect(server.http);
        let deadline = Instant::now() + START;
        let index = loop {
            let index = http.get(&format!("/live/{stream}.m3u8"));
            if index.status == 200 || Instant::now() >= deadline {
                break index;
            }
            std::thread::sleep(POLL_STEP);
        };
        assert_eq!(index.status, 200, "{}", index.text());
        let index = index.text();
        let media = index.lines().find(|line| !line.starts_with('#')).unwrap();
        let media = format!("/live/{media}");
        let base = media[..=media.rfind('/').unwrap()].to_owned();
        let ahead = Http::connect(server.http);
        let now = Instant::now();
        Follower {
            http,
            ahead,
            hinted: None,
            base,
            media,
            checker: Checker::default(),
            began: now,
            looked_back: now,
            got: BTreeSet::new(),
            deltas: 0,
            skips: 0,
            hints: 0,
            playlists: 0,
            problems: Vec::new(),
        }
    }

    fn at_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    fn note(&mut self, found: impl IntoIterator<Item = String>) {
        let at_ms = self.at_ms();
        self.problems.extend(found.into_iter().map(|problem| format!("at {at_ms} ms: {problem}")));
    }

    /// Follows until `is_over`.
    fn follow(&mut self, is_over: impl Fn(&Follower) -> bool) {
        while !is_over(self) && self.problems.len() < 5 {
            let wanted = match self.checker.last().filter(|last| last.can_block) {
                Some(last) => {
                    let part = last.open.as_ref().map_or(0, |open| open.parts.len());
                    format!("_HLS_msn={}&_HLS_part={part}", last.next_msn())
                }
                None => {
                    std::thread::sleep(POLL_STEP);
                    String::new()
                }
            };
            self.look(&wanted);
        }
    }

    /// One reload of the playlist, and everything that is new in it.
    fn look(&mut self, wanted: &str) {
        let separator = if self.media.contains('?') { '&' } else { '?' };
        let path = format!("{}{separator}{wanted}", self.media);
        let answer = self.http.get(&path);
        // No publisher, and nothing new for three target durations.
        if answer.status == 503 {
            return;
        }
        if answer.status != 200 {
            return self.note([format!("{path}: {} {}", answer.status, answer.text())]);
        }
        let text = answer.text();
        let at_ms = self.at_ms();
        let found = self.checker.playlist(at_ms, &text);
        self.note(found);
        self.playlists += 1;
        self.compare_delta(&text, separator);
        let Some(playlist) = self.checker.last().cloned() else { return };
        self.take_hinted(&playlist);
        self.fetch_new(&playlist);
        if self.looked_back.elapsed() >= LOOK_BACK {
            self.looked_back = Instant::now();
            let at_ms = self.at_ms();
            for uri in self.checker.still_there(at_ms) {
                self.fetch(&uri);
            }
        }
        if let (None, Some(hint)) = (&self.hinted, &playlist.hint) {
            self.ahead.ask(&format!("{}{hint}", self.base));
            self.hinted = Some(hint.clone());
        }
    }

    /// A delta update of the same moment: the full playlist is the same before it and after it.
    fn compare_delta(&mut self, text: &str, separator: char) {
        let delta = self.http.get(&format!("{}{separator}_HLS_skip=YES", self.media));
        let again = self.http.get(&self.media.clone());
        if (delta.status, again.status) == (200, 200) && again.text() == *text {
            let delta = delta.text();
            self.skips += usize::from(delta.contains("#EXT-X-SKIP"));
            self.deltas += 1;
            let found = self.checker.delta(&delta);
            self.note(found);
        }
    }

    /// What was hinted came, or will not any more.
    fn take_hinted(&mut self, playlist: &Playlist) {
        let Some(hinted) = self.hinted.clone() else { return };
        let is_there = playlist.part_uris().contains(&hinted.as_str());
        if is_there {
            let answer = self.ahead.answer();
            self.take(&hinted, &answer);
            self.hints += 1;
            self.hinted = None;
        } else if playlist.hint.as_ref() != Some(&hinted) {
            // The segment ended before it.
            let answer = self.ahead.answer();
            let is_gone = matches!(answer.status, 404 | 503);
            let found = (!is_gone).then(|| format!("{hinted} never came, but: {}", answer.status));
            self.note(found);
            self.hinted = None;
        }
    }

    fn fetch_new(&mut self, playlist: &Playlist) {
        let maps = playlist.all().filter_map(|segment| segment.map.clone());
        let segments = playlist.segments.iter().filter_map(|segment| segment.uri.clone());
        let parts = playlist.part_uris().into_iter().map(str::to_owned);
        let listed: BTreeSet<String> = maps.chain(segments).chain(parts).collect();
        for uri in listed {
            if !self.got.contains(&uri) {
                self.fetch(&uri);
            }
        }
    }

    fn fetch(&mut self, uri: &str) {
        let answer = self.http.get(&format!("{}{uri}", self.base));
        self.take(uri, &answer);
    }

    fn take(&mut self, uri: &str, answer: &Answer) {
        self.got.insert(uri.to_owned());
        let found = match answer.status {
            200 => self.checker.body(uri, &answer.body),
            status => vec![format!("{uri}: {status} {}", answer.text())],
        };
        self.note(found);
    }
}

/// Publishes one source after the other for so many seconds each, killing each, while somebody follows.
fn follows(server: &Server, sources: Vec<Source>) -> Follower {
    let count = sources.len();
    let url = server.url("cam");
    let mut follower = None;
    for source in sources {
        let (publisher, seconds) = source.publish(&url);
        server.wait_for_log("publishes", 1);
        let follower = follower.get_or_insert_with(|| Follower::new(server, "cam"));
        let end = Instant::now() + Duration::from_secs(seconds.into());
        follower.follow(|_| Instant::now() >= end);
        publisher.kill();
    }
    let mut follower = follower.unwrap();
    let sums = follower.checker.parts_sum_up();
    follower.note(sums);
    assert!(follower.problems.is_empty(), "{}", follower.problems.join("\n"));
    let last = follower.checker.last().unwrap();
    let discontinuities = last.all().last().unwrap().discontinuities;
    assert_eq!(discontinuities, count as u64 - 1, "discontinuities");
    println!(
        "{} playlists, {} segments, {} bodies, {} deltas ({} with a skip), {} hints, target {} s",
        follower.playlists,
        follower.checker.segments.len(),
        follower.got.len(),
        follower.deltas,
        follower.skips,
        follower.hints,
        last.target_s,
    );
    follower
}

const WIDE: &[&str] = &["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30"];
const TONE_44K: &[&str] = &["-f", "lavfi", "-i", "sine=frequency=330:sample_rate=44100"];
/// Key frames each 2.4 s, and B-frames.
const H264_LONG: &[&str] = &["-c:v", "libx264", "-preset", "veryfast", "-g", "72", "-pix_fmt", "yuv420p"];
const HEVC: &[&str] =
    &["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=50", "-pix_fmt", "yuv420p"];
const ENHANCED: &[&str] = &["-rtmp_enhanced_codecs", ENHANCED_CODECS];

#[test]
#[ignore = "takes two minutes, needs ffmpeg: run scripts/test.sh"]
fn two_minutes_of_live_hls_with_a_republish_and_a_new_codec_keep_every_rule() {
    let scratch = Scratch::new();
    let server = Server::start(&scratch, "");
    let sources = vec![
        Source::new(ffmpeg(), 40, &[PICTURE, TONE, H264, AAC]),
        Source::new(ffmpeg(), 40, &[WIDE, TONE_44K, H264_LONG, AAC]),
        Source::new(new_ffmpeg(), 40, &[PICTURE, TONE, HEVC, AAC, ENHANCED]),
    ];
    let follower = follows(&server, sources);
    assert!(follower.checker.segments.len() >= 45, "{} segments", follower.checker.segments.len());
    assert!(follower.skips >= 20, "{} delta updates", follower.skips);
    assert!(follower.hints >= 100, "{} hinted parts", follower.hints);
    server.stop();
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn hls_of_transport_streams_keeps_every_rule() {
    let scratch = Scratch::new();
    let server = Server::start(&scratch, "[default.hls]\nformat = \"ts\"\n");
    let sources = vec![
        Source::new(ffmpeg(), 14, &[PICTURE, TONE, H264, AAC]),
        Source::new(ffmpeg(), 12, &[WIDE, TONE_44K, H264_LONG, AAC]),
    ];
    let follower = follows(&server, sources);
    assert!(follower.checker.segments.len() >= 8, "{} segments", follower.checker.segments.len());
    server.stop();
}
