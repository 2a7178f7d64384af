//! Bodies of requests and responses (RFC 9112, 6 and 7).
//!
//! Owns: where a body ends. Does not know how its length was told.

use super::target::hex;

/// Longest size line of a chunk, its extensions included.
const SIZE_LINE_BYTES: usize = 256;

/// Bytes that extensions and trailers of one body may have together.
const OVERHEAD_BYTES: usize = 8 * 1024;

/// How a body says where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// After the last chunk and its trailer.
    Chunked,
    /// Where the peer closes. Responses only.
    UntilClose,
}

/// Why a body cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    /// Longer than the limit.
    TooLong,
    /// Chunks that are none.
    Chunks(&'static str),
}

/// Takes bytes until the body is whole.
#[derive(Debug)]
pub(super) struct BodyReader {
    state: State,
    /// Grows with what arrived.
    data: Vec<u8>,
    /// Most that `data` may hold.
    limit: usize,
    /// The line under way; empty between lines.
    line: Vec<u8>,
    /// Bytes of extensions and trailers so far.
    overhead: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Length(u64),
    UntilClose,
    ChunkSize,
    ChunkData(u64),
    /// The CR LF behind the data of a chunk.
    ChunkEnd,
    Trailer,
    Whole,
}

impl BodyReader {
    /// # Errors
    /// [`BodyError::TooLong`] where that can be told already.
    pub(super) fn new(framing: Framing, limit: usize) -> Result<BodyReader, BodyError> {
        let state = match framing {
            Framing::Length(0) => State::Whole,
            Framing::Length(len) if exceeds(len, limit) => return Err(BodyError::TooLong),
            Framing::Length(len) => State::Length(len),
            Framing::Chunked => State::ChunkSize,
            Framing::UntilClose => State::UntilClose,
        };
        Ok(BodyReader { state, data: Vec::new(), limit, line: Vec::new(), overhead: 0 })
    }

    /// Eats what belongs to the body. Says whether it is whole.
    pub(super) fn read(&mut self, input: &mut &[u8]) -> Result<bool, BodyError> {
        loop {
            match self.state {
                State::Whole => return Ok(true),
                _ if input.is_empty() => return Ok(false),
                State::Length(len) => {
                    let left = self.take(input, len)?;
                    self.state = if left == 0 { State::Whole } else { State::Length(left) };
                }
                State::ChunkData(len) => {
                    let left = self.take(input, len)?;
                    self.state = if left == 0 { State::ChunkEnd } else { State::ChunkData(left) };
                }
                State::UntilClose => {
                    self.take(input, u64::MAX)?;
                }
                State::ChunkSize | State::ChunkEnd | State::Trailer => self.read_line(input)?,
            }
        }
    }

    /// Whether it ends where the peer closes.
    pub(super) fn ends_with_connection(&self) -> bool {
        self.state == State::UntilClose
    }

    /// What was read.
    pub(super) fn into_data(self) -> Vec<u8> {
        self.data
    }

    /// Memory that it takes beside its own size.
    pub(super) fn held_bytes(&self) -> usize {
        self.data.capacity() + self.line.capacity()
    }

    /// Takes up to `len` bytes. Returns how many are missing.
    fn take(&mut self, input: &mut &[u8], len: u64) -> Result<u64, BodyError> {
        let take = usize::try_from(len).unwrap_or(usize::MAX).min(input.len());
        if take > self.limit.saturating_sub(self.data.len()) {
            return Err(BodyError::TooLong);
        }
        let (taken, rest) = input.split_at_checked(take).unwrap_or((input, &[]));
        self.data.extend_from_slice(taken);
        *input = rest;
        Ok(len - taken.len() as u64)
    }

    /// Takes bytes up to the end of the line and goes on where it is whole.
    fn read_line(&mut self, input: &mut &[u8]) -> Result<(), BodyError> {
        let (end, is_whole) = match input.iter().position(|&byte| byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (input.len(), false),
        };
        if self.line.len() + end > SIZE_LINE_BYTES {
            return Err(BodyError::Chunks("a line between the body's chunks is too long"));
        }
        let (taken, rest) = input.split_at_checked(end).unwrap_or((input, &[]));
        self.line.extend_from_slice(taken);
        *input = rest;
        if !is_whole {
            return Ok(());
        }
        let line = std::mem::take(&mut self.line);
        // A lone LF here is what some proxies read as the end of a line, and others do not.
        let line = line.strip_suffix(b"\r\n").filter(|line| !line.contains(&b'\r'));
        self.end_line(line.ok_or(BodyError::Chunks("a line between the body's chunks does not end with CR LF"))?)
    }

    fn end_line(&mut self, line: &[u8]) -> Result<(), BodyError> {
        match self.state {
            State::ChunkEnd if line.is_empty() => self.state = State::ChunkSize,
            State::ChunkEnd => return Err(BodyError::Chunks("a chunk of the body is longer than its size says")),
            State::Trailer if line.is_empty() => self.state = State::Whole,
            State::Trailer => self.count_overhead(line.len())?,
            _ => {
                let digits = line.iter().take_while(|&&byte| hex(byte).is_some()).count();
                let size = chunk_size(line.get(..digits).unwrap_or_default());
                let extension = line.get(digits..).unwrap_or_default();
                let is_extension = matches!(extension.trim_ascii_start().first(), None | Some(b';'));
                let size = size.filter(|_| is_extension);
                let size = size.ok_or(BodyError::Chunks("the size of one of the body's chunks is no number"))?;
                self.count_overhead(extension.len())?;
                // So that nobody sends a chunk whose size says already that it is too long.
                if exceeds(size, self.limit.saturating_sub(self.data.len())) {
                    return Err(BodyError::TooLong);
                }
                self.state = if size == 0 { State::Trailer } else { State::ChunkData(size) };
            }
        }
        Ok(())
    }

