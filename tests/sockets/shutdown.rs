//! The end of the server while others are connected.

use std::io::Write;
use std::net::TcpStream;

use super::peer::{Peer, dial, read_to_the_end};
use super::server::Server;
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
