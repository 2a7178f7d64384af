//! The disk thread on a real disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use mio::{Events, Poll, Token};

use super::*;
use crate::container::flv::recording::Head;
use crate::output::disk::{Done, FileId, Names};

/// No test waits for so long unless it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("rtmpd-disk-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind in the temporary directory harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

const FILE: FileId = FileId::new(1, 1);

fn open(directory: &Path, template: &str) -> Command {
    let names = Names { template: template.to_owned(), from: 1 };
    Command::Open { file: FILE, directory: directory.to_owned(), names }
}

fn append(bytes: &'static [u8]) -> Command {
    Command::Append { file: FILE, bytes: Bytes::from_static(bytes) }
}

fn close(rename_to: Option<&str>) -> Command {
    Command::Close { file: FILE, rename_to: rename_to.map(str::to_owned) }
}

fn whole(directory: &Path, name: &str, pieces: &[&'static [u8]]) -> Command {
    let pieces = pieces.iter().map(|piece| Bytes::from_static(piece)).collect();
    Command::WriteWhole { file: FILE, directory: directory.to_owned(), name: name.to_owned(), pieces }
}

#[test]
fn commands_are_done_in_order_and_the_loop_is_woken() {
    let scratch = Scratch::new();
    let mut poll = Poll::new().unwrap();
    let waker = Arc::new(Waker::new(poll.registry(), Token(1)).unwrap());
    let mut disk = Disk::start(waker).unwrap();
    let write_at = Command::WriteAt { file: FILE, offset: 1, bytes: Bytes::from_static(b"E") };
    for command in [open(scratch.path(), "live/a-{sequence}.flv"), append(b"hel"), append(b"lo"), write_at, close(None)]
    {
        disk.submit(command);
    }
    let mut outcomes = Vec::new();
    let mut events = Events::with_capacity(8);
    while outcomes.len() < 5 {
        poll.poll(&mut events, Some(PATIENCE)).unwrap();
        assert!(!events.is_empty(), "not woken: {outcomes:?}");
        outcomes.extend(std::iter::from_fn(|| disk.poll_outcome()));
    }
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok() && outcome.file == FILE), "{outcomes:?}");
    assert_eq!(outcomes[0].done, Done::Opened { name: "live/a-1.flv".to_owned(), number: 1 });
    assert_eq!(outcomes.iter().map(|outcome| outcome.written).collect::<Vec<_>>(), [0, 3, 2, 1, 0]);
    assert_eq!(fs::read(scratch.path().join("live/a-1.flv")).unwrap(), b"hEllo");
    assert!(disk.shut_down(PATIENCE));
}

#[test]
fn what_was_asked_for_before_the_end_is_done() {
    let scratch = Scratch::new();
    let poll = Poll::new().unwrap();
    let mut disk = Disk::start(Arc::new(Waker::new(poll.registry(), Token(1)).unwrap())).unwrap();
    disk.submit(open(scratch.path(), "a"));
    (0..1_000).for_each(|_| disk.submit(append(b"0123456789")));
    assert!(disk.shut_down(PATIENCE));
    assert_eq!(fs::metadata(scratch.path().join("a")).unwrap().len(), 10_000);
    // Afterwards nothing is done, and nothing goes wrong.
    disk.submit(append(b"x"));
}

#[test]
fn no_file_is_written_over() {
    let scratch = Scratch::new();
    fs::write(scratch.path().join("a-1"), "mine").unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", scratch.path().join("a-2")).unwrap();
    let mut files = Files::default();
    let outcome = files.handle(open(scratch.path(), "a-{sequence}"));
    assert_eq!(outcome.done, Done::Opened { name: "a-3".to_owned(), number: 3 });
    let outcome = files.handle(open(scratch.path(), "a-1"));
    assert!(outcome.result.is_err(), "{outcome:?}");
    assert_eq!(fs::read(scratch.path().join("a-1")).unwrap(), b"mine");
}

#[test]
fn names_do_not_leave_the_directory() {
    let scratch = Scratch::new();
    let below = scratch.path().join("below");
    let mut files = Files::default();
    for name in ["../a", "/tmp/rtmpd-must-not-be", "a/../../b", "..", "", "a\0b"] {
        let remove = Command::Remove { file: FILE, directory: below.clone(), name: name.to_owned() };
        for command in [open(&below, name), whole(&below, name, &[b"x"]), remove] {
            let outcome = files.handle(command);
            let reason = outcome.result.unwrap_err();
            assert!(reason.contains("this name may not be used"), "{name:?}: {reason}");
        }
    }
    assert!(!below.exists());
    files.handle(open(&below, "a"));
    assert!(files.handle(close(Some("../b"))).result.is_err());
    assert!(below.join("a").exists());
}

#[test]
fn a_whole_file_replaces_the_one_before_it_and_leaves_no_trace() {
    let scratch = Scratch::new();
    let mut files = Files::default();
    for pieces in [&[&b"one"[..], b"two"][..], &[b"three"]] {
        let outcome = files.handle(whole(scratch.path(), "live/x.m3u8", pieces));
        assert_eq!((outcome.result, outcome.done), (Ok(()), Done::WroteWhole));
        let path = scratch.path().join("live/x.m3u8");
        assert_eq!(fs::read(path).unwrap(), pieces.concat());
        assert_eq!(fs::read_dir(scratch.path().join("live")).unwrap().count(), 1);
    }
    let remove =
        |name: &str| Command::Remove { file: FILE, directory: scratch.path().to_owned(), name: name.to_owned() };
    assert_eq!(files.handle(remove("live/x.m3u8")).result, Ok(()));
    assert_eq!(files.handle(remove("live/x.m3u8")).result, Ok(()));
    assert_eq!(fs::read_dir(scratch.path().join("live")).unwrap().count(), 0);
}

