//! Playlists read and held against RFC 8216 and RFC 8216bis. Pure: texts, bytes and milliseconds of any clock come in.

mod checker;
mod playlist;

pub use checker::Checker;
pub use playlist::{Part, Playlist, Segment, attribute};
