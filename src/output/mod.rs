//! What frames become that is kept or served.
//!
//! Owns: HLS playlists and segments. Does not know sockets or files: it answers with bytes and says what to write.

pub mod hls;
