//! Data messages (7.1.2): which handler they call.
//!
//! Owns: `@setDataFrame`, `@clearDataFrame` and the handler's name. Does not decode the values behind it: their bytes
//! go on as they came.

use std::borrow::Cow;

use bytes::{Buf, Bytes};

use crate::rtmp::amf0;
use crate::rtmp::message::data_values;
use crate::wire::Reader;

/// What a data message of a publisher is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DataMessage {
    /// For players: AMF0 bytes from the handler name on.
    Forward {
        payload: Bytes,
        /// Whether the handler is `onMetaData`.
        is_metadata: bool,
    },
    /// The kept metadata is void.
    ClearMetadata,
    /// Nothing for players.
    Nothing,
}

const SET_DATA_FRAME: &[u8] = b"@setDataFrame";
const CLEAR_DATA_FRAME: &[u8] = b"@clearDataFrame";
const METADATA: &[u8] = b"onMetaData";
/// Permission that a server gives its players; a publisher's is not theirs.
const SAMPLE_ACCESS: &[u8] = b"|RtmpSampleAccess";

/// Looks at the handler name of a message of type 18 or 15. Without a string at its head it is
/// [`DataMessage::Nothing`].
pub(super) fn classify(type_id: u8, payload: Bytes) -> DataMessage {
    let mut payload = data_values(type_id, payload);
    let mut reader = Reader::new(&payload);
    let mut handler_start = payload.len();
    let mut handler = read_name(&mut reader);
    if handler.as_deref() == Some(CLEAR_DATA_FRAME) {
        return match read_name(&mut reader).as_deref() {
            Some(METADATA) => DataMessage::ClearMetadata,
            _ => DataMessage::Nothing,
        };
    }
    if handler.as_deref() == Some(SET_DATA_FRAME) {
        handler_start = reader.remaining();
        handler = read_name(&mut reader);
    }
    let is_metadata = match handler.as_deref() {
        None | Some(SAMPLE_ACCESS) => return DataMessage::Nothing,
        Some(name) => name == METADATA,
    };
    drop(handler);
    payload.advance(payload.len() - handler_start);
    DataMessage::Forward { payload, is_metadata }
}

/// Reads a string of any of the forms that exist; borrowed in the ones that are used.
fn read_name<'a>(reader: &mut Reader<'a>) -> Option<Cow<'a, [u8]>> {
    match reader.peek_u8().ok()? {
        0x02 => {
            reader.skip(1).ok()?;
            let len = usize::from(reader.u16().ok()?);
            reader.bytes(len).ok().map(Cow::Borrowed)
        }
        0x0C => {
            reader.skip(1).ok()?;
            let len = usize::try_from(reader.u32().ok()?).ok()?;
            reader.bytes(len).ok().map(Cow::Borrowed)
        }
        // An AMF3 string behind the AMF0 marker that switches to it.
        0x11 => {
            let value = amf0::read_value(reader).ok()?;
            value.as_str().map(|text| Cow::Owned(text.as_bytes().to_vec()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn string(text: &str) -> Vec<u8> {
        let len = u16::try_from(text.len()).expect("short");
        [&[2], &len.to_be_bytes()[..], text.as_bytes()].concat()
    }

    fn message(names: &[&str], rest: &[u8]) -> Bytes {
        let mut bytes: Vec<u8> = names.iter().flat_map(|name| string(name)).collect();
        bytes.extend(rest);
        bytes.into()
    }

    fn forward(payload: Bytes, is_metadata: bool) -> DataMessage {
        DataMessage::Forward { payload, is_metadata }
    }

    /// Values that follow the handler; not even AMF.
    const REST: &[u8] = &[0xFE, 1, 2, 3];

    #[test]
    fn set_data_frame_is_taken_off_and_the_rest_is_the_very_same_bytes() {
        let bytes = message(&["@setDataFrame", "onMetaData"], REST);
        let wanted = message(&["onMetaData"], REST);
        let found = classify(18, bytes.clone());
        assert_eq!(found, forward(wanted, true));
        let DataMessage::Forward { payload, .. } = found else { panic!() };
        assert_eq!(payload.as_ptr(), bytes[bytes.len() - payload.len()..].as_ptr(), "no copy");
    }

    #[test]
    fn metadata_without_set_data_frame_is_metadata() {
        let bytes = message(&["onMetaData"], REST);
        assert_eq!(classify(18, bytes.clone()), forward(bytes, true));
    }

    #[test]
    fn other_handlers_are_forwarded_as_they_came() {
        for name in ["onTextData", "onCuePoint", "onFI", "onCaptionInfo", "onXMPData", "whatever"] {
            let bytes = message(&[name], REST);
            assert_eq!(classify(18, bytes.clone()), forward(bytes, false), "{name}");
            let framed = message(&["@setDataFrame", name], REST);
            assert_eq!(classify(18, framed), forward(message(&[name], REST), false), "{name}");
        }
    }

    #[test]
    fn clear_data_frame_of_metadata_clears_it() {
        assert_eq!(classify(18, message(&["@clearDataFrame", "onMetaData"], &[])), DataMessage::ClearMetadata);
        for names in [&["@clearDataFrame"][..], &["@clearDataFrame", "onFI"]] {
            assert_eq!(classify(18, message(names, &[])), DataMessage::Nothing);
        }
    }

    #[test]
    fn sample_access_of_a_publisher_is_dropped() {
        assert_eq!(classify(18, message(&["|RtmpSampleAccess"], REST)), DataMessage::Nothing);
    }

    #[test]
    fn an_amf3_data_message_loses_its_format_byte() {
        let wanted = message(&["onMetaData"], REST);
        let bytes = [&[0], &message(&["@setDataFrame", "onMetaData"], REST)[..]].concat();
        assert_eq!(classify(15, bytes.into()), forward(wanted.clone(), true));
        assert_eq!(classify(15, wanted.clone()), forward(wanted, true), "without that byte");
    }

    #[test]
    fn amf3_strings_are_names_too() {
        // 0x11, string marker, length 10 and "not a reference".
        let handler = [&[0x11, 0x06, 10 << 1 | 1], METADATA, REST].concat();
        let bytes = [&[0][..], &string("@setDataFrame"), &handler].concat();
        assert_eq!(classify(15, bytes.into()), forward(handler.into(), true));
    }

    #[test]
    fn long_strings_are_names_too() {
        let handler = [&[0x0C, 0, 0, 0, 10], METADATA, REST].concat();
        assert_eq!(classify(18, handler.clone().into()), forward(handler.into(), true));
    }

    #[test]
    fn garbage_is_nothing() {
        let table: [&[u8]; 6] = [&[], &[0], &[2, 0], &[2, 0xFF, 0xFF, 1], &[3, 0, 0, 9], &[0x0C, 0, 0, 0, 9, 65]];
        for bytes in table {
            assert_eq!(classify(18, Bytes::from_static(bytes)), DataMessage::Nothing, "{bytes:?}");
        }
        assert_eq!(classify(18, message(&["@setDataFrame"], &[3])), DataMessage::Nothing);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(
            type_id in 15_u8..19,
            bytes in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            classify(type_id, bytes.into());
        }
    }
}
