//! HLS: RFC 8216, and RFC 8216bis (draft-pantos-hls-rfc8216bis) for low latency.
//!
//! Owns: one stream as segments in memory, and the answers to requests for them. Does not know HTTP, sockets, files or
//! the clock: frames and requests come in with the time, answers and [`FileEffect`]s come out.
//!
//! Decisions:
//!
//! - **Segments begin with key frames**, at the first one from `segment_ms` on, or earlier where the next one would
//!   come too late. Without video each frame will do.
//! - **EXT-X-TARGETDURATION is the longest group of pictures that was seen** (at least `segment_ms`) when the first
//!   playlist is given out, and stays: a fixed high value would be as honest, but clients without low latency stay
//!   three of them behind. A group that turns out longer later is cut at a frame that is no key frame, the only way to
//!   keep both this number and the rounding rule of EXTINF; `EXT-X-INDEPENDENT-SEGMENTS` is then left out while such a
//!   segment is listed. Nobody having asked for `idle_timeout_ms`, the number may be chosen anew.
//! - **The first playlist waits for the first whole segment**: hls.js gives up on a playlist without one. It is there
//!   at once where the hub remembers a segment's worth of whole groups ([`Hls::history`]), as it does for HLS on
//!   demand; else with the next key frame.
//! - **Media sequence numbers begin at the seconds since 1970**. They, and with them the names of segments, rise over
//!   a restart of the output or the server, as long as segments have a second on average: caches and players see no
//!   other segment under a name they know.
//! - **A lost publisher leaves the playlist as it is** ([`Hls::publisher_ended`]); blocked requests are answered with
//!   it when their time is over, because three 503 in a row end hls.js. The next publisher's first key frame begins a
//!   discontinuity. `EXT-X-ENDLIST` comes with [`Hls::ended`], when the hub gave the stream up: a player that saw it
//!   never asks again. Should the name be published once more after that, a new playlist begins with higher numbers.
//! - **MPEG-TS is classic HLS**: no parts, no blocking. Players that want TS do not know low latency.
//! - **No EXT-X-RENDITION-REPORT**: it tells about the *other* media playlists of a presentation, and there is one.

mod files;
mod packager;
mod playlist;
mod request;
mod segmenter;
mod waiting;
mod window;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use self::files::Files;
pub use self::files::{FileChange, FileEffect};
use self::playlist::{Style, Variant};
use self::request::{Query, Resource, encode_name};
pub use self::request::{begins, session_of};
use self::segmenter::Segmenter;
use self::waiting::{Request, Waiting};
use self::window::{Gone, Segment, Window};
use crate::config::{HlsConfig, HlsFormat};
use crate::ledger::{Ledger, Purpose};
use crate::media::Frame;

/// Content type of playlists (RFC 8216, 4).
const PLAYLIST_TYPE: &str = "application/vnd.apple.mpegurl";
/// How long caches may keep what never changes, in seconds.
const IMMUTABLE_S: u32 = 60;
/// Blocked requests wait three target durations (RFC 8216bis, 6.2.5.2), but no longer than this: hls.js waits 10 s.
const LONGEST_BLOCK: Duration = Duration::from_millis(9_000);
/// Players are counted as viewers for four target durations after a request, and at least this.
const LEAST_VIEWING: Duration = Duration::from_millis(10_000);
/// Playlists of one version that are kept; there is one for each query that players came with.
const MAX_RENDERED: usize = 16;

/// What is sent back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 200.
    Ready(Response),
    /// Later, from [`Hls::poll_ready`], with the same ticket.
    Wait,
    /// 404.
    NotFound,
    /// 400, and why.
    BadRequest(&'static str),
    /// 503.
    Unavailable,
}

/// A body and what a client has to know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The body in pieces that are to be sent one after the other; shared, never copied.
    pub body: Vec<Bytes>,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// How long caches may keep it, in seconds; 0: not at all.
    pub cache_max_age_s: u32,
}

