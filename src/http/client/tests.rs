//! Responses in every cut, and talks with our own server side.

use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::config::HttpLimits;
use crate::http::{Event, HttpSession, Method, Response, ResponseHead};

const LIMITS: ResponseLimits = ResponseLimits { head_bytes: 200, headers: 4, body_bytes: 10 };

type Outcome = Result<(u16, Vec<u8>), ClientError>;

/// What comes of `input` in `parts`, then the end of the connection.
fn read_parts(parts: &[&[u8]]) -> Outcome {
    let mut reader = ResponseReader::new(LIMITS);
    for part in parts {
        if let Some(response) = reader.handle_input(part)? {
            assert_eq!(reader.handle_input(b"more"), Err(ClientError::Done));
            return Ok((response.status, response.body.to_vec()));
        }
    }
    let response = reader.handle_end()?;
    assert_eq!(reader.handle_end(), Err(ClientError::Done));
    Ok((response.status, response.body.to_vec()))
}

fn read(input: &[u8]) -> Outcome {
    let whole = read_parts(&[input]);
    for at in 0..=input.len() {
        let (left, right) = input.split_at(at);
        assert_eq!(read_parts(&[left, right]), whole, "split at {at}");
    }
    assert_eq!(read_parts(&input.chunks(1).collect::<Vec<_>>()), whole, "byte by byte");
    whole
}

#[test]
fn responses_are_read_to_their_end() {
    let cases: [(&str, u16, &str); 10] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more", 200, "ok"),
        ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, ""),
        ("HTTP/1.0 403 No\r\n\r\nuntil end", 403, "until end"),
        ("HTTP/1.1 404 Not Found\r\n\r\n", 404, ""),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, "ok"),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 204, ""),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, ""),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nA: b\r\n\r\nHTTP/1.1 201 x\r\n\r\nabc", 201, "abc"),
        ("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, "ok"),
    ];
    for (input, status, body) in cases {
        assert_eq!(read(input.as_bytes()), Ok((status, body.as_bytes().to_vec())), "{input}");
    }
}

#[test]
fn responses_that_cannot_be_understood_are_refused() {
    use ClientError::{BodyTooLong, Ended, HeadTooLong, NotHttp, TooManyHeaders};
    let unclear = NotHttp("it does not say clearly how long its body is");
    let start = NotHttp("it does not begin with HTTP/1");
    let cases: [(String, ClientError); 22] = [
        ("".into(), Ended),
        ("HTTP/1.1 200 OK\r\n".into(), Ended),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no".into(), Ended),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n".into(), Ended),
        ("SSH-2.0".into(), start),
        ("HTTP/2.0 200 OK".into(), start),
        ("\r\nHTTP/1.1 200 OK".into(), start),
        ("HTTP/1.1 abc\r\n\r\n".into(), NotHttp("its head cannot be read")),
        ("HTTP/1.1 200 OK\r\na b: c\r\n\r\n".into(), NotHttp("its head cannot be read")),
        ("HTTP/1.1 099 x\r\n\r\n".into(), NotHttp("its status is no status")),
        ("HTTP/1.1 101 x\r\n\r\n".into(), NotHttp("it upgrades to something else")),
        ("HTTP/1.1 100 x\r\n\r\n".repeat(9), NotHttp("it does not come to its end")),
        ("HTTP/1.1 200 x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n".into(), unclear),
        ("HTTP/1.1 200 x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n".into(), unclear),
        ("HTTP/1.1 200 x\r\nTransfer-Encoding: gzip\r\n\r\n".into(), unclear),
        ("HTTP/1.1 200 x\r\nContent-Length: -1\r\n\r\n".into(), unclear),
        (format!("HTTP/1.1 200 x\r\nA: {}", "x".repeat(182)), HeadTooLong(200)),
        (format!("HTTP/1.1 200 x\r\n{}\r\n", "A: b\r\n".repeat(5)), TooManyHeaders(4)),
        ("HTTP/1.1 200 x\r\nContent-Length: 11\r\n\r\n".into(), BodyTooLong(10)),
        ("HTTP/1.1 200 x\r\nContent-Length: 99999999999999999999\r\n\r\n".into(), BodyTooLong(10)),
        ("HTTP/1.1 200 x\r\n\r\n01234567890".into(), BodyTooLong(10)),
        ("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n".into(), BodyTooLong(10)),
    ];
    for (input, error) in cases {
        assert_eq!(read(input.as_bytes()), Err(error), "{input}");
    }
}

