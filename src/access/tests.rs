//! Rules of applications against requests. The signatures were computed by another program (Python's `hmac`).

use std::collections::BTreeMap;

use super::*;
use crate::config::Network;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const EXPIRES: u64 = 2_000_000_000;
const PUBLISH_CAM: &str = "14c10018f0691f3cc52f41a6c3bed2d8af6b1a51a0f5027f83c2cd2cf2cc787a";
const PLAY_CAM: &str = "2702302b75d24bcc720d1c08c0b2d24c68f42d72aae8cb82494cc3e6af1b28b1";
const PUBLISH_CAM_WITHOUT_APP: &str = "d5e551c58549f6a25d9a2b39a077d29c500902f8fff736c5076f9fd3b2cca49d";
const PUBLISH_UMLAUTS: &str = "be3f8924e23a34fa3b6adcc1c8872487ba849cecaa8bacaddb2be0fac1b657d9";

fn networks(texts: &[&str]) -> Vec<Network> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn keys(texts: &[&str]) -> Vec<StreamKey> {
    texts.iter().map(|text| StreamKey::parse(text).unwrap()).collect()
}

fn app(publish: AccessRules) -> AppConfig {
    AppConfig { publish, ..AppConfig::default() }
}

fn publish(app: &AppConfig, peer: &str, name: &str, query: &str) -> Result<(), Denied> {
    decide(app, Action::Publish, peer.parse().unwrap(), name, query, EXPIRES)
}

#[test]
fn without_rules_everybody_may() {
    let app = AppConfig::default();
    for action in [Action::Publish, Action::Play] {
        assert_eq!(decide(&app, action, "2001:db8::1".parse().unwrap(), "live/cam", "key=x&signature=y", 0), Ok(()));
    }
}

#[test]
fn addresses_are_denied_first_then_allowed() {
    let app = app(AccessRules {
        deny: networks(&["10.0.0.66", "2001:db8:bad::/48"]),
        allow: networks(&["10.0.0.0/8", "2001:db8::/32"]),
        ..AccessRules::default()
    });
    let cases = [
        ("10.1.2.3", Ok(())),
        ("::ffff:10.1.2.3", Ok(())),
        ("2001:db8::1", Ok(())),
        ("10.0.0.66", Err(Denied::AddressDenied)),
        ("::ffff:10.0.0.66", Err(Denied::AddressDenied)),
        ("2001:db8:bad::1", Err(Denied::AddressDenied)),
        ("192.0.2.1", Err(Denied::AddressNotAllowed)),
        ("::1", Err(Denied::AddressNotAllowed)),
    ];
    for (peer, expected) in cases {
        assert_eq!(publish(&app, peer, "live/cam", ""), expected, "{peer}");
        let play = decide(&app, Action::Play, peer.parse().unwrap(), "live/cam", "", EXPIRES);
        assert_eq!(play, Ok(()), "rules to publish say nothing about playing");
    }
}

#[test]
fn a_right_address_still_needs_the_key() {
    let rules = AccessRules { allow: networks(&["127.0.0.1"]), keys: keys(&["abc"]), ..AccessRules::default() };
    let app = app(rules);
    assert_eq!(publish(&app, "127.0.0.1", "live/cam", ""), Err(Denied::NoCredentials));
    assert_eq!(publish(&app, "127.0.0.1", "live/cam", "key=abc"), Ok(()));
    assert_eq!(publish(&app, "127.0.0.2", "live/cam", "key=abc"), Err(Denied::AddressNotAllowed));
}

