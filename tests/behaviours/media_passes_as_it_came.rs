//! What publishers send reaches players untouched: every codec, every kind of data, whatever its shape.

use bytes::BytesMut;
use rtmpd::config::EngineConfig;
use rtmpd::rtmp::amf0::{Value, write_value};
use rtmpd::rtmp::message::type_id::{AUDIO, COMMAND_AMF3, DATA_AMF0, DATA_AMF3, VIDEO};

use crate::support::client::Client;
use crate::support::media::Body::{Audio, AudioHeader, Delta, Key, VideoHeader};
use crate::support::world::World;

fn world() -> World {
    World::new(EngineConfig::default())
}

fn amf0(values: &[Value]) -> Vec<u8> {
    let mut body = BytesMut::new();
    for value in values {
        write_value(&mut body, value);
    }
    body.to_vec()
}

/// A call of `handler` with one string.
fn data(handlers: &[&str]) -> Vec<u8> {
    let mut values: Vec<Value> = handlers.iter().map(|handler| Value::string(*handler)).collect();
    values.push(Value::string("value"));
    amf0(&values)
}

/// Type id and body of the media that arrived.
fn bodies(player: &mut Client, world: &mut World) -> Vec<(u8, Vec<u8>)> {
    player.seen(world).into_iter().map(|seen| (seen.type_id, seen.payload)).collect()
}

#[test]
fn other_data_messages_keep_their_place_and_their_time() {
    let mut world = world();
    let mut publisher = Client::publishing(&mut world, "a");
    let mut player = Client::playing(&mut world, "a");
    publisher.frame(&mut world, 0, Key, b"k");
    publisher.put(DATA_AMF0, 1, 20, &data(&["onTextData"]));
    publisher.put_frame(1, 30, Audio, &Audio.with(b"a", 0));
    publisher.put(DATA_AMF0, 1, 40, &data(&["onCuePoint"]));
    publisher.put(DATA_AMF0, 1, 45, &data(&["@setDataFrame", "onFI"]));
    publisher.put(DATA_AMF0, 1, 50, &data(&["|RtmpSampleAccess"]));
    publisher.put_frame(1, 60, Delta, &Delta.with(b"p", 0));
    publisher.put(DATA_AMF0, 1, 70, &data(&["ofSomebodysOwn"]));
    publisher.flush(&mut world);
    let expected = [
        "Key k 1000",
        "onTextData 1020",
        "Audio a 1030",
        "onCuePoint 1040",
        "onFI 1045",
        "Delta p 1060",
        "ofSomebodysOwn 1070",
    ];
    assert_eq!(player.words(&mut world), expected);
}

#[test]
fn metadata_is_relayed_to_the_byte_until_it_is_cleared() {
    // An ECMA array with a count that is too large, and the value of a key that nobody knows.
    let metadata = [amf0(&[Value::string("onMetaData")]), vec![8, 0, 0, 0, 99, 0, 1, b'x', 6, 0, 0, 9]].concat();
    let sent = [amf0(&[Value::string("@setDataFrame")]), metadata.clone()].concat();
    let mut world = world();
    let mut publisher = Client::publishing(&mut world, "a");
    let mut first = Client::playing(&mut world, "a");
    publisher.put(DATA_AMF0, 1, 9_000, &sent);
    publisher.flush(&mut world);
    let mut second = Client::playing(&mut world, "a");
    for player in [&mut first, &mut second] {
        let seen = player.seen(&mut world);
        assert_eq!((seen[0].type_id, seen[0].timestamp, &seen[0].payload), (DATA_AMF0, 0, &metadata));
        assert_eq!(seen.len(), 1);
    }
    publisher.put(DATA_AMF0, 1, 9_000, &data(&["@clearDataFrame", "onMetaData"]));
    publisher.flush(&mut world);
    let mut third = Client::playing(&mut world, "a");
    assert_eq!(third.words(&mut world), [""; 0]);
    assert_eq!(first.words(&mut world), [""; 0]);
}

#[test]
fn metadata_may_claim_a_track_that_never_comes() {
    let mut world = world();
    let mut publisher = Client::publishing(&mut world, "a");
    let mut player = Client::playing(&mut world, "a");
    let claim = Value::object([("videocodecid", Value::Number(7.0)), ("framerate", Value::Number(30.0))]);
    publisher.put(DATA_AMF0, 1, 0, &amf0(&[Value::string("onMetaData"), claim]));
    publisher.frame(&mut world, 0, AudioHeader, b"ah");
    publisher.frame(&mut world, 0, Audio, b"a");
    assert_eq!(player.words(&mut world), ["metadata", "AudioHeader ah 1000", "Audio a 1000"]);
    let mut other = Client::playing(&mut world, "a");
    publisher.frame(&mut world, 23, Audio, b"b");
    assert_eq!(other.words(&mut world), ["metadata", "AudioHeader ah 1000", "Audio b 1023"]);
}

