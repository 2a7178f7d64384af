//! Names: one rule that makes app, stream, query and virtual host out of what clients send.
//!
//! Owns: the canonical rule (ARCHITECTURE.md, "Names"). Does not know who may use a name.

use thiserror::Error;

/// Where a stream lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamPath {
    /// Virtual host, lower case, without port; empty where the client did not say.
    pub vhost: String,
    /// Application, may contain `/`, may be empty.
    pub app: String,
    /// Stream name: the last segment.
    pub stream: String,
    /// Query without `?`, the pairs of app and name merged in that order; empty where there was none.
    pub query: String,
}

/// Why a name cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PathError {
    /// No stream name at all.
    #[error("the stream name is empty")]
    Empty,
    /// Longer than [`MAX_PATH_BYTES`].
    #[error("the name is longer than {MAX_PATH_BYTES} bytes")]
    TooLong,
    /// A `.` or `..` segment, a control character, or a backslash.
    #[error("the name has a segment or character that is not allowed")]
    Forbidden,
}

/// Longest app, name and query together, in bytes.
pub const MAX_PATH_BYTES: usize = 2048;

impl StreamPath {
    /// Joins what `connect` (`tc_url`, `app`) and `publish` or `play` (`name`) said.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn resolve(tc_url: Option<&str>, app: &str, name: &str) -> Result<StreamPath, PathError> {
        todo!("{tc_url:?} {app} {name}")
    }

    /// Value of the first `key` in the query, percent-decoded.
    pub fn query_value(&self, key: &str) -> Option<String> {
        todo!("{key}")
    }
}
