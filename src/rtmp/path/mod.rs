//! Names: one rule that makes app, stream, query and virtual host out of what clients send.
//!
//! Owns: the canonical rule (ARCHITECTURE.md, "Names"). Does not know who may use a name.
//!
//! A client sends a name in two strings: where it connects to (`tcUrl`, and `app` once more) and what it publishes or
//! plays there. Where it cuts the one from the other differs from client to client: `rtmp://host/live/0/x` is app
//! `live/0` with stream `x` for one, app `live` with stream `0/x` for the next, and app `live/0/x` with no stream for
//! a third. So the cut must not matter:
//!
//! 1. **Where to.** The path of `tcUrl`, or `app` where `tcUrl` is missing, is not a URL or has no path. The same for
//!    the query, by itself. `tcUrl` may stand in quotes.
//! 2. **Query.** Each of the two strings is cut at its own first `?`. What follows is query to the end of that
//!    string, also with further `/` and `?`: only the border between the two strings ends a query and leads back to
//!    the path. So app `app1?query` with name `stream1` is stream `app1/stream1` with query `query`, and
//!    `live/x?token=a/b` has the token `a/b`, as long as the client does not cut within it. (ffmpeg and librtmp do
//!    so where the value's `/` is the second one of the whole. Then nobody can tell; `%2F` helps.)
//!    A `/` at the end of the connection's query is dropped where a name follows.
//! 3. **Path.** Both paths are joined, cut at `/`, and empty segments dropped. The last segment is the stream, all
//!    before it are the app; the app may be empty.
//! 4. **Segments** are percent-decoded once, so that a name means the same typed into a player as into a browser.
//!    Escapes that are not valid stay as they are, and so does a whole segment that would not be UTF-8. `%2F` stays
//!    too: no segment ever holds a `/`. `+` is a plus.
//! 5. **Formats.** `flv:`, `mp4:` and `mp3:` at the front of a segment, and `.flv`, `.mp4`, `.f4v` and `.mp3` at the
//!    end of the stream are dropped: ffmpeg and librtmp add and remove them on their own account (`x.mp4` is sent as
//!    `mp4:x.mp4` by ffmpeg, as `mp4:x` by librtmp, as `x.mp4` by OBS), and all must find the same stream.
//! 6. **Queries** of connection and name are joined with `&`, the connection's first; where they are equal, one is
//!    kept. They stay encoded.
//! 7. **Virtual host:** `vhost` of the query, else the host of `tcUrl`; lower case, without port.
//! 8. **Forbidden**, after all this: segments `.` and `..`, backslashes in the path, control characters anywhere.

#[cfg(test)]
mod tests;

use thiserror::Error;

use crate::wire::split_escape;

/// Where a stream lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamPath {
    /// Virtual host, lower case, without port; empty where the client did not say. IPv6 addresses stand in brackets.
    pub vhost: String,
    /// Application: segments with one `/` between them; may be empty.
    pub app: String,
    /// Stream name: the last segment; never empty, never with a `/`.
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
    /// A `.` or `..` segment, a control character, or a backslash; or a `vhost` that is no host name.
    #[error("the name has a segment or character that is not allowed")]
    Forbidden,
}

/// Longest app, name and query together, in bytes as sent.
pub const MAX_PATH_BYTES: usize = 2048;

/// Longest host, in bytes (a DNS name has at most 253).
const MAX_HOST_BYTES: usize = 255;

/// What clients put in front of names to say which format they expect.
const FORMAT_PREFIXES: [&str; 3] = ["flv:", "mp4:", "mp3:"];

/// What clients put behind names, or take away, for the same reason.
const FORMAT_SUFFIXES: [&str; 4] = [".flv", ".mp4", ".f4v", ".mp3"];

impl StreamPath {
    /// Joins what `connect` (`tc_url`, `app`) and `publish` or `play` (`name`) said.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn resolve(tc_url: Option<&str>, app: &str, name: &str) -> Result<StreamPath, PathError> {
        check_length(&[app, name])?;
        let url = tc_url.and_then(TcUrl::parse).unwrap_or_default();
        let (app_path, app_query) = split_query(app);
        let (name_path, name_query) = split_query(name);
        let place = if has_segment(url.path) { url.path } else { app_path };
        let mut place_query = if url.query.is_empty() { app_query } else { url.query };
        check_length(&[place, place_query, name])?;
        if has_segment(name_path) {
            place_query = place_query.trim_end_matches('/');
        }

