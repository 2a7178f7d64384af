//! What frames become for those who do not play RTMP.
//!
//! Owns: the bytes of endless HTTP responses, HLS and recordings, the words in which files are asked for, and what a
//! publisher sends in numbers. Does not know sockets or files.

pub mod disk;
pub mod hls;
pub mod live;
pub mod monitor;
pub mod record;
