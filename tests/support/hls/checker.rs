//! What must hold from one playlist to the next.

use std::collections::{BTreeMap, VecDeque};

use super::playlist::{Playlist, Segment};

/// Follows one media playlist over its life, and its segments. Every method lists what is wrong.
///
/// Times are milliseconds of any clock that the caller keeps.
#[derive(Debug, Default)]
pub struct Checker {
    last: Option<Playlist>,
    last_text: String,
    seen: BTreeMap<u64, Segment>,
    /// URI of every whole segment that is or was listed, with what makes it up.
    pub segments: BTreeMap<u64, String>,
    bodies: BTreeMap<String, u64>,
    lengths: BTreeMap<String, usize>,
    longest_ms: u64,
    /// Removed segments and the time until which they must be there.
    removed: VecDeque<(u64, String)>,
}

type Problems = Vec<String>;

fn check(problems: &mut Problems, holds: bool, problem: impl FnOnce() -> String) {
    if !holds {
        problems.push(problem());
    }
}

impl Checker {
    /// The newest playlist that was checked.
    pub fn last(&self) -> Option<&Playlist> {
        self.last.as_ref()
    }

    /// The next playlist (not a delta update), received at `at_ms`.
    pub fn playlist(&mut self, at_ms: u64, text: &str) -> Problems {
        let playlist = match Playlist::parse(text) {
            Ok(playlist) => playlist,
            Err(problem) => return vec![format!("{problem}\n{text}")],
        };
        let mut problems = alone(&playlist);
        if let Some(last) = self.last.take() {
            follows(&last, &playlist, &mut problems);
            self.note_removed(at_ms, &last, &playlist, &mut problems);
            let changed = text != self.last_text;
            check(&mut problems, !last.is_ended || !changed, || "changed after EXT-X-ENDLIST".to_owned());
        }
        for segment in playlist.all() {
            self.note_segment(segment, &mut problems);
        }
        self.longest_ms = self.longest_ms.max(playlist.duration_ms());
        self.last = Some(playlist);
        text.clone_into(&mut self.last_text);
        if !problems.is_empty() {
            problems.push(text.to_owned());
        }
        problems
    }

    /// Segments that left the playlist stay for their own length and that of the longest playlist that had them.
    fn note_removed(&mut self, at_ms: u64, last: &Playlist, playlist: &Playlist, problems: &mut Problems) {
        let gone = last.segments.iter().filter(|segment| segment.msn < playlist.media_sequence);
        for segment in gone {
            let until_ms = at_ms + segment.duration_ms + self.longest_ms;
            self.removed.extend(segment.uri.clone().map(|uri| (until_ms, uri)));
        }
        let is_shorter = playlist.media_sequence > last.media_sequence;
        let is_long_enough = playlist.duration_ms() >= 3_000 * playlist.target_s;
        check(problems, !is_shorter || is_long_enough, || "removal left less than three target durations".to_owned());
    }

    /// A segment never changes, and parts are only added to the last one.
    fn note_segment(&mut self, segment: &Segment, problems: &mut Problems) {
        let msn = segment.msn;
        if let Some(uri) = &segment.uri {
            let other = self.segments.iter().find(|(other, name)| **other != msn && *name == uri);
            check(problems, other.is_none(), || format!("{uri} is the name of another segment, too"));
            self.segments.insert(msn, uri.clone());
        }
        let Some(known) = self.seen.insert(msn, segment.clone()) else { return };
        if let Some(now) = self.seen.get_mut(&msn).filter(|now| now.parts.is_empty()) {
            // Old segments are listed without their parts.
            now.parts.clone_from(&known.parts);
        }
        check(problems, known.discontinuities == segment.discontinuities, || {
            format!("segment {msn}: discontinuity {} became {}", known.discontinuities, segment.discontinuities)
        });
        check(problems, known.discontinuity == segment.discontinuity, || format!("segment {msn}: EXT-X-DISCONTINUITY"));
        check(problems, known.map == segment.map, || format!("segment {msn}: another EXT-X-MAP"));
        check(problems, known.date_ms == segment.date_ms, || format!("segment {msn}: another date"));
        if known.uri.is_some() {
            check(problems, known.uri == segment.uri, || format!("segment {msn}: another URI"));
            let same_ms = known.duration_ms == segment.duration_ms;
            check(problems, same_ms, || format!("segment {msn}: another duration"));
        }
        let parts = &segment.parts;
        let is_grown = parts.starts_with(&known.parts) && (known.uri.is_none() || parts.len() == known.parts.len());
        check(problems, is_grown || parts.is_empty(), || format!("segment {msn}: other parts"));
    }

