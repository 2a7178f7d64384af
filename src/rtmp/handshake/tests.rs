//! Tests of the handshake of both sides.

use proptest::prelude::*;

use super::digest::{DIGEST_BYTES, Digest};
use super::*;

/// C1 as ffmpeg 5.1 sent it over the network. It is the same in each of its connections.
const FFMPEG_C1: &Packet = include_bytes!("c1_ffmpeg_5_1.bin");

const FFMPEG_DIGEST: &str = "650bfb9b65f953d848e3456965d0d76b627a84e35e9ddabd8b43f0fadaee458c";

fn unhex(text: &str) -> Digest {
    std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
}

/// The packet for which the expected values below were computed by another program (Python's `hmac`).
fn known_packet() -> Packet {
    std::array::from_fn(|i| ((i * 31 + 7) % 256) as u8)
}

fn c1_with_digest(seed: u64, schema: Schema, version: [u8; 4]) -> Packet {
    let mut c1 = Filler(seed).packet(version);
    Side::Client.put_digest(&mut c1, schema);
    c1
}

fn hello(c1: &Packet) -> Vec<u8> {
    [&[VERSION][..], c1].concat()
}

/// Runs a server over `pieces` and gives what it sent and what it left in the last piece.
fn serve(pieces: &[&[u8]]) -> (bool, Vec<u8>, Vec<u8>) {
    let mut server = ServerHandshake::new(7);
    let mut out = BytesMut::new();
    let (mut done, mut left) = (false, Vec::new());
    for piece in pieces {
        let mut input = *piece;
        done = server.handle_input(&mut input, &mut out).unwrap();
        left.extend_from_slice(input);
    }
    (done, out.to_vec(), left)
}

/// S0, S1 and S2 that answer `c1`.
fn answer_to(c1: &Packet) -> (u8, Packet, Packet) {
    let (done, out, left) = serve(&[&hello(c1)]);
    assert!(!done);
    assert!(left.is_empty());
    assert_eq!(out.len(), 1 + 2 * PACKET_BYTES);
    let (s1, s2) = out[1..].split_at(PACKET_BYTES);
    (out[0], s1.try_into().unwrap(), s2.try_into().unwrap())
}

/// Whether `packet` is signed by `side` as the answer to `digest`.
fn is_signed(packet: &Packet, side: Side, digest: &Digest) -> bool {
    let mut again = *packet;
    side.sign(&mut again, digest);
    again == *packet
}

#[test]
fn digest_stands_where_ffmpeg_puts_it() {
    assert_eq!(FFMPEG_C1[8..12], [247, 120, 85, 30]);
    assert_eq!(Schema::First.digest_at(FFMPEG_C1), 12 + (247 + 120 + 85 + 30));
    assert_eq!(FFMPEG_C1[494..526], unhex(FFMPEG_DIGEST));
    assert_eq!(Side::Client.find_digest(FFMPEG_C1), Some((Schema::First, unhex(FFMPEG_DIGEST))));
    assert_eq!(Side::Server.find_digest(FFMPEG_C1), None);
}

#[test]
fn digests_are_those_of_another_program() {
    #[rustfmt::skip]
    let table = [
        (Side::Client, Schema::First, 450, "750aa77a541293fc1c59b1d38e59bfb39b75c0cef82d64aa2a46edaedb9ddfc4"),
        (Side::Client, Schema::Second, 1486, "83fdaa7f56fac87d75ce486db37b2722c39fb4290a29eaca81211e59612ae0fc"),
        (Side::Server, Schema::First, 450, "612a821dcd6597c43976854c795e58882fe2f7d714f38ad1e22474672e2933af"),
        (Side::Server, Schema::Second, 1486, "0691636d7b85f9067292f4d24b571f5b199a3d40cf35d4be227dce4d08623357"),
    ];
    for (side, schema, at, digest) in table {
        let mut packet = known_packet();
        side.put_digest(&mut packet, schema);
        assert_eq!(packet[at..at + DIGEST_BYTES], unhex(digest), "{side:?} {schema:?}");
        assert_eq!(side.find_digest(&packet), Some((schema, unhex(digest))));
        packet[1535] ^= 1;
        assert_eq!(side.find_digest(&packet), None);
    }
}

#[test]
fn signatures_are_those_of_another_program() {
    let table = [
        (Side::Client, "c7cb02db1b93cf84dbd8eb9086bb050405b498898000b42eb184fb2a371eef14"),
        (Side::Server, "096ca930409e968dc8c1aae69e006a8bc5539c7677d04d84c272d64b127b23d4"),
    ];
    for (side, signature) in table {
        let mut packet = known_packet();
        side.sign(&mut packet, &unhex(FFMPEG_DIGEST));
        assert_eq!(packet[..1504], known_packet()[..1504]);
        assert_eq!(packet[1504..], unhex(signature), "{side:?}");
    }
}

