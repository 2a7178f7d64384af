//! Who may publish and play, as it is set.
//!
//! Owns: the rules of one application and the limits of one address, and how they are written. Does not know how a
//! rule is applied: that is `access`.

mod network;
mod secret;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::network::{Network, NetworkError};
pub use self::secret::{SigningSecret, StreamKey};

/// Who may publish, or who may play, in one application. The default: everybody.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a section")]
pub struct AccessRules {
    /// Addresses that may not, whatever else holds.
    pub deny: Vec<Network>,
    /// Where it is not empty, no other addresses may.
    pub allow: Vec<Network>,
    /// Keys that open every stream of the application.
    pub keys: Vec<StreamKey>,
    /// Keys that open one stream each, by its name (without the application).
    pub stream_keys: BTreeMap<String, StreamKey>,
    /// With what URLs are signed.
    pub signing_secret: SigningSecret,
}

impl AccessRules {
    /// Whether a key or a signed URL is needed.
    pub fn wants_credentials(&self) -> bool {
        !self.keys.is_empty() || !self.stream_keys.is_empty() || self.signing_secret.is_set()
    }
}

/// What one address may use; 0 is no limit. Addresses of IPv6 count by their first 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a section")]
pub struct AccessLimits {
    /// Connections of one address at the same time.
    pub connections_per_ip: usize,
    /// Attempts to publish of one address, refused ones as well.
    pub publishes_per_second_per_ip: u32,
    /// Attempts to publish of all addresses together.
    pub publishes_per_second: u32,
    /// Attempts to play of one address, refused ones as well; over HLS only the first request of a player counts.
    pub plays_per_second_per_ip: u32,
    /// Attempts to play of all addresses together.
    pub plays_per_second: u32,
}

/// What `key` of the file has to look like, where it holds secrets: an error about it must not repeat what was typed.
pub(super) fn expected_secret(key: &str) -> Option<&'static str> {
    let is_rule = |name: &str| key.contains(&format!(".publish.{name}")) || key.contains(&format!(".play.{name}"));
    if is_rule("signing_secret") {
        return Some(secret::EXPECTED_SECRET);
    }
    if is_rule("keys") {
        return Some(secret::EXPECTED_KEYS);
    }
    is_rule("stream_keys").then_some(secret::EXPECTED_STREAM_KEYS)
}
