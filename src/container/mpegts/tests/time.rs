//! Timestamps, clock, and when tables come again.

use super::parser::{maps, packets, units};
use super::*;

const WRAP: u64 = 1 << 33;

#[test]
fn timestamps_are_exact_to_the_tick() {
    // The last time before the 33 bits wrap, and the first behind.
    let before_ms = WRAP / 90;
    let table: [(&str, u64, i32, u64, Option<u64>); 8] = [
        ("zero", 0, 0, 0, None),
        ("shown when decoded", 12_345, 0, 12_345 * 90, None),
        ("shown later", 1000, 80, 1080 * 90, Some(1000 * 90)),
        ("one millisecond later", 7, 1, 8 * 90, Some(7 * 90)),
        ("shown before decoded", 1000, -40, 960 * 90, None),
        ("before the wrap", before_ms, 0, before_ms * 90, None),
        ("behind the wrap", before_ms + 1, 0, (before_ms + 1) * 90 - WRAP, None),
        ("shown behind the wrap", before_ms, 1, (before_ms + 1) * 90 - WRAP, Some(before_ms * 90)),
    ];
    for (name, timestamp_ms, composition_ms, pts, dts) in table {
        let units = units_of(&[avc_header(), avc_frame(timestamp_ms, true, composition_ms, 9)]);
        assert_eq!((units[0].pts, units[0].dts), (pts, dts), "{name}");
    }
    assert_eq!(units_of(&[aac_header(), aac_frame(23, 9)])[0].pts, 23 * 90);
}

/// PID and clock of all packets that have one, in milliseconds.
fn clocks(packets: &[Packet]) -> Vec<(u16, u64)> {
    packets.iter().filter_map(|packet| packet.pcr.map(|pcr| (packet.pid, pcr / 90))).collect()
}

#[test]
fn the_clock_comes_with_video_60_ms_before_decoding() {
    let mut frames = vec![avc_header(), aac_header()];
    for index in 0..50 {
        frames.push(avc_frame(1000 + index * 20, index % 25 == 0, 40, 500));
        frames.push(aac_frame(1000 + index * 20, 50));
    }
    let packets = mux(&frames);
    let expected: Vec<(u16, u64)> =
        [940, 980, 1020].into_iter().chain([1060, 1100]).map(|clock_ms| (0x100, clock_ms)).collect();
    assert_eq!(clocks(&packets)[..5], expected);
    let clocks = clocks(&packets);
    assert!(clocks.windows(2).all(|pair| pair[1].1 > pair[0].1 && pair[1].1 - pair[0].1 <= 100));
    let key_frames = packets.iter().filter(|packet| packet.is_random_access);
    assert!(key_frames.clone().all(|packet| packet.pcr.is_some() && packet.is_start));
    assert_eq!(key_frames.count(), 2);
}

#[test]
fn the_clock_stands_at_zero_for_the_first_60_ms_and_does_not_wrap_backwards() {
    let frames: Vec<Frame> =
        [avc_header()].into_iter().chain((0..5).map(|index| avc_frame(index * 40, index == 0, 0, 9))).collect();
    assert_eq!(clocks(&mux(&frames)), [(0x100, 0), (0x100, 20), (0x100, 60), (0x100, 100)]);
}

#[test]
fn the_clock_wraps_with_33_bits() {
    let packets = mux(&[avc_header(), avc_frame(WRAP / 90 + 1 + 60, true, 0, 9)]);
    let clocks: Vec<u64> = packets.iter().filter_map(|packet| packet.pcr).collect();
    assert_eq!(clocks, [(WRAP / 90 + 1) * 90 - WRAP]);
}

#[test]
fn without_video_the_clock_comes_with_audio() {
    let frames: Vec<Frame> = [aac_header()].into_iter().chain((0..8).map(|i| aac_frame(100 + i * 20, 50))).collect();
    assert_eq!(clocks(&mux(&frames)), [(0x101, 40), (0x101, 80), (0x101, 120), (0x101, 160)]);
}

