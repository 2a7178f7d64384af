//! More peers than descriptors, on both listeners.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::client::Pair;
use super::media::Scratch;
use super::server::{Launch, PATIENCE, Server};

#[test]
fn without_descriptors_those_who_are_there_go_on_and_others_come_when_some_leave() {
    let scratch = Scratch::new();
    let by = vec!["sh", "-c", "ulimit -n 64 && exec \"$@\"", "sh"];
    let server = Server::start(&scratch, &Launch { by, ..Launch::default() });
    let mut pair = Pair::new(server.rtmp, server.rtmp, "before");
    pair.send(5, 0);
    // The kernel takes them all in; most wait there.
    let crowd: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(server.rtmp).unwrap()).collect();
    server.wait_for_log("cannot accept more than", 1);
    let mut asks = TcpStream::connect(server.http).unwrap();
    asks.set_read_timeout(Some(PATIENCE)).unwrap();
    asks.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    pair.send(20, 0);
    pair.expect_all();
    drop(crowd);
    // Who waited is served, by HTTP and RTMP.
    let mut answer = String::new();
    asks.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut other = Pair::new(server.rtmp, server.rtmp, "after");
    other.send(5, 0);
    other.expect_all();
    pair.send(5, 0);
    pair.expect_all();
    server.stop();
}
