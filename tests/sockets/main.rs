//! The room with the sockets: the real program, hundreds of real connections on the loopback interface.
//!
//! Every server takes a free port and dies with its test, every wait ends, and nothing is measured. A test that fails
//! prints the server's log.
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

#[path = "../support/program_that_answers.rs"]
mod backend;
mod callbacks;
mod crowds;
mod descriptors;
mod hostile;
mod memory;
mod peer;
#[path = "../interop/program.rs"]
mod program;
mod reload;
mod server;
mod shutdown;
mod slow;
#[path = "../support/media.rs"]
mod support_media;
mod trickles;
mod upgrade;
