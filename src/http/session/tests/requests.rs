//! Requests that are answered.

use super::*;

#[test]
fn a_request_is_told_and_answered() {
    let talk = ask_at_every_split(b"GET /live/a%20b.flv?x=1&y=%2F HTTP/1.1\r\nHost: h:80\r\nX-A:  v \r\n\r\n");
    let request = talk.requests()[0];
    assert_eq!((request.method, request.version), (Method::Get, Version::Http11));
    assert_eq!((&*request.path, &*request.raw_path), ("/live/a b.flv", "/live/a%20b.flv"));
    assert_eq!(request.query, "x=1&y=%2F");
    assert_eq!(request.query_value("y").as_deref(), Some("/"));
    assert_eq!(request.header("x-a"), Some("v"));
    assert!(request.body.is_empty() && !request.is_websocket && !request.is_preflight());
    let expected = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 15\r\n\
                    Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\r\n/live/a b.flv 0";
    assert_eq!(talk.text(), expected);
    assert!(talk.errors.is_empty() && !talk.session.wants_close());
}

#[test]
fn every_method_is_told() {
    let cases = [
        ("GET", Method::Get),
        ("HEAD", Method::Head),
        ("POST", Method::Post),
        ("PUT", Method::Put),
        ("PATCH", Method::Patch),
        ("DELETE", Method::Delete),
        ("OPTIONS", Method::Options),
        ("get", Method::Other),
        ("PROPFIND", Method::Other),
        ("X-!#$", Method::Other),
    ];
    for (token, method) in cases {
        let talk = ask_at_every_split(format!("{token} / HTTP/1.1\r\nHost:\r\n\r\n").as_bytes());
        assert_eq!(talk.requests()[0].method, method);
    }
    let mut talk = Talk::new();
    talk.send(b"BREW / HTTP/1.1\r\nHost: h\r\n\r\n");
    talk.respond(Response::method_not_allowed("GET, HEAD"));
    assert!(has_header(talk.text(), "Allow: GET, HEAD"));
    assert_eq!(head_and_body(talk.text()).1, "405 Method Not Allowed: use GET, HEAD\n");
}

#[test]
fn head_is_answered_as_get_without_the_body() {
    let answer_to = |method: &str, status, body: &'static str| {
        let mut talk = Talk::new();
        talk.send(format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        talk.respond(cache_of(Response::new(status, "text/plain", body)));
        assert!(!talk.session.wants_close());
        talk.text().to_owned()
    };
    let (get, head) = (answer_to("GET", 200, "body"), answer_to("HEAD", 200, "body"));
    assert_eq!(get, format!("{head}body"));
    assert!(has_header(&head, "Content-Length: 4"));
    assert!(has_header(&head, "Cache-Control: public, max-age=60, immutable"));
    assert!(has_header(&head, "Access-Control-Allow-Origin: *"));
    for status in [204, 304] {
        let answer = answer_to("GET", status, "no body here");
        assert!(answer.ends_with("\r\n\r\n") && !answer.contains("\r\nContent-"), "{answer}");
    }
}

#[test]
fn connections_stay_as_version_and_header_say() {
    let cases = [
        ("HTTP/1.1", "", true, None),
        ("HTTP/1.1", "Connection: keep-alive\r\n", true, None),
        ("HTTP/1.1", "Connection: x, Close\r\n", false, Some("Connection: close")),
        ("HTTP/1.1", "Connection: x\r\nConnection: close\r\n", false, Some("Connection: close")),
        ("HTTP/1.0", "", false, Some("Connection: close")),
        ("HTTP/1.0", "Connection: Keep-Alive\r\n", true, Some("Connection: keep-alive")),
        ("HTTP/1.0", "Connection: keep-alive, close\r\n", false, Some("Connection: close")),
    ];
    for (version, header, stays, told) in cases {
        let request = format!("GET /a {version}\r\nHost: h\r\n{header}\r\n");
        let talk = ask_at_every_split(request.repeat(2).as_bytes());
        assert_eq!(talk.session.wants_close(), !stays, "{request}");
        assert_eq!(talk.requests().len(), if stays { 2 } else { 1 }, "{request}");
        match told {
            Some(told) => assert!(has_header(talk.text(), told), "{}", talk.text()),
            None => assert!(!talk.text().contains("Connection"), "{}", talk.text()),
        }
    }
}

#[test]
fn the_owner_can_close_after_an_answer() {
    let mut talk = Talk::new();
    talk.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let mut response = Response::text(503, "the server is full").with_header("Retry-After", "5");
    response.head.close = true;
    talk.respond(response);
    assert!(has_header(talk.text(), "Connection: close") && has_header(talk.text(), "Retry-After: 5"));
    assert_eq!(head_and_body(talk.text()).1, "503 Service Unavailable: the server is full\n");
    assert!(talk.session.wants_close());
}

#[test]
fn http_1_0_needs_no_host() {
    assert_eq!(ask_at_every_split(b"GET / HTTP/1.0\r\n\r\n").requests().len(), 1);
}