#[test]
fn keys_open_every_stream_and_stream_keys_their_own() {
    let app = app(AccessRules {
        keys: keys(&["first", "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]),
        stream_keys: BTreeMap::from([("cam".to_owned(), StreamKey::parse("a b/c").unwrap())]),
        ..AccessRules::default()
    });
    let unknown = Err(Denied::UnknownKey);
    let cases = [
        ("live/cam", "key=first", Ok(())),
        ("live/other", "vhost=x&key=first&join=gop", Ok(())),
        ("live/cam", "key=abc", Ok(())),
        ("live/cam", "key=a%20b%2Fc", Ok(())),
        ("cam", "key=a%20b/c", Ok(())),
        ("live/other", "key=a%20b/c", unknown),
        ("cam/other", "key=a%20b/c", unknown),
        ("live/cam", "key=firs", unknown),
        ("live/cam", "key=firstt", unknown),
        ("live/cam", "key=First", unknown),
        ("live/cam", "key=", unknown),
        ("live/cam", "key=x&key=first", unknown),
        ("live/cam", "key=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", unknown),
        ("live/cam", "Key=first", Err(Denied::NoCredentials)),
        ("live/cam", "first", Err(Denied::NoCredentials)),
    ];
    for (name, query, expected) in cases {
        assert_eq!(publish(&app, "::1", name, query), expected, "{name}?{query}");
    }
}

#[test]
fn streams_without_a_key_of_their_own_are_closed_where_others_have_one() {
    let stream_keys = BTreeMap::from([("cam".to_owned(), StreamKey::parse("abc").unwrap())]);
    let app = app(AccessRules { stream_keys, ..AccessRules::default() });
    assert_eq!(publish(&app, "::1", "live/other", ""), Err(Denied::NoCredentials));
    assert_eq!(publish(&app, "::1", "live/other", "key=abc"), Err(Denied::UnknownKey));
    assert_eq!(publish(&app, "::1", "live/cam", "key=abc"), Ok(()));
}

fn signing() -> AppConfig {
    let rules = AccessRules { signing_secret: SigningSecret::parse(SECRET).unwrap(), ..AccessRules::default() };
    AppConfig { publish: rules.clone(), play: rules, ..AppConfig::default() }
}

#[test]
fn a_signed_url_opens_what_it_was_made_for() {
    use Action::{Play, Publish};
    let capitals = PUBLISH_CAM.to_uppercase();
    let cases = [
        (Publish, "live/cam", PUBLISH_CAM, Ok(())),
        (Publish, "live/cam", &capitals, Ok(())),
        (Play, "live/cam", PLAY_CAM, Ok(())),
        (Publish, "cam", PUBLISH_CAM_WITHOUT_APP, Ok(())),
        (Publish, "live/Ünï x", PUBLISH_UMLAUTS, Ok(())),
        (Play, "live/cam", PUBLISH_CAM, Err(Denied::BadSignature)),
        (Publish, "live/cam2", PUBLISH_CAM, Err(Denied::BadSignature)),
        (Publish, "cam", PUBLISH_CAM, Err(Denied::BadSignature)),
        (Publish, "live/cam", &PUBLISH_CAM[..62], Err(Denied::BadSignature)),
        (Publish, "live/cam", "", Err(Denied::BadSignature)),
        (Publish, "live/cam", "no hex", Err(Denied::BadSignature)),
    ];
    let app = signing();
    for (action, name, signature, expected) in cases {
        let query = format!("expires={EXPIRES}&signature={signature}");
        let told = decide(&app, action, "::1".parse().unwrap(), name, &query, EXPIRES);
        assert_eq!(told, expected, "{action:?} {name} {signature}");
    }
}

#[test]
fn a_signed_url_holds_until_its_second_is_over() {
    let app = signing();
    let at = |now, expires: &str| {
        let query = format!("expires={expires}&signature={PUBLISH_CAM}");
        decide(&app, Action::Publish, "::1".parse().unwrap(), "live/cam", &query, now)
    };
    assert_eq!(at(0, "2000000000"), Ok(()));
    assert_eq!(at(EXPIRES, "2000000000"), Ok(()));
    assert_eq!(at(EXPIRES + 1, "2000000000"), Err(Denied::Expired));
    // Only the one who has the secret learns that a URL has expired.
    for moved in ["2000000001", "02000000000", "+2000000000", "-1", "", "x"] {
        assert_eq!(at(EXPIRES + 1, moved), Err(Denied::BadSignature), "{moved}");
    }
    for half in [format!("signature={PUBLISH_CAM}"), format!("expires={EXPIRES}"), String::new()] {
        assert_eq!(publish(&app, "::1", "live/cam", &half), Err(Denied::NoCredentials), "{half}");
    }
}

#[test]
fn a_key_or_a_signature_is_enough() {
    let mut app = signing();
    app.publish.keys = keys(&["abc"]);
    let signed = format!("expires={EXPIRES}&signature={PUBLISH_CAM}");
    assert_eq!(publish(&app, "::1", "live/cam", &signed), Ok(()));
    assert_eq!(publish(&app, "::1", "live/cam", "key=abc"), Ok(()));
    assert_eq!(publish(&app, "::1", "live/cam", &format!("key=wrong&{signed}")), Ok(()));
    assert_eq!(publish(&app, "::1", "live/cam", "key=abc&expires=1&signature=00"), Ok(()));
    assert_eq!(publish(&app, "::1", "live/cam", "key=wrong"), Err(Denied::UnknownKey));
    assert_eq!(publish(&app, "::1", "live/cam", "key=wrong&expires=1&signature=00"), Err(Denied::BadSignature));
    assert_eq!(publish(&app, "::1", "live/cam", ""), Err(Denied::NoCredentials));
}

#[test]
fn a_signature_opens_nothing_where_no_secret_is_set() {
    let app = app(AccessRules { keys: keys(&["abc"]), ..AccessRules::default() });
    let signed = format!("expires={EXPIRES}&signature={PUBLISH_CAM}");
    assert_eq!(publish(&app, "::1", "live/cam", &signed), Err(Denied::BadSignature));
}

#[test]
fn a_new_signature_of_the_same_publisher_is_the_same_identity() {
    let with_secret = signing();
    let without = app(AccessRules { keys: keys(&["abc"]), ..AccessRules::default() });
    let cases = [
        (&with_secret, "expires=1&signature=00", ""),
        (&with_secret, "a=b&expires=1&key=c&signature=00", "a=b&key=c"),
        (&with_secret, "", ""),
        (&without, "key=abc&expires=1&signature=00", "key=abc&expires=1&signature=00"),
    ];
    for (app, query, expected) in cases {
        assert_eq!(identity(app, query), expected, "{query}");
    }
}

#[test]
fn each_reason_is_one_line_that_holds_nothing_typed() {
    let reasons = [
        Denied::AddressDenied,
        Denied::AddressNotAllowed,
        Denied::NoCredentials,
        Denied::UnknownKey,
        Denied::BadSignature,
        Denied::Expired,
    ];
    let mut told: Vec<String> = reasons.iter().map(Denied::to_string).collect();
    assert!(told.iter().all(|text| !text.contains('\n')));
    told.sort();
    told.dedup();
    assert_eq!(told.len(), reasons.len());
}