#[test]
fn requests_have_a_host_and_a_length() {
    let url = Url::parse("http://[::1]:81/hook?a=b").unwrap();
    let expected = "GET /hook?a=b HTTP/1.1\r\nHost: [::1]:81\r\nX-A: b  c: d\r\nConnection: close\r\n\r\n";
    assert_eq!(get(&url, &[("X-A", "b\r\nc: d")]), expected);
    let expected = "POST /hook?a=b HTTP/1.1\r\nHost: [::1]:81\r\nContent-Type: application/json\r\n\
                    Content-Length: 2\r\nConnection: close\r\n\r\n{}";
    assert_eq!(post(&url, &[], "application/json", b"{}"), expected);
}

/// Both sides, in memory.
struct Both {
    now: Instant,
    server: HttpSession,
    client: ResponseReader,
}

impl Both {
    fn new() -> Both {
        let now = Instant::now();
        let limits = ResponseLimits { head_bytes: 4096, headers: 64, body_bytes: 100_000 };
        let server = HttpSession::new(now, Arc::new(HttpLimits::default()));
        Both { now, server, client: ResponseReader::new(limits) }
    }

    fn ask(&mut self, request: &[u8]) -> Box<crate::http::Request> {
        self.server.handle_input(self.now, request).unwrap();
        match self.server.poll_event() {
            Some(Event::Request(request)) => request,
            event => panic!("{event:?}"),
        }
    }

    fn response(&mut self) -> Option<ClientResponse> {
        while let Some(bytes) = self.server.poll_output() {
            if let Some(response) = self.client.handle_input(&bytes).unwrap() {
                return Some(response);
            }
        }
        None
    }
}

proptest! {
    #[test]
    fn client_and_server_understand_each_other(
        sent in proptest::collection::vec(any::<u8>(), 0..1000),
        answered in proptest::collection::vec(any::<u8>(), 0..1000),
        status in 200_u16..600,
    ) {
        let mut both = Both::new();
        let url = Url::parse("http://host:8080/a%20b?x=y").unwrap();
        let request = both.ask(&post(&url, &[("X-Key", "value")], "application/octet-stream", &sent));
        prop_assert_eq!(request.method, Method::Post);
        prop_assert_eq!((&*request.path, &*request.query), ("/a b", "x=y"));
        prop_assert_eq!((request.header("host"), request.header("x-key")), (Some("host:8080"), Some("value")));
        prop_assert_eq!(&request.body, &sent);
        let answer = Response::new(status, "text/plain", answered.clone()).with_header("X-Back", "yes");
        both.server.respond(both.now, answer).unwrap();
        let response = both.response().unwrap();
        prop_assert_eq!(response.status, status);
        prop_assert_eq!(response.is_success(), status < 300);
        prop_assert_eq!(response.fields.get("x-back"), Some("yes"));
        let expected = if matches!(status, 204 | 304) { Vec::new() } else { answered };
        prop_assert_eq!(&response.body, &expected);
        prop_assert!(both.server.wants_close(), "the client asks for it");
    }

    #[test]
    fn no_bytes_break_a_reader(
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..8),
    ) {
        let mut reader = ResponseReader::new(LIMITS);
        let mut head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for part in parts {
            let _ = reader.handle_input(&part);
            head.extend(part);
        }
        let _ = reader.handle_end();
        let mut reader = ResponseReader::new(LIMITS);
        let _ = reader.handle_input(&head);
        let _ = reader.handle_end();
    }
}

#[test]
fn an_endless_body_is_read_until_the_server_closes() {
    let mut both = Both::new();
    let url = Url::parse("http://h/x.flv").unwrap();
    both.ask(&get(&url, &[]));
    assert!(both.server.begin_endless(&ResponseHead::new(200, "video/x-flv")));
    assert_eq!(both.response(), None);
    assert_eq!(both.client.handle_input(b"FLV"), Ok(None));
    let response = both.client.handle_end().unwrap();
    assert_eq!((response.status, &response.body[..]), (200, &b"FLV"[..]));
}
