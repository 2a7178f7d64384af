//! Media of publishers: which is passed on, and as what.

use bytes::Bytes;

use super::peer::{Peer, message_bytes, text, values};
use super::streams::publish_of;
use crate::rtmp::amf0::Value;
use crate::rtmp::message::type_id;
use crate::rtmp::server::{Event, code};

fn audio(timestamp: u32, payload: &'static [u8]) -> Event {
    Event::Audio { stream_id: 1, timestamp, payload: Bytes::from_static(payload) }
}

fn video(timestamp: u32, payload: &'static [u8]) -> Event {
    Event::Video { stream_id: 1, timestamp, payload: Bytes::from_static(payload) }
}

#[test]
fn audio_and_video_come_as_they_were_sent() {
    let mut peer = Peer::publishing();
    peer.message(type_id::AUDIO, 1, 10, &[0xAF, 1]);
    peer.message(type_id::VIDEO, 1, 0xFFFF_FFFF, &[0x17, 1]);
    assert_eq!(peer.events(), [audio(10, &[0xAF, 1]), video(0xFFFF_FFFF, &[0x17, 1])]);
    assert_eq!(peer.said(), [""; 0]);
}

#[test]
fn empty_audio_and_video_are_legal() {
    let mut peer = Peer::publishing();
    peer.message(type_id::AUDIO, 1, 10, &[]);
    peer.message(type_id::VIDEO, 1, 11, &[]);
    assert_eq!(peer.events(), [audio(10, &[]), video(11, &[])]);
}

#[test]
fn unknown_codecs_of_drones_are_passed_on_untouched() {
    let mut peer = Peer::publishing();
    peer.message(type_id::AUDIO, 1, 10, &[0xFF, 1, 2]);
    peer.message(type_id::VIDEO, 1, 11, &[0x8F, b'?', b'?', b'?', b'?']);
    assert_eq!(peer.events(), [audio(10, &[0xFF, 1, 2]), video(11, &[0x8F, 63, 63, 63, 63])]);
}

#[test]
fn media_that_does_not_wait_for_publish_start_follows_the_question() {
    let mut peer = Peer::connected();
    peer.call(1, "publish", 0.0, [text("a")]);
    peer.message(type_id::VIDEO, 1, 0, &[0x17]);
    assert_eq!(peer.events(), [publish_of(1, "a"), video(0, &[0x17])]);
    peer.session.accept_publish(1);
    peer.message(type_id::VIDEO, 1, 40, &[0x27]);
    assert_eq!(peer.events(), [video(40, &[0x27])]);
    peer.session.reject(1, code::PUBLISH_DENIED, "no");
    peer.message(type_id::VIDEO, 1, 80, &[0x27]);
    assert_eq!(peer.events(), [], "after a no");
}

#[test]
fn media_of_streams_that_do_not_publish_is_ignored() {
    let mut peer = Peer::playing();
    for stream_id in [0, 1, 2] {
        for type_id in [8, 9, 15, 18, 22] {
            peer.message(type_id, stream_id, 0, &[0; 20]);
        }
    }
    assert_eq!(peer.events(), []);
}

#[test]
fn media_without_message_stream_id_belongs_to_the_only_publisher() {
    let mut peer = Peer::publishing();
    peer.message(type_id::AUDIO, 0, 10, &[0xAF]);
    assert_eq!(peer.events(), [audio(10, &[0xAF])]);
    peer.message(type_id::AUDIO, 2, 10, &[0xAF]);
    assert_eq!(peer.events(), [], "another id is another stream");
    peer.call(2, "publish", 0.0, [text("b")]);
    peer.session.accept_publish(2);
    peer.events();
    peer.message(type_id::AUDIO, 0, 10, &[0xAF]);
    assert_eq!(peer.events(), [], "of two publishers nobody knows which");
}

