//! SIGUSR2: a new process takes the listening sockets over, and nobody who connects meanwhile is refused.

use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use super::peer::{Pair, Peer, assert_serves};
use super::server::{PATIENCE, Server};
use super::support_media::Body::{Delta, Key, VideoHeader};

const SERVES: &str = "serves from now on";

/// A program in a folder of its own, and a service manager that listens.
struct Installed {
    folder: PathBuf,
    manager: UnixDatagram,
}

impl Installed {
    fn new() -> Installed {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("rtmpd-upgrade-{}-{number}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let manager = UnixDatagram::bind(folder.join("notify")).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        let installed = Installed { folder, manager };
        installed.install(&fs::read(env!("CARGO_BIN_EXE_rtmpd")).unwrap());
        installed
    }

    fn program(&self) -> PathBuf {
        self.folder.join("rtmpd")
    }

    /// Puts another program in its place, as package managers do.
    fn install(&self, program: &[u8]) {
        let new = self.folder.join("rtmpd.new");
        fs::write(&new, program).unwrap();
        fs::set_permissions(&new, Permissions::from_mode(0o755)).unwrap();
        fs::rename(new, self.program()).unwrap();
    }

    fn start(&self) -> Server {
        let mut command = Command::new(self.program());
        command.env("NOTIFY_SOCKET", self.folder.join("notify"));
        let server = Server::configured(command, "");
        assert_eq!(self.heard(), "READY=1");
        server
    }

    /// What the service manager is told next.
    fn heard(&self) -> String {
        let mut text = [0; 100];
        let count = self.manager.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..count]).into_owned()
    }

    /// Waits until a new process serves.
    fn successor(&self) -> Process {
        Process(self.heard().strip_prefix("MAINPID=").unwrap().parse().unwrap())
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        // What stays behind in the temporary folder harms nobody.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A process that another one started.
struct Process(u32);

impl Process {
    fn signal(&self, name: &str) {
        let kill = ["-c", "kill -s \"$1\" \"$2\" 2>/dev/null", "sh", name, &self.0.to_string()];
        let _ = Command::new("sh").args(kill).status();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A test that ends early leaves nothing behind.
        self.signal("TERM");
    }
}

/// Connects again and again, and counts.
struct Knocking {
    is_over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    /// Gives what went wrong.
    thread: JoinHandle<Vec<String>>,
}

impl Knocking {
    fn at(address: SocketAddr) -> Knocking {
        let is_over = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let (told, count) = (Arc::clone(&is_over), Arc::clone(&answered));
        let thread = spawn(move || {
            let mut failures = Vec::new();
            while !told.load(Ordering::Relaxed) {
                match handshake(address) {
                    Ok(()) => drop(count.fetch_add(1, Ordering::Relaxed)),
                    Err(error) => failures.push(error.to_string()),
                }
                // Every port is taken for a while after its connection.
                sleep(Duration::from_micros(500));
            }
            failures
        });
        Knocking { is_over, answered, thread }
    }

    /// Waits until so many more were answered.
    fn wait_for(&self, more: usize) {
        let (wanted, deadline) = (self.answered.load(Ordering::Relaxed) + more, Instant::now() + PATIENCE);
        while self.answered.load(Ordering::Relaxed) < wanted {
            assert!(Instant::now() < deadline, "nobody answers");
            sleep(Duration::from_millis(1));
        }
    }

    /// Every single one was answered.
    fn expect_no_failure(self) -> usize {
        self.is_over.store(true, Ordering::Relaxed);
        let failures = self.thread.join().unwrap();
        let answered = self.answered.load(Ordering::Relaxed);
        assert_eq!(failures, Vec::<String>::new(), "{} failed, {answered} were answered", failures.len());
        answered
    }
}

/// C0 and C1, and S0 to S2 as the answer.
fn handshake(address: SocketAddr) -> io::Result<()> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut first = [0; 1537];
    first[0] = 3;
    socket.write_all(&first)?;
    socket.read_exact(&mut [0; 3073])
}

