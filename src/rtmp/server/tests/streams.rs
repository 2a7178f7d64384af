//! Message streams: how publishing and playing begin and end, and the calls around them.

use super::peer::{Peer, number, text};
use crate::rtmp::amf0::Value;
use crate::rtmp::path::{PathError, StreamPath};
use crate::rtmp::server::{Event, PublishKind, SessionError, code};

pub(super) fn path(stream: &str) -> StreamPath {
    StreamPath { vhost: "host".to_owned(), app: "live".to_owned(), stream: stream.to_owned(), query: String::new() }
}

pub(super) fn publish_of(stream_id: u32, stream: &str) -> Event {
    Event::Publish { stream_id, path: path(stream), kind: PublishKind::Live }
}

pub(super) fn play_of(stream_id: u32, stream: &str) -> Event {
    Event::Play { stream_id, path: path(stream) }
}

const PUBLISH_STARTED: &str = "onStatus on 1: status NetStream.Publish.Start";
const UNPUBLISHED: &str = "onStatus on 1: status NetStream.Unpublish.Success";

#[test]
fn ids_of_create_stream_count_from_1_and_freed_ones_are_used_again() {
    let mut peer = Peer::connected();
    for id in 1..=3 {
        peer.call(0, "createStream", 9.0, []);
        assert_eq!(peer.said(), [format!("_result 9 {id}")]);
    }
    peer.call(0, "deleteStream", 0.0, [number(2.0)]);
    peer.call(0, "createStream", 10.0, []);
    peer.call(0, "createStream", 11.0, []);
    assert_eq!(peer.said(), ["_result 10 2", "_result 11 4"]);
}

#[test]
fn an_accepted_publisher_gets_stream_begin_and_publish_start() {
    let mut peer = Peer::connected();
    peer.call(0, "createStream", 2.0, []);
    peer.said();
    peer.call(1, "publish", 3.0, [text("a"), text("live")]);
    assert_eq!(peer.said(), [""; 0], "nothing before the owner says yes");
    assert_eq!(peer.events(), [publish_of(1, "a")]);
    peer.session.accept_publish(1);
    assert_eq!(peer.said(), ["UserControl(StreamBegin(1))", PUBLISH_STARTED]);
    peer.session.accept_publish(1);
    assert_eq!(peer.said(), [""; 0], "only once");
}

#[test]
fn the_publish_type_may_be_missing_or_in_any_case() {
    for (arguments, wanted) in [
        (vec![text("a")], PublishKind::Live),
        (vec![text("a"), text("LIVE")], PublishKind::Live),
        (vec![text("a"), text("Record")], PublishKind::Record),
        (vec![text("a"), text("APPEND")], PublishKind::Append),
        (vec![text("a"), text("something")], PublishKind::Live),
        (vec![text("a"), Value::Null], PublishKind::Live),
        (vec![text("a"), number(1.0)], PublishKind::Live),
    ] {
        let mut peer = Peer::connected();
        peer.try_command(1, "publish", 3.0, Value::Null, &arguments).expect("publish");
        let kind = match peer.events().remove(0) {
            Event::Publish { kind, .. } => kind,
            event => panic!("{event:?}"),
        };
        assert_eq!(kind, wanted, "{arguments:?}");
    }
}

#[test]
fn publish_on_an_id_that_create_stream_never_gave_opens_it() {
    for id in [0, 1, 5, u32::MAX] {
        let mut peer = Peer::connected();
        peer.call(id, "publish", 3.0, [text("a")]);
        assert_eq!(peer.events(), [publish_of(id, "a")]);
        peer.session.accept_publish(id);
        peer.message(8, id, 0, &[1]);
        assert_eq!(peer.events().len(), 1, "{id}");
    }
}

#[test]
fn an_empty_publish_name_is_taken_from_the_end_of_swf_url() {
    let mut peer = Peer::new();
    peer.handshake();
    let object = Value::object([
        ("app", text("live")),
        ("tcUrl", text("rtmp://host/live")),
        ("swfUrl", text("rtmp://host/live/a")),
    ]);
    peer.connect_with(object).expect("connect");
    peer.events();
    peer.call(1, "publish", 3.0, [text("")]);
    assert_eq!(peer.events(), [publish_of(1, "a")]);
    peer.call(1, "publish", 3.0, [text("b")]);
    assert_eq!(peer.events(), [Event::Ended { stream_id: 1 }, publish_of(1, "b")], "only then");
}

