//! `connect` and what may come before and after it.

use super::peer::{Peer, text};
use crate::rtmp::amf0::{Value, ValueRef};
use crate::rtmp::command::Command;
use crate::rtmp::message::type_id;
use crate::rtmp::server::{ConnectInfo, Event, SessionError};

fn info(peer: &mut Peer) -> ConnectInfo {
    match peer.events().remove(0) {
        Event::Connected(info) => *info,
        event => panic!("{event:?}"),
    }
}

/// What `connect` with `members` tells the owner.
fn info_of(members: Vec<(&str, Value)>) -> ConnectInfo {
    let members = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let mut peer = Peer::new();
    peer.handshake();
    peer.connect_with(Value::Object(members)).expect("connect");
    info(&mut peer)
}

/// The answer to `connect` of a client with this `objectEncoding`.
fn answer(encoding: Option<f64>) -> Command {
    let mut peer = Peer::new();
    peer.handshake();
    let members = encoding.map(|encoding| ("objectEncoding".to_owned(), Value::Number(encoding)));
    peer.connect_with(Value::Object(members.into_iter().collect())).expect("connect");
    let message = peer.messages().pop().expect("an answer");
    assert_eq!(message.type_id, type_id::COMMAND_AMF0);
    Command::decode(message.type_id, &message.payload).expect("command")
}

#[test]
fn window_bandwidth_and_chunk_size_come_before_the_result() {
    let mut peer = Peer::new();
    peer.handshake();
    peer.session.poll_output();
    peer.connect();
    let output = peer.session.poll_output().expect("answers");
    let head = [
        2, 0, 0, 0, 0, 0, 4, 5, 0, 0, 0, 0, 0, 0x26, 0x25, 0xA0, // window
        2, 0, 0, 0, 0, 0, 5, 6, 0, 0, 0, 0, 0, 0x26, 0x25, 0xA0, 2, // bandwidth, dynamic
        2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0x10, 0, // chunk size
        3, 0, 0, 0, 0, // `_result`
    ];
    assert_eq!(output[..head.len()], head);
    assert_eq!(peer.session.poll_output(), None, "one buffer for all");
}

#[test]
fn the_result_is_in_one_chunk() {
    let mut peer = Peer::new();
    peer.handshake();
    peer.session.poll_output();
    peer.connect();
    let output = peer.session.poll_output().expect("answers");
    let body = output.len() - (16 + 17 + 16 + 12);
    assert!(body > 128, "it would not have fitted before Set Chunk Size");
    assert_eq!(output[16 + 17 + 16 + 4..][..3], u32::try_from(body).expect("small").to_be_bytes()[1..]);
}

#[test]
fn the_answer_to_connect_has_the_transaction_id_and_says_success() {
    let mut peer = Peer::new();
    peer.handshake();
    peer.try_command(0, "connect", 5.0, Value::Null, &[]).expect("connect");
    assert_eq!(peer.said().last().expect("answer"), "_result 5 status NetConnection.Connect.Success");
}

#[test]
fn on_bw_done_is_never_sent() {
    let mut peer = Peer::new();
    peer.handshake();
    peer.connect();
    assert_eq!(peer.said().len(), 3, "window, bandwidth and result");
}

#[test]
fn the_answer_says_what_enhanced_rtmp_can_pass_through() {
    let answer = answer(None);
    let number = |value: Option<ValueRef<'_>>| value.and_then(ValueRef::as_number);
    let properties = answer.object.view();
    assert_eq!(number(properties.member("capsEx")), Some(15.0), "reconnect, multitrack, ModEx, nano");
    for name in ["videoFourCcInfoMap", "audioFourCcInfoMap"] {
        let map = properties.member(name).expect(name);
        assert_eq!(number(map.member("*")), Some(4.0), "{name}: can forward any");
    }
    assert!(properties.member("fmsVer").is_some() && properties.member("capabilities").is_some());
    assert_eq!(number(properties.member("mode")), Some(1.0));
}

#[test]
fn the_object_encoding_of_the_client_is_answered() {
    for (asked, answered) in [(None, 0.0), (Some(0.0), 0.0), (Some(3.0), 3.0), (Some(7.0), 0.0)] {
        let answer = answer(asked);
        let encoding = answer.argument(0).and_then(|info| info.member("objectEncoding"));
        assert_eq!(encoding.and_then(ValueRef::as_number), Some(answered), "{asked:?}");
    }
}

