//! MPEG transport streams (ISO/IEC 13818-1): frames to packets of 188 bytes.
//!
//! Owns: the program with its default video and audio track, its tables, clock and packets. Does not know who reads
//! them, or where a segment ends.
//!
//! An audio frame gets a PES packet of its own and is written at once. Sharing one among several frames would save the
//! stuffing, half a packet (94 bytes) for each frame on average, 35 kbit/s of AAC at 48 kHz; but the first of three
//! would wait for 43 ms.

mod packet;
mod pes;
mod psi;
#[cfg(test)]
mod tests;
mod track;

use bytes::BytesMut;

pub use packet::PACKET_LEN;
use packet::{Counter, Marks, Pcr, Pid, put_clock, put_section, put_unit, shift_counters};
use pes::{TICKS_PER_MS, Times};
use psi::Entry;
use track::Track;

use super::es::default_unit;
use super::flv::unit::Unit;
use crate::media::codec::CodecId;
use crate::media::{Frame, FrameKind};

const ASSOCIATION_PID: Pid = Pid(0);
const MAP_PID: Pid = Pid(0x1000);
const VIDEO_PID: Pid = Pid(0x100);
const AUDIO_PID: Pid = Pid(0x101);

/// Tables come again after this much stream time, in milliseconds: at least every 500 ms, with frames up to 100 ms
/// apart.
const TABLE_INTERVAL_MS: u64 = 400;

/// The clock comes again after this much stream time, in milliseconds, with the next frame of its own stream; with
/// frames up to 60 ms apart at least every 100 ms, as the standard wants it (2.7.2).
const CLOCK_INTERVAL_MS: u64 = 40;

/// Without a frame of its own stream the clock comes in a packet of its own after this much stream time.
const LONE_CLOCK_INTERVAL_MS: u64 = 80;

/// How far the clock stands before the decoding time of the frame that it comes with, in milliseconds. A frame must not
/// arrive when its time is over, and of two tracks one is a little behind: a published stream has up to two audio
/// frames (AAC at 44.1 kHz: 46 ms) behind the video frame that was sent before. Players that show pictures by this
/// clock wait for so long; most look at timestamps only.
const CLOCK_LEAD_MS: u64 = 60;

/// Time that goes back by more than this, in milliseconds, without a word is a discontinuity.
const CLOCK_JUMP_MS: u64 = 1000;

/// Whether MPEG-TS carries this codec. Frames of others are left out.
pub const fn carries(codec: CodecId) -> bool {
    use CodecId::{Aac, Ac3, Avc, Eac3, Hevc, Mp3, Opus};
    matches!(codec, Avc | Hevc | Aac | Mp3 | Ac3 | Eac3 | Opus)
}

/// Writes the default video and the default audio track of a stream as one program. The default track is the lowest
/// track id in the first frame of its kind that has a codec which is carried, normally 0. Keeps sequence headers only.
#[derive(Debug, Clone, Default)]
pub struct Muxer {
    video: Option<Track>,
    audio: Option<Track>,
    counters: Counters,
    tables: Tables,
    clock: Clock,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counters {
    association: Counter,
    map: Counter,
    video: Counter,
    audio: Counter,
}

#[derive(Debug, Clone, Default)]
struct Tables {
    version: u8,
    /// A table of this version was written.
    is_version_used: bool,
    /// Stream time of the last ones. `None`: they are due.
    written_ms: Option<u64>,
}

impl Tables {
    /// The program is another from now on.
    fn change(&mut self) {
        if self.is_version_used {
            self.version = (self.version + 1) % psi::VERSIONS;
        }
        self.is_version_used = false;
        self.written_ms = None;
    }

