//! Which values make sense.
//!
//! Owns: the range of every number that may be set, and which of two numbers may not be larger than the other. Does
//! not know where a value was typed.

use std::ops::RangeInclusive;

use super::{AppConfig, Config, HttpPort, joined};

/// A number that cannot stay as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// Keys of the configuration file that take part, the one to blame first.
    pub(super) keys: Vec<String>,
    /// What is wrong, with their names.
    pub(super) text: String,
}

struct Range<T> {
    key: &'static str,
    allowed: RangeInclusive<u64>,
    value: fn(&T) -> u64,
}

const fn range<T>(key: &'static str, allowed: RangeInclusive<u64>, value: fn(&T) -> u64) -> Range<T> {
    Range { key, allowed, value }
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const TIB: u64 = 1024 * GIB;
const SECOND_MS: u64 = 1_000;
const HOUR_MS: u64 = 3_600 * SECOND_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// With less memory than this the server could not even hold one large picture; it is a number in the wrong unit.
const LEAST_MEMORY: u64 = 32 * MIB;

/// Every number that holds for the whole server. Lower ends keep it able to work at all (a `connect` command has to
/// fit, a stream has at least metadata and two headers), upper ends keep sums of times and sizes within their types.
const RANGES: &[Range<Config>] = &[
    range("server.port", 0..=65_535, |c| c.port.into()),
    range("server.http_port", 0..=65_535, |c| match c.http_port {
        HttpPort::Off => 0,
        HttpPort::On(port) => port.into(),
    }),
    // More than 65536 saves nothing that could be measured; 128 is the size every peer begins with.
    range("server.chunk_size", 128..=65_536, |c| c.engine.chunk_size as u64),
    // No more than the least `lag_ms`: what waits for others must not count as late.
    range("server.batch_ms", 0..=100, |c| c.engine.batch_ms),
    range("server.drain_ms", 0..=7 * DAY_MS, |c| c.engine.drain.drain_ms),
    range("server.upgrade_drain_ms", 0..=7 * DAY_MS, |c| c.engine.drain.upgrade_drain_ms),
    range("limits.connections", 1..=10_000_000, |c| c.engine.connections as u64),
    range("limits.memory_limit", 0..=TIB, |c| c.engine.memory_limit as u64),
    // The length of a message has three bytes.
    range("limits.session.message_bytes", 4 * KIB..=16 * MIB - 1, |c| c.engine.session.message_bytes as u64),
    range("limits.session.command_bytes", 4 * KIB..=MIB, |c| c.engine.session.command_bytes as u64),
    range("limits.session.partial_bytes", 4 * KIB..=GIB, |c| c.engine.session.partial_bytes as u64),
    // The number of chunk streams that the specification can name ends at 65597 (5.3.1.1).
    range("limits.session.chunk_streams", 8..=65_597, |c| c.engine.session.chunk_streams as u64),
    range("limits.session.message_streams", 1..=4_096, |c| c.engine.session.message_streams as u64),
    range("limits.session.answer_bytes", 16 * KIB..=64 * MIB, |c| c.engine.session.answer_bytes as u64),
    range("limits.session.setup_timeout_ms", 100..=HOUR_MS, |c| c.engine.session.setup_timeout_ms),
    range("limits.session.publisher_idle_timeout_ms", 100..=DAY_MS, |c| c.engine.session.publisher_idle_timeout_ms),
    range("limits.session.ping_interval_ms", SECOND_MS..=DAY_MS, |c| c.engine.session.ping_interval_ms),
    // Peers read these two as signed numbers.
    range("limits.session.acknowledgement_bytes", 4 * KIB..=2 * GIB - 1, |c| {
        c.engine.session.acknowledgement_bytes.into()
    }),
    range("limits.session.acknowledgement_interval_ms", 0..=HOUR_MS, |c| c.engine.session.acknowledgement_interval_ms),
    range("limits.session.window_bytes", 4 * KIB..=2 * GIB - 1, |c| c.engine.session.window_bytes.into()),
    range("limits.http.head_bytes", KIB..=MIB, |c| c.engine.http.head_bytes as u64),
    range("limits.http.headers", 16..=1_024, |c| c.engine.http.headers as u64),
    range("limits.http.body_bytes", KIB..=64 * MIB, |c| c.engine.http.body_bytes as u64),
    range("limits.http.head_timeout_ms", 100..=HOUR_MS, |c| c.engine.http.head_timeout_ms),
    range("limits.http.body_timeout_ms", 100..=HOUR_MS, |c| c.engine.http.body_timeout_ms),
    range("limits.http.idle_timeout_ms", 100..=HOUR_MS, |c| c.engine.http.idle_timeout_ms),
    // A control frame holds up to 125 bytes (RFC 6455, 5.5).
    range("limits.http.websocket_message_bytes", 125..=MIB, |c| c.engine.http.websocket_message_bytes as u64),
    range("limits.http.websocket_ping_ms", SECOND_MS..=DAY_MS, |c| c.engine.http.websocket_ping_ms),
    range("limits.queue.hard_bytes", 64 * KIB..=2 * GIB - 1, |c| c.engine.queue.hard_bytes as u64),
    range("limits.queue.stall_timeout_ms", 100..=HOUR_MS, |c| c.engine.queue.stall_timeout_ms),
    range("limits.queue.linger_ms", 0..=60 * SECOND_MS, |c| c.engine.queue.linger_ms),
    range("limits.streams", 1..=10_000_000, |c| c.engine.streams as u64),
    range("api.sessions", 0..=100_000, |c| c.engine.api.sessions as u64),
    range("api.metrics_streams", 0..=100_000, |c| c.engine.api.metrics_streams as u64),
    range("limits.access.connections_per_ip", 0..=10_000_000, |c| c.engine.access.connections_per_ip as u64),
    range("limits.access.publishes_per_second_per_ip", 0..=1_000_000, |c| {
        c.engine.access.publishes_per_second_per_ip.into()
    }),
    range("limits.access.publishes_per_second", 0..=1_000_000, |c| c.engine.access.publishes_per_second.into()),
    range("limits.access.plays_per_second_per_ip", 0..=1_000_000, |c| c.engine.access.plays_per_second_per_ip.into()),
    range("limits.access.plays_per_second", 0..=1_000_000, |c| c.engine.access.plays_per_second.into()),
    range("callbacks.timeout_ms", 100..=60 * SECOND_MS, |c| c.engine.callbacks.timeout_ms),
    range("callbacks.retries", 0..=10, |c| c.engine.callbacks.retries.into()),
    range("callbacks.waiting", 1..=1_000_000, |c| c.engine.callbacks.waiting as u64),
];

/// Every number that may differ between applications, below `default` or `app.NAME`.
const APP_RANGES: &[Range<AppConfig>] = &[
    range("takeover_silence_ms", 0..=DAY_MS, |app| app.takeover_silence_ms),
    range("grace_ms", 0..=DAY_MS, |app| app.grace_ms),
    range("players_per_stream", 0..=10_000_000, |app| app.players_per_stream as u64),
    range("stream_bytes_per_second", 0..=100 * GIB, |app| app.stream_bytes_per_second),
    range("queue.bytes", 64 * KIB..=GIB, |app| app.queue.bytes as u64),
    range("queue.lag_ms", 100..=HOUR_MS, |app| app.queue.lag_ms.into()),
    range("cache.probe_frames", 0..=1_000, |app| app.cache.probe_frames as u64),
    range("cache.one_track_probe_ms", 0..=60_000, |app| app.cache.one_track_probe_ms),
    range("cache.probe_bytes", 0..=GIB, |app| app.cache.probe_bytes as u64),
    range("cache.gop_frames", 1..=1_000_000, |app| app.cache.gop_frames as u64),
    range("cache.gop_bytes", 64 * KIB..=GIB, |app| app.cache.gop_bytes as u64),
    range("cache.gop_ms", 100..=HOUR_MS, |app| app.cache.gop_ms),
    range("cache.headers", 3..=1_024, |app| app.cache.headers as u64),
    range("cache.header_bytes", 4 * KIB..=GIB, |app| app.cache.header_bytes as u64),
    range("cache.video_absent_ms", 100..=HOUR_MS, |app| app.cache.video_absent_ms),
    range("hls.segment_ms", 500..=60 * SECOND_MS, |app| app.hls.segment_ms),
    range("hls.max_segment_ms", SECOND_MS..=60 * SECOND_MS, |app| app.hls.max_segment_ms),
    range("hls.part_ms", 100..=5 * SECOND_MS, |app| app.hls.part_ms),
    range("hls.segments", 3..=1_000, |app| app.hls.segments as u64),
    range("hls.removed_ms", 0..=HOUR_MS, |app| app.hls.removed_ms),
    range("hls.window_bytes", MIB..=16 * GIB, |app| app.hls.window_bytes as u64),
    range("hls.waiting_requests", 1..=10_000_000, |app| app.hls.waiting_requests as u64),
    range("hls.idle_timeout_ms", SECOND_MS..=DAY_MS, |app| app.hls.idle_timeout_ms),
    range("record.split_ms", 0..=DAY_MS, |app| app.record.split_ms),
    range("record.split_bytes", 0..=TIB, |app| app.record.split_bytes),
    // A key frame, and what comes while the disk takes it.
    range("record.queue_bytes", MIB..=GIB, |app| app.record.queue_bytes),
    range("record.flush_ms", 0..=60 * SECOND_MS, |app| app.record.flush_ms),
];

/// The first may not be larger than the second; why.
type Order = (&'static str, &'static str, &'static str);

const ORDER: &[Order] = &[
    ("limits.session.command_bytes", "limits.session.message_bytes", "publishers send commands, too"),
    ("limits.session.message_bytes", "limits.session.partial_bytes", "one whole message has to fit"),
];

const APP_ORDER: &[Order] = &[
    ("cache.gop_bytes", "queue.bytes", "a player that joins is sent a whole group at once"),
    ("hls.segment_ms", "hls.max_segment_ms", "the second ends a segment in any case"),
    ("hls.part_ms", "hls.segment_ms", "a segment is made of parts"),
];

/// The section of the default, and that of one application.
const DEFAULT: &str = "default";
const APP: &str = "app";

/// The range of the number that `key` of the configuration file names.
pub(super) fn allowed(key: &str) -> Option<RangeInclusive<u64>> {
    let of_server = RANGES.iter().find(|range| range.key == key).map(|range| range.allowed.clone());
    of_server.or_else(|| {
        let key = within_app(key)?;
        APP_RANGES.iter().find(|range| range.key == key).map(|range| range.allowed.clone())
    })
}

/// What of a key stands behind `default.` or `app.NAME.`.
fn within_app(key: &str) -> Option<&str> {
    let (section, rest) = key.split_once('.')?;
    match (section, rest.strip_prefix('"')) {
        (DEFAULT, _) => Some(rest),
        (APP, None) => rest.split_once('.').map(|(_, key)| key),
        // As `joined` writes it: a quote within has a \ before it.
        (APP, Some(quoted)) => {
            let mut ends = quoted.match_indices("\".").map(|(at, _)| at);
            let end = ends.find(|&at| !quoted.get(..at).is_some_and(|name| name.ends_with('\\')))?;
            quoted.get(end + 2..)
        }
        _ => None,
    }
}

/// A range in words.
pub(super) fn expected(allowed: &RangeInclusive<u64>) -> String {
    format!("must be a whole number from {} to {}", allowed.start(), allowed.end())
}

/// The number that was typed for `key` outside a file.
///
/// # Errors
/// What is wrong with it, without the key.
pub(crate) fn parse_number(key: &str, typed: &str) -> Result<u64, String> {
    let allowed = allowed(key).ok_or_else(|| format!("{key} is no number"))?;
    let number = typed.parse().ok().filter(|number| allowed.contains(number));
    number.ok_or_else(|| format!("{}, is {typed:?}", expected(&allowed)))
}

/// Finds the first number that is out of its range, or larger than one that it may not exceed.
///
/// # Errors
/// [`Problem`].
pub(super) fn check(config: &Config) -> Result<(), Problem> {
    check_table(RANGES, ORDER, config, |key| vec![key.to_owned()])?;
    let memory = config.engine.memory_limit as u64;
    if (1..LEAST_MEMORY).contains(&memory) {
        let key = "limits.memory_limit";
        let text = format!("{key}: must be 0 or at least {LEAST_MEMORY}, is {memory}");
        return Err(Problem { keys: vec![key.to_owned()], text });
    }
    check_table(APP_RANGES, APP_ORDER, &config.engine.app, |key| vec![format!("{DEFAULT}.{key}")])?;
    config.engine.apps.iter().try_for_each(|(name, app)| {
        let section = joined(APP, name);
        // What the application does not set is the default's.
        check_table(APP_RANGES, APP_ORDER, app, |key| vec![format!("{section}.{key}"), format!("{DEFAULT}.{key}")])
    })
}

/// Checks what stands in one table. `places`: where in the file a key may be set, the place to blame first.
fn check_table<T>(
    ranges: &[Range<T>],
    order: &[Order],
    of: &T,
    places: impl Fn(&str) -> Vec<String>,
) -> Result<(), Problem> {
    let name = |key: &str| places(key).swap_remove(0);
    for Range { key, allowed, value } in ranges {
        let value = value(of);
        if !allowed.contains(&value) {
            let text = format!("{}: {}, is {value}", name(key), expected(allowed));
            return Err(Problem { keys: places(key), text });
        }
    }
    let value_of = |key: &str| ranges.iter().find(|range| range.key == key).map(|range| (range.value)(of));
    for &(smaller, larger, why) in order {
        let (Some(small), Some(large)) = (value_of(smaller), value_of(larger)) else { continue };
        if small > large {
            let (lesser, greater) = (name(smaller), name(larger));
            let text = format!("{lesser} ({small}) must not be larger than {greater} ({large}): {why}");
            let (of_smaller, of_larger) = (places(smaller).into_iter(), places(larger).into_iter());
            // Those of one section before those of the other.
            let keys = of_smaller.zip(of_larger).flat_map(|(one, other)| [one, other]).collect();
            return Err(Problem { keys, text });
        }
    }
    Ok(())
}

/// Keys and ranges, for the tests that hold other texts against them. Those that may differ between applications stand
/// below `default`.
#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = (String, RangeInclusive<u64>)> {
    let of_server = RANGES.iter().map(|range| (range.key.to_owned(), range.allowed.clone()));
    of_server.chain(of_apps().map(|(key, allowed)| (format!("{DEFAULT}.{key}"), allowed)))
}

/// Keys and ranges of what may differ between applications.
#[cfg(test)]
pub(super) fn of_apps() -> impl Iterator<Item = (&'static str, RangeInclusive<u64>)> {
    APP_RANGES.iter().map(|range| (range.key, range.allowed.clone()))
}

/// How many pairs are compared.
#[cfg(test)]
pub(super) fn ordered_count() -> usize {
    ORDER.len() + APP_ORDER.len()
}
