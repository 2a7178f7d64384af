//! Bytes of anybody: no panic, and no memory beyond the limits.

use proptest::prelude::*;

use super::*;
use crate::http::websocket::tests::masked;

const LIMITS: HttpLimits = HttpLimits {
    head_bytes: 256,
    headers: 8,
    body_bytes: 128,
    head_timeout_ms: 1_000,
    body_timeout_ms: 1_000,
    idle_timeout_ms: 1_000,
    websocket_message_bytes: 128,
    websocket_ping_ms: 1_000,
};

/// Pieces that lead further in than chance would.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&[u8]> = vec![
        b"GET / HTTP/1.1\r\n",
        b"HEAD /a%2Fb?c HTTP/1.0\r\n",
        b"POST /%zz HTTP/1.1\r\n",
        b"Host: h\r\n",
        b"Content-Length: 3\r\n",
        b"Content-Length: 99999\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"Connection: keep-alive\r\n",
        b"\r\n",
        b"\n",
        b"abc",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        UPGRADE.as_bytes(),
    ];
    let frame = (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..160));
    prop_oneof![
        6 => proptest::sample::select(known).prop_map(<[u8]>::to_vec),
        2 => frame.prop_map(|(first, payload)| masked(first & 0x8F, &payload)),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

#[derive(Debug, Clone)]
enum Step {
    Input(Vec<u8>),
    Respond(bool),
    Endless,
    Accept,
    CloseWebSocket,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => piece().prop_map(Step::Input),
        2 => any::<bool>().prop_map(Step::Respond),
        1 => Just(Step::Accept),
        1 => (0..1_500_u64).prop_map(Step::Wait),
        1 => prop_oneof![Just(Step::Endless), Just(Step::CloseWebSocket)],
    ]
}

fn held_bytes(session: &HttpSession) -> usize {
    session.partial_bytes()
}

proptest! {
    #[test]
    fn no_bytes_and_no_answers_break_a_session(steps in proptest::collection::vec(step(), 0..40)) {
        let mut talk = Talk::with(LIMITS);
        for step in steps {
            match step {
                Step::Input(bytes) => talk.send(&bytes),
                Step::Respond(close) => {
                    let mut response = Response::text(200, "ok");
                    response.head.close = close;
                    talk.respond(response);
                }
                Step::Endless => {
                    let _ = talk.session.begin_endless(&ResponseHead::new(200, "video/x-flv"));
                }
                Step::Accept => {
                    let result = talk.session.accept_websocket(talk.now, None);
                    talk.errors.extend(result.err());
                }
                Step::CloseWebSocket => talk.session.websocket_close(1000, "done"),
                Step::Wait(millis) => talk.wait(millis),
            }
            talk.drain();
            prop_assert!(talk.errors.len() <= 1, "one error closes");
            prop_assert!(talk.errors.is_empty() || talk.session.wants_close());
            prop_assert!(held_bytes(&talk.session) <= 2 * 256 + 2 * 256, "{} bytes", held_bytes(&talk.session));
        }
    }

    #[test]
    fn the_cut_of_the_input_does_not_matter(
        pieces in proptest::collection::vec(piece(), 0..12),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..6),
    ) {
        let input = pieces.concat();
        let mut whole = Talk::with(HttpLimits::default());
        whole.ask(&input);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        cuts.push(input.len());
        let mut parts = Talk::with(HttpLimits::default());
        let mut start = 0;
        for cut in cuts {
            parts.ask(&input[start..cut]);
            start = cut;
        }
        prop_assert_eq!(&parts.events, &whole.events);
        prop_assert_eq!(&parts.errors, &whole.errors);
        prop_assert_eq!(parts.session.wants_close(), whole.session.wants_close());
    }
}