    fn count_overhead(&mut self, len: usize) -> Result<(), BodyError> {
        self.overhead += len;
        if self.overhead > OVERHEAD_BYTES {
            return Err(BodyError::Chunks("the body's chunks have too many extensions or trailers"));
        }
        Ok(())
    }
}

fn exceeds(len: u64, limit: usize) -> bool {
    usize::try_from(len).map_or(true, |len| len > limit)
}

/// Size of a chunk; `None` for no digits, or more than a 64-bit number can have.
fn chunk_size(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    digits.iter().try_fold(0_u64, |size, &digit| Some(size << 4 | u64::from(hex(digit)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body and what stands behind it, read whole, in two parts at every place, and byte by byte.
    fn read(framing: Framing, limit: usize, input: &[u8]) -> Result<(Vec<u8>, Vec<u8>), BodyError> {
        let in_parts = |parts: &[&[u8]]| {
            let mut reader = BodyReader::new(framing, limit)?;
            let mut behind = Vec::new();
            for mut part in parts.iter().copied() {
                let whole = reader.read(&mut part)?;
                assert!(whole || part.is_empty());
                behind.extend_from_slice(part);
            }
            Ok((reader.into_data(), behind))
        };
        let whole = in_parts(&[input]);
        for at in 0..=input.len() {
            let (left, right) = input.split_at(at);
            assert_eq!(in_parts(&[left, right]), whole, "split at {at}");
        }
        assert_eq!(in_parts(&input.chunks(1).collect::<Vec<_>>()), whole, "byte by byte");
        whole
    }

    #[test]
    fn bodies_end_where_they_say() {
        type Case = (Framing, &'static [u8], &'static [u8], &'static [u8]);
        let cases: [Case; 8] = [
            (Framing::Length(0), b"GET", b"", b"GET"),
            (Framing::Length(3), b"abcGET", b"abc", b"GET"),
            (Framing::Length(4), b"abc", b"abc", b""),
            (Framing::UntilClose, b"abc", b"abc", b""),
            (Framing::Chunked, b"0\r\n\r\nGET", b"", b"GET"),
            (Framing::Chunked, b"3\r\nabc\r\n0a\r\n0123456789\r\n0\r\n\r\n0", b"abc0123456789", b"0"),
            (Framing::Chunked, b"1;x=\"y\"\r\na\r\n0 ;z\r\n\r\n", b"a", b""),
            (Framing::Chunked, b"1 \r\na\r\n00\r\nTrailer: x\r\nOther: y\r\n\r\n", b"a", b""),
        ];
        for (framing, input, data, behind) in cases {
            assert_eq!(read(framing, 16, input), Ok((data.to_vec(), behind.to_vec())), "{input:?}");
        }
    }

    #[test]
    fn chunks_that_two_readers_could_see_differently_are_refused() {
        let number = "the size of one of the body's chunks is no number";
        let line_end = "a line between the body's chunks does not end with CR LF";
        let cases: [(&[u8], &str); 12] = [
            (b"\r\n", number),
            (b"x\r\n", number),
            (b"+1\r\na", number),
            (b"-1\r\na", number),
            (b"0x1\r\na", number),
            (b" 1\r\na", number),
            (b"1 1\r\na", number),
            (b"00000000000000001\r\na", number),
            (b"1\na", line_end),
            (b"1;\r\r\na", line_end),
            (b"1\r\na\n", line_end),
            (b"1\r\nab\r\n", "a chunk of the body is longer than its size says"),
        ];
        for (input, expected) in cases {
            assert_eq!(read(Framing::Chunked, 16, input), Err(BodyError::Chunks(expected)), "{input:?}");
        }
    }

    #[test]
    fn every_limit_holds() {
        assert_eq!(read(Framing::Length(17), 16, b""), Err(BodyError::TooLong));
        assert_eq!(read(Framing::Length(u64::MAX), 16, b""), Err(BodyError::TooLong));
        assert_eq!(read(Framing::UntilClose, 16, &[0; 17]), Err(BodyError::TooLong));
        assert!(read(Framing::UntilClose, 16, &[0; 16]).is_ok());
        assert_eq!(read(Framing::Chunked, 16, b"11\r\n"), Err(BodyError::TooLong));
        assert_eq!(read(Framing::Chunked, 16, b"ffffffffffffffff\r\n"), Err(BodyError::TooLong));
        assert_eq!(read(Framing::Chunked, 16, b"10\r\n0123456789abcdef\r\n1\r\n"), Err(BodyError::TooLong));

        let long_line = [b"1;", &[b'x'; SIZE_LINE_BYTES][..]].concat();
        let expected = Err(BodyError::Chunks("a line between the body's chunks is too long"));
        assert_eq!(read(Framing::Chunked, 16, &long_line), expected);
        let line = [&[b'x'; 200][..], b"\r\n"].concat();
        let trailers = [b"0\r\n", &line.repeat(OVERHEAD_BYTES / 200 + 1)[..]].concat();
        let mut reader = BodyReader::new(Framing::Chunked, 16).unwrap();
        let expected = Err(BodyError::Chunks("the body's chunks have too many extensions or trailers"));
        assert_eq!(reader.read(&mut &trailers[..]), expected);
    }
}
