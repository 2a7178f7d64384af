//! What reading AMF0 and reading AMF3 have in common: errors, limits and the table of references.
//!
//! Owns: every bound on what the bytes of a peer may become. Does not know markers of either encoding.

use thiserror::Error;

use crate::wire::{Incomplete, Reader};

/// Deepest nesting of complex values (objects, arrays and the like) that is read.
pub const MAX_DEPTH: usize = 32;
/// Most values in one message that are read, where a reference counts as all that it names.
pub const MAX_VALUES: usize = 16_384;
/// Most bytes of text and binary in the values of one message, per byte of the message; see [`MIN_COPIED_BYTES`].
pub const MAX_COPIED_FACTOR: usize = 4;
/// What a message of any size may copy by references, in bytes, on top of [`MAX_COPIED_FACTOR`].
pub const MIN_COPIED_BYTES: usize = 262_144;

/// Longest class name that an error repeats, in characters.
const MAX_NAMED_CHARS: usize = 64;

/// Why bytes are not AMF, or are more than is read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AmfError {
    /// The bytes end inside a value.
    #[error("AMF value cut short")]
    Truncated,
    /// A marker that the specification does not have or reserves.
    #[error("AMF marker {0:#04x} unknown")]
    UnknownMarker(u8),
    /// Values nested deeper than [`MAX_DEPTH`].
    #[error("AMF nested too deep")]
    TooDeep,
    /// More values than [`MAX_VALUES`].
    #[error("AMF has too many values")]
    TooManyValues,
    /// References copy more text or binary than [`MAX_COPIED_FACTOR`] and [`MIN_COPIED_BYTES`] allow.
    #[error("AMF references copy too many bytes")]
    TooManyBytes,
    /// A reference to something that was not there before.
    #[error("AMF reference to nothing")]
    BadReference,
    /// A value that contains itself: a tree cannot show it.
    #[error("AMF value contains itself")]
    CyclicReference,
    /// An AMF3 object whose class alone knows its format. Holds the start of the class name.
    #[error("AMF class {0:?} has a format of its own")]
    Externalizable(String),
    /// A command that does not begin with a string.
    #[error("AMF command without a name")]
    NoName,
}

impl AmfError {
    /// The error for an unknown externalizable class.
    pub(super) fn externalizable(class: &[u8]) -> Self {
        let name = String::from_utf8_lossy(class);
        AmfError::Externalizable(name.chars().take(MAX_NAMED_CHARS).collect())
    }
}

impl From<Incomplete> for AmfError {
    fn from(Incomplete: Incomplete) -> Self {
        AmfError::Truncated
    }
}

/// What one message may still become. Shared by all its values, AMF0 and AMF3.
#[derive(Debug)]
pub(in crate::rtmp) struct Budget {
    values: usize,
    bytes: usize,
    depth: usize,
}

impl Budget {
    /// The budget of a message of `input_bytes`.
    pub(in crate::rtmp) const fn new(input_bytes: usize) -> Self {
        let copied = input_bytes.saturating_mul(MAX_COPIED_FACTOR);
        Budget { values: MAX_VALUES, bytes: copied.saturating_add(MIN_COPIED_BYTES), depth: MAX_DEPTH }
    }

    /// Counts one value.
    pub(in crate::rtmp) fn take_value(&mut self) -> Result<(), AmfError> {
        self.values = self.values.checked_sub(1).ok_or(AmfError::TooManyValues)?;
        Ok(())
    }

    /// Refuses early what announces more values than may still come.
    pub(in crate::rtmp) fn expect_values(&self, count: usize) -> Result<(), AmfError> {
        if count > self.values { Err(AmfError::TooManyValues) } else { Ok(()) }
    }

    /// Counts bytes that are about to be copied into a value.
    pub(in crate::rtmp) fn take_bytes(&mut self, count: usize) -> Result<(), AmfError> {
        self.bytes = self.bytes.checked_sub(count).ok_or(AmfError::TooManyBytes)?;
        Ok(())
    }

    /// Text of `bytes`; what is not UTF-8 in them is replaced.
    pub(in crate::rtmp) fn text(&mut self, bytes: &[u8]) -> Result<String, AmfError> {
        self.take_bytes(bytes.len())?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    /// Goes one level down.
    pub(in crate::rtmp) fn enter(&mut self) -> Result<(), AmfError> {
        self.depth = self.depth.checked_sub(1).ok_or(AmfError::TooDeep)?;
        Ok(())
    }

    /// Comes up again from [`enter`](Self::enter).
    pub(in crate::rtmp) const fn leave(&mut self) {
        self.depth += 1;
    }
}

/// The complex values of a message in the order in which they began.
///
/// It keeps where each stands, not what it is: a reference is resolved by reading that place again. So nothing is
/// kept twice, and what a reference costs is counted by the same [`Budget`] as everything else.
#[derive(Debug, Default)]
pub(in crate::rtmp) struct References<'a> {
    places: Vec<Place<'a>>,
}

#[derive(Debug)]
struct Place<'a> {
    marker: u8,
    body: Reader<'a>,
    is_open: bool,
}

impl<'a> References<'a> {
    /// Adds a value that begins: its marker and what follows it. Until [`close`](Self::close) it contains the reader.
    pub(in crate::rtmp) fn open(&mut self, marker: u8, body: Reader<'a>) -> usize {
        self.places.push(Place { marker, body, is_open: true });
        self.places.len() - 1
    }

    /// The value that `open` numbered so was read to its end.
    pub(in crate::rtmp) fn close(&mut self, index: usize) {
        if let Some(place) = self.places.get_mut(index) {
            place.is_open = false;
        }
    }

    /// Marker and body of a value that was read before.
    pub(in crate::rtmp) fn find(&self, index: usize) -> Result<(u8, Reader<'a>), AmfError> {
        let place = self.places.get(index).ok_or(AmfError::BadReference)?;
        if place.is_open {
            return Err(AmfError::CyclicReference);
        }
        Ok((place.marker, place.body.clone()))
    }
}

/// The longest start of `text` that has at most `most` bytes and ends between characters.
pub(in crate::rtmp) fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
