//! Fan-out over real loopback TCP: the server in its own process, saturated by a publisher, watched by 1 to 1000
//! players. The load program's loop is used, which keeps the publisher a bounded number of messages ahead.
#![allow(clippy::expect_used, reason = "a bench that fails shall stop")]

#[allow(dead_code, reason = "the load program's; not all of it is needed here")]
#[path = "../examples/load/clip.rs"]
mod clip;
#[allow(dead_code, reason = "the load program's; not all of it is needed here")]
#[path = "../examples/load/link.rs"]
mod link;
#[allow(dead_code, reason = "the load program's; not all of it is needed here")]
#[path = "../examples/load/player.rs"]
mod player;
#[allow(dead_code, reason = "the load program's; not all of it is needed here")]
#[path = "../examples/load/publisher.rs"]
mod publisher;
#[allow(dead_code, reason = "the load program's; not all of it is needed here")]
#[path = "../examples/load/skim.rs"]
mod skim;
#[allow(dead_code, reason = "the load program's; not all of it is needed here")]
#[path = "../examples/load/stats.rs"]
mod stats;
#[allow(dead_code, reason = "the load program's; not all of it is needed here")]
#[path = "../examples/load/world.rs"]
mod world;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode, Throughput};

use clip::Clip;
use link::Target;
use player::{Habit, Start};
use world::{Pace, World};

const PLAYERS: [usize; 4] = [1, 10, 100, 1000];
const KBPS: u64 = 2_500;
const GOP_FRAMES: u64 = 60;
/// Messages under way to one player.
const WINDOW: u64 = 128;
/// A round of the bench: so many messages to each player.
const MESSAGES: u64 = 73;
/// Bytes of that many, on average: a second of video and audio.
const BYTES: u64 = KBPS * 1000 / 8 + 43 * 372;
/// Players that join at the same time.
const AT_ONCE: usize = 64;
const PATIENCE: Duration = Duration::from_secs(30);

/// The server's process; dies with this value.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rtmpd"))
            .args(["-p", "0", "--http-port", "off"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it was asked for");
        BufReader::new(stdout).read_line(&mut line).expect("the server says where it listens");
        let address = line.split_whitespace().last().and_then(|address| address.parse().ok());
        Server { child, address: address.expect("an address") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A stream with `players` who all see it.
fn audience(address: SocketAddr, players: usize) -> World {
    let target = Target {
        address,
        app: "live".to_owned(),
        stream: format!("fanout{players}-"),
        query: String::new(),
        chunk_size: 65_536,
    };
    let mut world = World::new(target, Clip::new(KBPS, GOP_FRAMES)).expect("a poll");
    world.add_publisher().expect("a socket");
    let end = Instant::now() + PATIENCE;
    assert!(world.run(end, World::are_publishers_started).expect("polling"), "publishing begins");
    world.run_for(Duration::from_millis(200)).expect("polling");
    for number in 0..players {
        world.add_player(0, Start::AtOnce, Habit::Quick).expect("a socket");
        if number % AT_ONCE == AT_ONCE - 1 || number + 1 == players {
            world.run(end, |world| world.joining_count() == 0).expect("polling");
        }
    }
    let all = world.run(end, |world| world.player_counts() == (players, players));
    assert!(all.expect("polling"), "every player sees a picture");
    world
}

/// How long it takes until `messages` more have been delivered.
fn deliver(world: &mut World, messages: u64) -> Duration {
    let wanted = world.meter.messages + messages;
    let begin = Instant::now();
    let done = world.run(begin + PATIENCE, |world| world.meter.messages >= wanted);
    assert!(done.expect("polling") && world.lost == 0, "messages come");
    begin.elapsed()
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5))
        .sample_size(10)
        .configure_from_args();
    let server = Server::start();
    let mut group = criterion.benchmark_group("fanout");
    group.sampling_mode(SamplingMode::Flat);
    for players in PLAYERS {
        let round = players as u64 * MESSAGES;
        group.throughput(Throughput::ElementsAndBytes { elements: round, bytes: players as u64 * BYTES });
        // Made only if this bench is wanted at all, and once.
        let mut world = None;
        group.bench_function(players.to_string(), |bencher| {
            bencher.iter_custom(|rounds| {
                let world = world.get_or_insert_with(|| {
                    let mut world = audience(server.address, players);
                    world.set_pace(Pace::Window(WINDOW));
                    world.begin_counting();
                    world
                });
                deliver(world, rounds * round)
            });
        });
    }
    group.finish();
    criterion.final_summary();
}
