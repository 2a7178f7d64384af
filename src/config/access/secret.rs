//! What must not be read by anybody.
//!
//! Owns: stream keys and signing secrets: how they are written, and that nothing shows them. Does not know what is
//! typed by peers.
//!
//! A key is needed only to be compared, so what is kept and printed is its digest. A secret is needed itself, and is
//! printed as `***`, which is refused where it is read: else the output of `--check`, used as a file, would hold a
//! secret that everybody knows.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What is printed in place of a secret.
const HIDDEN: &str = "***";
/// In front of a key that is given as its digest.
const DIGEST_PREFIX: &str = "sha256:";
/// A shorter secret can be found by trying, by one who has a single signed URL.
const LEAST_SECRET_BYTES: usize = 16;

pub(super) const EXPECTED_KEYS: &str =
    "must be a list of keys in quotes: the key itself, or sha256: and the 64 hex digits of its digest";
pub(super) const EXPECTED_STREAM_KEYS: &str =
    "must give each stream one key in quotes: the key itself, or sha256: and the 64 hex digits of its digest";
pub(super) const EXPECTED_SECRET: &str =
    "must be at least 16 bytes in quotes, or \"\" for none (*** stands for a secret that was not printed)";

/// A key that opens a stream, as the SHA-256 digest of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamKey {
    digest: [u8; 32],
}

impl StreamKey {
    /// The key of which `text` is the plain form, or `sha256:` and the digest. `None`: it is neither.
    pub fn parse(text: &str) -> Option<StreamKey> {
        match text.strip_prefix(DIGEST_PREFIX) {
            Some(hex) => decode_hex(hex).map(|digest| StreamKey { digest }),
            None if text.is_empty() || text == HIDDEN => None,
            None => Some(StreamKey { digest: Sha256::digest(text).into() }),
        }
    }

    /// SHA-256 of the key.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

impl TryFrom<String> for StreamKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        StreamKey::parse(&text).ok_or(EXPECTED_KEYS)
    }
}

impl From<StreamKey> for String {
    fn from(key: StreamKey) -> String {
        key.digest.iter().fold(DIGEST_PREFIX.to_owned(), |mut text, byte| {
            // Writing to a text cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamKey({HIDDEN})")
    }
}

/// With what URLs are signed; empty: no URL is.
#[derive(Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct SigningSecret {
    secret: String,
}

impl SigningSecret {
    /// `None`: too short, or what `--check` prints in place of one. Empty is "none set".
    pub fn parse(text: &str) -> Option<SigningSecret> {
        let is_good = text.is_empty() || text.len() >= LEAST_SECRET_BYTES;
        is_good.then(|| SigningSecret { secret: text.to_owned() })
    }

    /// Whether there is one.
    pub fn is_set(&self) -> bool {
        !self.secret.is_empty()
    }

    /// The bytes to sign with. Never to be shown.
    pub fn bytes(&self) -> &[u8] {
        self.secret.as_bytes()
    }
}

impl TryFrom<String> for SigningSecret {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        SigningSecret::parse(&text).ok_or(EXPECTED_SECRET)
    }
}

impl From<SigningSecret> for String {
    fn from(secret: SigningSecret) -> String {
        if secret.is_set() { HIDDEN.to_owned() } else { String::new() }
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningSecret({})", if self.is_set() { HIDDEN } else { "" })
    }
}

/// 32 bytes of 64 hex digits.
fn decode_hex(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let (pairs, []) = hex.as_bytes().as_chunks::<2>() else { return None };
    if pairs.len() != bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
        *byte = u8::try_from(high? * 16 + low?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of `abc` (FIPS 180-2, B.1).
    const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_key_and_its_digest_are_the_same_key() {
        let key = StreamKey::parse("abc").unwrap();
        assert_eq!(StreamKey::parse(ABC), Some(key));
        assert_eq!(StreamKey::parse(&ABC.to_uppercase().replace("SHA", "sha")), Some(key));
        assert_eq!(String::from(key), ABC);
        for wrong in ["", "***", "sha256:", "sha256:abc", &ABC[..70], &format!("{ABC}0"), &ABC.replace('b', "g")] {
            assert_eq!(StreamKey::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let secret = SigningSecret::parse("0123456789abcdef").unwrap();
        assert_eq!(format!("{secret:?} {:?}", StreamKey::parse("abc")), "SigningSecret(***) Some(StreamKey(***))");
        assert_eq!(String::from(secret), "***");
        assert_eq!(String::from(SigningSecret::default()), "");
        for wrong in ["***", "short", "0123456789abcde"] {
            assert_eq!(SigningSecret::parse(wrong), None, "{wrong}");
        }
        assert!(!SigningSecret::parse("").unwrap().is_set());
    }
}