#[test]
fn a_flash_client_publishes_and_plays_in_amf3() {
    let amf3 = |name: &str, arguments: &[Value]| {
        let mut values = vec![Value::string(name), Value::Number(2.0), Value::Null];
        values.extend(arguments.iter().cloned());
        [vec![0], amf0(&values)].concat()
    };
    let mut world = world();
    let mut flash = Client::new(world.accept());
    flash.put_connect("live");
    flash.put(COMMAND_AMF3, 0, 0, &amf3("createStream", &[]));
    flash.put(COMMAND_AMF3, 1, 0, &amf3("publish", &[Value::string("a"), Value::string("live")]));
    flash.put(COMMAND_AMF3, 2, 0, &amf3("play", &[Value::string("a")]));
    // onMetaData with an AMF3 object: {width: 4}.
    let metadata = [amf0(&[Value::string("onMetaData")]), b"\x11\x0a\x0b\x01\x0bwidth\x04\x04\x01".to_vec()].concat();
    let sent = [vec![0], amf0(&[Value::string("@setDataFrame")]), metadata.clone()].concat();
    flash.put(DATA_AMF3, 1, 0, &sent);
    flash.put_frame(1, 0, Key, &Key.with(b"k", 0));
    flash.flush(&mut world);
    assert_eq!(bodies(&mut flash, &mut world), [(DATA_AMF0, metadata), (VIDEO, Key.with(b"k", 0))]);
    assert!(flash.has_heard("onStatus 1 NetStream.Publish.Start"));
    assert!(flash.has_heard("onStatus 2 NetStream.Play.Start"));
}

#[test]
fn bodies_of_every_kind_pass_to_the_byte() {
    let table: &[(&str, u8, &[u8])] = &[
        ("HEVC header as codec 12", VIDEO, b"\x1c\0\0\0\0\x01"),
        ("HEVC key frame as codec 12", VIDEO, b"\x1c\x01\0\0\0k"),
        ("HEVC under the id of AVC", VIDEO, b"\x17\x01\0\0\0\0\0\0\x02\x26\x01"),
        ("Annex B instead of lengths", VIDEO, b"\x27\x01\0\0\0\0\0\0\x01\x41\x9a"),
        ("Annex B header", VIDEO, b"\x17\0\0\0\0\0\0\0\x01\x67"),
        ("AVC key frame behind it", VIDEO, b"\x17\x01\0\0\0k"),
        ("AVC end of sequence", VIDEO, b"\x27\x02\0\0\0"),
        ("video info frame", VIDEO, b"\x57\x00"),
        ("video without a byte", VIDEO, b""),
        ("sound without a byte", AUDIO, b""),
        ("video of one byte", VIDEO, b"\x17"),
        ("AAC of one byte", AUDIO, b"\xaf"),
        ("sound of a drone", AUDIO, b"\xff\0"),
        ("Nellymoser", AUDIO, b"\x62abc"),
        ("VP6", VIDEO, b"\x24\0p"),
        ("enhanced HEVC header", VIDEO, b"\x90hvc1\x01"),
        ("enhanced key frame without composition time", VIDEO, b"\x93hvc1k"),
        ("enhanced end of sequence", VIDEO, b"\x92hvc1"),
        ("ModEx, nanoseconds", VIDEO, b"\xa7\x02\0\x03\xe8\x01hvc1\0\0\0p"),
        ("one track of several", VIDEO, b"\xa6\x03hvc1\x01p"),
        ("several tracks", VIDEO, b"\xa6\x13hvc1\0\0\0\x01p\x01\0\0\x01q"),
        ("several tracks and codecs", VIDEO, b"\xa6\x23hvc1\0\0\0\x01pav01\x01\0\0\x01q"),
        ("FourCC that nobody knows", VIDEO, b"\xa3ZZZZp"),
        ("multitrack of a kind that is not defined", VIDEO, b"\xa6\xf3hvc1p"),
        ("packet type that is not defined", VIDEO, b"\xaehvc1p"),
        ("command of an enhanced client", VIDEO, b"\xd0\0"),
        ("enhanced Opus header", AUDIO, b"\x90OpusOpusHead"),
        ("enhanced Opus", AUDIO, b"\x91Opusa"),
        ("enhanced sound of several tracks", AUDIO, b"\x95\x11Opus\0\0\0\x01a\x01\0\0\x01b"),
    ];
    let mut world = world();
    let mut publisher = Client::publishing(&mut world, "a");
    publisher.frame(&mut world, 0, VideoHeader, b"vh");
    publisher.frame(&mut world, 0, Key, b"k");
    let mut player = Client::playing_on(&mut world, 1, "a?join=gop");
    let mut unusual = Client::playing_on(&mut world, 7, "a?join=gop");
    for player in [&mut player, &mut unusual] {
        assert_eq!(player.words(&mut world).len(), 2);
    }
    for (index, &(name, type_id, body)) in (1..).zip(table) {
        publisher.put(type_id, 1, index * 20, body);
        publisher.flush(&mut world);
        for player in [&mut player, &mut unusual] {
            assert_eq!(bodies(player, &mut world), [(type_id, body.to_vec())], "{name}");
        }
    }
    assert!(world.is_open(publisher.link));
}

