//! Programs that are asked and told about what happens.
//!
//! Owns: their addresses and how they are spoken to, as it is set. Does not know what they are told: that is
//! `callback`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where each event is posted to, and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a section")]
pub struct CallbackConfig {
    /// Asked when a client connects.
    pub on_connect: CallbackUrl,
    /// Asked when a stream is to be published.
    pub on_publish: CallbackUrl,
    /// Asked when a stream is to be played.
    pub on_play: CallbackUrl,
    /// Told when a publisher is gone.
    pub on_unpublish: CallbackUrl,
    /// Told when a player is gone.
    pub on_stop: CallbackUrl,
    /// Told when a recording is finished.
    pub on_record_done: CallbackUrl,
    /// How the event is written.
    pub format: CallbackFormat,
    /// Longest time from connecting to the whole answer.
    pub timeout_ms: u64,
    /// How often it is tried again where no answer came.
    pub retries: u32,
    /// Events that may wait to be posted.
    pub waiting: usize,
}

impl CallbackConfig {
    /// Whether there is a URL for any event.
    pub fn asks_or_tells(&self) -> bool {
        let CallbackConfig { on_connect, on_publish, on_play, on_unpublish, on_stop, on_record_done, .. } = self;
        let urls = [on_connect, on_publish, on_play, on_unpublish, on_stop, on_record_done];
        urls.into_iter().any(|url| *url != CallbackUrl::default())
    }
}

impl Default for CallbackConfig {
    fn default() -> Self {
        let none = CallbackUrl::default;
        CallbackConfig {
            on_connect: none(),
            on_publish: none(),
            on_play: none(),
            on_unpublish: none(),
            on_stop: none(),
            on_record_done: none(),
            format: CallbackFormat::default(),
            timeout_ms: 3_000,
            retries: 2,
            waiting: 10_000,
        }
    }
}

/// How an event is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CallbackFormat {
    /// One JSON object.
    #[default]
    Json,
    /// As a form, with the names that nginx-rtmp uses.
    Form,
}

/// `http://HOST[:PORT][/PATH][?QUERY]`, or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct CallbackUrl {
    text: String,
    host_bytes: usize,
    port: u16,
}

/// An address that cannot be posted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be like http://127.0.0.1:8000/rtmp, without user name, blanks and #; https is not spoken; \"\" for none")]
pub struct CallbackUrlError;

const SCHEME: &str = "http://";
const DEFAULT_PORT: u16 = 80;

impl CallbackUrl {
    /// Whether anything is to be posted.
    pub fn is_set(&self) -> bool {
        !self.text.is_empty()
    }

    /// Name or address to connect to; IPv6 addresses stand in brackets.
    pub fn host(&self) -> &str {
        self.after_scheme().get(..self.host_bytes).unwrap_or_default()
    }

    /// Port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as they were typed, for the `Host` header.
    pub fn authority(&self) -> &str {
        let rest = self.after_scheme();
        rest.get(..authority_bytes(rest)).unwrap_or_default()
    }

    /// Path and query; empty where there is neither.
    pub fn path_and_query(&self) -> &str {
        let rest = self.after_scheme();
        rest.get(authority_bytes(rest)..).unwrap_or_default()
    }

    fn after_scheme(&self) -> &str {
        self.text.get(SCHEME.len()..).unwrap_or_default()
    }
}

fn authority_bytes(rest: &str) -> usize {
    rest.find(['/', '?']).unwrap_or(rest.len())
}

impl FromStr for CallbackUrl {
    type Err = CallbackUrlError;

    fn from_str(text: &str) -> Result<Self, CallbackUrlError> {
        if text.is_empty() {
            return Ok(CallbackUrl::default());
        }
        let rest = text.strip_prefix(SCHEME).ok_or(CallbackUrlError)?;
        let is_clean = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        let authority = rest.get(..authority_bytes(rest)).ok_or(CallbackUrlError)?;
        let host_bytes = match authority.starts_with('[') {
            true => authority.find(']').ok_or(CallbackUrlError)? + 1,
            false => authority.find(':').unwrap_or(authority.len()),
        };
        let (host, port) = authority.split_at_checked(host_bytes).ok_or(CallbackUrlError)?;
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or(CallbackUrlError)?,
            None if port.is_empty() => DEFAULT_PORT,
            None => return Err(CallbackUrlError),
        };
        let host_is_good =
            !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte));
        if !is_clean || !host_is_good {
            return Err(CallbackUrlError);
        }
        Ok(CallbackUrl { text: text.to_owned(), host_bytes, port })
    }
}

impl TryFrom<String> for CallbackUrl {
    type Error = CallbackUrlError;

    fn try_from(text: String) -> Result<Self, CallbackUrlError> {
        text.parse()
    }
}

impl From<CallbackUrl> for String {
    fn from(url: CallbackUrl) -> String {
        url.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_host_port_and_path() {
        let cases = [
            ("http://a", "a", 80, "a", ""),
            ("http://a.b-c:8000/x/y?z=1", "a.b-c", 8000, "a.b-c:8000", "/x/y?z=1"),
            ("http://127.0.0.1?x", "127.0.0.1", 80, "127.0.0.1", "?x"),
            ("http://[::1]:81/", "[::1]", 81, "[::1]:81", "/"),
            ("http://[::1]", "[::1]", 80, "[::1]", ""),
        ];
        for (text, host, port, authority, path) in cases {
            let url: CallbackUrl = text.parse().unwrap();
            assert_eq!((url.host(), url.port(), url.authority(), url.path_and_query()), (host, port, authority, path));
            assert!(url.is_set() && String::from(url) == text);
        }
        assert!(!"".parse::<CallbackUrl>().unwrap().is_set());
    }

    #[test]
    fn what_cannot_be_posted_to_is_refused() {
        for text in [
            "a",
            "https://a/",
            "http://",
            "http:///x",
            "http://u@a/",
            "http://a:/",
            "http://a:0/",
            "http://a:65536/",
            "http://a b/",
            "http://a/\r\nX: y",
            "http://a/#x",
            "http://[::1",
            "http://[::1]x/",
            "http://ä/",
            "HTTP://a/",
        ] {
            assert_eq!(text.parse::<CallbackUrl>(), Err(CallbackUrlError), "{text}");
        }
    }
}
