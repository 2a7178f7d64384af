//! Recordings on a disk in memory: one that takes everything, one that says nothing, one that is full.

mod formats;

use std::collections::BTreeMap;

use bytes::Bytes;

use super::*;
use crate::container::flv::file::{FlvDemuxer, FlvTag, tag_type};
use crate::container::flv::repair::{Scanner, Verdict};
use crate::container::flv::tag;
use crate::media::{HeaderKind, TrackSet};
use crate::output::disk::{Done, is_safe_name};

/// A disk that does what it is told as soon as it is told.
#[derive(Debug, Default)]
pub(super) struct MemoryDisk {
    pub(super) files: BTreeMap<String, Vec<u8>>,
    open: BTreeMap<FileId, String>,
    broken: Vec<FileId>,
    /// Bytes for which there is room, in all files together.
    room: Option<usize>,
    /// Says nothing, and does nothing.
    is_stuck: bool,
    appended: Vec<usize>,
}

impl MemoryDisk {
    fn handle(&mut self, command: &Command) -> Outcome {
        let file = command.file();
        let (done, result) = match command {
            Command::Open { directory, names, .. } => {
                assert_eq!(directory.to_str(), Some("recordings"));
                let number = (names.from..).find(|&number| !self.files.contains_key(&names.name(number))).unwrap();
                let name = names.name(number);
                assert!(is_safe_name(&name), "{name}");
                self.files.insert(name.clone(), Vec::new());
                self.open.insert(file, name.clone());
                (Done::Opened { name, number }, Ok(()))
            }
            Command::Append { bytes, .. } => (Done::Appended, self.append(file, bytes)),
            Command::WriteAt { offset, bytes, .. } => {
                let at = *offset as usize;
                self.files.get_mut(&self.open[&file]).unwrap()[at..at + bytes.len()].copy_from_slice(bytes);
                (Done::Written, Ok(()))
            }
            Command::Close { rename_to, .. } => {
                assert_eq!(*rename_to, None);
                self.open.remove(&file).unwrap();
                (Done::Closed, Ok(()))
            }
            Command::WriteWhole { .. } | Command::Remove { .. } => panic!("{command:?}"),
        };
        let written = if result.is_ok() { command.len() as u64 } else { 0 };
        Outcome { file, done, written, result }
    }

    fn append(&mut self, file: FileId, bytes: &Bytes) -> Result<(), String> {
        let used: usize = self.files.values().map(Vec::len).sum();
        if self.broken.contains(&file) || self.room.is_some_and(|room| used + bytes.len() > room) {
            self.broken.push(file);
            return Err("the disk is full".to_owned());
        }
        self.appended.push(bytes.len());
        self.files.get_mut(&self.open[&file]).unwrap().extend_from_slice(bytes);
        Ok(())
    }
}

/// A recorder with its disk and clock.
struct World {
    recorder: Recorder,
    disk: MemoryDisk,
    start: Instant,
    events: Vec<RecordEvent>,
}

impl World {
    fn new(config: RecordConfig) -> World {
        World::with_disk(config, MemoryDisk::default())
    }

    fn with_disk(config: RecordConfig, disk: MemoryDisk) -> World {
        let start = Instant::now();
        let recording = Recording { owner: 7, app: "live", stream: "a", now: start, unix_ms: 1_735_689_599_000 };
        World { recorder: Recorder::new(&config, recording), disk, start, events: Vec::new() }
    }

    fn frame(&mut self, frame: &Frame) {
        self.recorder.frame(self.start + Duration::from_millis(frame.timestamp_ms), frame);
        self.settle();
    }

    fn frames(&mut self, frames: &[Frame]) {
        frames.iter().for_each(|frame| self.frame(frame));
    }

    fn end(&mut self) {
        self.recorder.end(self.start);
        self.settle();
    }

