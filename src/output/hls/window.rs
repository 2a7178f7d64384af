//! The segments that players can have: listed, just removed, and the one that is being made.
//!
//! Owns: media sequence numbers, discontinuity sequence, target duration, removal, and the bound on bytes. Does not
//! know how frames become segments or how a playlist is written.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::config::HlsConfig;
use crate::ledger::{Ledger, Purpose};

/// Segments that are listed at most, however short they are.
const MAX_LISTED: usize = 1_024;
/// A segment may be so much longer than EXT-X-TARGETDURATION says, which is compared with rounded durations.
const ROUNDING_MS: u64 = 450;

/// A piece of a segment; in low-latency playlists a part of its own.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) bytes: Bytes,
    pub(super) duration_ms: u64,
    /// Contains a frame from which decoding can begin.
    pub(super) independent: bool,
    pub(super) video_frames: u32,
}

/// What a segment is, apart from its parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening {
    /// Where it begins on the stream's timeline.
    pub(super) start_ms: u64,
    /// The frames before it have nothing to do with it.
    pub(super) discontinuity: bool,
    /// Begins with a key frame, or there is no video.
    pub(super) independent: bool,
}

#[derive(Debug)]
pub(super) struct Segment {
    /// Media sequence number.
    pub(super) msn: u64,
    pub(super) opening: Opening,
    pub(super) parts: Vec<Part>,
    pub(super) duration_ms: u64,
    pub(super) bytes: usize,
    /// Wall clock at its begin.
    pub(super) unix_ms: u64,
    /// Names the initialization segment.
    pub(super) init: Option<u64>,
}

impl Segment {
    /// The whole segment, without a copy.
    pub(super) fn pieces(&self) -> Vec<Bytes> {
        self.parts.iter().map(|part| part.bytes.clone()).collect()
    }
}

/// An initialization segment; `id` is the number of the first segment that needs it.
#[derive(Debug)]
pub(super) struct Init {
    pub(super) id: u64,
    pub(super) bytes: Bytes,
}

/// Which wall clock time a time of the stream has. Frames of a join's burst come late, so the smallest distance seen
/// counts, until somebody may have read it.
#[derive(Debug, Default, Clone, Copy)]
struct WallClock {
    offset_ms: Option<i64>,
    is_fixed: bool,
}

impl WallClock {
    fn unix_ms(self, media_ms: u64) -> u64 {
        media_ms.saturating_add_signed(self.offset_ms.unwrap_or_default())
    }
}

/// Numbers at the head of the playlist that may not change while somebody reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Targets {
    /// EXT-X-TARGETDURATION in seconds.
    pub(super) segment_s: u64,
    /// PART-TARGET in milliseconds.
    pub(super) part_ms: u64,
}

/// Segments of one stream.
#[derive(Debug)]
pub(super) struct Window {
    listed: VecDeque<Segment>,
    open: Option<Segment>,
    /// With the time until which they can be had.
    removed: VecDeque<(Instant, Segment)>,
    inits: VecDeque<Init>,
    next_msn: u64,
    pub(super) discontinuity_sequence: u64,
    /// Nothing more will come.
    pub(super) is_ended: bool,
    /// Rises with every change that a playlist shows.
    pub(super) version: u64,
    clock: WallClock,
    targets: Option<Targets>,
    /// The longest group of pictures that was seen lately.
    pub(super) gop_ms: u64,
    longest_playlist_ms: u64,
    bytes: usize,
    config: HlsConfig,
    pub(super) ledger: Ledger,
    /// Names of segments and initialization segments that are gone, where they were written to files.
    pub(super) gone: Vec<Gone>,
}

/// What can no longer be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    Segment(u64),
    Init(u64),
}

impl Window {
    pub(super) fn new(config: HlsConfig, first_msn: u64) -> Window {
        Window {
            listed: VecDeque::new(),
            open: None,
            removed: VecDeque::new(),
            inits: VecDeque::new(),
            next_msn: first_msn,
            discontinuity_sequence: 0,
            is_ended: false,
            version: 0,
            clock: WallClock::default(),
            targets: None,
            gop_ms: 0,
            longest_playlist_ms: 0,
            bytes: 0,
            config,
            ledger: Ledger::default(),
            gone: Vec::new(),
        }
    }

    // What is there.