/// One stream as HLS.
#[derive(Debug)]
pub struct Hls {
    config: HlsConfig,
    /// Last part of the stream's name, percent-encoded.
    name: String,
    /// A moment in both clocks.
    clock: (Instant, u64),
    segmenter: Segmenter,
    window: Window,
    waiting: Waiting,
    /// Requests that waited long enough.
    ready: VecDeque<(u64, Request)>,
    checked_version: u64,
    is_published: bool,
    last_request: Instant,
    rendered_version: u64,
    rendered: Vec<(bool, String, Bytes)>,
    files: Files,
    filed: Filed,
}

/// What was written to files already.
#[derive(Debug, Default)]
struct Filed {
    init: Option<u64>,
    segment: Option<u64>,
    version: u64,
}

impl Hls {
    /// An empty output of the stream whose URL ends with `name`. Its publisher is there, and its headers come first.
    /// `unix_ms`: the wall clock at `now`, in milliseconds since 1970.
    pub fn new(config: HlsConfig, name: &str, now: Instant, unix_ms: u64) -> Hls {
        Hls {
            name: encode_name(name.rsplit('/').next().unwrap_or_default()),
            clock: (now, unix_ms),
            segmenter: Segmenter::new(&config),
            window: Window::new(config.clone(), unix_ms / 1_000),
            waiting: Waiting::default(),
            ready: VecDeque::new(),
            checked_version: 0,
            is_published: true,
            last_request: now,
            rendered_version: 0,
            rendered: Vec::new(),
            files: Files::default(),
            filed: Filed::default(),
            config,
        }
    }

    // Memory.

    /// Counts what is made from now on in `ledger`.
    #[must_use]
    pub fn counted_in(mut self, ledger: Ledger) -> Hls {
        self.window.ledger = ledger;
        self
    }

    /// Bytes of all segments that can be had.
    pub fn held_bytes(&self) -> usize {
        self.window.bytes()
    }

    /// Memory is short: the playlist shows no more than the newest whole segment, and older ones cannot be had.
    pub fn shorten(&mut self, now: Instant) {
        self.window.shorten(now);
        self.rendered.clear();
        self.write_files();
    }

    /// Memory is out: nothing can be had until there is a new segment, which begins with the next key frame.
    pub fn forget_all(&mut self, now: Instant) {
        self.segmenter.end(now, &mut self.window);
        self.window.forget_all(now);
        self.rendered.clear();
        self.write_files();
    }

    // The stream.

    /// The wall clock shows `unix_ms` at `now`; for when it was set.
    pub fn set_clock(&mut self, now: Instant, unix_ms: u64) {
        self.clock = (now, unix_ms);
    }

    /// The longest distance of two key frames that was seen before, in milliseconds; helps to choose a target duration
    /// that holds.
    pub fn expect_gop(&mut self, gop_ms: u64) {
        self.segmenter.expect_gop(gop_ms, &mut self.window);
    }

    /// What is remembered of the stream, headers first, in the order of time: as if each frame had been handed out when
    /// its time says that it came, and the last one now.
    pub fn history(&mut self, now: Instant, frames: &[Frame]) {
        let newest_ms = frames.iter().filter(|frame| frame.is_coded()).map(|frame| frame.timestamp_ms).max();
        for frame in frames {
            let age_ms = newest_ms.unwrap_or_default().saturating_sub(frame.timestamp_ms);
            self.aged_frame(now, frame, age_ms);
        }
    }

    /// The next frame of the stream, headers first, in the order in which the hub hands them out.
    pub fn frame(&mut self, now: Instant, frame: &Frame) {
        self.aged_frame(now, frame, 0);
    }

    fn aged_frame(&mut self, now: Instant, frame: &Frame, age_ms: u64) {
        if frame.is_coded() {
            let (at, unix_ms) = self.clock;
            let since = u64::try_from(now.saturating_duration_since(at).as_millis()).unwrap_or(u64::MAX);
            let came_ms = unix_ms.saturating_add(since).saturating_sub(age_ms);
            self.window.observe_clock(frame.timestamp_ms, came_ms);
        }
        self.free_targets(now);
        self.segmenter.frame(now, frame, &mut self.window);
        self.write_files();
    }

