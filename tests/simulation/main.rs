//! The whole server on a virtual clock, driven by a seed: publishers and players that come, go, drop, stall, pause,
//! take streams over, and send in pieces of any size. After every step a model says what must be so.
//!
//! `RTMPD_SIM_SEEDS=N` runs more seeds than usual, `RTMPD_SIM_SEED=X` one of them.

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
mod long_runs;
mod model;
mod rng;
mod truth;

use model::Model;

const SEEDS: u64 = 300;

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn many_seeds() {
    if let Some(seed) = number_of("RTMPD_SIM_SEED") {
        println!("{}", run(seed));
        return;
    }
    let mut seen = 0;
    for seed in 0..number_of("RTMPD_SIM_SEEDS").unwrap_or(SEEDS) {
        let outcome = std::panic::catch_unwind(|| run(seed));
        match outcome {
            Ok(report) => seen += report.frames_seen,
            Err(_) => {
                panic!("seed {seed} failed; again: RTMPD_SIM_SEED={seed} cargo test --test simulation many_seeds")
            }
        }
    }
    assert!(seen > 10_000, "the simulation has gone to sleep: {seen} frames");
}

fn run(seed: u64) -> model::Report {
    let mut model = Model::new(seed);
    for _ in 0..model.steps() {
        model.step();
    }
    model.finish()
}
