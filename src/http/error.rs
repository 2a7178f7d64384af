//! Why a connection is closed by its session.
//!
//! Owns: the reason, its status code, and the words that the peer reads.

use thiserror::Error;

use super::websocket::WebSocketError;

/// Why a session cannot go on. Every one closes the connection, most of them after an answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HttpError {
    /// What arrived is no request at all.
    #[error("this is no HTTP request: {0}")]
    NotHttp(&'static str),
    /// The request can be read, but may not be answered as if it were right.
    #[error("{0}")]
    BadRequest(&'static str),
    /// A version other than 1.0 and 1.1.
    #[error("only HTTP/1.0 and HTTP/1.1 are spoken here")]
    Version,
    /// The request line is longer than the limit, in bytes.
    #[error("the URL is longer than {0} bytes")]
    TargetTooLong(usize),
    /// The head is longer than the limit, in bytes.
    #[error("the request's head is longer than {0} bytes")]
    HeadTooLong(usize),
    /// More headers than the limit.
    #[error("the request has more than {0} headers")]
    TooManyHeaders(usize),
    /// The body is longer than the limit, in bytes.
    #[error("the request's body is longer than {0} bytes")]
    BodyTooLong(usize),
    /// A transfer coding other than `chunked`.
    #[error("the only transfer coding that is understood is chunked")]
    Coding,
    /// An `Expect` other than `100-continue`.
    #[error("the only expectation that can be met is 100-continue")]
    Expectation,
    /// A WebSocket version other than 13.
    #[error("the only WebSocket version that is spoken is 13")]
    WebSocketVersion,
    /// A request began, but did not become whole in the time given, in ms.
    #[error("the request was not whole within {0} ms")]
    RequestTimeout(u64),
    /// No request began in the time given, in ms.
    #[error("no request within {0} ms")]
    Idle(u64),
    /// More bytes than the limit were sent ahead of an answer.
    #[error("more than {0} bytes sent ahead of an answer")]
    TooMuchAhead(usize),
    /// See [`WebSocketError`].
    #[error(transparent)]
    WebSocket(#[from] WebSocketError),
}

impl HttpError {
    /// Status code of the answer; `None` where the connection closes without one, or with a WebSocket close frame.
    pub const fn status(&self) -> Option<u16> {
        match self {
            HttpError::NotHttp(_) | HttpError::BadRequest(_) => Some(400),
            HttpError::RequestTimeout(_) => Some(408),
            HttpError::BodyTooLong(_) => Some(413),
            HttpError::TargetTooLong(_) => Some(414),
            HttpError::Expectation => Some(417),
            HttpError::WebSocketVersion => Some(426),
            HttpError::HeadTooLong(_) | HttpError::TooManyHeaders(_) => Some(431),
            HttpError::Coding => Some(501),
            HttpError::Version => Some(505),
            HttpError::Idle(_) | HttpError::TooMuchAhead(_) | HttpError::WebSocket(_) => None,
        }
    }
}