    fn settle(&mut self) {
        while !self.disk.is_stuck
            && let Some(command) = self.recorder.poll_command()
        {
            assert_eq!(command.file().owner(), 7);
            let outcome = self.disk.handle(&command);
            self.recorder.handle_outcome(&outcome);
        }
        while let Some(event) = self.recorder.poll_event() {
            self.events.push(event);
        }
    }

    fn only_file(&self) -> &[u8] {
        assert_eq!(self.disk.files.len(), 1, "{:?}", self.disk.files.keys());
        self.disk.files.values().next().unwrap()
    }
}

fn media(kind: FrameKind, timestamp_ms: u64, payload: &[u8]) -> Frame {
    let info = if kind == FrameKind::Video { tag::video_info(payload) } else { tag::audio_info(payload) };
    let composition_ms = info.composition_ms;
    Frame {
        kind,
        role: info.role,
        tracks: info.tracks,
        timestamp_ms,
        composition_ms,
        payload: Bytes::copy_from_slice(payload),
    }
}

fn video(timestamp_ms: u64, payload: &[u8]) -> Frame {
    media(FrameKind::Video, timestamp_ms, payload)
}

fn audio(timestamp_ms: u64) -> Frame {
    media(FrameKind::Audio, timestamp_ms, b"\xAF\x01sound")
}

fn audio_header() -> Frame {
    media(FrameKind::Audio, 0, b"\xAF\0\x12\x10")
}

fn video_header(profile: u8) -> Frame {
    video(0, &[0x17, 0, 0, 0, 0, 1, profile, 0, 30])
}

fn key(timestamp_ms: u64) -> Frame {
    video(timestamp_ms, b"\x17\x01\0\0\x28key frame")
}

fn delta(timestamp_ms: u64) -> Frame {
    video(timestamp_ms, b"\x27\x01\0\0\0P")
}

fn metadata() -> Frame {
    let payload =
        [&b"\x02\0\x0AonMetaData\x08\0\0\0\x01\0\x05width\0"[..], &640_f64.to_be_bytes(), b"\0\0\x09"].concat();
    let (kind, role, tracks) = (FrameKind::Data, FrameRole::Metadata, TrackSet::DEFAULT);
    Frame { kind, role, tracks, timestamp_ms: 0, composition_ms: 0, payload: payload.into() }
}

/// Headers, and a key frame each second among 25 pictures and 50 sounds in a second, from `from_ms` on.
fn clip(from_ms: u64, seconds: u64) -> Vec<Frame> {
    let mut frames = vec![metadata(), video_header(100), audio_header()];
    for at in (0..seconds * 1_000).step_by(20) {
        let now_ms = from_ms + at;
        match at {
            _ if at % 1_000 == 0 => frames.push(key(now_ms)),
            _ if at % 40 == 0 => frames.push(delta(now_ms)),
            _ => {}
        }
        frames.push(audio(now_ms));
    }
    frames
}

fn config() -> RecordConfig {
    RecordConfig { auto: true, ..RecordConfig::default() }
}

/// All tags of a file, which ends with a whole one.
fn tags(file: &[u8]) -> Vec<FlvTag> {
    let mut demuxer = FlvDemuxer::new(1 << 24);
    let mut rest = file;
    let mut tags = Vec::new();
    while let Some(tag) = demuxer.demux(&mut rest).unwrap() {
        tags.push(tag);
    }
    let len: usize = tags.iter().map(|tag| tag.body.len() + 15).sum();
    assert!(file.is_empty() || len + 13 == file.len(), "{len} bytes of tags in {} bytes", file.len());
    tags
}

fn times(file: &[u8], wanted: u8) -> Vec<u32> {
    let is_coded = |tag: &&FlvTag| tag.tag_type == wanted && tag.body.get(1) == Some(&1);
    tags(file).iter().filter(is_coded).map(|tag| tag.timestamp).collect()
}

fn number_behind(file: &[u8], name: &str) -> f64 {
    let at = file.windows(name.len()).position(|window| window == name.as_bytes()).unwrap() + name.len();
    assert_eq!(file[at], 0, "{name} is a number");
    f64::from_be_bytes(file[at + 1..at + 9].try_into().unwrap())
}

