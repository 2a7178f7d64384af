//! Fragmented MP4 of the library against real programs: ffmpeg (the distribution's and a current one) and ffprobe.
//!
//! A plain `cargo test` ignores all of them; `scripts/test.sh` installs the programs and runs them. Clips are made by
//! ffmpeg, cut into frames and muxed here, and read back by ffmpeg: without a warning, with the times and the bytes
//! that went in, and with the very same pictures.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking, and tell why on standard output"
)]

mod codecs;
mod cuts;
#[allow(dead_code, reason = "shared with the tests of the server, which use all of it")]
#[path = "../interop/media.rs"]
mod media;
#[allow(dead_code, reason = "shared with the tests of the server, which use all of it")]
#[path = "../interop/program.rs"]
mod program;
mod readback;
