//! One timeline per stream, whatever its publishers' clocks do.
//!
//! Owns: the map from a publisher's 32-bit timestamps to the 64-bit milliseconds that players see. Time never runs
//! backwards within audio, video or data; a clock that jumps, restarts or wraps is spliced; audio and video of one
//! publisher keep their distance, also over a jump that both make one after the other. Does not know frames.
//!
//! How: a *splice* is an offset between the publisher's clock and the timeline. Each lane (audio, video) goes
//! by one splice as long as its own frames follow each other plausibly. Where they stop to, the lane first tries the
//! newest splice (the other lane jumped before it: same jump, same distance) and only then makes a new one.

use std::time::Instant;

use crate::media::FrameKind;

/// A lane may go back so far before it counts as a restarted clock; up to here it is held still.
pub const BACKWARD_TOLERANCE_MS: i64 = 1_000;
/// A lane may run ahead of the wall clock by so much before it counts as a jump.
pub const FORWARD_TOLERANCE_MS: i64 = 10_000;
/// The first frame of a lane may stand so far from the publisher's other lane.
pub const LANES_APART_MS: i64 = 10_000;
/// Where the timeline of a stream begins, whatever its publisher's clock says: near 0, as players like it, with room
/// below for a lane that starts a little earlier and for the frames of an instant join, which are 1 ms apart.
pub const START_MS: i64 = 1_000;
/// Distance to the next frame where nothing better is known.
const DEFAULT_STEP_MS: i64 = 20;
/// Longest distance between two frames that is taken as a lane's rhythm.
const MAX_STEP_MS: i64 = 100;

/// Timestamps of one stream.
#[derive(Debug, Default)]
pub struct Timeline {
    /// One for audio and one for video, and one for each further track of them.
    lanes: Vec<(LaneName, Lane)>,
    /// Last timestamp given to data.
    data_ms: i64,
    /// The newest splice of the present publisher; `None` before its first frame.
    splice: Option<i64>,
    /// The present publisher's newest unwrapped timestamp, in any lane.
    raw: i64,
    /// Distance of two frames of the publisher before.
    last_step_ms: Option<i64>,
    /// Where the stream stands: the highest timestamp given so far.
    head: Option<i64>,
    anomalies: u64,
}

/// Kind and track: tracks of one publisher need not come in the order of their times.
pub type LaneName = (FrameKind, u8);

/// Tracks beyond this share a lane; each message may name another one.
const MAX_LANES: usize = 32;

#[derive(Debug, Default, Clone, Copy)]
struct Lane {
    /// Last timestamp given, kept over publishers.
    last_ms: Option<i64>,
    /// State of the present publisher's lane.
    clock: Option<LaneClock>,
}

#[derive(Debug, Clone, Copy)]
struct LaneClock {
    raw: i64,
    splice: i64,
    /// When the lane last moved on.
    at: Instant,
    step_ms: i64,
}

impl Timeline {
    /// A new publisher begins: its clock has nothing to do with the last one's.
    pub fn begin_publisher(&mut self) {
        self.splice = None;
        let clocks = self.lanes.iter_mut().filter_map(|(_, lane)| lane.clock.take());
        self.last_step_ms = clocks.map(|clock| clock.step_ms).max().or(self.last_step_ms);
    }

    /// How often a timestamp had to be held or spliced.
    pub fn anomalies(&self) -> u64 {
        self.anomalies
    }

    /// Puts a timestamp of the present publisher (milliseconds, wrapping at 2^32) on the timeline.
    pub fn place(&mut self, now: Instant, name: LaneName, timestamp: u32) -> u64 {
        let placed = match name.0 {
            FrameKind::Audio | FrameKind::Video => self.place_media(now, name, timestamp),
            FrameKind::Data => self.place_data(timestamp),
        };
        placed.unsigned_abs()
    }

    fn lane(&self, name: LaneName) -> Option<usize> {
        self.lanes.iter().position(|(known, _)| *known == name)
    }

    fn lane_or_new(&mut self, name: LaneName) -> usize {
        if let Some(index) = self.lane(name) {
            return index;
        }
        if self.lanes.len() < MAX_LANES {
            self.lanes.push((name, Lane::default()));
            return self.lanes.len() - 1;
        }
        self.lanes.iter().position(|((kind, _), _)| *kind == name.0).unwrap_or(0)
    }

