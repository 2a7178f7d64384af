//! HLS playlists over minutes of stream time, read by a checker that knows the rules of RFC 8216 and RFC 8216bis.

use proptest::prelude::*;
use rtmpd::config::{HlsConfig, HlsFormat};
use rtmpd::media::{Frame, FrameKind};

use crate::support::hls::checker::Checker;
use crate::support::hls::rig::{Rig, Source};

fn classic() -> HlsConfig {
    HlsConfig { low_latency: false, ..HlsConfig::default() }
}

fn ts() -> HlsConfig {
    HlsConfig { format: HlsFormat::Ts, ..HlsConfig::default() }
}

/// Two minutes with a republish after 40 s and, from another encoder, after 80 s.
fn two_minutes(config: HlsConfig) -> Rig {
    let mut rig = Rig::new(config);
    let first = Source::default();
    rig.publish(&first, 1_000, 40_500);
    rig.hls.publisher_ended(rig.now);
    for at_ms in (40_500..44_000).step_by(250) {
        rig.wait_until(at_ms);
        rig.look();
    }
    rig.hls.publisher_began(rig.now);
    rig.publish(&first, 44_000, 80_300);
    // The same connection goes on with another picture size and sampling rate.
    rig.publish(&Source { width: 1280, is_48k: true, ..first }, 80_300, 120_000);
    rig.look();
    rig
}

#[test]
fn two_minutes_with_a_republish_and_another_codec_header_in_low_latency() {
    let mut rig = two_minutes(HlsConfig::default());
    rig.assert_fine();
    let last = rig.checker.last().unwrap().clone();
    assert_eq!((last.version, last.target_s, last.part_target_ms), (9, 2, Some(334)));
    assert!(last.is_independent);
    assert_eq!(last.discontinuity_sequence + last.all().filter(|segment| segment.discontinuity).count() as u64, 2);
    assert!(last.all().last().unwrap().map.as_ref().unwrap() != "init-1709208000.mp4");
    assert!(rig.checker.segments.len() > 55, "{}", rig.checker.segments.len());
    assert!(rig.get_text("media.m3u8?_HLS_skip=YES").unwrap().contains("#EXT-X-SKIP"));
}

#[test]
fn two_minutes_without_low_latency() {
    let rig = two_minutes(classic());
    rig.assert_fine();
    let last = rig.checker.last().unwrap();
    assert_eq!((last.version, last.target_s, last.part_target_ms), (6, 2, None));
    assert!(!last.can_block && last.hint.is_none());
    assert!(rig.checker.segments.len() > 55);
}

#[test]
fn two_minutes_of_mpeg_ts() {
    let mut rig = two_minutes(ts());
    rig.assert_fine();
    let last = rig.checker.last().unwrap().clone();
    assert_eq!((last.version, last.target_s), (3, 2));
    let segment = rig.get(last.segments.last().unwrap().uri.as_ref().unwrap()).unwrap();
    assert_eq!((segment.len() % 188, segment[0], segment[188]), (0, 0x47, 0x47));
    // Program association and map table come first.
    assert_eq!((segment[1] & 0x1F, segment[2]), (0, 0));
}

#[test]
fn segments_begin_with_key_frames() {
    let mut rig = Rig::new(HlsConfig::default());
    // Scene cuts: key frames come early, but never more than 2 s apart.
    let source = Source { gops: vec![60, 17, 60, 3, 60, 60, 41], ..Source::default() };
    rig.publish(&source, 1_000, 60_000);
    rig.assert_fine();
    let last = rig.checker.last().unwrap();
    assert!(last.is_independent);
    assert_eq!(last.target_s, 2);
}

#[test]
fn a_group_that_is_longer_than_all_before_it_is_cut_at_the_target_duration() {
    let mut rig = Rig::new(HlsConfig::default());
    let source = Source { gops: vec![60, 60, 60, 300], ..Source::default() };
    rig.publish(&source, 1_000, 40_000);
    rig.assert_fine();
    let last = rig.checker.last().unwrap();
    assert_eq!(last.target_s, 2);
    assert!(!last.is_independent);
}

#[test]
fn a_target_duration_can_be_known_before() {
    let mut rig = Rig::new(HlsConfig::default());
    rig.hls.expect_gop(9_900);
    let source = Source { gops: vec![60, 60, 60, 297], ..Source::default() };
    rig.publish(&source, 1_000, 80_000);
    rig.assert_fine();
    let last = rig.checker.last().unwrap();
    assert_eq!((last.target_s, last.is_independent), (10, true));
}

#[test]
fn sound_alone_is_cut_by_time() {
    for config in [HlsConfig::default(), classic(), ts()] {
        let mut rig = Rig::new(config);
        rig.publish(&Source { steps_ms: vec![], ..Source::default() }, 1_000, 40_000);
        rig.assert_fine();
        let last = rig.checker.last().unwrap();
        assert_eq!(last.target_s, 2);
        assert!(last.is_independent);
    }
}

#[test]
fn pictures_alone_are_enough() {
    let mut rig = Rig::new(HlsConfig::default());
    rig.publish(&Source { has_audio: false, ..Source::default() }, 1_000, 40_000);
    rig.assert_fine();
    assert_eq!(rig.checker.last().unwrap().target_s, 2);
}

