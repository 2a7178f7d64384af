//! Hundreds of peers that mean no good, beside a publisher and a player.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use super::peer::{Pair, Peer, assert_serves, dial, read_to_the_end};
use super::server::{Server, need_descriptors};
use super::support_media::Body::{Delta, Key, VideoHeader};

const PEERS: usize = 200;
/// More than the server should ever need for them; they ask for 3.2 GB.
const MEMORY_BYTES: usize = 64 << 20;

/// What comes to a port that the world can reach.
fn garbage(number: usize) -> Vec<u8> {
    match number % 4 {
        0 => b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        1 => vec![0xFF; 4000],
        2 => (0..8000_usize).map(|index| (index * (number + 7) % 251) as u8).collect(),
        // A handshake as it should be, and then noise.
        _ => [vec![3; 3073], (0..3000_usize).map(|index| (index * (number + 3) % 253) as u8).collect()].concat(),
    }
}

#[test]
fn garbage_of_hundreds_at_once() {
    need_descriptors(2048);
    let server = Server::with_config("[limits.session]\nsetup_timeout_ms = 500\n");
    let mut pair = Pair::new(&server, "others");
    let mut crowd: Vec<TcpStream> = (0..PEERS).map(|_| dial(&server, None)).collect();
    for (number, socket) in crowd.iter_mut().enumerate() {
        match socket.write_all(&garbage(number)) {
            Err(error) if !matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                panic!("cannot send: {error}")
            }
            _ => {}
        }
        if number % 10 == 0 {
            pair.send();
        }
    }
    // Each is closed: for what it sent, or because nothing more came.
    for socket in &mut crowd {
        read_to_the_end(socket);
    }
    pair.send();
    pair.expect_all();
    assert_serves(&server, "after");
    server.stop();
}

#[test]
fn sixteen_mebibytes_announced_and_never_sent() {
    need_descriptors(2048);
    let server = Server::start();
    let mut pair = Pair::new(&server, "others");
    let before = server.memory_bytes();
    let mut crowd: Vec<Peer> = (0..PEERS).map(|number| Peer::publish(&server, &format!("big{number}"))).collect();
    for peer in &mut crowd {
        // A video message on chunk stream 6, and its first bytes.
        peer.socket.write_all(&[6, 0, 0, 0, 0xFF, 0xFF, 0xFF, 9, 1, 0, 0, 0, 0x17, 1, 0, 0, 0]).unwrap();
    }
    for _ in 0..20 {
        pair.send();
    }
    let more = server.memory_bytes().saturating_sub(before);
    assert!(more < MEMORY_BYTES, "{PEERS} peers that sent nothing cost {more} bytes");
    drop(crowd);
    pair.send();
    pair.expect_all();
    assert_serves(&server, "after");
    server.stop();
}

#[test]
fn publishers_that_send_as_fast_as_they_can_do_not_starve_others() {
    let server = Server::start();
    let mut pair = Pair::new(&server, "others");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for number in 0..2 {
            let mut publisher = Peer::publish(&server, &format!("flood{number}"));
            let is_over = &is_over;
            scope.spawn(move || {
                publisher.send(0, VideoHeader, "header", 0);
                publisher.send(0, Key, "key", 0);
                let mut timestamp = 0;
                while !is_over.load(Ordering::Relaxed) {
                    timestamp += 1;
                    publisher.send(timestamp, Delta, "flood", 500_000);
                }
            });
        }
        let watch = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..100 {
                pair.send();
            }
        }));
        is_over.store(true, Ordering::Relaxed);
        watch.unwrap();
    });
    pair.expect_all();
    server.stop();
}
