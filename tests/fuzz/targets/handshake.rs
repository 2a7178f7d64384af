//! The handshake: how the bytes were cut does not matter, and both our sides understand each other.

use bytes::BytesMut;
use rtmpd::rtmp::handshake::{ClientHandshake, HandshakeError, PACKET_BYTES, ServerHandshake};

use super::script::{Script, pieces};

/// Bytes sent, whether it is done, and what was not eaten.
type Outcome = (BytesMut, Result<bool, HandshakeError>, Vec<u8>);

fn run(data: Vec<&[u8]>, mut step: impl FnMut(&mut &[u8], &mut BytesMut) -> Result<bool, HandshakeError>) -> Outcome {
    let mut out = BytesMut::new();
    let mut result = Ok(false);
    let mut left = Vec::new();
    for piece in data {
        let mut rest = piece;
        if result == Ok(false) {
            result = step(&mut rest, &mut out);
        }
        assert!(result != Ok(false) || rest.is_empty(), "bytes that were not eaten");
        if result.is_ok() {
            left.extend_from_slice(rest);
        }
    }
    (out, result, left)
}

fn server(data: Vec<&[u8]>, seed: u64) -> Outcome {
    let mut handshake = ServerHandshake::new(seed);
    run(data, |input, out| handshake.handle_input(input, out))
}

fn client(data: Vec<&[u8]>, seed: u64, digest: bool) -> (BytesMut, Outcome) {
    let mut hello = BytesMut::new();
    let mut handshake = ClientHandshake::new(seed, digest, &mut hello);
    let outcome = run(data, |input, out| handshake.handle_input(input, out));
    (hello, outcome)
}

/// First byte: how to cut. Second: whose side, with digest or not, and how much of a good packet stands in front of
/// the rest, which is what the peer sent.
pub fn handshake(data: &[u8]) {
    let mut script = Script::new(data);
    let how = script.u8();
    let flags = script.u8();
    let seed = u64::from(script.u8());
    let digest = flags & 1 != 0;
    let (hello, _) = client(Vec::new(), seed, digest);
    assert_eq!(hello.len(), 1 + PACKET_BYTES);
    let (answer, _, _) = server(vec![&hello], seed + 1);
    assert_eq!(answer.len(), 1 + 2 * PACKET_BYTES);

    // The fuzzer cannot guess a digest, so it damages a good packet.
    let damaged = |good: &[u8]| {
        let mut bytes = if flags & 2 != 0 { good.to_vec() } else { Vec::new() };
        let mut script = script.clone();
        for _ in 0..flags >> 5 {
            let at = usize::from(script.u16());
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= script.u8();
            }
        }
        bytes.extend_from_slice(script.rest());
        bytes
    };
    let to_server = damaged(&hello);
    let whole = server(vec![&to_server], seed);
    assert_eq!(whole, server(pieces(&to_server, how), seed), "server");
    assert!(whole.0.is_empty() || whole.0.len() == 1 + 2 * PACKET_BYTES);
    assert!(whole.1 != Ok(true) || whole.2.len() + 1 + 2 * PACKET_BYTES == to_server.len());

    let to_client = damaged(&answer);
    let whole = client(vec![&to_client], seed, digest);
    assert_eq!(whole, client(pieces(&to_client, how), seed, digest), "client");
    assert!(whole.1.0.is_empty() || whole.1.0.len() == PACKET_BYTES);

    both_sides(seed, digest, how);
}

fn both_sides(seed: u64, digest: bool, how: u8) {
    let mut to_server = BytesMut::new();
    let mut to_client = BytesMut::new();
    let mut client = ClientHandshake::new(seed, digest, &mut to_server);
    let mut server = ServerHandshake::new(seed ^ 0xFF);
    for piece in pieces(&to_server, how) {
        assert_eq!(server.handle_input(&mut { piece }, &mut to_client), Ok(false));
    }
    let mut last_words = BytesMut::new();
    let mut is_done = false;
    for piece in pieces(&to_client, how) {
        is_done = client.handle_input(&mut { piece }, &mut last_words).expect("our own version");
    }
    assert!(is_done, "the client's side");
    assert_eq!(server.handle_input(&mut &last_words[..], &mut to_client), Ok(true));
}
