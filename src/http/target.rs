//! What a request is about: the request target (RFC 9112, 3.2) and queries.
//!
//! Owns: cutting and percent-decoding. Does not know what a path names.

use super::error::HttpError;
use super::request::Method;

/// A request target in its parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Percent-decoded, beginning with `/`; or `*`.
    pub(super) path: String,
    /// As it was sent.
    pub(super) raw_path: String,
    /// As it was sent, without `?`.
    pub(super) query: String,
}

impl Target {
    /// Cuts the target of a `method` request. What follows a `#` is dropped: some clients send it.
    ///
    /// # Errors
    /// A target of another form, or a path that could mean something else to a file system than to us.
    pub(super) fn parse(method: Method, target: &str) -> Result<Target, HttpError> {
        if target == "*" && method == Method::Options {
            return Ok(Target { path: "*".to_owned(), raw_path: "*".to_owned(), query: String::new() });
        }
        let target = target.split_once('#').map_or(target, |(before, _)| before);
        let target = without_origin(target)?;
        let (raw_path, query) = target.split_once('?').unwrap_or((target, ""));
        let raw_path = if raw_path.is_empty() { "/" } else { raw_path };
        Ok(Target { path: decode_path(raw_path)?, raw_path: raw_path.to_owned(), query: query.to_owned() })
    }
}

/// Path and query of the absolute form, too (RFC 9112, 3.2.2). May be empty.
fn without_origin(target: &str) -> Result<&str, HttpError> {
    if target.starts_with('/') {
        return Ok(target);
    }
    let (scheme, rest) = target.split_once("://").unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(HttpError::BadRequest("the path does not begin with /"));
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    match rest.split_at_checked(end) {
        Some((host, path)) if !host.is_empty() => Ok(path),
        _ => Err(HttpError::BadRequest("the URL names no host")),
    }
}

/// Decodes each segment by itself: an escaped `/` stays escaped, so that it never divides segments.
fn decode_path(raw: &str) -> Result<String, HttpError> {
    let mut path = String::with_capacity(raw.len());
    let segments = raw.strip_prefix('/').ok_or(HttpError::BadRequest("the path does not begin with /"))?;
    for segment in segments.split('/') {
        let decoded = decode(segment, Slash::StaysEscaped).ok_or(HttpError::BadRequest("the path has a bad escape"))?;
        let decoded = String::from_utf8(decoded).map_err(|_| HttpError::BadRequest("the path is not UTF-8"))?;
        if decoded.contains('\\') || decoded.contains(char::is_control) || matches!(&*decoded, "." | "..") {
            return Err(HttpError::BadRequest("the path has a segment or character that is not allowed"));
        }
        path.push('/');
        path.push_str(&decoded);
    }
    Ok(path)
}

/// What becomes of `%2F`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slash {
    StaysEscaped,
    IsDecoded,
}

/// Undoes percent-encoding; `None` for an escape that is none.
fn decode(text: &str, slash: Slash) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            decoded.push(*first);
            continue;
        }
        let [high, low, after @ ..] = rest else { return None };
        rest = after;
        match hex(*high)? << 4 | hex(*low)? {
            b'/' if slash == Slash::StaysEscaped => decoded.extend_from_slice(b"%2F"),
            byte => decoded.push(byte),
        }
    }
    Some(decoded)
}

/// Value of a hexadecimal digit.
pub(super) const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Keys and values of a query in their order, percent-decoded; a key without `=` has an empty value. `+` stays `+`, as
/// in names of RTMP. Escapes that are none stay as they are; bytes that are not UTF-8 are replaced. May hold control
/// characters.
pub fn query_pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode_or_keep(key), decode_or_keep(value))
    })
}

/// Value of the first `key` of a query, as in [`query_pairs`].
pub fn query_value(query: &str, key: &str) -> Option<String> {
    query_pairs(query).find(|(have, _)| have == key).map(|(_, value)| value)
}

fn decode_or_keep(text: &str) -> String {
    decode(text, Slash::IsDecoded)
        .map_or_else(|| text.to_owned(), |decoded| String::from_utf8_lossy(&decoded).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_cut_and_decoded() {
        let cases = [
            ("/", "/", "/", ""),
            ("/live/x.flv", "/live/x.flv", "/live/x.flv", ""),
            ("/live/x.flv?a=b?c/d", "/live/x.flv", "/live/x.flv", "a=b?c/d"),
            ("/?", "/", "/", ""),
            ("/a%20b/%C3%BC?%20", "/a b/ü", "/a%20b/%C3%BC", "%20"),
            ("/a%2fb%2F/c", "/a%2Fb%2F/c", "/a%2fb%2F/c", ""),
            ("/a%252Fb", "/a%2Fb", "/a%252Fb", ""),
            ("//a//", "//a//", "//a//", ""),
            ("/...", "/...", "/...", ""),
            ("/a+b", "/a+b", "/a+b", ""),
            ("/a#b?c", "/a", "/a", ""),
            ("/a?b#c", "/a", "/a", "b"),
            ("http://host", "/", "/", ""),
            ("http://host?x=y", "/", "/", "x=y"),
            ("HTTP://host:80/a?b", "/a", "/a", "b"),
            ("https://host/a", "/a", "/a", ""),
        ];
        for (target, path, raw_path, query) in cases {
            let expected = Target { path: path.into(), raw_path: raw_path.into(), query: query.into() };
            assert_eq!(Target::parse(Method::Get, target), Ok(expected), "{target}");
        }
        assert_eq!(Target::parse(Method::Options, "*").unwrap().path, "*");
    }

    #[test]
    fn targets_that_could_mean_something_else_are_refused() {
        let cases = [
            ("*", "the path does not begin with /"),
            ("", "the path does not begin with /"),
            ("live/x", "the path does not begin with /"),
            ("host:443", "the path does not begin with /"),
            ("ftp://host/", "the path does not begin with /"),
            ("http:///a", "the URL names no host"),
            ("/a%", "the path has a bad escape"),
            ("/a%2", "the path has a bad escape"),
            ("/%zz", "the path has a bad escape"),
            ("/%+1", "the path has a bad escape"),
            ("/%FF", "the path is not UTF-8"),
            // An overlong slash.
            ("/%C0%AF", "the path is not UTF-8"),
        ];
        for (target, expected) in cases {
            assert_eq!(Target::parse(Method::Get, target), Err(HttpError::BadRequest(expected)), "{target}");
        }
        for target in ["/..", "/a/../b", "/%2e%2E/b", "/a/.", "/.%2e", "/a\\b", "/a%5Cb", "/%00", "/a%0Ab", "/%7F"] {
            let expected = HttpError::BadRequest("the path has a segment or character that is not allowed");
            assert_eq!(Target::parse(Method::Get, target), Err(expected), "{target}");
        }
    }

    #[test]
    fn queries_are_looked_up() {
        let query = "a=b&c&&=e&d=%2F%20+&a=2&%61b=%zz&f=%FF&g==h";
        let cases = [
            ("a", Some("b")),
            ("c", Some("")),
            ("", Some("e")),
            ("d", Some("/ +")),
            ("ab", Some("%zz")),
            ("f", Some("\u{FFFD}")),
            ("g", Some("=h")),
            ("h", None),
        ];
        for (key, value) in cases {
            assert_eq!(query_value(query, key).as_deref(), value, "{key}");
        }
        assert_eq!(query_value("", ""), None);
        assert_eq!(query_pairs(query).filter(|(key, _)| key == "a").count(), 2);
    }
}
