//! Samples of one track that wait to be cut into a fragment.
//!
//! Owns: their decoding times and durations, which follow from each other. Does not know codecs or boxes.

use bytes::Bytes;

/// Longest time between two samples that is taken for a usual one, in milliseconds. Longer is a pause.
const LONGEST_USUAL_MS: u64 = 1000;

/// One sample.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    /// Decoding time in ticks of the track's timescale.
    pub(super) start: u64,
    /// Ticks until the next one. 0 of one that is pushed: not known, so the usual one is taken until it is.
    pub(super) duration: u32,
    /// Presentation time minus decoding time, in ticks.
    pub(super) composition: i32,
    pub(super) is_key: bool,
    /// Nothing else needs it.
    pub(super) is_disposable: bool,
    pub(super) data: Bytes,
}

/// Samples in decoding order.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    samples: Vec<Sample>,
    bytes: usize,
    /// Ticks in a second.
    timescale: u32,
    /// Ticks from one sample to the next, last time.
    usual_duration: u32,
    /// Decoding time of the sample before the first one here.
    before: Option<u64>,
}

impl Queue {
    /// `first_duration`: how long the first sample is taken to be where no other follows it, in ticks.
    pub(super) const fn new(timescale: u32, first_duration: u32) -> Self {
        Queue { samples: Vec::new(), bytes: 0, timescale, usual_duration: first_duration, before: None }
    }

    /// An empty queue for samples of the same track.
    pub(super) const fn emptied(&self) -> Self {
        Queue::new(self.timescale, self.usual_duration)
    }

    pub(super) fn samples(&self) -> &[Sample] {
        &self.samples
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Bytes of all samples.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Decoding time of the first sample, in ticks.
    pub(super) fn start(&self) -> u64 {
        self.samples.first().map_or(0, |sample| sample.start)
    }

    /// Where the last sample ends, in ticks.
    pub(super) fn end(&self) -> u64 {
        self.samples.last().map_or(0, |sample| sample.start.saturating_add(u64::from(sample.duration)))
    }

    /// Appends a sample, which ends the one before it. Where its decoding time lies before that one's, it is decoded at
    /// the same time as that, and presented when it says.
    pub(super) fn push(&mut self, mut sample: Sample) {
        let before = self.samples.last().map_or(self.before, |last| Some(last.start));
        if let Some(last) = self.samples.last_mut() {
            let at = sample.start.max(last.start);
            let late = i32::try_from(at - sample.start).unwrap_or(i32::MAX);
            sample.composition = sample.composition.saturating_sub(late);
            sample.start = at;
            last.duration = clamped(at - last.start);
        }
        let since = before.map_or(0, |before| sample.start.saturating_sub(before));
        if since > 0 && since <= u64::from(self.timescale) * LONGEST_USUAL_MS / 1000 {
            self.usual_duration = clamped(since);
        }
        if sample.duration == 0 {
            sample.duration = self.usual_duration;
        }
        self.bytes = self.bytes.saturating_add(sample.data.len());
        self.samples.push(sample);
    }

    /// Sets how long the last sample is.
    pub(super) fn end_at(&mut self, next: u64) {
        if let Some(last) = self.samples.last_mut().filter(|last| next > last.start) {
            last.duration = clamped(next - last.start);
        }
    }

    /// Forgets the samples, but not when the last one was.
    pub(super) fn clear(&mut self) {
        self.before = self.samples.last().map(|last| last.start).or(self.before);
        self.samples.clear();
        self.bytes = 0;
    }
}

fn clamped(ticks: u64) -> u32 {
    u32::try_from(ticks).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(start: u64, composition: i32) -> Sample {
        let data = Bytes::from_static(b"xyz");
        Sample { start, duration: 7, composition, is_key: false, is_disposable: false, data }
    }

    fn pushed(queue: &mut Queue, starts: &[u64]) -> Vec<(u64, u32, i32)> {
        for &start in starts {
            queue.push(sample(start, 100));
        }
        queue.samples().iter().map(|it| (it.start, it.duration, it.composition)).collect()
    }

    #[test]
    fn a_sample_lasts_until_the_next_one() {
        let mut queue = Queue::new(1000, 5);
        assert_eq!(pushed(&mut queue, &[10, 30, 60]), [(10, 20, 100), (30, 30, 100), (60, 7, 100)]);
        assert_eq!((queue.start(), queue.end(), queue.bytes(), queue.usual_duration), (10, 67, 9, 30));
        queue.end_at(100);
        assert_eq!(queue.end(), 100);
        queue.end_at(50);
        assert_eq!(queue.end(), 100, "an end before the start is none");
    }

    #[test]
    fn decoding_times_that_go_back_stand_still_and_presentation_is_kept() {
        let mut queue = Queue::new(1000, 5);
        let samples = pushed(&mut queue, &[50, 20, 60]);
        assert_eq!(samples, [(50, 0, 100), (50, 10, 70), (60, 7, 100)]);
    }

    #[test]
    fn the_usual_duration_is_known_from_fragment_to_fragment() {
        let mut queue = Queue::new(1000, 5);
        pushed(&mut queue, &[10]);
        assert_eq!(queue.usual_duration, 5);
        queue.clear();
        pushed(&mut queue, &[40]);
        assert_eq!(queue.usual_duration, 30);
        queue.clear();
        pushed(&mut queue, &[9000]);
        assert_eq!(queue.usual_duration, 30, "a pause is not usual");
    }
}
