//! Who joins a stream that is being muxed reads on without a gap.

use super::parser::maps;
use super::*;

/// A stream of both kinds in which `counted` frames of each went by.
fn running(counted: u64) -> Muxer {
    let (mut muxer, mut out) = (Muxer::new(), BytesMut::new());
    muxer.push(&avc_header(), &mut out);
    muxer.push(&aac_header(), &mut out);
    for index in 0..counted {
        muxer.push(&avc_frame(index * 40, index % 10 == 0, 0, 400), &mut out);
        muxer.push(&aac_frame(index * 40 + 5, 300), &mut out);
    }
    muxer
}

#[test]
fn counters_go_on_where_the_shared_bytes_do() {
    let past = [avc_frame(400, true, 0, 1000), aac_frame(405, 300), avc_frame(440, false, 0, 77)];
    for counted in 0..40 {
        for given in 0..=past.len() {
            let mut muxer = running(counted);
            let mut out = BytesMut::from(&b"not ours"[..]);
            muxer.joined(&past[..given], &mut out);
            let joined = packets(&out[8..]);
            for index in counted..counted + 20 {
                muxer.push(&avc_frame(index * 40, false, 0, 400), &mut out);
                muxer.push(&aac_frame(index * 40 + 5, 300), &mut out);
            }
            let all = packets(&out[8..]);
            assert_continuous(&all, &mut BTreeMap::new());
            assert_eq!(all[..joined.len()], joined);
            assert_eq!((joined[0].pid, joined[1].pid), (0, 0x1000), "tables come first");
            assert_eq!(units(&joined).len(), given);
            assert!(maps(&all).iter().all(|map| map.version == 0));
        }
    }
}

#[test]
fn the_shared_stream_does_not_notice() {
    let (mut disturbed, mut alone) = (running(7), running(7));
    let (mut out, mut expected) = (BytesMut::new(), BytesMut::new());
    disturbed.joined(&[avc_frame(0, true, 0, 9)], &mut BytesMut::new());
    disturbed.push(&avc_frame(280, false, 0, 9), &mut out);
    alone.push(&avc_frame(280, false, 0, 9), &mut expected);
    assert_eq!(out, expected);
}

#[test]
fn who_joins_gets_the_present_version_and_headers() {
    let mut muxer = running(2);
    muxer.push(&audio(90, &b"\x2F\xFF\xFB"[..]), &mut BytesMut::new());
    let mut out = BytesMut::new();
    // What was AAC in the past is no frame of the present program.
    muxer.joined(&[aac_header(), aac_frame(60, 9), avc_header(), avc_frame(80, true, 0, 9)], &mut out);
    let packets = packets(&out);
    let map = &maps(&packets)[0];
    assert_eq!((map.version, map.streams[1].0), (1, 0x03));
    assert_eq!(units(&packets).len(), 1);
}

#[test]
fn a_stream_without_tracks_has_nothing_for_who_joins() {
    let mut out = BytesMut::new();
    Muxer::new().joined(&[avc_frame(0, true, 0, 9)], &mut out);
    assert!(out.is_empty());
}
