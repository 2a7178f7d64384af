//! Tests of both directions.

use std::slice;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::rtmp::message::{Message, type_id};

const LIMITS: ChunkLimits = ChunkLimits { message_bytes: 1 << 20, partial_bytes: 4 << 20, chunk_streams: 64 };

fn message(csid: u32, timestamp: u32, type_id: u8, stream_id: u32, payload: &[u8]) -> Message {
    let payload = Bytes::copy_from_slice(payload);
    Message { chunk_stream_id: csid, timestamp, type_id, stream_id, payload }
}

/// Everything that `decoder` makes of `input`.
fn drain(decoder: &mut ChunkDecoder, mut input: &[u8]) -> Result<Vec<Message>, ChunkError> {
    let mut messages = Vec::new();
    while let Some(message) = decoder.decode(&mut input)? {
        messages.push(message);
    }
    assert!(input.is_empty(), "None says that all input is eaten");
    Ok(messages)
}

fn decode(input: &[u8]) -> Vec<Message> {
    drain(&mut ChunkDecoder::new(LIMITS), input).unwrap()
}

/// Decodes `input` whole, in two parts at every place, and byte by byte; it must be all the same.
fn decode_at_every_split(input: &[u8]) -> Vec<Message> {
    let whole = decode(input);
    for at in 0..=input.len() {
        let mut decoder = ChunkDecoder::new(LIMITS);
        let mut messages = drain(&mut decoder, &input[..at]).unwrap();
        messages.extend(drain(&mut decoder, &input[at..]).unwrap());
        assert_eq!(messages, whole, "split at {at}");
    }
    let mut decoder = ChunkDecoder::new(LIMITS);
    let bytewise: Vec<_> = input.chunks(1).flat_map(|byte| drain(&mut decoder, byte).unwrap()).collect();
    assert_eq!(bytewise, whole, "byte by byte");
    whole
}

fn encode(chunk_size: usize, message: &Message) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode_into(&mut out, chunk_size, message);
    out.to_vec()
}

fn encode_into(out: &mut BytesMut, chunk_size: usize, message: &Message) {
    let before = out.len();
    encode_message(
        out,
        chunk_size,
        message.chunk_stream_id,
        message.timestamp,
        message.type_id,
        message.stream_id,
        &message.payload,
    );
    let (csid, timestamp) = (message.chunk_stream_id, message.timestamp);
    let expected = encoded_len(chunk_size, csid, timestamp, message.payload.len());
    assert_eq!(out.len() - before, expected, "encoded_len");
}

/// Type 0 header on a chunk stream below 64, without extended timestamp.
fn type_0(csid: u8, timestamp: u32, len: u32, type_id: u8, stream_id: u8) -> Vec<u8> {
    let mut out = vec![csid];
    out.extend(&timestamp.to_be_bytes()[1..]);
    out.extend(&len.to_be_bytes()[1..]);
    out.extend([type_id, stream_id, 0, 0, 0]);
    out
}

fn set_chunk_size(size: u32) -> Vec<u8> {
    let body = size.to_be_bytes();
    encode(128, &message(2, 0, type_id::SET_CHUNK_SIZE, 0, &body))
}

fn timestamps(messages: &[Message]) -> Vec<u32> {
    messages.iter().map(|message| message.timestamp).collect()
}