    /// What a client gets that asked for a delta update at the time of the last playlist.
    pub fn delta(&self, text: &str) -> Problems {
        let full: Vec<&str> = self.last_text.lines().collect();
        let delta: Vec<&str> = text.lines().collect();
        let Some(at) = delta.iter().position(|line| line.starts_with("#EXT-X-SKIP")) else {
            return if full == delta { Vec::new() } else { vec![format!("neither delta nor full:\n{text}")] };
        };
        let (Ok(parsed), Some(last)) = (Playlist::parse(text), &self.last) else {
            return vec![format!("unreadable:\n{text}")];
        };
        let mut problems = Problems::new();
        check(&mut problems, parsed.version >= 9, || "EXT-X-SKIP needs version 9".to_owned());
        let skip_until_ms = last.can_skip_until_ms.unwrap_or(u64::MAX);
        let kept_ms: u64 = last.all().skip(parsed.skipped).map(|segment| segment.duration_ms).sum();
        check(&mut problems, kept_ms >= skip_until_ms, || "skips what is nearer than CAN-SKIP-UNTIL".to_owned());
        let (head, tail) = (&delta[..at], &delta[at + 1..]);
        let fits = full.starts_with(head) && full.ends_with(tail) && head.len() + tail.len() < full.len();
        check(&mut problems, fits, || format!("a delta of another playlist:\n{text}"));
        if fits {
            let skipped = &full[head.len()..full.len() - tail.len()];
            let count = skipped.iter().filter(|line| line.starts_with("#EXTINF")).count();
            check(&mut problems, count == parsed.skipped, || format!("SKIPPED-SEGMENTS is not {count}"));
        }
        problems
    }

    /// What must still be answered at `at_ms` although it is no longer listed.
    pub fn still_there(&mut self, at_ms: u64) -> Vec<String> {
        self.removed.retain(|(until_ms, _)| *until_ms >= at_ms);
        self.removed.iter().map(|(_, uri)| uri.clone()).collect()
    }

    /// The body that was got for `uri`: always the same.
    pub fn body(&mut self, uri: &str, body: &[u8]) -> Problems {
        let mut problems = Problems::new();
        let digest = body
            .iter()
            .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3));
        let known = *self.bodies.entry(uri.to_owned()).or_insert(digest);
        check(&mut problems, known == digest, || format!("{uri} changed"));
        check(&mut problems, !body.is_empty(), || format!("{uri} is empty"));
        self.lengths.insert(uri.to_owned(), body.len());
        problems
    }

    /// Parts make up their segments, as far as bodies of all of them were seen.
    pub fn parts_sum_up(&self) -> Problems {
        let mut problems = Problems::new();
        for segment in self.seen.values() {
            let whole = segment.uri.as_ref().and_then(|uri| self.lengths.get(uri));
            let parts: Option<Vec<usize>> =
                segment.parts.iter().map(|part| self.lengths.get(&part.uri).copied()).collect();
            if let (Some(&whole), Some(parts)) = (whole, parts.filter(|parts| !parts.is_empty())) {
                let sum: usize = parts.iter().sum();
                check(&mut problems, sum == whole, || format!("segment {}: {whole} bytes, parts {sum}", segment.msn));
            }
        }
        problems
    }
}

/// What holds in one playlist by itself.
fn alone(playlist: &Playlist) -> Problems {
    let mut problems = Problems::new();
    let target_s = playlist.target_s;
    check(&mut problems, target_s > 0, || "no EXT-X-TARGETDURATION".to_owned());
    check(&mut problems, playlist.skipped == 0, || "a delta update that nobody asked for".to_owned());
    let needed = if playlist.segments.iter().any(|segment| segment.map.is_some()) { 6 } else { 3 };
    check(&mut problems, playlist.version >= needed, || format!("version {needed} is needed"));
    for segment in playlist.all() {
        let msn = segment.msn;
        let rounded_s = (segment.duration_ms + 500) / 1_000;
        check(&mut problems, rounded_s <= target_s, || format!("segment {msn} is longer than the target"));
        let is_mp4 = !segment.uri.as_ref().is_some_and(|uri| uri.split('?').next().unwrap_or(uri).ends_with(".ts"));
        check(&mut problems, segment.map.is_some() == is_mp4, || format!("segment {msn}: EXT-X-MAP"));
        check(&mut problems, segment.date_ms.is_some(), || format!("segment {msn}: no date"));
        parts(playlist, segment, &mut problems);
    }
    for (one, next) in playlist.all().zip(playlist.all().skip(1)).filter(|(_, next)| !next.discontinuity) {
        let expected = one.date_ms.map(|date| date + one.duration_ms);
        check(&mut problems, expected == next.date_ms, || format!("segment {}: date does not go on", next.msn));
        check(&mut problems, one.map == next.map, || format!("segment {}: EXT-X-MAP without discontinuity", next.msn));
    }
    server_control(playlist, &mut problems);
    problems
}