        let mut segments: Vec<String> = [place, name_path].into_iter().flat_map(segments).collect();
        let stream = strip_suffixes(&segments.pop().ok_or(PathError::Empty)?).to_owned();
        let query = join_queries(place_query, name_query);
        let vhost = match query_value(&query, "vhost").filter(|vhost| !vhost.is_empty()) {
            Some(vhost) => host_of(&vhost).ok_or(PathError::Forbidden)?.to_ascii_lowercase(),
            None => url.host.to_ascii_lowercase(),
        };
        let names_are_allowed = segments.iter().chain([&stream]).all(|segment| is_allowed(segment));
        if !names_are_allowed || query.contains(char::is_control) {
            return Err(PathError::Forbidden);
        }
        Ok(StreamPath { vhost, app: segments.join("/"), stream, query })
    }

    /// The same place under another stream name, which is decoded already. Rules 5 and 8 hold for it as well.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn renamed(&self, name: &str) -> Result<StreamPath, PathError> {
        check_length(&[&self.app, name, &self.query])?;
        let stream = strip_suffixes(strip_prefixes(name));
        if stream.is_empty() {
            return Err(PathError::Empty);
        }
        if stream.contains('/') || !is_allowed(stream) {
            return Err(PathError::Forbidden);
        }
        Ok(StreamPath { stream: stream.to_owned(), ..self.clone() })
    }

    /// Value of the first `key` in the query, percent-decoded; empty for a key without `=`. `+` stays `+`. Bytes that
    /// are not UTF-8 are replaced. Unlike the query itself it may hold control characters.
    pub fn query_value(&self, key: &str) -> Option<String> {
        query_value(&self.query, key)
    }
}

/// The parts of a `tcUrl` that matter; all empty where there is none.
#[derive(Debug, Default, PartialEq, Eq)]
struct TcUrl<'a> {
    host: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> TcUrl<'a> {
    /// `None`: not a URL with a host.
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim_matches(['\'', '"', ' ']);
        let (scheme, rest) = text.split_once("://")?;
        if scheme.is_empty() || !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let (authority, tail) = rest.split_at_checked(rest.find(['/', '?']).unwrap_or(rest.len()))?;
        let (path, query) = split_query(tail);
        Some(TcUrl { host: host_of(authority)?, path, query })
    }
}

/// The host of `user@host:port`. `None`: what stands there cannot be a host.
fn host_of(authority: &str) -> Option<&str> {
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, rest)| rest);
    let host_end = if host_and_port.starts_with('[') {
        host_and_port.find(']')?.checked_add(1)?
    } else {
        host_and_port.find(':').unwrap_or(host_and_port.len())
    };
    let (host, port) = host_and_port.split_at_checked(host_end)?;
    let port_is_valid = port.is_empty() || port.strip_prefix(':')?.bytes().all(|byte| byte.is_ascii_digit());
    let host_is_valid = host.len() <= MAX_HOST_BYTES
        && host.chars().all(|c| c.is_alphanumeric() || "-._~:%[]".contains(c))
        && !matches!(host, "." | "..");
    (port_is_valid && host_is_valid).then_some(host)
}

fn check_length(parts: &[&str]) -> Result<(), PathError> {
    let bytes = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
    if bytes > MAX_PATH_BYTES { Err(PathError::TooLong) } else { Ok(()) }
}

fn split_query(text: &str) -> (&str, &str) {
    text.split_once('?').unwrap_or((text, ""))
}

fn has_segment(path: &str) -> bool {
    path.bytes().any(|byte| byte != b'/')
}

/// The segments of `path`, decoded and without prefixes; the empty ones are left out.
fn segments(path: &str) -> impl Iterator<Item = String> {
    path.split('/')
        .map(|raw| {
            let decoded = String::from_utf8(percent_decode(raw, Slash::Keep));
            strip_prefixes(decoded.as_deref().unwrap_or(raw)).to_owned()
        })
        .filter(|segment| !segment.is_empty())
}

fn strip_prefixes(segment: &str) -> &str {
    let mut rest = segment;
    while let Some(shorter) = FORMAT_PREFIXES.iter().find_map(|prefix| rest.strip_prefix(prefix)) {
        rest = shorter;
    }
    rest
}

/// Leaves a stream that is called like a suffix as it is.
fn strip_suffixes(stream: &str) -> &str {
    let mut rest = stream;
    while let Some(shorter) = FORMAT_SUFFIXES.iter().find_map(|suffix| rest.strip_suffix(suffix)) {
        if shorter.is_empty() {
            break;
        }
        rest = shorter;
    }
    rest
}

fn is_allowed(segment: &str) -> bool {
    !matches!(segment, "." | "..") && !segment.contains(|c: char| c.is_control() || c == '\\')
}

fn join_queries(first: &str, second: &str) -> String {
    match (first, second) {
        ("", only) | (only, "") => only.to_owned(),
        _ if first == second => first.to_owned(),
        _ => [first, second].join("&"),
    }
}

fn query_value(query: &str, key: &str) -> Option<String> {
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(name, _)| percent_decode(name, Slash::Decode) == key.as_bytes())
        .map(|(_, value)| String::from_utf8_lossy(&percent_decode(value, Slash::Decode)).into_owned())
}

/// What becomes of `%2F`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slash {
    /// It is decoded like the rest.
    Decode,
    /// It stays an escape, written with a capital letter.
    Keep,
}

/// Decodes once; what is no escape stays as it is.
fn percent_decode(text: &str, slash: Slash) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after_first)) = rest.split_first() {
        match split_escape(rest) {
            Some((b'/', after)) if slash == Slash::Keep => {
                decoded.extend_from_slice(b"%2F");
                rest = after;
            }
            Some((byte, after)) => {
                decoded.push(byte);
                rest = after;
            }
            None => {
                decoded.push(first);
                rest = after_first;
            }
        }
    }
    decoded
}