#[test]
fn one_message_in_every_form() {
    let long: Vec<u8> = (0..130).collect();
    let mut two_chunks = vec![4, 0, 0, 9, 0, 0, 130, 9, 1, 0, 0, 0];
    two_chunks.extend(&long[..128]);
    two_chunks.extend([0xC4, 128, 129]);
    let mut two_extended = vec![4, 255, 255, 255, 0, 0, 130, 9, 1, 0, 0, 0, 1, 0, 0, 0];
    two_extended.extend(&long[..128]);
    two_extended.extend([0xC4, 1, 0, 0, 0, 128, 129]);
    let mut two_wide = vec![1, 0x7F, 0x02, 0, 0, 9, 0, 0, 130, 9, 1, 0, 0, 0];
    two_wide.extend(&long[..128]);
    two_wide.extend([0xC1, 0x7F, 0x02, 128, 129]);

    let table: [(&str, Message, &[u8]); 14] = [
        ("empty", message(4, 7, 8, 1, b""), &[4, 0, 0, 7, 0, 0, 0, 8, 1, 0, 0, 0]),
        ("small", message(4, 7, 8, 1, b"a"), &[4, 0, 0, 7, 0, 0, 1, 8, 1, 0, 0, 0, b'a']),
        (
            "message stream id is little-endian",
            message(4, 7, 8, 0x0403_0201, b"a"),
            &[4, 0, 0, 7, 0, 0, 1, 8, 1, 2, 3, 4, b'a'],
        ),
        ("lowest chunk stream", message(2, 0, 4, 0, b""), &[2, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]),
        ("last in 1 byte", message(63, 0, 4, 0, b""), &[63, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]),
        ("first in 2 bytes", message(64, 0, 4, 0, b""), &[0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]),
        ("last in 2 bytes", message(319, 0, 4, 0, b""), &[0, 255, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]),
        ("first in 3 bytes", message(320, 0, 4, 0, b""), &[1, 0, 1, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]),
        ("highest chunk stream", message(65_599, 0, 4, 0, b""), &[1, 255, 255, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]),
        ("last short timestamp", message(4, 0xFF_FFFE, 8, 1, b"a"), &[4, 255, 255, 254, 0, 0, 1, 8, 1, 0, 0, 0, b'a']),
        (
            "first extended timestamp",
            message(4, 0xFF_FFFF, 8, 1, b"a"),
            &[4, 255, 255, 255, 0, 0, 1, 8, 1, 0, 0, 0, 0, 255, 255, 255, b'a'],
        ),
        ("two chunks", message(4, 9, 9, 1, &long), &two_chunks),
        ("two chunks, extended", message(4, 1 << 24, 9, 1, &long), &two_extended),
        ("two chunks, 3-byte chunk stream id", message(703, 9, 9, 1, &long), &two_wide),
    ];
    for (name, message, bytes) in table {
        assert_eq!(encode(128, &message), bytes, "{name}");
        assert_eq!(decode_at_every_split(bytes), [message], "{name}");
    }
}

