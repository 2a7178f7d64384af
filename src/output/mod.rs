//! What frames become, apart from what goes out over RTMP.
//!
//! Owns: recordings, and the words in which files are asked for. Does not know sockets or files: it says what is to be
//! done with them.

pub mod disk;
pub mod record;