/// Times (in seconds) and positions of the index.
fn index(file: &[u8]) -> Vec<(f64, usize)> {
    let array = |name: &str| {
        let at = file.windows(name.len()).position(|window| window == name.as_bytes()).unwrap() + name.len();
        let count = u32::from_be_bytes(file[at + 1..at + 5].try_into().unwrap()) as usize;
        let number = |n: usize| f64::from_be_bytes(file[at + 6 + n * 9..at + 14 + n * 9].try_into().unwrap());
        (0..count).map(number).collect::<Vec<f64>>()
    };
    array("times").into_iter().zip(array("filepositions").into_iter().map(|at| at as usize)).collect()
}

/// Fails unless every entry of the index is where a key frame of that time is.
fn assert_index_is_right(file: &[u8]) {
    let mut keys = Vec::new();
    let mut offset = 13;
    for tag in tags(file) {
        if tag.tag_type == tag_type::VIDEO && tag.body.starts_with(b"\x17\x01") {
            keys.push((f64::from(tag.timestamp) / 1_000.0, offset));
        }
        offset += tag.body.len() + 15;
    }
    assert_eq!(index(file), keys);
}

#[test]
fn a_recording_is_a_file_with_duration_and_index() {
    let mut world = World::new(config());
    world.frames(&clip(5_000, 3));
    world.end();
    assert!(world.recorder.is_finished());
    let name = "live/a-2024-12-31-23-59-59-1.flv".to_owned();
    // The second file of the test's own clock: it begins 5 s after the recorder.
    let name = name.replace("2024-12-31-23-59-59", "2025-01-01-00-00-04");
    let bytes = world.only_file().len() as u64;
    let done = RecordEvent::FileDone { name: name.clone(), bytes, duration_ms: 3_000 };
    assert_eq!(world.events, [RecordEvent::FileOpened { name }, done]);
    let file = world.only_file();
    let all = tags(file);
    let types: Vec<u8> = all.iter().take(5).map(|tag| tag.tag_type).collect();
    assert_eq!(types, [18, 9, 8, 9, 8]);
    assert_eq!(all[3].body, key(0).payload);
    assert_eq!(number_behind(file, "duration"), 3.0);
    assert_eq!(number_behind(file, "filesize"), file.len() as f64);
    assert_eq!(number_behind(file, "width"), 640.0);
    assert_index_is_right(file);
    assert_eq!(index(file).len(), 3);
    assert_eq!(times(file, tag_type::AUDIO), (0..3_000).step_by(20).collect::<Vec<u32>>());
}

#[test]
fn killed_at_any_byte_the_file_is_repaired() {
    let mut world = World::new(config());
    let frames = clip(1_000, 2);
    world.frames(&frames);
    // Give the disk everything without ending: this is what stands there when the program is killed.
    world.recorder.handle_timeout(world.start + Duration::from_secs(3_600));
    world.settle();
    let unfinished = world.only_file().to_vec();
    let mut ends = Vec::new();
    let mut offset = 13;
    for tag in tags(&unfinished) {
        offset += tag.body.len() + 15;
        ends.push((offset, tag));
    }
    let head_len = ends[0].0;
    assert_eq!(number_behind(&unfinished, "duration"), 0.0);
    let cuts = (0..200).chain(head_len - 20..=unfinished.len()).chain((200..head_len - 20).step_by(997));
    for cut in cuts {
        let mut file = unfinished[..cut].to_vec();
        if scan(&file, 64) == Verdict::Foreign {
            assert!(cut < 90, "{cut}: too little to know whose it is, and nothing in it");
            continue;
        }
        repair(&mut file, 1 + cut % 700);
        let whole = ends.iter().filter(|(end, _)| *end <= cut).collect::<Vec<_>>();
        let coded = whole.iter().filter(|(_, tag)| tag.body.get(1) == Some(&1));
        let duration = coded.clone().count().min(1) as f64 * duration_of(coded.map(|(_, tag)| tag));
        assert_eq!(tags(&file).len(), whole.len().max(1), "{cut}");
        assert_eq!(number_behind(&file, "duration"), duration, "{cut}");
        assert_eq!(number_behind(&file, "filesize"), file.len() as f64, "{cut}");
        assert_index_is_right(&file);
        // What was repaired needs it no more.
        assert_eq!(scan(&file, 64), Verdict::Finished);
    }
}

