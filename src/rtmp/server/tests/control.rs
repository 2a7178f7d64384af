//! Control messages, acknowledgements, pings and time.

use std::time::Duration;

use super::peer::{Peer, number, text};
use crate::config::SessionLimits;
use crate::rtmp::message::type_id;
use crate::rtmp::server::{Event, SessionError};

fn limits() -> SessionLimits {
    SessionLimits {
        acknowledgement_bytes: 10_000,
        setup_timeout_ms: 10_000,
        publisher_idle_timeout_ms: 30_000,
        ping_interval_ms: 20_000,
        ..SessionLimits::default()
    }
}

/// Bytes of an audio message of a publisher that are not its payload: one chunk header.
const AUDIO_HEAD: usize = 12;

#[test]
fn ping_request_is_answered_with_the_same_bytes() {
    let mut peer = Peer::connected();
    peer.message(type_id::USER_CONTROL, 0, 0, &[0, 6, 0xDE, 0xAD, 0xBE, 0xEF]);
    assert_eq!(peer.said(), ["UserControl(PingResponse(3735928559))"]);
}

#[test]
fn the_first_ping_of_librtmp_has_a_short_header() {
    let mut peer = Peer::connected();
    // Type 1 on chunk stream 2 as the first chunk there: no message stream id.
    peer.send(&[0x42, 0, 0, 0, 0, 0, 6, 4, 0, 6, 0, 0, 0, 9]).expect("ping");
    assert_eq!(peer.said(), ["UserControl(PingResponse(9))"]);
}

#[test]
fn control_messages_on_any_message_stream_count() {
    let mut peer = Peer::connected();
    peer.message(type_id::USER_CONTROL, 5, 0, &[0, 6, 0, 0, 0, 1]);
    assert_eq!(peer.said(), ["UserControl(PingResponse(1))"]);
}

#[test]
fn short_and_unknown_control_messages_are_ignored() {
    let mut peer = Peer::connected();
    for type_id in 1..=6 {
        for len in 0..4 {
            peer.message(type_id, 0, 0, &[0; 4][..len]);
        }
    }
    peer.message(type_id::USER_CONTROL, 0, 0, &[0, 6, 0, 0, 0]);
    for event in [0, 1, 2, 4, 5, 7, 0x1A, 0x1B, 31, 32, 255] {
        peer.message(type_id::USER_CONTROL, 0, 0, &[0, event, 0, 0, 0, 1]);
    }
    assert_eq!((peer.said(), peer.events()), (vec![], vec![]));
}

#[test]
fn set_peer_bandwidth_buffer_length_and_acknowledgements_of_clients_are_tolerated() {
    let mut peer = Peer::connected();
    peer.message(type_id::SET_PEER_BANDWIDTH, 0, 0, &[0, 0x26, 0x25, 0xA0, 2]);
    peer.message(type_id::SET_PEER_BANDWIDTH, 0, 0, &[0, 0, 0, 0]);
    peer.message(type_id::USER_CONTROL, 0, 0, &[0, 3, 0, 0, 0, 1, 0, 0, 0x0B, 0xB8]);
    peer.message(type_id::ACKNOWLEDGEMENT, 0, 0, &[0xFF; 4]);
    assert_eq!(peer.said(), [""; 0]);
}

#[test]
fn acknowledgements_come_without_any_window_of_the_peer() {
    let mut peer = Peer::publishing_with(limits());
    peer.now += Duration::from_secs(3);
    while peer.sent + AUDIO_HEAD + 100 < 10_000 {
        peer.message(type_id::AUDIO, 1, 0, &[1; 100]);
    }
    assert_eq!(peer.said(), [""; 0]);
    peer.message(type_id::AUDIO, 1, 0, &[1; 120]);
    let total = peer.sent;
    assert_eq!(peer.said(), [format!("Acknowledgement({total})")], "the handshake counts");
    peer.message(type_id::AUDIO, 1, 0, &[1; 100]);
    assert_eq!(peer.said(), [""; 0], "next after another window");
}

