//! FLV, in files and as RTMP carries it.
//!
//! Owns: files of tags, the head of a recorded file and its repair, the head of audio and video tag bodies, and the
//! codec's own bytes behind it. Does not know who sent them, nor where files are kept.

pub mod file;
pub mod recording;
pub mod repair;
pub mod summary;
pub mod tag;
pub mod unit;