#[test]
fn connect_tells_the_owner_what_the_client_said() {
    let info = info_of(vec![
        ("app", text("live?token=1")),
        ("flashVer", text("FMLE/3.0")),
        ("tcUrl", text("rtmp://host/live?token=1")),
        ("capsEx", Value::Number(6.0)),
    ]);
    let wanted = ConnectInfo {
        app: "live?token=1".to_owned(),
        tc_url: Some("rtmp://host/live?token=1".to_owned()),
        flash_ver: Some("FMLE/3.0".to_owned()),
        swf_url: None,
        page_url: None,
        caps_ex: 6,
        four_ccs: Vec::new(),
    };
    assert_eq!(info, wanted);
}

#[test]
fn connect_without_any_member_is_taken() {
    let info = info_of(Vec::new());
    assert_eq!((info.app.as_str(), info.tc_url, info.caps_ex), ("", None, 0));
}

#[test]
fn tc_url_may_be_written_small_and_in_quotes() {
    for (name, value) in [
        ("tcUrl", "rtmp://host/live"),
        ("tcurl", "rtmp://host/live"),
        ("tcUrl", "'rtmp://host/live'"),
        ("tcurl", "\"rtmp://host/live\""),
    ] {
        let info = info_of(vec![(name, text(value))]);
        assert_eq!(info.tc_url.as_deref(), Some("rtmp://host/live"), "{name} {value}");
    }
}

#[test]
fn four_ccs_of_the_list_and_of_the_maps_are_told() {
    let list = Value::StrictArray(vec![text("hvc1"), Value::Number(1.0), text("av01")]);
    let info = info_of(vec![
        ("fourCcList", list),
        ("videoFourCcInfoMap", Value::object([("vp09", Value::Number(3.0))])),
        ("audioFourCcInfoMap", Value::EcmaArray(vec![("Opus".to_owned(), Value::Number(1.0))])),
    ]);
    assert_eq!(info.four_ccs, ["hvc1", "av01", "vp09", "Opus"]);
}

#[test]
fn caps_ex_that_is_no_sane_number_is_tolerated() {
    for (value, wanted) in [(-1.0, 0), (f64::NAN, 0), (f64::INFINITY, u32::MAX), (1e300, u32::MAX), (2.5, 2)] {
        assert_eq!(info_of(vec![("capsEx", Value::Number(value))]).caps_ex, wanted, "{value}");
    }
}

#[test]
fn a_command_before_connect_is_out_of_order() {
    for (name, named) in [("publish", "publish"), ("createStream", "createStream")] {
        let mut peer = Peer::new();
        peer.handshake();
        assert_eq!(peer.try_call(0, name, 4.0, []), Err(SessionError::OutOfOrder(named)));
        assert_eq!(peer.said(), ["_error 4 error NetConnection.Call.Failed"]);
        assert_eq!(peer.events(), []);
    }
    let mut peer = Peer::new();
    peer.handshake();
    let error = SessionError::OutOfOrder("of unknown name");
    assert_eq!(peer.try_call(0, "x", 0.0, []), Err(error));
    assert_eq!(peer.said(), [""; 0], "transaction id 0 wants no answer");
}

#[test]
fn a_second_connect_is_out_of_order() {
    let mut peer = Peer::connected();
    let again = peer.connect_with(Value::Null);
    assert_eq!(again, Err(SessionError::OutOfOrder("connect")));
    assert_eq!(peer.said(), ["_error 1 error NetConnection.Call.Failed"]);
}

#[test]
fn media_before_connect_is_ignored() {
    let mut peer = Peer::new();
    peer.handshake();
    for type_id in [8, 9, 15, 16, 18, 19, 22, 200] {
        peer.message(type_id, 1, 0, &[0; 40]);
    }
    assert_eq!((peer.events(), peer.said()), (vec![], vec![]));
}

#[test]
fn connect_in_amf3_is_answered_in_amf0() {
    let mut peer = Peer::new();
    peer.handshake();
    let object = Value::object([("app", text("live")), ("objectEncoding", Value::Number(3.0))]);
    let body = super::peer::command_body("connect", 1.0, object, &[]);
    peer.message(type_id::COMMAND_AMF3, 0, 0, &[&[0], &body[..]].concat());
    assert_eq!(info(&mut peer).app, "live");
    assert_eq!(peer.messages().pop().expect("answer").type_id, type_id::COMMAND_AMF0);
}
