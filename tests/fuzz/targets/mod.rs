//! What must hold for any bytes: one function for each door through which bytes of others come in.
//!
//! The same functions run under `cargo fuzz` (crate `fuzz/`) and, on a stable toolchain, over the committed corpus
//! (`tests/fuzz/main.rs`). Each says by panicking what does not hold. None looks at a clock.

pub mod access;
pub mod amf;
pub mod callback;
pub mod chunk;
pub mod codec;
pub mod engine;
pub mod flv;
pub mod handshake;
pub mod hls;
pub mod http;
pub mod mux;
pub mod script;
pub mod session;
pub mod text;

/// A target's name, which is also that of its corpus, and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("handshake", handshake::handshake),
    ("chunk_decoder", chunk::chunk_decoder),
    ("amf0", amf::amf0),
    ("amf3", amf::amf3),
    ("server_session", session::server_session),
    ("client_session", session::client_session),
    ("flv_demux", flv::flv_demux),
    ("flv_tag", flv::flv_tag),
    ("config", text::config),
    ("path", text::path),
    ("engine", engine::engine),
    ("http_request", http::http_request),
    ("http_response", http::http_response),
    ("websocket", http::websocket),
    ("codec_records", codec::codec_records),
    ("ts_mux", mux::ts_mux),
    ("fmp4_mux", mux::fmp4_mux),
    ("access", access::access),
    ("callback", callback::callback),
    ("hls", hls::hls),
];
