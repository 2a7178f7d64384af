//! Requests that are refused: status, words, and nothing read behind them.

use super::*;

/// Asserts that `input` is answered with `status` and `text`, then nothing more.
fn assert_refused(input: &[u8], status: &str, text: &str) {
    let shown = String::from_utf8_lossy(input).into_owned();
    let mut behind = input.to_vec();
    behind.extend_from_slice(b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
    let talk = ask_at_every_split(&behind);
    let start = talk.text().rfind(&format!("HTTP/1.1 {status}\r\n"));
    let refused = start.map_or_else(|| panic!("{shown}\n{}", talk.text()), |start| &talk.text()[start + 9..]);
    let (head, body) = head_and_body(refused);
    assert_eq!(body, format!("{status}: {text}\n"), "{shown}");
    assert!(head.contains("\r\nConnection: close") && head.contains("\r\nContent-Type: text/plain"), "{head}");
    assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())), "{head}");
    assert!(!head.contains("Access-Control"), "{head}");
    assert_eq!((talk.errors.len(), talk.session.wants_close()), (1, true), "{shown}");
    assert_eq!(talk.errors[0].to_string(), text);
    assert!(talk.requests().iter().all(|request| request.path != "/smuggled"), "{shown}");
    assert_eq!(talk.due_ms(), None);
}

#[test]
fn what_is_no_http_is_refused_at_once() {
    let first_line = "this is no HTTP request: its first line is not METHOD /path HTTP/1.1";
    let line_end = "this is no HTTP request: a line does not end with CR LF";
    let cases: [(&[u8], &str); 12] = [
        (b"\x03", first_line),
        (b"\x00\x00", first_line),
        (b"\n", first_line),
        (b" GET / HTTP/1.1\r\n", first_line),
        (b"GET /\r\n", first_line),
        (b"GET  / HTTP/1.1\r\n", first_line),
        (b"GET / HTTP/1.1 \r\n", line_end),
        (b"GET / FOO\r\n", first_line),
        (b"G(T / HTTP/1.1\r\n", first_line),
        (b"GET /\x00 HTTP/1.1\r\n", first_line),
        (b"GET / HTTP/1.1\n", line_end),
        (b"\x16\x03\x01", "this is no HTTP request: it is TLS (https), and this port speaks plain HTTP"),
    ];
    for (input, text) in cases {
        assert_refused(input, "400 Bad Request", text);
    }
}

#[test]
fn other_versions_are_refused() {
    for version in ["HTTP/2.0", "HTTP/2", "HTTP/1.2", "HTTP/0.9"] {
        let expected = "only HTTP/1.0 and HTTP/1.1 are spoken here";
        assert_refused(format!("GET / {version}\r\n").as_bytes(), "505 HTTP Version Not Supported", expected);
    }
}