#[test]
fn one_who_joins_is_told_colours_speakers_and_every_track() {
    let headers: &[(u8, &[u8])] = &[
        (VIDEO, b"\x90hvc1\x01"),
        (VIDEO, b"\x94hvc1colours"),
        (VIDEO, b"\x96\0av01\x01\x81"),
        (AUDIO, b"\x90OpusOpusHead"),
        (AUDIO, b"\x94Opusspeakers"),
        (AUDIO, b"\x95\0fLaC\x01fLaC"),
    ];
    let mut world = world();
    let mut publisher = Client::publishing(&mut world, "a");
    for (type_id, body) in headers {
        publisher.put(*type_id, 1, 0, body);
    }
    publisher.put(VIDEO, 1, 0, b"\x93hvc1k");
    publisher.flush(&mut world);
    for mode in ["edge", "gop", "key"] {
        let mut player = Client::playing(&mut world, &format!("a?join={mode}"));
        let seen = bodies(&mut player, &mut world);
        let sent: Vec<(u8, Vec<u8>)> = headers.iter().map(|(type_id, body)| (*type_id, body.to_vec())).collect();
        assert_eq!(seen[..headers.len()], sent, "{mode}");
    }
}

#[test]
fn headers_that_change_reach_players_in_their_place_and_those_who_join_later() {
    let mut world = world();
    let mut publisher = Client::publishing(&mut world, "a");
    let mut player = Client::playing(&mut world, "a");
    for (timestamp, kind, mark) in
        [(0, VideoHeader, "small"), (0, Key, "k"), (40, Delta, "p"), (80, VideoHeader, "large"), (80, Key, "l")]
    {
        publisher.frame(&mut world, timestamp, kind, mark.as_bytes());
    }
    let expected = ["VideoHeader small 1000", "Key k 1000", "Delta p 1040", "VideoHeader large 1080", "Key l 1080"];
    assert_eq!(player.words(&mut world), expected);
    let mut other = Client::playing(&mut world, "a?join=gop");
    assert_eq!(other.words(&mut world), ["VideoHeader large 1080", "Key l 1080"]);
}

#[test]
fn sound_whose_header_is_late_or_missing_passes() {
    let mut world = world();
    let mut publisher = Client::publishing(&mut world, "a");
    let mut player = Client::playing(&mut world, "a");
    publisher.frame(&mut world, 0, VideoHeader, b"vh");
    publisher.frame(&mut world, 0, Key, b"k");
    publisher.frame(&mut world, 10, Audio, b"a");
    publisher.frame(&mut world, 33, AudioHeader, b"late");
    publisher.frame(&mut world, 33, Audio, b"b");
    let expected = ["VideoHeader vh 1000", "Key k 1000", "Audio a 1010", "AudioHeader late 1033", "Audio b 1033"];
    assert_eq!(player.words(&mut world), expected);
    let mut other = Client::playing(&mut world, "a?join=gop");
    let expected = ["VideoHeader vh 1000", "AudioHeader late 1000", "Key k 1000", "Audio b 1033"];
    assert_eq!(other.words(&mut world), expected);
}

#[test]
fn negative_composition_times_are_written_as_such_in_an_edge_join() {
    let mut world = world();
    let mut publisher = Client::publishing(&mut world, "a");
    let early = (-40_i32).to_be_bytes();
    for (timestamp, head, composition) in [(0, 0x17, [0; 4]), (40, 0x27, early), (80, 0x27, early)] {
        let body = [&[head, 1], &composition[1..], b"x"].concat();
        publisher.put(VIDEO, 1, timestamp, &body);
    }
    publisher.flush(&mut world);
    let mut player = Client::playing(&mut world, "a");
    let seen = player.seen(&mut world);
    let last = seen.last().expect("a picture");
    assert_eq!(last.timestamp, 1_080);
    assert_eq!(last.payload[2..5], early[1..]);
    let shown: Vec<i64> = seen
        .iter()
        .map(|seen| {
            let [_, _, a, b, c, ..] = seen.payload[..] else { panic!("{seen:?}") };
            i64::from(seen.timestamp) + i64::from(i32::from_be_bytes([a, b, c, 0]) >> 8)
        })
        .collect();
    assert!(shown.is_sorted_by(|a, b| a < b), "{shown:?}");
}