    fn are_due(&self, now_ms: u64) -> bool {
        self.written_ms.is_none_or(|written_ms| now_ms < written_ms || now_ms - written_ms >= TABLE_INTERVAL_MS)
    }
}

/// The program clock.
#[derive(Debug, Clone, Copy, Default)]
struct Clock {
    /// Decoding time of the frame with which it was written last, in milliseconds.
    last_dts_ms: Option<u64>,
    is_discontinuity: bool,
}

impl Clock {
    /// What the clock shows when a frame decoded at `dts_ms` arrives. In the beginning it stands at 0 and does not wrap
    /// backwards: GStreamer takes that for a stream of 26 hours.
    const fn at(dts_ms: u64) -> u64 {
        dts_ms.saturating_sub(CLOCK_LEAD_MS)
    }

    /// The clock for a frame decoded at `dts_ms`, where it has to be written: because it `must` be, or `interval_ms`
    /// after the last. It does not run backwards.
    fn tick(&mut self, dts_ms: u64, must: bool, interval_ms: u64) -> Option<Pcr> {
        let now_ms = Clock::at(dts_ms);
        let is_due = match self.last_dts_ms {
            None => true,
            Some(last_dts_ms) => {
                let last_ms = Clock::at(last_dts_ms);
                self.is_discontinuity |= now_ms.saturating_add(CLOCK_JUMP_MS) < last_ms;
                let is_time = must || dts_ms.saturating_sub(last_dts_ms) >= interval_ms;
                self.is_discontinuity || (is_time && now_ms > last_ms)
            }
        };
        is_due.then(|| {
            self.last_dts_ms = Some(dts_ms);
            let is_discontinuity = std::mem::take(&mut self.is_discontinuity);
            Pcr { base: now_ms.wrapping_mul(TICKS_PER_MS), is_discontinuity }
        })
    }
}

impl Muxer {
    /// Waits for sequence headers and frames.
    pub fn new() -> Self {
        Muxer::default()
    }

    /// Whether there is something to carry: a sequence header or a frame of a codec without one arrived.
    pub const fn has_tracks(&self) -> bool {
        self.video.is_some() || self.audio.is_some()
    }

    /// Appends the packets of a coded frame, with the tables before them where they are due. Keeps sequence headers.
    /// Nothing is written for what cannot be carried, and for frames whose sequence header did not come.
    pub fn push(&mut self, frame: &Frame, out: &mut BytesMut) {
        let Some(unit) = default_unit(frame, self.track(frame.kind).map(|track| track.id), carries) else { return };
        self.learn(frame.kind, &unit);
        self.put_frame(frame, &unit, out);
    }

    /// The stream goes on with another clock: the next packet with the clock says so, and tables come before it.
    pub fn discontinuity(&mut self) {
        self.clock.is_discontinuity = true;
        self.begin();
    }

    /// Has the next coded frame begin with tables, as a segment does. Video key frames do so anyway.
    pub fn begin(&mut self) {
        self.tables.written_ms = None;
    }

    /// Appends what one has to get who joins now: tables and the given coded frames, which may be none. Counters are
    /// such that what [`Muxer::push`] writes next goes on without a gap. Frames of other tracks or codecs than the
    /// present ones are left out, and so are sequence headers, for which the present ones stand.
    pub fn joined(&self, frames: &[Frame], out: &mut BytesMut) {
        let mut other = Muxer {
            video: self.video.clone(),
            audio: self.audio.clone(),
            tables: Tables { version: self.tables.version, ..Tables::default() },
            ..Muxer::default()
        };
        let begin = out.len();
        for frame in frames {
            let track = other.track(frame.kind);
            let unit = track.and_then(|track| default_unit(frame, Some(track.id), carries));
            if let Some(unit) = unit {
                other.put_frame(frame, &unit, out);
            }
        }
        if !other.tables.is_version_used && self.has_tracks() {
            other.put_tables(0, out);
        }
        let shifts = self.counters.ahead_of(other.counters);
        if let Some(packets) = out.get_mut(begin..) {
            shift_counters(packets, |pid| shifts.iter().find(|(of, _)| *of == pid).map_or(0, |(_, shift)| *shift));
        }
    }