#[test]
fn bodies_are_read_as_their_head_says() {
    let cases = [
        ("Content-Length: 5\r\n\r\nhello", "hello"),
        ("Content-Length: 005\r\n\r\nhello", "hello"),
        ("Content-Length: 0\r\n\r\n", ""),
        ("Transfer-Encoding: Chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nTrailer: x\r\n\r\n", "hello"),
        ("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ""),
    ];
    for (rest, body) in cases {
        let request = format!("POST /p HTTP/1.1\r\nHost: h\r\n{rest}");
        let talk = ask_at_every_split(format!("{request}GET /next HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        assert_eq!(talk.errors, [], "{request}");
        assert_eq!(talk.requests()[0].body, body, "{request}");
        assert_eq!(talk.requests()[1].path, "/next", "{request}");
    }
}

#[test]
fn a_peer_that_waits_before_its_body_is_told_to_go_on() {
    let head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n";
    let mut talk = Talk::new();
    talk.ask(head);
    assert_eq!(talk.text(), "HTTP/1.1 100 Continue\r\n\r\n");
    talk.ask(b"ab");
    assert!(talk.text().ends_with("\r\n\r\n/ 2"));

    let mut talk = Talk::new();
    talk.ask(&[&head[..], b"a"].concat());
    assert!(talk.output.is_empty(), "it does not wait");
    let mut talk = Talk::new();
    talk.ask(b"POST / HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert!(talk.output.is_empty(), "HTTP/1.0 does not know it");
}

#[test]
fn requests_sent_ahead_wait_for_the_answer_before_them() {
    let mut talk = Talk::new();
    talk.send(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\nGET /3 ");
    talk.send(b"HTTP/1.1\r\nHost: h\r\n\r\n");
    for count in 1..=3 {
        let paths: Vec<_> = talk.requests().iter().map(|request| request.path.clone()).collect();
        assert_eq!(paths, ["/1", "/2", "/3"][..count]);
        assert_eq!(talk.due_ms(), None, "the owner may take its time");
        talk.respond(Response::new(200, "", "x"));
    }
    assert_eq!(talk.text().matches("HTTP/1.1 200 OK\r\n").count(), 3);
    ask_at_every_split(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\nGET /bad\r\n\r\n");
}

#[test]
fn an_empty_line_before_a_request_is_skipped() {
    let get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let talk = ask_at_every_split(format!("\r\n{get}\r\n\r\n{get}").as_bytes());
    assert_eq!((talk.requests().len(), talk.errors.len()), (2, 0));
}

#[test]
fn an_endless_body_ends_with_the_connection() {
    let head = ResponseHead::new(200, "video/x-flv").with_cors();
    let mut talk = Talk::new();
    talk.send(b"GET /x.flv HTTP/1.1\r\nHost: h\r\n\r\nGET /x HTTP/1.1\r\n");
    assert!(talk.session.begin_endless(&head));
    talk.drain();
    assert!(has_header(talk.text(), "Connection: close") && has_header(talk.text(), "Content-Type: video/x-flv"));
    assert!(!talk.text().contains("\r\nContent-Length"), "{}", talk.text());
    assert!(talk.text().ends_with("\r\n\r\n"));
    // Nothing that the peer sends matters any more, and nothing of it is kept.
    talk.send(&[0; 100_000]);
    talk.respond(Response::text(404, "too late"));
    assert_eq!((talk.due_ms(), talk.events.len(), talk.errors.len()), (None, 1, 0));
    assert_eq!(talk.session.buffer.capacity(), 0);
    assert!(!talk.session.wants_close(), "the owner says when");

    let mut talk = Talk::new();
    talk.send(b"HEAD /x.flv HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(!talk.session.begin_endless(&head), "HEAD has no body");
    talk.drain();
    assert!(talk.text().ends_with("\r\n\r\n") && talk.session.wants_close());
    assert!(!Talk::new().session.begin_endless(&head), "no request waits");
}

#[test]
fn browsers_are_told_what_other_sites_may_do() {
    let mut talk = Talk::new();
    talk.send(
        b"OPTIONS /live/x.m3u8 HTTP/1.1\r\nHost: h\r\nOrigin: https://page\r\n\
          Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: range,x-token\r\n\r\n",
    );
    let request = talk.requests()[0].clone();
    assert!(request.is_preflight());
    talk.respond(Response::preflight(&request, "GET, HEAD"));
    let expected = "HTTP/1.1 204 No Content\r\nCache-Control: no-store\r\nAccess-Control-Allow-Origin: *\r\n\
                    Access-Control-Expose-Headers: Age, Content-Length, Content-Range\r\n\
                    X-Content-Type-Options: nosniff\r\nAccess-Control-Allow-Methods: GET, HEAD\r\n\
                    Access-Control-Allow-Headers: range,x-token\r\nAccess-Control-Max-Age: 86400\r\n\r\n";
    assert_eq!(talk.text(), expected);
    let mut talk = Talk::new();
    talk.ask(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(talk.requests()[0].path == "*" && !talk.requests()[0].is_preflight());
    assert!(!talk.text().contains("Access-Control"), "answers are closed to other sites unless told otherwise");
}

#[test]
fn a_value_never_ends_its_line() {
    let mut talk = Talk::new();
    talk.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    talk.respond(Response::new(302, "", "").with_header("Location", "/a\r\nSet-Cookie: b\0c"));
    assert!(has_header(talk.text(), "Location: /a  Set-Cookie: b c"), "{}", talk.text());
}

#[test]
fn bodies_are_shared_not_copied() {
    let body = Bytes::from(vec![7; 1000]);
    let now = Instant::now();
    let mut session = HttpSession::new(now, Arc::default());
    session.handle_input(now, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    session.respond(now, Response::new(200, "", body.clone())).unwrap();
    let parts: Vec<_> = std::iter::from_fn(|| session.poll_output()).collect();
    assert_eq!(parts.len(), 2);
    assert_eq!(parts[1].as_ptr(), body.as_ptr());
}
