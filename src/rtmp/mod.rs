//! The RTMP specification ("Adobe's Real Time Messaging Protocol", 1.0) and Enhanced RTMP, without I/O.
//!
//! Owns: handshake, chunk stream, messages, AMF, commands, names, and the sessions that join them. Does not know
//! the hub: what a publisher's frames are for is not its business.
//!
//! Every machine here has the same verbs: `handle_input(now, bytes)`, `handle_timeout(now)`, `poll_event()`,
//! `poll_output()`, `poll_timeout()`. After each input or timeout, drain events and outputs to `None`.

mod aggregate;
pub mod amf0;
pub mod amf3;
pub mod chunk;
pub mod client;
pub mod command;
pub mod handshake;
pub mod message;
pub mod path;
pub mod server;
