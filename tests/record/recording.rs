//! Clips recorded by the library, by its own disk thread.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};
use rtmpd::config::{RecordConfig, RecordFormat};
use rtmpd::container::flv::file::{FlvDemuxer, tag_type};
use rtmpd::container::flv::tag;
use rtmpd::media::{Frame, FrameKind, FrameRole, TrackSet};
use rtmpd::output::record::{RecordEvent, Recorder, Recording};
use rtmpd::server::disk::Disk;

/// Longest wait for the disk. Only a test that fails waits for so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The frames of an FLV file, as a publisher would have sent them, from `from_ms` on the stream's timeline.
pub fn frames(clip: &Path, from_ms: u64) -> Vec<Frame> {
    let bytes = std::fs::read(clip).unwrap();
    let mut demuxer = FlvDemuxer::new(1 << 24);
    let mut input = &bytes[..];
    let mut frames = Vec::new();
    while let Some(found) = demuxer.demux(&mut input).unwrap() {
        let timestamp_ms = from_ms + u64::from(found.timestamp);
        let (kind, role, tracks, composition_ms) = match found.tag_type {
            tag_type::AUDIO => {
                let info = tag::audio_info(&found.body);
                (FrameKind::Audio, info.role, info.tracks, info.composition_ms)
            }
            tag_type::VIDEO => {
                let info = tag::video_info(&found.body);
                (FrameKind::Video, info.role, info.tracks, info.composition_ms)
            }
            _ => (FrameKind::Data, FrameRole::Metadata, TrackSet::DEFAULT, 0),
        };
        frames.push(Frame { kind, role, tracks, timestamp_ms, composition_ms, payload: found.body });
    }
    frames
}

/// Records `frames` below `directory`. Gives the files, and those files as they were before they were finished.
pub fn record(directory: &Path, frames: &[Frame], formats: &[RecordFormat]) -> (Vec<PathBuf>, Vec<Vec<u8>>) {
    let start = Instant::now();
    let (pattern, formats) = ("{stream}-{sequence}".to_owned(), formats.to_vec());
    let config = RecordConfig { directory: directory.to_owned(), pattern, formats, ..RecordConfig::default() };
    let recording = Recording { owner: 1, app: "live", stream: "a", now: start, unix_ms: 0 };
    let mut recorder = Recorder::new(&config, recording);
    let mut poll = Poll::new().unwrap();
    let mut disk = Disk::start(Arc::new(Waker::new(poll.registry(), Token(0)).unwrap())).unwrap();
    let mut names = Vec::new();
    for frame in frames {
        recorder.frame(start + Duration::from_millis(frame.timestamp_ms), frame);
        names.extend(pump(&mut recorder, &disk));
    }
    recorder.handle_timeout(start + PATIENCE);
    names.extend(pump(&mut recorder, &disk));
    let mut events = Events::with_capacity(8);
    while recorder.waiting_bytes() > 0 {
        poll.poll(&mut events, Some(PATIENCE)).unwrap();
        names.extend(pump(&mut recorder, &disk));
    }
    let read = |names: &[String]| names.iter().map(|name| std::fs::read(directory.join(name)).unwrap()).collect();
    let unfinished = read(&names);
    recorder.end(start);
    while !recorder.is_finished() {
        names.extend(pump(&mut recorder, &disk));
        poll.poll(&mut events, Some(Duration::from_millis(5))).unwrap();
    }
    assert!(disk.shut_down(PATIENCE));
    (names.iter().map(|name| directory.join(name)).collect(), unfinished)
}

/// Moves commands, outcomes and events; gives the names of new files.
#[must_use]
fn pump(recorder: &mut Recorder, disk: &Disk) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        while let Some(command) = recorder.poll_command() {
            disk.submit(command);
        }
        while let Some(event) = recorder.poll_event() {
            match event {
                RecordEvent::FileOpened { name } => names.push(name),
                RecordEvent::FileDone { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        let Some(outcome) = disk.poll_outcome() else { return names };
        recorder.handle_outcome(&outcome);
    }
}