/// In seconds; each kind lasts as long as its last distance beyond its last frame.
fn duration_of<'a>(tags: impl Iterator<Item = &'a FlvTag>) -> f64 {
    let mut lanes: BTreeMap<u8, Vec<u32>> = BTreeMap::new();
    tags.for_each(|tag| lanes.entry(tag.tag_type).or_default().push(tag.timestamp));
    let end = |times: &Vec<u32>| match times[..] {
        [.., earlier, last] => last + (last - earlier),
        _ => times[0],
    };
    f64::from(lanes.values().map(end).max().unwrap_or(0)) / 1_000.0
}

fn scan(file: &[u8], part_len: usize) -> Verdict {
    let mut scanner = Scanner::new();
    let _ = file.chunks(part_len).all(|part| scanner.push(part));
    scanner.finish()
}

fn repair(file: &mut Vec<u8>, part_len: usize) {
    if let Verdict::Unfinished(repair) = scan(file, part_len) {
        file.truncate(repair.truncate_to as usize);
        for (offset, bytes) in repair.writes {
            let end = offset as usize + bytes.len();
            file.resize(file.len().max(end), 0);
            file[offset as usize..end].copy_from_slice(&bytes);
        }
    }
}

#[test]
fn a_repaired_file_is_what_ending_well_there_would_have_made() {
    let frames = clip(1_000, 2);
    let mut killed = World::new(config());
    killed.frames(&frames);
    killed.recorder.handle_timeout(killed.start + Duration::from_secs(3_600));
    killed.settle();
    let mut repaired = killed.only_file().to_vec();
    // A system that lost its power may leave zeros behind.
    repaired.extend([0; 5_000]);
    repair(&mut repaired, 4_096);
    let mut ended = World::new(config());
    ended.frames(&frames);
    ended.end();
    assert!(repaired == ended.only_file());
}

#[test]
fn files_split_at_key_frames_and_nothing_is_lost() {
    let mut world = World::new(RecordConfig { split_ms: 1_500, ..config() });
    let mut frames = clip(0, 5);
    // Sound arrives a little later than the picture of its time.
    let at = frames.iter().position(|frame| *frame == key(2_000)).unwrap();
    frames.swap(at, at - 1);
    world.frames(&frames);
    world.end();
    let files: Vec<_> = world.disk.files.iter().collect();
    assert_eq!(files.len(), 3);
    assert!(files[0].0.ends_with("-1.flv") && files[1].0.ends_with("-2.flv") && files[2].0.ends_with("-3.flv"));
    for (name, file) in &files {
        let all = tags(file);
        assert_eq!(all[1].body, video_header(100).payload, "{name}");
        assert_eq!(all[2].body, audio_header().payload, "{name}");
        assert_eq!((&all[3].body, all[3].timestamp), (&key(0).payload, 0), "{name}");
        assert_index_is_right(file);
    }
    assert_eq!([0, 1, 2].map(|at| number_behind(files[at].1, "duration")), [2.0, 2.0, 1.0]);
    let sounds: usize = files.iter().map(|(_, file)| times(file, tag_type::AUDIO).len()).sum();
    assert_eq!(sounds, 250);
    assert_eq!(times(files[0].1, tag_type::AUDIO).last(), Some(&1_980));
}

#[test]
fn files_split_by_size() {
    let mut world = World::new(RecordConfig { split_bytes: 1, flush_ms: 0, ..config() });
    world.frames(&clip(0, 3));
    world.end();
    assert_eq!(world.disk.files.len(), 3);
}

