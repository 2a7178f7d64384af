//! Many players of one stream.

use std::net::TcpStream;

use super::peer::{Peer, dial};
use super::server::{Server, need_descriptors};
use super::support_media::Body::{Audio, AudioHeader, Delta, Key, VideoHeader};

const PLAYERS: usize = 1000;
const IDLE: usize = 300;

#[test]
fn a_thousand_players_get_the_same_frames_beside_hundreds_that_only_hold_a_connection() {
    need_descriptors(4096);
    let server = Server::start();
    let idle: Vec<TcpStream> = (0..IDLE).map(|_| dial(&server, None)).collect();
    let mut publisher = Peer::publish(&server, "crowd");
    let mut players: Vec<Peer> = (0..PLAYERS).map(|_| Peer::play(&server, "crowd")).collect();
    publisher.send(0, VideoHeader, "header", 0);
    publisher.send(0, AudioHeader, "header", 0);
    let mut expected = 2;
    for number in 0..50 {
        let (kind, filler) = if number % 25 == 0 { (Key, 8000) } else { (Delta, 300) };
        publisher.send(number * 40, kind, &format!("picture {number};"), filler);
        publisher.send(number * 40, Audio, &format!("sound {number};"), 100);
        expected += 2;
    }
    let mut first = None;
    for player in &mut players {
        player.read_frame("sound 49;");
        let frames = std::mem::take(&mut player.frames);
        assert_eq!(frames.len(), expected);
        assert_eq!(*first.get_or_insert_with(|| frames.clone()), frames);
    }
    for socket in &idle {
        socket.set_nonblocking(true).unwrap();
        let nothing = socket.peek(&mut [0]).unwrap_err();
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock, "an idle connection was closed");
    }
    server.stop();
}
