//! How often something took how long.
//!
//! Owns: counting durations in buckets that grow with them, and reading percentiles back. Does not know what was
//! measured.

/// Four buckets for each power of two, from 1 us to 8 s; the last one holds whatever is longer.
const BUCKETS: usize = 88;
/// Buckets of one power of two, as a number of bits.
const SUB_BITS: u32 = 2;

/// Counts of durations in microseconds. Takes no memory but its own, and an addition for each value.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    counts: [u64; BUCKETS],
    total: u64,
    sum_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: [0; BUCKETS], total: 0, sum_us: 0 }
    }
}

/// The bucket of a value. Those below 4 us have one each.
const fn bucket(us: u64) -> usize {
    if us < 1 << SUB_BITS {
        return us as usize;
    }
    let exponent = us.ilog2();
    let sub = us >> (exponent - SUB_BITS) & 3;
    let index = ((exponent - 1) << SUB_BITS) as usize + sub as usize;
    if index < BUCKETS { index } else { BUCKETS - 1 }
}

/// The first value that lies above a bucket.
const fn end(bucket: usize) -> u64 {
    if bucket < 1 << SUB_BITS {
        return bucket as u64 + 1;
    }
    let exponent = (bucket >> SUB_BITS) as u32 + 1;
    let sub = bucket as u64 & 3;
    (sub + 5) << (exponent - SUB_BITS)
}

impl Histogram {
    /// `count` times `us` microseconds.
    pub(super) fn add(&mut self, us: u64, count: u64) {
        if let Some(slot) = self.counts.get_mut(bucket(us)) {
            *slot += count;
        }
        self.total += count;
        self.sum_us = self.sum_us.saturating_add(us.saturating_mul(count));
    }

    /// How many values there are.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// All values together, in microseconds.
    pub(super) const fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// How many values are below each power of two of microseconds (the power, the count), from 16 us to 8 s.
    pub(super) fn powers(&self) -> impl Iterator<Item = (u64, u64)> {
        const FIRST_POWER: u32 = 4;
        const LAST_POWER: u32 = 22;
        let mut counted = 0;
        let mut below = 0;
        (FIRST_POWER..=LAST_POWER).map(move |power| {
            let limit = 1_u64 << power;
            while end(counted) <= limit {
                below += self.counts.get(counted).copied().unwrap_or_default();
                counted += 1;
            }
            (limit, below)
        })
    }
}

fn percentile(parts: &[Histogram], percent: u64) -> Option<u64> {
    let total: u64 = parts.iter().map(Histogram::total).sum();
    // The value at this place, counted from 1.
    let rank = (total * percent).div_ceil(100).max(1);
    let mut below = 0;
    (0..BUCKETS).find_map(|index| {
        below += parts.iter().filter_map(|part| part.counts.get(index)).sum::<u64>();
        (total > 0 && below >= rank).then(|| end(index))
    })
}

/// What was measured lately: between one and two spans of time.
#[derive(Debug, Default)]
pub(super) struct Recent {
    parts: [Histogram; 2],
    /// Number of the span in which the last value came.
    span: u64,
}

impl Recent {
    /// `count` times `us` microseconds, in the span with this number.
    pub(super) fn add(&mut self, span: u64, us: u64, count: u64) {
        self.turn(span);
        let [newest, _] = &mut self.parts;
        newest.add(us, count);
    }

    /// At most so many microseconds in `percent` of all cases, a quarter more at worst, for one who asks in this span;
    /// `None` without values.
    pub(super) fn percentile_us(&mut self, span: u64, percent: u64) -> Option<u64> {
        self.turn(span);
        percentile(&self.parts, percent)
    }

    fn turn(&mut self, span: u64) {
        if span == self.span {
            return;
        }
        let [newest, older] = &mut self.parts;
        *older = if span == self.span + 1 { std::mem::take(newest) } else { Histogram::default() };
        *newest = Histogram::default();
        self.span = span;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_gaps() {
        let mut last = 0;
        for us in 0..100_000 {
            let index = bucket(us);
            assert!(index == last || index == last + 1, "{us}");
            assert!(us < end(index) && (index == 0 || us >= end(index - 1)), "{us}");
            last = index;
        }
        for us in [u64::MAX, 1 << 40, (1 << 23) - 1] {
            assert_eq!(bucket(us), BUCKETS - 1);
        }
        assert_eq!(end(BUCKETS - 1), 1 << 23);
    }

    #[test]
    fn percentiles_are_at_most_a_quarter_too_high() {
        let mut histogram = Histogram::default();
        let read = |histogram: &Histogram, percent| percentile(std::slice::from_ref(histogram), percent);
        assert_eq!(read(&histogram, 50), None);
        for us in 1..=1_000 {
            histogram.add(us, 1);
        }
        for (percent, exact) in [(1, 10), (50, 500), (99, 990), (100, 1_000)] {
            let told = read(&histogram, percent).unwrap();
            assert!(told > exact && told <= exact + exact / 4 + 1, "{percent}: {told}");
        }
        assert_eq!((histogram.total(), histogram.sum_us()), (1_000, 500_500));
    }

    #[test]
    fn powers_count_what_is_below_them() {
        let mut histogram = Histogram::default();
        for us in [0, 15, 16, 17, 1_023, 1_024, u64::MAX] {
            histogram.add(us, 2);
        }
        let powers: Vec<_> = histogram.powers().collect();
        assert_eq!(powers.first(), Some(&(16, 4)));
        assert_eq!(powers.last(), Some(&(1 << 22, 12)));
        assert!(powers.contains(&(32, 8)) && powers.contains(&(1_024, 10)) && powers.contains(&(2_048, 12)));
        assert_eq!(histogram.total(), 14);
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let mut recent = Recent::default();
        recent.add(1, 10_000, 1);
        recent.add(2, 100, 1);
        assert!(recent.percentile_us(2, 100).unwrap() > 10_000);
        assert!(recent.percentile_us(3, 100).unwrap() < 200);
        recent.add(3, 1, 1);
        assert_eq!(recent.percentile_us(5, 50), None);
    }
}
