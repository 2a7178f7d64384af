//! Things break around the real server: it is killed, descriptors run out, the clock is set, the network goes away.
//!
//! Everything is on this machine, every server takes a free port first, what a test started dies with it, every wait
//! ends, and nothing is measured. Tests that need programs or rights that are not there say what they left out.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    dead_code,
    unreachable_pub,
    reason = "tests fail by panicking, and tell why on standard output; helpers are shared with other tests"
)]

mod client;
mod clock;
mod descriptors;
#[path = "../live/files.rs"]
mod files;
#[path = "../interop/media.rs"]
mod media;
mod network;
#[path = "../live/peer.rs"]
mod peer;
#[path = "../interop/program.rs"]
mod program;
mod restart;
mod server;
#[path = "../support/media.rs"]
mod support_media;
