//! The wall clock is set while everybody is connected. Only dates may notice: names of files, and until when a signed
//! URL holds. Everything else has the clock that nobody can set.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use rtmpd::rtmp::client::ClientRole;
use sha2::Sha256;

use super::client::{Client, Pair};
use super::files;
use super::media::Scratch;
use super::server::{Launch, Server};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// Where Debian's libfaketime is.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
const HOUR: u64 = 3600;

/// A name that may be played until `expires`.
fn signed(stream: &str, expires: u64) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("play:live/{stream}:{expires}").as_bytes());
    let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{stream}?expires={expires}&signature={signature}")
}

#[test]
fn the_clock_may_be_set_back_and_forth_and_only_dates_follow() {
    if !Path::new(LIBRARY).exists() {
        return println!("left out: no libfaketime here (Debian: faketime)");
    }
    let scratch = Scratch::new();
    let (clock, directory) = (scratch.file("clock"), scratch.file("recorded"));
    fs::write(&clock, "+0").unwrap();
    let config = format!(
        "[default.record]\nauto = true\ndirectory = \"{}\"\n[default.play]\nsigning_secret = \"{SECRET}\"\n",
        directory.display()
    );
    let env = vec![
        ("LD_PRELOAD", LIBRARY.to_owned()),
        ("FAKETIME_TIMESTAMP_FILE", clock.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    let server = Server::start(&scratch, &Launch { env, config: &config, ..Launch::default() });
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let publisher = Client::start(server.rtmp, ClientRole::Publish, "cam").unwrap();
    let player = Client::start(server.rtmp, ClientRole::Play, &signed("cam", now + HOUR)).unwrap();
    let mut pair = Pair::of(publisher, player);
    let plays = |expires: u64| Client::start(server.rtmp, ClientRole::Play, &signed("cam", expires)).is_ok();
    // The name of the file that a stream begun now gets, and whether a URL of before still holds.
    let steps = [("+0", true), ("+800d", false), ("-800d", true), ("+0", true)];
    for (number, (step, holds)) in steps.into_iter().enumerate() {
        fs::write(&clock, step).unwrap();
        pair.send(10, 0);
        pair.expect_all();
        assert_eq!(plays(now + HOUR), holds, "a URL for an hour, at {step}");
        let mut other = Client::start(server.rtmp, ClientRole::Publish, &format!("step{number}")).unwrap();
        other.send_picture(0, 0).unwrap();
        server.wait_for_log(&format!("live/step{number}"), 1);
        pair.send(10, 0);
        pair.expect_all();
    }
    drop(pair);
    server.stop();
    let names: Vec<String> = files::below(&directory).iter().map(|file| file.display().to_string()).collect();
    let year = |step: &str| {
        let name = names.iter().find(|name| name.contains(step)).unwrap_or_else(|| panic!("{step}: {names:?}"));
        let (_, date) = name.split_once(&format!("{step}-")).unwrap();
        date[..4].parse::<i32>().unwrap()
    };
    assert!(year("step1") >= year("step0") + 2, "{names:?}");
    assert!(year("step2") <= year("step0") - 2, "{names:?}");
    assert_eq!(year("step3"), year("step0"), "{names:?}");
}