#[test]
fn a_swf_url_like_tc_url_names_no_stream() {
    for swf_url in ["rtmp://host", "rtmp://host/", "http://elsewhere/player.swf"] {
        let mut peer = Peer::new();
        peer.handshake();
        let object = Value::object([("tcUrl", text("rtmp://host")), ("swfUrl", text(swf_url))]);
        peer.connect_with(object).expect("connect");
        let error = SessionError::BadName(PathError::Empty);
        assert_eq!(peer.try_call(1, "publish", 3.0, [text("")]), Err(error), "{swf_url}");
    }
}

#[test]
fn a_bad_name_is_told_with_the_reason_and_closes() {
    for (name, code) in [("publish", "Publish.BadName"), ("play", "Play.StreamNotFound")] {
        let mut peer = Peer::connected();
        let result = peer.try_call(1, name, 3.0, [text("../a")]);
        assert_eq!(result, Err(SessionError::BadName(PathError::Forbidden)));
        let messages = peer.messages();
        let command = crate::rtmp::command::Command::decode(20, &messages[0].payload);
        let info = command.expect("onStatus").arguments.remove(0);
        let member = |name| info.view().member(name).and_then(|value| value.as_str());
        assert_eq!(member("level"), Some("error"));
        assert_eq!(member("code"), Some(format!("NetStream.{code}").as_str()));
        assert_eq!(member("description"), Some(PathError::Forbidden.to_string().as_str()));
        assert_eq!(peer.events(), []);
    }
}

#[test]
fn an_accepted_player_gets_what_players_wait_for_in_order() {
    let mut peer = Peer::connected();
    peer.call(0, "createStream", 2.0, []);
    peer.said();
    peer.call(1, "play", 0.0, [text("a"), number(-2.0)]);
    assert_eq!(peer.events(), [play_of(1, "a")]);
    peer.session.accept_play(1);
    let wanted = [
        "UserControl(StreamBegin(1))",
        "onStatus on 1: status NetStream.Play.Reset",
        "onStatus on 1: status NetStream.Play.Start",
    ];
    assert_eq!(peer.said(), wanted);
    peer.session.accept_play(1);
    assert_eq!(peer.said(), [""; 0], "only once");
}

#[test]
fn no_data_message_makes_ffmpeg_see_a_third_stream() {
    let mut peer = Peer::connected();
    peer.call(1, "play", 0.0, [text("a")]);
    peer.session.accept_play(1);
    assert!(peer.messages().iter().all(|message| matches!(message.type_id, 1..=6 | 20)));
}

#[test]
fn any_start_and_duration_of_play_is_live() {
    for start in [-2.0, -1.0, -1000.0, 0.0, 12.5, f64::NAN] {
        let mut peer = Peer::connected();
        peer.call(1, "play", 0.0, [text("a"), number(start), number(-1.0), Value::Boolean(true)]);
        assert_eq!(peer.events(), [play_of(1, "a")], "{start}");
    }
}

#[test]
fn play_without_reset_is_not_told_of_one() {
    for reset in [Value::Boolean(false), number(0.0)] {
        let mut peer = Peer::connected();
        peer.call(1, "play", 0.0, [text("a"), number(-2.0), number(-1.0), reset]);
        peer.session.accept_play(1);
        assert_eq!(peer.said()[1], "onStatus on 1: status NetStream.Play.Start");
    }
}

#[test]
fn play2_plays_its_stream_name() {
    let mut peer = Peer::playing();
    let options = Value::object([("transition", text("switch")), ("streamName", text("b"))]);
    peer.call(1, "play2", 0.0, [options]);
    assert_eq!(peer.events(), [Event::Ended { stream_id: 1 }, play_of(1, "b")]);
}

#[test]
fn play_on_a_stream_that_plays_ends_the_first() {
    let mut peer = Peer::playing();
    peer.call(1, "play", 0.0, [text("b")]);
    assert_eq!(peer.events(), [Event::Ended { stream_id: 1 }, play_of(1, "b")]);
}

#[test]
fn wirecast_may_publish_again_before_it_unpublishes() {
    let mut peer = Peer::publishing();
    peer.call(1, "publish", 4.0, [text("a"), text("LIVE")]);
    assert_eq!(peer.events(), [Event::Ended { stream_id: 1 }, publish_of(1, "a")]);
    peer.session.accept_publish(1);
    assert_eq!(peer.said(), ["UserControl(StreamBegin(1))", PUBLISH_STARTED]);
    peer.message(9, 1, 0, &[0x17]);
    assert_eq!(peer.events().len(), 1);
}

