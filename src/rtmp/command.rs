//! Commands (RTMP 1.0, section 7.2): name, transaction id, command object, arguments.
//!
//! Owns: the shape of a command and of the answers. Does not know what a session does with them.

use bytes::{Bytes, BytesMut};

use super::amf0::{AmfError, Decoder, Value, ValueRef, write_value};
use super::message::type_id::COMMAND_AMF3;

/// First byte of an AMF3 command: what follows is AMF0, with AMF3 values behind 0x11.
const FORMAT_AMF0: u8 = 0;

/// A command message, AMF0 or AMF3, decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// `connect`, `publish`, `_result`, ...
    pub name: String,
    /// 0 where no answer is wanted.
    pub transaction_id: f64,
    /// The command object, [`Value::Null`] where there was none.
    pub object: Value,
    /// What follows it.
    pub arguments: Vec<Value>,
}

impl Command {
    /// A command or answer.
    pub fn new(name: impl Into<String>, transaction_id: f64, object: Value, arguments: impl Into<Vec<Value>>) -> Self {
        Command { name: name.into(), transaction_id, object, arguments: arguments.into() }
    }

    /// The answer `_result` to the command `transaction_id`.
    pub fn result(transaction_id: f64, object: Value, arguments: impl Into<Vec<Value>>) -> Self {
        Self::new("_result", transaction_id, object, arguments)
    }

    /// The answer `_error` to the command `transaction_id`.
    pub fn error(transaction_id: f64, object: Value, arguments: impl Into<Vec<Value>>) -> Self {
        Self::new("_error", transaction_id, object, arguments)
    }

    /// `onStatus` with its information object (7.2.2).
    pub fn on_status(information: Value) -> Self {
        Self::new("onStatus", 0.0, Value::Null, [information])
    }

    /// Decodes the body of a command message of either encoding (type 20; type 17 with its leading format byte 0).
    ///
    /// Clients leave things out, so a second value that is no number is already the command object (the transaction
    /// id is then 0), and where an object should stand but a string, number, boolean or strict array does, that is
    /// already the first argument (the object is then [`Value::Null`]). Damage behind the name ends the arguments.
    ///
    /// # Errors
    /// [`AmfError`] where not even the name could be read.
    pub fn decode(type_id: u8, payload: &Bytes) -> Result<Command, AmfError> {
        let body = match payload.split_first() {
            Some((&FORMAT_AMF0, body)) if type_id == COMMAND_AMF3 => body,
            _ => payload,
        };
        let mut decoder = Decoder::new(body);
        let name = decoder.read()?.as_str().ok_or(AmfError::NoName)?.to_owned();
        let mut rest = decoder.read_rest().into_iter().peekable();
        let transaction_id = rest.next_if(|value| value.as_number().is_some());
        let object = rest.next_if(|value| value.view().is_null() || value.view().is_object());
        Ok(Command {
            name,
            transaction_id: transaction_id.and_then(|id| id.as_number()).unwrap_or(0.0),
            object: object.unwrap_or(Value::Null),
            arguments: rest.collect(),
        })
    }

    /// Appends the body of an AMF0 command message.
    pub fn encode(&self, out: &mut BytesMut) {
        write_value(out, &Value::string(self.name.as_str()));
        write_value(out, &Value::Number(self.transaction_id));
        write_value(out, &self.object);
        self.arguments.iter().for_each(|argument| write_value(out, argument));
    }

    /// The argument at `index`, counted from 0 behind the command object.
    pub fn argument(&self, index: usize) -> Option<ValueRef<'_>> {
        self.arguments.get(index).map(Value::view)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::amf0::tests::any_value;
    use super::super::amf3;
    use super::super::message::type_id::COMMAND_AMF0;
    use super::*;

    fn encoded(command: &Command) -> Bytes {
        let mut out = BytesMut::new();
        command.encode(&mut out);
        out.freeze()
    }

    fn decoded(type_id: u8, payload: &[u8]) -> Result<Command, AmfError> {
        Command::decode(type_id, &Bytes::copy_from_slice(payload))
    }

    const ONE: &[u8] = b"\0\x3F\xF0\0\0\0\0\0\0";

    fn table() -> Vec<(&'static str, Command, Vec<u8>)> {
        let live = Value::object([("app", Value::string("live"))]);
        vec![
            (
                "connect",
                Command::new("connect", 1.0, live, []),
                [b"\x02\0\x07connect", ONE, b"\x03\0\x03app\x02\0\x04live\0\0\x09"].concat(),
            ),
            (
                "play",
                Command::new("play", 0.0, Value::Null, [Value::string("s"), Value::Number(1.0)]),
                [b"\x02\0\x04play\0\0\0\0\0\0\0\0\0\x05\x02\0\x01s", ONE].concat(),
            ),
            (
                "_result",
                Command::result(1.0, Value::Null, [Value::Undefined]),
                [b"\x02\0\x07_result", ONE, b"\x05\x06"].concat(),
            ),
            (
                "_error",
                Command::error(1.0, Value::Null, [Value::Null]),
                [b"\x02\0\x06_error", ONE, b"\x05\x05"].concat(),
            ),
            (
                "onStatus",
                Command::on_status(Value::object([])),
                b"\x02\0\x08onStatus\0\0\0\0\0\0\0\0\0\x05\x03\0\0\x09".to_vec(),
            ),
        ]
    }

