//! A player that never reads.

use rtmpd::rtmp::client::ClientRole;

use super::peer::{Peer, dial};
use super::server::Server;
use super::support_media::Body::{Delta, Key, VideoHeader};

#[test]
fn a_player_that_never_reads_is_closed_and_another_one_misses_nothing() {
    // The other player must not be called slow where the machine is.
    let server = Server::with_config(
        "[limits.queue]\nstall_timeout_ms = 300\nlinger_ms = 100\n[default.queue]\nlag_ms = 3600000\n",
    );
    let mut publisher = Peer::publish(&server, "a");
    let mut stuck = Peer::over(dial(&server, Some(4096)), ClientRole::Play, "a").started();
    let mut player = Peer::play(&server, "a");
    publisher.send(0, VideoHeader, "header", 0);
    publisher.send(0, Key, "picture 0;", 20_000);
    // Enough for every buffer of the kernel that fills while nobody reads.
    for number in 1..200 {
        let mark = format!("picture {number};");
        publisher.send(number * 40, Delta, &mark, 20_000);
        player.read_frame(&mark);
    }
    server.wait_for_log("took nothing for 300 ms", 1);
    publisher.send(8000, Delta, "last", 0);
    player.read_frame("last");
    assert_eq!(player.frames.len(), 202);
    stuck.read_to_the_end();
    assert!(stuck.frames.len() < 202);
    let log = server.stop();
    assert_eq!(log.iter().filter(|line| line.contains("took nothing")).count(), 1);
}
