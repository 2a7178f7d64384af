//! FLV: reading and writing files, and looking at the heads of tags.
#![allow(clippy::expect_used, reason = "a bench that fails shall stop")]

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{Criterion, Throughput};
use rtmpd::container::flv::file::{FlvDemuxer, mux_file_header, mux_tag};
use rtmpd::container::flv::tag::{audio_info, video_info};

/// FLV tag types.
const AUDIO: u8 = 8;
const VIDEO: u8 = 9;
/// What is read at once.
const READ_BYTES: usize = 64 * 1024;
const MAX_BODY_BYTES: usize = 1 << 24;

/// A second of video and audio: tag type and body.
fn tags() -> Vec<(u8, Vec<u8>)> {
    let body = |head: &[u8], len: usize| {
        let mut body = head.to_vec();
        body.resize(len, 0x5A);
        body
    };
    let mut tags = vec![(VIDEO, body(&[0x17, 1, 0, 0, 0], 70_000))];
    for _ in 0..29 {
        tags.push((VIDEO, body(&[0x27, 1, 0, 0, 40], 9_000)));
        tags.push((AUDIO, body(&[0xAF, 1], 372)));
    }
    tags
}

fn mux(out: &mut BytesMut, tags: &[(u8, Vec<u8>)]) {
    mux_file_header(out, true, true);
    for (timestamp, (tag_type, body)) in (0..).zip(tags) {
        mux_tag(out, *tag_type, timestamp, body);
    }
}

fn demux(file: &[u8]) -> usize {
    let mut demuxer = FlvDemuxer::new(MAX_BODY_BYTES);
    let mut count = 0;
    for mut input in file.chunks(READ_BYTES) {
        while let Some(tag) = demuxer.demux(&mut input).expect("what was muxed") {
            count += usize::from(!black_box(tag).body.is_empty());
        }
    }
    count
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let tags = tags();
    let mut file = BytesMut::new();
    mux(&mut file, &tags);
    assert_eq!(demux(&file), tags.len());

    let mut group = criterion.benchmark_group("flv");
    group.throughput(Throughput::Bytes(file.len() as u64));
    let mut out = BytesMut::with_capacity(file.len());
    group.bench_function("mux", |bencher| {
        bencher.iter(|| {
            out.clear();
            mux(&mut out, black_box(&tags));
            black_box(&out);
        });
    });
    group.bench_function("demux", |bencher| bencher.iter(|| demux(black_box(&file))));
    group.throughput(Throughput::Elements(tags.len() as u64));
    group.bench_function("info", |bencher| {
        bencher.iter(|| {
            for (tag_type, body) in black_box(&tags) {
                let look = if *tag_type == VIDEO { video_info } else { audio_info };
                black_box(look(body));
            }
        });
    });
    group.finish();
    criterion.final_summary();
}