#[test]
fn sound_alone_begins_and_splits_anywhere() {
    let mut world = World::new(RecordConfig { split_ms: 1_000, ..config() });
    world.frame(&audio_header());
    (100..2_200).step_by(20).for_each(|at| world.frame(&audio(at)));
    world.end();
    let files: Vec<_> = world.disk.files.values().collect();
    assert_eq!(files.len(), 3);
    assert_eq!([0, 1, 2].map(|at| number_behind(files[at], "duration")), [1.0, 1.0, 0.1]);
    assert_eq!(files[0][4], 4, "the file header says that there is sound only");
    assert_eq!(times(files[2], tag_type::AUDIO), [0, 20, 40, 60, 80]);
}

#[test]
fn a_short_stream_of_sound_is_recorded_too() {
    let mut world = World::new(config());
    world.frames(&[audio_header(), audio(50), audio(70)]);
    world.end();
    assert_eq!(times(world.only_file(), tag_type::AUDIO), [0, 20]);
}

#[test]
fn sound_that_comes_before_the_picture_waits_for_it() {
    let mut world = World::new(config());
    world.frames(&[audio_header(), audio(0), audio(20), audio(40), video_header(100), key(20), audio(60)]);
    world.end();
    let file = world.only_file();
    assert_eq!(times(file, tag_type::VIDEO), [0]);
    assert_eq!(times(file, tag_type::AUDIO), [0, 20, 40]);
}

#[test]
fn sound_that_waits_has_a_limit() {
    let large = media(FrameKind::Audio, 0, &[&b"\xAF\x01"[..], &[0; 300_000]].concat());
    let mut world = World::new(config());
    world.frames(&[video_header(100), audio_header()]);
    for _ in 0..1_000 {
        world.frame(&large);
        world.frame(&audio(0));
        let bytes: usize = world.recorder.held.iter().map(|sound| sound.payload.len()).sum();
        assert!(bytes < 1_400_000 && world.recorder.held.len() <= 512);
    }
    assert!(world.disk.files.is_empty());
}

#[test]
fn a_picture_that_comes_late_begins_a_file() {
    let mut world = World::new(config());
    world.frame(&audio_header());
    (0..1_100).step_by(20).for_each(|at| world.frame(&audio(at)));
    world.frames(&[video_header(100), delta(1_100), key(1_120), audio(1_120), delta(1_160)]);
    world.end();
    let files: Vec<_> = world.disk.files.values().collect();
    assert_eq!(files.len(), 2);
    assert_eq!(times(files[0], tag_type::VIDEO), [0_u32; 0]);
    assert_eq!(times(files[1], tag_type::VIDEO), [0, 40]);
}

#[test]
fn other_headers_begin_a_file_and_the_same_ones_again_do_not() {
    let mut world = World::new(config());
    world.frames(&clip(0, 1));
    // A publisher that came back says again what is known.
    world.frames(&[video_header(100), audio_header(), key(1_000), delta(1_040)]);
    assert_eq!(world.disk.files.len(), 1);
    world.frames(&[video_header(77), key(2_000), delta(2_040)]);
    world.end();
    let files: Vec<_> = world.disk.files.values().collect();
    assert_eq!(files.len(), 2);
    assert_eq!(tags(files[1])[1].body, video_header(77).payload);
}

#[test]
fn files_that_are_there_are_not_touched() {
    let mut disk = MemoryDisk::default();
    let name = |number: u32| format!("live/a-2024-12-31-23-59-59-{number}.flv");
    for number in 1..4 {
        disk.files.insert(name(number), b"mine".to_vec());
    }
    let mut world = World::with_disk(RecordConfig { split_ms: 500, ..config() }, disk);
    world.frames(&[video_header(100), key(0), key(600)]);
    world.end();
    assert_eq!(world.disk.files.keys().cloned().collect::<Vec<_>>(), [1, 2, 3, 4, 5].map(name));
    assert!(world.disk.files.values().take(3).all(|file| file == b"mine"));
}

