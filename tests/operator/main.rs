//! What an operator has to do with: the API against its description, metrics as others read them, and the steps of the
//! README, one after the other.
//!
//! A plain `cargo test` ignores most of them; `scripts/test.sh` installs the programs and runs them. Everything stays
//! on the loopback interface, every server takes a free port, every wait ends, and what a test started dies with it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    dead_code,
    reason = "tests fail by panicking, and tell why on standard output; not all of what others have is used"
)]

mod described;
mod first_steps;
#[path = "../live/http.rs"]
mod http;
#[path = "../interop/media.rs"]
mod media;
mod metrics;
mod packaged;
#[path = "../interop/program.rs"]
mod program;
mod readme;
#[path = "../live/server.rs"]
mod server;
mod streams;
mod tools;
