//! Recordings in other formats than FLV.

use super::*;
use crate::config::RecordFormat;
use crate::container::mpegts::PACKET_LEN;

/// What x264 and ffmpeg's AAC encoder send of a small picture and a tone.
const AVC: &[u8] =
    b"\x17\0\0\0\0\x01\x64\0\x0b\xff\xe1\0\x19\x67\x64\0\x0b\xac\xd9\x42\x8d\xf9\x30\x11\0\0\x03\0\x01\0\0\
    \x03\0\x32\x0f\x14\x29\x96\x01\0\x04\x68\xef\x8f\xcb\xfd\xf8\xf8\0";
const AAC: &[u8] = b"\xAF\0\x11\x88\x56\xe5\0";
const KEY: &[u8] = b"\x17\x01\0\0\0\0\0\0\x04\x65\x88\x84\0";
const DELTA: &[u8] = b"\x27\x01\0\0\0\0\0\0\x03\x41\x9a\x24";

fn avc_clip(from_ms: u64, seconds: u64) -> Vec<Frame> {
    let exchange = |frame: Frame| {
        let payload = match (frame.kind, frame.role) {
            (FrameKind::Video, FrameRole::Header(_)) => AVC,
            (FrameKind::Video, FrameRole::Key) => KEY,
            (FrameKind::Video, _) => DELTA,
            (FrameKind::Audio, FrameRole::Header(_)) => AAC,
            _ => return frame,
        };
        media(frame.kind, frame.timestamp_ms, payload)
    };
    clip(from_ms, seconds).into_iter().map(exchange).collect()
}

fn in_formats(formats: &[RecordFormat]) -> RecordConfig {
    RecordConfig { formats: formats.to_vec(), ..config() }
}

/// Names and lengths of the whole boxes at the front of a file.
fn boxes(file: &[u8]) -> Vec<(String, usize)> {
    let mut rest = file;
    let mut found = Vec::new();
    while let Some(head) = rest.get(..8) {
        let len = u32::from_be_bytes(head[..4].try_into().unwrap()) as usize;
        let Some(after) = rest.get(len..) else { break };
        found.push((String::from_utf8(head[4..].to_vec()).unwrap(), len));
        rest = after;
    }
    found
}