    /// Puts a frame that is not played, a header for example, on the timeline. Some publishers send those always at 0:
    /// it never moves the clock, and where its timestamp says nothing useful it stands beside its lane's last frame.
    pub fn place_uncoded(&self, name: LaneName, timestamp: u32) -> u64 {
        let lane = self.lane(name).and_then(|index| self.lanes.get(index)).map(|(_, lane)| *lane);
        let Lane { last_ms, clock } = lane.unwrap_or_default();
        let placed = match (self.splice, self.head) {
            (Some(newest), Some(head)) => {
                let (raw, splice) = clock.map_or((self.raw, newest), |clock| (clock.raw, clock.splice));
                let wanted = unwrap(raw, timestamp) + splice;
                let lowest = last_ms.unwrap_or(head - LANES_APART_MS);
                let is_plausible = (lowest..=head + LANES_APART_MS).contains(&wanted);
                if is_plausible { wanted } else { last_ms.unwrap_or(head) }
            }
            _ => self.first_position(),
        };
        placed.max(0).unsigned_abs()
    }

    /// Data is sparse and follows the others: it never moves the clock and never gets far ahead of it.
    fn place_data(&mut self, timestamp: u32) -> i64 {
        let head = self.head.unwrap_or(0);
        let wanted = self.splice.map_or(head, |splice| unwrap(self.raw, timestamp) + splice);
        let placed = wanted.min(head + FORWARD_TOLERANCE_MS).max(self.data_ms);
        self.data_ms = placed;
        placed
    }

    fn place_media(&mut self, now: Instant, name: LaneName, timestamp: u32) -> i64 {
        let index = self.lane_or_new(name);
        let mut lane = self.lanes.get(index).map(|(_, lane)| *lane).unwrap_or_default();
        let raw = match self.splice {
            None => i64::from(timestamp),
            Some(_) => unwrap(lane.clock.map_or(self.raw, |clock| clock.raw), timestamp),
        };
        let splice = self.choose_splice(now, &lane, raw);
        let wanted = raw + splice;
        let placed = wanted.max(lane.last_ms.unwrap_or(0));
        if placed != wanted {
            self.anomalies += 1;
        }

        let step_ms = match lane.clock {
            Some(clock) if (1..=MAX_STEP_MS).contains(&(raw - clock.raw)) => raw - clock.raw,
            Some(clock) => clock.step_ms,
            None => DEFAULT_STEP_MS,
        };
        // A lane that is held keeps the moment at which it last moved, so that a splice makes up for the time lost.
        let at = match lane.clock {
            Some(clock) if lane.last_ms == Some(placed) => clock.at,
            _ => now,
        };
        lane.clock = Some(LaneClock { raw, splice, at, step_ms });
        lane.last_ms = Some(placed);
        if let Some((_, slot)) = self.lanes.get_mut(index) {
            *slot = lane;
        }
        self.raw = raw;
        if self.head.is_none_or(|head| placed >= head) {
            self.head = Some(placed);
        }
        placed
    }

    fn choose_splice(&mut self, now: Instant, lane: &Lane, raw: i64) -> i64 {
        let Some(newest) = self.splice else {
            let splice = self.first_position() - raw;
            self.splice = Some(splice);
            return splice;
        };
        match lane.clock {
            Some(clock) if self.follows(now, lane, raw + clock.splice) => clock.splice,
            _ if self.follows(now, lane, raw + newest) => {
                self.anomalies += u64::from(lane.clock.is_some());
                newest
            }
            _ => {
                self.anomalies += 1;
                let splice = self.expected(now, lane) - raw;
                self.splice = Some(splice);
                splice
            }
        }
    }

    /// Where a publisher's first frame goes: right behind everything before it. The time without a publisher is left
    /// out: a player that ran dry stood still meanwhile, and would be late by as much ever after.
    fn first_position(&self) -> i64 {
        match self.head {
            Some(head) => head + self.last_step_ms.unwrap_or(DEFAULT_STEP_MS),
            None => START_MS,
        }
    }

