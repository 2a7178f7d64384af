//! FLV, in files and as RTMP carries it.
//!
//! Owns: files of tags, the head of audio and video tag bodies, and the codec's own bytes behind it. Does not
//! know who sent them.

pub mod file;
pub mod tag;
pub mod unit;
