//! The whole server on a virtual clock, driven by a seed: publishers and players that come, go, drop, stall, pause,
//! take streams over, and send in pieces of any size; those who watch over HTTP in every form; strangers who stop at
//! any byte; operators who reload, ask and send away; a disk that is slow or fails, a program that does not answer, too
//! little memory. After every step a model says what
//! must be so.
//!
//! `RTMPD_SIM_SEEDS=N` runs more seeds than usual, `RTMPD_SIM_FIRST=F` begins with another one, `RTMPD_SIM_SEED=X`
//! runs one of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "a test says so by panicking; not every test crate uses all of the support"
)]

#[path = "../support/mod.rs"]
mod support;

mod actors;
mod checker;
mod containers;
mod finale;
mod hls;
mod long_runs;
mod model;
mod operators;
mod programs;
mod recordings;
mod rng;
mod scenario;
mod strangers;
mod truth;
mod viewers;

use model::Model;

const SEEDS: u64 = 300;
/// A run ends after so many failed seeds.
const MOST_FAILURES: usize = 5;

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn many_seeds() {
    if let Some(seed) = number_of("RTMPD_SIM_SEED") {
        println!("{}", run(seed));
        return;
    }
    let first = number_of("RTMPD_SIM_FIRST").unwrap_or(0);
    let count = number_of("RTMPD_SIM_SEEDS").unwrap_or(SEEDS);
    let (mut seen, mut in_segments, mut recorded, mut failures) = (0, 0, 0, 0);
    let mut failed = Vec::new();
    for seed in first..first + count {
        match std::panic::catch_unwind(|| run(seed)) {
            Ok(report) => {
                seen += report.frames_seen;
                in_segments += report.segment_frames;
                recorded += report.recorded_frames;
                failures += report.disk_failures;
            }
            Err(_) => {
                println!("seed {seed} failed; again: RTMPD_SIM_SEED={seed} cargo test --test simulation many_seeds");
                failed.push(seed);
                assert!(failed.len() < MOST_FAILURES, "seeds that failed: {failed:?}");
            }
        }
    }
    let told = format!("{seen} frames seen, {in_segments} in segments, {recorded} recorded, {failures} disk failures");
    println!("{count} seeds from {first} on: {told}");
    assert!(failed.is_empty(), "seeds that failed: {failed:?}");
    let is_awake = seen > 10_000 && in_segments > 100 && recorded > 1_000 && failures > 10;
    assert!(is_awake || count < SEEDS, "the simulation has gone to sleep: {told}");
}

fn run(seed: u64) -> model::Report {
    let mut model = Model::new(seed);
    for _ in 0..model.steps() {
        model.step();
    }
    model.finish()
}