#[test]
fn a_link_in_place_of_a_file_is_not_followed() {
    let scratch = Scratch::new();
    let victim = scratch.path().join("victim");
    fs::write(&victim, "mine").unwrap();
    let temporary = format!(".rtmpd-{}.tmp", std::process::id());
    std::os::unix::fs::symlink(&victim, scratch.path().join(&temporary)).unwrap();
    std::os::unix::fs::symlink(&victim, scratch.path().join("x.m3u8")).unwrap();
    let mut files = Files::default();
    assert!(files.handle(whole(scratch.path(), "x.m3u8", &[b"theirs"])).result.is_err());
    // What was in the way is gone, the next one is written; the link itself is replaced.
    assert_eq!(files.handle(whole(scratch.path(), "x.m3u8", &[b"theirs"])).result, Ok(()));
    assert_eq!(fs::read(&victim).unwrap(), b"mine");
    assert_eq!(fs::read(scratch.path().join("x.m3u8")).unwrap(), b"theirs");
}

#[test]
fn trouble_is_told_in_one_line_with_the_file_and_its_directory() {
    let scratch = Scratch::new();
    fs::write(scratch.path().join("file"), "").unwrap();
    let mut files = Files::default();
    let not_a_directory = scratch.path().join("file");
    let reason = files.handle(open(&not_a_directory, "live/a.flv")).result.unwrap_err();
    assert!(reason.starts_with(&format!("live/a.flv in {}: ", not_a_directory.display())), "{reason}");
    assert!(!reason.contains('\n'));
    let reason = files.handle(append(b"x")).result.unwrap_err();
    assert_eq!(reason, "the file is not open");
    assert!(files.handle(close(None)).result.is_err());
    let write_at = Command::WriteAt { file: FILE, offset: 1, bytes: Bytes::from_static(b"E") };
    files.handle(open(scratch.path(), "a"));
    assert!(files.handle(write_at).result.is_err(), "behind the end");
}

#[test]
fn a_full_disk_leaves_what_was_whole() {
    // The one device that is always full.
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut files = Files::default();
    files.adopt(FILE, full, Path::new("/dev"), "full");
    let reason = files.handle(append(b"x")).result.unwrap_err();
    assert_eq!(reason, "full in /dev: the disk is full");
    let reason = files.handle(append(b"x")).result.unwrap_err();
    assert_eq!(reason, "full in /dev: nothing is written behind what could not be written");
    assert_eq!(files.handle(close(None)).result, Ok(()));
}

fn unfinished(tags: &[&[u8]]) -> Vec<u8> {
    let mut file = Head::new(&[]).encode(true, true).to_vec();
    let mut out = bytes::BytesMut::new();
    for (number, body) in (0..).zip(tags) {
        crate::container::flv::file::mux_tag(&mut out, 9, number * 1_000, body);
    }
    file.extend_from_slice(&out);
    file
}

#[test]
fn unfinished_recordings_are_repaired_and_others_left_alone() {
    let scratch = Scratch::new();
    let inner = scratch.path().join("live/inner");
    fs::create_dir_all(&inner).unwrap();
    let whole = unfinished(&[b"\x17\x01\0\0\0key", b"\x27\x01\0\0\0P"]);
    let torn = [&whole[..], b"\x09\0\0\x10torn"].concat();
    fs::write(inner.join("a.flv"), &torn).unwrap();
    fs::write(inner.join("b.mp4"), &torn).unwrap();
    fs::write(inner.join("foreign.flv"), b"FLV\x01\x05\0\0\0\x09\0\0\0\0\x12\0\0\x01 and more").unwrap();
    fs::write(inner.join("empty.flv"), b"").unwrap();
    std::os::unix::fs::symlink(&inner, scratch.path().join("live/again")).unwrap();
    std::os::unix::fs::symlink(inner.join("b.mp4"), inner.join("link.flv")).unwrap();
    let (repaired, problems) = repair_directory(scratch.path());
    assert_eq!(problems, Vec::<String>::new());
    let expected = Repaired { path: inner.join("a.flv"), bytes: whole.len() as u64, cut_bytes: 8, duration_ms: 2_000 };
    assert_eq!(repaired, [expected]);
    let file = fs::read(inner.join("a.flv")).unwrap();
    assert!(file.len() == whole.len() && file != whole);
    assert_eq!(fs::read(inner.join("b.mp4")).unwrap(), torn);
    // A second time there is nothing to do.
    assert_eq!(repair_directory(scratch.path()), (Vec::new(), Vec::new()));
    assert_eq!(repair_directory(&scratch.path().join("nowhere")), (Vec::new(), Vec::new()));
}

#[test]
fn a_file_that_is_being_written_is_not_repaired() {
    let scratch = Scratch::new();
    let mut files = Files::default();
    files.handle(open(scratch.path(), "a.flv"));
    let bytes = Bytes::from(unfinished(&[b"\x17\x01\0\0\0key"]));
    files.handle(Command::Append { file: FILE, bytes });
    assert_eq!(repair_directory(scratch.path()), (Vec::new(), Vec::new()));
    files.handle(close(None));
    assert_eq!(repair_directory(scratch.path()).0.len(), 1);
}
