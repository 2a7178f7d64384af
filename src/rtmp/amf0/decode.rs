//! The AMF0 reader.

use std::mem;

use super::super::amf3::{self, AmfError, Budget, References, Tables};
use super::{MEMBERS_END, Value, marker};
use crate::wire::Reader;

/// Reads the values of one message. They share the tables that references point into, and the limits.
#[derive(Debug)]
pub struct Decoder<'a> {
    reader: Reader<'a>,
    references: References<'a>,
    amf3_tables: Tables<'a>,
    budget: Budget,
    /// Whether this place was read before: then everything in it stands in the tables already.
    replaying: bool,
}

/// Reads one value. References (0x07) are resolved to a copy of what they name, and can name only what stands inside
/// this value: for several values of one message use [`Decoder`].
///
/// # Errors
/// [`AmfError`]; the reader's position is then of no use.
pub fn read_value(reader: &mut Reader<'_>) -> Result<Value, AmfError> {
    let mut decoder = Decoder::new(reader.rest());
    let value = decoder.read()?;
    *reader = decoder.reader;
    Ok(value)
}

/// Reads values up to the end of `bytes`. A damaged value ends the list: what was whole before it is returned.
pub fn read_values(bytes: &[u8]) -> Vec<Value> {
    Decoder::new(bytes).read_rest()
}

impl<'a> Decoder<'a> {
    /// Starts at the first byte of `bytes`, which are one message (or the rest of one, as far as references go).
    pub fn new(bytes: &'a [u8]) -> Self {
        Decoder {
            reader: Reader::new(bytes),
            references: References::default(),
            amf3_tables: Tables::default(),
            budget: Budget::new(bytes.len()),
            replaying: false,
        }
    }

    /// The bytes not read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.reader.rest()
    }

    /// Reads one value.
    ///
    /// An object or ECMA array whose end marker is missing or cut off ends with the message.
    ///
    /// # Errors
    /// [`AmfError`]; the decoder is then of no use.
    pub fn read(&mut self) -> Result<Value, AmfError> {
        let marker = self.reader.u8()?;
        if marker == marker::AVM_PLUS {
            return Ok(Value::Amf3(self.amf3()?));
        }
        self.budget.take_value()?;
        Ok(match marker {
            marker::NUMBER => Value::Number(self.reader.f64()?),
            marker::BOOLEAN => Value::Boolean(self.reader.u8()? != 0),
            marker::STRING => Value::String(self.short_text()?),
            marker::NULL => Value::Null,
            marker::UNDEFINED => Value::Undefined,
            marker::REFERENCE => self.replay()?,
            marker::DATE => {
                Value::Date { epoch_ms: self.reader.f64()?, time_zone_minutes: self.reader.u16()?.cast_signed() }
            }
            marker::LONG_STRING => Value::String(self.long_text()?),
            marker::UNSUPPORTED => Value::Unsupported,
            marker::XML_DOCUMENT => Value::XmlDocument(self.long_text()?),
            marker => self.complex(marker)?,
        })
    }

    /// Reads values up to the end of the message or the first damaged one.
    pub fn read_rest(&mut self) -> Vec<Value> {
        let mut values = Vec::new();
        while !self.reader.is_empty() {
            match self.read() {
                Ok(value) => values.push(value),
                Err(_) => break,
            }
        }
        values
    }

    /// What can be referred to (section 2.9).
    fn complex(&mut self, marker: u8) -> Result<Value, AmfError> {
        let body = self.reader.clone();
        let index = (!self.replaying).then(|| self.references.open(marker, body));
        self.budget.enter()?;
        let value = match marker {
            marker::OBJECT => Value::Object(self.members()?),
            marker::ECMA_ARRAY => {
                // Many encoders write 0 or nonsense as the count.
                self.reader.u32()?;
                Value::EcmaArray(self.members()?)
            }
            marker::STRICT_ARRAY => Value::StrictArray(self.items()?),
            marker::TYPED_OBJECT => Value::TypedObject { class: self.short_text()?, members: self.members()? },
            unknown => return Err(AmfError::UnknownMarker(unknown)),
        };
        self.budget.leave();
        if let Some(index) = index {
            self.references.close(index);
        }
        Ok(value)
    }

    /// Resolves a reference: reads again what stood there.
    fn replay(&mut self) -> Result<Value, AmfError> {
        let index = usize::from(self.reader.u16()?);
        let (marker, body) = self.references.find(index)?;
        let here = mem::replace(&mut self.reader, body);
        let was_replaying = mem::replace(&mut self.replaying, true);
        let value = self.complex(marker);
        self.replaying = was_replaying;
        self.reader = here;
        value
    }

    /// A value of the other encoding, which counts it.
    fn amf3(&mut self) -> Result<amf3::Value, AmfError> {
        let Decoder { reader, amf3_tables, budget, replaying, .. } = self;
        amf3::Decoder::new(reader, amf3_tables, budget, *replaying).value()
    }

    fn members(&mut self) -> Result<Vec<(String, Value)>, AmfError> {
        let mut members = Vec::new();
        while !self.skip_members_end() {
            members.push((self.short_text()?, self.read()?));
        }
        Ok(members)
    }

    /// Moves over the end of members if it stands here, whole or cut off by the end of the message.
    fn skip_members_end(&mut self) -> bool {
        let len = MEMBERS_END.len().min(self.reader.remaining());
        let is_end = self.reader.rest().get(..len).is_some_and(|head| MEMBERS_END.starts_with(head));
        is_end && self.reader.skip(len).is_ok()
    }

    /// The count is believed one value at a time: nothing is set aside for it.
    fn items(&mut self) -> Result<Vec<Value>, AmfError> {
        let count = self.reader.u32()?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(self.read()?);
        }
        Ok(items)
    }

    fn short_text(&mut self) -> Result<String, AmfError> {
        let len = self.reader.u16()?;
        let bytes = self.reader.bytes(usize::from(len))?;
        self.budget.text(bytes)
    }

    fn long_text(&mut self) -> Result<String, AmfError> {
        let len = usize::try_from(self.reader.u32()?).map_err(|_| AmfError::Truncated)?;
        let bytes = self.reader.bytes(len)?;
        self.budget.text(bytes)
    }
}
