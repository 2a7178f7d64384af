//! Every limit and every wait, reached.

use super::*;

const SMALL: HttpLimits = HttpLimits {
    head_bytes: 100,
    headers: 3,
    body_bytes: 10,
    head_timeout_ms: 1_000,
    body_timeout_ms: 2_000,
    idle_timeout_ms: 5_000,
    websocket_message_bytes: 125,
    websocket_ping_ms: 3_000,
};

fn refusal(input: &[u8]) -> String {
    let mut talk = Talk::with(SMALL);
    talk.ask(input);
    let mut bytewise = Talk::with(SMALL);
    input.chunks(1).for_each(|byte| bytewise.ask(byte));
    assert_eq!(bytewise.output, talk.output);
    talk.text().to_owned()
}

#[test]
fn heads_have_a_length() {
    let head = |len: usize| {
        let start = "GET / HTTP/1.1\r\nHost: h\r\nX: ";
        format!("{start}{}\r\n\r\n", "x".repeat(len - start.len() - 4)).into_bytes()
    };
    assert!(refusal(&head(100)).starts_with("HTTP/1.1 200 OK\r\n"));
    let told = "431 Request Header Fields Too Large: the request's head is longer than 100 bytes\n";
    assert!(refusal(&head(101)).ends_with(told));
    let told = "414 URI Too Long: the URL is longer than 100 bytes\n";
    assert!(refusal(format!("GET /{}", "x".repeat(96)).as_bytes()).ends_with(told));
    // A URL that fits, with headers that do not.
    let input = format!("GET /{} HTTP/1.1\r\nHost: hhhhhhhhh\r\n", "x".repeat(70));
    assert!(refusal(input.as_bytes()).starts_with("HTTP/1.1 431 "));
}

#[test]
fn headers_have_a_number() {
    let head = |count: usize| format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(count - 1)).into_bytes();
    assert!(refusal(&head(3)).starts_with("HTTP/1.1 200 OK\r\n"));
    let told = "431 Request Header Fields Too Large: the request has more than 3 headers\n";
    assert!(refusal(&head(4)).ends_with(told));
}

#[test]
fn bodies_have_a_length() {
    let post = |rest: &str| refusal(format!("POST / HTTP/1.1\r\nHost: h\r\n{rest}").as_bytes());
    assert!(post("Content-Length: 10\r\n\r\n0123456789").starts_with("HTTP/1.1 200 OK\r\n"));
    let told = "413 Content Too Large: the request's body is longer than 10 bytes\n";
    assert!(post("Content-Length: 11\r\n\r\n").ends_with(told), "told before the body is sent");
    assert!(post("Content-Length: 11\r\nExpect: 100-continue\r\n\r\n").ends_with(told), "not asked to go on");
    assert!(post("Content-Length: 99999999999999999999999\r\n\r\n").ends_with(told));
    assert!(post("Transfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n5\r\n").ends_with(told));
    assert!(post("Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n").ends_with(told));
}

#[test]
fn what_is_sent_ahead_of_an_answer_has_a_length() {
    let get = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut talk = Talk::with(SMALL);
    talk.send(get);
    talk.send(&[b'x'; 60]);
    talk.send(&[b'x'; 40]);
    assert_eq!(talk.errors, []);
    talk.send(b"x");
    assert_eq!(talk.errors, [HttpError::TooMuchAhead(100)]);
    assert_eq!(talk.errors[0].to_string(), "more than 100 bytes sent ahead of an answer");
    assert!(talk.output.is_empty() && talk.session.wants_close());
    talk.respond(Response::text(200, "too late"));
    assert!(talk.output.is_empty());

    // Where nobody will read it, it does not count.
    let mut talk = Talk::with(SMALL);
    talk.send(b"GET / HTTP/1.0\r\n\r\n");
    talk.send(&[b'x'; 1000]);
    assert_eq!((talk.errors.len(), talk.session.buffer.capacity()), (0, 0));
}

#[test]
fn a_peer_that_says_nothing_is_closed_without_a_word() {
    let mut talk = Talk::with(SMALL);
    assert_eq!(talk.due_ms(), Some(1_000));
    talk.wait(999);
    assert_eq!(talk.errors, []);
    talk.wait(1);
    assert_eq!(talk.errors, [HttpError::Idle(1_000)]);
    assert!(talk.output.is_empty() && talk.session.wants_close());
    assert_eq!(talk.due_ms(), None);
}

#[test]
fn a_head_that_comes_byte_by_byte_ends_by_time_out() {
    let mut talk = Talk::with(SMALL);
    for byte in b"GET /" {
        talk.ask(&[*byte]);
        talk.wait(199);
    }
    assert_eq!(talk.due_ms(), Some(5));
    talk.wait(5);
    assert_eq!(talk.errors, [HttpError::RequestTimeout(1_000)]);
    let told = "408 Request Timeout: the request was not whole within 1000 ms\n";
    assert!(talk.text().ends_with(told) && talk.session.wants_close());

    // The wait for a later request begins anew with its first byte.
    let mut talk = Talk::with(SMALL);
    talk.ask(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(talk.due_ms(), Some(5_000));
    talk.wait(4_999);
    talk.ask(b"G");
    assert_eq!(talk.due_ms(), Some(1_000));
    talk.wait(500);
    talk.ask(b"E");
    assert_eq!(talk.due_ms(), Some(500));
    talk.wait(500);
    assert!(talk.text().ends_with(told));
}

#[test]
fn a_body_that_does_not_come_ends_by_time_out() {
    let mut talk = Talk::with(SMALL);
    talk.wait(500);
    talk.ask(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(talk.due_ms(), Some(2_000));
    talk.wait(1_000);
    talk.ask(b"a");
    assert_eq!(talk.due_ms(), Some(1_000));
    talk.wait(1_000);
    assert!(talk.text().ends_with("408 Request Timeout: the request was not whole within 2000 ms\n"));
}

#[test]
fn a_kept_connection_may_be_silent_for_a_while() {
    let mut talk = Talk::with(SMALL);
    talk.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(talk.due_ms(), None);
    talk.wait(60_000);
    talk.respond(Response::new(200, "", "x"));
    assert_eq!(talk.due_ms(), Some(5_000), "counted from the answer");
    talk.wait(5_000);
    assert_eq!(talk.errors, [HttpError::Idle(5_000)]);
}

#[test]
fn an_idle_connection_holds_no_buffer() {
    assert!(size_of::<HttpSession>() <= 320, "{} bytes", size_of::<HttpSession>());
    let mut talk = Talk::new();
    let held = |session: &HttpSession| (session.buffer.capacity(), session.events.capacity());
    for _ in 0..3 {
        talk.ask(b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: h\r\n\r\n\r\n");
        assert_eq!(held(&talk.session), (0, 0));
    }
    assert_eq!(talk.requests().len(), 6);
}