    /// The publisher is gone, perhaps to come back.
    pub fn publisher_ended(&mut self, now: Instant) {
        self.is_published = false;
        self.segmenter.end(now, &mut self.window);
        self.write_files();
    }

    /// A publisher is there again.
    pub fn publisher_began(&mut self, now: Instant) {
        self.is_published = true;
        self.segmenter.begin(now, &mut self.window);
        if self.window.is_ended {
            self.window.clear(now);
        }
        self.write_files();
    }

    /// The stream is over for good: players play to the end and ask no more.
    pub fn ended(&mut self, now: Instant) {
        self.publisher_ended(now);
        self.window.end();
        self.write_files();
    }

    /// With nobody reading it, the playlist may get another target duration.
    fn free_targets(&mut self, now: Instant) {
        let idle = Duration::from_millis(self.config.idle_timeout_ms);
        let is_read = self.waiting.len() > 0 || now.saturating_duration_since(self.last_request) < idle;
        if !is_read && self.config.directory.is_empty() {
            self.window.free_targets();
            self.rendered.clear();
        }
    }

    // Viewers.

    /// Whoever asks for nothing for so long watches no more.
    pub fn viewing_window(&self) -> Duration {
        Duration::from_secs(4 * self.window.targets().segment_s).max(LEAST_VIEWING)
    }

    /// Whether the stream has ended for good, and nothing more will come.
    pub fn is_over(&self) -> bool {
        self.window.is_ended
    }

    /// When the output has been idle for `idle_timeout_ms`, if nobody asks before. `None` while somebody waits.
    pub fn idle_at(&self) -> Option<Instant> {
        let idle = Duration::from_millis(self.config.idle_timeout_ms);
        (self.waiting.len() == 0).then(|| self.last_request + idle)
    }

    // Requests.

    /// Answers a request for what stands behind `/APP/STREAM/` in its path (nothing for `/APP/STREAM.m3u8`); `query`
    /// without its `?`. Whatever is not ours in the query is carried on into the playlists' URIs.
    ///
    /// `new_session`: a random number, which the player gets where it has none. [`Answer::Wait`] is followed by an
    /// answer from [`Hls::poll_ready`] under `ticket`, unless it is forgotten before.
    pub fn request(&mut self, now: Instant, path: &str, query: &str, ticket: u64, new_session: u64) -> Answer {
        let Some(resource) = Resource::parse(path) else { return Answer::NotFound };
        let mut query = match Query::parse(query) {
            Ok(query) => query,
            Err(problem) => return Answer::BadRequest(problem),
        };
        self.last_request = now;
        if resource == Resource::Multivariant {
            query.session.get_or_insert(new_session);
        }
        if let Some(problem) = self.unreasonable(resource, &query) {
            return Answer::BadRequest(problem);
        }
        let request = Request::new(resource, query, now + self.longest_wait());
        if request.is_answerable(&self.window) || !self.is_expected(resource) {
            return self.answer(&request);
        }
        if self.waiting.len() >= self.config.waiting_requests {
            return Answer::Unavailable;
        }
        self.waiting.insert(ticket, request);
        Answer::Wait
    }

    /// The next request that waited and has its answer now.
    pub fn poll_ready(&mut self) -> Option<(u64, Answer)> {
        if self.checked_version != self.window.version {
            self.checked_version = self.window.version;
            self.ready.extend(self.waiting.take_answerable(&self.window));
        }
        let (ticket, request) = self.ready.pop_front()?;
        let answer = self.late_answer(&request);
        Some((ticket, answer))
    }

    /// Nobody waits for the answer to `ticket` any more.
    pub fn forget(&mut self, ticket: u64) {
        self.waiting.remove(ticket);
        self.ready.retain(|(other, _)| *other != ticket);
    }