#[test]
fn chunk_stream_ids_in_longer_forms_than_needed_are_read() {
    for bytes in [&[0_u8, 0][..], &[1, 0, 0]] {
        let mut input = bytes.to_vec();
        input.extend([0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
        assert_eq!(decode_at_every_split(&input), [message(64, 0, 4, 0, b"")]);
    }
}

#[test]
fn header_types_take_what_they_leave_out_from_the_header_before() {
    let mut input = type_0(5, 1000, 2, 8, 1);
    input.extend(b"ab");
    input.extend([0x45, 0, 0, 20, 0, 0, 1, 9, b'c']);
    input.extend([0x85, 0, 0, 30, b'd']);
    input.extend([0xC5, b'e', 0xC5, b'f']);
    let expected = [
        message(5, 1000, 8, 1, b"ab"),
        message(5, 1020, 9, 1, b"c"),
        message(5, 1050, 9, 1, b"d"),
        message(5, 1080, 9, 1, b"e"),
        message(5, 1110, 9, 1, b"f"),
    ];
    assert_eq!(decode_at_every_split(&input), expected);
}

#[test]
fn chunks_of_several_messages_interleave() {
    let video = message(6, 40, 9, 1, &[b'v'; 300]);
    let audio = message(4, 41, 8, 1, &[b'a'; 200]);
    let video_bytes = encode(128, &video);
    let audio_bytes = encode(128, &audio);
    let mut input = video_bytes[..140].to_vec();
    input.extend(&audio_bytes[..140]);
    input.extend(&video_bytes[140..269]);
    input.extend(&audio_bytes[140..]);
    input.extend(&video_bytes[269..]);
    assert_eq!(decode_at_every_split(&input), [audio, video]);
}

#[test]
fn set_chunk_size_acts_from_the_next_chunk_on_a_half_received_message() {
    let mut input = type_0(6, 0, 300, 9, 1);
    input.extend([b'v'; 128]);
    input.extend(set_chunk_size(100));
    for len in [100, 72] {
        input.push(0xC6);
        input.extend(vec![b'v'; len]);
    }
    assert_eq!(decode_at_every_split(&input), [message(6, 0, 9, 1, &[b'v'; 300])]);
}

#[test]
fn set_chunk_size_values() {
    let long = message(6, 0, 9, 1, &[7; 1000]);
    let table: [(&str, &[u8], usize); 6] = [
        ("one byte", &[0, 0, 0, 1], 1),
        ("plain", &[0, 0, 3, 0], 768),
        ("bit 31 is not part of it", &[0x80, 0, 2, 0], 512),
        ("larger than any message", &[0x7F, 0xFF, 0xFF, 0xFF], 0xFF_FFFF),
        ("a body that is too long", &[0, 0, 2, 0, 9], 512),
        ("a body that is too short says nothing", &[0, 0, 2], 128),
    ];
    for (name, body, size) in table {
        let mut input = encode(128, &message(2, 0, type_id::SET_CHUNK_SIZE, 0, body));
        input.extend(encode(size, &long));
        assert_eq!(decode_at_every_split(&input), slice::from_ref(&long), "{name}");
    }
    for size in [0, 0x8000_0000] {
        let result = drain(&mut ChunkDecoder::new(LIMITS), &set_chunk_size(size));
        assert_eq!(result, Err(ChunkError::ZeroChunkSize));
    }
}

#[test]
fn ptzoptics_sends_control_messages_on_any_chunk_stream_and_message_stream() {
    let mut input = encode(128, &message(6, 0, type_id::SET_CHUNK_SIZE, 1, &[0, 0, 1, 0]));
    let long = message(4, 0, 9, 1, &[7; 1000]);
    input.extend(encode(256, &long));
    assert_eq!(decode_at_every_split(&input), [long]);
}

#[test]
fn other_control_messages_are_returned() {
    let ack = message(2, 0, type_id::ACKNOWLEDGEMENT, 0, &[0, 0, 1, 0]);
    assert_eq!(decode_at_every_split(&encode(128, &ack)), [ack]);
}

#[test]
fn abort_drops_the_partial_message_of_its_chunk_stream_only() {
    let abort = encode(128, &message(2, 0, type_id::ABORT, 0, &[0, 0, 0, 6]));
    let kept = message(4, 0, 8, 1, &[b'a'; 200]);
    let kept_bytes = encode(128, &kept);
    let next = message(6, 0, 9, 1, b"next");
    let mut input = type_0(6, 0, 300, 9, 1);
    input.extend([b'v'; 128]);
    input.extend(&kept_bytes[..140]);
    input.extend(&abort);
    input.extend(&kept_bytes[140..]);
    input.extend(encode(128, &next));
    assert_eq!(decode_at_every_split(&input), [kept, next]);

    let mut decoder = ChunkDecoder::new(LIMITS);
    drain(&mut decoder, &input).unwrap();
    assert_eq!(decoder.dropped_partials(), 0, "taken back, not lost");
    assert_eq!(decoder.partial_bytes(), 0);
}

#[test]
fn abort_of_nothing_is_ignored() {
    for body in [&[0, 0, 0, 9][..], &[0, 0], &[]] {
        let input = encode(128, &message(2, 0, type_id::ABORT, 0, body));
        assert_eq!(decode_at_every_split(&input), []);
    }
}

#[test]
fn a_header_on_a_chunk_stream_with_a_partial_message_restarts_it() {
    let restarts: [(&str, &[u8], Message); 3] = [
        ("type 0", &[6, 0, 0, 9, 0, 0, 1, 8, 1, 0, 0, 0, b'x'], message(6, 9, 8, 1, b"x")),
        ("type 1", &[0x46, 0, 0, 9, 0, 0, 1, 8, b'x'], message(6, 109, 8, 1, b"x")),
        ("type 2", &[0x86, 0, 0, 9], message(6, 109, 9, 1, &[b'y'; 300])),
    ];
    for (name, restart, expected) in restarts {
        let mut input = type_0(6, 100, 300, 9, 1);
        input.extend([b'v'; 128]);
        input.extend(restart);
        if name == "type 2" {
            for len in [128, 128, 44] {
                input.extend(vec![b'y'; len]);
                input.push(0xC6);
            }
            input.pop();
        }
        assert_eq!(decode_at_every_split(&input), [expected], "{name}");
        let mut decoder = ChunkDecoder::new(LIMITS);
        drain(&mut decoder, &input).unwrap();
        assert_eq!(decoder.dropped_partials(), 1, "{name}");
        assert_eq!(decoder.partial_bytes(), 0, "{name}");
    }
}

#[test]
fn librtmp_sends_its_first_ping_with_a_type_1_header() {
    let input = [0x42, 0, 0, 5, 0, 0, 6, 4, 0, 3, 0, 0, 0, 0];
    assert_eq!(decode_at_every_split(&input), [message(2, 5, 4, 0, &[0, 3, 0, 0, 0, 0])]);
}

#[test]
fn the_first_chunk_of_a_chunk_stream_may_leave_fields_out() {
    assert_eq!(decode_at_every_split(&[0x85, 0, 0, 5]), [message(5, 5, 0, 0, b"")]);
    assert_eq!(decode_at_every_split(&[0xC5]), [message(5, 0, 0, 0, b"")]);
    let mut input = type_0(4, 0, 1, 8, 7);
    input.push(b'a');
    input.extend([0x46, 0, 0, 5, 0, 0, 1, 9, b'v']);
    let expected = [message(4, 0, 8, 7, b"a"), message(6, 5, 9, 7, b"v")];
    assert_eq!(decode_at_every_split(&input), expected, "message stream id of the chunk before");
}

#[test]
fn fmle_begins_an_audio_message_with_a_type_3_chunk() {
    let mut input = type_0(4, 0, 1, 8, 1);
    input.extend([b'a', 0x84, 0, 0, 23, b'b', 0xC4, b'c', 0xC4, b'd']);
    assert_eq!(timestamps(&decode_at_every_split(&input)), [0, 23, 46, 69]);
}

#[test]
fn ffmpeg_repeats_a_small_absolute_timestamp_as_the_first_delta() {
    let mut input = type_0(4, 23, 1, 8, 1);
    input.extend([b'a', 0xC4, b'b', 0xC4, b'c']);
    assert_eq!(timestamps(&decode_at_every_split(&input)), [23, 46, 69]);
}

#[test]
fn nginx_means_no_step_by_a_type_3_chunk_after_a_large_absolute_timestamp() {
    for (timestamp, second) in [(1000, 2000), (1001, 1001), (500_000, 500_000)] {
        let mut input = type_0(4, timestamp, 1, 8, 1);
        input.extend([b'a', 0xC4, b'b']);
        assert_eq!(timestamps(&decode_at_every_split(&input)), [timestamp, second]);
    }
}

#[test]
fn an_extended_timestamp_of_types_1_and_2_is_a_delta_and_wraps() {
    let mut input = type_0(4, 1, 1, 8, 1);
    input.extend([b'a', 0x44, 255, 255, 255, 0, 0, 1, 8, 1, 0, 0, 0, b'b']);
    input.extend([0x84, 255, 255, 255, 0xFF, 0, 0, 0, b'c']);
    input.extend([0xC4, 0xFF, 0, 0, 0, b'd']);
    let expected = [1, 0x0100_0001, 1, 0xFF00_0001];
    assert_eq!(timestamps(&decode_at_every_split(&input)), expected);
}

#[test]
fn timestamps_wrap_at_2_to_the_32() {
    let mut input = encode(128, &message(4, u32::MAX - 9, 8, 1, b"a"));
    input.extend([0x84, 0, 0, 40, b'b', 0xC4, b'c']);
    assert_eq!(timestamps(&decode_at_every_split(&input)), [u32::MAX - 9, 30, 70]);
}

/// A message of two chunks with timestamp 0x01020304, and another message behind it.
fn without_repeats(tail: &[u8]) -> (Vec<u8>, Message) {
    let mut payload = vec![b'v'; 128];
    payload.extend(tail);
    let mut input = vec![6, 255, 255, 255];
    input.extend(&(payload.len() as u32).to_be_bytes()[1..]);
    input.extend([9, 1, 0, 0, 0, 1, 2, 3, 4]);
    input.extend(&payload[..128]);
    input.push(0xC6);
    input.extend(tail);
    (input, message(6, 0x0102_0304, 9, 1, &payload))
}

#[test]
fn old_obs_and_rtmpdump_do_not_repeat_the_extended_timestamp() {
    let tails: [(&str, &[u8]); 7] = [
        ("differs at once", b"vvvvv"),
        ("differs in the second byte", &[1, 9, 9, 9, 9]),
        ("differs in the last byte", &[1, 2, 3, 9, 9]),
        ("short, differs at once", &[9]),
        ("short, agrees in one byte", &[1]),
        ("short, agrees in two bytes", &[1, 2]),
        ("short, agrees in three bytes", &[1, 2, 3]),
    ];
    for (name, tail) in tails {
        let (mut input, expected) = without_repeats(tail);
        let next = message(5, 5, 8, 1, b"next");
        input.extend(encode(128, &next));
        assert_eq!(decode_at_every_split(&input), [expected, next], "{name}");
    }
}

#[test]
fn a_short_tail_that_differs_from_the_extended_timestamp_is_not_waited_on() {
    let (input, expected) = without_repeats(&[1, 9]);
    assert_eq!(decode_at_every_split(&input), [expected]);
}

#[test]
fn a_peer_seen_not_to_repeat_the_extended_timestamp_is_not_asked_again() {
    let (first_bytes, first) = without_repeats(b"vvvvv");
    let (second_bytes, second) = without_repeats(&[1, 2, 3, 4]);
    let input = [first_bytes, second_bytes].concat();
    assert_eq!(decode_at_every_split(&input), [first, second]);
}

#[test]
fn payload_that_looks_like_the_repeated_extended_timestamp_stays_payload() {
    let mut payload = vec![b'v'; 128];
    payload.extend([1, 2, 3, 4, 1, 2, 3, 4]);
    let message = message(6, 0x0102_0304, 9, 1, &payload);
    assert_eq!(decode_at_every_split(&encode(128, &message)), [message]);
}

#[test]
fn a_type_3_chunk_that_begins_a_message_may_leave_the_extended_timestamp_out() {
    let first = message(4, 0x0102_0304, 8, 1, b"a");
    for repeated in [&[][..], &[1, 2, 3, 4]] {
        let mut input = encode(128, &first);
        input.push(0xC4);
        input.extend(repeated);
        input.push(b'b');
        let expected = [first.clone(), message(4, 0x0102_0304, 8, 1, b"b")];
        assert_eq!(decode_at_every_split(&input), expected);
    }
}

#[test]
fn limit_message_bytes() {
    let limits = ChunkLimits { message_bytes: 10, ..LIMITS };
    let at_limit = encode(128, &message(4, 0, 8, 1, &[0; 10]));
    assert_eq!(drain(&mut ChunkDecoder::new(limits), &at_limit).unwrap().len(), 1);
    let over = type_0(4, 0, 11, 8, 1);
    let error = ChunkError::MessageTooLong { announced: 11, limit: 10 };
    assert_eq!(drain(&mut ChunkDecoder::new(limits), &over), Err(error.clone()), "on the header");

    let mut decoder = ChunkDecoder::new(LIMITS);
    drain(&mut decoder, &encode(128, &message(4, 0, 8, 1, &[0; 11]))).unwrap();
    decoder.set_limits(limits);
    assert_eq!(drain(&mut decoder, &[0xC4]), Err(error), "a length taken over is checked again");
}

#[test]
fn limit_chunk_streams() {
    let limits = ChunkLimits { chunk_streams: 3, ..LIMITS };
    let mut decoder = ChunkDecoder::new(limits);
    for csid in [3, 4, 5, 3, 4, 5] {
        drain(&mut decoder, &type_0(csid, 0, 0, 8, 1)).unwrap();
    }
    let error = ChunkError::TooManyChunkStreams { limit: 3 };
    assert_eq!(drain(&mut decoder, &type_0(6, 0, 0, 8, 1)), Err(error));
}

#[test]
fn limit_partial_bytes() {
    let limits = ChunkLimits { partial_bytes: 300, ..LIMITS };
    let mut decoder = ChunkDecoder::new(limits);
    for csid in [4, 5] {
        let mut input = type_0(csid, 0, 1000, 9, 1);
        input.extend([0; 128]);
        drain(&mut decoder, &input).unwrap();
    }
    let mut input = type_0(6, 0, 1000, 9, 1);
    input.extend([0; 128]);
    let error = ChunkError::TooManyPartialBytes { limit: 300 };
    assert_eq!(drain(&mut decoder, &input), Err(error));

    let mut decoder = ChunkDecoder::new(limits);
    let many = encode(128, &message(4, 0, 9, 1, &[0; 290])).repeat(20);
    assert_eq!(drain(&mut decoder, &many).unwrap().len(), 20, "whole messages do not count");
    assert_eq!(decoder.partial_bytes(), 0);
}

#[test]
fn memory_follows_what_arrived_not_what_was_announced() {
    let mut decoder = ChunkDecoder::new(LIMITS);
    let mut input = type_0(6, 0, 1 << 20, 9, 1);
    input.extend([0; 100]);
    drain(&mut decoder, &input).unwrap();
    assert!(decoder.partial_bytes() <= input.len());
    drain(&mut decoder, &[0]).unwrap();
    assert!(decoder.partial_bytes() <= 2 * input.len());
}

#[test]
fn memory_of_a_message_ends_at_its_length() {
    let mut decoder = ChunkDecoder::new(LIMITS);
    let bytes = encode(128, &message(6, 0, 9, 1, &[7; 1000]));
    for part in bytes[..bytes.len() - 1].chunks(90) {
        drain(&mut decoder, part).unwrap();
    }
    assert_eq!(decoder.partial_bytes(), 1000);
    assert_eq!(drain(&mut decoder, &bytes[bytes.len() - 1..]).unwrap().len(), 1);
    assert_eq!(decoder.partial_bytes(), 0);
}

#[test]
fn an_idle_decoder_is_small() {
    assert!(size_of::<ChunkDecoder>() <= 120, "{}", size_of::<ChunkDecoder>());
    let mut decoder = ChunkDecoder::new(LIMITS);
    drain(&mut decoder, &encode(128, &message(6, 0, 9, 1, &[7; 1000]))).unwrap();
    assert_eq!(decoder.counted_partial_bytes(), 0);
    assert!(decoder.state_bytes() <= 4 * 56, "{}", decoder.state_bytes());
}

#[test]
fn the_encoder_keeps_the_framing_right_for_any_arguments() {
    let body = [7; 3];
    assert_eq!(decode_after(1, &encode(0, &message(4, 0, 9, 1, &body))), [body.to_vec()]);
    for (csid, written) in [(0, 2), (1, 2), (70_000, 65_599)] {
        let bytes = encode(128, &message(csid, 0, 9, 1, &body));
        assert_eq!(decode(&bytes), [message(written, 0, 9, 1, &body)]);
    }
    let mut out = BytesMut::new();
    encode_message(&mut out, 65_536, 4, 0, 9, 1, &vec![0; MAX_MESSAGE_LEN + 1]);
    assert_eq!(out.len(), encoded_len(65_536, 4, 0, MAX_MESSAGE_LEN));
}

/// Payloads of `input`, which is in chunks of `chunk_size` bytes.
fn decode_after(chunk_size: u32, input: &[u8]) -> Vec<Vec<u8>> {
    let input = [&set_chunk_size(chunk_size), input].concat();
    decode(&input).into_iter().map(|message| message.payload.to_vec()).collect()
}

fn any_message() -> impl Strategy<Value = Message> {
    let csid = prop_oneof![2..64_u32, 64..320_u32, 320..65_600_u32, 2..7_u32];
    let timestamp = prop_oneof![0..2000_u32, any::<u32>(), Just(0xFF_FFFF), Just(u32::MAX)];
    // Small values make the repeated extended timestamp and the payload alike.
    let payload = prop_oneof![prop::collection::vec(0..3_u8, 0..600), prop::collection::vec(any::<u8>(), 0..600)];
    (csid, timestamp, 3..=22_u8, any::<u32>(), payload).prop_map(|(csid, timestamp, type_id, stream_id, payload)| {
        message(csid, timestamp, type_id, stream_id, &payload)
    })
}

/// Cuts `input` into parts whose lengths repeat those of `lens`.
fn decode_in_parts(decoder: &mut ChunkDecoder, mut input: &[u8], lens: &[usize]) -> Result<Vec<Message>, ChunkError> {
    let mut messages = Vec::new();
    for len in lens.iter().cycle() {
        if input.is_empty() {
            break;
        }
        let (part, rest) = input.split_at((*len).min(input.len()));
        input = rest;
        messages.extend(drain(decoder, part)?);
    }
    Ok(messages)
}

proptest! {
    #[test]
    fn messages_round_trip(
        messages in prop::collection::vec(any_message(), 0..12),
        chunk_size in prop_oneof![1..5_u32, 1..700_u32, Just(65_536)],
        lens in prop::collection::vec(1..300_usize, 1..8),
    ) {
        let mut bytes = BytesMut::from(&set_chunk_size(chunk_size)[..]);
        for message in &messages {
            encode_into(&mut bytes, chunk_size as usize, message);
        }
        let mut decoder = ChunkDecoder::new(LIMITS);
        prop_assert_eq!(decode_in_parts(&mut decoder, &bytes, &lens).unwrap(), messages);
        prop_assert_eq!(decoder.partial_bytes(), 0);
    }

    #[test]
    fn interleaved_messages_round_trip(
        first in any_message(),
        second in any_message(),
        order in prop::collection::vec(any::<bool>(), 0..40),
        lens in prop::collection::vec(1..100_usize, 1..8),
    ) {
        prop_assume!(first.chunk_stream_id != second.chunk_stream_id);
        let bytes = interleave([&first, &second], &order, 32);
        let input = [&set_chunk_size(32)[..], &bytes].concat();
        let mut decoder = ChunkDecoder::new(LIMITS);
        let mut messages = decode_in_parts(&mut decoder, &input, &lens).unwrap();
        messages.sort_by_key(|message| message.chunk_stream_id != first.chunk_stream_id);
        prop_assert_eq!(messages, [first, second]);
    }

    #[test]
    fn any_bytes_give_the_same_however_they_are_cut(
        bytes in prop::collection::vec(prop_oneof![0..8_u8, any::<u8>(), 0xC0..0xC8_u8, Just(255)], 0..400),
        lens in prop::collection::vec(1..40_usize, 1..8),
    ) {
        let limits = ChunkLimits { message_bytes: 0xFF_FFFF, partial_bytes: usize::MAX, ..LIMITS };
        let mut decoder = ChunkDecoder::new(limits);
        let whole = drain(&mut decoder, &bytes);
        let parts = decode_in_parts(&mut ChunkDecoder::new(limits), &bytes, &lens);
        prop_assert_eq!(&parts, &whole);
        if whole.is_ok() {
            prop_assert_eq!(decoder.partial_bytes(), decoder.counted_partial_bytes());
        }
    }

    #[test]
    fn partial_memory_never_passes_its_limit(
        bytes in prop::collection::vec(prop_oneof![0..8_u8, any::<u8>(), 0xC0..0xC8_u8], 0..2000),
        limit in 0..500_usize,
        lens in prop::collection::vec(1..400_usize, 1..8),
    ) {
        let limits = ChunkLimits { message_bytes: 0xFF_FFFF, partial_bytes: limit, ..LIMITS };
        let mut decoder = ChunkDecoder::new(limits);
        let _ = decode_in_parts(&mut decoder, &bytes, &lens);
        prop_assert!(decoder.counted_partial_bytes() <= limit);
    }
}

/// The chunks of two messages, each in its order; `order` says whose turn it is.
fn interleave(messages: [&Message; 2], order: &[bool], chunk_size: usize) -> Vec<u8> {
    let [mut first, mut second] = messages.map(|message| chunks_of(message, chunk_size));
    let mut out = Vec::new();
    for &take_first in order {
        let from = if take_first { &mut first } else { &mut second };
        if !from.is_empty() {
            out.extend(from.remove(0));
        }
    }
    out.extend(first.into_iter().chain(second).flatten());
    out
}

/// The bytes of each chunk of `message`.
fn chunks_of(message: &Message, chunk_size: usize) -> Vec<Vec<u8>> {
    let mut bytes = encode(chunk_size, message);
    let mut chunks = Vec::new();
    let mut left = message.payload.len();
    let header = |len: usize| encoded_len(chunk_size, message.chunk_stream_id, message.timestamp, len);
    let first_len = header(left.min(chunk_size));
    let next_header_len = first_len - left.min(chunk_size) - 11;
    let mut len = first_len;
    while !bytes.is_empty() {
        chunks.push(bytes.drain(..len).collect());
        left = left.saturating_sub(chunk_size);
        len = next_header_len + left.min(chunk_size);
    }
    chunks
}
