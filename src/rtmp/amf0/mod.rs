//! AMF0 (Action Message Format, AMF 0 specification): values, reader, writer.
//!
//! Owns: the tree of values, its bytes, and views that look the same over AMF0 and AMF3. Does not know commands.

mod decode;
mod encode;
#[cfg(test)]
pub(super) mod tests;

mod view;

pub use decode::{Decoder, read_value, read_values};
pub use encode::write_value;
pub use view::ValueRef;

pub use super::amf3::{AmfError, MAX_COPIED_FACTOR, MAX_DEPTH, MAX_VALUES, MIN_COPIED_BYTES};

use super::amf3;

/// Type markers (section 2.1).
mod marker {
    pub(super) const NUMBER: u8 = 0x00;
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const STRING: u8 = 0x02;
    pub(super) const OBJECT: u8 = 0x03;
    pub(super) const NULL: u8 = 0x05;
    pub(super) const UNDEFINED: u8 = 0x06;
    pub(super) const REFERENCE: u8 = 0x07;
    pub(super) const ECMA_ARRAY: u8 = 0x08;
    pub(super) const OBJECT_END: u8 = 0x09;
    pub(super) const STRICT_ARRAY: u8 = 0x0A;
    pub(super) const DATE: u8 = 0x0B;
    pub(super) const LONG_STRING: u8 = 0x0C;
    pub(super) const UNSUPPORTED: u8 = 0x0D;
    pub(super) const XML_DOCUMENT: u8 = 0x0F;
    pub(super) const TYPED_OBJECT: u8 = 0x10;
    pub(super) const AVM_PLUS: u8 = 0x11;
}

/// What ends the members of an object: an empty name and the end marker (section 2.11).
const MEMBERS_END: [u8; 3] = [0, 0, marker::OBJECT_END];

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

impl Value {
    /// A string value.
    pub fn string(text: impl Into<String>) -> Self {
        Value::String(text.into())
    }

    /// An object of `members` in their order.
    pub fn object<const N: usize>(members: [(&str, Value); N]) -> Self {
        Value::Object(named(members))
    }

    /// An ECMA array of `members` in their order.
    pub fn ecma_array<const N: usize>(members: [(&str, Value); N]) -> Self {
        Value::EcmaArray(named(members))
    }

    /// The same view over AMF0 and AMF3.
    pub const fn view(&self) -> ValueRef<'_> {
        ValueRef::of(self)
    }

    /// The number, also where it stands as an AMF3 number.
    pub fn as_number(&self) -> Option<f64> {
        self.view().as_number()
    }

    /// The text, also of long strings and AMF3 strings.
    pub fn as_str(&self) -> Option<&str> {
        self.view().as_str()
    }

    /// The boolean, also AMF3.
    pub fn as_bool(&self) -> Option<bool> {
        self.view().as_bool()
    }

    /// See [`ValueRef::member`].
    pub fn member(&self, name: &str) -> Option<ValueRef<'_>> {
        self.view().member(name)
    }

    /// See [`ValueRef::entries`].
    pub fn entries(&self) -> impl Iterator<Item = (&str, ValueRef<'_>)> {
        self.view().entries()
    }

    /// See [`ValueRef::elements`].
    pub fn elements(&self) -> impl Iterator<Item = ValueRef<'_>> {
        self.view().elements()
    }
}

fn named<const N: usize>(members: [(&str, Value); N]) -> Vec<(String, Value)> {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