#[test]
fn every_offset_keeps_the_digest_inside_the_packet() {
    for (schema, at, end) in [(Schema::First, 8, 772), (Schema::Second, 772, PACKET_BYTES)] {
        for sum in 0..=1020_usize {
            let mut packet = [0; PACKET_BYTES];
            for (i, byte) in packet[at..at + 4].iter_mut().enumerate() {
                *byte = sum.saturating_sub(255 * i).min(255) as u8;
            }
            let place = schema.digest_at(&packet);
            assert_eq!(place, at + 4 + sum % 728);
            assert!(place + DIGEST_BYTES <= end);
            Side::Client.put_digest(&mut packet, schema);
            assert!(matches!(Side::Client.find_digest(&packet), Some((found, _)) if found == schema));
        }
    }
}

#[test]
fn digest_in_either_schema_is_answered_in_the_same() {
    for schema in [Schema::First, Schema::Second] {
        let c1 = c1_with_digest(3, schema, CLIENT_VERSION);
        let (_, digest) = Side::Client.find_digest(&c1).unwrap();
        let (s0, s1, s2) = answer_to(&c1);
        assert_eq!(s0, 3);
        assert!(matches!(Side::Server.find_digest(&s1), Some((found, _)) if found == schema));
        assert!(s1[4] >= 3, "ffmpeg looks for a digest only from version 3 on");
        assert!(is_signed(&s2, Side::Server, &digest));
        assert_ne!(s2[4..8], [0; 4], "librtmp would take this for a refusal");
    }
}

#[test]
fn version_bytes_that_lie_are_not_believed() {
    let with_digest = c1_with_digest(3, Schema::Second, NO_VERSION);
    let (_, s1, _) = answer_to(&with_digest);
    assert!(Side::Server.find_digest(&s1).is_some());

    let without = Filler(3).packet([10, 0, 32, 18]);
    let (_, s1, s2) = answer_to(&without);
    assert_eq!(Side::Server.find_digest(&s1), None);
    assert_eq!(s1[4..8], NO_VERSION);
    assert_eq!(s2, without);
}

#[test]
fn simple_handshake_echoes_c1() {
    for c1 in [[0; PACKET_BYTES], [0xFF; PACKET_BYTES], Filler(1).packet(NO_VERSION)] {
        let (s0, s1, s2) = answer_to(&c1);
        assert_eq!(s0, 3);
        assert_eq!(s1[..8], [0; 8]);
        assert_ne!(s1[8..], c1[8..]);
        assert_eq!(s2, c1);
    }
}

#[test]
fn c2_may_be_wrong_and_glued_to_chunks() {
    let chunks = b"\x03\x00\x00\x00 the first chunk";
    for c1 in [*FFMPEG_C1, [0; PACKET_BYTES]] {
        let all = [&hello(&c1)[..], &[0xAA; PACKET_BYTES], chunks].concat();
        let (done, out, left) = serve(&[&all]);
        assert!(done);
        assert_eq!(out.len(), 1 + 2 * PACKET_BYTES);
        assert_eq!(left, chunks);
    }
}

#[test]
fn chunks_after_the_handshake_are_not_touched() {
    let mut server = ServerHandshake::new(1);
    let mut out = BytesMut::new();
    let all = [&hello(FFMPEG_C1)[..], &[0; PACKET_BYTES]].concat();
    assert_eq!(server.handle_input(&mut &all[..], &mut out), Ok(true));
    out.clear();
    let mut input = &b"\x06chunks"[..];
    assert_eq!(server.handle_input(&mut input, &mut out), Ok(true));
    assert_eq!(input, b"\x06chunks");
    assert!(out.is_empty());
}

#[test]
fn one_byte_at_a_time() {
    let all = [&hello(FFMPEG_C1)[..], &[0; PACKET_BYTES]].concat();
    let (_, at_once, _) = serve(&[&all]);
    let mut server = ServerHandshake::new(7);
    let mut out = BytesMut::new();
    for (i, byte) in all.iter().enumerate() {
        let mut input = std::slice::from_ref(byte);
        let done = server.handle_input(&mut input, &mut out).unwrap();
        assert_eq!(done, i + 1 == all.len());
        assert_eq!(out.is_empty(), i < PACKET_BYTES, "answered as soon as C1 is whole");
    }
    assert_eq!(out, at_once);
    assert_eq!(server.handle_input(&mut &[][..], &mut out), Ok(true));
}

#[test]
fn every_split_point() {
    let all = [&hello(FFMPEG_C1)[..], &[0; PACKET_BYTES], b"chunks"].concat();
    let whole = serve(&[&all]);
    for at in 0..=all.len() {
        let (head, tail) = all.split_at(at);
        assert_eq!(serve(&[head, tail]), whole, "split at {at}");
    }
}

#[test]
fn other_versions_are_refused_at_once() {
    for version in (0..=255).filter(|&version| version != 3) {
        let bytes = [version];
        let mut out = BytesMut::new();
        let error = Err(HandshakeError::Version(version));
        assert_eq!(ServerHandshake::new(0).handle_input(&mut &bytes[..], &mut out), error);
        assert!(out.is_empty());
        let mut client = ClientHandshake::new(0, true, &mut BytesMut::new());
        assert_eq!(client.handle_input(&mut &bytes[..], &mut out), error);
        assert!(out.is_empty());
    }
    let http = b"GET / HTTP/1.1\r\n";
    assert_eq!(
        ServerHandshake::new(0).handle_input(&mut &http[..], &mut BytesMut::new()),
        Err(HandshakeError::Version(b'G'))
    );
    assert_eq!(HandshakeError::Version(6).to_string(), "RTMP version 6 is not spoken here");
}