    #[test]
    fn the_table_holds_in_both_directions() {
        for (name, command, bytes) in table() {
            assert_eq!(decoded(COMMAND_AMF0, &bytes).as_ref(), Ok(&command), "{name}");
            assert_eq!(encoded(&command), bytes, "{name}");
            let with_format = [&[FORMAT_AMF0], &bytes[..]].concat();
            assert_eq!(decoded(COMMAND_AMF3, &with_format).as_ref(), Ok(&command), "{name}");
        }
    }

    #[test]
    fn every_shorter_start_has_the_whole_name_or_is_cut_short() {
        for (name, command, bytes) in table() {
            for len in 0..bytes.len() {
                match decoded(COMMAND_AMF0, &bytes[..len]) {
                    Err(error) => {
                        assert!(len < 3 + name.len(), "{name} at {len}");
                        assert_eq!(error, AmfError::Truncated, "{name} at {len}");
                    }
                    Ok(start) => {
                        assert_eq!(start.name, command.name, "{name} at {len}");
                        assert!(start.arguments.len() <= command.arguments.len(), "{name} at {len}");
                    }
                }
            }
        }
    }

    #[test]
    fn an_amf3_command_may_lack_its_format_byte() {
        for (name, command, bytes) in table() {
            assert_eq!(decoded(COMMAND_AMF3, &bytes), Ok(command), "{name}");
        }
    }

    #[test]
    fn amf3_values_stand_inside_an_amf3_command() {
        let object = amf3::Value::object([("app", amf3::Value::string("live"))]);
        let arguments = [Value::Amf3(amf3::Value::string("live")), Value::string("x")];
        let expected = Command::new("connect", 1.0, Value::Amf3(object), arguments);
        let mut bytes = vec![FORMAT_AMF0];
        // The name is AMF0, the id an AMF3 integer, and "live" comes again as AMF3 string 1.
        bytes.extend(b"\x02\0\x07connect\x11\x04\x01");
        bytes.extend(b"\x11\x0A\x0B\x01\x07app\x06\x09live\x01\x11\x06\x02\x02\0\x01x");
        let command = decoded(COMMAND_AMF3, &bytes).unwrap();
        assert_eq!(command, expected);
        assert_eq!(command.object.member("app").and_then(ValueRef::as_str), Some("live"));
        assert_eq!(command.argument(0).and_then(ValueRef::as_str), Some("live"));
        assert_eq!(command.argument(2), None);
    }

    #[test]
    fn the_name_may_be_an_amf3_string() {
        let bytes = b"\0\x11\x06\x09play";
        assert_eq!(decoded(COMMAND_AMF3, bytes), Ok(Command::new("play", 0.0, Value::Null, [])));
    }

    #[test]
    fn clients_that_leave_things_out_are_understood() {
        let text = Value::string("s");
        let object = Value::object([]);
        let number = Value::Number(5.0);
        let rows: Vec<(&str, Vec<Value>, Command)> = vec![
            ("only a name", vec![], Command::new("c", 0.0, Value::Null, [])),
            ("no object, no arguments", vec![number.clone()], Command::new("c", 5.0, Value::Null, [])),
            (
                "no transaction id",
                vec![object.clone(), text.clone()],
                Command::new("c", 0.0, object.clone(), [text.clone()]),
            ),
            (
                "no transaction id, null object",
                vec![Value::Null, text.clone()],
                Command::new("c", 0.0, Value::Null, [text.clone()]),
            ),
            (
                "no object",
                vec![number.clone(), text.clone(), object.clone()],
                Command::new("c", 5.0, Value::Null, [text.clone(), object.clone()]),
            ),
            ("neither id nor object", vec![text.clone()], Command::new("c", 0.0, Value::Null, [text.clone()])),
            (
                "an ECMA array as object",
                vec![number, Value::ecma_array([]), text.clone()],
                Command::new("c", 5.0, Value::ecma_array([]), [text]),
            ),
        ];
        for (name, values, command) in rows {
            let mut out = BytesMut::new();
            write_value(&mut out, &Value::string("c"));
            values.iter().for_each(|value| write_value(&mut out, value));
            assert_eq!(decoded(COMMAND_AMF0, &out), Ok(command), "{name}");
        }
    }

    #[test]
    fn damage_behind_the_name_ends_the_arguments() {
        let bytes = [b"\x02\0\x01c", ONE, b"\x05\x06\x04\x05"].concat();
        let expected = Command::new("c", 1.0, Value::Null, [Value::Undefined]);
        assert_eq!(decoded(COMMAND_AMF0, &bytes), Ok(expected));
    }

    #[test]
    fn without_a_name_it_is_no_command() {
        assert_eq!(decoded(COMMAND_AMF0, b""), Err(AmfError::Truncated));
        assert_eq!(decoded(COMMAND_AMF3, b"\0"), Err(AmfError::Truncated));
        assert_eq!(decoded(COMMAND_AMF0, b"\x05\x02\0\x01c"), Err(AmfError::NoName));
        assert_eq!(decoded(COMMAND_AMF0, ONE), Err(AmfError::NoName));
        assert_eq!(decoded(COMMAND_AMF0, b"\x04"), Err(AmfError::UnknownMarker(4)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            name: String,
            transaction_id: f64,
            object in any_value().prop_map(|value| {
                let stands_there = value.view().is_object() || value.view().is_null();
                if stands_there { value } else { Value::Null }
            }),
            arguments in prop::collection::vec(any_value(), 0..4),
        ) {
            let command = Command::new(name, transaction_id, object, arguments);
            prop_assert_eq!(Command::decode(COMMAND_AMF0, &encoded(&command)), Ok(command));
        }

        #[test]
        fn no_bytes_panic(type_id: u8, bytes: Vec<u8>) {
            let _ = decoded(type_id, &bytes);
        }
    }
}
