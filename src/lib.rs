//! `rtmpd`: a live-streaming server as a library.
//!
//! An encoder publishes a stream over RTMP and any number of players watch it. One thread runs one event loop;
//! every frame is encoded once and its bytes are shared by all players.
//!
//! Read it in this order:
//!
//! 1. [`wire`]: bounded big-endian reading and writing; "incomplete" as a value. [`ledger`]: shared bytes, counted.
//! 2. [`media`]: [`media::Frame`], the unit of everything that follows.
//! 3. [`container`]: what stands at the head of a frame's bytes.
//! 4. [`rtmp`]: the RTMP specification, without I/O.
//! 5. [`http`]: HTTP/1.1 and WebSocket, without I/O.
//! 6. [`hub`]: who publishes, who subscribes, who gets which frame.
//! 7. [`output`]: what frames become over HTTP and in files.
//! 8. [`access`]: who may publish and play; [`callback`]: asking and telling other programs.
//! 9. [`engine`]: sessions, hub and outputs joined: the whole server without I/O.
//! 10. [`server`]: the only room with sockets and a clock.
//!
//! A room may use only rooms above it in this list, and [`config`], which holds every default and limit.

pub mod access;
pub mod callback;
pub mod cli;
pub mod config;
pub mod container;
pub mod engine;
pub mod http;
pub mod hub;
pub mod ledger;
pub mod media;
pub mod output;
pub mod rtmp;
pub mod server;
pub mod wire;
