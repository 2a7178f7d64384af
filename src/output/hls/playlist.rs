//! Playlists as text (RFC 8216; RFC 8216bis for low latency).
//!
//! Owns: which tags stand where. Does not know who asks.

use std::fmt::Write as _;

use super::window::{Segment, Targets, Window};
use crate::config::HlsFormat;

/// How a media playlist is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style<'a> {
    pub(super) format: HlsFormat,
    /// With parts, hints and server control.
    pub(super) low_latency: bool,
    /// Leave out what a client that asked for a delta update has already.
    pub(super) skip: bool,
    /// Query of every URI; may be empty.
    pub(super) query: &'a str,
}

/// What the one variant is like.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Variant {
    pub(super) codecs: Option<String>,
    pub(super) dimensions: Option<(u16, u16)>,
    /// In thousandths of a frame per second.
    pub(super) milli_fps: Option<u64>,
    /// Bits per second of the segment with most of them.
    pub(super) peak: u64,
    /// Bits per second.
    pub(super) average: u64,
}

/// The multivariant playlist. `uri` leads to the media playlist.
pub(super) fn multivariant(variant: &Variant, format: HlsFormat, uri: &str) -> String {
    let mut out = Text::default();
    out.line(format_args!("#EXTM3U"));
    out.line(format_args!("#EXT-X-VERSION:{}", if format == HlsFormat::Ts { 3 } else { 6 }));
    out.part(format_args!("#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={}", variant.peak, variant.average));
    if let Some(codecs) = &variant.codecs {
        out.part(format_args!(",CODECS=\"{codecs}\""));
    }
    if let Some((width, height)) = variant.dimensions {
        out.part(format_args!(",RESOLUTION={width}x{height}"));
    }
    if let Some(milli_fps) = variant.milli_fps {
        out.part(format_args!(",FRAME-RATE={}", Seconds(milli_fps)));
    }
    out.line(format_args!(""));
    out.line(format_args!("{uri}"));
    out.0
}

/// The media playlist.
pub(super) fn media(window: &Window, targets: Targets, style: Style<'_>) -> String {
    let mut out = Text::default();
    let skipped = if style.skip && style.low_latency { skippable(window, targets) } else { 0 };
    head(&mut out, window, targets, style);
    if skipped > 0 {
        out.line(format_args!("#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}"));
    }
    let mut init = window.listed().get(skipped.wrapping_sub(1)).and_then(|segment| segment.init);
    let mut left_ms = window.duration_ms();
    let parts_from_ms = 3 * 1_000 * targets.segment_s;
    for (index, segment) in window.listed().iter().enumerate() {
        left_ms -= segment.duration_ms;
        if index < skipped {
            continue;
        }
        segment_head(&mut out, segment, &mut init, style);
        if style.low_latency && left_ms <= parts_from_ms {
            parts(&mut out, segment, style);
        }
        out.line(format_args!("#EXTINF:{},", Seconds(segment.duration_ms)));
        let extension = if style.format == HlsFormat::Ts { "ts" } else { "m4s" };
        out.line(format_args!("seg-{}.{extension}{}", segment.msn, Suffix(style.query)));
    }
    if style.low_latency {
        if let Some(open) = window.open() {
            segment_head(&mut out, open, &mut init, style);
            parts(&mut out, open, style);
        }
        if !window.is_ended {
            let (msn, index) = (window.open_msn(), window.open_parts());
            let suffix = Suffix(style.query);
            out.line(format_args!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"part-{msn}.{index}.m4s{suffix}\""));
        }
    }
    if window.is_ended {
        out.line(format_args!("#EXT-X-ENDLIST"));
    }
    out.0
}

fn head(out: &mut Text, window: &Window, targets: Targets, style: Style<'_>) {
    let version = match (style.low_latency, style.format) {
        // EXT-X-SKIP, in the answers to those who ask for it.
        (true, _) => 9,
        // EXT-X-MAP.
        (false, HlsFormat::Fmp4) => 6,
        // Fractions in EXTINF.
        (false, HlsFormat::Ts) => 3,
    };
    out.line(format_args!("#EXTM3U"));
    out.line(format_args!("#EXT-X-VERSION:{version}"));
    out.line(format_args!("#EXT-X-TARGETDURATION:{}", targets.segment_s));
    if style.low_latency {
        let segment_ms = targets.segment_s * 1_000;
        out.line(format_args!(
            "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={},HOLD-BACK={},PART-HOLD-BACK={}",
            Seconds(6 * segment_ms),
            Seconds(3 * segment_ms),
            Seconds(3 * targets.part_ms)
        ));
        out.line(format_args!("#EXT-X-PART-INF:PART-TARGET={}", Seconds(targets.part_ms)));
    }
    out.line(format_args!("#EXT-X-MEDIA-SEQUENCE:{}", window.first_msn()));
    out.line(format_args!("#EXT-X-DISCONTINUITY-SEQUENCE:{}", window.discontinuity_sequence));
    if window.listed().iter().chain(window.open()).all(|segment| segment.opening.independent) {
        out.line(format_args!("#EXT-X-INDEPENDENT-SEGMENTS"));
    }
}

