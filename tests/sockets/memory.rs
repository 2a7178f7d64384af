//! Every way in which peers can make the server hold memory, one after the other, against one limit and one process.
//!
//! The well-behaved pair beside them waits for each of its pictures before it sends the next: all come, in order.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rtmpd::rtmp::client::ClientRole;

use super::peer::{Pair, Peer, assert_serves, dial};
use super::server::{PATIENCE, Server, need_descriptors};
use super::support_media::Body::{Delta, Key, VideoHeader};

const LIMIT_BYTES: usize = 128 << 20;
/// What the process may take: the allocator has its own ideas.
const MOST_BYTES: usize = LIMIT_BYTES / 5 * 6;
/// Players are slow for as long as they like: only memory makes them skip. Streams go with their publishers.
const CONFIG: &str = "[limits]\nmemory_limit = 134217728\n[limits.queue]\n\
                      stall_timeout_ms = 3600000\n[default]\ngrace_ms = 0\nqueue.lag_ms = 3600000\n[limits.session]\n\
                      setup_timeout_ms = 60000\n";
/// What the library's client writes with.
const CHUNK_BYTES: usize = 4096;
/// Bytes that one socket is given before the next has its turn.
const PIECE_BYTES: usize = 64 * 1024;

/// What it is called, and what it does.
type Flood = (&'static str, fn(&Server));

/// The first chunk of a video message of 16 MiB - 1 on chunk stream `id` (3 to 63), message stream 1.
fn announcement(id: u8) -> Vec<u8> {
    vec![id, 0, 0, 0, 0xFF, 0xFF, 0xFF, 9, 1, 0, 0, 0]
}

/// So many chunks of a message that never ends.
fn half_message(id: u8, chunks: usize) -> Vec<u8> {
    let mut bytes = announcement(id);
    for chunk in 0..chunks {
        if chunk > 0 {
            bytes.push(0xC0 | id);
        }
        bytes.extend([0xEE; CHUNK_BYTES]);
    }
    bytes
}

/// Chunks of messages of one byte less than a chunk can hold, each on another chunk stream: 65,000 of them.
fn many_chunk_streams() -> Vec<u8> {
    let mut bytes = Vec::new();
    for id in 64..65_000_u32 {
        let [low, high] = u16::try_from(id - 64).unwrap().to_le_bytes();
        bytes.extend([1, low, high, 0, 0, 0, 0, 0x20, 0, 9, 1, 0, 0, 0]);
        bytes.extend([0xEE; CHUNK_BYTES]);
    }
    bytes
}

fn publishers(server: &Server, phase: &str, count: usize) -> Vec<Peer> {
    (0..count).map(|number| Peer::publish(server, &format!("{phase}{number}"))).collect()
}

/// Writes `bytes` to all sockets, a piece to each in turn; gives those that the server has closed.
fn pour(peers: &[Peer], bytes: &[u8]) -> usize {
    let mut left: Vec<(&TcpStream, &[u8])> = peers.iter().map(|peer| (&peer.socket, bytes)).collect();
    let mut closed = 0;
    let mut progress_at = Instant::now();
    for (socket, _) in &left {
        socket.set_nonblocking(true).unwrap();
    }
    while !left.is_empty() {
        left.retain_mut(|(socket, rest)| match socket.write(&rest[..rest.len().min(PIECE_BYTES)]) {
            Ok(count) => {
                progress_at = Instant::now();
                *rest = &rest[count..];
                !rest.is_empty()
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => true,
            Err(_) => {
                closed += 1;
                false
            }
        });
        assert!(progress_at.elapsed() < PATIENCE, "the server reads no more");
    }
    closed
}

fn declared_lengths(server: &Server) {
    let crowd = publishers(server, "declared", 200);
    pour(&crowd, &announcement(6));
}

fn half_messages(server: &Server) {
    let crowd = publishers(server, "half", 60);
    pour(&crowd, &half_message(6, 1_500));
    server.wait_for_log("the memory limit of 134217728 bytes is reached", 1);
}

fn chunk_streams(server: &Server) {
    let crowd = publishers(server, "chunks", 40);
    let one = publishers(server, "sixty-five-thousand", 1);
    pour(&one, &many_chunk_streams());
    server.wait_for_log("more than 64 chunk streams", 1);
    let spread: Vec<u8> = (4..60).flat_map(|id| half_message(id, 20)).collect();
    pour(&crowd, &spread);
}

fn slow_players(server: &Server) {
    let mut crowd = publishers(server, "slow", 10);
    let stuck = |number| Peer::over(dial(server, Some(4096)), ClientRole::Play, &format!("slow{}", number % 10));
    let players: Vec<Peer> = (0..30).map(|number| stuck(number).started()).collect();
    for publisher in &mut crowd {
        publisher.send(0, VideoHeader, "header", 0);
    }
    for step in 0..200 {
        for publisher in &mut crowd {
            let kind = if step % 100 == 0 { Key } else { Delta };
            publisher.send(step * 40, kind, "picture", 100_000);
        }
    }
    server.wait_for_log("the slowest players skip", 1);
    drop(players);
}

fn huge_groups(server: &Server) {
    let mut crowd = publishers(server, "huge", 20);
    for publisher in &mut crowd {
        publisher.send(0, VideoHeader, "header", 0);
        publisher.send(0, Key, "picture", 1_000_000);
    }
    for step in 1..120 {
        for publisher in &mut crowd {
            publisher.send(step * 40, Delta, "picture", 100_000);
        }
    }
}

fn idle_handshakes(server: &Server) {
    let mut crowd: Vec<TcpStream> = (0..1_500).map(|_| dial(server, None)).collect();
    for (number, socket) in crowd.iter_mut().enumerate() {
        // Nothing, half of C1, all of it, and everything but the last byte.
        let len = [0, 800, 1537, 3072][number % 4];
        // One that is closed already needs no more.
        let _ = socket.write_all(&[3; 3072][..len]);
    }
}

#[test]
fn one_number_bounds_all_memory_and_a_good_player_misses_nothing() {
    need_descriptors(4096);
    let server = Server::with_config(CONFIG);
    let is_over = AtomicBool::new(false);
    let baseline = server.descriptors();
    std::thread::scope(|scope| {
        let pair = scope.spawn(|| {
            let mut pair = Pair::new(&server, "good");
            while !is_over.load(Ordering::Relaxed) {
                pair.send();
                std::thread::sleep(Duration::from_millis(5));
            }
            pair.expect_all();
        });
        let floods: [Flood; 6] = [
            ("declared lengths", declared_lengths),
            ("half messages", half_messages),
            ("chunk streams", chunk_streams),
            ("slow players", slow_players),
            ("huge groups of pictures", huge_groups),
            ("idle handshakes", idle_handshakes),
        ];
        let flooded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for (name, flood) in floods {
                let began = Instant::now();
                flood(&server);
                println!("{name}: {} MiB at most so far, {:?}", server.peak_memory_bytes() >> 20, began.elapsed());
                server.wait_for_descriptors(baseline + 2);
                println!("   {} MiB after", server.memory_bytes() >> 20);
            }
        }));
        is_over.store(true, Ordering::Relaxed);
        pair.join().unwrap();
        flooded.unwrap();
    });
    let peak = server.peak_memory_bytes();
    assert!(peak <= MOST_BYTES, "{} MiB of {} MiB", peak >> 20, LIMIT_BYTES >> 20);
    assert_serves(&server, "after");
    let log = server.stop();
    let skipped =
        log.iter().filter(|line| line.ends_with("messages dropped)") && !line.contains(", 0 messages dropped)"));
    assert!(skipped.count() >= 10, "slow players skip");
}
