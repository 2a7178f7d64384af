//! Recordings and HLS of the real server: killed, without a disk, and watched for minutes.
//!
//! A plain `cargo test` ignores most of them: they need ffmpeg and time. `scripts/test.sh` installs it and runs them.
//! Everything stays on the loopback interface, every server takes a free port, and what a test started dies with it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking, and tell why on standard output"
)]

#[path = "../support/hls/checker.rs"]
mod checker;
mod disk;
mod files;
mod follow;
mod http;
mod kill;
#[allow(dead_code, reason = "shared with the interop tests, which use all of it")]
#[path = "../interop/media.rs"]
mod media;
mod names;
#[allow(dead_code, reason = "shared with the interop tests, which use all of it")]
#[path = "../interop/packets.rs"]
mod packets;
mod peer;
#[path = "../support/hls/playlist.rs"]
mod playlist;
#[allow(dead_code, reason = "shared with the interop tests, which use all of it")]
#[path = "../interop/program.rs"]
mod program;
mod server;
mod trouble;
