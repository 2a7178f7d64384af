//! AMF3 (Action Message Format, AMF 3 specification): values, reader, writer.
//!
//! Owns: the tree of values, the three reference tables and the bytes; and the errors and limits of AMF of both
//! encodings. Does not know AMF0.

mod decode;
mod encode;
mod shared;
#[cfg(test)]
pub(super) mod tests;

pub(super) use decode::{Decoder, Tables};
pub use encode::write_value;
pub use shared::{AmfError, MAX_COPIED_FACTOR, MAX_DEPTH, MAX_VALUES, MIN_COPIED_BYTES};
pub(super) use shared::{Budget, References, cut};

use crate::wire::Reader;

/// Type markers (section 3.1).
mod marker {
    pub(super) const UNDEFINED: u8 = 0x00;
    pub(super) const NULL: u8 = 0x01;
    pub(super) const FALSE: u8 = 0x02;
    pub(super) const TRUE: u8 = 0x03;
    pub(super) const INTEGER: u8 = 0x04;
    pub(super) const DOUBLE: u8 = 0x05;
    pub(super) const STRING: u8 = 0x06;
    pub(super) const XML_DOCUMENT: u8 = 0x07;
    pub(super) const DATE: u8 = 0x08;
    pub(super) const ARRAY: u8 = 0x09;
    pub(super) const OBJECT: u8 = 0x0A;
    pub(super) const XML: u8 = 0x0B;
    pub(super) const BYTE_ARRAY: u8 = 0x0C;
    pub(super) const VECTOR_INT: u8 = 0x0D;
    pub(super) const VECTOR_UINT: u8 = 0x0E;
    pub(super) const VECTOR_DOUBLE: u8 = 0x0F;
    pub(super) const VECTOR_OBJECT: u8 = 0x10;
    pub(super) const DICTIONARY: u8 = 0x11;
}

/// Names and values in their order.
type Named = [(String, Value)];

/// A value (AMF3, section 3).
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// 0x00.
    Undefined,
    /// 0x01.
    Null,
    /// 0x02 and 0x03.
    Boolean(bool),
    /// 0x04. On the wire from -2^28 to 2^28 - 1; what lies outside is written as a double.
    Integer(i32),
    /// 0x05.
    Double(f64),
    /// 0x06. Bytes that are not UTF-8 are read lossily.
    String(String),
    /// 0x07, the XML of ActionScript 2.
    XmlDocument(String),
    /// 0x08. Milliseconds since 1970-01-01 UTC.
    Date(f64),
    /// 0x09.
    Array {
        /// The named part. On the wire a name cannot be empty: such an entry is not written.
        associative: Vec<(String, Value)>,
        /// The part numbered from 0.
        dense: Vec<Value>,
    },
    /// 0x0A.
    Object(Object),
    /// 0x0A of one of the two externalizable classes that hold nothing but another value.
    Wrapped {
        /// The class.
        wrapper: Wrapper,
        /// What it holds.
        value: Box<Value>,
    },
    /// 0x0B, the XML of ActionScript 3.
    Xml(String),
    /// 0x0C.
    ByteArray(Vec<u8>),
    /// 0x0D.
    VectorInt(Vector<i32>),
    /// 0x0E.
    VectorUint(Vector<u32>),
    /// 0x0F.
    VectorDouble(Vector<f64>),
    /// 0x10.
    VectorObject {
        /// Class of the items; `*` for any.
        class: String,
        /// The items.
        vector: Vector<Value>,
    },
    /// 0x11.
    Dictionary {
        /// Whether the keys were held weakly.
        weak_keys: bool,
        /// Keys and values.
        entries: Vec<(Value, Value)>,
    },
}

/// An object with the traits it was sent with (section 3.12).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object {
    /// Class name; empty for an anonymous object.
    pub class: String,
    /// Members that the class declares. Order is kept.
    pub sealed: Vec<(String, Value)>,
    /// Members beyond the class, `None` where the class allows none. On the wire a name cannot be empty: such a
    /// member is not written.
    pub dynamic: Option<Vec<(String, Value)>>,
}

/// A vector (section 3.15).
#[derive(Debug, Clone, PartialEq)]
pub struct Vector<T> {
    /// Whether its length was fixed.
    pub fixed: bool,
    /// The items.
    pub items: Vec<T>,
}

/// An externalizable class that writes one value and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrapper {
    /// `flex.messaging.io.ArrayCollection`.
    ArrayCollection,
    /// `flex.messaging.io.ObjectProxy`.
    ObjectProxy,
}

impl Wrapper {
    /// The class name on the wire.
    pub const fn class(self) -> &'static str {
        match self {
            Wrapper::ArrayCollection => "flex.messaging.io.ArrayCollection",
            Wrapper::ObjectProxy => "flex.messaging.io.ObjectProxy",
        }
    }

    fn of_class(class: &[u8]) -> Option<Self> {
        [Wrapper::ArrayCollection, Wrapper::ObjectProxy].into_iter().find(|wrapper| wrapper.class().as_bytes() == class)
    }
}

/// Reads one value with reference tables of its own. References are resolved to a copy of what they name.
///
/// # Errors
/// [`AmfError`]; the reader's position is then of no use.
pub fn read_value(reader: &mut Reader<'_>) -> Result<Value, AmfError> {
    let mut budget = Budget::new(reader.remaining());
    let mut tables = Tables::default();
    Decoder::new(reader, &mut tables, &mut budget, false).value()
}

impl Value {
    /// A string value.
    pub fn string(text: impl Into<String>) -> Self {
        Value::String(text.into())
    }

    /// An anonymous object of `members` in their order.
    pub fn object<const N: usize>(members: [(&str, Value); N]) -> Self {
        let dynamic = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Value::Object(Object { dynamic: Some(dynamic), ..Object::default() })
    }

    /// What stands inside wrappers; the value itself where it is none.
    pub fn unwrapped(&self) -> &Value {
        let mut value = self;
        while let Value::Wrapped { value: inner, .. } = value {
            value = inner;
        }
        value
    }

    /// The number, integer or double.
    pub fn as_number(&self) -> Option<f64> {
        match *self {
            Value::Integer(number) => Some(f64::from(number)),
            Value::Double(number) => Some(number),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(text) = self { Some(text) } else { None }
    }

    /// The boolean.
    pub const fn as_bool(&self) -> Option<bool> {
        if let Value::Boolean(boolean) = *self { Some(boolean) } else { None }
    }

    /// Names and values of an object (declared ones first) or of the named part of an array; nothing for others.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Value)> {
        let (first, second): (&Named, &Named) = match self.unwrapped() {
            Value::Object(object) => (&object.sealed, object.dynamic.as_deref().unwrap_or(&[])),
            Value::Array { associative, .. } => (associative, &[]),
            _ => (&[], &[]),
        };
        first.iter().chain(second).map(|(name, value)| (name.as_str(), value))
    }

    /// The items of an array (the numbered ones, then the named ones) or of a vector of objects; nothing for others.
    pub fn elements(&self) -> impl Iterator<Item = &Value> {
        let (numbered, named): (&[Value], &Named) = match self.unwrapped() {
            Value::Array { associative, dense } => (dense, associative),
            Value::VectorObject { vector, .. } => (&vector.items, &[]),
            _ => (&[], &[]),
        };
        numbered.iter().chain(named.iter().map(|(_, value)| value))
    }
}
