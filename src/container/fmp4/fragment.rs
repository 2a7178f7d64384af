//! One `moof` and `mdat` (ISO/IEC 14496-12, 8.8 and 8.1.1).
//!
//! Owns: fragments written into a buffer that is made once in the right size, so that each payload is copied once. Does
//! not know codecs.

use bytes::{BufMut, BytesMut};

use super::boxes::{BOX_HEAD_LEN, put_box, put_full_box};
use super::queue::{Queue, Sample};

/// Head of a box with version and flags, in bytes.
const FULL_BOX_HEAD_LEN: usize = BOX_HEAD_LEN + 4;
const MFHD_LEN: usize = FULL_BOX_HEAD_LEN + 4;
const TFHD_LEN: usize = FULL_BOX_HEAD_LEN + 4;
const TFDT_LEN: usize = FULL_BOX_HEAD_LEN + 8;
const TRUN_HEAD_LEN: usize = FULL_BOX_HEAD_LEN + 4 + 4;

/// Sample flags (8.8.3.1).
mod sample_flags {
    /// Needs no other sample, and is a place to begin.
    pub(super) const SYNC: u32 = 2 << 24;
    /// Needs others, and is no place to begin.
    pub(super) const DELTA: u32 = 1 << 24 | 1 << 16;
    /// No other needs it.
    pub(super) const DISPOSABLE: u32 = 2 << 22;
}

/// `tfhd` flags (8.8.7.1).
mod tfhd_flags {
    pub(super) const DEFAULT_DURATION: u32 = 0x8;
    pub(super) const DEFAULT_FLAGS: u32 = 0x20;
    pub(super) const DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;
}

/// `trun` flags (8.8.8.1).
mod trun_flags {
    pub(super) const DATA_OFFSET: u32 = 0x1;
    pub(super) const DURATION: u32 = 0x100;
    pub(super) const SIZE: u32 = 0x200;
    pub(super) const FLAGS: u32 = 0x400;
    pub(super) const COMPOSITION: u32 = 0x800;
}

/// Samples of one track, and how they are told.
struct Run<'a> {
    id: u32,
    queue: &'a Queue,
    /// Fields of each sample, as `trun` flags.
    fields: u32,
    /// Duration of all samples.
    duration: Option<u32>,
    /// Flags of all samples.
    flags: Option<u32>,
}

impl<'a> Run<'a> {
    fn video(id: u32, queue: &'a Queue) -> Self {
        let fields = trun_flags::DURATION | trun_flags::SIZE | trun_flags::FLAGS | trun_flags::COMPOSITION;
        Run { id, queue, fields, duration: None, flags: None }
    }

    /// All samples of audio are alike, but for those around a gap.
    fn audio(id: u32, queue: &'a Queue) -> Self {
        let samples = queue.samples();
        let duration = samples.first().map_or(0, |first| first.duration);
        let duration = samples.iter().all(|sample| sample.duration == duration).then_some(duration);
        let mut fields = trun_flags::SIZE;
        if duration.is_none() {
            fields |= trun_flags::DURATION;
        }
        if samples.iter().any(|sample| sample.composition != 0) {
            fields |= trun_flags::COMPOSITION;
        }
        Run { id, queue, fields, duration, flags: Some(sample_flags::SYNC) }
    }

    /// Length of the `traf`, in bytes.
    fn traf_len(&self) -> usize {
        let defaults = usize::from(self.duration.is_some()) + usize::from(self.flags.is_some());
        let entry_len = 4 * self.fields.count_ones() as usize;
        let trun_len = TRUN_HEAD_LEN + entry_len * self.queue.samples().len();
        BOX_HEAD_LEN + TFHD_LEN + 4 * defaults + TFDT_LEN + trun_len
    }

    /// `data_at`: where the first payload stands, from the start of the `moof`.
    fn put_traf(&self, out: &mut BytesMut, data_at: usize) {
        put_box(out, b"traf", |out| {
            self.put_tfhd(out);
            put_full_box(out, b"tfdt", 1, 0, |out| out.put_u64(self.queue.start()));
            self.put_trun(out, data_at);
        });
    }

    fn put_tfhd(&self, out: &mut BytesMut) {
        let mut told = tfhd_flags::DEFAULT_BASE_IS_MOOF;
        if self.duration.is_some() {
            told |= tfhd_flags::DEFAULT_DURATION;
        }
        if self.flags.is_some() {
            told |= tfhd_flags::DEFAULT_FLAGS;
        }
        put_full_box(out, b"tfhd", 0, told, |out| {
            out.put_u32(self.id);
            for default in [self.duration, self.flags].into_iter().flatten() {
                out.put_u32(default);
            }
        });
    }

    fn put_trun(&self, out: &mut BytesMut, data_at: usize) {
        let samples = self.queue.samples();
        put_full_box(out, b"trun", 1, trun_flags::DATA_OFFSET | self.fields, |out| {
            // Neither can be larger: what is pending is bounded.
            out.put_u32(samples.len() as u32);
            out.put_u32(data_at as u32);
            for sample in samples {
                self.put_entry(out, sample);
            }
        });
    }

    fn put_entry(&self, out: &mut BytesMut, sample: &Sample) {
        let kind = if sample.is_key { sample_flags::SYNC } else { sample_flags::DELTA };
        let needed = if sample.is_disposable { sample_flags::DISPOSABLE } else { 0 };
        let entry = [
            (trun_flags::DURATION, sample.duration),
            (trun_flags::SIZE, sample.data.len() as u32),
            (trun_flags::FLAGS, kind | needed),
            (trun_flags::COMPOSITION, sample.composition.cast_unsigned()),
        ];
        for (_, value) in entry.into_iter().filter(|&(field, _)| self.fields & field != 0) {
            out.put_u32(value);
        }
    }
}

/// Appends a fragment with all samples of both queues, of which one has some.
pub(super) fn put_fragment(out: &mut BytesMut, sequence: u32, video: (u32, &Queue), audio: (u32, &Queue)) {
    let runs = [Run::video(video.0, video.1), Run::audio(audio.0, audio.1)];
    let runs = || runs.iter().filter(|run| !run.queue.is_empty());
    let moof_len = BOX_HEAD_LEN + MFHD_LEN + runs().map(Run::traf_len).sum::<usize>();
    let payload_len: usize = runs().map(|run| run.queue.bytes()).sum();
    out.reserve(moof_len + BOX_HEAD_LEN + payload_len);
    put_box(out, b"moof", |out| {
        put_full_box(out, b"mfhd", 0, 0, |out| out.put_u32(sequence));
        let mut data_at = moof_len + BOX_HEAD_LEN;
        for run in runs() {
            run.put_traf(out, data_at);
            data_at += run.queue.bytes();
        }
    });
    put_box(out, b"mdat", |out| {
        for sample in runs().flat_map(|run| run.queue.samples()) {
            out.put_slice(&sample.data);
        }
    });
}
