//! What a player is sent when it joins a stream that is under way.
//!
//! Owns: the three ways to join and the timestamps of an instant join. Does not know how frames are written.
//!
//! An instant join (`edge`) shows a whole picture at once and stays at the live edge. It sends in this order:
//!
//! 1. an audio frame, so that a player that waits to see every track need not wait for the next (and further ones
//!    between the pictures: some players begin when they have enough sound);
//! 2. a run of video frames that a player may eat while it guesses the frame rate (ffplay throws away what it read
//!    while probing), and the key frame once more, so that eating one frame too many does no harm;
//! 3. the video frames since the key frame, ending at the newest one.
//!
//! The video frames are 1 ms apart. ARCHITECTURE.md, "Joining", has the figures.

use super::cache::{GopCache, Headers, is_coded_video};
use crate::config::{CacheLimits, JoinMode};
use crate::media::{Frame, FrameKind};

/// A newest audio frame this much older than the newest picture, in milliseconds of the stream, is no part of the live
/// edge: a player that starts its clock with it would wait for as long.
const FRESH_AUDIO_MS: u64 = 1_000;

/// Distance of audio frames in an instant join, in milliseconds: what most of them take to play. mpv plays once it has
/// 0.2 s of sound, and live sound takes its time to come; closer ones would put ffplay behind.
const AUDIO_STEP_MS: usize = 23;

/// What to send to one who joins, and whether live frames follow on from it at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Burst {
    /// Headers and frames in the order in which they are to be sent. Composition times may differ from the payload's.
    pub frames: Vec<Frame>,
    /// `true`: pictures are inside, the next live frame fits on. `false`: live frames have to wait for a key frame.
    pub has_picture: bool,
}

impl Burst {
    /// Timestamp of the first audio or video frame in it, headers aside.
    pub(super) fn start_ms(&self) -> Option<u64> {
        let coded = self.frames.iter().filter(|frame| frame.is_coded());
        coded.map(|frame| frame.timestamp_ms).min()
    }
}

/// Makes the burst for one way to join. `probe_frames` is how many pictures a player may eat while probing; one that
/// goes on after a pause has had the sound up to `heard_ms` of the stream, and gets none of it again at another time.
pub fn burst(
    mode: JoinMode,
    probe_frames: usize,
    headers: &Headers,
    gop: &GopCache,
    limits: &CacheLimits,
    heard_ms: Option<u64>,
) -> Burst {
    let body = match mode {
        JoinMode::Edge => edge_frames(gop, probe_frames, limits.probe_bytes, heard_ms),
        JoinMode::Gop => gop.current().to_vec(),
        JoinMode::Key => Vec::new(),
    };
    with_headers(headers, body)
}

/// Metadata and headers, at the time of the first frame of `body`, and then all of that.
pub fn with_headers(headers: &Headers, body: Vec<Frame>) -> Burst {
    let has_picture = body.iter().any(is_coded_video);
    let start_ms = body.iter().map(|frame| frame.timestamp_ms).min();
    let head = headers.iter().map(|header| {
        let timestamp_ms = start_ms.unwrap_or(header.timestamp_ms);
        Frame { timestamp_ms, ..header.clone() }
    });
    let mut frames: Vec<Frame> = head.collect();
    frames.extend(body);
    Burst { frames, has_picture }
}

fn edge_frames(gop: &GopCache, probe_frames: usize, probe_bytes: usize, heard_ms: Option<u64>) -> Vec<Frame> {
    let group: Vec<&Frame> = gop.current().iter().filter(|frame| is_coded_video(frame)).collect();
    let Some(edge_ms) = live_edge_ms(&group) else {
        // No pictures: sound alone needs no past.
        return Vec::new();
    };
    let mut probe = probe_run(gop, &group, probe_frames, probe_bytes);
    // A player that eats one frame more still finds a key frame, and one that eats none too many shows no error.
    probe.extend(group.first());
    let shown = Shown::of(&group, gop.earlier(), edge_ms);

    let group_start_ms = (edge_ms + 1).saturating_sub(group.len() as u64);
    let probe_start_ms = group_start_ms.saturating_sub(probe.len() as u64);
    let mut frames = sound(gop, probe_start_ms, edge_ms, heard_ms);
    frames.extend(squeeze(&probe, probe_start_ms, shown, false));
    frames.extend(squeeze(&group, group_start_ms, shown, true));
    for frame in &mut frames {
        // Only where there are more frames than milliseconds: a stream whose clock stands still.
        frame.timestamp_ms = frame.timestamp_ms.min(edge_ms);
    }
    // Stable: sound goes before the picture of its time, pictures keep their order.
    frames.sort_by_key(|frame| frame.timestamp_ms);
    frames
}