#[test]
fn a_file_pushed_at_full_speed_gets_few_acknowledgements_that_it_did_not_ask_for() {
    let mut peer = Peer::publishing_with(limits());
    let push = |peer: &mut Peer| (0..10).for_each(|_| peer.message(type_id::AUDIO, 1, 0, &[1; 10_000]));
    push(&mut peer);
    assert_eq!(peer.said(), [""; 0]);
    peer.now += Duration::from_secs(3);
    push(&mut peer);
    assert_eq!(peer.said().len(), 1);
    peer.message(type_id::WINDOW_ACKNOWLEDGEMENT_SIZE, 0, 0, &[0, 0, 0x27, 0x10]);
    peer.said();
    push(&mut peer);
    assert_eq!(peer.said().len(), 10, "these were asked for");
}

#[test]
fn a_smaller_window_of_the_peer_counts_and_a_larger_one_does_not() {
    for (window, acknowledged) in [([0, 0, 1, 0], true), ([0xFF; 4], false)] {
        let mut peer = Peer::publishing();
        peer.message(type_id::WINDOW_ACKNOWLEDGEMENT_SIZE, 0, 0, &window);
        peer.said();
        peer.message(type_id::AUDIO, 1, 0, &[1; 300]);
        assert_eq!(!peer.said().is_empty(), acknowledged);
        peer.now += Duration::from_secs(3);
        for _ in 0..25 {
            peer.message(type_id::AUDIO, 1, 0, &[1; 100_000]);
        }
        assert!(!peer.said().is_empty(), "{window:?}: at the latest after 2.5 MB");
    }
}

#[test]
fn a_window_of_0_is_ignored() {
    let mut peer = Peer::publishing();
    peer.message(type_id::WINDOW_ACKNOWLEDGEMENT_SIZE, 0, 0, &[0; 4]);
    peer.message(type_id::AUDIO, 1, 0, &[1; 1000]);
    assert_eq!(peer.said(), [""; 0]);
}

#[test]
fn one_input_gets_one_acknowledgement_at_most() {
    let mut peer = Peer::publishing();
    peer.message(type_id::WINDOW_ACKNOWLEDGEMENT_SIZE, 0, 0, &[0, 0, 0, 1]);
    peer.said();
    peer.message(type_id::AUDIO, 1, 0, &[1; 5000]);
    assert_eq!(peer.said(), [format!("Acknowledgement({})", peer.sent)]);
}

#[test]
fn acknowledgements_wrap_at_32_bits() {
    let mut peer = Peer::publishing();
    peer.session.received_bytes = u32::MAX - 5;
    peer.session.acknowledged_bytes = u32::MAX - 2_499_990;
    peer.now += Duration::from_secs(3);
    peer.message(type_id::AUDIO, 1, 0, &[1; 88]);
    assert_eq!(peer.said(), ["Acknowledgement(94)"]);
}

#[test]
fn a_silent_peer_is_pinged_and_again_after_more_silence() {
    let mut peer = Peer::connected_with(limits());
    peer.call(1, "play", 0.0, [text("a")]);
    peer.session.accept_play(1);
    peer.said();
    assert_eq!(peer.timeout_ms(), Some(20_000));
    peer.wait(19_999).expect("early");
    assert_eq!(peer.said(), [""; 0]);
    peer.wait(1).expect("ping");
    assert_eq!(peer.said(), ["UserControl(PingRequest(20000))"]);
    assert_eq!(peer.timeout_ms(), Some(20_000));
    peer.wait(20_000).expect("ping");
    assert_eq!(peer.said(), ["UserControl(PingRequest(40000))"]);
    peer.wait(15_000).expect("nothing");
    peer.message(type_id::USER_CONTROL, 0, 0, &[0, 7, 0, 0, 0x9C, 0x40]);
    assert_eq!(peer.timeout_ms(), Some(20_000), "any byte puts it off");
}

