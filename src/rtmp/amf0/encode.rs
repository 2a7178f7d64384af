//! The AMF0 writer. It writes no references.

use bytes::{BufMut, BytesMut};

use super::super::amf3::{self, cut};
use super::{MEMBERS_END, Value, marker};

/// Longest string behind a length of 16 bits.
const MAX_SHORT: usize = 0xFFFF;
/// Longest string behind a length of 32 bits.
const MAX_LONG: usize = 0xFFFF_FFFF;

/// Appends one value. A member name or class name beyond 65,535 bytes is cut: the format has no longer ones.
pub fn write_value(out: &mut BytesMut, value: &Value) {
    match value {
        Value::Number(number) => {
            out.put_u8(marker::NUMBER);
            out.put_f64(*number);
        }
        Value::Boolean(boolean) => out.put_slice(&[marker::BOOLEAN, u8::from(*boolean)]),
        Value::String(text) if text.len() <= MAX_SHORT => {
            out.put_u8(marker::STRING);
            write_short_text(out, text);
        }
        Value::String(text) => write_long_text(out, marker::LONG_STRING, text),
        Value::Object(members) => {
            out.put_u8(marker::OBJECT);
            write_members(out, members);
        }
        Value::Null => out.put_u8(marker::NULL),
        Value::Undefined => out.put_u8(marker::UNDEFINED),
        Value::EcmaArray(members) => {
            out.put_u8(marker::ECMA_ARRAY);
            write_count(out, members.len());
            write_members(out, members);
        }
        Value::StrictArray(items) => {
            out.put_u8(marker::STRICT_ARRAY);
            write_count(out, items.len());
            items.iter().for_each(|item| write_value(out, item));
        }
        Value::Date { epoch_ms, time_zone_minutes } => {
            out.put_u8(marker::DATE);
            out.put_f64(*epoch_ms);
            out.put_i16(*time_zone_minutes);
        }
        Value::Unsupported => out.put_u8(marker::UNSUPPORTED),
        Value::XmlDocument(text) => write_long_text(out, marker::XML_DOCUMENT, text),
        Value::TypedObject { class, members } => {
            out.put_u8(marker::TYPED_OBJECT);
            write_short_text(out, class);
            write_members(out, members);
        }
        Value::Amf3(value) => {
            out.put_u8(marker::AVM_PLUS);
            amf3::write_value(out, value);
        }
    }
}

fn write_members(out: &mut BytesMut, members: &[(String, Value)]) {
    for (name, value) in members {
        write_short_text(out, name);
        write_value(out, value);
    }
    out.put_slice(&MEMBERS_END);
}

fn write_short_text(out: &mut BytesMut, text: &str) {
    let text = cut(text, MAX_SHORT);
    out.put_u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
    out.put_slice(text.as_bytes());
}

fn write_long_text(out: &mut BytesMut, marker: u8, text: &str) {
    let text = cut(text, MAX_LONG);
    out.put_u8(marker);
    write_count(out, text.len());
    out.put_slice(text.as_bytes());
}

/// More than 2^32 - 1 of anything do not occur: a value that is written fits into a message.
fn write_count(out: &mut BytesMut, count: usize) {
    out.put_u32(u32::try_from(count).unwrap_or(u32::MAX));
}
