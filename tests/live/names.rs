//! Names that come from the network stay inside the directory.

use std::path::{Path, PathBuf};

use rtmpd::rtmp::client::ClientRole;

use super::files;
use super::media::Scratch;
use super::peer::Peer;
use super::server::{Server, recording};

/// AAC-LC at 44.1 kHz, and two frames of silence.
const SOUND: [(u8, u32, &[u8]); 3] =
    [(8, 0, &[0xAF, 0, 0x12, 0x10]), (8, 0, &[0xAF, 1, 0x21, 0, 0x49, 0x90]), (8, 1_100, &[0xAF, 1, 0x21, 0, 0x49])];

#[test]
fn whatever_a_publisher_calls_itself_nothing_is_written_outside_the_directory() {
    let scratch = Scratch::new();
    let inner = scratch.file("outer/inner");
    let config = recording(&inner.join("recorded"), "\"flv\"");
    let hls = inner.join("hls");
    let config =
        format!("{config}[default.hls]\nmode = \"always\"\nsegment_ms = 500\ndirectory = \"{}\"\n", hls.display());
    let server = Server::start(&scratch, &config);
    let long = "x".repeat(300);
    let names = [
        "../x",
        "../../x",
        "..",
        ".",
        "a/../../../x",
        "/etc/x",
        "//x",
        "a\0b",
        "a\\..\\x",
        "%2e%2e/x",
        "..%2fx",
        "-x",
        ".hidden",
        "~root",
        "a b",
        "ä",
        "\u{202e}x",
        "CON",
        "x\n",
        &long,
        "{sequence}",
        "a/b/c",
    ];
    let mut taken = 0;
    for name in names {
        let mut publisher = Peer::connect(server.rtmp, ClientRole::Publish, name);
        if !publisher.has_started() {
            continue;
        }
        taken += 1;
        for (type_id, timestamp, payload) in SOUND {
            publisher.send(&(type_id, timestamp, payload.to_vec()));
        }
        server.wait_for_log("records to", taken);
    }
    println!("{taken} of {} names were taken", names.len());
    assert!(taken >= 10, "{taken}");
    server.stop();
    let outside: Vec<PathBuf> = files::below(&scratch.file("outer")).into_iter().filter(is_outside(&inner)).collect();
    assert_eq!(outside, Vec::<PathBuf>::new());
    let beside = std::fs::read_dir(scratch.file("outer")).unwrap().count();
    assert_eq!(beside, 1, "something stands beside the directory");
    let plain = |path: &PathBuf| {
        let text = path.strip_prefix(&inner).unwrap().to_str().unwrap();
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_-.~%".contains(&byte))
    };
    let odd: Vec<PathBuf> = files::below(&inner).into_iter().filter(|path| !plain(path)).collect();
    assert_eq!(odd, Vec::<PathBuf>::new());
}

fn is_outside(inner: &Path) -> impl Fn(&PathBuf) -> bool {
    let folders = [inner.join("recorded"), inner.join("hls")];
    move |path| !folders.iter().any(|folder| path.starts_with(folder))
}
