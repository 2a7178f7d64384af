//! Who may publish and play.
//!
//! Owns: what the rules of an application mean for one request, and (in [`limits`]) how much one address or publisher
//! may use. Does not know connections, sessions or the clock: time is handed in.
//!
//! The rules, in this order:
//!
//! 1. An address in `deny` may not.
//! 2. Where `allow` is not empty, an address that is not in it may not.
//! 3. Where `keys`, `stream_keys` or a signing secret are set, one of them has to be right: `?key=KEY` with a key of
//!    the application or of the stream, or `?expires=UNIX_SECONDS&signature=HEX`.
//!
//! A signature is `hex(HMAC-SHA256(secret, "publish:APP/STREAM:UNIX_SECONDS"))`, or `play:...`, over the name as the
//! server knows it and the digits of `expires` as they stand in the query. An action is the first word of what is
//! signed and the expiry the last, so no two requests have the same signature, whatever a stream is called.
//!
//! The peer learns only that it was refused ([`REFUSAL`]); [`Denied`] is for the log. Digests are compared in constant
//! time, and every key is compared, so the time that an answer takes tells nothing either.

pub mod limits;
mod query;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::digest::CtOutput;
use sha2::{Digest, Sha256};
use thiserror::Error;

use self::query::value_of;
use crate::config::{AccessRules, AppConfig, SigningSecret, StreamKey};

/// What a peer wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send a stream.
    Publish,
    /// Receive one.
    Play,
}

impl Action {
    /// Its name, as it is signed.
    pub fn name(self) -> &'static str {
        match self {
            Action::Publish => "publish",
            Action::Play => "play",
        }
    }
}

/// Why a request is refused: one line for the log. It holds nothing of what was typed. The peer is told [`REFUSAL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Denied {
    /// `deny` names the address.
    #[error("its address is in `deny`")]
    AddressDenied,
    /// `allow` does not name the address.
    #[error("its address is not in `allow`")]
    AddressNotAllowed,
    /// Neither a key nor a whole signature.
    #[error("it gave neither `key` nor `expires` and `signature`")]
    NoCredentials,
    /// A key that is none of this stream's.
    #[error("its key is not known")]
    UnknownKey,
    /// A signature of something else, by somebody else, or none at all.
    #[error("its signature is not right")]
    BadSignature,
    /// The signature is right, but too old.
    #[error("its signature has expired")]
    Expired,
}

/// What a refused peer is told, whatever the reason.
pub const REFUSAL: &str = "not allowed";

/// Decides about one request in `app`.
///
/// `name` is the stream's canonical name, `APP/STREAM`; `query` is still percent-encoded, without its `?`; `unix_s` is
/// now, in seconds since 1970.
///
/// # Errors
/// [`Denied`].
pub fn decide(
    app: &AppConfig,
    action: Action,
    peer: IpAddr,
    name: &str,
    query: &str,
    unix_s: u64,
) -> Result<(), Denied> {
    let rules = match action {
        Action::Publish => &app.publish,
        Action::Play => &app.play,
    };
    if rules.deny.iter().any(|network| network.contains(peer)) {
        return Err(Denied::AddressDenied);
    }
    if !rules.allow.is_empty() && !rules.allow.iter().any(|network| network.contains(peer)) {
        return Err(Denied::AddressNotAllowed);
    }
    if !rules.wants_credentials() {
        return Ok(());
    }
    let by_key = check_key(rules, name, query);
    by_key.or_else(|by_key| match check_signature(&rules.signing_secret, action, name, query, unix_s) {
        // One that is given is what the peer relies on.
        Err(Denied::NoCredentials) => Err(by_key),
        by_signature => by_signature,
    })
}

/// What of a publisher's query says who it is: one who comes back with the same may take its place again. A signature
/// does not, where there are signed URLs: each new one differs, and a right one is for this stream.
pub fn identity<'a>(app: &AppConfig, query: &'a str) -> Cow<'a, str> {
    if !app.publish.signing_secret.is_set() {
        return Cow::Borrowed(query);
    }
    let is_signature = |pair: &&str| matches!(pair.split('=').next(), Some("expires" | "signature"));
    let rest: Vec<&str> = query.split('&').filter(|pair| !is_signature(pair)).collect();
    Cow::Owned(rest.join("&"))
}

/// The query parameters that hold credentials, for those who print or pass on queries without them.
pub const SECRET_PARAMETERS: [&str; 2] = ["key", "signature"];

fn check_key(rules: &AccessRules, name: &str, query: &str) -> Result<(), Denied> {
    let typed = value_of(query, "key").ok_or(Denied::NoCredentials)?;
    let typed = CtOutput::<Sha256>::new(Sha256::digest(typed));
    let stream = name.rsplit_once('/').map_or(name, |(_, stream)| stream);
    let keys = rules.keys.iter().chain(rules.stream_keys.get(stream));
    let is_key = |key: &StreamKey| CtOutput::new((*key.digest()).into()) == typed;
    // Not `any`: it would stop at the first that fits.
    let is_known = keys.fold(false, |is_known, key| is_key(key) | is_known);
    if is_known { Ok(()) } else { Err(Denied::UnknownKey) }
}

fn check_signature(secret: &SigningSecret, action: Action, name: &str, query: &str, unix_s: u64) -> Result<(), Denied> {
    let (Some(expires), Some(signature)) = (value_of(query, "expires"), value_of(query, "signature")) else {
        return Err(Denied::NoCredentials);
    };
    if !secret.is_set() {
        return Err(Denied::BadSignature);
    }
    let signature = decode_hex(&signature).ok_or(Denied::BadSignature)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.bytes()).map_err(|_| Denied::BadSignature)?;
    for part in [action.name().as_bytes(), b":", name.as_bytes(), b":", &expires] {
        mac.update(part);
    }
    mac.verify_slice(&signature).map_err(|_| Denied::BadSignature)?;
    // What is no number was not signed by anybody who wants it to be one.
    let expires_s: u64 =
        std::str::from_utf8(&expires).ok().and_then(|text| text.parse().ok()).ok_or(Denied::BadSignature)?;
    if unix_s > expires_s { Err(Denied::Expired) } else { Ok(()) }
}

fn decode_hex(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    let byte = |pair: &[u8; 2]| {
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
        u8::try_from(high? * 16 + low?).ok()
    };
    pairs.iter().map(byte).collect()
}
