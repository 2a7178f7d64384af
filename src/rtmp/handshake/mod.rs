//! The handshake (RTMP 1.0, section 5.2), simple and with digests, of both sides.
//!
//! Owns: C0 to S2. Does not know chunks: what follows C2 in the same bytes is left to the caller.
//!
//! Whether a handshake is simple or has digests is decided by the digests alone, never by the version bytes of C1 or
//! S1. C2 and S2 are counted and not looked at: real programs send wrong ones, and nothing depends on them.

mod digest;
#[cfg(test)]
mod tests;

use bytes::{BufMut, BytesMut};
use thiserror::Error;

use self::digest::{Packet, Schema, Side};

/// Why a peer's first bytes are not a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// C0/S0 names a version that is not spoken here: 6 is RTMPE, others are not RTMP at all.
    #[error("RTMP version {0} is not spoken here")]
    Version(u8),
}

/// Bytes of C1, C2, S1 and S2.
pub const PACKET_BYTES: usize = 1536;

/// C0 and S0: the version of RTMP that is spoken here.
const VERSION: u8 = 3;

/// Version bytes of an S1 with a digest. Some clients look for a digest only where the first of them is 3 or more.
const SERVER_VERSION: [u8; 4] = [4, 5, 0, 1];

/// Version bytes of a C1 with a digest. Some servers look for a digest only where they are not zero.
const CLIENT_VERSION: [u8; 4] = [9, 0, 124, 2];

/// Version bytes of a C1 or S1 without a digest (5.2.3: "zero").
const NO_VERSION: [u8; 4] = [0; 4];

/// The server's side. Holds no more than the bytes that arrived, and none of them once C1 is answered.
#[derive(Debug)]
pub struct ServerHandshake {
    state: State,
}

impl ServerHandshake {
    /// `random_seed` feeds the filler bytes of S1 and S2.
    pub const fn new(random_seed: u64) -> Self {
        ServerHandshake { state: State::Version { random_seed } }
    }

    /// Eats handshake bytes from the front of `input`, appends what is to be sent to `out`. `true`: C2 is complete and
    /// `input` begins with the first chunk.
    ///
    /// # Errors
    /// [`HandshakeError`] as soon as C0 is wrong.
    pub fn handle_input(&mut self, input: &mut &[u8], out: &mut BytesMut) -> Result<bool, HandshakeError> {
        self.state.handle_input(input, |c1, filler| answer_c1(c1, filler, out))
    }
}

/// Appends S0, S1 and S2.
fn answer_c1(c1: &Packet, filler: &mut Filler, out: &mut BytesMut) {
    out.reserve(1 + 2 * PACKET_BYTES);
    out.put_u8(VERSION);
    match Side::Client.find_digest(c1) {
        Some((schema, digest)) => {
            let mut s1 = filler.packet(SERVER_VERSION);
            Side::Server.put_digest(&mut s1, schema);
            // Zeros where S1 has its version would look to some clients like a refusal.
            let mut s2 = filler.bytes();
            Side::Server.sign(&mut s2, &digest);
            out.put_slice(&s1);
            out.put_slice(&s2);
        }
        None => {
            out.put_slice(&filler.packet(NO_VERSION));
            out.put_slice(c1);
        }
    }
}

/// The client's side. Holds no more than the bytes that arrived, and none of them once S1 is answered.
#[derive(Debug)]
pub struct ClientHandshake {
    state: State,
    digest: bool,
}

impl ClientHandshake {
    /// Appends C0 and C1 to `out`. With `digest` C1 carries one in its first half, else it is a simple handshake.
    pub fn new(random_seed: u64, digest: bool, out: &mut BytesMut) -> Self {
        let mut filler = Filler(random_seed);
        let mut c1 = filler.packet(if digest { CLIENT_VERSION } else { NO_VERSION });
        if digest {
            Side::Client.put_digest(&mut c1, Schema::First);
        }
        out.reserve(1 + PACKET_BYTES);
        out.put_u8(VERSION);
        out.put_slice(&c1);
        ClientHandshake { state: State::Version { random_seed: filler.0 }, digest }
    }

    /// Eats handshake bytes from the front of `input`, appends C2 to `out`. `true`: S2 is complete.
    ///
    /// # Errors
    /// [`HandshakeError`] as soon as S0 is wrong.
    pub fn handle_input(&mut self, input: &mut &[u8], out: &mut BytesMut) -> Result<bool, HandshakeError> {
        let wants_digest = self.digest;
        self.state.handle_input(input, |s1, filler| answer_s1(s1, wants_digest, filler, out))
    }
}

/// Appends C2: signed where both sides have digests, else an echo.
fn answer_s1(s1: &Packet, wants_digest: bool, filler: &mut Filler, out: &mut BytesMut) {
    match Side::Server.find_digest(s1).filter(|_| wants_digest) {
        Some((_, digest)) => {
            let mut c2 = filler.bytes();
            Side::Client.sign(&mut c2, &digest);
            out.put_slice(&c2);
        }
        None => out.put_slice(s1),
    }
}

/// How far the peer's three packets have arrived. Both sides read the same: a version, a packet to answer, and a
/// packet to count.
#[derive(Debug)]
enum State {
    /// C0 or S0 is next.
    Version { random_seed: u64 },
    /// C1 or S1 is arriving.
    First { random_seed: u64, arrived: Vec<u8> },
    /// C1 or S1 is answered; so many bytes of C2 or S2 are missing. 0: the handshake is done.
    Second { missing_bytes: usize },
}

impl State {
    /// Eats handshake bytes; `answer` is called once, with the peer's whole C1 or S1. `true`: done.
    fn handle_input(
        &mut self,
        input: &mut &[u8],
        mut answer: impl FnMut(&Packet, &mut Filler),
    ) -> Result<bool, HandshakeError> {
        loop {
            match self {
                State::Version { random_seed } => {
                    let Some((&version, rest)) = input.split_first() else { return Ok(false) };
                    if version != VERSION {
                        return Err(HandshakeError::Version(version));
                    }
                    *input = rest;
                    *self = State::First { random_seed: *random_seed, arrived: Vec::new() };
                }
                State::First { random_seed, arrived } => {
                    arrived.extend_from_slice(eat(input, PACKET_BYTES - arrived.len()));
                    let Some(packet) = arrived.first_chunk() else { return Ok(false) };
                    answer(packet, &mut Filler(*random_seed));
                    *self = State::Second { missing_bytes: PACKET_BYTES };
                }
                State::Second { missing_bytes } => {
                    *missing_bytes -= eat(input, *missing_bytes).len();
                    return Ok(*missing_bytes == 0);
                }
            }
        }
    }
}

/// Takes up to `len` bytes from the front of `input`.
fn eat<'a>(input: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (eaten, rest) = input.split_at_checked(len).unwrap_or((*input, &[]));
    *input = rest;
    eaten
}

/// Makes filler bytes (splitmix64). They need not be hard to guess: nothing in this handshake is secret.
#[derive(Debug)]
struct Filler(u64);

impl Filler {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A packet of filler bytes.
    fn bytes(&mut self) -> Packet {
        let mut packet = [0; PACKET_BYTES];
        for word in packet.chunks_exact_mut(8) {
            word.copy_from_slice(&self.next().to_be_bytes());
        }
        packet
    }

    /// A C1 or S1: time 0, `version` and filler bytes.
    fn packet(&mut self, version: [u8; 4]) -> Packet {
        let mut packet = self.bytes();
        if let Some(head) = packet.first_chunk_mut::<8>() {
            let [a, b, c, d] = version;
            *head = [0, 0, 0, 0, a, b, c, d];
        }
        packet
    }
}
