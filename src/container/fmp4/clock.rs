//! Audio time in samples from timestamps in milliseconds.
//!
//! Owns: taking the rounding of milliseconds out again, without drifting away from them. Does not know codecs.

/// How far the count of samples may be away from the millisecond clock before that is believed, in microseconds. More
/// than the 1 ms that rounding down takes, and less than one would hear.
const TOLERANCE_US: u64 = 1500;

/// Decoding times of audio frames, in samples.
///
/// A frame begins where the one before it ended as long as that agrees with its timestamp; else at its timestamp.
#[derive(Debug, Clone)]
pub(super) struct AudioClock {
    rate: u32,
    /// Where the next frame begins, if nothing is missing.
    next: Option<u64>,
    /// A place where a frame of the same stream begins.
    grid: Option<u64>,
}

impl AudioClock {
    /// `rate`: samples per second.
    pub(super) const fn new(rate: u32) -> Self {
        AudioClock { rate, next: None, grid: None }
    }

    /// A clock for earlier frames of the same stream, so that they end where those of this one go on.
    pub(super) fn earlier(&self) -> Self {
        AudioClock { rate: self.rate, next: None, grid: self.next }
    }

    /// Samples until `ms`, to the nearest.
    pub(super) fn ticks(&self, ms: u64) -> u64 {
        (ms.saturating_mul(u64::from(self.rate)).saturating_add(500)) / 1000
    }

    /// Milliseconds until `ticks`, to the nearest.
    pub(super) fn ms(&self, ticks: u64) -> u64 {
        let rate = u64::from(self.rate.max(1));
        (ticks.saturating_mul(1000).saturating_add(rate / 2)) / rate
    }

    /// Where a frame begins that has the timestamp `ms` and plays for `samples`.
    pub(super) fn stamp(&mut self, ms: u64, samples: u32) -> u64 {
        let by_ms = self.ticks(ms);
        let counted = self.next.or_else(|| self.on_grid(by_ms, samples));
        let start = counted.filter(|&ticks| self.agree(ticks, by_ms)).unwrap_or(by_ms);
        self.next = Some(start.saturating_add(u64::from(samples)));
        start
    }

    fn agree(&self, one: u64, other: u64) -> bool {
        one.abs_diff(other).saturating_mul(1_000_000) <= TOLERANCE_US * u64::from(self.rate)
    }

    /// The place nearest to `by_ms` that is whole frames before the grid.
    fn on_grid(&self, by_ms: u64, samples: u32) -> Option<u64> {
        let frame = u64::from(samples.max(1));
        let grid = self.grid?;
        let frames = grid.saturating_sub(by_ms).saturating_add(frame / 2) / frame;
        grid.checked_sub(frames.saturating_mul(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 24 * 3600 * 1000;

    /// Timestamps of frames of `samples`, their exact time as numerator of milliseconds over `rate`.
    fn timestamps(rate: u64, samples: u64, round: fn(u64, u64) -> u64) -> impl Iterator<Item = (u64, u64)> {
        let frames = DAY_MS * rate / 1000 / samples;
        (0..frames).map(move |frame| (frame * samples * 1000, round(frame * samples * 1000, rate)))
    }

    #[test]
    fn a_day_of_rounded_timestamps_drifts_nowhere() {
        let down = |time: u64, rate: u64| time / rate;
        let nearest = |time: u64, rate: u64| (time + rate / 2) / rate;
        let up = |time: u64, rate: u64| time.div_ceil(rate);
        for (rate, samples) in [(44_100, 1024), (48_000, 1024), (48_000, 960), (44_100, 1152), (48_000, 480)] {
            for round in [down, nearest, up] {
                for shift_ms in [0, 7, 1_000_003] {
                    let mut clock = AudioClock::new(rate);
                    let mut expected = None;
                    for (exact, ms) in timestamps(u64::from(rate), u64::from(samples), round) {
                        let start = clock.stamp(ms + shift_ms, samples);
                        assert_eq!(expected.unwrap_or(start), start, "at {ms} ms of {rate} Hz");
                        expected = Some(start + u64::from(samples));
                        let exact = exact + shift_ms * u64::from(rate);
                        let error_us = (start * 1000).abs_diff(exact) * 1000 / u64::from(rate);
                        assert!(error_us < 2000, "{error_us} us at {ms} ms of {rate} Hz");
                    }
                }
            }
        }
    }

    #[test]
    fn an_encoder_whose_clock_runs_wrong_is_followed() {
        let mut clock = AudioClock::new(44_100);
        for frame in 0..100_000 {
            // 23 ms for each frame of 23.22 ms.
            let ms = frame * 23;
            let error = clock.stamp(ms, 1024).abs_diff(clock.ticks(ms));
            assert!(error * 1000 < 2 * 44_100, "{error} samples at {ms} ms");
        }
    }

    #[test]
    fn a_pause_is_kept() {
        let mut clock = AudioClock::new(48_000);
        assert_eq!(clock.stamp(0, 1024), 0);
        assert_eq!(clock.stamp(21, 1024), 1024);
        assert_eq!(clock.stamp(5000, 1024), 240_000);
        assert_eq!(clock.stamp(5021, 1024), 241_024);
    }

    #[test]
    fn earlier_frames_end_where_later_ones_go_on() {
        let mut live = AudioClock::new(44_100);
        let times: Vec<(u64, u64)> =
            (0..1000).map(|frame| frame * 1024 * 10 / 441).map(|ms| (ms, live.stamp(ms, 1024))).collect();
        let mut earlier = live.earlier();
        for &(ms, start) in &times[900..] {
            assert_eq!(earlier.stamp(ms, 1024), start);
        }
        let mut elsewhere = live.earlier();
        assert_eq!(elsewhere.stamp(10, 1024), 441, "times that do not fit count for themselves");
    }
}
