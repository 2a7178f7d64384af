//! The end of the server while others are connected.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::peer::{Peer, dial, read_to_the_end};
use super::server::{PATIENCE, Server};
use super::support_media::Body::{Delta, Key, VideoHeader};

#[test]
fn sigterm_ends_every_connection_in_its_own_way() {
    let server = Server::start();
    let mut idle = dial(&server, None);
    let mut half = dial(&server, None);
    half.write_all(&[3; 1000]).unwrap();
    let mut publisher = Peer::publish(&server, "a");
    let mut players = [Peer::play(&server, "a"), Peer::play(&server, "a"), Peer::play(&server, "nobody")];
    publisher.send(0, VideoHeader, "header", 0);
    publisher.send(0, Key, "key", 0);
    players[0].read_frame("key");
    server.terminate();
    publisher.read_status("NetStream.Unpublish.Success");
    publisher.read_to_the_end();
    for player in &mut players {
        player.read_status("NetStream.Play.Stop");
        player.read_to_the_end();
    }
    read_to_the_end(&mut idle);
    read_to_the_end(&mut half);
    let address = server.address;
    server.expect_clean_end();
    assert!(TcpStream::connect(address).is_err(), "somebody still listens");
}

#[test]
fn sigterm_ends_the_server_though_a_player_reads_nothing_and_a_publisher_goes_on() {
    let server = Server::start();
    let mut publisher = Peer::publish(&server, "a");
    let stuck = Peer::play(&server, "a");
    publisher.send(0, VideoHeader, "header", 0);
    publisher.send(0, Key, "key", 0);
    for number in 1..100 {
        publisher.send(number * 40, Delta, "delta", 100_000);
    }
    server.terminate();
    // Its frames are refused sooner or later, but the server ends.
    for number in 100..200 {
        publisher.send(number * 40, Delta, "delta", 100_000);
    }
    server.expect_clean_end();
    drop(stuck);
}

/// Longer than any test waits.
const LONG_DRAIN: &str = "[server]\ndrain_ms = 600000\n";

fn wait_until_nobody_listens(address: SocketAddr) {
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < deadline, "somebody still listens");
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn sigterm_takes_nobody_new_and_ends_when_the_last_publisher_has_left() {
    let server = Server::with_config(LONG_DRAIN);
    let mut publisher = Peer::publish(&server, "a");
    let mut player = Peer::play(&server, "a");
    publisher.send(0, VideoHeader, "header", 0);
    publisher.send(0, Key, "key", 0);
    server.terminate();
    wait_until_nobody_listens(server.address);
    publisher.send(40, Delta, "still here", 0);
    player.read_frame("still here");
    drop(publisher);
    player.read_status("NetStream.Play.Stop");
    player.read_to_the_end();
    server.expect_clean_end();
}

#[test]
fn a_second_sigterm_ends_all_at_once() {
    let server = Server::with_config(LONG_DRAIN);
    let mut publisher = Peer::publish(&server, "a");
    let mut player = Peer::play(&server, "a");
    server.terminate();
    wait_until_nobody_listens(server.address);
    server.terminate();
    publisher.read_status("NetStream.Unpublish.Success");
    player.read_status("NetStream.Play.Stop");
    server.expect_clean_end();
}
