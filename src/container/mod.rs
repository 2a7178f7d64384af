//! Frames to bytes and back.
//!
//! Owns: the formats in which frames are stored or carried. Does not know files or connections.

pub mod es;
pub mod flv;
pub mod fmp4;
pub mod mpegts;
