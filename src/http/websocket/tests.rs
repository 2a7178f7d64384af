//! Frames in every order and cut.

use proptest::prelude::*;

use super::*;

/// A frame of a client, its length in as few bytes as it needs. `first` is its first byte.
pub(in crate::http) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x11, 0xA2, 0x03, 0xF4];
    let mut frame = FrameHead::new(Opcode::Text, payload.len()).as_ref().to_vec();
    frame[0] = first;
    frame[1] |= 0x80;
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

const LIMIT: usize = 70_000;

#[derive(Debug, PartialEq)]
struct Seen {
    events: Vec<Event>,
    output: Vec<u8>,
    error: Option<WebSocketError>,
}

fn see(parts: &[&[u8]]) -> Seen {
    let now = Instant::now();
    let mut websocket = WebSocket::new(now, &HttpLimits { websocket_message_bytes: LIMIT, ..HttpLimits::default() });
    let (mut events, mut output, mut error) = (VecDeque::new(), Output::default(), None);
    for mut part in parts.iter().copied() {
        match websocket.handle_input(now, &mut part, &mut events, &mut output) {
            Ok(true) => assert!(part.is_empty()),
            Ok(false) => break,
            Err(told) => {
                error = Some(told);
                break;
            }
        }
    }
    let output = std::iter::from_fn(|| output.take()).collect::<Vec<_>>().concat();
    Seen { events: events.into(), output, error }
}

/// What comes of `input` in two parts at every place, and byte by byte.
fn see_at_every_split(input: &[u8]) -> Seen {
    let bytewise = see(&input.chunks(1).collect::<Vec<_>>());
    for at in 0..=input.len() {
        let (left, right) = input.split_at(at);
        let seen = see(&[left, right]);
        assert_eq!((&seen.events, &seen.error), (&bytewise.events, &bytewise.error), "split at {at}");
    }
    bytewise
}

fn text(text: &str) -> Event {
    Event::WebSocketText(text.to_owned())
}

fn binary(payload: &[u8]) -> Event {
    Event::WebSocketBinary(Bytes::copy_from_slice(payload))
}

