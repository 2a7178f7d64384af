//! More clients than descriptors.

use std::net::TcpStream;

use super::peer::{Pair, assert_serves, dial};
use super::server::Server;

#[test]
fn a_server_without_descriptors_says_so_once_and_serves_again() {
    let server = Server::with_descriptors(40);
    let mut pair = Pair::new(&server, "before");
    // The kernel takes them all in; most wait there.
    let crowd: Vec<TcpStream> = (0..100).map(|_| dial(&server, None)).collect();
    server.wait_for_log("cannot accept more than", 1);
    for _ in 0..20 {
        pair.send();
    }
    pair.expect_all();
    drop(crowd);
    server.wait_for_log("(after", 100);
    assert_serves(&server, "after");
    let log = server.stop();
    let lines: Vec<&String> = log.iter().filter(|line| line.contains("cannot accept")).collect();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains("WARN") && lines[0].contains("Too many open files"), "{lines:#?}");
}

#[test]
fn no_descriptor_stays_behind() {
    let server = Server::start();
    let before = server.descriptors();
    assert_serves(&server, "a");
    let crowd: Vec<TcpStream> = (0..100).map(|_| dial(&server, None)).collect();
    server.wait_for_log(": connected", 102);
    assert!(server.descriptors() >= before + 100);
    drop(crowd);
    server.wait_for_descriptors(before);
    server.stop();
}
