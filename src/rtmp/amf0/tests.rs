//! Tests of AMF0: tables in both directions, limits, properties.

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::wire::Reader;

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

fn strict(items: impl Into<Vec<Value>>) -> Value {
    Value::StrictArray(items.into())
}

/// What is written as it was read.
fn table() -> Vec<(&'static str, Value, &'static [u8])> {
    let typed = Value::TypedObject {
        class: "p.C".into(),
        members: vec![("a".into(), Value::Null), ("a".into(), Value::Undefined)],
    };
    let amf3_object = amf3::Value::object([("a", amf3::Value::Null)]);
    vec![
        ("number", Value::Number(1.5), b"\x00\x3F\xF8\0\0\0\0\0\0"),
        ("false", Value::Boolean(false), b"\x01\x00"),
        ("true", Value::Boolean(true), b"\x01\x01"),
        ("string", Value::string("h\u{e9}"), b"\x02\0\x03h\xC3\xA9"),
        ("empty string", Value::string(""), b"\x02\0\0"),
        ("empty object", Value::object([]), b"\x03\0\0\x09"),
        (
            "object",
            Value::object([("app", Value::string("live")), ("", Value::Null)]),
            b"\x03\0\x03app\x02\0\x04live\0\0\x05\0\0\x09",
        ),
        (
            "object in an object",
            Value::object([("o", Value::object([("b", Value::Boolean(true))]))]),
            b"\x03\0\x01o\x03\0\x01b\x01\x01\0\0\x09\0\0\x09",
        ),
        ("null", Value::Null, b"\x05"),
        ("undefined", Value::Undefined, b"\x06"),
        (
            "ECMA array",
            Value::ecma_array([("0", Value::Null), ("k", Value::Boolean(false))]),
            b"\x08\0\0\0\x02\0\x010\x05\0\x01k\x01\0\0\0\x09",
        ),
        ("strict array", strict([Value::Null, Value::string("x")]), b"\x0A\0\0\0\x02\x05\x02\0\x01x"),
        (
            "ECMA array in a strict array",
            strict([Value::ecma_array([("a", Value::Null)]), Value::Null]),
            b"\x0A\0\0\0\x02\x08\0\0\0\x01\0\x01a\x05\0\0\x09\x05",
        ),
        (
            "strict array in an ECMA array",
            Value::ecma_array([("a", strict([Value::Null])), ("b", Value::Undefined)]),
            b"\x08\0\0\0\x02\0\x01a\x0A\0\0\0\x01\x05\0\x01b\x06\0\0\x09",
        ),
        ("date", Value::Date { epoch_ms: 1.5, time_zone_minutes: -60 }, b"\x0B\x3F\xF8\0\0\0\0\0\0\xFF\xC4"),
        ("unsupported", Value::Unsupported, b"\x0D"),
        ("XML document", Value::XmlDocument("<a/>".into()), b"\x0F\0\0\0\x04<a/>"),
        ("typed object", typed, b"\x10\0\x03p.C\0\x01a\x05\0\x01a\x06\0\0\x09"),
        ("AMF3 value", Value::Amf3(amf3::Value::Integer(5)), b"\x11\x04\x05"),
        (
            "AMF3 object between AMF0 values",
            strict([Value::Amf3(amf3_object), Value::Null]),
            b"\x0A\0\0\0\x02\x11\x0A\x0B\x01\x03a\x01\x01\x05",
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

/// Whether `start` is `whole` with members missing at the end, at any depth.
fn is_start_of(start: &Value, whole: &Value) -> bool {
    let members_are = |start: &[(String, Value)], whole: &[(String, Value)]| {
        let whole_but_last = start.len().saturating_sub(1);
        start.len() <= whole.len()
            && start.iter().zip(whole).take(whole_but_last).all(|(start, whole)| start == whole)
            && start
                .iter()
                .zip(whole)
                .skip(whole_but_last)
                .all(|((name, start), (same, whole))| name == same && is_start_of(start, whole))
    };
    match (start, whole) {
        (Value::Object(start), Value::Object(whole)) | (Value::EcmaArray(start), Value::EcmaArray(whole)) => {
            members_are(start, whole)
        }
        (Value::TypedObject { class, members: start }, Value::TypedObject { class: same, members: whole }) => {
            class == same && members_are(start, whole)
        }
        (Value::StrictArray(start), Value::StrictArray(whole)) => {
            start.len() == whole.len() && start.iter().zip(whole).all(|(start, whole)| is_start_of(start, whole))
        }
        _ => start == whole,
    }
}

/// What the reader makes of a value that the end of the message cuts off.
fn check_cut_off(name: &str, whole: &Value, start: &[u8]) {
    match decoded(start) {
        Err(error) => assert_eq!(error, AmfError::Truncated, "{name} at {}", start.len()),
        Ok(value) => assert!(is_start_of(&value, whole), "{name} at {}: {value:?}", start.len()),
    }
}

#[test]
fn every_shorter_start_of_the_table_is_cut_short_or_ends_between_members() {
    for (name, value, bytes) in table() {
        (0..bytes.len()).for_each(|len| check_cut_off(name, &value, &bytes[..len]));
    }
}

#[test]
fn the_count_of_an_ecma_array_is_only_a_hint() {
    let value = Value::ecma_array([("a", Value::Null), ("b", Value::Null)]);
    for count in [0_u32, 1, 2, 3, 0x7FFF_FFFF, u32::MAX] {
        let mut bytes = vec![marker::ECMA_ARRAY];
        bytes.extend(count.to_be_bytes());
        bytes.extend(b"\0\x01a\x05\0\x01b\x05");
        assert_eq!(decoded(&bytes).as_ref(), Ok(&value), "{count} without an end marker");
        bytes.extend(MEMBERS_END);
        assert_eq!(decoded(&bytes).as_ref(), Ok(&value), "{count}");
    }
}

#[test]
fn members_may_end_with_the_message_instead_of_an_end_marker() {
    let object = Value::object([("a", Value::object([("b", Value::Null)]))]);
    let whole = encoded(&object);
    for missing in 1..=6 {
        assert_eq!(decoded(&whole[..whole.len() - missing]).as_ref(), Ok(&object), "{missing}");
    }
}

#[test]
fn arrays_of_both_kinds_in_each_other_with_wrong_counts() {
    let bytes = b"\x0A\0\0\0\x02\x08\0\0\0\0\0\x01a\x0A\0\0\0\x01\x08\0\0\0\x63\0\0\x09\0\0\x09\x05";
    let inner = strict([Value::ecma_array([])]);
    assert_eq!(decoded(bytes), Ok(strict([Value::ecma_array([("a", inner)]), Value::Null])));
}

#[test]
fn text_that_is_not_utf8_is_read_lossily() {
    let expected = Value::object([("\u{FFFD}", Value::string("a\u{FFFD}"))]);
    assert_eq!(decoded(b"\x03\0\x01\xFF\x02\0\x02a\xFE\0\0\x09"), Ok(expected));
}

#[test]
fn strings_beyond_16_bits_are_long_strings() {
    for (len, marker) in [(65_535, marker::STRING), (65_536, marker::LONG_STRING)] {
        let value = Value::String("x".repeat(len));
        let bytes = encoded(&value);
        assert_eq!(bytes[0], marker);
        assert_eq!(decoded(&bytes), Ok(value));
    }
    assert_eq!(decoded(b"\x0C\0\0\0\x02ab"), Ok(Value::string("ab")));
}

#[test]
fn names_beyond_16_bits_are_cut_between_characters() {
    let name = format!("x{}", "\u{e9}".repeat(40_000));
    let bytes = encoded(&Value::Object(vec![(name.clone(), Value::Null)]));
    let expected = Value::object([(&name[..65_535], Value::Null)]);
    assert_eq!(decoded(&bytes), Ok(expected));
    let name = "\u{e9}".repeat(40_000);
    let bytes = encoded(&Value::Object(vec![(name.clone(), Value::Null)]));
    assert_eq!(decoded(&bytes), Ok(Value::object([(&name[..65_534], Value::Null)])));
}

#[test]
fn a_number_that_is_not_one_keeps_its_bits() {
    let number = f64::from_bits(0x7FF8_0000_0000_1234);
    let read = decoded(&encoded(&Value::Number(number))).unwrap().as_number();
    assert_eq!(read.map(f64::to_bits), Some(number.to_bits()));
}

#[test]
fn references_become_copies() {
    let object = Value::object([("a", Value::Null)]);
    let typed = Value::TypedObject { class: "C".into(), members: vec![] };
    let list = strict([object.clone(), object.clone()]);
    let rows: Vec<(&str, Value, &[u8])> = vec![
        (
            "the object before",
            strict([object.clone(), object.clone()]),
            b"\x0A\0\0\0\x02\x03\0\x01a\x05\0\0\x09\x07\0\x01",
        ),
        (
            "what holds references itself",
            strict([list.clone(), list.clone(), object.clone()]),
            b"\x0A\0\0\0\x03\x0A\0\0\0\x02\x03\0\x01a\x05\0\0\x09\x07\0\x02\x07\0\x01\x07\0\x02",
        ),
        (
            // What stands in a copy must not enter the table again: the typed object is number 2.
            "numbers behind a copy",
            strict([object.clone(), object, typed.clone(), typed]),
            b"\x0A\0\0\0\x04\x03\0\x01a\x05\0\0\x09\x07\0\x01\x10\0\x01C\0\0\x09\x07\0\x02",
        ),
        (
            "ECMA array, and dates have no number",
            strict([Value::Date { epoch_ms: 0.0, time_zone_minutes: 0 }, Value::ecma_array([]), Value::ecma_array([])]),
            b"\x0A\0\0\0\x03\x0B\0\0\0\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\x09\x07\0\x01",
        ),
        (
            "AMF3 has numbers of its own, also in a copy",
            strict([
                strict([Value::Amf3(amf3::Value::string("x"))]),
                strict([Value::Amf3(amf3::Value::string("x"))]),
                Value::Amf3(amf3::Value::string("y")),
                Value::Amf3(amf3::Value::string("y")),
            ]),
            b"\x0A\0\0\0\x04\x0A\0\0\0\x01\x11\x06\x03x\x07\0\x01\x11\x06\x03y\x11\x06\x02",
        ),
    ];
    for (name, value, bytes) in rows {
        assert_eq!(decoded(bytes), Ok(value), "{name}");
    }
}

#[test]
fn values_of_one_message_share_references() {
    let object = Value::object([("a", Value::Null)]);
    let bytes = b"\x03\0\x01a\x05\0\0\x09\x07\0\0\x11\x06\x03x\x11\x06\0";
    let x = Value::Amf3(amf3::Value::string("x"));
    assert_eq!(read_values(bytes), [object.clone(), object, x.clone(), x]);
}

#[test]
fn damage_has_a_name() {
    let rows: Vec<(&str, AmfError, &[u8])> = vec![
        ("nothing", AmfError::Truncated, b""),
        ("movie clip", AmfError::UnknownMarker(0x04), b"\x04"),
        ("end of no object", AmfError::UnknownMarker(0x09), b"\x09"),
        ("record set", AmfError::UnknownMarker(0x0E), b"\x0E"),
        ("first marker that is none", AmfError::UnknownMarker(0x12), b"\x12"),
        ("last marker that is none", AmfError::UnknownMarker(0xFF), b"\xFF"),
        ("end marker behind a name", AmfError::UnknownMarker(0x09), b"\x03\0\x01a\x09"),
        ("AMF3 marker that is none", AmfError::UnknownMarker(0x12), b"\x11\x12"),
        ("object that was not there", AmfError::BadReference, b"\x07\0\0"),
        ("object in itself", AmfError::CyclicReference, b"\x03\0\x01a\x07\0\0\0\0\x09"),
        ("array in itself", AmfError::CyclicReference, b"\x0A\0\0\0\x01\x0A\0\0\0\x01\x07\0\0"),
        ("array of many in few bytes", AmfError::Truncated, b"\x0A\xFF\xFF\xFF\xFF\x05\x05"),
        ("long string beyond the end", AmfError::Truncated, b"\x0C\xFF\xFF\xFF\xFFabc"),
        ("XML beyond the end", AmfError::Truncated, b"\x0F\xFF\xFF\xFF\xFFabc"),
    ];
    for (name, error, bytes) in rows {
        assert_eq!(decoded(bytes), Err(error), "{name}");
    }
}

#[test]
fn a_damaged_value_ends_the_list() {
    assert_eq!(read_values(b""), []);
    assert_eq!(read_values(b"\x05\x06\x04\x05"), [Value::Null, Value::Undefined]);
    assert_eq!(read_values(b"\x05\x02\0\x09ab"), [Value::Null]);
}

#[test]
fn reading_one_value_leaves_the_rest() {
    let bytes = b"\x02\0\x01x\x05\x06";
    let mut reader = Reader::new(bytes);
    assert_eq!(read_value(&mut reader), Ok(Value::string("x")));
    assert_eq!(reader.rest(), b"\x05\x06");
    let mut decoder = Decoder::new(bytes);
    assert_eq!(decoder.read(), Ok(Value::string("x")));
    assert_eq!(decoder.rest(), b"\x05\x06");
    assert_eq!(decoder.read_rest(), [Value::Null, Value::Undefined]);
}

#[test]
fn nesting_is_limited() {
    let levels: [&[u8]; 4] = [b"\x03\0\x01a", b"\x08\0\0\0\0\0\x01a", b"\x0A\0\0\0\x01", b"\x10\0\x01C\0\x01a"];
    let nested = |level: &[u8], depth| [level.repeat(depth), vec![marker::NULL]].concat();
    for level in levels {
        assert!(decoded(&nested(level, MAX_DEPTH)).is_ok());
        assert_eq!(decoded(&nested(level, MAX_DEPTH + 1)), Err(AmfError::TooDeep));
        assert_eq!(decoded(&nested(level, 10_000)), Err(AmfError::TooDeep));
    }
}

#[test]
fn amf3_inside_amf0_goes_on_counting_depth() {
    let nested = |amf0, amf3| {
        let outer = b"\x0A\0\0\0\x01".repeat(amf0);
        [outer, vec![marker::AVM_PLUS], b"\x09\x03\x01".repeat(amf3), vec![1]].concat()
    };
    assert!(decoded(&nested(20, MAX_DEPTH - 20)).is_ok());
    assert_eq!(decoded(&nested(20, MAX_DEPTH - 19)), Err(AmfError::TooDeep));
}

#[test]
fn the_number_of_values_is_limited_over_the_whole_message() {
    let nulls = |count| encoded(&strict(vec![Value::Null; count]));
    assert!(decoded(&nulls(MAX_VALUES - 1)).is_ok());
    assert_eq!(decoded(&nulls(MAX_VALUES)), Err(AmfError::TooManyValues));
    assert_eq!(read_values(&[marker::NULL; MAX_VALUES + 10]).len(), MAX_VALUES);
    assert_eq!(read_values(&b"\x11\x01".repeat(MAX_VALUES + 10)).len(), MAX_VALUES);
    let amf3 = amf3::Value::Array { associative: vec![], dense: vec![amf3::Value::Null; 9] };
    let ten_each = encoded(&Value::Amf3(amf3)).repeat(MAX_VALUES);
    assert_eq!(read_values(&ten_each).len(), MAX_VALUES / 10);
}

#[test]
fn a_bomb_of_references_is_refused() {
    // Each level is ten references to the one before: 10^levels values from 30 bytes each.
    let bomb = |levels: u16| {
        let mut bytes = vec![marker::STRICT_ARRAY, 0, 0, 0, levels as u8];
        bytes.extend(b"\x0A\0\0\0\x0A");
        bytes.extend([marker::NULL; 10]);
        for level in 1..levels {
            let reference = [&[marker::REFERENCE][..], &level.to_be_bytes()].concat();
            bytes.extend(b"\x0A\0\0\0\x0A");
            bytes.extend(reference.repeat(10));
        }
        bytes
    };
    assert!(decoded(&bomb(3)).is_ok());
    for levels in [5, 9, 30] {
        assert_eq!(decoded(&bomb(levels)), Err(AmfError::TooManyValues));
    }
}

#[test]
fn what_references_copy_is_limited() {
    let text = "x".repeat(10_000);
    let items = [
        Value::object([("text", Value::string(text.as_str()))]),
        Value::object([(text.as_str(), Value::Null)]),
        Value::TypedObject { class: text.clone(), members: vec![] },
        strict([Value::XmlDocument(text.clone())]),
        strict([Value::Amf3(amf3::Value::ByteArray(text.into_bytes()))]),
    ];
    for item in items {
        let copies = |count: usize| [encoded(&item), b"\x07\0\0".repeat(count)].concat();
        assert_eq!(read_values(&copies(8)), vec![item.clone(); 9]);
        assert!(read_values(&copies(1_000)).len() < 50);
    }
}

#[test]
fn what_stands_in_the_message_itself_is_not_limited() {
    let text = "x".repeat(2_000_000);
    let value = strict([Value::string(text.as_str()), Value::Amf3(amf3::Value::string(text))]);
    assert_eq!(decoded(&encoded(&value)), Ok(value));
}

#[test]
fn views_are_the_same_over_both_encodings() {
    use amf3::Value as Amf3;
    let texts = ["av01", "hvc1"];
    let amf3_list = Amf3::Array { associative: vec![], dense: texts.map(Amf3::string).to_vec() };
    let lists = [
        strict(texts.map(Value::string)),
        Value::ecma_array([("0", Value::string("av01")), ("1", Value::string("hvc1"))]),
        Value::Amf3(amf3_list.clone()),
    ];
    let mut objects: Vec<Value> = lists
        .into_iter()
        .map(|list| {
            Value::object([
                ("list", list),
                ("tcUrl", Value::string("u")),
                ("capsEx", Value::Number(2.0)),
                ("fpad", Value::Boolean(true)),
                ("map", Value::object([("*", Value::Number(4.0))])),
            ])
        })
        .collect();
    objects.push(Value::Amf3(Amf3::object([
        ("list", amf3_list),
        ("tcUrl", Amf3::string("u")),
        ("capsEx", Amf3::Integer(2)),
        ("fpad", Amf3::Boolean(true)),
        ("map", Amf3::object([("*", Amf3::Double(4.0))])),
    ])));
    for object in &objects {
        assert!(object.view().is_object());
        assert_eq!(object.member("tcUrl").and_then(ValueRef::as_str), Some("u"));
        assert_eq!(object.member("capsEx").and_then(ValueRef::as_number), Some(2.0));
        assert_eq!(object.member("fpad").and_then(ValueRef::as_bool), Some(true));
        assert_eq!(object.member("none"), None);
        let list = object.member("list").unwrap();
        assert_eq!(list.elements().filter_map(ValueRef::as_str).collect::<Vec<_>>(), texts);
        let map = object.member("map").unwrap();
        let map: Vec<_> = map.entries().map(|(key, value)| (key, value.as_number())).collect();
        assert_eq!(map, [("*", Some(4.0))]);
    }
}

#[test]
fn views_of_other_kinds_show_nothing() {
    for value in [Value::Null, Value::Undefined, Value::Amf3(amf3::Value::Null)] {
        assert!(value.view().is_null() && !value.view().is_object());
        assert_eq!((value.as_number(), value.as_str(), value.as_bool()), (None, None, None));
        assert_eq!(value.entries().count() + value.elements().count(), 0);
    }
    let twice = Value::object([("a", Value::Null), ("a", Value::Number(1.0))]);
    assert_eq!(twice.member("a"), Some(ValueRef::Amf0(&Value::Null)));
    assert_eq!(twice.elements().count(), 0);
}

fn any_leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<f64>().prop_map(Value::Number),
        any::<bool>().prop_map(Value::Boolean),
        any::<String>().prop_map(Value::String),
        Just(Value::Null),
        Just(Value::Undefined),
        (any::<f64>(), any::<i16>())
            .prop_map(|(epoch_ms, time_zone_minutes)| Value::Date { epoch_ms, time_zone_minutes }),
        Just(Value::Unsupported),
        any::<String>().prop_map(Value::XmlDocument),
    ]
}

/// Any value that is written as it is.
pub(in crate::rtmp) fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![8 => any_leaf(), 1 => amf3::tests::any_value().prop_map(Value::Amf3)];
    leaf.prop_recursive(4, 48, 5, |inner| {
        let members = prop::collection::vec((any::<String>(), inner.clone()), 0..5);
        prop_oneof![
            members.clone().prop_map(Value::Object),
            members.clone().prop_map(Value::EcmaArray),
            prop::collection::vec(inner, 0..5).prop_map(Value::StrictArray),
            (any::<String>(), members).prop_map(|(class, members)| Value::TypedObject { class, members }),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(value in any_value()) {
        prop_assert_eq!(decoded(&encoded(&value)), Ok(value));
    }

    #[test]
    fn lists_are_read_again(values in prop::collection::vec(any_value(), 0..5)) {
        let bytes: Vec<u8> = values.iter().flat_map(encoded).collect();
        prop_assert_eq!(read_values(&bytes), values);
    }

    #[test]
    fn a_cut_off_value_is_cut_short_or_ends_between_members(
        value in any_value(), at in any::<prop::sample::Index>(),
    ) {
        let bytes = encoded(&value);
        check_cut_off("any", &value, &bytes[..at.index(bytes.len())]);
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        read_values(&bytes);
    }

    /// Small bytes are mostly markers, short lengths and references.
    #[test]
    fn no_plausible_bytes_panic(bytes in prop::collection::vec(0_u8..0x14, 0..400)) {
        read_values(&bytes);
    }

    #[test]
    fn one_wrong_byte_does_not_panic(
        value in any_value(), at in any::<prop::sample::Index>(), byte: u8,
    ) {
        let mut bytes = encoded(&value);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        read_values(&bytes);
    }
}
