//! Playlists read and held against RFC 8216 and RFC 8216bis. Pure: texts, bytes and milliseconds of any clock come in.

pub mod checker;
pub mod playlist;
pub mod rig;