#[test]
fn the_same_name_on_another_message_stream_of_the_connection_replaces_the_first() {
    let mut peer = Peer::publishing();
    peer.call(0, "createStream", 4.0, []);
    peer.call(2, "publish", 5.0, [text("a")]);
    assert_eq!(peer.events(), [Event::Ended { stream_id: 1 }, publish_of(2, "a")]);
}

#[test]
fn start_packets_of_fmle_after_a_publish_in_the_manner_of_flash_are_answered() {
    let mut peer = Peer::publishing();
    peer.call(0, "releaseStream", 4.0, [text("a")]);
    peer.call(0, "FCPublish", 5.0, [text("a")]);
    let wanted = ["_result 4 undefined", "_result 5 undefined", "onFCPublish 5 status NetStream.Publish.Start"];
    assert_eq!(peer.said(), wanted);
    assert_eq!(peer.events(), [], "it publishes on");
}

#[test]
fn on_fc_publish_comes_with_the_transaction_id() {
    let mut peer = Peer::connected();
    peer.call(0, "FCPublish", 7.0, [text("a")]);
    let wanted = ["_result 7 undefined", "onFCPublish 7 status NetStream.Publish.Start"];
    assert_eq!(peer.said(), wanted);
    peer.call(0, "FCPublish", 0.0, []);
    assert_eq!(peer.said(), ["onFCPublish 0 status NetStream.Publish.Start"]);
}

#[test]
fn fc_subscribe_is_called_back() {
    let mut peer = Peer::connected();
    peer.call(0, "FCSubscribe", 4.0, [text("a")]);
    let wanted = ["_result 4 undefined", "onFCSubscribe 4 status NetStream.Play.Start"];
    assert_eq!(peer.said(), wanted);
}

#[test]
fn fc_unpublish_ends_the_publisher_of_that_name() {
    let mut peer = Peer::publishing();
    peer.call(2, "publish", 4.0, [text("b")]);
    peer.session.accept_publish(2);
    peer.said();
    peer.events();
    peer.call(0, "FCUnpublish", 6.0, [text("a")]);
    assert_eq!(peer.events(), [Event::Ended { stream_id: 1 }]);
    let wanted = ["_result 6 undefined", "onFCUnpublish 6 status NetStream.Unpublish.Success", UNPUBLISHED];
    assert_eq!(peer.said(), wanted);
    peer.call(0, "FCUnpublish", 7.0, [text("unknown")]);
    assert_eq!(peer.events(), [Event::Ended { stream_id: 2 }], "the only one left");
}

#[test]
fn fc_unpublish_of_an_unknown_name_ends_none_of_several() {
    let mut peer = Peer::publishing();
    peer.call(2, "publish", 4.0, [text("b")]);
    peer.events();
    peer.call(0, "FCUnpublish", 6.0, [text("unknown")]);
    peer.call(0, "FCUnpublish", 7.0, []);
    assert_eq!(peer.events(), []);
}

#[test]
fn publishing_again_works_after_every_clean_end() {
    let ends: [(&str, u32, Vec<Value>); 4] = [
        ("FCUnpublish", 0, vec![text("a")]),
        ("closeStream", 1, vec![]),
        ("deleteStream", 0, vec![number(1.0)]),
        ("publish", 1, vec![Value::Boolean(false)]),
    ];
    for (name, stream_id, arguments) in ends {
        let mut peer = Peer::publishing();
        peer.try_command(stream_id, name, 0.0, Value::Null, &arguments).expect(name);
        assert_eq!(peer.events(), [Event::Ended { stream_id: 1 }], "{name}");
        assert_eq!(peer.said().last().expect(name), UNPUBLISHED, "{name}");
        peer.message(8, 1, 0, &[1]);
        assert_eq!(peer.events(), [], "{name}: no media of an ended publisher");
        peer.call(1, "publish", 8.0, [text("a")]);
        assert_eq!(peer.events(), [publish_of(1, "a")], "{name}");
        peer.session.accept_publish(1);
        peer.message(8, 1, 0, &[1]);
        assert_eq!(peer.events().len(), 1, "{name}");
    }
}

#[test]
fn an_end_is_told_only_once() {
    let mut peer = Peer::publishing();
    peer.call(0, "FCUnpublish", 6.0, [text("a")]);
    peer.said();
    peer.call(1, "closeStream", 0.0, []);
    peer.call(0, "deleteStream", 7.0, [number(1.0)]);
    peer.call(0, "deleteStream", 8.0, [number(1.0)]);
    assert_eq!(peer.events(), [Event::Ended { stream_id: 1 }]);
    assert_eq!(peer.said(), [""; 0]);
}

