//! The AMF3 reader.

use std::mem;
use std::rc::Rc;

use super::shared::{AmfError, Budget, References};
use super::{Object, Value, Vector, Wrapper, marker};
use crate::wire::Reader;

/// The three reference tables (section 2.2). AMF3 values of one message share them.
#[derive(Debug, Default)]
pub(in crate::rtmp) struct Tables<'a> {
    strings: Vec<&'a [u8]>,
    objects: References<'a>,
    traits: Vec<Rc<Traits<'a>>>,
}

/// What is known of a class from the wire. Names stay bytes of the message until an object needs them.
#[derive(Debug)]
struct Traits<'a> {
    class: &'a [u8],
    names: Vec<&'a [u8]>,
    is_dynamic: bool,
    is_externalizable: bool,
}

/// Reads values that share tables and a budget.
#[derive(Debug)]
pub(in crate::rtmp) struct Decoder<'d, 'a> {
    reader: &'d mut Reader<'a>,
    tables: &'d mut Tables<'a>,
    budget: &'d mut Budget,
    /// Whether this place was read before: then everything in it stands in the tables already.
    replaying: bool,
}

impl<'d, 'a> Decoder<'d, 'a> {
    pub(in crate::rtmp) const fn new(
        reader: &'d mut Reader<'a>,
        tables: &'d mut Tables<'a>,
        budget: &'d mut Budget,
        replaying: bool,
    ) -> Self {
        Decoder { reader, tables, budget, replaying }
    }

    /// Reads one value.
    pub(in crate::rtmp) fn value(&mut self) -> Result<Value, AmfError> {
        let marker = self.reader.u8()?;
        self.budget.take_value()?;
        Ok(match marker {
            marker::UNDEFINED => Value::Undefined,
            marker::NULL => Value::Null,
            marker::FALSE => Value::Boolean(false),
            marker::TRUE => Value::Boolean(true),
            marker::INTEGER => Value::Integer(sign_extended(self.u29()?)),
            marker::DOUBLE => Value::Double(self.reader.f64()?),
            marker::STRING => Value::String(self.text()?),
            marker::XML_DOCUMENT..=marker::DICTIONARY => self.complex(marker)?,
            unknown => return Err(AmfError::UnknownMarker(unknown)),
        })
    }

    /// What can be referred to: the low bit of its header says whether it stands here (1) or did so before (0).
    fn complex(&mut self, marker: u8) -> Result<Value, AmfError> {
        let body = self.reader.clone();
        let header = self.u29()?;
        if header & 1 == 0 {
            return self.replay(header >> 1);
        }
        let index = (!self.replaying).then(|| self.tables.objects.open(marker, body));
        self.budget.enter()?;
        let value = self.body(marker, header >> 1)?;
        self.budget.leave();
        if let Some(index) = index {
            self.tables.objects.close(index);
        }
        Ok(value)
    }

    /// Resolves a reference: reads again what stood there.
    fn replay(&mut self, index: usize) -> Result<Value, AmfError> {
        let (marker, body) = self.tables.objects.find(index)?;
        let here = mem::replace(self.reader, body);
        let was_replaying = mem::replace(&mut self.replaying, true);
        let value = self.complex(marker);
        self.replaying = was_replaying;
        *self.reader = here;
        value
    }

    /// `header`: without its low bit.
    fn body(&mut self, marker: u8, header: usize) -> Result<Value, AmfError> {
        match marker {
            marker::XML_DOCUMENT => Ok(Value::XmlDocument(self.text_of(header)?)),
            marker::DATE => Ok(Value::Date(self.reader.f64()?)),
            marker::ARRAY => self.array(header),
            marker::OBJECT => self.object(header),
            marker::XML => Ok(Value::Xml(self.text_of(header)?)),
            marker::BYTE_ARRAY => {
                let bytes = self.reader.bytes(header)?;
                self.budget.take_bytes(bytes.len())?;
                Ok(Value::ByteArray(bytes.to_vec()))
            }
            marker::VECTOR_INT => Ok(Value::VectorInt(self.numbers(header, i32::from_be_bytes)?)),
            marker::VECTOR_UINT => Ok(Value::VectorUint(self.numbers(header, u32::from_be_bytes)?)),
            marker::VECTOR_DOUBLE => Ok(Value::VectorDouble(self.numbers(header, f64::from_be_bytes)?)),
            marker::VECTOR_OBJECT => {
                let fixed = self.flag()?;
                let class = self.text()?;
                let items = self.values(header)?;
                Ok(Value::VectorObject { class, vector: Vector { fixed, items } })
            }
            marker::DICTIONARY => self.dictionary(header),
            unknown => Err(AmfError::UnknownMarker(unknown)),
        }
    }