/// How many segments a delta update leaves out: those further from the end than six target durations.
///
/// None where another initialization segment begins behind them: hls.js, which carries the last one it knows over to
/// all segments that come without, would give the older ones the newer one.
fn skippable(window: &Window, targets: Targets) -> usize {
    let boundary_ms = 6 * 1_000 * targets.segment_s;
    let mut left_ms = window.duration_ms();
    let is_far = |segment: &&Segment| {
        left_ms -= segment.duration_ms;
        left_ms > boundary_ms
    };
    let skipped = window.listed().iter().take_while(is_far).count();
    let mut rest = window.listed().iter().chain(window.open()).skip(skipped.saturating_sub(1));
    let init = rest.next().and_then(|segment| segment.init);
    if rest.all(|segment| segment.init == init) { skipped } else { 0 }
}

fn segment_head(out: &mut Text, segment: &Segment, init: &mut Option<u64>, style: Style<'_>) {
    if segment.opening.discontinuity {
        out.line(format_args!("#EXT-X-DISCONTINUITY"));
    }
    if let Some(id) = segment.init.filter(|_| *init != segment.init) {
        out.line(format_args!("#EXT-X-MAP:URI=\"init-{id}.mp4{}\"", Suffix(style.query)));
        *init = segment.init;
    }
    out.line(format_args!("#EXT-X-PROGRAM-DATE-TIME:{}", DateTime(segment.unix_ms)));
}

fn parts(out: &mut Text, segment: &Segment, style: Style<'_>) {
    for (index, part) in segment.parts.iter().enumerate() {
        let independent = if part.independent { ",INDEPENDENT=YES" } else { "" };
        out.line(format_args!(
            "#EXT-X-PART:DURATION={},URI=\"part-{}.{index}.m4s{}\"{independent}",
            Seconds(part.duration_ms),
            segment.msn,
            Suffix(style.query)
        ));
    }
}

/// Lines of text.
#[derive(Default)]
struct Text(String);

impl Text {
    fn part(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        self.0.write_fmt(text).unwrap_or_default();
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        self.part(text);
        self.0.push('\n');
    }
}

/// Thousandths, as a number with three decimals.
struct Seconds(u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }
}

/// A query with its `?`, where there is one.
struct Suffix<'a>(&'a str);

impl std::fmt::Display for Suffix<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "?{}", self.0) }
    }
}

/// Milliseconds since 1970 as ISO 8601, UTC.
struct DateTime(u64);

impl std::fmt::Display for DateTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seconds, ms) = (self.0 / 1_000, self.0 % 1_000);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        // Years that begin in March, so that the leap day is the last one; 400 years have 146097 days.
        let day = days + 719_468;
        let (era, day_of_era) = (day / 146_097, day % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let day_of_month = day_of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day_of_month:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_iso_8601() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_001, "2000-02-29T00:00:00.001Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (1_709_251_200_000, "2024-03-01T00:00:00.000Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ];
        for (unix_ms, expected) in cases {
            assert_eq!(DateTime(unix_ms).to_string(), expected);
        }
    }

    #[test]
    fn a_variant_tells_what_is_known() {
        let mut variant = Variant { peak: 9, average: 8, ..Variant::default() };
        let bare = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-STREAM-INF:BANDWIDTH=9,AVERAGE-BANDWIDTH=8\nx/media.m3u8\n";
        assert_eq!(multivariant(&variant, HlsFormat::Ts, "x/media.m3u8"), bare);
        variant.codecs = Some("avc1.42c01f,mp4a.40.2".to_owned());
        variant.dimensions = Some((1280, 720));
        variant.milli_fps = Some(29_970);
        let line = "#EXT-X-STREAM-INF:BANDWIDTH=9,AVERAGE-BANDWIDTH=8,CODECS=\"avc1.42c01f,mp4a.40.2\",\
                    RESOLUTION=1280x720,FRAME-RATE=29.970";
        let whole = multivariant(&variant, HlsFormat::Fmp4, "x/media.m3u8");
        assert!(whole.lines().any(|whole| whole == line), "{whole}");
    }
}