#[test]
fn where_video_is_slow_the_clock_comes_in_packets_of_its_own() {
    let mut frames = vec![avc_header(), aac_header(), avc_frame(100, true, 0, 9)];
    frames.extend((0..10).map(|index| aac_frame(100 + index * 20, 50)));
    frames.push(avc_frame(300, false, 0, 9));
    let packets = mux(&frames);
    assert_eq!(clocks(&packets), [(0x100, 40), (0x100, 120), (0x100, 200), (0x100, 240)]);
    assert_eq!(packets.iter().filter(|packet| packet.payload.is_empty()).count(), 2);
}

#[test]
fn the_clock_does_not_run_backwards_where_a_track_is_behind() {
    let mut frames = vec![avc_header(), aac_header(), aac_frame(1000, 9)];
    frames.extend([avc_frame(970, true, 0, 9), avc_frame(1000, true, 0, 9), avc_frame(1010, true, 0, 9)]);
    assert_eq!(clocks(&mux(&frames)), [(0x100, 940), (0x100, 950)]);
}

#[test]
fn time_that_jumps_back_is_a_discontinuity() {
    let packets = mux(&[avc_header(), avc_frame(5000, true, 0, 9), avc_frame(1000, false, 0, 9)]);
    let marked: Vec<_> = packets.iter().filter(|packet| packet.is_discontinuity).map(|packet| packet.pcr).collect();
    assert_eq!(marked, [Some(940 * 90)]);
    assert_eq!(maps(&packets).len(), 2, "tables come with it");
}

#[test]
fn a_discontinuity_is_told_with_the_clock_behind_tables() {
    for audio_first in [false, true] {
        let (mut muxer, mut out) = (Muxer::new(), BytesMut::new());
        for frame in [avc_header(), aac_header(), avc_frame(100, true, 0, 9)] {
            muxer.push(&frame, &mut out);
        }
        let before = out.len();
        muxer.discontinuity();
        let next = if audio_first { aac_frame(110, 9) } else { avc_frame(110, false, 0, 9) };
        muxer.push(&next, &mut out);
        muxer.push(&avc_frame(150, false, 0, 9), &mut out);
        let all = packets(&out);
        assert_continuous(&all, &mut BTreeMap::new());
        let packets = &all[before / 188..];
        let pids: Vec<u16> = packets.iter().take(3).map(|packet| packet.pid).collect();
        assert_eq!(pids, [0, 0x1000, 0x100]);
        assert_eq!(packets.iter().filter(|packet| packet.is_discontinuity).count(), 1);
        assert!(packets[2].is_discontinuity);
        assert_eq!(packets[2].pcr, Some(50 * 90));
        assert_eq!(packets[2].payload.is_empty(), audio_first);
    }
}

/// Stream time of the first unit behind each program map, in milliseconds.
fn table_times(frames: &[Frame]) -> Vec<u64> {
    let packets = mux(frames);
    let after = packets.iter().enumerate().filter(|(_, packet)| packet.pid == 0x1000);
    after.map(|(index, _)| units(&packets[index..])[0].pts / 90).collect()
}

#[test]
fn tables_come_before_each_key_frame_and_at_least_every_500_ms() {
    let frame = |index: u64| avc_frame(index * 40, [0, 5].contains(&index), 0, 9);
    let frames: Vec<Frame> = [avc_header()].into_iter().chain((0..40).map(frame)).collect();
    assert_eq!(table_times(&frames), [0, 200, 600, 1000, 1400]);
    let audio: Vec<Frame> = [aac_header()].into_iter().chain((0..100).map(|i| aac_frame(i * 21, 9))).collect();
    assert_eq!(table_times(&audio), [0, 420, 840, 1260, 1680]);
}

#[test]
fn a_segment_of_audio_begins_with_tables_where_the_caller_says_so() {
    let (mut muxer, mut out) = (Muxer::new(), BytesMut::new());
    for frame in [aac_header(), aac_frame(0, 9)] {
        muxer.push(&frame, &mut out);
    }
    out.clear();
    muxer.begin();
    muxer.push(&aac_frame(21, 9), &mut out);
    let pids: Vec<u16> = packets(&out).iter().map(|packet| packet.pid).collect();
    assert_eq!(pids, [0, 0x1000, 0x101]);
}