#[test]
fn appends_are_whole_tags_and_few() {
    let mut world = World::new(config());
    world.frames(&clip(0, 4));
    assert!(world.disk.appended.len() <= 4 * 5 + 1, "{:?}", world.disk.appended);
    let file = world.only_file();
    let mut ends = vec![0, 13];
    let mut offset = 13;
    for tag in tags(file) {
        offset += tag.body.len() + 15;
        ends.push(offset);
    }
    let mut at = 0;
    for len in &world.disk.appended {
        at += len;
        assert!(ends.contains(&at), "an append ends at {at}");
    }
    world.recorder.handle_timeout(world.start + Duration::from_secs(10));
    // What waits is due at a time that can be asked for.
    world.frame(&audio(4_000));
    let due = world.recorder.poll_timeout().unwrap();
    world.recorder.handle_timeout(due);
    assert_eq!(world.recorder.poll_timeout(), None);
}

#[test]
fn a_disk_that_says_nothing_ends_the_recording() {
    let limit = 1_048_576;
    let mut world = World::new(RecordConfig { queue_bytes: limit, ..config() });
    world.frames(&clip(0, 1));
    world.disk.is_stuck = true;
    let big = video(1_000, &[&b"\x17\x01\0\0\0"[..], &[7; 100_000]].concat());
    for at in 1..100 {
        world.frame(&Frame { timestamp_ms: 1_000 * at, ..big.clone() });
    }
    assert!(world.recorder.has_ended() && world.recorder.waiting_bytes() < limit + 200_000);
    let last = world.events.last().unwrap();
    assert!(matches!(last, RecordEvent::Failed { reason } if reason.starts_with("disk too slow: 1")), "{last:?}");
    // It wakes up: what it was given becomes a whole file.
    world.disk.is_stuck = false;
    world.settle();
    assert!(world.recorder.is_finished());
    assert_index_is_right(world.only_file());
    assert!(matches!(world.events.last(), Some(RecordEvent::FileDone { .. })));
    assert_eq!(world.events.iter().filter(|event| matches!(event, RecordEvent::Failed { .. })).count(), 1);
}

#[test]
fn a_full_disk_ends_the_recording_and_what_is_there_is_whole() {
    let frames = clip(0, 4);
    for room in (0..80_000).step_by(1_237) {
        let disk = MemoryDisk { room: Some(room), ..MemoryDisk::default() };
        let mut world = World::with_disk(RecordConfig { flush_ms: 100, split_ms: 2_000, ..config() }, disk);
        world.frames(&frames);
        world.end();
        assert!(world.recorder.is_finished(), "{room}");
        for (name, file) in world.disk.files.iter().filter(|(_, file)| !file.is_empty()) {
            assert_index_is_right(file);
            assert_eq!(number_behind(file, "filesize"), file.len() as f64, "{name} {room}");
            let all = tags(file);
            assert_eq!(number_behind(file, "duration"), duration_of(all.iter().skip(3)), "{name} {room}");
        }
        let failures = world.events.iter().filter(|event| matches!(event, RecordEvent::Failed { .. })).count();
        assert!(failures <= 1, "{:?}", world.events);
    }
}

#[test]
fn a_full_disk_that_answers_late_leaves_whole_files_too() {
    let disk = MemoryDisk { room: Some(50_000), is_stuck: true, ..MemoryDisk::default() };
    let mut world = World::with_disk(RecordConfig { flush_ms: 100, ..config() }, disk);
    world.frames(&clip(0, 20));
    world.end();
    world.disk.is_stuck = false;
    world.settle();
    assert!(world.recorder.is_finished());
    assert_index_is_right(world.only_file());
    assert!(
        world.events.contains(&RecordEvent::Failed { reason: "the disk is full".to_owned() })
            || !world.events.is_empty()
    );
}

