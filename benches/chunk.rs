//! The chunk stream: GB/s of reading and writing, next to copying the same bytes once.
#![allow(clippy::expect_used, reason = "a bench that fails shall stop")]

use std::hint::black_box;

use bytes::{BufMut, BytesMut};
use criterion::{Criterion, Throughput};
use rtmpd::rtmp::chunk::{ChunkDecoder, ChunkLimits, encode_message};
use rtmpd::rtmp::message::type_id;

/// A second of 2.5 Mbit/s: one key frame, 29 other frames, and audio between.
const MESSAGES: [(u8, usize, usize); 3] =
    [(type_id::VIDEO, 70_000, 1), (type_id::VIDEO, 9_000, 29), (type_id::AUDIO, 372, 43)];
const CHUNK_SIZES: [usize; 2] = [128, 64 * 1024];
/// What a server reads at once.
const READ_BYTES: usize = 64 * 1024;
const LIMITS: ChunkLimits = ChunkLimits { message_bytes: 1 << 24, partial_bytes: 1 << 25, chunk_streams: 64 };

fn bodies() -> Vec<(u8, Vec<u8>)> {
    let repeat = |(type_id, len, count)| std::iter::repeat_n((type_id, vec![0x27; len]), count);
    MESSAGES.into_iter().flat_map(repeat).collect()
}

fn encode(out: &mut BytesMut, chunk_size: usize, bodies: &[(u8, Vec<u8>)]) {
    for (timestamp, (type_id, body)) in (0..).zip(bodies) {
        encode_message(out, chunk_size, 4, timestamp, *type_id, 1, body);
    }
}

fn decode(wire: &[u8]) -> usize {
    let mut decoder = ChunkDecoder::new(LIMITS);
    let mut count = 0;
    for mut input in wire.chunks(READ_BYTES) {
        while let Some(message) = decoder.decode(&mut input).expect("what was encoded") {
            count += black_box(message).payload.len().min(1);
        }
    }
    count
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let bodies = bodies();
    let total: usize = bodies.iter().map(|(_, body)| body.len()).sum();
    let mut group = criterion.benchmark_group("chunk");
    group.throughput(Throughput::Bytes(total as u64));
    group.bench_function("memcpy", |bencher| {
        let mut out: Vec<u8> = Vec::with_capacity(1 << 20);
        bencher.iter(|| {
            for (_, body) in black_box(&bodies) {
                out.clear();
                out.extend_from_slice(body);
                black_box(&out);
            }
        });
    });
    for chunk_size in CHUNK_SIZES {
        let mut out = BytesMut::with_capacity(2 * total);
        group.bench_function(format!("encode/{chunk_size}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                encode(&mut out, chunk_size, black_box(&bodies));
                black_box(&out);
            });
        });
        let mut wire = BytesMut::new();
        // Set Chunk Size, so that the reader expects this size.
        let mut size = BytesMut::new();
        size.put_u32(chunk_size as u32);
        encode_message(&mut wire, 128, 2, 0, type_id::SET_CHUNK_SIZE, 0, &size);
        encode(&mut wire, chunk_size, &bodies);
        assert_eq!(decode(&wire), bodies.len());
        group.bench_function(format!("decode/{chunk_size}"), |bencher| {
            bencher.iter(|| decode(black_box(&wire)));
        });
    }
    group.finish();
    criterion.final_summary();
}
