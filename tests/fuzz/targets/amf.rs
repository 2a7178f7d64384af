//! AMF0 and AMF3: what was read is written and read again as the same, and never becomes more than the limits say.

use bytes::{Bytes, BytesMut};
use rtmpd::rtmp::amf0::{self, MAX_COPIED_FACTOR, MAX_DEPTH, MAX_VALUES, MIN_COPIED_BYTES};
use rtmpd::rtmp::amf3;
use rtmpd::rtmp::command::Command;
use rtmpd::rtmp::message::type_id::{COMMAND_AMF0, COMMAND_AMF3};
use rtmpd::wire::Reader;

/// A replaced byte becomes three.
const LOSSY_FACTOR: usize = 3;
/// What encoding a command adds to one that left things out: transaction id and object.
const ADDED_VALUES: usize = 2;

/// Numbers of values and of bytes of text and binary, and the deepest nesting.
#[derive(Debug, Default)]
struct Weight {
    values: usize,
    bytes: usize,
    depth: usize,
}

impl Weight {
    fn check(&self, input_len: usize) {
        assert!(self.values <= MAX_VALUES, "{self:?}");
        assert!(self.depth <= MAX_DEPTH, "{self:?}");
        let most = input_len * MAX_COPIED_FACTOR + MIN_COPIED_BYTES;
        assert!(self.bytes <= most * LOSSY_FACTOR, "{self:?} of {input_len} bytes");
    }

    fn members(&mut self, members: &[(String, amf0::Value)], depth: usize) {
        for (name, value) in members {
            self.bytes += name.len();
            self.amf0(value, depth + 1);
        }
    }

    fn amf0(&mut self, value: &amf0::Value, depth: usize) {
        if let amf0::Value::Amf3(value) = value {
            self.amf3(value, depth);
            return;
        }
        self.values += 1;
        match value {
            amf0::Value::String(text) | amf0::Value::XmlDocument(text) => self.bytes += text.len(),
            amf0::Value::Object(members) | amf0::Value::EcmaArray(members) => self.members(members, depth),
            amf0::Value::TypedObject { class, members } => {
                self.bytes += class.len();
                self.members(members, depth);
            }
            amf0::Value::StrictArray(items) => items.iter().for_each(|item| self.amf0(item, depth + 1)),
            _ => {}
        }
        self.depth = self.depth.max(depth);
    }

    fn named(&mut self, named: &[(String, amf3::Value)], depth: usize) {
        for (name, value) in named {
            self.bytes += name.len();
            self.amf3(value, depth + 1);
        }
    }

    fn amf3(&mut self, value: &amf3::Value, depth: usize) {
        self.values += 1;
        match value {
            amf3::Value::String(text) | amf3::Value::XmlDocument(text) | amf3::Value::Xml(text) => {
                self.bytes += text.len();
            }
            amf3::Value::Array { associative, dense } => {
                self.named(associative, depth);
                dense.iter().for_each(|value| self.amf3(value, depth + 1));
            }
            amf3::Value::Object(object) => {
                self.bytes += object.class.len();
                self.named(&object.sealed, depth);
                self.named(object.dynamic.as_deref().unwrap_or_default(), depth);
            }
            amf3::Value::Wrapped { value, .. } => self.amf3(value, depth + 1),
            amf3::Value::ByteArray(bytes) => self.bytes += bytes.len(),
            amf3::Value::VectorInt(vector) => self.bytes += vector.items.len() * 4,
            amf3::Value::VectorUint(vector) => self.bytes += vector.items.len() * 4,
            amf3::Value::VectorDouble(vector) => self.bytes += vector.items.len() * 8,
            amf3::Value::VectorObject { class, vector } => {
                self.bytes += class.len();
                vector.items.iter().for_each(|value| self.amf3(value, depth + 1));
            }
            amf3::Value::Dictionary { entries, .. } => {
                for (key, value) in entries {
                    self.amf3(key, depth + 1);
                    self.amf3(value, depth + 1);
                }
            }
            _ => {}
        }
        self.depth = self.depth.max(depth);
    }
}

fn encoded(values: &[amf0::Value]) -> Bytes {
    let mut out = BytesMut::new();
    values.iter().for_each(|value| amf0::write_value(&mut out, value));
    out.freeze()
}

/// Looks at a value in all the ways there are.
fn look_at(value: amf0::ValueRef<'_>, depth: usize) {
    let _ = (value.as_number(), value.as_str(), value.as_bool(), value.is_null(), value.is_object());
    let _ = (value.member("app"), value.member(""));
    assert!(depth <= MAX_DEPTH);
    value.entries().for_each(|(_, value)| look_at(value, depth + 1));
    // Of an array with names these are the same values again, so they are counted only.
    assert!(value.elements().count() <= MAX_VALUES);
}

/// The values of a message, and the same bytes as a command of both kinds.
pub fn amf0(data: &[u8]) {
    let values = amf0::read_values(data);
    let mut weight = Weight::default();
    values.iter().for_each(|value| weight.amf0(value, 0));
    weight.check(data.len());
    values.iter().for_each(|value| look_at(value.view(), 0));

    // NaN is not equal to itself, so bytes are compared.
    let bytes = encoded(&values);
    let again = amf0::read_values(&bytes);
    assert_eq!(again.len(), values.len(), "values of a message that was written");
    assert_eq!(encoded(&again), bytes, "{values:?}");

    let mut reader = Reader::new(data);
    if let Ok(first) = amf0::read_value(&mut reader) {
        assert_eq!(encoded(&[first]), encoded(values.get(..1).unwrap_or_default()), "a value by itself");
        assert!(reader.remaining() < data.len(), "a value of no bytes");
    }
    let data = Bytes::copy_from_slice(data);
    for type_id in [COMMAND_AMF0, COMMAND_AMF3] {
        command(type_id, &data, weight.values);
    }
}

fn command(type_id: u8, data: &Bytes, values: usize) {
    let Ok(command) = Command::decode(type_id, data) else { return };
    assert!(command.argument(command.arguments.len()).is_none());
    if values + ADDED_VALUES > MAX_VALUES / 2 {
        return;
    }
    let encoded = |command: &Command| {
        let mut out = BytesMut::new();
        command.encode(&mut out);
        out.freeze()
    };
    let bytes = encoded(&command);
    let again = Command::decode(COMMAND_AMF0, &bytes).expect("a command that was written");
    assert_eq!(encoded(&again), bytes, "{command:?}");
}

/// One AMF3 value with tables of its own.
pub fn amf3(data: &[u8]) {
    let mut reader = Reader::new(data);
    let Ok(value) = amf3::read_value(&mut reader) else { return };
    assert!(reader.remaining() < data.len(), "a value of no bytes");
    let mut weight = Weight::default();
    weight.amf3(&value, 0);
    weight.check(data.len());
    let _ = (value.as_number(), value.as_str(), value.as_bool(), value.unwrapped());
    assert!(value.entries().count() + value.elements().count() <= 2 * MAX_VALUES);

    let encoded = |value: &amf3::Value| {
        let mut out = BytesMut::new();
        amf3::write_value(&mut out, value);
        out
    };
    let bytes = encoded(&value);
    let mut reader = Reader::new(&bytes);
    let again = amf3::read_value(&mut reader).expect("a value that was written");
    assert!(reader.is_empty(), "bytes behind a value that was written");
    assert_eq!(encoded(&again), bytes, "{value:?}");
}
