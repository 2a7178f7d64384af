//! Tests of AMF3: tables in both directions, limits, properties.

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;

fn encoded(value: &Value) -> Vec<u8> {
    let mut out = BytesMut::new();
    write_value(&mut out, value);
    out.to_vec()
}

fn decoded(bytes: &[u8]) -> Result<Value, AmfError> {
    let mut reader = Reader::new(bytes);
    let value = read_value(&mut reader)?;
    assert!(reader.is_empty(), "{} bytes left", reader.remaining());
    Ok(value)
}

fn array(dense: impl Into<Vec<Value>>) -> Value {
    Value::Array { associative: vec![], dense: dense.into() }
}

fn named(name: &str, value: Value) -> (String, Value) {
    (name.to_owned(), value)
}

/// What is written as it was read.
fn table() -> Vec<(&'static str, Value, &'static [u8])> {
    let sealed = Object {
        class: "p.C".into(),
        sealed: vec![named("a", Value::Integer(1)), named("", Value::Null)],
        dynamic: None,
    };
    let both = Object {
        class: String::new(),
        sealed: vec![named("a", Value::Integer(1))],
        dynamic: Some(vec![named("b", Value::Boolean(true))]),
    };
    vec![
        ("undefined", Value::Undefined, b"\x00"),
        ("null", Value::Null, b"\x01"),
        ("false", Value::Boolean(false), b"\x02"),
        ("true", Value::Boolean(true), b"\x03"),
        ("integer of one byte", Value::Integer(0x7F), b"\x04\x7F"),
        ("integer of two bytes", Value::Integer(0x80), b"\x04\x81\x00"),
        ("largest of two bytes", Value::Integer(0x3FFF), b"\x04\xFF\x7F"),
        ("integer of three bytes", Value::Integer(0x4000), b"\x04\x81\x80\x00"),
        ("largest of three bytes", Value::Integer(0x1F_FFFF), b"\x04\xFF\xFF\x7F"),
        ("integer of four bytes", Value::Integer(0x20_0000), b"\x04\x80\xC0\x80\x00"),
        ("largest integer", Value::Integer(0x0FFF_FFFF), b"\x04\xBF\xFF\xFF\xFF"),
        ("minus one", Value::Integer(-1), b"\x04\xFF\xFF\xFF\xFF"),
        ("smallest integer", Value::Integer(-0x1000_0000), b"\x04\xC0\x80\x80\x00"),
        ("double", Value::Double(1.5), b"\x05\x3F\xF8\0\0\0\0\0\0"),
        ("empty string", Value::string(""), b"\x06\x01"),
        ("string", Value::string("h\u{e9}"), b"\x06\x07h\xC3\xA9"),
        ("XML document", Value::XmlDocument("<a/>".into()), b"\x07\x09<a/>"),
        ("date", Value::Date(1.5), b"\x08\x01\x3F\xF8\0\0\0\0\0\0"),
        ("dense array", array([Value::Null, Value::Integer(5)]), b"\x09\x05\x01\x01\x04\x05"),
        (
            "array of both parts",
            Value::Array { associative: vec![named("k", Value::string("v"))], dense: vec![Value::Boolean(true)] },
            b"\x09\x03\x03k\x06\x03v\x01\x03",
        ),
        ("anonymous object", Value::object([("app", Value::string("live"))]), b"\x0A\x0B\x01\x07app\x06\x09live\x01"),
        ("object of a class", Value::Object(sealed), b"\x0A\x23\x07p.C\x03a\x01\x04\x01\x01"),
        ("object of both", Value::Object(both), b"\x0A\x1B\x01\x03a\x04\x01\x03b\x03\x01"),
        (
            "ArrayCollection",
            Value::Wrapped { wrapper: Wrapper::ArrayCollection, value: Box::new(array([Value::Integer(7)])) },
            b"\x0A\x07\x43flex.messaging.io.ArrayCollection\x09\x03\x01\x04\x07",
        ),
        (
            "ObjectProxy",
            Value::Wrapped { wrapper: Wrapper::ObjectProxy, value: Box::new(Value::object([])) },
            b"\x0A\x07\x3Bflex.messaging.io.ObjectProxy\x0A\x0B\x01\x01",
        ),
        ("XML", Value::Xml("<b/>".into()), b"\x0B\x09<b/>"),
        ("byte array", Value::ByteArray(vec![0, 1, 0xFF]), b"\x0C\x07\x00\x01\xFF"),
        (
            "vector of int",
            Value::VectorInt(Vector { fixed: true, items: vec![-1, 2] }),
            b"\x0D\x05\x01\xFF\xFF\xFF\xFF\0\0\0\x02",
        ),
        (
            "vector of uint",
            Value::VectorUint(Vector { fixed: false, items: vec![u32::MAX] }),
            b"\x0E\x03\x00\xFF\xFF\xFF\xFF",
        ),
        (
            "vector of double",
            Value::VectorDouble(Vector { fixed: false, items: vec![1.5] }),
            b"\x0F\x03\x00\x3F\xF8\0\0\0\0\0\0",
        ),
        (
            "vector of objects",
            Value::VectorObject {
                class: "*".into(),
                vector: Vector { fixed: false, items: vec![Value::Null, Value::string("x")] },
            },
            b"\x10\x05\x00\x03*\x01\x06\x03x",
        ),
        (
            "dictionary",
            Value::Dictionary { weak_keys: true, entries: vec![(Value::Integer(1), Value::string("x"))] },
            b"\x11\x03\x01\x04\x01\x06\x03x",
        ),
    ]
}

