//! Recordings of the library on a real disk against real programs: ffmpeg and ffprobe.
//!
//! A plain `cargo test` ignores all of them; `scripts/test.sh` installs the programs and runs them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking, and tell why on standard output"
)]

mod files;
#[allow(dead_code, reason = "shared with the tests of the server, which use all of it")]
#[path = "../interop/media.rs"]
mod media;
#[allow(dead_code, reason = "shared with the tests of the server, which use all of it")]
#[path = "../interop/packets.rs"]
mod packets;
#[allow(dead_code, reason = "shared with the tests of the server, which use all of it")]
#[path = "../interop/program.rs"]
mod program;
mod recording;