#[test]
fn nobody_is_refused_while_a_new_process_takes_over() {
    let installed = Installed::new();
    let server = installed.start();
    let mut publisher = Peer::publish(&server, "old");
    let mut player = Peer::play(&server, "old");
    publisher.send(0, VideoHeader, "header", 0);
    publisher.send(0, Key, "key", 0);
    let knocking = Knocking::at(server.address);
    knocking.wait_for(100);
    installed.install(&fs::read(env!("CARGO_BIN_EXE_rtmpd")).unwrap());
    server.upgrade();
    let mut sent = 0;
    let mut send = |publisher: &mut Peer, player: &mut Peer| {
        sent += 1;
        let mark = format!("picture {sent};");
        publisher.send(sent * 40, Delta, &mark, 0);
        player.read_frame(&mark);
    };
    for _ in 0..20 {
        send(&mut publisher, &mut player);
    }
    let successor = installed.successor();
    server.wait_for_log(SERVES, 1);
    for _ in 0..20 {
        send(&mut publisher, &mut player);
    }
    // The name is free in the new process: it is another one.
    let mut pair = Pair::new(&server, "old");
    for _ in 0..20 {
        pair.send();
        send(&mut publisher, &mut player);
    }
    knocking.wait_for(100);
    let count = knocking.expect_no_failure();
    assert!(count >= 200, "{count} were answered");
    assert_eq!(player.frames.len(), sent as usize + 2, "header, key frame and all pictures");
    // The old one ends by itself, the new one stays.
    drop(publisher);
    player.read_status("NetStream.Play.Stop");
    player.read_to_the_end();
    pair.send();
    server.terminate();
    assert_serves(&server, "new");
    pair.expect_all();
    successor.signal("TERM");
    let log = server.expect_clean_end();
    assert!(log.iter().any(|line| line.contains("was started as process")), "{log:#?}");
}

#[test]
fn nobody_is_refused_by_ten_upgrades_in_a_row() {
    let installed = Installed::new();
    let server = installed.start();
    let knocking = [Knocking::at(server.address), Knocking::at(server.address)];
    server.upgrade();
    let mut processes = vec![installed.successor()];
    for _ in 1..10 {
        knocking[0].wait_for(20);
        processes[processes.len() - 1].signal("USR2");
        processes.push(installed.successor());
    }
    for knocking in knocking {
        knocking.expect_no_failure();
    }
    assert_serves(&server, "a");
    server.terminate();
    processes.iter().for_each(|process| process.signal("TERM"));
    server.expect_clean_end();
}

#[test]
fn a_new_program_that_does_not_start_leaves_the_old_one_serving() {
    let installed = Installed::new();
    let mut server = installed.start();
    let good = fs::read(installed.program()).unwrap();
    let mut pair = Pair::new(&server, "a");

    installed.install(b"#!/bin/sh\nexit 3\n");
    server.upgrade();
    server.wait_for_log("no upgrade: it ended before it served (exit status: 3); this process goes on", 1);
    pair.send();

    installed.install(b"\x7fELF and no more than that");
    server.upgrade();
    server.wait_for_log("cannot be started: ", 1);
    pair.send();

    // A configuration with a mistake is told by the new process itself.
    installed.install(&good);
    server.configure("[server]\nprot = 1\n");
    server.upgrade();
    server.wait_for_log(".toml:2: server.prot: unknown field", 1);
    server.wait_for_log("no upgrade: it ended before it served (exit status: 2); this process goes on", 1);
    pair.send();
    assert_serves(&server, "b");

    // Nothing of it stands in the way of one that works.
    server.configure("");
    server.upgrade();
    let successor = installed.successor();
    pair.send();
    pair.expect_all();
    assert_serves(&server, "c");
    server.terminate();
    successor.signal("TERM");
    server.expect_end();
}