#[test]
fn the_table_holds_in_both_directions() {
    for (name, value, bytes) in table() {
        assert_eq!(decoded(bytes).as_ref(), Ok(&value), "{name}");
        assert_eq!(encoded(&value), bytes, "{name}");
    }
}

#[test]
fn every_shorter_start_of_the_table_is_cut_short() {
    for (name, _, bytes) in table() {
        for len in 0..bytes.len() {
            assert_eq!(decoded(&bytes[..len]), Err(AmfError::Truncated), "{name} at {len}");
        }
    }
}

#[test]
fn references_become_copies() {
    let point = |number| {
        Value::Object(Object { class: "P".into(), sealed: vec![named("x", Value::Integer(number))], dynamic: None })
    };
    let ab = Value::string("ab");
    let list = array([Value::Integer(1)]);
    let inner = array([list.clone(), list.clone()]);
    let rows: Vec<(&str, Value, &[u8])> = vec![
        ("string", array([ab.clone(), ab.clone()]), b"\x09\x05\x01\x06\x05ab\x06\x00"),
        (
            "the empty string has no number",
            array([Value::string(""), ab.clone(), ab.clone()]),
            b"\x09\x07\x01\x06\x01\x06\x05ab\x06\x00",
        ),
        (
            "name and string share a table",
            Value::Array { associative: vec![named("ab", Value::Null), named("c", ab.clone())], dense: vec![] },
            b"\x09\x01\x05ab\x01\x03c\x06\x00\x01",
        ),
        ("array", array([list.clone(), list.clone()]), b"\x09\x05\x01\x09\x03\x01\x04\x01\x09\x02"),
        (
            "what holds references itself",
            array([inner.clone(), inner.clone(), list.clone()]),
            b"\x09\x07\x01\x09\x05\x01\x09\x03\x01\x04\x01\x09\x04\x09\x02\x09\x04",
        ),
        (
            "date, and byte array behind it",
            array([Value::Date(0.0), Value::Date(0.0), Value::ByteArray(vec![9]), Value::ByteArray(vec![9])]),
            b"\x09\x09\x01\x08\x01\0\0\0\0\0\0\0\0\x08\x02\x0C\x03\x09\x0C\x04",
        ),
        (
            "traits, then the object",
            array([point(1), point(2), point(1)]),
            b"\x09\x07\x01\x0A\x13\x03P\x03x\x04\x01\x0A\x01\x04\x02\x0A\x02",
        ),
        (
            // What stands in a copy must not enter the tables again: string 1 is "c", traits 1 are those of "Q".
            "numbers behind a copy",
            array([
                point(1),
                point(1),
                Value::string("c"),
                Value::string("c"),
                Value::Object(Object { class: "Q".into(), sealed: vec![], dynamic: None }),
                Value::Object(Object { class: "Q".into(), sealed: vec![], dynamic: None }),
            ]),
            b"\x09\x0D\x01\x0A\x13\x03P\x03x\x04\x01\x0A\x02\x06\x03c\x06\x04\x0A\x03\x03Q\x0A\x05",
        ),
    ];
    for (name, value, bytes) in rows {
        assert_eq!(decoded(bytes), Ok(value), "{name}");
    }
}

