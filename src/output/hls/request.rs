//! What a request asks for.
//!
//! Owns: the names of playlists and segments, query parameters, and percent-encoding. Does not know what exists.

use std::fmt::Write as _;

/// Longest part of a query that is carried on into playlists.
const CARRIED_BYTES: usize = 1_024;

/// What a path below the stream names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    Multivariant,
    Media,
    /// By the number of the first segment that needs it.
    Init(u64),
    /// By media sequence number.
    Segment(u64),
    Part(u64, usize),
}

impl Resource {
    /// Reads what stands behind `/APP/STREAM/`; nothing or `index.m3u8` is the multivariant playlist.
    pub(super) fn parse(path: &str) -> Option<Resource> {
        match path {
            "" | "index.m3u8" => return Some(Resource::Multivariant),
            "media.m3u8" => return Some(Resource::Media),
            _ => {}
        }
        let (name, extension) = path.rsplit_once('.')?;
        let (kind, number) = name.split_once('-')?;
        match (kind, extension) {
            ("init", "mp4") => Some(Resource::Init(parse_number(number)?)),
            ("seg", "m4s" | "ts") => Some(Resource::Segment(parse_number(number)?)),
            ("part", "m4s") => {
                let (msn, index) = number.split_once('.')?;
                Some(Resource::Part(parse_number(msn)?, usize::try_from(parse_number(index)?).ok()?))
            }
            _ => None,
        }
    }
}

/// Digits only, without needless zeros: one name for each thing.
fn parse_number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if is_plain { text.parse().ok() } else { None }
}

/// Parameters of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// `session`: which player.
    pub(super) session: Option<u64>,
    /// `_HLS_msn`, `_HLS_part`: answer when this exists.
    pub(super) wanted: Option<Wanted>,
    /// `_HLS_skip`: a delta update is welcome.
    pub(super) skip: bool,
    /// All other parameters, in an encoding that can stand in a playlist.
    pub(super) carried: String,
}

/// Media sequence number and, where asked for, part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) msn: u64,
    pub(super) part: Option<u64>,
}

impl Query {
    /// Reads a query (without `?`).
    ///
    /// # Errors
    /// What is wrong, for people (RFC 8216bis, 6.2.5).
    pub(super) fn parse(text: &str) -> Result<Query, &'static str> {
        let mut query = Query::default();
        let (mut msn, mut part) = (None, None);
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "_HLS_msn" => msn = Some(value.parse::<u64>().map_err(|_| "_HLS_msn is no number")?),
                "_HLS_part" => part = Some(value.parse::<u64>().map_err(|_| "_HLS_part is no number")?),
                "_HLS_skip" => query.skip = matches!(value, "YES" | "v2"),
                "session" => query.session = u64::from_str_radix(value, 16).ok(),
                // Directives that are not known are not for other requests.
                _ if name.starts_with("_HLS_") => {}
                _ => carry(&mut query.carried, pair),
            }
        }
        if query.carried.len() > CARRIED_BYTES {
            return Err("the query is too long");
        }
        query.wanted = match (msn, part) {
            (Some(msn), part) => Some(Wanted { msn, part }),
            (None, Some(_)) => return Err("_HLS_part without _HLS_msn"),
            (None, None) => None,
        };
        Ok(query)
    }
}

/// Which player asks, by the query of its request: the number that the multivariant playlist gave it.
pub fn session_of(query: &str) -> Option<u64> {
    // As [`Query::parse`]: the last one counts.
    let last = query.split('&').rev().find_map(|pair| pair.strip_prefix("session="))?;
    u64::from_str_radix(last, 16).ok()
}

/// Whether a player begins with this request: it asks for the multivariant playlist and has no session yet. `below` is
/// what stands behind `/APP/STREAM/`.
pub fn begins(below: &str, query: &str) -> bool {
    Resource::parse(below) == Some(Resource::Multivariant) && session_of(query).is_none()
}

fn carry(carried: &mut String, pair: &str) {
    if !carried.is_empty() {
        carried.push('&');
    }
    // What RFC 3986 allows in a query; anything else could end the line or the quotes it stands in.
    encode(carried, pair, b"-._~!$'()*+,;=:@/?%");
}

/// A name as one part of a relative URI. A colon is encoded, too: `a:b` would have a scheme.
pub(super) fn encode_name(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    encode(&mut encoded, name, b"-._~!$&'()*+,;=@");
    encoded
}

fn encode(out: &mut String, text: &str, plain: &[u8]) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            out.push(char::from(byte));
        } else if write!(out, "%{byte:02X}").is_err() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_one_meaning() {
        let cases = [
            ("", Some(Resource::Multivariant)),
            ("index.m3u8", Some(Resource::Multivariant)),
            ("media.m3u8", Some(Resource::Media)),
            ("init-0.mp4", Some(Resource::Init(0))),
            ("seg-12.m4s", Some(Resource::Segment(12))),
            ("seg-12.ts", Some(Resource::Segment(12))),
            ("part-12.3.m4s", Some(Resource::Part(12, 3))),
            ("seg-+1.m4s", None),
            ("seg-01.m4s", None),
            ("seg-.m4s", None),
            ("seg-1.mp4", None),
            ("seg-99999999999999999999.m4s", None),
            ("part-1.m4s", None),
            ("part-1.2.3.m4s", None),
            ("../media.m3u8", None),
            ("segment", None),
        ];
        for (path, expected) in cases {
            assert_eq!(Resource::parse(path), expected, "{path}");
        }
    }

    #[test]
    fn directives_and_session_are_taken_out_of_a_query_and_the_rest_is_carried() {
        let query = Query::parse("key=a%20b&_HLS_msn=7&session=ff&_HLS_part=2&_HLS_skip=YES&_HLS_new=1&x").unwrap();
        let wanted = Some(Wanted { msn: 7, part: Some(2) });
        assert_eq!(query, Query { session: Some(255), wanted, skip: true, carried: "key=a%20b&x".to_owned() });
        assert_eq!(Query::parse(""), Ok(Query::default()));
        assert_eq!(Query::parse("session=zz&&_HLS_skip=NO"), Ok(Query::default()));
        for text in ["session=ff", "key=a&session=1&session=ff", "session=zz", "sessions=1", "session=1&session=z", ""]
        {
            assert_eq!(session_of(text), Query::parse(text).unwrap().session, "{text}");
        }
    }

    #[test]
    fn directives_that_make_no_sense_are_refused() {
        for text in ["_HLS_msn=x", "_HLS_msn=", "_HLS_msn=-1", "_HLS_msn=1&_HLS_part=y", "_HLS_part=0"] {
            assert!(Query::parse(text).is_err(), "{text}");
        }
        assert!(Query::parse(&"k".repeat(1_025)).is_err());
        assert!(Query::parse(&"k".repeat(1_024)).is_ok());
    }

    #[test]
    fn nothing_of_a_query_can_leave_the_line_it_is_written_to() {
        let query = Query::parse("a=\"\r\n#EXT-X-ENDLIST\n<é>").unwrap();
        assert_eq!(query.carried, "a=%22%0D%0A%23EXT-X-ENDLIST%0A%3C%C3%A9%3E");
    }

    #[test]
    fn stream_names_become_relative_references() {
        for (name, expected) in [("cam", "cam"), ("a b?", "a%20b%3F"), ("x:y/ü", "x%3Ay%2F%C3%BC"), ("a\"b", "a%22b")]
        {
            assert_eq!(encode_name(name), expected);
        }
    }
}
