//! The query of a stream's name.
//!
//! Owns: finding one parameter. Does not know what it means.

use crate::wire::percent_decode;

/// The value of the first `key` in `query`, percent-decoded; empty where it has no `=`. A `+` stays one, and what is
/// no escape stays as it is: as in `rtmp::path`.
pub(super) fn value_of(query: &str, key: &str) -> Option<Vec<u8>> {
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(name, _)| percent_decode(name) == key.as_bytes())
        .map(|(_, value)| percent_decode(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_of_a_parameter_is_found() {
        let cases: [(&str, Option<&[u8]>); 10] = [
            ("", None),
            ("key=a", Some(b"a")),
            ("key", Some(b"")),
            ("x=1&key=a=b&key=c", Some(b"a=b")),
            ("%6Bey=a%2Fb%20c", Some(b"a/b c")),
            ("key=a+b", Some(b"a+b")),
            ("key=%", Some(b"%")),
            ("key=%4", Some(b"%4")),
            ("key=%zz%ff", Some(b"%zz\xff")),
            ("keys=a&KEY=b&?key=c", None),
        ];
        for (query, expected) in cases {
            assert_eq!(value_of(query, "key").as_deref(), expected, "{query}");
        }
    }
}