#[test]
fn a_wrapper_can_be_referred_to() {
    let wrapper = |value| Value::Wrapped { wrapper: Wrapper::ArrayCollection, value };
    let collection = wrapper(Box::new(array([])));
    let mut bytes = b"\x09\x07\x01\x0A\x07\x43flex.messaging.io.ArrayCollection\x09\x01\x01".to_vec();
    // The collection is object 1 and its array object 2; its traits are traits 0.
    bytes.extend(b"\x0A\x02\x0A\x01\x09\x04");
    assert_eq!(decoded(&bytes), Ok(array([collection.clone(), collection.clone(), collection])));
}

#[test]
fn damage_has_a_name() {
    let rows: Vec<(&str, AmfError, &[u8])> = vec![
        ("first marker that is none", AmfError::UnknownMarker(0x12), b"\x12"),
        ("last marker that is none", AmfError::UnknownMarker(0xFF), b"\x09\x03\x01\xFF"),
        ("string that was not there", AmfError::BadReference, b"\x06\x00"),
        ("object that was not there", AmfError::BadReference, b"\x09\x03\x01\x0A\x04"),
        ("traits that were not there", AmfError::BadReference, b"\x0A\x01"),
        ("array in itself", AmfError::CyclicReference, b"\x09\x03\x01\x09\x00"),
        ("object in its own member", AmfError::CyclicReference, b"\x0A\x0B\x01\x03a\x0A\x00\x01"),
        ("dictionary as its own key", AmfError::CyclicReference, b"\x11\x03\x00\x11\x00\x01"),
        ("array of many in few bytes", AmfError::Truncated, b"\x09\xFF\xFF\xFF\xFF\x01\x01"),
        ("vector of many in few bytes", AmfError::Truncated, b"\x0F\xFF\xFF\xFF\xFF\x00\x01"),
        ("bytes beyond the end", AmfError::Truncated, b"\x0C\xFF\xFF\xFF\xFF\x01"),
        ("names beyond all values", AmfError::TooManyValues, b"\x0A\xFF\xFF\xFF\xFB\x01"),
        (
            "class with a format of its own",
            AmfError::Externalizable("app.Thing".into()),
            b"\x0A\x07\x13app.Thing\x01\x02\x03",
        ),
    ];
    for (name, error, bytes) in rows {
        assert_eq!(decoded(bytes), Err(error), "{name}");
    }
}

#[test]
fn the_error_repeats_only_the_start_of_a_class_name() {
    let mut bytes = b"\x0A\x07\x87\x69".to_vec();
    bytes.extend([b'x'; 500]);
    assert_eq!(decoded(&bytes), Err(AmfError::Externalizable("x".repeat(64))));
}

#[test]
fn integers_beyond_29_bits_are_written_as_doubles() {
    for number in [0x1000_0000, -0x1000_0001, i32::MAX, i32::MIN] {
        let bytes = encoded(&Value::Integer(number));
        assert_eq!(decoded(&bytes), Ok(Value::Double(f64::from(number))));
    }
}

#[test]
fn what_an_empty_name_would_end_is_not_written() {
    let members = vec![named("", Value::Null), named("a", Value::Null)];
    let kept = vec![named("a", Value::Null)];
    let value = Value::Array { associative: members.clone(), dense: vec![Value::Null] };
    let expected = Value::Array { associative: kept.clone(), dense: vec![Value::Null] };
    assert_eq!(decoded(&encoded(&value)), Ok(expected));
    let object = |dynamic| Value::Object(Object { dynamic: Some(dynamic), ..Object::default() });
    assert_eq!(decoded(&encoded(&object(members))), Ok(object(kept)));
}