#[test]
fn heads_that_break_the_rules_are_refused() {
    let name = "a header's name has a character that is not allowed";
    let value = "a header's value has a character that is not allowed";
    let cases = [
        ("", "the Host header is missing"),
        ("Host: a\r\nHost: a\r\n", "there are two Host headers"),
        ("Host: a b\r\n", "the Host header names no host"),
        ("Host: a/b\r\n", "the Host header names no host"),
        ("Host: a@b\r\n", "the Host header names no host"),
        // Folded lines (RFC 9112, 5.2).
        ("Host: a\r\n b\r\n", name),
        ("Host : a\r\n", name),
        (" Host: a\r\n", name),
        ("Host\r\n", name),
        (": a\r\n", name),
        ("H\u{e9}: a\r\n", name),
        ("Host: a\0\r\n", value),
        ("Host: a\u{b}\r\n", value),
        ("Host: a\rX: b\r\n", value),
    ];
    for (headers, text) in cases {
        assert_refused(format!("GET / HTTP/1.1\r\n{headers}\r\n").as_bytes(), "400 Bad Request", text);
    }
    let input = b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n";
    assert_refused(input, "400 Bad Request", "this is no HTTP request: a line does not end with CR LF");
    let input = b"GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_refused(input, "400 Bad Request", "the path has a segment or character that is not allowed");
    assert_refused(b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", "400 Bad Request", "the path does not begin with /");
}

#[test]
fn bodies_whose_end_two_readers_could_see_differently_are_refused() {
    let both = "Content-Length and Transfer-Encoding contradict each other";
    let two = "there are two Content-Length headers";
    let no_number = "Content-Length is no number";
    let cases = [
        ("Content-Length: 4\r\nTransfer-Encoding: chunked", both),
        ("Transfer-Encoding: chunked\r\nContent-Length: 4", both),
        ("Transfer-Encoding: identity\r\ncontent-length: 4", both),
        ("Content-Length: 4\r\nContent-Length: 5", two),
        ("Content-Length: 4\r\nContent-Length: 4", two),
        ("Content-Length: 4, 4", no_number),
        ("Content-Length: +4", no_number),
        ("Content-Length: -4", no_number),
        ("Content-Length: 0x4", no_number),
        ("Content-Length: 4 4", no_number),
        ("Content-Length: 4.", no_number),
        ("Content-Length:", no_number),
        ("Content-Length: \u{664}", no_number),
        ("Transfer-Encoding : chunked", "a header's name has a character that is not allowed"),
        ("Transfer-Encoding: \u{b}chunked", "a header's value has a character that is not allowed"),
        ("X: y\r\n Transfer-Encoding: chunked", "a header's name has a character that is not allowed"),
    ];
    for (headers, text) in cases {
        let input = format!("POST / HTTP/1.1\r\nHost: h\r\n{headers}\r\n\r\n0\r\n\r\n");
        assert_refused(input.as_bytes(), "400 Bad Request", text);
    }
    let codings =
        ["gzip, chunked", "chunked, chunked", "chunked\r\nTransfer-Encoding: chunked", "xchunked", "identity"];
    for coding in codings.into_iter().chain(["chunked, identity", "\"chunked\"", "chunked;q=1", ""]) {
        let input = format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: {coding}\r\n\r\n0\r\n\r\n");
        let expected = "the only transfer coding that is understood is chunked";
        assert_refused(input.as_bytes(), "501 Not Implemented", expected);
    }
    let input = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_refused(input, "400 Bad Request", "HTTP/1.0 knows no Transfer-Encoding");
    let chunks = [
        ("1\nx", "a line between the body's chunks does not end with CR LF"),
        ("0x1\r\nx", "the size of one of the body's chunks is no number"),
        ("1\r\nxy\r\n", "a chunk of the body is longer than its size says"),
    ];
    for (body, text) in chunks {
        let input = format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        assert_refused(input.as_bytes(), "400 Bad Request", text);
    }
}

#[test]
fn other_expectations_are_refused() {
    let input = b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\nx";
    assert_refused(input, "417 Expectation Failed", "the only expectation that can be met is 100-continue");
}

#[test]
fn upgrades_that_try_to_be_websockets_and_are_not_are_refused() {
    let key = "Sec-WebSocket-Key is not the base64 of 16 bytes";
    let plain = "a WebSocket begins with a GET request without a body";
    let version = "the only WebSocket version that is spoken is 13";
    let bad = "400 Bad Request";
    let cases = [
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j", bad, key),
        ("dGhlIHNhbXBsZSBub25jZQ==", "?", bad, key),
        ("Key: ", "Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: ", bad, key),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", bad, key),
        ("GET", "POST", bad, plain),
        ("Host: h", "Host: h\r\nContent-Length: 1", bad, plain),
        ("Version: 13", "Version: 8", "426 Upgrade Required", version),
        ("Sec-WebSocket-Version: 13\r\n", "", "426 Upgrade Required", version),
    ];
    for (from, to, status, text) in cases {
        assert!(UPGRADE.contains(from));
        assert_refused(UPGRADE.replacen(from, to, 1).as_bytes(), status, text);
    }
    let talk = ask_at_every_split(UPGRADE.replace("Version: 13", "Version: 8").as_bytes());
    assert!(has_header(talk.text(), "Sec-WebSocket-Version: 13") && has_header(talk.text(), "Upgrade: websocket"));
}
