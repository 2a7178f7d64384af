//! What frames become for those who do not play RTMP.
//!
//! Owns: the bytes of endless HTTP responses, HLS and recordings, and the words in which files are asked for. Does not
//! know sockets or files.

pub mod disk;
pub mod hls;
pub mod live;
pub mod record;
