//! The handshake (RTMP 1.0, section 5.2), simple and with digests, of both sides.
//!
//! Owns: C0 to S2. Does not know chunks: what follows C2 in the same bytes is left to the caller.

use bytes::BytesMut;
use thiserror::Error;

/// Why a peer's first bytes are not a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// C0/S0 names a version that is not spoken here: 6 is RTMPE, others are not RTMP at all.
    #[error("RTMP version {0} is not spoken here")]
    Version(u8),
}

/// Bytes of C1, C2, S1 and S2.
pub const PACKET_BYTES: usize = 1536;

/// The server's side. Holds no more than the bytes that arrived, and none of them once C1 is answered.
#[derive(Debug)]
pub struct ServerHandshake;

impl ServerHandshake {
    /// `random_seed` feeds the filler bytes of S1 and S2.
    pub fn new(random_seed: u64) -> Self {
        todo!("{random_seed}")
    }

    /// Eats handshake bytes from the front of `input`, appends what is to be sent to `out`. `true`: C2 is complete and
    /// `input` begins with the first chunk.
    ///
    /// # Errors
    /// [`HandshakeError`] as soon as C0 is wrong.
    pub fn handle_input(
        &mut self,
        input: &mut &[u8],
        out: &mut BytesMut,
    ) -> Result<bool, HandshakeError> {
        todo!("{input:?} {out:?}")
    }
}

/// The client's side.
#[derive(Debug)]
pub struct ClientHandshake;

impl ClientHandshake {
    /// Appends C0 and C1 to `out`. With `digest` C1 carries one (schema 1), else it is a simple handshake.
    pub fn new(random_seed: u64, digest: bool, out: &mut BytesMut) -> Self {
        todo!("{random_seed} {digest} {out:?}")
    }

    /// Eats handshake bytes from the front of `input`, appends C2 to `out`. `true`: S2 is complete.
    ///
    /// # Errors
    /// [`HandshakeError`] as soon as S0 is wrong.
    pub fn handle_input(
        &mut self,
        input: &mut &[u8],
        out: &mut BytesMut,
    ) -> Result<bool, HandshakeError> {
        todo!("{input:?} {out:?}")
    }
}