fn names(boxes: &[(String, usize)]) -> Vec<&str> {
    boxes.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn every_format_at_once() {
    let all = [RecordFormat::Flv, RecordFormat::Ts, RecordFormat::Mp4, RecordFormat::Es];
    let mut world = World::new(in_formats(&all));
    world.frames(&avc_clip(0, 3));
    world.end();
    assert!(world.recorder.is_finished());
    let names: Vec<String> = world.disk.files.keys().cloned().collect();
    let expected = ["aac", "flv", "h264", "mp4", "ts"];
    assert_eq!(names, expected.map(|end| format!("live/a-2024-12-31-23-59-59-1.{end}")));
    let is_done = |event: &&RecordEvent| matches!(event, RecordEvent::FileDone { duration_ms: 3_000, .. });
    assert_eq!(world.events.iter().filter(is_done).count(), 5, "{:?}", world.events);
    assert!(world.disk.files.values().all(|file| !file.is_empty()));
}

#[test]
fn an_mp4_is_cut_into_fragments_of_one_group_and_any_part_of_it_is_good() {
    let mut world = World::new(in_formats(&[RecordFormat::Mp4]));
    world.frames(&avc_clip(7_000, 3));
    world.end();
    let file = world.only_file().to_vec();
    let all = boxes(&file);
    assert_eq!(names(&all), ["ftyp", "moov", "moof", "mdat", "moof", "mdat", "moof", "mdat"]);
    assert_eq!(all.iter().map(|(_, len)| len).sum::<usize>(), file.len());
    for cut in 0..file.len() {
        let part = boxes(&file[..cut]);
        assert_eq!(part[..], all[..part.len()], "{cut}");
    }
}

#[test]
fn an_mp4_of_long_groups_has_fragments_of_about_a_second() {
    let mut world = World::new(in_formats(&[RecordFormat::Mp4]));
    let frames = avc_clip(0, 5);
    let lasting = frames.iter().filter(|frame| !frame.is_video_key() || frame.timestamp_ms == 0);
    lasting.for_each(|frame| world.frame(frame));
    world.end();
    assert_eq!(names(&boxes(world.only_file())).iter().filter(|name| **name == "moof").count(), 5);
}

#[test]
fn an_mp4_of_sound_alone_has_fragments_too() {
    let mut world = World::new(in_formats(&[RecordFormat::Mp4]));
    avc_clip(0, 3).iter().filter(|frame| frame.kind == FrameKind::Audio).for_each(|frame| world.frame(frame));
    world.end();
    assert_eq!(names(&boxes(world.only_file())).iter().filter(|name| **name == "moof").count(), 3);
}

#[test]
fn time_that_stands_still_does_not_fill_the_memory() {
    let mut world = World::new(in_formats(&[RecordFormat::Mp4]));
    world.frames(&avc_clip(0, 1));
    let large = media(FrameKind::Video, 1_000, &[DELTA, &[0; 1_000_000][..]].concat());
    (0..30).for_each(|_| world.frame(&large));
    world.end();
    assert!(names(&boxes(world.only_file())).iter().filter(|name| **name == "moof").count() >= 4);
}

#[test]
fn a_track_that_comes_later_begins_a_new_mp4() {
    let mut world = World::new(in_formats(&[RecordFormat::Mp4]));
    for frame in avc_clip(0, 5) {
        if frame.kind == FrameKind::Video {
            world.frame(&frame);
        } else if frame.timestamp_ms >= 2_500 {
            if frame.timestamp_ms == 2_500 {
                world.frame(&media(FrameKind::Audio, 2_500, AAC));
            }
            world.frame(&frame);
        }
    }
    world.end();
    let files: Vec<_> = world.disk.files.values().collect();
    assert_eq!(files.len(), 2);
    let tracks = |file: &[u8]| file.windows(4).filter(|window| window == b"trak").count();
    assert_eq!((tracks(files[0]), tracks(files[1])), (1, 2));
    assert!(files.iter().all(|file| names(&boxes(file)).iter().filter(|name| **name == "moov").count() == 1));
}

#[test]
fn a_header_that_changes_before_the_first_fragment_costs_no_picture_of_an_mp4() {
    let other = AVC.strip_suffix(b"\xcb\xfd\xf8\xf8\0").map(|front| [front, b"\xca\xfd\xf8\xf8\0"].concat()).unwrap();
    let mut world = World::new(in_formats(&[RecordFormat::Mp4]));
    for (at, payload) in [(0, AVC), (0, KEY), (40, DELTA), (60, &other), (80, DELTA), (120, KEY), (160, DELTA)] {
        world.frame(&media(FrameKind::Video, at, payload));
    }
    world.end();
    let files: Vec<_> = world.disk.files.values().collect();
    assert_eq!(files.len(), 2);
    let keys = |file: &[u8]| file.windows(4).filter(|window| *window == &KEY[9..]).count();
    assert!(files.iter().all(|file| keys(file) == 1), "each begins with its key frame");
}

#[test]
fn a_ts_is_whole_packets_at_any_time() {
    let mut world = World::new(RecordConfig { flush_ms: 0, ..in_formats(&[RecordFormat::Ts]) });
    world.frames(&avc_clip(0, 2));
    world.end();
    assert!(world.disk.appended.iter().all(|len| len % PACKET_LEN == 0));
    assert!(world.only_file().chunks(PACKET_LEN).all(|packet| packet[0] == 0x47));
}

#[test]
fn a_full_disk_ends_every_format() {
    let all = [RecordFormat::Flv, RecordFormat::Ts, RecordFormat::Mp4, RecordFormat::Es];
    for room in (0..200_000).step_by(9_973) {
        let disk = MemoryDisk { room: Some(room), ..MemoryDisk::default() };
        let mut world = World::with_disk(in_formats(&all), disk);
        world.frames(&avc_clip(0, 8));
        world.end();
        assert!(world.recorder.is_finished(), "{room}");
    }
}

#[test]
fn what_a_format_cannot_carry_is_told() {
    let mut world = World::new(in_formats(&[RecordFormat::Mp4, RecordFormat::Ts, RecordFormat::Es]));
    // Sorenson H.263.
    world.frames(&[video(0, b"\x12key"), video(40, b"\x22delta"), video(80, b"\x22delta")]);
    world.end();
    assert!(world.recorder.is_finished() && world.disk.files.is_empty());
    let told = [".mp4", ".ts"].map(|format| RecordEvent::NothingToWrite { format });
    assert_eq!(world.events, told);
}