#[test]
fn metadata_is_told_without_set_data_frame() {
    let mut peer = Peer::publishing();
    let metadata = [text("onMetaData"), Value::EcmaArray(vec![("width".to_owned(), Value::Number(640.0))])];
    let framed = [&[text("@setDataFrame")], &metadata[..]].concat();
    let wanted = |timestamp| Event::Data { stream_id: 1, timestamp, payload: values(&metadata), is_metadata: true };
    peer.message(type_id::DATA_AMF0, 1, 0, &values(&framed));
    peer.message(type_id::DATA_AMF0, 1, 5, &values(&metadata));
    peer.message(type_id::DATA_AMF3, 1, 6, &[&[0], &values(&framed)[..]].concat());
    assert_eq!(peer.events(), [wanted(0), wanted(5), wanted(6)]);
}

#[test]
fn other_data_keeps_its_timestamp_and_its_place() {
    let mut peer = Peer::publishing();
    let cue = values(&[text("onCuePoint"), Value::Null]);
    peer.message(type_id::AUDIO, 1, 70, &[1]);
    peer.message(type_id::DATA_AMF0, 1, 77, &cue);
    peer.message(type_id::AUDIO, 1, 80, &[2]);
    let data = Event::Data { stream_id: 1, timestamp: 77, payload: cue, is_metadata: false };
    assert_eq!(peer.events(), [audio(70, &[1]), data, audio(80, &[2])]);
}

#[test]
fn clear_data_frame_clears_metadata() {
    let mut peer = Peer::publishing();
    let body = values(&[text("@clearDataFrame"), text("onMetaData")]);
    peer.message(type_id::DATA_AMF0, 1, 0, &body);
    assert_eq!(peer.events(), [Event::ClearMetadata { stream_id: 1 }]);
}

#[test]
fn sample_access_and_garbage_data_are_dropped() {
    let mut peer = Peer::publishing();
    peer.message(type_id::DATA_AMF0, 1, 0, &values(&[text("|RtmpSampleAccess")]));
    for body in [&[][..], &[0xFF; 30], &[2, 0xFF], &values(&[Value::Null])] {
        peer.message(type_id::DATA_AMF0, 1, 0, body);
        peer.message(type_id::DATA_AMF3, 1, 0, body);
    }
    assert_eq!(peer.events(), []);
}

#[test]
fn an_aggregate_of_flash_media_server_is_split() {
    let mut peer = Peer::publishing();
    let tag = |type_id, time, byte| [type_id, 0, 0, 1, 0, 0, time, 0, 0, 0, 0, byte, 0, 0, 0, 12];
    let mut body = [tag(8, 100, 1), tag(9, 140, 2), tag(20, 150, 3), tag(22, 150, 4)].concat();
    body.extend([8, 0xFF, 0xFF, 0xFF]);
    peer.message(type_id::AGGREGATE, 1, 5000, &body);
    assert_eq!(peer.events(), [audio(5000, &[1]), video(5040, &[2])]);
}

#[test]
fn shared_objects_and_unknown_types_are_read_past() {
    let mut peer = Peer::publishing();
    for type_id in [0, 7, 10, 14, 16, 19, 21, 23, 99, 255] {
        peer.message(type_id, 1, 0, &[1; 50]);
    }
    peer.message(type_id::AUDIO, 1, 1, &[1]);
    assert_eq!(peer.events(), [audio(1, &[1])]);
    assert_eq!(peer.said(), [""; 0]);
}

#[test]
fn a_flood_of_frames_in_one_input_is_told_in_order() {
    let mut peer = Peer::publishing();
    let mut bytes = Vec::new();
    for timestamp in 0..1000 {
        bytes.extend_from_slice(&message_bytes(type_id::AUDIO, 1, timestamp, &[7]));
    }
    peer.send(&bytes).expect("media");
    let wanted: Vec<_> = (0..1000).map(|timestamp| audio(timestamp, &[7])).collect();
    assert_eq!(peer.events(), wanted);
}
