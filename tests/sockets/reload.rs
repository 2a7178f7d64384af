//! SIGHUP: the configuration file is read again, and nobody notices who should not.

use rtmpd::rtmp::client::ClientRole;

use super::peer::Peer;
use super::server::Server;
use super::support_media::Body::{Delta, Key, VideoHeader};

const DENIED: &str = "NetStream.Publish.Denied";
const READ_AGAIN: &str = "the configuration was read again";

fn keyed(key: &str) -> String {
    format!("[app.live.publish]\nkeys = [\"{key}\"]\n")
}

#[test]
fn a_key_changes_and_who_is_connected_stays() {
    let server = Server::with_config(&keyed("old-secret"));
    let mut publisher = Peer::publish(&server, "a?key=old-secret");
    let mut player = Peer::play(&server, "a");
    publisher.send(0, VideoHeader, "header", 0);
    publisher.send(0, Key, "key frame", 0);
    player.read_frame("key frame");
    Peer::connect(&server, ClientRole::Publish, "b?key=new-secret").refused(DENIED);

    server.reload(&keyed("new-secret"));
    server.wait_for_log(READ_AGAIN, 1);
    publisher.send(40, Delta, "still here", 0);
    player.read_frame("still here");
    Peer::connect(&server, ClientRole::Publish, "b?key=old-secret").refused(DENIED);
    let _newcomer = Peer::publish(&server, "b?key=new-secret");
    publisher.send(80, Delta, "to the end", 0);
    player.read_frame("to the end");

    let log = server.stop();
    let told = log.iter().filter(|line| line.contains("may not publish live/b: its key is not known")).count();
    assert_eq!(told, 2, "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("secret")), "the log holds a key: {log:#?}");
}

#[test]
fn a_file_with_a_mistake_changes_nothing_and_the_log_says_where_it_is() {
    let server = Server::with_config(&keyed("secret"));
    let mut player = Peer::play(&server, "a");
    server.reload("[app.live.publish]\nkeys = []\n[server]\nprot = 1\n");
    server.wait_for_log(".toml:4: server.prot: unknown field", 1);
    // The old key is still wanted.
    Peer::connect(&server, ClientRole::Publish, "a").refused(DENIED);
    let mut publisher = Peer::publish(&server, "a?key=secret");
    publisher.send(0, VideoHeader, "header", 0);
    publisher.send(0, Key, "key frame", 0);
    player.read_frame("key frame");
    // A mistake is no reason not to try again.
    server.reload("");
    server.wait_for_log(READ_AGAIN, 1);
    Peer::publish(&server, "b");
}

#[test]
fn what_cannot_change_is_told_by_its_key_and_flags_still_win() {
    let server = Server::with_config("");
    let fixed = "[server]\nchunk_size = 4096\nport = 1\nbind = \"::1\"\nhttp_port = 1\n";
    server.reload(&format!("{fixed}[limits.session]\npublisher_idle_timeout_ms = 20000\n"));
    server.wait_for_log(READ_AGAIN, 1);
    let log = server.stop();
    let told: Vec<&String> = log.iter().filter(|line| line.contains(" stays ")).collect();
    // Port, address and HTTP port are given on the command line.
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains("server.chunk_size stays as it is until rtmpd is started again"), "{told:#?}");
}