    fn array(&mut self, dense_count: usize) -> Result<Value, AmfError> {
        let associative = self.named_values()?;
        let dense = self.values(dense_count)?;
        Ok(Value::Array { associative, dense })
    }

    fn object(&mut self, header: usize) -> Result<Value, AmfError> {
        let traits = self.traits(header)?;
        if traits.is_externalizable {
            let wrapper = Wrapper::of_class(traits.class).ok_or_else(|| AmfError::externalizable(traits.class))?;
            return Ok(Value::Wrapped { wrapper, value: Box::new(self.value()?) });
        }
        let class = self.budget.text(traits.class)?;
        let mut sealed = Vec::new();
        for name in &traits.names {
            sealed.push((self.budget.text(name)?, self.value()?));
        }
        let dynamic = if traits.is_dynamic { Some(self.named_values()?) } else { None };
        Ok(Value::Object(Object { class, sealed, dynamic }))
    }

    /// Section 3.12: from the low bit on "traits follow", "externalizable", "dynamic", and how many names.
    fn traits(&mut self, header: usize) -> Result<Rc<Traits<'a>>, AmfError> {
        if header & 1 == 0 {
            let known = self.tables.traits.get(header >> 1);
            return known.cloned().ok_or(AmfError::BadReference);
        }
        let is_externalizable = header & 2 != 0;
        let is_dynamic = header & 4 != 0;
        let count = if is_externalizable { 0 } else { header >> 3 };
        // Each name brings a value, so this bounds the names of all traits together.
        self.budget.expect_values(count)?;
        let class = self.string()?;
        let mut names = Vec::new();
        for _ in 0..count {
            names.push(self.string()?);
        }
        let traits = Rc::new(Traits { class, names, is_dynamic, is_externalizable });
        if !self.replaying {
            self.tables.traits.push(Rc::clone(&traits));
        }
        Ok(traits)
    }

    fn dictionary(&mut self, count: usize) -> Result<Value, AmfError> {
        let weak_keys = self.flag()?;
        let mut entries = Vec::new();
        for _ in 0..count {
            entries.push((self.value()?, self.value()?));
        }
        Ok(Value::Dictionary { weak_keys, entries })
    }

    /// `count` is believed one value at a time: nothing is set aside for it.
    fn values(&mut self, count: usize) -> Result<Vec<Value>, AmfError> {
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.value()?);
        }
        Ok(values)
    }

    /// Names and values up to the empty name.
    fn named_values(&mut self) -> Result<Vec<(String, Value)>, AmfError> {
        let mut named = Vec::new();
        loop {
            let name = self.text()?;
            if name.is_empty() {
                return Ok(named);
            }
            named.push((name, self.value()?));
        }
    }

    /// A vector of `count` numbers of `N` bytes each.
    fn numbers<T, const N: usize>(&mut self, count: usize, decode: fn([u8; N]) -> T) -> Result<Vector<T>, AmfError> {
        let fixed = self.flag()?;
        let len = count.checked_mul(N).ok_or(AmfError::Truncated)?;
        let bytes = self.reader.bytes(len)?;
        self.budget.take_bytes(len)?;
        let items = bytes.as_chunks::<N>().0.iter().copied().map(decode).collect();
        Ok(Vector { fixed, items })
    }

    fn flag(&mut self) -> Result<bool, AmfError> {
        Ok(self.reader.u8()? != 0)
    }

    /// A string, here or by reference (section 1.3.2). The empty one is never referred to.
    fn string(&mut self) -> Result<&'a [u8], AmfError> {
        let header = self.u29()?;
        if header & 1 == 0 {
            let known = self.tables.strings.get(header >> 1);
            return known.copied().ok_or(AmfError::BadReference);
        }
        let bytes = self.reader.bytes(header >> 1)?;
        if !bytes.is_empty() && !self.replaying {
            self.tables.strings.push(bytes);
        }
        Ok(bytes)
    }

    fn text(&mut self) -> Result<String, AmfError> {
        let bytes = self.string()?;
        self.budget.text(bytes)
    }

    fn text_of(&mut self, len: usize) -> Result<String, AmfError> {
        let bytes = self.reader.bytes(len)?;
        self.budget.text(bytes)
    }

    /// Up to three bytes of seven bits, then one of eight (section 1.3.1).
    fn u29(&mut self) -> Result<usize, AmfError> {
        let mut number = 0;
        for _ in 0..3 {
            let byte = self.reader.u8()?;
            number = number << 7 | usize::from(byte & 0x7F);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Ok(number << 8 | usize::from(self.reader.u8()?))
    }
}

/// The integer in the low 29 bits.
fn sign_extended(u29: usize) -> i32 {
    let low = u32::try_from(u29 & 0x1FFF_FFFF).unwrap_or_default();
    (low << 3).cast_signed() >> 3
}