/// Time of the newest picture; of several tracks, of the one that is furthest behind: none may be sent ahead of what
/// follows.
fn live_edge_ms(group: &[&Frame]) -> Option<u64> {
    let mut newest: Vec<(u8, u64)> = Vec::new();
    for frame in group {
        let (track, timestamp_ms) = (frame.tracks.lowest(), frame.timestamp_ms);
        match newest.iter_mut().find(|(known, _)| *known == track) {
            Some((_, newest_ms)) => *newest_ms = timestamp_ms,
            None => newest.push((track, timestamp_ms)),
        }
    }
    newest.into_iter().map(|(_, timestamp_ms)| timestamp_ms).min()
}

/// The newest audio frames, as many as play beside the pictures. None is later than the newest one really was: live
/// audio may be behind the pictures.
fn sound(gop: &GopCache, start_ms: u64, edge_ms: u64, heard_ms: Option<u64>) -> Vec<Frame> {
    let is_new = |audio: &&Frame| heard_ms.is_none_or(|heard_ms| audio.timestamp_ms > heard_ms);
    let is_fresh = |audio: &&Frame| audio.timestamp_ms + FRESH_AUDIO_MS >= edge_ms;
    let Some(newest) = gop.last_audio().filter(is_fresh).filter(is_new) else {
        return Vec::new();
    };
    let end_ms = newest.timestamp_ms.min(edge_ms);
    let places = (start_ms.min(end_ms)..=end_ms).step_by(AUDIO_STEP_MS);
    let audio = gop.current().iter().rev().filter(is_coded_audio).filter(is_new);
    let mut frames: Vec<&Frame> = audio.take(places.clone().count()).collect();
    if frames.is_empty() {
        frames.push(newest);
    }
    let oldest_first = frames.into_iter().rev();
    oldest_first.zip(places).map(|(audio, timestamp_ms)| Frame { timestamp_ms, ..audio.clone() }).collect()
}

fn is_coded_audio(frame: &&Frame) -> bool {
    frame.kind == FrameKind::Audio && frame.is_coded()
}

/// As many decodable frames as are `wanted`: the head of the present group where it is long enough, else earlier
/// groups, else (a stream that has just begun) the present group as often as it takes. Fewer where they would take more
/// than `max_bytes`: a burst must not take longer than the wait that it saves.
fn probe_run<'a>(gop: &'a GopCache, group: &[&'a Frame], wanted: usize, max_bytes: usize) -> Vec<&'a Frame> {
    let earlier: Vec<&Frame> = if group.len() < wanted { gop.earlier().collect() } else { Vec::new() };
    let again = group.iter().copied().cycle();
    let mut bytes = 0;
    let within_bytes = |frame: &&Frame| {
        bytes += frame.payload.len();
        bytes <= max_bytes
    };
    earlier.into_iter().chain(again).take(wanted).take_while(within_bytes).collect()
}

/// When squeezed frames are shown, compared with when they are decoded.
#[derive(Debug, Clone, Copy)]
struct Shown {
    /// Milliseconds later: one for each frame that is shown after `until_ms`.
    later_ms: i64,
    /// Milliseconds earlier: as far as the publisher goes with negative composition times.
    earlier_ms: i64,
    /// Live frames are shown after this. What is shown after it as well keeps its true time, for they go in between.
    until_ms: u64,
}

impl Shown {
    fn of<'a>(group: &[&'a Frame], earlier: impl Iterator<Item = &'a Frame>, edge_ms: u64) -> Shown {
        let lowest = group.iter().copied().chain(earlier).map(|frame| frame.composition_ms).min();
        let earlier_ms = -i64::from(lowest.unwrap_or(0).min(0));
        let until_ms = edge_ms.saturating_add_signed(-earlier_ms);
        let ahead = group.iter().filter(|frame| frame.presentation_ms() > until_ms).count();
        Shown { later_ms: ahead as i64, earlier_ms, until_ms }
    }
}