#[test]
fn text_that_is_not_utf8_is_read_lossily() {
    assert_eq!(decoded(b"\x06\x05a\xFF"), Ok(Value::string("a\u{FFFD}")));
}

#[test]
fn nesting_is_limited() {
    let nested = |depth: usize| {
        let mut bytes = b"\x09\x03\x01".repeat(depth);
        bytes.push(1);
        bytes
    };
    assert!(decoded(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(decoded(&nested(MAX_DEPTH + 1)), Err(AmfError::TooDeep));
    assert_eq!(decoded(&nested(10_000)), Err(AmfError::TooDeep));
    let objects = b"\x0A\x0B\x01\x03a".repeat(10_000);
    assert_eq!(decoded(&objects), Err(AmfError::TooDeep));
}

/// `levels` arrays in an array, each but the first of ten references to the one before.
fn bomb(levels: u8) -> Vec<u8> {
    let mut bytes = vec![0x09, levels << 1 | 1, 1, 0x09, 0x15, 1];
    bytes.extend([1; 10]);
    for level in 1..levels {
        bytes.extend([0x09, 0x15, 1]);
        bytes.extend([0x09, level << 1].repeat(10));
    }
    bytes
}

#[test]
fn references_count_as_what_they_name() {
    assert!(decoded(&bomb(3)).is_ok());
    for levels in [5, 8, 30] {
        assert_eq!(decoded(&bomb(levels)), Err(AmfError::TooManyValues));
    }
}

#[test]
fn the_number_of_values_is_limited() {
    let nulls = |count: usize| {
        let mut out = BytesMut::new();
        write_value(&mut out, &array(vec![Value::Null; count]));
        out
    };
    assert!(decoded(&nulls(MAX_VALUES - 1)).is_ok());
    assert_eq!(decoded(&nulls(MAX_VALUES)), Err(AmfError::TooManyValues));
}

/// An array of `item`, then `count` times `reference`.
fn copies(item: &Value, reference: &[u8], count: usize) -> Vec<u8> {
    let mut bytes = encoded(&array(vec![Value::Null; count + 1]));
    bytes.truncate(bytes.len() - count - 1);
    bytes.extend(encoded(item));
    bytes.extend(reference.repeat(count));
    bytes
}

#[test]
fn what_references_copy_is_limited() {
    let text = "x".repeat(10_000);
    let wide = Value::Object(Object { sealed: vec![(text.clone(), Value::Null)], ..Object::default() });
    let vector = Vector { fixed: false, items: vec![0; 2_500] };
    let rows: [(&str, Value, &[u8]); 6] = [
        ("string", Value::string(text.as_str()), b"\x06\x00"),
        ("names of traits", wide.clone(), b"\x0A\x01\x01"),
        ("object", wide, b"\x0A\x02"),
        ("XML", Value::Xml(text), b"\x0B\x02"),
        ("byte array", Value::ByteArray(vec![0; 10_000]), b"\x0C\x02"),
        ("vector", Value::VectorInt(vector), b"\x0D\x02"),
    ];
    for (name, item, reference) in rows {
        assert!(decoded(&copies(&item, reference, 8)).is_ok(), "{name}");
        let many = copies(&item, reference, 1_000);
        assert_eq!(decoded(&many), Err(AmfError::TooManyBytes), "{name}");
    }
}

#[test]
fn ordinary_use_of_references_fits_the_limits() {
    // Objects of one class with long names: many times the bytes of the message.
    let name = |index| format!("aLongNameOfAMemberOfThisClass{index}");
    let sealed = (0..3).map(|index| (name(index), Value::Null)).collect();
    let item = Value::Object(Object { sealed, ..Object::default() });
    let bytes = copies(&item, b"\x0A\x01\x01\x01\x01", 1_000);
    assert!(decoded(&bytes).is_ok());
}

#[test]
fn views_see_through_wrappers() {
    let proxy =
        Value::Wrapped { wrapper: Wrapper::ObjectProxy, value: Box::new(Value::object([("a", Value::Integer(1))])) };
    assert_eq!(proxy.entries().collect::<Vec<_>>(), [("a", &Value::Integer(1))]);
    let collection = Value::Wrapped { wrapper: Wrapper::ArrayCollection, value: Box::new(array([Value::string("x")])) };
    assert_eq!(collection.elements().collect::<Vec<_>>(), [&Value::string("x")]);
    let vector = Vector { fixed: true, items: vec![Value::Null] };
    let vector = Value::VectorObject { class: "*".into(), vector };
    assert_eq!(vector.elements().count(), 1);
    assert_eq!(Value::Null.elements().count() + Value::Null.entries().count(), 0);
}

fn any_vector<T: std::fmt::Debug>(item: impl Strategy<Value = T>) -> impl Strategy<Value = Vector<T>> {
    (any::<bool>(), prop::collection::vec(item, 0..4)).prop_map(|(fixed, items)| Vector { fixed, items })
}

fn any_leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Undefined),
        Just(Value::Null),
        any::<bool>().prop_map(Value::Boolean),
        (-0x1000_0000..=0x0FFF_FFFF).prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Double),
        any::<String>().prop_map(Value::String),
        any::<String>().prop_map(Value::XmlDocument),
        any::<f64>().prop_map(Value::Date),
        any::<String>().prop_map(Value::Xml),
        any::<Vec<u8>>().prop_map(Value::ByteArray),
        any_vector(any::<i32>()).prop_map(Value::VectorInt),
        any_vector(any::<u32>()).prop_map(Value::VectorUint),
        any_vector(any::<f64>()).prop_map(Value::VectorDouble),
    ]
}

