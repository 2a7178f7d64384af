//! FLV, as RTMP carries it.
//!
//! Owns: the head of audio and video tag bodies. Does not know who sent them.

pub mod tag;
