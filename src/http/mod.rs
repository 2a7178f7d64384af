//! HTTP/1.1 (RFC 9110, RFC 9112) and WebSocket (RFC 6455), without I/O.
//!
//! Owns: the session of a peer that sends requests, WebSocket frames, and a small client side. Heads are read by
//! `httparse`; what they mean is decided here. Does not know what is served.
//!
//! Strict where two readers of the same bytes could disagree about where a request ends (RFC 9112, 11.2): such a
//! request is refused and the connection closed.
//!
//! Read it in this order: `fields`, `target`, [`Request`], [`Response`], `body`, [`HttpSession`], [`websocket`],
//! [`client`].

mod body;
pub mod client;
mod error;
mod fields;
mod output;
mod request;
mod response;
mod session;
mod target;
pub mod websocket;

pub use self::error::HttpError;
pub use self::fields::Fields;
pub use self::request::{Method, Request, Version};
pub use self::response::{Cache, Response, ResponseHead};
pub use self::session::{Event, HttpSession};
pub use self::target::{query_pairs, query_value};
