//! What the server sends over HTTP and WebSocket, played in a real browser: Chromium, with the players that web pages
//! use (mpegts.js, hls.js), with nothing but MediaSource, and without any script; and the console, as an operator uses
//! it.
//!
//! A plain `cargo test` ignores all of them; `scripts/test.sh` installs the programs and runs them. Everything stays on
//! the loopback interface, every wait ends, nothing is measured. A test that fails prints what its programs said.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    dead_code,
    reason = "tests fail by panicking, and tell why on standard output; not all of what interop has is used"
)]

mod console;
#[path = "../interop/media.rs"]
mod media;
#[path = "../interop/program.rs"]
mod program;
#[path = "../interop/server.rs"]
mod server;
mod watcher;
mod ways;