    const fn track(&self, kind: FrameKind) -> Option<&Track> {
        match kind {
            FrameKind::Video => self.video.as_ref(),
            FrameKind::Audio => self.audio.as_ref(),
            FrameKind::Data => None,
        }
    }

    /// Keeps what `unit` says about its track.
    fn learn(&mut self, kind: FrameKind, unit: &Unit) {
        let track = match kind {
            FrameKind::Video => &mut self.video,
            FrameKind::Audio => &mut self.audio,
            FrameKind::Data => return,
        };
        let before = track.as_ref().map(Track::coding);
        *track = Track::after(unit, track.take());
        let after = track.as_ref().map(Track::coding);
        if after != before {
            self.tables.change();
        }
        if after.is_some() != before.is_some() {
            // The clock may have moved to another stream, where it has to come first.
            self.clock.last_dts_ms = None;
        }
    }

    fn put_frame(&mut self, frame: &Frame, unit: &Unit, out: &mut BytesMut) {
        let is_video = frame.kind == FrameKind::Video;
        let Some(track) = self.track(frame.kind).filter(|track| !unit.is_header && track.codec() == unit.codec) else {
            return;
        };
        let mut payload = BytesMut::new();
        if !track.put(unit, &mut payload) {
            return;
        }
        let times = Times::new(frame.timestamp_ms, unit.composition_ms);
        let Some(head) = pes::head(track.stream_id(), times, payload.len()) else { return };
        let is_key = is_video && unit.is_key;
        if is_key || self.tables.are_due(times.dts_ms) {
            self.put_tables(times.dts_ms, out);
        }
        let marks = self.marks(is_video, is_key, times.dts_ms, out);
        let (pid, counter) = match is_video {
            true => (VIDEO_PID, &mut self.counters.video),
            false => (AUDIO_PID, &mut self.counters.audio),
        };
        put_unit(out, pid, counter, marks, bytes::Buf::chain(head, payload));
    }

    /// What stands in the adaptation field of a frame's first packet. Writes the clock in a packet of its own where it
    /// is due and the frame is of another stream.
    fn marks(&mut self, is_video: bool, is_key: bool, dts_ms: u64, out: &mut BytesMut) -> Marks {
        if is_video || self.video.is_none() {
            let pcr = self.clock.tick(dts_ms, is_key, CLOCK_INTERVAL_MS);
            return Marks { pcr, is_random_access: is_key || (!is_video && pcr.is_some()) };
        }
        if let Some(pcr) = self.clock.tick(dts_ms, false, LONE_CLOCK_INTERVAL_MS) {
            put_clock(out, VIDEO_PID, self.counters.video, pcr);
        }
        Marks::default()
    }

    fn put_tables(&mut self, now_ms: u64, out: &mut BytesMut) {
        self.tables.written_ms = Some(now_ms);
        self.tables.is_version_used = true;
        let video = self.video.iter().map(|track| Entry { pid: VIDEO_PID, coding: track.coding() });
        let audio = self.audio.iter().map(|track| Entry { pid: AUDIO_PID, coding: track.coding() });
        let entries: Vec<Entry> = video.chain(audio).collect();
        let clock = if self.video.is_some() { VIDEO_PID } else { AUDIO_PID };
        let map = psi::program_map(&entries, clock, self.tables.version);
        put_section(out, ASSOCIATION_PID, &mut self.counters.association, &psi::association(MAP_PID));
        put_section(out, MAP_PID, &mut self.counters.map, &map);
    }
}

impl Counters {
    /// By PID, how far these counters stand before `other`.
    fn ahead_of(self, other: Counters) -> [(Pid, u8); 4] {
        [
            (ASSOCIATION_PID, other.association.behind(self.association)),
            (MAP_PID, other.map.behind(self.map)),
            (VIDEO_PID, other.video.behind(self.video)),
            (AUDIO_PID, other.audio.behind(self.audio)),
        ]
    }
}
