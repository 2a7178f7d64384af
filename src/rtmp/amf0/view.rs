//! One way to look at values of either encoding.

use super::super::amf3;
use super::Value;

/// A borrowed value, AMF0 or AMF3, with the same views. An AMF3 value inside an AMF0 one is always seen as AMF3.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ValueRef<'a> {
    /// An AMF0 value.
    Amf0(&'a Value),
    /// An AMF3 value.
    Amf3(&'a amf3::Value),
}

impl<'a> ValueRef<'a> {
    /// The view of `value`.
    pub const fn of(value: &'a Value) -> Self {
        match value {
            Value::Amf3(value) => ValueRef::Amf3(value),
            value => ValueRef::Amf0(value),
        }
    }

    /// The number.
    pub fn as_number(self) -> Option<f64> {
        match self {
            ValueRef::Amf0(Value::Number(number)) => Some(*number),
            ValueRef::Amf0(_) => None,
            ValueRef::Amf3(value) => value.as_number(),
        }
    }

    /// The text of a string.
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            ValueRef::Amf0(Value::String(text)) => Some(text),
            ValueRef::Amf0(_) => None,
            ValueRef::Amf3(value) => value.as_str(),
        }
    }

    /// The boolean.
    pub const fn as_bool(self) -> Option<bool> {
        match self {
            ValueRef::Amf0(Value::Boolean(boolean)) => Some(*boolean),
            ValueRef::Amf0(_) => None,
            ValueRef::Amf3(value) => value.as_bool(),
        }
    }

    /// Whether it is null or undefined.
    pub const fn is_null(self) -> bool {
        matches!(
            self,
            ValueRef::Amf0(Value::Null | Value::Undefined) | ValueRef::Amf3(amf3::Value::Null | amf3::Value::Undefined)
        )
    }

    /// Whether it is an object of any kind. ECMA arrays count: many peers send them where objects are meant.
    pub fn is_object(self) -> bool {
        match self {
            ValueRef::Amf0(value) => {
                matches!(value, Value::Object(_) | Value::TypedObject { .. } | Value::EcmaArray(_))
            }
            ValueRef::Amf3(value) => matches!(value.unwrapped(), amf3::Value::Object(_)),
        }
    }

    /// The first member called `name` of what has [`entries`](Self::entries).
    pub fn member(self, name: &str) -> Option<ValueRef<'a>> {
        self.entries().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Names and values of an object, typed object, ECMA array, AMF3 object or the named part of an AMF3 array, in
    /// their order; nothing for others.
    pub fn entries(self) -> impl Iterator<Item = (&'a str, ValueRef<'a>)> {
        let (members, amf3): (&[(String, Value)], _) = match self {
            ValueRef::Amf0(Value::Object(members) | Value::EcmaArray(members) | Value::TypedObject { members, .. }) => {
                (members, None)
            }
            ValueRef::Amf0(_) => (&[], None),
            ValueRef::Amf3(value) => (&[], Some(value)),
        };
        let members = members.iter().map(|(name, value)| (name.as_str(), ValueRef::of(value)));
        let amf3 = amf3.into_iter().flat_map(amf3::Value::entries);
        members.chain(amf3.map(|(name, value)| (name, ValueRef::Amf3(value))))
    }

    /// The items of a strict array, of an ECMA array (whatever their names), of an AMF3 array (numbered ones, then
    /// named ones) or of an AMF3 vector of objects, in their order; nothing for others.
    pub fn elements(self) -> impl Iterator<Item = ValueRef<'a>> {
        let (items, members, amf3): (&[Value], &[(String, Value)], _) = match self {
            ValueRef::Amf0(Value::StrictArray(items)) => (items, &[], None),
            ValueRef::Amf0(Value::EcmaArray(members)) => (&[], members, None),
            ValueRef::Amf0(_) => (&[], &[], None),
            ValueRef::Amf3(value) => (&[], &[], Some(value)),
        };
        let amf0 = items.iter().chain(members.iter().map(|(_, value)| value)).map(ValueRef::of);
        let amf3 = amf3.into_iter().flat_map(amf3::Value::elements);
        amf0.chain(amf3.map(ValueRef::Amf3))
    }
}