    /// When [`Hls::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.waiting.deadline(), self.window.expires_at()].into_iter().flatten().min()
    }

    /// Gives up waits that are over, and segments whose time is over.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(late) = self.waiting.take_late(now) {
            self.ready.push_back(late);
        }
        self.window.expire(now);
        self.write_files();
    }

    /// The next thing to do in the stream's folder; nothing unless `directory` is set.
    pub fn poll_file(&mut self) -> Option<FileEffect> {
        self.files.pop()
    }

    fn longest_wait(&self) -> Duration {
        if self.window.listed().is_empty() {
            // The first segment needs a whole group of pictures.
            return Duration::from_millis(2 * self.config.max_segment_ms);
        }
        Duration::from_secs(3 * self.window.targets().segment_s).min(LONGEST_BLOCK)
    }

    /// What the playlist could never mean (RFC 8216bis, 6.2.5.2).
    fn unreasonable(&self, resource: Resource, query: &Query) -> Option<&'static str> {
        let wanted = query.wanted.filter(|_| resource == Resource::Media)?;
        let open = self.window.open_msn();
        if self.window.is_ended || self.window.listed().is_empty() {
            return None;
        }
        let part_ms = self.window.targets().part_ms;
        let parts_ahead = if part_ms < 1_000 { 3_000_u64.div_ceil(part_ms.max(1)) } else { 3 };
        let last_part = self.window.open_parts() as u64 + parts_ahead;
        if wanted.msn > open.saturating_add(1) {
            return Some("_HLS_msn is more than two segments ahead");
        }
        (wanted.msn == open && wanted.part.is_some_and(|part| part > last_part)).then_some("_HLS_part is too far ahead")
    }

    /// Whether what does not exist may come soon.
    fn is_expected(&self, resource: Resource) -> bool {
        match resource {
            Resource::Multivariant | Resource::Media => !self.window.is_ended,
            Resource::Part(msn, index) => {
                self.is_low_latency() && msn == self.window.open_msn() && index == self.window.open_parts()
            }
            Resource::Init(_) | Resource::Segment(_) => false,
        }
    }

    fn is_low_latency(&self) -> bool {
        self.config.low_latency && self.config.format == HlsFormat::Fmp4
    }

    /// The answer to a request that waited.
    fn late_answer(&mut self, request: &Request) -> Answer {
        let has_come = request.is_answerable(&self.window);
        let has_playlist = !self.window.listed().is_empty();
        if has_come || (!self.is_published && has_playlist) { self.answer(request) } else { Answer::Unavailable }
    }

    fn answer(&mut self, request: &Request) -> Answer {
        let media = match self.config.format {
            HlsFormat::Ts => "video/mp2t",
            HlsFormat::Fmp4 if self.segmenter.packager().has_video() => "video/mp4",
            HlsFormat::Fmp4 => "audio/mp4",
        };
        let (body, content_type, cache_max_age_s) = match request.resource {
            Resource::Multivariant | Resource::Media if self.window.listed().is_empty() => return Answer::NotFound,
            Resource::Multivariant => (Some(vec![self.multivariant(&request.query)]), PLAYLIST_TYPE, 0),
            Resource::Media => (Some(vec![self.media(&request.query)]), PLAYLIST_TYPE, 0),
            Resource::Init(id) => (self.window.init(id).map(|init| vec![init.clone()]), media, IMMUTABLE_S),
            Resource::Segment(msn) => (self.window.whole(msn).map(Segment::pieces), media, IMMUTABLE_S),
            Resource::Part(msn, index) => {
                (self.window.part(msn, index).map(|part| vec![part.bytes.clone()]), media, IMMUTABLE_S)
            }
        };
        match body {
            Some(body) => Answer::Ready(Response { body, content_type, cache_max_age_s }),
            None => Answer::NotFound,
        }
    }

    // Playlists.

    fn multivariant(&mut self, query: &Query) -> Bytes {
        let mut uri = format!("{}/media.m3u8", self.name);
        let session = query.session.map(|session| format!("session={session:x}"));
        let carried = (!query.carried.is_empty()).then(|| query.carried.clone());
        let parameters: Vec<String> = session.into_iter().chain(carried).collect();
        if !parameters.is_empty() {
            uri = format!("{uri}?{}", parameters.join("&"));
        }
        playlist::multivariant(&self.variant(), self.config.format, &uri).into()
    }

    /// The media playlist, written once for all that want the same.
    fn media(&mut self, query: &Query) -> Bytes {
        if self.rendered_version != self.window.version {
            self.rendered_version = self.window.version;
            self.rendered.clear();
        }
        let targets = self.window.fix_targets();
        let is_same = |(skip, carried, _): &&(bool, String, Bytes)| *skip == query.skip && *carried == query.carried;
        if let Some((_, _, text)) = self.rendered.iter().find(is_same) {
            return text.clone();
        }
        let style = Style {
            format: self.config.format,
            low_latency: self.is_low_latency(),
            skip: query.skip,
            query: &query.carried,
        };
        let text = Bytes::from(playlist::media(&self.window, targets, style));
        let text = self.window.ledger.hold(Purpose::Hls, text);
        if self.rendered.len() < MAX_RENDERED {
            self.rendered.push((query.skip, query.carried.clone(), text.clone()));
        }
        text
    }

    /// What the listed segments are like. The newest of them tell the frame rate.
    fn variant(&self) -> Variant {
        let listed = self.window.listed();
        let rate = |bytes: usize, ms: u64| (bytes as u64).saturating_mul(8_000) / ms.max(1);
        let bytes = listed.iter().map(|segment| segment.bytes).sum();
        let duration_ms: u64 = listed.iter().map(|segment| segment.duration_ms).sum();
        let newest = listed.back();
        let frames = newest.map_or(0, |segment| segment.parts.iter().map(|part| u64::from(part.video_frames)).sum());
        let newest_ms = newest.map_or(0, |segment| segment.duration_ms);
        let packager = self.segmenter.packager();
        Variant {
            codecs: packager.codecs(),
            dimensions: packager.dimensions(),
            milli_fps: (frames > 1 && newest_ms > 0).then(|| frames * 1_000_000 / newest_ms),
            peak: listed.iter().map(|segment| rate(segment.bytes, segment.duration_ms)).max().unwrap_or_default(),
            average: rate(bytes, duration_ms),
        }
    }

    // Files.

    fn write_files(&mut self) {
        let is_unchanged = self.filed.version == self.window.version && self.window.gone.is_empty();
        if self.config.directory.is_empty() || is_unchanged {
            return;
        }
        self.filed.version = self.window.version;
        let extension = if self.config.format == HlsFormat::Ts { "ts" } else { "m4s" };
        let last_msn = self.window.listed().back().map(|segment| segment.msn);
        let is_new = last_msn != self.filed.segment;
        if let Some(init) = self.window.last_init().filter(|init| Some(init.id) != self.filed.init) {
            self.filed.init = Some(init.id);
            self.files.push(format!("init-{}.mp4", init.id), FileChange::Write(vec![init.bytes.clone()]));
        }
        for segment in self.window.listed().iter().filter(|segment| Some(segment.msn) > self.filed.segment) {
            let name = format!("seg-{}.{extension}", segment.msn);
            self.files.push(name, FileChange::Write(segment.pieces()));
        }
        self.filed.segment = self.filed.segment.max(last_msn);
        if (is_new || self.window.is_ended) && !self.window.listed().is_empty() {
            let targets = self.window.fix_targets();
            let style = Style { format: self.config.format, low_latency: false, skip: false, query: "" };
            let text = playlist::media(&self.window, targets, style);
            let index = playlist::multivariant(&self.variant(), self.config.format, "media.m3u8");
            self.files.push("index.m3u8".to_owned(), FileChange::Replace(vec![index.into()]));
            self.files.push("media.m3u8".to_owned(), FileChange::Replace(vec![text.into()]));
        }
        for gone in std::mem::take(&mut self.window.gone) {
            let name = match gone {
                Gone::Segment(msn) => format!("seg-{msn}.{extension}"),
                Gone::Init(id) => format!("init-{id}.mp4"),
            };
            self.files.push(name, FileChange::Remove);
        }
    }
}
