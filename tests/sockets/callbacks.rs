//! The operator's program over real sockets: it allows, refuses, renames, is silent, breaks off, fails and is found by
//! its name.

use std::net::TcpListener;

use rtmpd::rtmp::client::ClientRole;

use super::backend::{Backend, rename, status};
use super::peer::{Peer, reset};
use super::server::Server;
use super::support_media::Body::{Delta, Key, VideoHeader};

const DENIED: &str = "NetStream.Publish.Denied";

/// A server that asks and tells this program about everything under `host`.
fn server(host: &str, port: u16, more: &str) -> Server {
    let url = |name: &str| format!("{name} = \"http://{host}:{port}/{name}?x=1\"\n");
    let names = ["on_connect", "on_publish", "on_play", "on_unpublish", "on_stop"];
    Server::with_config(&format!("[callbacks]\n{}{more}", names.map(url).concat()))
}

#[test]
fn a_program_that_allows_lets_pictures_through_and_is_told_the_ends() {
    let backend = Backend::start(Box::new(|_, _| status(200)));
    // By its name, of which one address does not answer: the program has no socket for IPv6.
    let server = server("localhost", backend.address.port(), "");
    let mut publisher = Peer::publish(&server, "cam?key=hush");
    let mut player = Peer::play(&server, "cam");
    publisher.send(0, VideoHeader, "header", 0);
    publisher.send(0, Key, "key frame", 0);
    publisher.send(40, Delta, "and more", 200_000);
    player.read_frame("and more");
    reset(player.socket);
    backend.wait_for("\"stop\"", 1);
    drop(publisher.socket);
    backend.wait_for("\"unpublish\"", 1);
    let posts = backend.posts();
    assert_eq!(posts.len(), 6, "{posts:#?}");
    assert!(posts[0].starts_with("POST /on_connect?x=1 HTTP/1.1\r\nHost: localhost:"), "{}", posts[0]);
    assert!(posts.iter().any(|post| post.contains("\"publish\"") && post.contains("key=hush")), "{posts:#?}");
    let log = server.stop();
    assert!(!log.iter().any(|line| line.contains("hush")), "the log holds a key: {log:#?}");
}

#[test]
fn a_program_refuses_and_renames() {
    let backend = Backend::start(Box::new(|_, post| match post {
        _ if post.contains("\"stream\":\"ticket\"") => rename("cam"),
        _ if post.contains("\"stream\":\"bad\"") => status(403),
        _ if post.contains("\"app\":\"live\"") => status(204),
        _ => status(200),
    }));
    let server = server("127.0.0.1", backend.address.port(), "");
    Peer::connect(&server, ClientRole::Publish, "bad").refused(DENIED);
    Peer::connect(&server, ClientRole::Play, "bad").refused("NetStream.Play.Failed");
    let mut publisher = Peer::publish(&server, "ticket");
    let mut player = Peer::play(&server, "cam");
    publisher.send(0, VideoHeader, "header", 0);
    publisher.send(0, Key, "key frame", 0);
    player.read_frame("key frame");
    server.stop();
    backend.wait_for("\"unpublish\"", 1);
    backend.wait_for("\"stop\"", 1);
}

#[test]
fn a_program_that_fails_or_breaks_off_is_asked_again() {
    let half = || Some("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_owned());
    let backend = Backend::start(Box::new(move |number, _| match number {
        0 => status(500),
        1 => half(),
        _ => status(200),
    }));
    let server = server("127.0.0.1", backend.address.port(), "");
    drop(Peer::publish(&server, "cam"));
    backend.wait_for("\"connect\"", 3);
    backend.wait_for("\"unpublish\"", 1);
    server.stop();
}

#[test]
fn a_silent_program_and_one_that_is_not_there_refuse_and_others_are_served() {
    let backend = Backend::start(Box::new(|_, _| None));
    let url = format!("on_publish = \"http://127.0.0.1:{}/\"", backend.address.port());
    let server = Server::with_config(&format!("[callbacks]\n{url}\ntimeout_ms = 200\nretries = 1\n"));
    let waits = Peer::connect(&server, ClientRole::Publish, "cam");
    let _player = Peer::play(&server, "cam");
    waits.refused(DENIED);
    backend.wait_for("POST ", 2);
    assert_eq!(backend.posts().len(), 2);
    server.stop();
    // A port where nobody listens.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("on_publish = \"http://[::1]:{nobody}/\"");
    let server = Server::with_config(&format!("[callbacks]\n{url}\nretries = 0\n"));
    Peer::connect(&server, ClientRole::Publish, "cam").refused(DENIED);
    server.reload("[callbacks]\non_publish = \"http://no-such-host.invalid/\"\nretries = 0\n");
    server.wait_for_log("the configuration was read again", 1);
    Peer::connect(&server, ClientRole::Publish, "cam").refused(DENIED);
    server.stop();
}

#[test]
fn one_who_leaves_while_it_is_asked_about_is_noticed_though_it_is_not_read() {
    let backend = Backend::start(Box::new(|_, _| None));
    let url = format!("on_publish = \"http://127.0.0.1:{}/\"", backend.address.port());
    let server = Server::with_config(&format!("[callbacks]\n{url}\ntimeout_ms = 60000\n"));
    let before = server.descriptors();
    for is_reset in [true, false] {
        let mut peer = Peer::connect(&server, ClientRole::Publish, "cam");
        peer.ask(&backend, if is_reset { 1 } else { 2 });
        if is_reset {
            peer.reset()
        } else {
            drop(peer)
        }
        server.wait_for_log("closed by peer", if is_reset { 1 } else { 2 });
    }
    // Its socket and that to the program.
    server.wait_for_descriptors(before);
    server.stop();
}