#[test]
fn a_file_that_cannot_be_made_ends_the_recording() {
    let mut world = World::new(config());
    world.disk.is_stuck = true;
    world.frames(&clip(0, 1));
    while let Some(command) = world.recorder.poll_command() {
        let done = match &command {
            Command::Open { names, .. } => Done::Opened { name: names.name(1), number: 1 },
            _ => Done::Appended,
        };
        let result = Err("a.flv in recordings: this user may not write there".to_owned());
        world.recorder.handle_outcome(&Outcome { file: command.file(), done, written: 0, result });
    }
    world.settle();
    let reason = "a.flv in recordings: this user may not write there".to_owned();
    assert_eq!(world.events, [RecordEvent::Failed { reason }]);
    assert!(world.recorder.is_finished());
}

#[test]
fn silence_and_what_nobody_can_decode_is_left_out() {
    let mut world = World::new(config());
    world.frames(&clip(0, 1));
    let before = world.recorder.waiting_bytes();
    let empty = media(FrameKind::Audio, 1_000, b"");
    let end_of_sequence = video(1_000, b"\x27\x02\0\0\0");
    world.frames(&[empty, end_of_sequence]);
    assert!(world.recorder.waiting_bytes() <= before);
    world.end();
    tags(world.only_file());
}

#[test]
fn data_goes_along_and_metadata_wait_for_the_next_file() {
    let cue = Frame {
        role: FrameRole::Passing,
        timestamp_ms: 500,
        payload: Bytes::from_static(b"\x02\0\x02on"),
        ..metadata()
    };
    let mut world = World::new(config());
    world.frames(&clip(400, 1));
    world.frames(&[cue.clone(), metadata()]);
    world.end();
    let all = tags(world.only_file());
    let scripts: Vec<_> = all.iter().filter(|tag| tag.tag_type == tag_type::SCRIPT).collect();
    assert_eq!(scripts.len(), 2);
    assert_eq!((&scripts[1].body, scripts[1].timestamp), (&cue.payload, 100));
}

#[test]
fn nothing_is_written_of_a_stream_without_frames() {
    let mut world = World::new(config());
    world.frames(&[metadata(), video_header(100), audio_header(), delta(40)]);
    world.end();
    assert!(world.recorder.is_finished() && world.disk.files.is_empty() && world.events.is_empty());
}

#[test]
fn many_headers_stay_within_their_limit() {
    let mut headers = Headers::default();
    for track in 0..=255 {
        let mut tracks = TrackSet::EMPTY;
        tracks.insert(track);
        headers.note(&Frame { tracks, ..video_header(1) });
    }
    headers.note(&Frame { payload: Bytes::from(vec![0; 1 << 20]), ..audio_header() });
    assert_eq!(headers.frames().count(), 64);
    assert!(headers.frames().all(|frame| frame.role == FrameRole::Header(HeaderKind::Sequence)));
}

#[test]
fn late_sound_with_a_new_header_takes_it_along_into_the_earlier_file() {
    let mut world = World::new(RecordConfig { split_ms: 1_000, ..config() });
    world.frames(&[video_header(100), audio_header(), key(0), audio(10), key(1_000)]);
    let new_header = media(FrameKind::Audio, 1_000, b"\xAF\0\x11\x90");
    world.recorder.frame(world.start + Duration::from_millis(1_000), &new_header);
    world.frames(&[audio(990), audio(1_010)]);
    world.end();
    let files: Vec<_> = world.disk.files.values().map(|file| tags(file)).collect();
    assert_eq!(files.len(), 2);
    for (file, sounds) in files.iter().zip([2, 1]) {
        let bodies: Vec<&[u8]> = file.iter().filter(|tag| tag.tag_type == 8).map(|tag| &tag.body[..]).collect();
        assert_eq!(bodies[bodies.len() - 2..], [&new_header.payload[..], b"\xAF\x01sound"], "{bodies:?}");
        assert_eq!(bodies.iter().filter(|body| body[1] == 1).count(), sounds);
    }
}
