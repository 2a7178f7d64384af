//! Trouble with the disk ends a recording, and nobody else notices.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use super::disk::{self, SmallDisk};
use super::files;
use super::media::{AAC, H264, PICTURE, Scratch, TONE, make_clip};
use super::peer::{Peer, Tag, tags};
use super::server::{Server, recording};

const EVERY: &str = "\"flv\", \"mp4\", \"ts\"";

fn clip(scratch: &Scratch, seconds: &str) -> Vec<Tag> {
    tags(&make_clip(scratch, "clip.flv", seconds, &[PICTURE, TONE, H264, AAC]))
}

/// Publishes `clip` to a player that was there before; it gets all of it. Both stay.
fn all_arrives(server: &Server, stream: &str, clip: &[Tag]) -> (Peer, Peer) {
    let mut publisher = Peer::publish(server.rtmp, stream);
    let mut player = Peer::play(server.rtmp, stream);
    clip.iter().for_each(|tag| assert!(publisher.send(tag)));
    player.read_tags(clip.len());
    assert_all(&player, clip);
    (publisher, player)
}

/// A player has all messages; the server's timeline begins somewhere else.
fn assert_all(player: &Peer, clip: &[Tag]) {
    let begin_ms = player.tags.first().map_or(0, |tag| tag.1);
    for (number, (got, sent)) in player.tags.iter().zip(clip).enumerate() {
        assert_eq!((got.0, got.1 - begin_ms), (sent.0, sent.1), "message {number}");
        assert!(got.2 == sent.2, "message {number} has another content");
    }
    assert_eq!(player.tags.len(), clip.len());
}

/// A disk of one mebibyte is full in the midst of a clip.
#[test]
#[ignore = "needs ffmpeg, and to be allowed to mount: run scripts/test.sh"]
fn a_full_disk_ends_the_recording_and_nothing_else() {
    let scratch = Scratch::new();
    let disks = SmallDisk::all(&scratch);
    if disks.is_empty() {
        println!("only a_disk_that_takes_no_more_ends_the_recording_and_nothing_else shows here what a full disk does");
        return;
    }
    let clip = clip(&scratch, "30");
    let bytes: usize = clip.iter().map(|(_, _, payload)| payload.len()).sum();
    assert!(3 * bytes as u64 > disk::BYTES * 5 / 4, "the clip is too short to fill the disk three times: {bytes}");
    for (number, disk) in disks.iter().enumerate() {
        let server = disk.server(&scratch, &recording(disk.directory(), EVERY));
        let peers = all_arrives(&server, "full", &clip);
        server.wait_for_log("live/full: recording ended: ", 1);
        server.wait_for_log("live/full: recorded ", 3);
        let copied = scratch.file(&format!("copied-{number}"));
        disk.copy(&server, &copied);
        drop(peers);
        let log = server.stop();
        let reasons: Vec<&String> = log.iter().filter(|line| line.contains("recording ended: ")).collect();
        assert!(reasons.len() == 1 && reasons[0].ends_with(": the disk is full"), "{reasons:?}");
        let recorded = files::below(&copied);
        assert_eq!(recorded.len(), 3, "{recorded:?}");
        let written: u64 = recorded.iter().map(|file| file.metadata().unwrap().len()).sum();
        assert!((disk::BYTES * 9 / 10..=disk::BYTES).contains(&written), "{written} bytes");
        for file in &recorded {
            let seconds = files::plays(file);
            assert!(seconds > 5.0, "{}: {seconds} s", file.display());
        }
    }
}

/// What a process may write into one file is limited as a full disk limits it, but without a disk of our own.
#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn a_disk_that_takes_no_more_ends_the_recording_and_nothing_else() {
    let scratch = Scratch::new();
    let directory = scratch.file("recorded");
    let server = Server::start_after("ulimit -f 256", &scratch, &recording(&directory, EVERY));
    let long = clip(&scratch, "12");
    let bytes: usize = long.iter().map(|(_, _, payload)| payload.len()).sum();
    assert!(bytes > 300_000, "the clip is too short to fill 128 KiB: {bytes}");
    let _first = all_arrives(&server, "full", &long);
    server.wait_for_log("live/full: recording ended: ", 1);
    // The others go on, as do recordings that find room.
    let short: Vec<Tag> = long.iter().filter(|tag| tag.1 < 1_000).cloned().collect();
    let second = all_arrives(&server, "small", &short);
    drop(second);
    let log = server.stop();
    let reason = log.iter().find(|line| line.contains("recording ended: ")).unwrap();
    assert!(reason.contains("live/full-") && reason.contains("large"), "{reason}");
    let recorded = files::below(&directory);
    assert_eq!(recorded.len(), 6, "{recorded:?}");
    for file in &recorded {
        let seconds = files::plays(file);
        assert!(seconds > 0.5, "{}: {seconds} s", file.display());
        assert!(file.metadata().unwrap().len() <= 128 * 1024);
    }
}

