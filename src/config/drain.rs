//! What may be set about the end of the server.
//!
//! Owns: units, defaults, and which URLs make sense. Does not know signals.

/// How long sessions may go on when the server is told to end, and where clients are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainConfig {
    /// After a signal to end, in milliseconds; 0: sessions are ended at once.
    pub drain_ms: u64,
    /// After another process has taken the listeners over, in milliseconds.
    pub upgrade_drain_ms: u64,
    /// Scheme, host and port of the server to which clients are asked to reconnect; empty: the one they know.
    pub reconnect_url: String,
}

impl Default for DrainConfig {
    fn default() -> Self {
        DrainConfig { drain_ms: 0, upgrade_drain_ms: 3_600_000, reconnect_url: String::new() }
    }
}

impl DrainConfig {
    /// Finds what cannot be used.
    ///
    /// # Errors
    /// The key and what is wrong with it.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.reconnect_url.is_empty() || is_server(&self.reconnect_url) {
            return Ok(());
        }
        let problem = format!("must be like \"rtmp://HOST:PORT\", without a path, is {:?}", self.reconnect_url);
        Err(("server.reconnect_url", problem))
    }
}

/// Scheme, host and port, and nothing more.
fn is_server(url: &str) -> bool {
    let host = url.strip_prefix("rtmp://").or_else(|| url.strip_prefix("rtmps://"));
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '?' | '#' | '@' | '\\' | '"' | '\'');
    host.is_some_and(|host| !host.is_empty() && host.chars().all(is_plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_scheme_host_and_port() {
        for (url, expected) in [
            ("rtmp://example.org", true),
            ("rtmps://example.org:443", true),
            ("rtmp://[2001:db8::1]:1935", true),
            ("rtmp://", false),
            ("rtmp://example.org/live", false),
            ("rtmp://example.org/", false),
            ("rtmp://user@example.org", false),
            ("rtmp://a b", false),
            ("http://example.org", false),
            ("example.org", false),
        ] {
            assert_eq!(is_server(url), expected, "{url}");
        }
    }
}
