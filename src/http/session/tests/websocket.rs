//! From the upgrade on. Frames themselves are tested in `http::websocket`.

use super::*;
use crate::http::websocket::{WebSocketError, binary_head, code, tests::masked};

#[test]
fn an_upgrade_is_accepted() {
    let mut talk = ask_at_every_split(UPGRADE.as_bytes());
    assert!(talk.requests()[0].is_websocket);
    // The key and its answer are those of RFC 6455, 1.3.
    let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    assert_eq!(talk.text(), expected);
    talk.send(&masked(0x81, b"hi"));
    talk.send(&masked(0x82, b"\0\xFF"));
    assert_eq!(talk.events[1], Event::WebSocketText("hi".into()));
    assert_eq!(talk.events[2], Event::WebSocketBinary(Bytes::from_static(b"\0\xFF")));

    let mut talk = Talk::new();
    talk.send(UPGRADE.as_bytes());
    talk.session.accept_websocket(talk.now, Some("flv")).unwrap();
    talk.drain();
    assert!(has_header(talk.text(), "Sec-WebSocket-Protocol: flv"));
}

#[test]
fn frames_behind_the_upgrade_are_read() {
    let input = [UPGRADE.as_bytes(), &masked(0x89, b"p"), &masked(0x81, b"hi")].concat();
    let mut talk = Talk::new();
    talk.ask(&input);
    assert_eq!(talk.events[1], Event::WebSocketText("hi".into()));
    assert!(talk.output.ends_with(b"\r\n\r\n\x8A\x01p"));
}

#[test]
fn an_upgrade_may_be_answered_as_a_plain_request() {
    let mut talk = Talk::new();
    talk.send(UPGRADE.as_bytes());
    talk.respond(Response::text(404, "no such stream"));
    assert!(talk.text().starts_with("HTTP/1.1 404 Not Found\r\n") && !talk.session.wants_close());
    // And a plain request, or none, is no WebSocket.
    talk.output.clear();
    talk.session.accept_websocket(talk.now, None).unwrap();
    talk.send(b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n");
    talk.session.accept_websocket(talk.now, None).unwrap();
    talk.session.websocket_close(code::NORMAL, "");
    talk.drain();
    assert!(talk.output.is_empty() && !talk.session.wants_close());
}

#[test]
fn a_close_of_the_peer_is_answered_and_told() {
    let mut talk = Talk::new();
    talk.ask(UPGRADE.as_bytes());
    talk.output.clear();
    talk.send(&[masked(0x88, b"\x03\xE9bye"), masked(0x81, b"too late")].concat());
    assert_eq!(talk.output, b"\x88\x02\x03\xE9");
    assert_eq!(talk.events[1..], [Event::WebSocketClosed { code: 1001, reason: "bye".into() }]);
    assert!(talk.session.wants_close() && talk.errors.is_empty());
    talk.send(&masked(0x81, b"too late"));
    assert_eq!((talk.events.len(), talk.due_ms()), (2, None));
}

#[test]
fn the_owner_closes_with_a_reason() {
    let mut talk = Talk::new();
    talk.ask(UPGRADE.as_bytes());
    talk.output.clear();
    talk.session.websocket_close(code::GOING_AWAY, &"ü".repeat(100));
    talk.drain();
    // 123 bytes would cut the last letter.
    assert_eq!(talk.output, [b"\x88\x7C\x03\xE9", "ü".repeat(61).as_bytes()].concat());
    assert!(talk.session.wants_close());
    talk.session.websocket_close(code::NORMAL, "once only");
    talk.drain();
    assert_eq!(talk.output.len(), 126);
}

#[test]
fn what_is_no_frame_is_told_and_closed() {
    let mut talk = Talk::new();
    talk.ask(UPGRADE.as_bytes());
    talk.output.clear();
    talk.send(binary_head(5).as_ref());
    assert_eq!(talk.errors, [HttpError::WebSocket(WebSocketError::Protocol("a frame without a mask"))]);
    assert_eq!(talk.output, b"\x88\x18\x03\xEAa frame without a mask");
    assert!(talk.session.wants_close());
}

#[test]
fn a_silent_peer_is_pinged_and_a_dead_one_closed() {
    let limits = HttpLimits { websocket_ping_ms: 3_000, ..HttpLimits::default() };
    let mut talk = Talk::with(limits);
    talk.ask(UPGRADE.as_bytes());
    talk.output.clear();
    for _ in 0..3 {
        assert_eq!(talk.due_ms(), Some(3_000));
        talk.wait(2_999);
        assert!(talk.output.is_empty());
        talk.wait(1);
        assert_eq!(talk.output, b"\x89\x00");
        talk.output.clear();
        talk.wait(1_000);
        talk.send(&masked(0x8A, b""));
    }
    talk.wait(3_000);
    talk.wait(3_000);
    assert_eq!(talk.output, b"\x89\x00\x89\x00");
    assert_eq!(talk.errors, []);
    talk.wait(2_999);
    assert_eq!(talk.due_ms(), Some(1));
    talk.wait(1);
    assert_eq!(talk.errors, [HttpError::WebSocket(WebSocketError::Dead(6_000))]);
    assert_eq!(talk.errors[0].to_string(), "WebSocket: nothing arrived for 6000 ms after a ping");
    assert!(talk.session.wants_close());
}
