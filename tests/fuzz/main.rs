//! The targets of `cargo fuzz` on a stable toolchain: over seeds, over the committed corpus, and over damage to both
//! that is the same each time.
//!
//! Each test says which input it did not like; `RTMPD_FUZZ_INPUT=file cargo test --test fuzz TARGET` runs one file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "a test says so by panicking; not every test crate uses all of the support"
)]

#[path = "../simulation/rng.rs"]
mod rng;
#[path = "../support/mod.rs"]
mod support;

mod mutation;
mod seeds;
mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use rng::Rng;

/// Damaged inputs that each target gets, however many inputs there are to damage.
const MUTATIONS: usize = 10_000;
/// The same of those that build a world each time.
const SLOW_MUTATIONS: usize = 2_000;
/// Most files of a target's corpus, and most bytes of each.
const CORPUS_FILES: usize = 29;
const CORPUS_FILE_BYTES: u64 = 4096;

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Names and bytes of the committed corpus of a target.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<PathBuf> = fs::read_dir(project("tests/fuzz/corpus").join(target))
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    files.sort();
    files.into_iter().map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect()
}

/// Runs one input; a panic is told with the input, as text that can be put into a test.
fn run(function: fn(&[u8]), name: &str, bytes: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| function(bytes))).is_err() {
        panic!("{name}: b\"{}\"", bytes.escape_ascii());
    }
}

fn exercise(target: &str) {
    let (_, function) = targets::TARGETS.iter().find(|(name, _)| *name == target).expect("a target");
    if let Some(file) = std::env::var_os("RTMPD_FUZZ_INPUT") {
        return function(&fs::read(file).unwrap());
    }
    let mut inputs = seeds::of(target);
    inputs.extend(corpus(target));
    for (name, bytes) in &inputs {
        run(*function, name, bytes);
    }
    let words = mutation::words(include_str!("amf.dict"));
    assert!(words.len() > 20, "the dictionary could not be read");
    let mut rng = Rng::new(target.len() as u64);
    let is_slow = matches!(target, "engine" | "config");
    for number in 0..if is_slow { SLOW_MUTATIONS } else { MUTATIONS } {
        let (name, bytes) = &inputs[number % inputs.len()];
        let (_, other) = &inputs[rng.below(inputs.len())];
        let bytes = mutation::mutated(&mut rng, bytes, other, &words);
        run(*function, &format!("{name}, damage {number}"), &bytes);
    }
}

macro_rules! targets_as_tests {
    ($($name:ident)*) => {
        const TESTED: &[&str] = &[$(stringify!($name)),*];
        $(#[test]
        fn $name() {
            exercise(stringify!($name));
        })*
    };
}

targets_as_tests! {
    handshake chunk_decoder amf0 amf3 server_session client_session flv_demux flv_tag config path engine
    http_request http_response websocket codec_records ts_mux fmp4_mux access callback hls
}

#[test]
fn every_target_is_a_test_here_and_a_program_of_the_fuzz_crate() {
    let names: Vec<&str> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, TESTED);
    // The fuzz crate is not part of the package.
    let Ok(manifest) = fs::read_to_string(project("fuzz/Cargo.toml")) else { return };
    for name in names {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is missing from fuzz/Cargo.toml");
        let program = fs::read_to_string(project(&format!("fuzz/fuzz_targets/{name}.rs"))).expect(name);
        assert!(program.contains(&format!("rtmpd_fuzz::{name}(data)")), "{program}");
    }
}

#[test]
fn the_corpus_stays_small() {
    for (target, _) in targets::TARGETS {
        let files = corpus(target);
        assert!(files.len() <= CORPUS_FILES, "{target}: {} files", files.len());
        for (name, bytes) in files {
            assert!(bytes.len() as u64 <= CORPUS_FILE_BYTES, "{name}: {} bytes", bytes.len());
        }
    }
}

/// Writes the seeds where `scripts/fuzz.sh` looks for them.
#[test]
#[ignore = "writes files for the fuzzer"]
fn write_seeds() {
    for (target, _) in targets::TARGETS {
        let folder = project("fuzz/corpus").join(target);
        fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in seeds::of(target) {
            fs::write(folder.join(format!("seed-{name}")), bytes).unwrap();
        }
    }
}
