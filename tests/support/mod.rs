//! What the tests of the whole server share: a world without sockets in which time is set by hand, and a client.

pub mod client;
pub mod disk;
pub mod frames;
pub mod hls;
pub mod log;
pub mod media;
pub mod world;