/// Frames 1 ms apart from `start_ms` on, shown in their own order. Where they are `last`, live ones follow.
fn squeeze(frames: &[&Frame], start_ms: u64, shown: Shown, last: bool) -> Vec<Frame> {
    let ranks = presentation_ranks(frames);
    let squeezed = frames.iter().zip(ranks).zip(0_i64..).map(|((frame, rank), index)| {
        let timestamp_ms = start_ms.saturating_add_signed(index);
        let true_ms = frame.presentation_ms();
        let wanted_ms = if last && true_ms > shown.until_ms {
            true_ms as i64 - timestamp_ms as i64
        } else {
            // A picture cannot be shown before it is decoded; only irregular frame rates come to this.
            (shown.later_ms + rank - index).max(0) - shown.earlier_ms
        };
        let composition_ms = i32::try_from(wanted_ms).unwrap_or(0);
        Frame { timestamp_ms, composition_ms, ..(*frame).clone() }
    });
    squeezed.collect()
}

/// For each frame, how many of `frames` are shown before it. A run may hold several groups, or one group several
/// times: those are shown one after the other.
fn presentation_ranks(frames: &[&Frame]) -> Vec<i64> {
    let mut ranks = vec![0; frames.len()];
    let mut first = 0;
    while first < frames.len() {
        let group_len = frames.iter().skip(first + 1).take_while(|frame| !frame.is_video_key()).count() + 1;
        let mut order: Vec<usize> = (first..first + group_len).collect();
        order.sort_by_key(|&index| frames.get(index).map(|frame| frame.presentation_ms()));
        for (rank, index) in (first as i64..).zip(order) {
            if let Some(slot) = ranks.get_mut(index) {
                *slot = rank;
            }
        }
        first += group_len;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::test_frames::{audio, delta, header, key, metadata, with_composition};

    fn limits() -> CacheLimits {
        CacheLimits { probe_frames: 6, ..CacheLimits::default() }
    }

    fn filled(frames: &[Frame]) -> GopCache {
        let mut cache = GopCache::default();
        for frame in frames {
            cache.push(frame, &limits());
        }
        cache
    }

    /// A stream at 25 frames per second from `start_ms` on: one key frame, then `deltas` others, audio between.
    fn group(start_ms: u64, deltas: u64) -> Vec<Frame> {
        let mut frames = vec![key(start_ms)];
        for step in 1..=deltas {
            frames.extend([audio(start_ms + step * 40 - 20), delta(start_ms + step * 40)]);
        }
        frames
    }

    fn all_headers() -> Headers {
        let mut headers = Headers::default();
        for frame in [metadata(b"m"), header(FrameKind::Video, b"v"), header(FrameKind::Audio, b"a")] {
            headers.keep(&frame, &limits());
        }
        headers
    }

    fn pictures(burst: &Burst) -> Vec<&Frame> {
        burst.frames.iter().filter(|frame| is_coded_video(frame)).collect()
    }

    #[test]
    fn an_edge_join_ends_at_the_newest_picture_in_steps_of_one_millisecond() {
        let cache = filled(&group(10_000, 9));
        let burst = burst(JoinMode::Edge, 6, &all_headers(), &cache, &limits(), None);
        assert!(burst.has_picture);
        let times: Vec<u64> = pictures(&burst).iter().map(|frame| frame.timestamp_ms).collect();
        let expected: Vec<u64> = (10_360 - 16..=10_360).collect();
        assert_eq!(times, expected, "6 for the probe, the key frame, 10 of the group");
        assert!(pictures(&burst).iter().all(|frame| frame.composition_ms == 0));
    }

    #[test]
    fn an_edge_join_sends_headers_first_then_one_audio_frame() {
        let burst = burst(JoinMode::Edge, 6, &all_headers(), &filled(&group(10_000, 9)), &limits(), None);
        let payloads: Vec<&[u8]> = burst.frames.iter().take(3).map(|frame| &frame.payload[..]).collect();
        assert_eq!(payloads, [b"m", b"v", b"a"]);
        assert_eq!(burst.frames[0].timestamp_ms, 10_340, "no later than anything that follows");
        assert_eq!((burst.frames[3].kind, burst.frames[3].timestamp_ms), (FrameKind::Audio, 10_340));
        assert_eq!(burst.frames.iter().filter(|frame| frame.kind == FrameKind::Audio && frame.is_coded()).count(), 1);
    }

    #[test]
    fn a_long_burst_has_sound_all_along_and_keeps_its_order() {
        let burst = burst(JoinMode::Edge, 6, &Headers::default(), &filled(&group(10_000, 300)), &limits(), None);
        let sound = burst.frames.iter().filter(|frame| frame.kind == FrameKind::Audio);
        let times: Vec<u64> = sound.map(|frame| frame.timestamp_ms).collect();
        assert_eq!(times, (21_693..=22_000).step_by(23).filter(|&time| time <= 21_980).collect::<Vec<u64>>());
        assert!(burst.frames.is_sorted_by_key(|frame| frame.timestamp_ms));
        assert_eq!(burst.frames.last().map(|frame| frame.timestamp_ms), Some(22_000));
    }

    #[test]
    fn sound_that_comes_later_than_its_pictures_is_not_moved_past_what_follows() {
        let cache = filled(&[key(10_000), audio(9_900), delta(10_040), audio(9_940)]);
        let burst = burst(JoinMode::Edge, 6, &Headers::default(), &cache, &limits(), None);
        let sound = burst.frames.iter().filter(|frame| frame.kind == FrameKind::Audio);
        assert_eq!(sound.map(|frame| frame.timestamp_ms).collect::<Vec<u64>>(), [9_940]);
        assert!(burst.frames.is_sorted_by_key(|frame| frame.timestamp_ms));
    }

    #[test]
    fn a_short_group_is_preceded_by_an_earlier_one() {
        let mut frames = group(10_000, 9);
        frames.extend(group(14_000, 1));
        let burst = burst(JoinMode::Edge, 6, &Headers::default(), &filled(&frames), &limits(), None);
        let keys: Vec<bool> = pictures(&burst).iter().map(|frame| frame.is_video_key()).collect();
        assert_eq!(keys, [true, false, false, false, false, false, true, true, false]);
        assert_eq!(pictures(&burst).last().map(|frame| frame.timestamp_ms), Some(14_040));
    }

    #[test]
    fn a_stream_that_has_just_begun_repeats_what_there_is() {
        let burst = burst(JoinMode::Edge, 6, &Headers::default(), &filled(&group(1_000, 1)), &limits(), None);
        let keys: Vec<bool> = pictures(&burst).iter().map(|frame| frame.is_video_key()).collect();
        assert_eq!(keys, [true, false, true, false, true, false, true, true, false]);
        let times: Vec<u64> = pictures(&burst).iter().map(|frame| frame.timestamp_ms).collect();
        assert_eq!(times, (1_032..=1_040).collect::<Vec<u64>>());
    }

    #[test]
    fn b_frames_keep_their_order_and_meet_the_live_frames_at_their_true_time() {
        // Decoding order I P B B P B B ... at 40 ms, shown 80 ms later than a stream without B-frames would be.
        let offsets = [2, 4, 1, 1];
        let frames: Vec<Frame> = (0..41_u64)
            .map(|step| {
                let frame = if step == 0 { key(10_000) } else { delta(10_000 + step * 40) };
                let slot = if step == 0 { 2 } else { offsets[(step as usize - 1) % 3 + 1] };
                with_composition(frame, slot * 40)
            })
            .collect();
        for newest in 8..frames.len() {
            let cache = filled(&frames[..newest]);
            let burst = burst(JoinMode::Edge, 6, &Headers::default(), &cache, &limits(), None);
            let edge_ms = frames[newest - 1].timestamp_ms;
            let sent = pictures(&burst);
            let second_pass = &sent[7..];
            assert_eq!(second_pass.len(), newest);
            for pass in [&sent[..6], second_pass] {
                let mut shown: Vec<(u64, u64)> = pass
                    .iter()
                    .zip(&frames)
                    .map(|(squeezed, real)| (real.presentation_ms(), squeezed.presentation_ms()))
                    .collect();
                shown.sort_unstable();
                assert!(shown.is_sorted_by(|a, b| a.1 < b.1), "order of presentation changed: {shown:?}");
            }
            for (squeezed, real) in second_pass.iter().zip(&frames) {
                assert!(squeezed.composition_ms >= 0);
                if real.presentation_ms() > edge_ms {
                    assert_eq!(squeezed.presentation_ms(), real.presentation_ms());
                } else {
                    assert!(squeezed.presentation_ms() <= edge_ms);
                }
            }
        }
    }

    #[test]
    fn negative_composition_times_go_on_after_an_edge_join() {
        // Decoding order I P B B P B B ..., each shown as early as can be: the B-frames before they are decoded.
        let offsets = [80, -40, -40];
        let frames: Vec<Frame> = (0..41_u64)
            .map(|step| match step {
                0 => key(10_000),
                _ => with_composition(delta(10_000 + step * 40), offsets[(step as usize - 1) % 3]),
            })
            .collect();
        for newest in 3..frames.len() {
            let burst = burst(JoinMode::Edge, 6, &Headers::default(), &filled(&frames[..newest]), &limits(), None);
            let sent = pictures(&burst);
            let (squeezed, live) = (&sent[sent.len() - newest..], &frames[newest..]);
            let mut shown: Vec<(u64, u64)> = squeezed
                .iter()
                .zip(&frames)
                .map(|(squeezed, real)| (real.presentation_ms(), squeezed.presentation_ms()))
                .chain(live.iter().map(|frame| (frame.presentation_ms(), frame.presentation_ms())))
                .collect();
            shown.sort_unstable();
            assert!(shown.is_sorted_by(|a, b| a.1 < b.1), "order of presentation changed at {newest}: {shown:?}");
        }
    }

    #[test]
    fn a_probe_takes_no_more_bytes_than_the_limit() {
        let limits = CacheLimits { probe_bytes: 5, ..limits() };
        let cache = filled(&group(10_000, 9));
        let burst = burst(JoinMode::Edge, 6, &Headers::default(), &cache, &limits, None);
        let bytes: usize = cache.current().iter().filter(|frame| is_coded_video(frame)).map(|f| f.payload.len()).sum();
        let sent: usize = pictures(&burst).iter().map(|frame| frame.payload.len()).sum();
        assert_eq!(sent, 5 + 1 + bytes, "the probe, the key frame, the group");
    }

    #[test]
    fn a_gop_join_sends_each_frame_once_with_its_true_time() {
        let frames = group(10_000, 9);
        let burst = burst(JoinMode::Gop, 6, &all_headers(), &filled(&frames), &limits(), None);
        assert_eq!(burst.frames[3..], frames[..]);
        assert_eq!(burst.frames[0].timestamp_ms, 10_000);
    }

    #[test]
    fn a_key_join_sends_headers_only() {
        let burst = burst(JoinMode::Key, 6, &all_headers(), &filled(&group(10_000, 9)), &limits(), None);
        assert_eq!(burst.frames.len(), 3);
        assert!(!burst.has_picture);
    }

    #[test]
    fn without_pictures_no_past_is_sent() {
        for mode in [JoinMode::Edge, JoinMode::Gop, JoinMode::Key] {
            let burst = burst(mode, 6, &all_headers(), &filled(&[audio(0), audio(20), delta(30)]), &limits(), None);
            assert_eq!(burst.frames.len(), 3);
            assert!(!burst.has_picture);
        }
    }
}
