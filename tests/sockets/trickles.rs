//! Clients whose bytes come in odd ways, and who go in odd ways.

use std::io::Write;
use std::net::Shutdown;

use rtmpd::rtmp::client::ClientRole;

use super::peer::{Pair, Peer, assert_serves, dial, read_to_the_end, reset};
use super::server::Server;
use super::support_media::Body::{Delta, Key, VideoHeader};

#[test]
fn a_publisher_and_a_player_whose_bytes_come_one_at_a_time() {
    let server = Server::start();
    let mut publisher = Peer::connect(&server, ClientRole::Publish, "a");
    publisher.write_step = 1;
    let mut publisher = publisher.started();
    let mut player = Peer::connect(&server, ClientRole::Play, "a");
    player.write_step = 1;
    let mut player = player.started();
    publisher.send(0, VideoHeader, "header", 0);
    publisher.send(0, Key, "key", 5000);
    publisher.send(40, Delta, "delta", 200);
    player.read_frame("delta");
    let sizes: Vec<usize> = player.frames.iter().map(|(_, _, body)| body.len()).collect();
    assert_eq!(sizes, [11, 5008, 210]);
    server.stop();
}

#[test]
fn a_client_that_closes_only_its_sending_side_is_gone() {
    let server = Server::start();
    let before = server.descriptors();
    let mut pair = Pair::new(&server, "others");
    let player = Peer::play(&server, "others");
    let publisher = Peer::publish(&server, "b");
    let mut silent = dial(&server, None);
    let mut half = dial(&server, None);
    half.write_all(&[3; 700]).unwrap();
    for socket in [&player.socket, &publisher.socket, &silent, &half] {
        socket.shutdown(Shutdown::Write).unwrap();
    }
    read_to_the_end(&mut silent);
    read_to_the_end(&mut half);
    for mut peer in [player, publisher] {
        peer.read_to_the_end();
    }
    pair.send();
    pair.expect_all();
    drop(pair);
    server.wait_for_descriptors(before);
    server.stop();
}

#[test]
fn resets_in_the_middle_of_everything() {
    let server = Server::start();
    let before = server.descriptors();
    let mut pair = Pair::new(&server, "others");
    for round in 0..10 {
        reset(dial(&server, None));
        let mut half = dial(&server, None);
        half.write_all(&[3; 2000]).unwrap();
        reset(half);
        let mut publisher = Peer::publish(&server, &format!("gone{round}"));
        let mut player = Peer::play(&server, &format!("gone{round}"));
        publisher.send(0, VideoHeader, "header", 0);
        publisher.send(0, Key, "key", 100_000);
        player.read_frame("key");
        // Half of a message: 16 of the bytes that its header announces.
        publisher.socket.write_all(&[&[6, 0, 0, 40, 1, 0, 0, 9, 1, 0, 0, 0][..], &[0x27; 16]].concat()).unwrap();
        if round % 2 == 0 {
            publisher.reset();
            player.reset();
        } else {
            player.reset();
            publisher.reset();
        }
        Peer::play(&server, "others").reset();
        pair.send();
    }
    pair.expect_all();
    drop(pair);
    server.wait_for_descriptors(before);
    assert_serves(&server, "after");
    server.stop();
}

#[test]
fn floods_of_connections_that_close_at_once() {
    let server = Server::start();
    let before = server.descriptors();
    let mut pair = Pair::new(&server, "others");
    for round in 0..300 {
        let socket = dial(&server, None);
        if round % 2 == 0 {
            reset(socket);
        }
    }
    pair.send();
    server.wait_for_log(": connected", 302);
    drop(pair);
    server.wait_for_descriptors(before);
    assert_serves(&server, "after");
    server.stop();
}
