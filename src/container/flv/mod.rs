//! FLV, in files and as RTMP carries it.
//!
//! Owns: files of tags, and the head of audio and video tag bodies. Does not know who sent them.

pub mod file;
pub mod tag;
