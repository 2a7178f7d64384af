//! Bytes that a session sends by itself.
//!
//! Owns: their order, and that bodies are shared, not copied. Does not know what they are.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Bytes not yet drained. Holds no memory when it is empty.
#[derive(Debug, Default)]
pub(super) struct Output {
    parts: VecDeque<Bytes>,
    /// Behind the parts; small writes are joined here.
    end: BytesMut,
}

impl Output {
    /// Appends a copy.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.end.extend_from_slice(bytes);
    }

    /// Appends the bytes themselves.
    pub(super) fn share(&mut self, bytes: Bytes) {
        self.flush();
        if !bytes.is_empty() {
            self.parts.push_back(bytes);
        }
    }

    /// The next bytes to send.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        self.flush();
        let part = self.parts.pop_front();
        if self.parts.is_empty() {
            self.parts = VecDeque::new();
        }
        part
    }

    fn flush(&mut self) {
        if !self.end.is_empty() {
            self.parts.push_back(std::mem::take(&mut self.end).freeze());
        }
    }
}