    /// Whether `candidate` is a plausible next timestamp of `lane`.
    fn follows(&self, now: Instant, lane: &Lane, candidate: i64) -> bool {
        let head = self.head.unwrap_or(0);
        let (lowest, highest) = match (lane.clock, lane.last_ms) {
            (Some(clock), Some(last)) => {
                (last - BACKWARD_TOLERANCE_MS, head.max(last + elapsed_ms(clock.at, now)) + FORWARD_TOLERANCE_MS)
            }
            _ => (head - LANES_APART_MS, head + LANES_APART_MS),
        };
        (lowest..=highest).contains(&candidate)
    }

    /// Where the next frame of `lane` belongs when its publisher's clock says nothing useful.
    fn expected(&self, now: Instant, lane: &Lane) -> i64 {
        match (lane.clock, lane.last_ms) {
            (Some(clock), Some(last)) => last + elapsed_ms(clock.at, now).max(clock.step_ms),
            _ => self.head.unwrap_or(START_MS),
        }
    }
}

/// The 64-bit timestamp nearest to `reference` that ends in these 32 bits.
fn unwrap(reference: i64, timestamp: u32) -> i64 {
    let low = reference as u32;
    reference + i64::from(timestamp.wrapping_sub(low).cast_signed())
}

fn elapsed_ms(from: Instant, to: Instant) -> i64 {
    i64::try_from(to.saturating_duration_since(from).as_millis()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use FrameKind::{Audio, Data, Video};

    /// A timeline with a wall clock that the test moves.
    struct Rig {
        timeline: Timeline,
        now: Instant,
    }

    impl Rig {
        fn new() -> Self {
            Rig { timeline: Timeline::default(), now: Instant::now() }
        }

        fn wait(&mut self, ms: u64) {
            self.now += Duration::from_millis(ms);
        }

        fn place(&mut self, kind: FrameKind, timestamp: u32) -> u64 {
            self.timeline.place(self.now, (kind, 0), timestamp)
        }
    }

    #[test]
    fn a_well_behaved_publisher_keeps_its_distances() {
        let mut rig = Rig::new();
        for step in 0..1000_u32 {
            rig.wait(40);
            assert_eq!(rig.place(Video, step * 40), u64::from(step) * 40 + 1_000);
            assert_eq!(rig.place(Audio, step * 40 + 7), u64::from(step) * 40 + 1_007);
        }
        assert_eq!(rig.timeline.anomalies(), 0);
    }

    #[test]
    fn a_late_start_is_moved_near_zero_and_the_lanes_keep_their_distance() {
        let mut rig = Rig::new();
        assert_eq!(rig.place(Video, 20_000_000), 1_000);
        assert_eq!(rig.place(Audio, 20_000_000 - 30), 970);
        assert_eq!(rig.timeline.anomalies(), 0);
    }

    #[test]
    fn thirty_two_bits_wrap_into_a_growing_timeline() {
        let mut rig = Rig::new();
        let mut last = rig.place(Video, u32::MAX - 100);
        for step in 1..20_u32 {
            rig.wait(40);
            let placed = rig.place(Video, (u32::MAX - 100).wrapping_add(step * 40));
            assert_eq!(placed, last + 40);
            last = placed;
        }
        assert_eq!(rig.timeline.anomalies(), 0);
    }

    #[test]
    fn thirty_one_bit_clocks_are_spliced_where_they_wrap() {
        let mut rig = Rig::new();
        let first = rig.place(Video, 0x7FFF_FFF0);
        rig.wait(40);
        assert_eq!(rig.place(Video, 24), first + 40);
        rig.wait(40);
        assert_eq!(rig.place(Video, 64), first + 80);
    }

    #[test]
    fn a_jump_that_both_lanes_make_keeps_audio_and_video_at_their_distance() {
        for jump in [3_600_000_u32, 0_u32.wrapping_sub(3_600_000)] {
            let mut rig = Rig::new();
            let start = 4_000_000_u32;
            let (mut video, mut audio) = (0, 0);
            for step in 0..50 {
                rig.wait(40);
                video = rig.place(Video, start + step * 40);
                audio = rig.place(Audio, start + step * 40 + 10);
            }
            assert_eq!(audio - video, 10);
            let start = start.wrapping_add(jump);
            // Audio jumps first, video follows with an old frame in between.
            rig.wait(40);
            let jumped_audio = rig.place(Audio, start + 50 * 40 + 10);
            assert_eq!(jumped_audio, audio + 40);
            assert_eq!(rig.place(Video, start.wrapping_sub(jump) + 50 * 40), video + 40);
            rig.wait(40);
            let jumped_video = rig.place(Video, start + 51 * 40);
            assert_eq!(jumped_video, jumped_audio - 10 + 40);
            let anomalies = rig.timeline.anomalies();
            for step in 52..100 {
                rig.wait(40);
                let video = rig.place(Video, start + step * 40);
                assert_eq!(rig.place(Audio, start + step * 40 + 10), video + 10);
            }
            assert_eq!(rig.timeline.anomalies(), anomalies, "flapping between splices");
        }
    }

    #[test]
    fn a_clock_that_runs_backwards_never_takes_a_player_back() {
        let mut rig = Rig::new();
        let mut last = 0;
        for step in 0..500_u32 {
            rig.wait(40);
            let placed = rig.place(Video, 9_000_u32.wrapping_sub(step * 40));
            assert!(placed >= last, "{placed} after {last}");
            last = placed;
        }
        assert!(last > 15_000, "time must go on, stands at {last}");
        assert!(rig.timeline.anomalies() > 0);
    }

    #[test]
    fn tracks_of_one_kind_that_stand_apart_keep_their_distance() {
        let mut rig = Rig::new();
        for step in 0..250_u32 {
            rig.wait(40);
            assert_eq!(rig.timeline.place(rig.now, (Video, 0), 5_000 + step * 40), u64::from(step) * 40 + 1_000);
            let behind = rig.timeline.place(rig.now, (Video, 1), 5_000 + step * 40 - 900);
            assert_eq!(behind, u64::from(step) * 40 + 100);
        }
        assert_eq!(rig.timeline.anomalies(), 0);
    }

    #[test]
    fn no_more_lanes_are_kept_than_the_limit() {
        let mut rig = Rig::new();
        for track in 0..=255 {
            rig.timeline.place(rig.now, (Audio, track), 0);
            rig.timeline.place(rig.now, (Video, track), 0);
        }
        assert_eq!(rig.timeline.lanes.len(), MAX_LANES);
    }

    #[test]
    fn a_pause_of_the_encoder_is_not_a_jump() {
        let mut rig = Rig::new();
        rig.place(Video, 0);
        rig.wait(60_000);
        assert_eq!(rig.place(Video, 60_000), 61_000);
        assert_eq!(rig.timeline.anomalies(), 0);
    }

    #[test]
    fn a_file_sent_faster_than_time_is_not_a_jump() {
        let mut rig = Rig::new();
        for step in 0..10_000_u32 {
            assert_eq!(rig.place(Video, step * 5_000), u64::from(step) * 5_000 + 1_000);
        }
        assert_eq!(rig.timeline.anomalies(), 0);
    }

    #[test]
    fn the_next_publisher_goes_on_where_time_stands() {
        let mut rig = Rig::new();
        rig.place(Video, 0);
        rig.wait(5_000);
        rig.place(Audio, 5_020);
        rig.place(Video, 5_000);
        rig.timeline.begin_publisher();
        rig.wait(3_000);
        assert_eq!(rig.place(Video, 77_000_000), 6_040);
        assert_eq!(rig.place(Audio, 77_000_015), 6_055);
        rig.timeline.begin_publisher();
        // At once, and its audio begins before its video.
        assert_eq!(rig.place(Video, 100), 6_075);
        assert_eq!(rig.place(Audio, 0), 6_055);
    }

    #[test]
    fn data_never_moves_the_clock() {
        let mut rig = Rig::new();
        assert_eq!(rig.place(Data, 7_000), 0);
        assert_eq!(rig.place(Video, 20_000_000), 1_000);
        assert_eq!(rig.place(Data, 20_000_020), 1_020);
        assert_eq!(rig.place(Data, 900_000_000), 11_000);
        assert_eq!(rig.place(Data, 20_000_020), 11_000, "data must not go back either");
        rig.wait(40);
        assert_eq!(rig.place(Video, 20_000_040), 1_040);
        assert_eq!(rig.place(Audio, 20_000_045), 1_045);
        assert_eq!(rig.timeline.anomalies(), 0);
    }
}
