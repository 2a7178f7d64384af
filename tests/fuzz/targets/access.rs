//! Who may publish and play: nobody without a key or a signature, whatever stands in a query.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hmac::{Hmac, KeyInit, Mac};
use rtmpd::access::{Action, decide, identity};
use rtmpd::config::{AccessRules, AppConfig, Network, SigningSecret, StreamKey};
use sha2::Sha256;

use super::script::Script;

const KEY: &str = "of the application";
const STREAM_KEY: &str = "of/one+stream";
const SECRET: &str = "0123456789abcdef";
const NAMES: [&str; 3] = ["live/a", "live/inner/a", "a"];
const NOW_S: u64 = 1_709_208_000;

fn rules(flags: u8, network: Option<Network>) -> AccessRules {
    let key = |text: &str| StreamKey::parse(text).expect("a key");
    AccessRules {
        deny: network.iter().filter(|_| flags & 8 != 0).copied().collect(),
        allow: network.iter().filter(|_| flags & 16 != 0).copied().collect(),
        keys: if flags & 1 != 0 { vec![key(KEY)] } else { Vec::new() },
        stream_keys: match flags & 2 {
            0 => BTreeMap::new(),
            _ => BTreeMap::from([("a".to_owned(), key(STREAM_KEY))]),
        },
        signing_secret: SigningSecret::parse(if flags & 4 != 0 { SECRET } else { "" }).expect("a secret"),
    }
}

fn signature(action: Action, name: &str, expires: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length will do");
    mac.update(format!("{}:{name}:{expires}", action.name()).as_bytes());
    mac.finalize().into_bytes().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// First byte: which rules there are. Second: who asks for what. Then a line that may name a network, and the query.
pub fn access(data: &[u8]) {
    let mut script = Script::new(data);
    let (flags, who) = (script.u8(), script.u8());
    let text = String::from_utf8_lossy(script.rest());
    let (line, query) = text.split_once('\n').unwrap_or_default();
    let network = line.parse::<Network>().ok();
    if let Some(network) = network {
        assert_eq!(network.to_string().parse(), Ok(network), "{line:?}");
    }
    let action = if who & 1 == 0 { Action::Publish } else { Action::Play };
    let name = NAMES[usize::from(who >> 1) % NAMES.len()];
    let peer = match who & 0x80 {
        0 => IpAddr::V4(Ipv4Addr::new(10, 0, 0, who)),
        _ => IpAddr::V6(Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, who.into())),
    };
    let rules = rules(flags, network);
    let app = AppConfig { publish: rules.clone(), play: rules.clone(), ..AppConfig::default() };
    let may = |action, query: &str, at| decide(&app, action, peer, name, query, at).is_ok();

    let is_in = network.is_some_and(|network| network.contains(peer));
    let address_may = !(flags & 8 != 0 && is_in) && (flags & 16 == 0 || network.is_none() || is_in);
    let has_credentials = !rules.wants_credentials() || is_credited(&rules, action, name, query);
    assert!(!may(action, query, NOW_S) || address_may && has_credentials, "{rules:?} {query:?}");
    if !rules.wants_credentials() {
        assert_eq!(may(action, query, NOW_S), address_may);
    }
    let identity = identity(&app, query);
    assert!(identity.len() <= query.len());
    assert!(!rules.signing_secret.is_set() || !identity.split('&').any(|pair| pair.starts_with("signature=")));
    if rules.signing_secret.is_set() && address_may {
        a_signature_is_for_one_thing(action, query, name, may);
    }
}

/// Whether the query holds what opens this stream, in any place and any spelling.
fn is_credited(rules: &AccessRules, action: Action, name: &str, query: &str) -> bool {
    let plain = String::from_utf8_lossy(&rtmpd::wire::percent_decode(query)).into_owned();
    let has_key = !rules.keys.is_empty() && plain.contains(KEY);
    let has_stream_key = !rules.stream_keys.is_empty() && plain.contains(STREAM_KEY);
    let is_signed = || {
        let numbers = plain.split(['&', '=']).filter(|text| !text.is_empty());
        let lower = plain.to_ascii_lowercase();
        numbers.map(|expires| signature(action, name, expires)).any(|hex| lower.contains(&hex))
    };
    has_key || has_stream_key || rules.signing_secret.is_set() && is_signed()
}

fn a_signature_is_for_one_thing(action: Action, query: &str, name: &str, may: impl Fn(Action, &str, u64) -> bool) {
    // What stands before it must not be what is looked for.
    let is_taken = query.split('&').any(|pair| {
        let key = pair.split('=').next().unwrap_or_default();
        matches!(&*rtmpd::wire::percent_decode(key), b"expires" | b"signature" | b"key")
    });
    if is_taken {
        return;
    }
    let expires = NOW_S.to_string();
    let hex = signature(action, name, &expires);
    let signed = format!("{query}&expires={expires}&signature={hex}");
    assert!(may(action, &signed, NOW_S) && !may(action, &signed, NOW_S + 1), "{signed:?}");
    let other = if action == Action::Publish { Action::Play } else { Action::Publish };
    assert!(!may(other, &signed, NOW_S), "{signed:?}");
    let later = format!("{query}&expires={}&signature={hex}", NOW_S + 1);
    let short = format!("{query}&expires={expires}&signature={}", &hex[..62]);
    assert!(!may(action, &later, NOW_S) && !may(action, &short, NOW_S));
}
