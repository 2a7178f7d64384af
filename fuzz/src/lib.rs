//! The targets of `tests/fuzz/targets`, for the programs of this crate. The same files are a test of the main crate,
//! where they run on a stable toolchain.

#![allow(dead_code, reason = "the programs do not use all of the support")]

#[path = "../../tests/support/mod.rs"]
mod support;
#[path = "../../tests/fuzz/targets/mod.rs"]
mod targets;

pub use targets::access::access;
pub use targets::amf::{amf0, amf3};
pub use targets::callback::callback;
pub use targets::chunk::chunk_decoder;
pub use targets::codec::codec_records;
pub use targets::engine::engine;
pub use targets::flv::{flv_demux, flv_tag};
pub use targets::handshake::handshake;
pub use targets::hls::hls;
pub use targets::http::{http_request, http_response, websocket};
pub use targets::mux::{fmp4_mux, ts_mux};
pub use targets::session::{client_session, server_session};
pub use targets::text::{config, path};
