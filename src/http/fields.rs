//! Header fields of one head.
//!
//! Owns: looking names up, and lists in values (RFC 9110, 5). Does not know what a field means.

/// Header fields in the order in which they were sent, in two allocations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// Names and values, one behind the other.
    text: Vec<u8>,
    /// Ends of name and value in `text`.
    ends: Vec<(usize, usize)>,
}

impl Fields {
    /// Copies what `httparse` found.
    pub(super) fn new(headers: &[httparse::Header<'_>]) -> Fields {
        let len = headers.iter().map(|header| header.name.len() + header.value.len()).sum();
        let mut fields = Fields { text: Vec::with_capacity(len), ends: Vec::with_capacity(headers.len()) };
        for header in headers {
            fields.text.extend_from_slice(header.name.as_bytes());
            let name_end = fields.text.len();
            fields.text.extend_from_slice(header.value);
            fields.ends.push((name_end, fields.text.len()));
        }
        fields
    }

    /// Memory that they take, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<(usize, usize)>()
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |&(name_end, end)| {
            let name = self.text.get(start..name_end).unwrap_or_default();
            let value = self.text.get(name_end..end).unwrap_or_default();
            start = end;
            // Names are tokens of ASCII: httparse takes nothing else.
            (str::from_utf8(name).unwrap_or_default(), value)
        })
    }

    /// Values of all fields with this name, in any case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Value of the first field with this name, in any case. `None` also where it is not UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.iter().find(|(have, _)| have.eq_ignore_ascii_case(name))?;
        str::from_utf8(value).ok()
    }

    /// Whether one of the comma-separated lists of this name holds `token`, in any case.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        let mut items = self.all(name).flat_map(|value| value.split(|&byte| byte == b','));
        items.any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&'static str, &'static [u8])]) -> Fields {
        let headers: Vec<_> = pairs.iter().map(|&(name, value)| httparse::Header { name, value }).collect();
        Fields::new(&headers)
    }

    #[test]
    fn names_are_found_in_any_case() {
        let fields = fields(&[("Host", b"a"), ("HOST", b"b"), ("X", b""), ("Y", b"\xFF")]);
        assert_eq!(fields.get("host"), Some("a"));
        assert_eq!(fields.get("x"), Some(""));
        assert_eq!(fields.get("y"), None);
        assert_eq!(fields.get("z"), None);
        assert_eq!(fields.all("hOsT").collect::<Vec<_>>(), [b"a", b"b"]);
        let all: Vec<_> = fields.iter().collect();
        assert_eq!(all, [("Host", &b"a"[..]), ("HOST", b"b"), ("X", b""), ("Y", b"\xFF")]);
    }

    #[test]
    fn lists_are_searched_over_all_fields() {
        let fields = fields(&[("Connection", b"keep-alive ,\tUpgrade"), ("connection", b"x"), ("Other", b"close")]);
        for (token, expected) in [("upgrade", true), ("X", true), ("keep-alive", true), ("close", false), ("", false)] {
            assert_eq!(fields.lists("Connection", token), expected, "{token}");
        }
    }
}