/// Any value that is written as it is.
pub(in crate::rtmp) fn any_value() -> impl Strategy<Value = Value> {
    any_leaf().prop_recursive(4, 48, 5, |inner| {
        let some_name = any::<String>().prop_filter("empty", |name| !name.is_empty());
        let named = prop::collection::vec((some_name, inner.clone()), 0..4);
        let values = prop::collection::vec(inner.clone(), 0..4);
        let sealed = prop::collection::vec((any::<String>(), inner.clone()), 0..4);
        let wrapper = prop_oneof![Just(Wrapper::ArrayCollection), Just(Wrapper::ObjectProxy)];
        prop_oneof![
            (named.clone(), values).prop_map(|(associative, dense)| Value::Array { associative, dense }),
            (any::<String>(), sealed, prop::option::of(named))
                .prop_map(|(class, sealed, dynamic)| Value::Object(Object { class, sealed, dynamic })),
            (wrapper, inner.clone()).prop_map(|(wrapper, value)| Value::Wrapped { wrapper, value: Box::new(value) }),
            (any::<String>(), any_vector(inner.clone()))
                .prop_map(|(class, vector)| Value::VectorObject { class, vector }),
            (any::<bool>(), prop::collection::vec((inner.clone(), inner), 0..3))
                .prop_map(|(weak_keys, entries)| Value::Dictionary { weak_keys, entries }),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(value in any_value()) {
        prop_assert_eq!(decoded(&encoded(&value)), Ok(value));
    }

    #[test]
    fn a_cut_off_value_is_cut_short(value in any_value(), at in any::<prop::sample::Index>()) {
        let bytes = encoded(&value);
        let start = &bytes[..at.index(bytes.len())];
        prop_assert_eq!(decoded(start), Err(AmfError::Truncated));
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = read_value(&mut Reader::new(&bytes));
    }

    /// Small bytes are mostly markers, headers and references.
    #[test]
    fn no_plausible_bytes_panic(bytes in prop::collection::vec(0_u8..0x16, 0..400)) {
        let _ = read_value(&mut Reader::new(&bytes));
    }

    #[test]
    fn one_wrong_byte_does_not_panic(
        value in any_value(), at in any::<prop::sample::Index>(), byte: u8,
    ) {
        let mut bytes = encoded(&value);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = read_value(&mut Reader::new(&bytes));
    }
}
