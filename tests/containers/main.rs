//! What the muxers write, read by programs that are not ours: ffmpeg (the distribution's and a current one) and
//! ffprobe.
//!
//! A plain `cargo test` ignores all of them; `scripts/test.sh` installs the programs and runs them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    dead_code,
    reason = "tests fail by panicking, and tell why on standard output; not all of what interop has is used"
)]

mod clips;
mod es;
#[path = "../interop/media.rs"]
mod media;
#[path = "../interop/packets.rs"]
mod packets;
#[path = "../interop/program.rs"]
mod program;
mod ts;