/// Parts of one segment (RFC 8216bis, 4.4.4.9).
fn parts(playlist: &Playlist, segment: &Segment, problems: &mut Problems) {
    let msn = segment.msn;
    let Some(target_ms) = playlist.part_target_ms else {
        return check(problems, segment.parts.is_empty(), || format!("segment {msn}: parts without EXT-X-PART-INF"));
    };
    let Some((_, others)) = segment.parts.split_last() else { return };
    for part in &segment.parts {
        check(problems, part.duration_ms <= target_ms, || format!("{} is too long", part.uri));
    }
    // A part that is followed by the segment's end may be short, so may one with a key frame.
    for part in others.iter().filter(|part| !part.independent) {
        check(problems, part.duration_ms * 100 >= target_ms * 85, || format!("{} is too short", part.uri));
    }
    let sum_ms: u64 = segment.parts.iter().map(|part| part.duration_ms).sum();
    check(problems, sum_ms == segment.duration_ms, || format!("segment {msn}: parts do not sum up"));
    let begins = segment.parts.first().is_some_and(|part| part.independent);
    check(problems, begins || !playlist.is_independent, || format!("segment {msn} is not independent"));
}

fn server_control(playlist: &Playlist, problems: &mut Problems) {
    let target_ms = playlist.target_s * 1_000;
    if let Some(skip_ms) = playlist.can_skip_until_ms {
        check(problems, skip_ms >= 6 * target_ms, || "CAN-SKIP-UNTIL is less than six targets".to_owned());
    }
    if let Some(hold_ms) = playlist.hold_back_ms {
        check(problems, hold_ms >= 3 * target_ms, || "HOLD-BACK is less than three targets".to_owned());
    }
    if let Some(part_ms) = playlist.part_target_ms {
        let enough = playlist.part_hold_back_ms.is_some_and(|hold_ms| hold_ms >= 3 * part_ms);
        check(problems, enough, || "PART-HOLD-BACK is less than three part targets".to_owned());
        check(problems, playlist.can_block, || "parts without CAN-BLOCK-RELOAD".to_owned());
        let hinted = playlist.hint.is_some() != playlist.is_ended;
        check(problems, hinted, || "EXT-X-PRELOAD-HINT".to_owned());
    }
}

/// What holds between two playlists.
fn follows(last: &Playlist, playlist: &Playlist, problems: &mut Problems) {
    check(problems, playlist.target_s == last.target_s, || "EXT-X-TARGETDURATION changed".to_owned());
    check(problems, playlist.part_target_ms == last.part_target_ms, || "PART-TARGET changed".to_owned());
    check(problems, playlist.version == last.version, || "EXT-X-VERSION changed".to_owned());
    check(problems, playlist.media_sequence >= last.media_sequence, || "EXT-X-MEDIA-SEQUENCE fell".to_owned());
    let rises = playlist.discontinuity_sequence >= last.discontinuity_sequence;
    check(problems, rises, || "EXT-X-DISCONTINUITY-SEQUENCE fell".to_owned());
    check(problems, playlist.next_msn() >= last.next_msn(), || "the last segment is gone".to_owned());
    let gone = last.all().take_while(|segment| segment.msn < playlist.media_sequence);
    let removed = gone.filter(|segment| segment.discontinuity).count() as u64;
    let counted = playlist.discontinuity_sequence - last.discontinuity_sequence.min(playlist.discontinuity_sequence);
    let overlaps = playlist.media_sequence <= last.next_msn();
    check(problems, counted == removed || !overlaps, || {
        "EXT-X-DISCONTINUITY-SEQUENCE is not what was removed".to_owned()
    });
    // The hint names the part that came next, unless the segment ended before it: then clients ask in vain.
    let (old, new) = (last.part_uris(), playlist.part_uris());
    let next = match old.last() {
        Some(newest) => new.iter().position(|uri| uri == newest).and_then(|at| new.get(at + 1)),
        None => None,
    };
    let begins_segment = |uri: &str| playlist.all().any(|s| s.parts.first().is_some_and(|part| part.uri == uri));
    if let Some(next) = next.filter(|next| !begins_segment(next)) {
        check(problems, last.hint.as_deref() == Some(next), || format!("hinted {:?}, came {next}", last.hint));
    }
}
