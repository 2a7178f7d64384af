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
    form: Form,
}

/// What is told of each sample beside its size.
enum Form {
    /// Duration, flags and composition time.
    Video,
    /// Nothing: all of them have this duration.
    Audio(u32),
    /// Its duration.
    UnevenAudio,
}

impl<'a> Run<'a> {
    fn video(id: u32, queue: &'a Queue) -> Self {
        Run { id, queue, form: Form::Video }
    }

    fn audio(id: u32, queue: &'a Queue) -> Self {
        let samples = queue.samples();
        let duration = samples.first().map_or(0, |first| first.duration);
        let is_even = samples.iter().all(|sample| sample.duration == duration);
        Run { id, queue, form: if is_even { Form::Audio(duration) } else { Form::UnevenAudio } }
    }

    const fn tfhd_len(&self) -> usize {
        TFHD_LEN
            + match self.form {
                Form::Video => 0,
                Form::UnevenAudio => 4,
                Form::Audio(_) => 8,
            }
    }

    const fn entry_len(&self) -> usize {
        match self.form {
            Form::Video => 16,
            Form::UnevenAudio => 8,
            Form::Audio(_) => 4,
        }
    }

    /// Length of the `traf`, in bytes.
    fn traf_len(&self) -> usize {
        BOX_HEAD_LEN + self.tfhd_len() + TFDT_LEN + TRUN_HEAD_LEN + self.entry_len() * self.queue.samples().len()
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
        let (flags, duration) = match self.form {
            Form::Video => (0, None),
            Form::UnevenAudio => (tfhd_flags::DEFAULT_FLAGS, None),
            Form::Audio(duration) => (tfhd_flags::DEFAULT_FLAGS | tfhd_flags::DEFAULT_DURATION, Some(duration)),
        };
        put_full_box(out, b"tfhd", 0, flags | tfhd_flags::DEFAULT_BASE_IS_MOOF, |out| {
            out.put_u32(self.id);
            if let Some(duration) = duration {
                out.put_u32(duration);
            }
            if flags & tfhd_flags::DEFAULT_FLAGS != 0 {
                out.put_u32(sample_flags::SYNC);
            }
        });
    }

    fn put_trun(&self, out: &mut BytesMut, data_at: usize) {
        let more = match self.form {
            Form::Video => trun_flags::DURATION | trun_flags::FLAGS | trun_flags::COMPOSITION,
            Form::UnevenAudio => trun_flags::DURATION,
            Form::Audio(_) => 0,
        };
        let samples = self.queue.samples();
        put_full_box(out, b"trun", 1, trun_flags::DATA_OFFSET | trun_flags::SIZE | more, |out| {
            // Neither can be larger: what is pending is bounded.
            out.put_u32(samples.len() as u32);
            out.put_u32(data_at as u32);
            for sample in samples {
                self.put_entry(out, sample);
            }
        });
    }

    fn put_entry(&self, out: &mut BytesMut, sample: &Sample) {
        if !matches!(self.form, Form::Audio(_)) {
            out.put_u32(sample.duration);
        }
        out.put_u32(sample.data.len() as u32);
        if matches!(self.form, Form::Video) {
            let kind = if sample.is_key { sample_flags::SYNC } else { sample_flags::DELTA };
            let needed = if sample.is_disposable { sample_flags::DISPOSABLE } else { 0 };
            out.put_u32(kind | needed);
            out.put_i32(sample.composition);
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
