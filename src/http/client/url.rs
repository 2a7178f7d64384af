//! URLs of servers that are asked.
//!
//! Owns: which host, which port, which target. Does not know how a name becomes an address.

use std::net::Ipv6Addr;

use thiserror::Error;

/// Port of `http`.
const DEFAULT_PORT: u16 = 80;

/// An `http` URL in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    host: String,
    port: u16,
    target: String,
}

/// Why a text is no URL that can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UrlError {
    /// TLS is not spoken.
    #[error("https is not supported: use http, or a proxy on this machine that speaks https")]
    Https,
    /// Another scheme, or none.
    #[error("a URL begins with http://")]
    Scheme,
    /// `user:password@`.
    #[error("names and passwords in URLs are not supported")]
    UserInfo,
    /// A host that is none.
    #[error("the URL's host is no name and no address (IPv6 addresses stand in brackets)")]
    Host,
    /// A port that is none.
    #[error("the URL's port is no number from 1 to 65535")]
    Port,
    /// Spaces, control characters, or letters that have to be escaped.
    #[error("the URL's path has a character that has to be percent-encoded")]
    Path,
}

impl Url {
    /// Cuts `http://host:port/path?query`. A fragment is dropped.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn parse(url: &str) -> Result<Url, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
        if scheme.eq_ignore_ascii_case("https") {
            return Err(UrlError::Https);
        }
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(UrlError::Scheme);
        }
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).ok_or(UrlError::Host)?;
        if authority.contains('@') {
            return Err(UrlError::UserInfo);
        }
        let (host, port) = split_port(authority)?;
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UrlError::Path);
        }
        let target = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Url { host: host.to_ascii_lowercase(), port, target })
    }

    /// Name or address to connect to, in lower case; an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port to connect to.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Value of the `Host` header.
    pub(super) fn host_header(&self) -> String {
        let Url { host, port, .. } = self;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        if *port == DEFAULT_PORT { host } else { format!("{host}:{port}") }
    }
}

fn split_port(authority: &str) -> Result<(&str, u16), UrlError> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (address, port) = rest.split_once(']').ok_or(UrlError::Host)?;
        address.parse::<Ipv6Addr>().map_err(|_| UrlError::Host)?;
        (address, port)
    } else {
        let end = authority.find(':').unwrap_or(authority.len());
        let (host, port) = authority.split_at_checked(end).ok_or(UrlError::Host)?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if host.is_empty() || !host.bytes().all(is_name) {
            return Err(UrlError::Host);
        }
        (host, port)
    };
    let digits = match port.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits,
        None if port.is_empty() => return Ok((host, DEFAULT_PORT)),
        _ => return Err(UrlError::Port),
    };
    if digits.is_empty() {
        return Ok((host, DEFAULT_PORT));
    }
    match digits.parse() {
        Ok(0) | Err(_) => Err(UrlError::Port),
        Ok(port) => Ok((host, port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_cut() {
        let cases = [
            ("http://h", "h", 80, "/", "h"),
            ("http://h/", "h", 80, "/", "h"),
            ("HTTP://Host.Example:8080/a/b?c=d", "host.example", 8080, "/a/b?c=d", "host.example:8080"),
            ("http://h:80?x", "h", 80, "/?x", "h"),
            ("http://h:/x#y", "h", 80, "/x", "h"),
            ("http://127.0.0.1:1/%20", "127.0.0.1", 1, "/%20", "127.0.0.1:1"),
            ("http://[::1]:65535/x", "::1", 65535, "/x", "[::1]:65535"),
            ("http://[FE80::1]", "fe80::1", 80, "/", "[fe80::1]"),
            ("http://h/x?u=http://a@b:c", "h", 80, "/x?u=http://a@b:c", "h"),
        ];
        for (text, host, port, target, host_header) in cases {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.host(), url.port(), url.target()), (host, port, target), "{text}");
            assert_eq!(url.host_header(), host_header, "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let cases = [
            ("https://h/", UrlError::Https),
            ("HTTPS://h/", UrlError::Https),
            ("h/", UrlError::Scheme),
            ("", UrlError::Scheme),
            ("rtmp://h/", UrlError::Scheme),
            ("http:/h/", UrlError::Scheme),
            ("http://u:p@h/", UrlError::UserInfo),
            ("http://", UrlError::Host),
            ("http:///x", UrlError::Host),
            ("http://:80/", UrlError::Host),
            ("http://a b/", UrlError::Host),
            ("http://a\r\nX: y/", UrlError::Host),
            ("http://ü/", UrlError::Host),
            ("http://::1/", UrlError::Host),
            ("http://[::1/", UrlError::Host),
            ("http://[h]/", UrlError::Host),
            ("http://[::1]x/", UrlError::Port),
            ("http://h:0/", UrlError::Port),
            ("http://h:65536/", UrlError::Port),
            ("http://h:+1/", UrlError::Port),
            ("http://h:1:2/", UrlError::Port),
            ("http://h/a b", UrlError::Path),
            ("http://h/a\r\nX: y", UrlError::Path),
            ("http://h/ü", UrlError::Path),
        ];
        for (text, expected) in cases {
            assert_eq!(Url::parse(text), Err(expected), "{text}");
        }
    }
}
