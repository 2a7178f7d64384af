//! Names of recordings.
//!
//! Owns: filling in a pattern of the configuration. Does not know which names are taken.

use crate::output::disk::{Names, SEQUENCE, cut_part, safe_name};

/// Longest part of a name without the number in it and the format behind it.
const MAX_PART_BYTES: usize = 200;

/// Names for files that begin at `unix_ms` (milliseconds since 1970-01-01 UTC), without what says their format.
pub(super) fn names(pattern: &str, app: &str, stream: &str, unix_ms: u64, from: u32) -> Names {
    let (date, time) = date_and_time(unix_ms);
    let filled = pattern
        .replace("{date}", &date)
        .replace("{time}", &time)
        .replace("{app}", &safe_name(app, MAX_PART_BYTES))
        .replace("{stream}", &safe_name(stream, MAX_PART_BYTES));
    let parts: Vec<String> = filled.split('/').map(|part| cut_part(part, MAX_PART_BYTES)).collect();
    let template = if filled.contains(SEQUENCE) { parts.join("/") } else { format!("{}-{SEQUENCE}", parts.join("/")) };
    Names { template, from }
}

/// `2026-01-31` and `23-59-59`.
fn date_and_time(unix_ms: u64) -> (String, String) {
    let seconds = unix_ms / 1_000;
    let (year, month, day) = civil(seconds / 86_400);
    let in_day = seconds % 86_400;
    let (hour, minute, second) = (in_day / 3_600, in_day / 60 % 60, in_day % 60);
    (format!("{year:04}-{month:02}-{day:02}"), format!("{hour:02}-{minute:02}-{second:02}"))
}

/// Year, month and day of the Gregorian calendar, so many days after 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    // Years of 365.2425 days that begin in March, so that the day that some years have more is their last one.
    const DAYS_PER_400_YEARS: u64 = 146_097;
    // From 0000-03-01 to 1970-01-01.
    let days = days + 719_468;
    let (cycle, in_cycle) = (days / DAYS_PER_400_YEARS, days % DAYS_PER_400_YEARS);
    let leap_days = in_cycle / 1_460 + in_cycle / 146_096;
    let year = (in_cycle + in_cycle / 36_524 - leap_days) / 365;
    let in_year = in_cycle + year / 100 - (365 * year + year / 4);
    // Five months have 153 days, from March on.
    let month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (cycle * 400 + year + next_year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::disk::is_safe_name;

    #[test]
    fn days_have_the_dates_of_the_calendar() {
        let table = [
            (0, "1970-01-01", "00-00-00"),
            (951_782_399_999, "2000-02-28", "23-59-59"),
            (951_782_400_000, "2000-02-29", "00-00-00"),
            (951_868_800_000, "2000-03-01", "00-00-00"),
            (1_709_164_800_000, "2024-02-29", "00-00-00"),
            (1_735_689_599_000, "2024-12-31", "23-59-59"),
            (1_735_689_600_000, "2025-01-01", "00-00-00"),
            (4_107_542_400_000, "2100-03-01", "00-00-00"),
            (4_107_456_000_000, "2100-02-28", "00-00-00"),
        ];
        for (unix_ms, date, time) in table {
            assert_eq!(date_and_time(unix_ms), (date.to_owned(), time.to_owned()), "{unix_ms}");
        }
        // No day is left out or named twice.
        let mut last = civil(0);
        for days in 1..200_000 {
            let next = civil(days);
            let (year, month, day) = last;
            let may_follow = [(year, month, day + 1), (year, month + 1, 1), (year + 1, 1, 1)];
            assert!(may_follow.contains(&next), "{next:?} after {last:?}");
            last = next;
        }
    }

    #[test]
    fn patterns_are_filled_in() {
        let unix_ms = 1_735_689_599_000;
        let pattern = "{app}/{stream}-{date}-{time}-{sequence}";
        let table = [
            (pattern, "live", "a", "live/a-2024-12-31-23-59-59-3"),
            (pattern, "", "../x", "%empty/%2E./x-2024-12-31-23-59-59-3"),
            ("{sequence}/{stream}{sequence}", "live", "{app}", "3/%7Bapp%7D3"),
            ("fixed {stream}", "live", "a", "fixed a-3"),
        ];
        for (pattern, app, stream, expected) in table {
            let names = names(pattern, app, stream, unix_ms, 3);
            assert_eq!(names.name(names.from), expected);
            assert!(is_safe_name(expected));
        }
    }

    #[test]
    fn long_names_fit_and_stay_different() {
        let make = |stream: &str| names("{stream}-{sequence}", "live", stream, 0, 1).name(u32::MAX);
        let (one, other) = (make(&"\u{e9}".repeat(300)), make(&"\u{e9}".repeat(301)));
        assert!(is_safe_name(&one) && one.ends_with("4294967295"), "{one}");
        assert_ne!(one, other);
    }
}
