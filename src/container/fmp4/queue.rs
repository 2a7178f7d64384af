//! Samples of one track that wait to be cut into a fragment.
//!
//! Owns: their decoding times and durations, which follow from each other, within a fragment and from one to the next.
//! Does not know codecs or boxes.

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

impl Sample {
    /// Changes the decoding time and keeps the presentation time.
    fn move_to(&mut self, start: u64) {
        let shift = i128::from(self.start) - i128::from(start) + i128::from(self.composition);
        self.composition = shift.clamp(i128::from(i32::MIN), i128::from(i32::MAX)) as i32;
        self.start = start;
    }
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
    /// When the last sample that was pushed wanted to be decoded.
    before: Option<u64>,
    /// Where the fragment before this one ended, and its last sample's duration.
    cut: Option<(u64, u32)>,
}

impl Queue {
    /// `first_duration`: how long the first sample is taken to be where no other follows it, in ticks.
    pub(super) const fn new(timescale: u32, first_duration: u32) -> Self {
        Queue { samples: Vec::new(), bytes: 0, timescale, usual_duration: first_duration, before: None, cut: None }
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
    ///
    /// Where it comes much later than the end of the fragment before, it is decoded at that end, presented when it
    /// says, and lasts as much longer: the media sources of browsers throw away all up to the next key frame where
    /// decoding times jump by more than two durations (Media Source Extensions, "coded frame processing").
    pub(super) fn push(&mut self, mut sample: Sample) {
        let since = self.before.map_or(0, |before| sample.start.saturating_sub(before));
        if since > 0 && since <= u64::from(self.timescale) * LONGEST_USUAL_MS / 1000 {
            self.usual_duration = clamped(since);
        }
        self.before = Some(sample.start);
        if sample.duration == 0 {
            sample.duration = self.usual_duration;
        }
        if let Some(last) = self.samples.last_mut() {
            let at = sample.start.max(last.start);
            sample.move_to(at);
            last.duration = clamped(at - last.start);
        } else if let Some((end, duration)) = self.cut
            && sample.start.saturating_sub(end) > u64::from(duration / 2)
        {
            sample.duration = sample.duration.saturating_add(clamped(sample.start - end));
            sample.move_to(end);
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

    /// Lets the last sample be no shorter than samples of `other` usually are.
    pub(super) fn end_like(&mut self, other: &Queue) {
        if let Some(last) = self.samples.last_mut() {
            last.duration = last.duration.max(other.usual_duration);
        }
    }

    /// Forgets the samples, but not when the last one was.
    pub(super) fn clear(&mut self) {
        self.cut = self.samples.last().map(|last| (self.end(), last.duration)).or(self.cut);
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
    fn a_fragment_after_a_gap_begins_where_the_one_before_ended_and_is_presented_when_it_says() {
        let mut queue = Queue::new(1000, 5);
        pushed(&mut queue, &[0, 40]);
        queue.end_at(80);
        queue.clear();
        queue.push(Sample { duration: 0, ..sample(280, 100) });
        assert_eq!(pushed(&mut queue, &[320]), [(80, 240, 300), (320, 7, 100)]);
        queue.clear();
        assert_eq!(pushed(&mut queue, &[330]), [(330, 7, 100)], "what is not much is no gap");
        queue.clear();
        assert_eq!(pushed(&mut queue, &[400]), [(337, 70, 163)], "sound lasts as much longer");
        queue.clear();
        assert_eq!(pushed(&mut queue, &[390]), [(390, 7, 100)], "an overlap stays");
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