#[test]
fn a_player_ends_without_a_word() {
    for (name, stream_id) in [("closeStream", 1), ("deleteStream", 0)] {
        let mut peer = Peer::playing();
        peer.call(stream_id, name, 0.0, [number(1.0)]);
        assert_eq!(peer.events(), [Event::Ended { stream_id: 1 }], "{name}");
        assert_eq!(peer.said(), [""; 0], "{name}");
    }
}

#[test]
fn delete_stream_without_a_number_means_its_own_message_stream() {
    let mut peer = Peer::playing();
    peer.call(1, "deleteStream", 0.0, []);
    assert_eq!(peer.events(), [Event::Ended { stream_id: 1 }]);
    for id in [f64::NAN, -5.0, 1e20, 77.0] {
        peer.call(1, "deleteStream", 0.0, [number(id)]);
    }
    assert_eq!(peer.events(), []);
}

#[test]
fn several_streams_of_one_connection_run_side_by_side() {
    let mut peer = Peer::publishing();
    peer.call(2, "play", 0.0, [text("b")]);
    peer.call(3, "publish", 0.0, [text("c")]);
    assert_eq!(peer.events(), [play_of(2, "b"), publish_of(3, "c")]);
    peer.session.accept_play(2);
    peer.session.accept_publish(3);
    peer.message(8, 1, 5, &[1]);
    peer.message(8, 2, 6, &[2]);
    peer.message(8, 3, 7, &[3]);
    let found: Vec<_> = peer
        .events()
        .into_iter()
        .map(|event| match event {
            Event::Audio { stream_id, timestamp, .. } => (stream_id, timestamp),
            event => panic!("{event:?}"),
        })
        .collect();
    assert_eq!(found, [(1, 5), (3, 7)], "a player sends no media");
    peer.call(0, "deleteStream", 0.0, [number(1.0)]);
    assert_eq!(peer.events(), [Event::Ended { stream_id: 1 }]);
}

#[test]
fn a_question_taken_back_before_the_owner_saw_it_is_not_asked() {
    let mut peer = Peer::connected();
    peer.call(1, "publish", 0.0, [text("a")]);
    peer.call(1, "closeStream", 0.0, []);
    peer.call(1, "play", 0.0, [text("b")]);
    peer.call(1, "publish", 0.0, [text("c")]);
    assert_eq!(peer.events(), [publish_of(1, "c")]);
}

#[test]
fn a_question_that_ended_after_the_owner_saw_it_needs_no_answer() {
    let mut peer = Peer::connected();
    peer.call(1, "publish", 0.0, [text("a")]);
    assert_eq!(peer.events(), [publish_of(1, "a")]);
    peer.call(1, "closeStream", 0.0, []);
    assert_eq!(peer.events(), [Event::Ended { stream_id: 1 }]);
    peer.session.accept_publish(1);
    peer.session.accept_play(1);
    peer.session.reject(1, code::PUBLISH_DENIED, "no");
    assert_eq!(peer.said(), [""; 0]);
}

#[test]
fn reject_says_the_code_and_the_reason_on_the_stream() {
    let mut peer = Peer::connected();
    peer.call(1, "publish", 0.0, [text("a")]);
    peer.events();
    peer.session.reject(1, code::PUBLISH_BAD_NAME, "already published");
    assert_eq!(peer.said(), ["onStatus on 1: error NetStream.Publish.BadName"]);
    peer.message(8, 1, 0, &[1]);
    assert_eq!(peer.events(), []);
}

#[test]
fn an_accepted_publisher_can_be_rejected_later() {
    let mut peer = Peer::publishing();
    peer.session.reject(1, code::PUBLISH_DENIED, "somebody took over");
    assert_eq!(peer.said(), ["onStatus on 1: error NetStream.Publish.Denied"]);
    peer.message(8, 1, 0, &[1]);
    assert_eq!(peer.events(), []);
}

#[test]
fn answers_for_streams_that_do_not_fit_say_nothing() {
    let mut peer = Peer::publishing();
    peer.session.accept_play(1);
    peer.session.notify_published(1);
    peer.session.notify_unpublished(1);
    for id in [0, 9] {
        peer.session.accept_publish(id);
        peer.session.accept_play(id);
        peer.session.reject(id, code::PLAY_FAILED, "");
        peer.session.notify_published(id);
    }
    assert_eq!(peer.said(), [""; 0]);
}