#[test]
fn slow_pictures_get_a_part_target_that_fits() {
    for step_ms in [125, 200, 500, 1_000] {
        let mut rig = Rig::new(HlsConfig::default());
        rig.publish(&Source { steps_ms: vec![step_ms], gops: vec![4], ..Source::default() }, 1_000, 60_000);
        rig.assert_fine();
    }
}

#[test]
fn pictures_that_stop_do_not_make_parts_longer() {
    for stop_ms in [2_200, 10_000] {
        let mut rig = Rig::new(HlsConfig::default());
        let is_stopped = |ms: u64| (stop_ms..stop_ms + 8_000).contains(&ms);
        let is_sent = |frame: &Frame| frame.kind == FrameKind::Audio || !is_stopped(frame.timestamp_ms);
        rig.publish_some(&Source::default(), 1_000, 30_000, is_sent);
        rig.assert_fine();
        assert_eq!(rig.checker.last().unwrap().part_target_ms, Some(334));
        assert_eq!(rig.checker.last().unwrap().discontinuity_sequence, 0);
    }
}

#[test]
fn a_silence_of_the_publisher_becomes_a_discontinuity_at_its_next_key_frame() {
    let mut rig = Rig::new(HlsConfig::default());
    rig.publish_some(&Source::default(), 1_000, 30_000, |frame| !(10_900..15_000).contains(&frame.timestamp_ms));
    rig.assert_fine();
    let last = rig.checker.last().unwrap();
    assert_eq!(last.discontinuity_sequence + last.all().filter(|segment| segment.discontinuity).count() as u64, 1);
}

#[test]
fn sound_that_follows_pictures_from_another_encoder_begins_anew() {
    let mut rig = Rig::new(HlsConfig::default());
    rig.publish(&Source { has_audio: false, gops: vec![122], steps_ms: vec![37], ..Source::default() }, 1_000, 4_000);
    rig.publish(&Source { steps_ms: vec![], ..Source::default() }, 4_000, 20_000);
    rig.assert_fine();
    assert_eq!(rig.checker.last().unwrap().part_target_ms, Some(334));
}

#[test]
fn a_stream_that_ended_for_good_says_so() {
    let mut rig = Rig::new(HlsConfig::default());
    rig.publish(&Source::default(), 1_000, 20_000);
    rig.hls.ended(rig.now);
    rig.look();
    rig.assert_fine();
    assert!(rig.checker.last().unwrap().is_ended);
    assert_eq!(rig.checker.last().unwrap().open, None);
    // A new one of the same name gets segments of other names.
    let highest = rig.checker.last().unwrap().next_msn();
    rig.checker = Checker::default();
    rig.wait_until(30_000);
    rig.hls.publisher_began(rig.now);
    rig.publish(&Source::default(), 30_000, 50_000);
    rig.assert_fine();
    assert!(rig.checker.segments.keys().all(|msn| *msn >= highest));
    assert!(!rig.checker.last().unwrap().is_ended);
}

#[test]
fn every_usual_frame_rate_keeps_parts_within_their_target() {
    let rates: [&[u64]; 8] =
        [&[42, 42, 41], &[40], &[33, 34, 33, 33, 34], &[20], &[17, 17, 16], &[66, 67, 67], &[100], &[8, 9, 8]];
    for steps_ms in rates {
        let frames = 2_000 * steps_ms.len() as u64 / steps_ms.iter().sum::<u64>();
        let source = Source { steps_ms: steps_ms.to_vec(), gops: vec![frames as usize], ..Source::default() };
        let mut rig = Rig::new(HlsConfig::default());
        rig.publish(&source, 1_000, 20_000);
        rig.assert_fine();
        assert_eq!(rig.checker.last().unwrap().part_target_ms, Some(334), "{steps_ms:?}");
    }
}

prop_compose! {
    fn source()(
        steps_ms in prop_oneof![
            1 => Just(Vec::new()),
            8 => (15_u64..48).prop_flat_map(|step_ms| proptest::collection::vec(step_ms..=step_ms + 2, 1..4)),
        ],
        gops in proptest::collection::vec(1_usize..300, 1..6),
        has_audio in any::<bool>(),
        has_b_frames in any::<bool>(),
        is_wide in any::<bool>(),
        is_48k in any::<bool>(),
    ) -> Source {
        let has_audio = has_audio || steps_ms.is_empty();
        Source { steps_ms, gops, has_audio, has_b_frames, width: if is_wide { 1280 } else { 640 }, is_48k }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Whatever publishers send, one after the other, with 20 and more pictures in a second: with fewer, a change of
    /// the source without a word may leave a part that is shorter than 85 % of a target chosen before.
    #[test]
    fn no_publisher_breaks_the_rules(
        sources in proptest::collection::vec((source(), 3_000_u64..20_000, 0_u64..4_000, any::<bool>()), 1..4),
        format in 0..3,
    ) {
        let config = match format { 0 => classic(), 1 => ts(), _ => HlsConfig::default() };
        let mut rig = Rig::new(config);
        let mut at_ms = 1_000;
        for (source, length_ms, pause_ms, says_goodbye) in sources {
            if says_goodbye {
                rig.hls.publisher_ended(rig.now);
                rig.look();
                at_ms += pause_ms;
                rig.wait_until(at_ms);
                rig.hls.publisher_began(rig.now);
            }
            rig.publish(&source, at_ms, at_ms + length_ms);
            at_ms += length_ms;
        }
        rig.look();
        let problems = rig.problems();
        prop_assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}
