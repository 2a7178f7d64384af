//! AMF0 (Action Message Format, AMF 0 specification): values, reader, writer.
//!
//! Owns: the tree of values and its bytes, with limits on depth and size. Does not know commands.

use bytes::BytesMut;
use thiserror::Error;

use super::amf3;
use crate::wire::Reader;

/// A value (AMF0, section 2).
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// 0x00.
    Number(f64),
    /// 0x01.
    Boolean(bool),
    /// 0x02, and 0x0C where longer than 65,535 bytes. Bytes that are not UTF-8 are read lossily.
    String(String),
    /// 0x03. Order is kept; names may repeat.
    Object(Vec<(String, Value)>),
    /// 0x05.
    Null,
    /// 0x06.
    Undefined,
    /// 0x08. The count on the wire is a hint and is not kept.
    EcmaArray(Vec<(String, Value)>),
    /// 0x0A.
    StrictArray(Vec<Value>),
    /// 0x0B. Milliseconds since the epoch (UTC) and the reserved time zone in minutes.
    Date {
        /// Milliseconds since 1970-01-01 UTC.
        epoch_ms: f64,
        /// Reserved by the specification; written as read.
        time_zone_minutes: i16,
    },
    /// 0x0D.
    Unsupported,
    /// 0x0F.
    XmlDocument(String),
    /// 0x10.
    TypedObject {
        /// Class name.
        class: String,
        /// Members.
        members: Vec<(String, Value)>,
    },
    /// 0x11: an AMF3 value stands here.
    Amf3(amf3::Value),
}

/// Why bytes are not AMF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
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
    /// A reference to an object that was not there before.
    #[error("AMF reference to nothing")]
    BadReference,
}

/// Deepest nesting that is read.
pub const MAX_DEPTH: usize = 32;
/// Most values in one message that are read.
pub const MAX_VALUES: usize = 16_384;

/// Reads one value. References (0x07) are resolved to a copy of what they name.
///
/// # Errors
/// [`AmfError`]; the reader's position is then of no use.
pub fn read_value(reader: &mut Reader<'_>) -> Result<Value, AmfError> {
    todo!("{reader:?}")
}

/// Reads values up to the end of `bytes`. A damaged value ends the list: what was whole before it is returned.
pub fn read_values(bytes: &[u8]) -> Vec<Value> {
    todo!("{bytes:?}")
}

/// Appends one value.
pub fn write_value(out: &mut BytesMut, value: &Value) {
    todo!("{out:?} {value:?}")
}

impl Value {
    /// A string value.
    pub fn string(text: impl Into<String>) -> Self {
        Value::String(text.into())
    }

    /// An object of `members` in their order.
    pub fn object<const N: usize>(members: [(&str, Value); N]) -> Self {
        Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// The number, also where it stands as an AMF3 number.
    pub fn as_number(&self) -> Option<f64> {
        todo!()
    }

    /// The text, also of long strings and AMF3 strings.
    pub fn as_str(&self) -> Option<&str> {
        todo!()
    }

    /// The boolean, also AMF3.
    pub fn as_bool(&self) -> Option<bool> {
        todo!()
    }

    /// The first member called `name` of an object, typed object or ECMA array (AMF3 objects and arrays too: `None`
    /// there where the member is an AMF3 value is not acceptable; see [`Member`]).
    pub fn member(&self, name: &str) -> Option<Member<'_>> {
        todo!("{name}")
    }
}

/// A member found by [`Value::member`]: AMF0 or AMF3, with the same views.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Member<'a> {
    /// An AMF0 value.
    Amf0(&'a Value),
    /// An AMF3 value.
    Amf3(&'a amf3::Value),
}
