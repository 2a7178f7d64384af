//! The server against real programs: ffmpeg (the distribution's and a current one), ffprobe, rtmpdump,
//! GStreamer, mpv and VLC.
//!
//! A plain `cargo test` ignores all of them; `scripts/test.sh` installs the programs and runs them. Everything stays on
//! the loopback interface, every server takes a free port, every wait ends, and what a test started dies with it. A
//! test that fails prints what all of its programs said.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking, and tell why on standard output"
)]

mod access;
#[path = "../support/program_that_answers.rs"]
mod backend;
mod callbacks;
mod enhanced;
mod http;
mod join;
mod lifetime;
mod media;
mod packets;
mod play;
mod program;
mod publish;
#[allow(dead_code, reason = "shared with the browser tests, which use the rest of it")]
mod server;
