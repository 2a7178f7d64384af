//! Tests of the server's session. `peer` is the client that all of them use.

mod connect;
mod control;
mod conversations;
mod limits;
mod media;
pub(crate) mod peer;
mod streams;
mod with_client;