#[test]
fn players_are_never_closed_for_silence() {
    let mut peer = Peer::playing();
    for _ in 0..1000 {
        let millis = peer.timeout_ms().expect("pings");
        peer.wait(u64::try_from(millis).expect("small")).expect("no end");
    }
}

#[test]
fn a_silent_publisher_is_closed() {
    let mut peer = Peer::publishing_with(limits());
    peer.wait(20_000).expect("ping");
    assert_eq!(peer.said().len(), 1);
    peer.message(type_id::AUDIO, 1, 0, &[1]);
    peer.wait(29_999).expect("not yet");
    assert_eq!(peer.wait(1), Err(SessionError::IdleTimeout(30_000)));
}

#[test]
fn the_owner_may_take_its_time_for_a_publisher_that_stays_silent() {
    let mut peer = Peer::connected_with(limits());
    peer.call(1, "publish", 0.0, [text("a")]);
    peer.wait(9_999).expect("within the setup timeout");
    peer.session.accept_publish(1);
    assert_eq!(peer.timeout_ms(), Some(10_001), "ping");
}

#[test]
fn whoever_neither_publishes_nor_plays_is_closed() {
    let steps: [fn(&mut Peer); 5] = [
        |_| {},
        |peer| peer.send(&[3, 0, 0]).expect("half of C1"),
        Peer::handshake,
        |peer| {
            peer.handshake();
            peer.connect();
            peer.call(0, "createStream", 2.0, []);
        },
        |peer| {
            peer.handshake();
            peer.connect();
            peer.call(1, "publish", 2.0, [text("a")]);
        },
    ];
    for step in steps {
        let mut peer = Peer::with_limits(limits());
        step(&mut peer);
        peer.wait(9_000).expect("in time");
        if !peer.said().is_empty() {
            peer.call_if_connected();
        }
        assert_eq!(peer.timeout_ms(), Some(1_000), "bytes do not put it off");
        assert_eq!(peer.wait(1_000), Err(SessionError::SetupTimeout(10_000)));
    }
}

#[test]
fn after_all_has_ended_the_setup_timeout_begins_anew() {
    let mut peer = Peer::publishing_with(limits());
    peer.call(2, "play", 0.0, [text("b")]);
    peer.session.accept_play(2);
    peer.wait(15_000).expect("no setup timeout while something runs");
    peer.call(0, "deleteStream", 0.0, [number(1.0)]);
    assert_eq!(peer.timeout_ms(), Some(20_000), "one still plays");
    peer.call(0, "deleteStream", 0.0, [number(2.0)]);
    assert_eq!(peer.timeout_ms(), Some(10_000));
    peer.wait(9_000).expect("in time");
    peer.call(1, "publish", 0.0, [text("a")]);
    peer.session.accept_publish(1);
    assert!(peer.wait(2_000).is_ok());
    peer.call(1, "closeStream", 0.0, []);
    assert_eq!(peer.wait(10_000), Err(SessionError::SetupTimeout(10_000)));
}

#[test]
fn a_rejected_peer_that_is_not_closed_ends_by_the_setup_timeout() {
    let mut peer = Peer::connected_with(limits());
    peer.call(1, "publish", 0.0, [text("a")]);
    peer.session.reject(1, "NetStream.Publish.Denied", "no");
    assert_eq!(peer.wait(10_000), Err(SessionError::SetupTimeout(10_000)));
}

#[test]
fn times_beyond_the_clock_never_come() {
    let limits = SessionLimits {
        setup_timeout_ms: u64::MAX,
        publisher_idle_timeout_ms: u64::MAX,
        ping_interval_ms: u64::MAX,
        ..SessionLimits::default()
    };
    let mut peer = Peer::publishing_with(limits);
    peer.wait(1_000_000_000).expect("nothing is due");
    assert_eq!(peer.events(), Vec::<Event>::new());
}

impl Peer {
    /// Any command, to be sure that bytes do not put the setup timeout off.
    fn call_if_connected(&mut self) {
        if self.session.names.is_some() {
            self.call(0, "_checkbw", 0.0, []);
        }
    }
}
