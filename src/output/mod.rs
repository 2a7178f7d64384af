//! What frames become for those who do not play RTMP.
//!
//! Owns: the bytes of endless HTTP responses, HLS and recordings. Does not know sockets or files: what is to happen to
//! a file is said in words.

pub mod hls;
pub mod live;
