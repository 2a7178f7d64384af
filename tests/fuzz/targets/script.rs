//! Bytes of the fuzzer read as decisions: how to cut, what to do next, with which number.
//!
//! Reading past the end gives zeros, so that any bytes are a whole script.

/// See the module.
#[derive(Debug, Clone)]
pub struct Script<'a> {
    rest: &'a [u8],
}

impl<'a> Script<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Script { rest: bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn u8(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or_default()
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.u8(), self.u8()])
    }

    pub fn u32(&mut self) -> u32 {
        u32::from(self.u16()) << 16 | u32::from(self.u16())
    }

    /// The next `len` bytes, or as many as there are.
    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (head, tail) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = tail;
        head
    }
}

/// Cuts `bytes` into pieces as `how` says: in one, one by one, in equal parts, in two, or with a length that grows.
pub fn pieces(bytes: &[u8], how: u8) -> Vec<&[u8]> {
    let number = usize::from(how >> 2);
    match how & 3 {
        0 if number == 0 => vec![bytes],
        0 | 1 => bytes.chunks(number + 1).collect(),
        2 => {
            let (head, tail) = bytes.split_at(bytes.len() * number / 64);
            vec![head, tail]
        }
        _ => {
            let mut rest = bytes;
            let mut len = number % 5;
            let mut found = Vec::new();
            while !rest.is_empty() {
                let (head, tail) = rest.split_at(len.min(rest.len()));
                found.push(head);
                rest = tail;
                len = len * 2 + 1;
            }
            found
        }
    }
}
