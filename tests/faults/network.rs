//! A network that loses packets, or is gone for a while: the server has a network namespace of its own, with two cables
//! to this one. Needs root and iproute2; loss needs netem in the kernel, or nft.

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rtmpd::rtmp::client::ClientRole;

use super::client::{Client, Pair};
use super::media::Scratch;
use super::server::{Launch, PATIENCE, Server};

/// One after the other: they use the same addresses.
static TURN: Mutex<()> = Mutex::new(());

/// The server's ends of the two cables.
const FIRST: &str = "10.213.77.2";
const SECOND: &str = "10.213.78.2";

/// A namespace that goes with the test.
struct Space {
    name: String,
}

impl Space {
    /// `None`: not allowed here.
    fn new() -> Option<Space> {
        let name = format!("rtmpd{}", std::process::id());
        if !run("ip", &["netns", "add", &name]) {
            println!("left out: no network namespaces here (root and iproute2 are needed)");
            return None;
        }
        let space = Space { name };
        for (cable, network) in [("a", "10.213.77"), ("b", "10.213.78")] {
            let (here, there) = (space.end(cable, 0), space.end(cable, 1));
            let steps: [&[&str]; 5] = [
                &["link", "add", &here, "type", "veth", "peer", "name", &there, "netns", &space.name],
                &["address", "add", &format!("{network}.1/24"), "dev", &here],
                &["link", "set", &here, "up"],
                &["-n", &space.name, "address", "add", &format!("{network}.2/24"), "dev", &there],
                &["-n", &space.name, "link", "set", &there, "up"],
            ];
            for step in steps {
                if !run("ip", step) {
                    println!("left out: no cables between network namespaces here: ip {step:?}");
                    return None;
                }
            }
        }
        Some(space)
    }

    /// Name of one end of a cable.
    fn end(&self, cable: &str, number: usize) -> String {
        format!("rt{cable}{number}-{}", std::process::id())
    }

    /// A server that listens at both cables.
    fn start(&self, scratch: &Scratch, config: &str) -> Server {
        let by = vec!["ip", "netns", "exec", &self.name];
        Server::start(scratch, &Launch { by, bind: Some("0.0.0.0"), config, ..Launch::default() })
    }

    /// Takes a cable away, or brings it back.
    fn set(&self, cable: &str, state: &str) {
        assert!(run("ip", &["-n", &self.name, "link", "set", &self.end(cable, 1), state]));
        if state == "up" {
            // The addresses of a network that was away are found again at once.
            assert!(run("ip", &["neigh", "flush", "dev", &self.end(cable, 0)]));
        }
    }

    /// One packet of twenty is lost in each direction. `false`: not possible here.
    fn lose_packets(&self) -> bool {
        let (here, there) = (self.end("a", 0), self.end("a", 1));
        let netem = ["root", "netem", "loss", "5%", "delay", "20ms"];
        let on =
            |prefix: &[&str], device: &str| run("tc", &[prefix, &["qdisc", "add", "dev", device], &netem[..]].concat());
        if on(&["-n", &self.name], &there) && on(&[], &here) {
            println!("loss and delay by netem");
            return true;
        }
        let rules = "add table ip lossy; \
            add chain ip lossy in { type filter hook input priority 0; }; \
            add chain ip lossy out { type filter hook postrouting priority 0; }; \
            add rule ip lossy in meta l4proto tcp numgen random mod 100 < 5 drop; \
            add rule ip lossy out meta l4proto tcp numgen random mod 100 < 5 drop";
        let by_nft = run("ip", &["netns", "exec", &self.name, "nft", rules]);
        println!(
            "{}",
            if by_nft { "loss by nft, no delay: no netem here" } else { "left out: no way to lose packets here" }
        );
        by_nft
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // They would go with the namespace, but not at once.
        for cable in ["a", "b"] {
            run("ip", &["link", "del", &self.end(cable, 0)]);
        }
        run("ip", &["netns", "del", &self.name]);
    }
}

/// Whether a command succeeds.
fn run(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[test]
fn packets_are_lost_and_no_message_is() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let Some(space) = Space::new() else { return };
    let scratch = Scratch::new();
    // Packets that come late are no lag of the player's.
    let server = space.start(&scratch, "[default.queue]\nlag_ms = 60000\n");
    let address = (FIRST.parse::<std::net::IpAddr>().unwrap(), server.rtmp.port()).into();
    let mut pair = Pair::new(address, address, "lossy");
    if !space.lose_packets() {
        return;
    }
    for _ in 0..30 {
        pair.send(10, 1_000);
        std::thread::sleep(Duration::from_millis(20));
    }
    pair.expect_all();
    drop(pair);
    server.stop();
}

#[test]
fn a_network_that_is_gone_for_five_seconds_costs_nothing_but_them() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let Some(space) = Space::new() else { return };
    let scratch = Scratch::new();
    let server = space.start(&scratch, "");
    let address = (FIRST.parse::<std::net::IpAddr>().unwrap(), server.rtmp.port()).into();
    let mut pair = Pair::new(address, address, "gone");
    pair.send(50, 0);
    pair.expect_all();
    space.set("a", "down");
    pair.send(20, 0);
    std::thread::sleep(Duration::from_secs(5));
    space.set("a", "up");
    pair.send(20, 0);
    pair.expect_all();
    drop(pair);
    let log = server.stop();
    let took_nothing = log.iter().filter(|line| line.contains("took nothing")).count();
    assert_eq!(took_nothing, 0, "{log:#?}");
}

#[test]
fn who_is_gone_for_longer_is_closed_and_gives_its_place_back() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let Some(space) = Space::new() else { return };
    let scratch = Scratch::new();
    let server = space.start(
        &scratch,
        "[limits.queue]\nstall_timeout_ms = 1500\n[limits.session]\npublisher_idle_timeout_ms = 1500\n\
         [default]\ntakeover_silence_ms = 500\n",
    );
    let before = server.descriptors();
    let near = (FIRST.parse::<std::net::IpAddr>().unwrap(), server.rtmp.port()).into();
    let far = (SECOND.parse::<std::net::IpAddr>().unwrap(), server.rtmp.port()).into();
    let mut pair = Pair::new(near, near, "stays");
    pair.send(10, 0);
    pair.expect_all();
    let mut publisher = Client::start(far, ClientRole::Publish, "goes").unwrap();
    publisher.send_picture(0, 0).unwrap();
    let mut player = Client::start(far, ClientRole::Play, "stays").unwrap();
    player.read().unwrap();
    space.set("b", "down");
    // The player takes nothing, the publisher sends nothing.
    let deadline = Instant::now() + PATIENCE;
    while server.descriptors() > before + 2 {
        assert!(Instant::now() < deadline, "they keep their places");
        pair.send(1, 100_000);
        pair.expect_all();
        std::thread::sleep(Duration::from_millis(10));
    }
    server.wait_for_log("took nothing for", 1);
    space.set("b", "up");
    // Its name and its place are free.
    let mut back = Pair::new(far, far, "goes");
    back.send(10, 0);
    back.expect_all();
    pair.expect_all();
    drop((pair, back, player, publisher));
    server.stop();
}
