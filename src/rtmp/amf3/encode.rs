//! The AMF3 writer.
//!
//! It never writes references: they are the sender's choice ("may", section 3.1), so a receiver has to read it.
//! What is longer than the format can count (2^28 - 1 bytes or items) is cut there.

use bytes::{BufMut, BytesMut};

use super::{Object, Value, Vector, cut, marker};

/// Largest length that fits beside the flag bit of a header.
const MAX_LENGTH: usize = 0x0FFF_FFFF;
/// Most names that fit beside the flag bits of traits.
const MAX_SEALED: usize = 0x01FF_FFFF;
/// What [`Value::Integer`] is on the wire.
const INTEGERS: std::ops::RangeInclusive<i32> = -0x1000_0000..=0x0FFF_FFFF;
/// Low bits of the header of an object with its traits inline (section 3.12).
const INLINE_TRAITS: usize = 0b0011;
const EXTERNALIZABLE: usize = 0b0111;
const DYNAMIC: usize = 0b1000;

/// Appends one value.
pub fn write_value(out: &mut BytesMut, value: &Value) {
    match value {
        Value::Undefined => out.put_u8(marker::UNDEFINED),
        Value::Null => out.put_u8(marker::NULL),
        Value::Boolean(false) => out.put_u8(marker::FALSE),
        Value::Boolean(true) => out.put_u8(marker::TRUE),
        Value::Integer(number) => write_integer(out, *number),
        Value::Double(number) => write_double(out, *number),
        Value::String(text) => write_marked_text(out, marker::STRING, text),
        Value::XmlDocument(text) => write_marked_text(out, marker::XML_DOCUMENT, text),
        Value::Date(epoch_ms) => {
            out.put_slice(&[marker::DATE, 1]);
            out.put_f64(*epoch_ms);
        }
        Value::Array { associative, dense } => write_array(out, associative, dense),
        Value::Object(object) => write_object(out, object),
        Value::Wrapped { wrapper, value } => {
            out.put_u8(marker::OBJECT);
            write_u29(out, EXTERNALIZABLE);
            write_text(out, wrapper.class());
            write_value(out, value);
        }
        Value::Xml(text) => write_marked_text(out, marker::XML, text),
        Value::ByteArray(bytes) => {
            let bytes = start(out, marker::BYTE_ARRAY, bytes);
            out.put_slice(bytes);
        }
        Value::VectorInt(vector) => write_numbers(out, marker::VECTOR_INT, vector, BufMut::put_i32),
        Value::VectorUint(vector) => {
            write_numbers(out, marker::VECTOR_UINT, vector, BufMut::put_u32);
        }
        Value::VectorDouble(vector) => {
            write_numbers(out, marker::VECTOR_DOUBLE, vector, BufMut::put_f64);
        }
        Value::VectorObject { class, vector } => {
            let items = start(out, marker::VECTOR_OBJECT, &vector.items);
            out.put_u8(u8::from(vector.fixed));
            write_text(out, class);
            items.iter().for_each(|item| write_value(out, item));
        }
        Value::Dictionary { weak_keys, entries } => {
            let entries = start(out, marker::DICTIONARY, entries);
            out.put_u8(u8::from(*weak_keys));
            for (key, value) in entries {
                write_value(out, key);
                write_value(out, value);
            }
        }
    }
}

fn write_integer(out: &mut BytesMut, number: i32) {
    if INTEGERS.contains(&number) {
        out.put_u8(marker::INTEGER);
        let low = number.cast_unsigned() & 0x1FFF_FFFF;
        write_u29(out, usize::try_from(low).unwrap_or_default());
    } else {
        write_double(out, f64::from(number));
    }
}

fn write_double(out: &mut BytesMut, number: f64) {
    out.put_u8(marker::DOUBLE);
    out.put_f64(number);
}

fn write_array(out: &mut BytesMut, associative: &[(String, Value)], dense: &[Value]) {
    let dense = start(out, marker::ARRAY, dense);
    write_named_values(out, associative);
    dense.iter().for_each(|value| write_value(out, value));
}

fn write_object(out: &mut BytesMut, object: &Object) {
    let sealed = fitting(&object.sealed, MAX_SEALED);
    let dynamic = if object.dynamic.is_some() { DYNAMIC } else { 0 };
    out.put_u8(marker::OBJECT);
    write_u29(out, sealed.len() << 4 | dynamic | INLINE_TRAITS);
    write_text(out, &object.class);
    sealed.iter().for_each(|(name, _)| write_text(out, name));
    sealed.iter().for_each(|(_, value)| write_value(out, value));
    if let Some(dynamic) = &object.dynamic {
        write_named_values(out, dynamic);
    }
}

/// Names and values, then the empty name. So no other name can be empty.
fn write_named_values(out: &mut BytesMut, named: &[(String, Value)]) {
    for (name, value) in named.iter().filter(|(name, _)| !name.is_empty()) {
        write_text(out, name);
        write_value(out, value);
    }
    write_text(out, "");
}

fn write_numbers<T: Copy>(out: &mut BytesMut, marker: u8, vector: &Vector<T>, put: fn(&mut BytesMut, T)) {
    let items = start(out, marker, &vector.items);
    out.put_u8(u8::from(vector.fixed));
    items.iter().for_each(|item| put(out, *item));
}

fn write_marked_text(out: &mut BytesMut, marker: u8, text: &str) {
    out.put_u8(marker);
    write_text(out, text);
}

fn write_text(out: &mut BytesMut, text: &str) {
    let text = cut(text, MAX_LENGTH);
    write_inline_length(out, text.len());
    out.put_slice(text.as_bytes());
}

/// Writes marker and count of `items` and gives back those that are to follow.
fn start<'v, T>(out: &mut BytesMut, marker: u8, items: &'v [T]) -> &'v [T] {
    let items = fitting(items, MAX_LENGTH);
    out.put_u8(marker);
    write_inline_length(out, items.len());
    items
}

fn fitting<T>(items: &[T], most: usize) -> &[T] {
    items.get(..most).unwrap_or(items)
}

fn write_inline_length(out: &mut BytesMut, len: usize) {
    write_u29(out, len << 1 | 1);
}

/// Section 1.3.1; `number` is below 2^29.
fn write_u29(out: &mut BytesMut, number: usize) {
    let [.., a, b, c, d] = (number as u64).to_be_bytes();
    let bits = u32::from_be_bytes([a, b, c, d]);
    let seven = |shift: u32| (bits >> shift & 0x7F) as u8;
    match bits {
        0..0x80 => out.put_u8(seven(0)),
        0x80..0x4000 => out.put_slice(&[seven(7) | 0x80, seven(0)]),
        0x4000..0x20_0000 => out.put_slice(&[seven(14) | 0x80, seven(7) | 0x80, seven(0)]),
        _ => out.put_slice(&[seven(22) | 0x80, seven(15) | 0x80, seven(8) | 0x80, d]),
    }
}