    /// Whole segments of the playlist, oldest first.
    pub(super) fn listed(&self) -> &VecDeque<Segment> {
        &self.listed
    }

    /// The segment that is being made, once it has a part.
    pub(super) fn open(&self) -> Option<&Segment> {
        self.open.as_ref()
    }

    /// Number of the segment that is being made, or that will be made next.
    pub(super) fn open_msn(&self) -> u64 {
        self.open.as_ref().map_or(self.next_msn, |open| open.msn)
    }

    /// Parts of the segment that is being made.
    pub(super) fn open_parts(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.parts.len())
    }

    /// EXT-X-MEDIA-SEQUENCE.
    pub(super) fn first_msn(&self) -> u64 {
        self.listed.front().map_or(self.open_msn(), |segment| segment.msn)
    }

    /// A whole segment that can still be had.
    pub(super) fn whole(&self, msn: u64) -> Option<&Segment> {
        let removed = self.removed.iter().map(|(_, segment)| segment);
        removed.chain(&self.listed).find(|segment| segment.msn == msn)
    }

    /// A part of any segment.
    pub(super) fn part(&self, msn: u64, index: usize) -> Option<&Part> {
        let open = self.open.as_ref().filter(|open| open.msn == msn);
        open.or_else(|| self.whole(msn))?.parts.get(index)
    }

    pub(super) fn init(&self, id: u64) -> Option<&Bytes> {
        self.inits.iter().find(|init| init.id == id).map(|init| &init.bytes)
    }

    /// Names and bytes of the newest initialization segment.
    pub(super) fn last_init(&self) -> Option<&Init> {
        self.inits.back()
    }

    /// Length of the playlist, parts of the open segment included.
    pub(super) fn duration_ms(&self) -> u64 {
        self.listed.iter().chain(&self.open).map(|segment| segment.duration_ms).sum()
    }

    // Targets.

    /// What stands at the head of the playlist; fixed from the first call on.
    pub(super) fn fix_targets(&mut self) -> Targets {
        let targets = self.targets();
        self.targets = Some(targets);
        targets
    }

    /// What stands at the head of the playlist, or would if somebody asked now.
    pub(super) fn targets(&self) -> Targets {
        self.targets.unwrap_or_else(|| {
            let segments = || self.listed.iter().chain(&self.open);
            let longest_ms = segments().map(|segment| segment.duration_ms).max().unwrap_or_default();
            let gop_ms = self.gop_ms.min(self.config.max_segment_ms);
            let longest_ms = longest_ms.max(gop_ms).max(self.config.segment_ms);
            let parts = segments().flat_map(|segment| &segment.parts);
            let part_ms = parts.map(|part| part.duration_ms).max().unwrap_or_default().max(self.config.part_ms);
            Targets { segment_s: ((longest_ms + 500) / 1_000).max(1), part_ms }
        })
    }

    /// Nobody remembers the targets: they may be chosen anew.
    pub(super) fn free_targets(&mut self) {
        self.targets = None;
    }

    /// Longest segment that the target duration allows.
    pub(super) fn segment_limit_ms(&self) -> u64 {
        match self.targets {
            Some(targets) => targets.segment_s * 1_000 + ROUNDING_MS,
            None => self.config.max_segment_ms,
        }
    }

    /// Length that parts should have, and the most they may have. As long as the target is not fixed it follows the
    /// parts: pictures that come slowly may need more.
    pub(super) fn part_target_ms(&self) -> (u64, u64) {
        self.targets.map_or((self.config.part_ms, u64::MAX), |targets| (targets.part_ms, targets.part_ms))
    }

    // Changes.

    /// A frame of `media_ms` arrived at `unix_ms`.
    pub(super) fn observe_clock(&mut self, media_ms: u64, unix_ms: u64) {
        let (Ok(unix), Ok(media)) = (i64::try_from(unix_ms), i64::try_from(media_ms)) else { return };
        let offset_ms = unix.saturating_sub(media);
        if !self.clock.is_fixed && self.clock.offset_ms.is_none_or(|least| offset_ms < least) {
            self.clock.offset_ms = Some(offset_ms);
        }
    }

    /// What comes next has another distance from the wall clock.
    pub(super) fn reset_clock(&mut self) {
        self.clock = WallClock::default();
    }

    /// The next segments need this initialization segment.
    pub(super) fn set_init(&mut self, bytes: Bytes) {
        if self.inits.back().is_some_and(|last| last.bytes == bytes) {
            return;
        }
        let bytes = self.ledger.hold(Purpose::Hls, bytes);
        self.bytes += bytes.len();
        self.inits.push_back(Init { id: self.open_msn(), bytes });
    }

    /// The next part of the open segment; the first one opens it.
    pub(super) fn push_part(&mut self, part: Part, opening: Opening) {
        if !self.listed.is_empty() {
            self.clock.is_fixed = true;
        }
        let (msn, clock, init) = (self.next_msn, self.clock, self.inits.back().map(|init| init.id));
        let open = self.open.get_or_insert_with(|| Segment {
            msn,
            opening,
            parts: Vec::new(),
            duration_ms: 0,
            bytes: 0,
            unix_ms: clock.unix_ms(opening.start_ms),
            init,
        });
        self.next_msn = msn.max(open.msn + 1);
        open.duration_ms += part.duration_ms;
        open.bytes += part.bytes.len();
        self.bytes += part.bytes.len();
        open.parts.push(Part { bytes: self.ledger.hold(Purpose::Hls, part.bytes), ..part });
        self.version += 1;
    }

    /// The open segment is whole.
    pub(super) fn end_segment(&mut self, now: Instant) {
        let Some(mut segment) = self.open.take() else { return };
        if self.listed.is_empty() {
            segment.unix_ms = self.clock.unix_ms(segment.opening.start_ms);
        }
        self.clock.is_fixed = true;
        self.listed.push_back(segment);
        self.longest_playlist_ms = self.longest_playlist_ms.max(self.duration_ms());
        self.trim(now);
        self.version += 1;
    }

    /// Begins a playlist of its own, in which nothing of the old one stands.
    pub(super) fn clear(&mut self, now: Instant) {
        self.end_segment(now);
        while !self.listed.is_empty() {
            self.remove_oldest(now);
        }
        self.targets = None;
        self.is_ended = false;
        self.version += 1;
    }

    pub(super) fn end(&mut self) {
        self.is_ended = true;
        self.version += 1;
    }

    /// Takes the oldest segments out of the playlist (RFC 8216bis, 6.2.2): never so many that less than three target
    /// durations remain.
    fn trim(&mut self, now: Instant) {
        let least_ms = 3 * 1_000 * self.targets().segment_s;
        loop {
            let total_ms: u64 = self.listed.iter().map(|segment| segment.duration_ms).sum();
            let Some(oldest) = self.listed.front() else { break };
            let is_full = self.listed.len() > self.config.segments && total_ms - oldest.duration_ms >= least_ms;
            if !is_full && self.listed.len() <= MAX_LISTED {
                break;
            }
            self.remove_oldest(now);
        }
        self.expire(now);
        while self.bytes > self.config.window_bytes {
            if let Some((_, segment)) = self.removed.pop_front() {
                self.forget(&segment);
            } else if self.listed.len() > 1 {
                self.remove_oldest(now);
            } else {
                break;
            }
        }
        self.drop_unused_inits();
    }

    fn remove_oldest(&mut self, now: Instant) {
        let Some(segment) = self.listed.pop_front() else { return };
        self.discontinuity_sequence += u64::from(segment.opening.discontinuity);
        let stays_ms = (segment.duration_ms + self.longest_playlist_ms).max(self.config.removed_ms);
        self.removed.push_back((now + Duration::from_millis(stays_ms), segment));
    }

    /// Lets go of removed segments whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.removed.front().is_some_and(|(until, _)| *until <= now) {
            if let Some((_, segment)) = self.removed.pop_front() {
                self.forget(&segment);
            }
        }
        self.drop_unused_inits();
    }

    /// When [`Window::expire`] has something to do.
    pub(super) fn expires_at(&self) -> Option<Instant> {
        self.removed.front().map(|(until, _)| *until)
    }

    /// Bytes of everything that can be had.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Memory is short: only the newest whole segment stays, and the one that is being made.
    pub(super) fn shorten(&mut self, now: Instant) {
        while self.listed.len() > 1 {
            self.remove_oldest(now);
            self.version += 1;
        }
        self.forget_removed();
    }

    /// Memory is out: nothing stays. To be called when no segment is being made.
    pub(super) fn forget_all(&mut self, now: Instant) {
        let is_ended = self.is_ended;
        self.clear(now);
        self.is_ended = is_ended;
        self.forget_removed();
    }

    fn forget_removed(&mut self) {
        while let Some((_, segment)) = self.removed.pop_front() {
            self.forget(&segment);
        }
        self.drop_unused_inits();
    }

    fn forget(&mut self, segment: &Segment) {
        self.bytes -= segment.bytes;
        if !self.config.directory.is_empty() {
            self.gone.push(Gone::Segment(segment.msn));
        }
    }

    /// The newest initialization segment always stays.
    fn drop_unused_inits(&mut self) {
        let oldest = self.removed.front().map(|(_, segment)| segment).or(self.listed.front()).or(self.open.as_ref());
        let Some(needed) = oldest.and_then(|segment| segment.init) else { return };
        while self.inits.len() > 1 && self.inits.front().is_some_and(|init| init.id < needed) {
            if let Some(init) = self.inits.pop_front() {
                self.bytes -= init.bytes.len();
                if !self.config.directory.is_empty() {
                    self.gone.push(Gone::Init(init.id));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(window: &mut Window, now: Instant, duration_ms: u64, discontinuity: bool) {
        let part = Part { bytes: Bytes::from_static(b"12345678"), duration_ms, independent: true, video_frames: 1 };
        window.push_part(part, Opening { start_ms: 0, discontinuity, independent: true });
        window.end_segment(now);
    }

    #[test]
    fn segments_without_length_are_listed_up_to_a_limit() {
        let now = Instant::now();
        let mut window = Window::new(HlsConfig::default(), 5);
        for _ in 0..2 * MAX_LISTED {
            push(&mut window, now, 0, false);
        }
        assert_eq!(window.listed().len(), MAX_LISTED);
        assert_eq!(window.first_msn(), 5 + MAX_LISTED as u64);
    }

    #[test]
    fn three_target_durations_stay_in_the_playlist_however_few_segments_are_wanted() {
        let now = Instant::now();
        let mut window = Window::new(HlsConfig { segments: 3, ..HlsConfig::default() }, 0);
        for _ in 0..20 {
            push(&mut window, now, 500, false);
        }
        assert_eq!((window.targets().segment_s, window.listed().len()), (2, 12));
    }

    #[test]
    fn a_removed_discontinuity_is_counted() {
        let now = Instant::now();
        let mut window = Window::new(HlsConfig { segments: 3, ..HlsConfig::default() }, 0);
        for number in 0..10 {
            push(&mut window, now, 2_000, number == 2 || number == 8);
        }
        assert_eq!((window.first_msn(), window.discontinuity_sequence), (7, 1));
    }

    #[test]
    fn where_memory_is_short_the_newest_segment_stays_and_where_it_is_out_nothing() {
        let now = Instant::now();
        let mut window = Window::new(HlsConfig { segments: 3, ..HlsConfig::default() }, 0);
        for _ in 0..10 {
            push(&mut window, now, 2_000, false);
        }
        assert_eq!(window.bytes(), 10 * 8);
        window.shorten(now);
        assert_eq!((window.bytes(), window.listed().len(), window.first_msn()), (8, 1, 9));
        window.forget_all(now);
        assert_eq!((window.bytes(), window.listed().len()), (0, 0));
        push(&mut window, now, 2_000, true);
        assert_eq!(window.first_msn(), 10, "names are not used again");
    }

    #[test]
    fn removed_segments_go_when_their_time_is_over_and_take_their_initialization_segments_with_them() {
        let now = Instant::now();
        let mut window = Window::new(HlsConfig { segments: 3, removed_ms: 0, ..HlsConfig::default() }, 0);
        window.set_init(Bytes::from_static(b"one"));
        push(&mut window, now, 2_000, false);
        window.set_init(Bytes::from_static(b"two"));
        for _ in 0..3 {
            push(&mut window, now, 2_000, false);
        }
        assert_eq!(window.bytes, 4 * 8 + 6);
        // Its own length, and the four segments that were listed with it.
        let until = now + Duration::from_secs(10);
        assert_eq!(window.expires_at(), Some(until));
        window.expire(until - Duration::from_millis(1));
        assert!(window.whole(0).is_some() && window.init(0).is_some() && window.part(0, 0).is_some());
        window.expire(until);
        assert!(window.whole(0).is_none() && window.init(0).is_none() && window.init(1).is_some());
        assert_eq!(window.bytes, 3 * 8 + 3);
    }
}
