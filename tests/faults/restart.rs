//! The server is killed under load and started again at the same address.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rtmpd::rtmp::client::ClientRole;

use super::client::Client;
use super::files;
use super::media::{AAC, H264, PICTURE, Scratch, TONE, make_clip};
use super::peer::{Tag, tags};
use super::server::{Launch, Server, wait_until};

const STREAMS: usize = 3;
const PLAYERS: usize = 9;
/// Messages that each player has to get from each of the two servers.
const MESSAGES: usize = 200;

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn who_comes_back_after_kill_9_is_served_and_what_was_recorded_plays() {
    let scratch = Scratch::new();
    let directory = scratch.file("recorded");
    let config = format!(
        "[default.record]\nauto = true\ndirectory = \"{}\"\nformats = [\"flv\", \"mp4\", \"ts\"]\n",
        directory.display()
    );
    let clip = tags(&make_clip(&scratch, "clip.flv", "8", &[PICTURE, TONE, H264, AAC]));
    let server = Server::start(&scratch, &Launch { config: &config, ..Launch::default() });
    let address = server.rtmp;
    let is_over = AtomicBool::new(false);
    let received: Vec<AtomicUsize> = (0..PLAYERS).map(|_| AtomicUsize::new(0)).collect();
    std::thread::scope(|scope| {
        for number in 0..STREAMS {
            let (clip, is_over) = (&clip, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::SeqCst) {
                    publish(address, &format!("cam{number}"), clip, is_over);
                }
            });
        }
        for (number, received) in received.iter().enumerate() {
            let is_over = &is_over;
            scope.spawn(move || {
                while !is_over.load(Ordering::SeqCst) {
                    play(address, &format!("cam{}", number % STREAMS), received, is_over);
                }
            });
        }
        // A test that fails has to end those who come back for ever.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let all_got = |count: usize| received.iter().all(|got| got.load(Ordering::SeqCst) >= count);
            wait_until("everybody is served", || all_got(MESSAGES));
            server.program.kill();
            received.iter().for_each(|got| got.store(0, Ordering::SeqCst));
            let launch = Launch { port: address.port(), config: &config, ..Launch::default() };
            let server = Server::start(&scratch, &launch);
            wait_until("everybody is served again", || all_got(MESSAGES));
            server.wait_for_log("repaired ", 1);
            server
        }));
        is_over.store(true, Ordering::SeqCst);
        result.unwrap().stop();
    });
    let recorded = files::below(&directory);
    let recorded: Vec<_> = recorded.iter().filter(|file| file.metadata().unwrap().len() > 0).collect();
    let lengths: Vec<f64> = recorded.iter().map(|file| files::plays(file)).collect();
    // Of both servers, three streams in three forms.
    assert!(lengths.len() >= 2 * STREAMS * 3, "{recorded:?}");
    assert!(lengths.iter().all(|seconds| *seconds > 0.5), "{recorded:?} {lengths:?}");
}

/// Publishes at the pace of a camera until the server is gone or it is over.
fn publish(server: std::net::SocketAddr, stream: &str, clip: &[Tag], is_over: &AtomicBool) {
    let Ok(mut client) = Client::start(server, ClientRole::Publish, stream) else {
        return std::thread::sleep(Duration::from_millis(20));
    };
    let began = Instant::now();
    for (type_id, timestamp, payload) in clip {
        let due = began + Duration::from_millis(u64::from(*timestamp));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if is_over.load(Ordering::SeqCst) || client.send(*type_id, *timestamp, payload).is_err() {
            return;
        }
    }
}

/// Plays until the server is gone or it is over.
fn play(server: std::net::SocketAddr, stream: &str, received: &AtomicUsize, is_over: &AtomicBool) {
    let Ok(mut client) = Client::start(server, ClientRole::Play, stream) else {
        return std::thread::sleep(Duration::from_millis(20));
    };
    while !is_over.load(Ordering::SeqCst) && client.read().is_ok() {
        received.fetch_add(client.frames.len(), Ordering::SeqCst);
        client.frames.clear();
    }
}