/// The disk thread waits for as long as the test wants: it writes the first HLS file into a pipe that nobody reads.
#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn while_the_disk_stands_still_every_frame_arrives_and_nothing_of_the_recording_is_lost() {
    let scratch = Scratch::new();
    let (directory, hls) = (scratch.file("recorded"), scratch.file("hls"));
    let config = recording(&directory, EVERY);
    let config = format!("{config}[default.hls]\nmode = \"always\"\ndirectory = \"{}\"\n", hls.display());
    let server = Server::start(&scratch, &config);
    let folder = hls.join("live/cam");
    fs::create_dir_all(&folder).unwrap();
    let pipe = folder.join(format!(".rtmpd-{}.tmp", server.program.id()));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());

    let clip = clip(&scratch, "20");
    let (publisher, player) = all_arrives(&server, "cam", &clip);
    // It still stands still: of twenty seconds hardly anything is in the files.
    let recorded = if directory.is_dir() { files::below(&directory) } else { Vec::new() };
    let before: u64 = recorded.iter().map(|file| file.metadata().unwrap().len()).sum();
    let sent: u64 = clip.iter().map(|(_, _, payload)| payload.len() as u64).sum();
    assert!(before < sent, "the disk did not stand still: {before} bytes in three files of {sent} each");
    assert!(!fs::read(&pipe).unwrap().is_empty());
    drop((publisher, player));
    let log = server.stop();
    let warnings: Vec<&String> = log.iter().filter(|line| line.contains(" WARN ")).collect();
    assert!(warnings.is_empty(), "{warnings:#?}");
    let recorded = files::below(&directory);
    assert_eq!(recorded.len(), 3, "{recorded:?}");
    for file in &recorded {
        let seconds = files::plays(file);
        assert!((19.9..20.1).contains(&seconds), "{}: {seconds} s", file.display());
    }
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn without_permission_the_log_says_so_and_players_play() {
    let scratch = Scratch::new();
    let directory = scratch.file("recorded");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, Permissions::from_mode(0o555)).unwrap();
    let config = recording(&directory, EVERY);
    // Root may write everywhere, unless it has given up to.
    let is_root = fs::write(directory.join("probe"), "").is_ok();
    let server = if is_root {
        fs::remove_file(directory.join("probe")).unwrap();
        Server::start_by(&["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"], &scratch, &config)
    } else {
        Server::start(&scratch, &config)
    };
    let _peers = all_arrives(&server, "cam", &clip(&scratch, "2"));
    server.wait_for_log("live/cam: recording ended: ", 1);
    let log = server.stop();
    let reason = log.iter().find(|line| line.contains("recording ended: ")).unwrap();
    assert!(reason.contains("this user may not write there"), "{reason}");
    assert_eq!(files::below(&directory), Vec::<PathBuf>::new());
    fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn a_directory_that_goes_away_is_made_again_for_the_next_file() {
    let scratch = Scratch::new();
    let directory = scratch.file("recorded");
    let config = format!("{}split_ms = 2000\n", recording(&directory, EVERY));
    let server = Server::start(&scratch, &config);
    let clip = clip(&scratch, "6");
    let (early, late): (Vec<Tag>, Vec<Tag>) = clip.iter().cloned().partition(|tag| tag.1 < 1_500);
    let (mut publisher, mut player) = all_arrives(&server, "cam", &early);
    server.wait_for_log("records to", 3);
    fs::remove_dir_all(&directory).unwrap();
    late.iter().for_each(|tag| assert!(publisher.send(tag)));
    player.read_tags(clip.len());
    assert_all(&player, &clip);
    drop((publisher, player));
    server.stop();
    let recorded = files::below(&directory);
    assert_eq!(recorded.len(), 6, "{recorded:?}");
    recorded.iter().for_each(|file| assert!(files::plays(file) > 1.5));
}

/// A file stands where the directory should be.
#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn where_no_directory_can_be_the_log_says_why_and_players_play() {
    let scratch = Scratch::new();
    let directory = scratch.file("recorded");
    fs::write(&directory, "not a directory").unwrap();
    let server = Server::start(&scratch, &recording(&directory, EVERY));
    let _peers = all_arrives(&server, "cam", &clip(&scratch, "2"));
    server.wait_for_log("live/cam: recording ended: ", 1);
    server.stop();
    assert_eq!(fs::read(&directory).unwrap(), b"not a directory");
}