#[test]
fn a_waiting_connection_costs_little() {
    assert!(size_of::<ServerHandshake>() <= 32);
    assert!(size_of::<ClientHandshake>() <= 40);

    let held = |server: &ServerHandshake| match &server.state {
        State::First { arrived, .. } => arrived.capacity(),
        _ => 0,
    };
    let mut server = ServerHandshake::new(1);
    let mut out = BytesMut::new();
    server.handle_input(&mut &[VERSION][..], &mut out).unwrap();
    assert_eq!(held(&server), 0);
    server.handle_input(&mut &[0; 100][..], &mut out).unwrap();
    assert!(held(&server) <= 200);
    server.handle_input(&mut &[0; PACKET_BYTES][..], &mut out).unwrap();
    assert!(matches!(server.state, State::Second { missing_bytes } if missing_bytes == 1436));
}

/// Runs both sides against each other, `step` bytes at a time. What the client and the server sent.
fn run_pair(digest: bool, step: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut to_server, mut to_client) = (BytesMut::new(), BytesMut::new());
    let mut client = ClientHandshake::new(11, digest, &mut to_server);
    let mut server = ServerHandshake::new(12);
    let (mut read_by_server, mut read_by_client) = (0, 0);
    let (mut server_done, mut client_done) = (false, false);
    while !(server_done && client_done) {
        let end = to_server.len().min(read_by_server + step);
        let mut input = &to_server[read_by_server..end];
        server_done = server.handle_input(&mut input, &mut to_client).unwrap();
        assert!(input.is_empty());
        read_by_server = end;

        let end = to_client.len().min(read_by_client + step);
        let mut input = &to_client[read_by_client..end];
        client_done = client.handle_input(&mut input, &mut to_server).unwrap();
        assert!(input.is_empty());
        read_by_client = end;
    }
    (to_server.to_vec(), to_client.to_vec())
}

#[test]
fn client_and_server_understand_each_other() {
    for digest in [false, true] {
        let (sent, received) = run_pair(digest, usize::MAX / 2);
        for step in [1, 7, 1536, 1537] {
            assert_eq!(run_pair(digest, step), (sent.clone(), received.clone()));
        }
        assert_eq!(sent.len(), 1 + 2 * PACKET_BYTES);
        assert_eq!(received.len(), 1 + 2 * PACKET_BYTES);
        let c1 = sent[1..=PACKET_BYTES].try_into().unwrap();
        let c2 = sent[1 + PACKET_BYTES..].try_into().unwrap();
        let s1 = received[1..=PACKET_BYTES].try_into().unwrap();
        let s2 = received[1 + PACKET_BYTES..].try_into().unwrap();
        if digest {
            let (_, c1_digest) = Side::Client.find_digest(c1).unwrap();
            let (_, s1_digest) = Side::Server.find_digest(s1).unwrap();
            assert!(is_signed(c2, Side::Client, &s1_digest));
            assert!(is_signed(s2, Side::Server, &c1_digest));
        } else {
            assert_eq!(Side::Client.find_digest(c1), None);
            assert_eq!((c2, s2), (s1, c1));
        }
    }
}

#[test]
fn client_with_digest_echoes_a_server_without() {
    let mut sent = BytesMut::new();
    let mut client = ClientHandshake::new(11, true, &mut sent);
    sent.clear();
    let s1 = Filler(5).packet([4, 5, 0, 1]);
    let all = [&hello(&s1)[..], &[0; PACKET_BYTES], b"chunks"].concat();
    let mut input = &all[..];
    assert_eq!(client.handle_input(&mut input, &mut sent), Ok(true));
    assert_eq!(sent, &s1[..]);
    assert_eq!(input, b"chunks");
}

#[test]
fn filler_differs_by_seed_and_repeats_by_seed() {
    assert_eq!(Filler(1).packet(NO_VERSION), Filler(1).packet(NO_VERSION));
    assert_ne!(Filler(1).packet(NO_VERSION), Filler(2).packet(NO_VERSION));
    let mut filler = Filler(1);
    assert_ne!(filler.packet(NO_VERSION), filler.packet(NO_VERSION));
}

proptest! {
    #[test]
    fn any_seed_and_schema_is_found(seed: u64, second: bool, version: [u8; 4]) {
        let schema = if second { Schema::Second } else { Schema::First };
        let c1 = c1_with_digest(seed, schema, version);
        prop_assert!(matches!(Side::Client.find_digest(&c1), Some((found, _)) if found == schema));
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..4000)) {
        let mut input = &bytes[..];
        let mut out = BytesMut::new();
        let result = ServerHandshake::new(0).handle_input(&mut input, &mut out);
        prop_assert_eq!(result.is_err(), !bytes.is_empty() && bytes[0] != 3);
    }
}
