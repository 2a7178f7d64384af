//! The digest of a C1 or S1 and the signature of a C2 or S2.
//!
//! Owns: what Adobe's programs added to RTMP 1.0 and what is known of it: where the digest stands, with which key it
//! is made, and how an answer is signed. Does not know in which order packets come.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::PACKET_BYTES;

/// Bytes of a digest and of a signature (HMAC-SHA256).
pub(super) const DIGEST_BYTES: usize = 32;

/// One digest or signature.
pub(super) type Digest = [u8; DIGEST_BYTES];

/// One C1, S1, C2 or S2.
pub(super) type Packet = [u8; PACKET_BYTES];

/// Places at which a digest may begin within its half of the packet.
const DIGEST_PLACES: usize = 728;

/// The second half of both keys.
const KEY_TAIL: [u8; 32] = [
    0xF0, 0xEE, 0xC2, 0x4A, 0x80, 0x68, 0xBE, 0xE8, 0x2E, 0x00, 0xD0, 0xD1, 0x02, 0x9E, 0x7E, 0x57, 0x6E, 0xEC, 0x5D,
    0x2D, 0x29, 0x80, 0x6F, 0xAB, 0x93, 0xB8, 0xE6, 0x36, 0xCF, 0xEB, 0x31, 0xAE,
];

/// Who made a packet: each side has its own key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Made C1 and C2.
    Client,
    /// Made S1 and S2.
    Server,
}

impl Side {
    /// The key of the digest in C1 or S1.
    const fn digest_key(self) -> &'static [u8] {
        match self {
            Side::Client => b"Genuine Adobe Flash Player 001",
            Side::Server => b"Genuine Adobe Flash Media Server 001",
        }
    }

    /// The digest of `packet`, were it in the place that `schema` gives.
    fn digest(self, packet: &Packet, schema: Schema) -> Option<Digest> {
        let (before, rest) = packet.split_at_checked(schema.digest_at(packet))?;
        let (_, after) = rest.split_at_checked(DIGEST_BYTES)?;
        Some(hmac_sha256(self.digest_key(), &[before, after]))
    }

    /// The schema and the digest that `packet` of this side carries; `None`: it carries none.
    ///
    /// Both schemas are tried, whatever the version bytes say: they often lie.
    pub(super) fn find_digest(self, packet: &Packet) -> Option<(Schema, Digest)> {
        [Schema::First, Schema::Second].into_iter().find_map(|schema| {
            let digest = self.digest(packet, schema)?;
            (schema.digest_in(packet)? == digest).then_some((schema, digest))
        })
    }

    /// Puts the digest of this side into `packet`. All other bytes must be in place already.
    pub(super) fn put_digest(self, packet: &mut Packet, schema: Schema) {
        let at = schema.digest_at(packet);
        if let Some(digest) = self.digest(packet, schema)
            && let Some(place) = packet.get_mut(at..at.saturating_add(DIGEST_BYTES))
        {
            place.copy_from_slice(&digest);
        }
    }

    /// Signs `packet`, a C2 or S2 of this side, in its last bytes as the answer to a C1 or S1 with `peer_digest`.
    pub(super) fn sign(self, packet: &mut Packet, peer_digest: &Digest) {
        let key = hmac_sha256(&[self.digest_key(), &KEY_TAIL].concat(), &[peer_digest]);
        if let Some((signed, signature)) = packet.split_last_chunk_mut::<DIGEST_BYTES>() {
            *signature = hmac_sha256(&key, &[signed]);
        }
    }
}

/// Which half of C1 or S1 holds the digest. The other half once held a Diffie-Hellman key for RTMPE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Schema {
    /// The half after time and version.
    First,
    /// The last half.
    Second,
}

impl Schema {
    /// Where the four bytes stand whose sum gives the place of the digest; the digest is somewhere behind them.
    const fn offset_at(self) -> usize {
        match self {
            Schema::First => 8,
            Schema::Second => 772,
        }
    }

    /// Where the digest of `packet` begins.
    pub(super) fn digest_at(self, packet: &Packet) -> usize {
        let sum: usize = packet.iter().skip(self.offset_at()).take(4).copied().map(usize::from).sum();
        self.offset_at() + 4 + sum % DIGEST_PLACES
    }

    /// The bytes that stand in the place of the digest.
    fn digest_in(self, packet: &Packet) -> Option<Digest> {
        packet.get(self.digest_at(packet)..)?.first_chunk().copied()
    }
}

fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Digest {
    // HMAC takes keys of every length, so the other branch is never used.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&[0; 64].into()));
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