#[test]
fn a_player_is_told_that_its_publisher_went_and_came_back() {
    let mut peer = Peer::playing();
    peer.session.notify_unpublished(1);
    let gone = ["onStatus on 1: status NetStream.Play.UnpublishNotify", "UserControl(StreamEof(1))"];
    assert_eq!(peer.said(), gone);
    peer.session.notify_published(1);
    let back = ["UserControl(StreamBegin(1))", "onStatus on 1: status NetStream.Play.PublishNotify"];
    assert_eq!(peer.said(), back);
}

#[test]
fn shutting_down_ends_every_stream_in_its_way() {
    let mut peer = Peer::publishing();
    peer.call(2, "play", 0.0, [text("b")]);
    peer.session.accept_play(2);
    peer.call(3, "play", 0.0, [text("c")]);
    peer.said();
    peer.events();
    peer.session.shut_down("the server ends");
    let wanted = [
        UNPUBLISHED,
        "onStatus on 2: status NetStream.Play.Stop",
        "UserControl(StreamEof(2))",
        "onStatus on 0: status NetConnection.Connect.Closed",
    ];
    assert_eq!(peer.said(), wanted);
    peer.message(8, 1, 0, &[1]);
    assert_eq!(peer.events(), []);
}

#[test]
fn shutting_down_before_connect_says_nothing() {
    let mut peer = Peer::new();
    peer.session.shut_down("");
    assert_eq!(peer.session.poll_output(), None);
}

#[test]
fn pause_and_unpause_are_notified_and_told() {
    for name in ["pause", "pauseRaw"] {
        let mut peer = Peer::playing();
        for (paused, code) in [(true, "Pause"), (false, "Unpause")] {
            peer.call(1, name, 0.0, [Value::Boolean(paused), number(0.0)]);
            assert_eq!(peer.said(), [format!("onStatus on 1: status NetStream.{code}.Notify")]);
            assert_eq!(peer.events(), [Event::Pause { stream_id: 1, paused }]);
        }
    }
}

#[test]
fn seek_is_notified_and_does_no_harm() {
    let mut peer = Peer::playing();
    peer.call(1, "seek", 0.0, [number(5000.0)]);
    assert_eq!(peer.said(), ["onStatus on 1: status NetStream.Seek.Notify"]);
    assert_eq!(peer.events(), []);
}

#[test]
fn a_player_chooses_audio_and_video() {
    let mut peer = Peer::playing();
    peer.call(1, "receiveAudio", 0.0, [Value::Boolean(false)]);
    peer.call(1, "receiveVideo", 4.0, [Value::Boolean(true)]);
    let wanted =
        [Event::ReceiveAudio { stream_id: 1, wanted: false }, Event::ReceiveVideo { stream_id: 1, wanted: true }];
    assert_eq!(peer.events(), wanted);
    assert_eq!(peer.said(), ["_result 4 undefined"]);
}

#[test]
fn commands_of_players_do_nothing_on_other_streams() {
    let mut peer = Peer::publishing();
    for stream_id in [0, 1, 2] {
        for name in ["pause", "pauseRaw", "seek", "receiveAudio", "receiveVideo"] {
            peer.call(stream_id, name, 0.0, []);
        }
    }
    assert_eq!(peer.events(), []);
}

#[test]
fn calls_that_only_want_to_go_on_get_an_empty_result() {
    let mut peer = Peer::connected();
    for name in ["_checkbw", "releaseStream", "set_playlist", "FCUnsubscribe", "whatever", ""] {
        peer.call(0, name, 6.0, [text("a")]);
        assert_eq!(peer.said(), ["_result 6 undefined"], "{name}");
        peer.call(0, name, 0.0, [text("a")]);
        assert_eq!(peer.said(), [""; 0], "{name}");
    }
}

#[test]
fn the_length_of_a_stream_is_0() {
    let mut peer = Peer::connected();
    peer.call(0, "getStreamLength", 6.0, [text("a")]);
    assert_eq!(peer.said(), ["_result 6 0"]);
    peer.call(0, "getStreamLength", 0.0, [text("a")]);
    assert_eq!(peer.said(), [""; 0]);
}

#[test]
fn answers_of_the_peer_are_never_answered() {
    let mut peer = Peer::connected();
    for name in ["_result", "_error", "onStatus"] {
        peer.call(0, name, 6.0, [text("a")]);
    }
    assert_eq!(peer.said(), [""; 0]);
}
