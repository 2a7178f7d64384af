//! What may be set about the API for operators.
//!
//! Owns: names, units and defaults. Does not know requests.

use serde::{Deserialize, Serialize};

/// Who may ask, and how much is told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a section")]
pub struct ApiConfig {
    /// Whether `/api/v1/` and `/metrics` are served.
    pub enabled: bool,
    /// What those who ask have to know; empty: only this machine may ask.
    pub token: String,
    /// Ended sessions that are remembered.
    pub sessions: usize,
    /// Streams that have metrics of their own.
    pub metrics_streams: usize,
}

impl Default for ApiConfig {
    fn default() -> Self {
        ApiConfig { enabled: true, token: String::new(), sessions: 200, metrics_streams: 200 }
    }
}