#[test]
fn heads_are_as_long_as_they_need_to_be() {
    let cases: [(usize, &[u8]); 7] = [
        (0, &[0x82, 0]),
        (125, &[0x82, 125]),
        (126, &[0x82, 126, 0, 126]),
        (65_535, &[0x82, 126, 0xFF, 0xFF]),
        (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        (0x0102_0304, &[0x82, 127, 0, 0, 0, 0, 1, 2, 3, 4]),
        (usize::MAX, &[0x82, 127, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
    ];
    for (len, head) in cases {
        assert_eq!(binary_head(len).as_ref(), head, "{len}");
    }
    assert_eq!(text_message("hi").as_ref(), b"\x81\x02hi");
    assert_eq!(text_message(&"x".repeat(200))[..4], [0x81, 126, 0, 200]);
}

#[test]
fn the_accept_value_is_that_of_the_specification() {
    assert_eq!(accept_value("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn messages_are_joined_and_control_frames_answered() {
    type Case<'a> = (&'a str, Vec<u8>, Vec<Event>, &'a [u8]);
    let longest_pong = [&[0x8A, 125][..], &[7; 125]].concat();
    let cases: [Case<'_>; 9] = [
        ("text", masked(0x81, "hü".as_bytes()), vec![text("hü")], b""),
        ("empty", masked(0x81, b""), vec![text("")], b""),
        ("binary", masked(0x82, b"\xFF"), vec![binary(b"\xFF")], b""),
        ("16-bit length", masked(0x82, &[7; 126]), vec![binary(&[7; 126])], b""),
        (
            "fragments",
            [masked(0x01, b"a"), masked(0x00, b""), masked(0x00, b"b"), masked(0x80, b"c")].concat(),
            vec![text("abc")],
            b"",
        ),
        (
            "a letter cut by fragments",
            [masked(0x01, b"\xC3"), masked(0x80, b"\xBC"), masked(0x82, b"x")].concat(),
            vec![text("ü"), binary(b"x")],
            b"",
        ),
        (
            "a ping within a message",
            [masked(0x01, b"a"), masked(0x89, b"ping"), masked(0x80, b"b")].concat(),
            vec![text("ab")],
            b"\x8A\x04ping",
        ),
        ("pongs", [masked(0x8A, b""), masked(0x8A, b"nobody asked")].concat(), vec![], b""),
        ("longest ping", masked(0x89, &[7; 125]), vec![], &longest_pong),
    ];
    for (name, input, events, output) in cases {
        assert_eq!(see_at_every_split(&input), Seen { events, output: output.to_vec(), error: None }, "{name}");
    }
    let long = vec![3; 65_536];
    assert_eq!(see(&[&masked(0x82, &long)]).events, [binary(&long)]);
}

#[test]
fn many_pings_at_once_have_one_answer() {
    let pings = [masked(0x89, b"1"), masked(0x89, b"2")].concat();
    assert_eq!(see(&[&pings]).output, b"\x8A\x012");
}

#[test]
fn a_close_is_answered_with_its_code() {
    let cases: [(&[u8], u16, &str, &[u8]); 4] = [
        (b"", 1005, "", b"\x88\x00"),
        (b"\x03\xE8", 1000, "", b"\x88\x02\x03\xE8"),
        (b"\x03\xE9g\xC3\xBC", 1001, "gü", b"\x88\x02\x03\xE9"),
        (b"\x13\x87", 4999, "", b"\x88\x02\x13\x87"),
    ];
    for (payload, code, reason, output) in cases {
        let input = [masked(0x01, b"unfinished"), masked(0x88, payload), masked(0x89, b"late")].concat();
        let events = vec![Event::WebSocketClosed { code, reason: reason.to_owned() }];
        assert_eq!(see_at_every_split(&input), Seen { events, output: output.to_vec(), error: None });
    }
}

#[test]
fn what_clients_may_not_send_closes() {
    use WebSocketError::{NotUtf8, Protocol};
    let control = Protocol("a control frame that is fragmented or too long");
    let length = Protocol("a length in more bytes than it needs");
    let bad_code = Protocol("a close code that nobody may send");
    let cases: [(Vec<u8>, WebSocketError, u16); 22] = [
        (b"\x81\x01a".to_vec(), Protocol("a frame without a mask"), 1002),
        (b"\x88\x00".to_vec(), Protocol("a frame without a mask"), 1002),
        (masked(0xC1, b""), Protocol("a reserved bit is set"), 1002),
        (masked(0x91, b""), Protocol("a reserved bit is set"), 1002),
        (masked(0x83, b""), Protocol("a frame of unknown kind"), 1002),
        (masked(0x8B, b""), Protocol("a frame of unknown kind"), 1002),
        (masked(0x09, b""), control.clone(), 1002),
        (masked(0x89, &[0; 126]), control, 1002),
        (masked(0x80, b""), Protocol("a continuation of nothing"), 1002),
        ([masked(0x01, b""), masked(0x81, b"")].concat(), Protocol("a message within another"), 1002),
        (b"\x82\xFE\x00\x7D\0\0\0\0".to_vec(), length.clone(), 1002),
        (b"\x82\xFF\0\0\0\0\0\0\xFF\xFF\0\0\0\0".to_vec(), length, 1002),
        (masked(0x88, b"\x03"), Protocol("a close frame with half a code"), 1002),
        (masked(0x88, b"\x00\x00"), bad_code.clone(), 1002),
        (masked(0x88, b"\x03\xED"), bad_code.clone(), 1002),
        (masked(0x88, b"\x03\xF7"), bad_code.clone(), 1002),
        (masked(0x88, b"\x13\x88"), bad_code, 1002),
        (masked(0x88, b"\x03\xE8\xFF"), NotUtf8, 1007),
        (masked(0x81, b"\xC3"), NotUtf8, 1007),
        (masked(0x81, b"\xED\xA0\x80"), NotUtf8, 1007),
        (b"\x82\xFF\xFF\0\0\0\0\0\0\0\0\0\0\0".to_vec(), WebSocketError::TooLong(LIMIT), 1009),
        (b"\x82\xFF\0\0\0\0\0\x01\x11\x71\0\0\0\0".to_vec(), WebSocketError::TooLong(LIMIT), 1009),
    ];
    for (input, error, code) in cases {
        let seen = see_at_every_split(&input);
        assert_eq!(seen.error.as_ref(), Some(&error), "{input:x?}");
        assert_eq!(error.code(), Some(code));
        assert_eq!(seen.output[0], 0x88);
        assert_eq!(usize::from(seen.output[1]), seen.output.len() - 2);
        assert_eq!(seen.output[2..4], code.to_be_bytes());
        let told = String::from_utf8(seen.output[4..].to_vec()).unwrap();
        assert_eq!(format!("WebSocket: {told}"), error.to_string());
    }
}

#[test]
fn fragments_together_have_the_length_of_a_message() {
    let longest = masked(0x02, &[0; LIMIT]);
    let seen = see(&[&longest, &masked(0x80, b"")]);
    assert_eq!((seen.events.len(), seen.error), (1, None));
    let seen = see(&[&longest, &masked(0x80, b"x")]);
    assert_eq!((seen.events.len(), seen.error), (0, Some(WebSocketError::TooLong(LIMIT))));
}

proptest! {
    #[test]
    fn messages_come_out_as_they_went_in(
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..5),
        cut in any::<proptest::sample::Index>(),
        fragment in 1_usize..300,
    ) {
        let mut input = Vec::new();
        for message in &messages {
            let parts: Vec<_> = message.chunks(fragment).collect();
            input.extend(masked(if parts.len() > 1 { 0x02 } else { 0x82 }, parts.first().copied().unwrap_or_default()));
            for (number, part) in parts.iter().enumerate().skip(1) {
                input.extend(masked(if number + 1 == parts.len() { 0x80 } else { 0x00 }, part));
            }
        }
        let (left, right) = input.split_at(cut.index(input.len() + 1));
        let expected: Vec<_> = messages.iter().map(|message| binary(message)).collect();
        prop_assert_eq!(see(&[left, right]), Seen { events: expected, output: Vec::new(), error: None });
    }
}
