//! Peers that mean no good, as quickly as a bound on processor time allows.
//!
//! Owns: their sockets, and how long they work in each step. `plan` says what each kind of attack sends. Looks at
//! nothing that the server says; knows only whether it closes.

mod plan;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

pub use self::plan::Kind;
use self::plan::{End, Plan};
use crate::options::Options;
use crate::report::Report;

/// Attackers work for so long, then rest, again and again: they may share a processor with those who measure.
const WORK: Duration = Duration::from_millis(1);
const REST: Duration = Duration::from_millis(1);
const SCRATCH_BYTES: usize = 256 * 1024;
/// Read from one connection before the next one's turn.
const READS: usize = 4;

/// What was done.
#[derive(Debug, Default)]
struct Done {
    connects: u64,
    closed_by_server: u64,
    sent: u64,
    received: u64,
    /// Connections that could not be made.
    failed: u64,
}

struct Attacker {
    socket: Option<Socket>,
    /// What is said first, then again and again.
    opening: Vec<u8>,
    repeated: Vec<u8>,
    /// How much of the opening and of the present repetition was said.
    said: usize,
    opened: bool,
    next_at: Instant,
}

/// Attacks.
///
/// # Errors
/// Only where there is no target.
pub fn run(options: &Options) -> io::Result<Report> {
    let target = options.target()?;
    let plan = Plan::new(options.kind, &target);
    let address = if plan.is_http { options.http.unwrap_or(target.address) } else { target.address };
    let mut done = Done::default();
    let mut attackers: Vec<Attacker> = (0..plan.connections).map(|number| Attacker::new(number, &plan)).collect();
    let mut scratch = vec![0; SCRATCH_BYTES];
    let began = Instant::now();
    let mut cursor = 0;
    while began.elapsed() < options.duration {
        let until = Instant::now() + WORK;
        for _ in 0..attackers.len() {
            let count = attackers.len();
            if let Some(attacker) = attackers.get_mut(cursor % count) {
                attacker.step(&plan, address, &mut scratch, &mut done);
            }
            cursor += 1;
            if Instant::now() >= until {
                break;
            }
        }
        while options.kind == Kind::Spin && Instant::now() < until {
            std::hint::spin_loop();
        }
        std::thread::sleep(REST);
    }
    let seconds = began.elapsed().as_secs_f64();
    let mut report = Report::default();
    report.add("connects_per_s", done.connects as f64 / seconds, "/s");
    report.add("closed_by_server_per_s", done.closed_by_server as f64 / seconds, "/s");
    report.add("sent_mbytes_per_s", done.sent as f64 / seconds / 1e6, "MB/s");
    report.add("received_mbytes_per_s", done.received as f64 / seconds / 1e6, "MB/s");
    report.count("failed", done.failed);
    Ok(report)
}

impl Attacker {
    fn new(number: usize, plan: &Plan) -> Attacker {
        let (opening, repeated) = plan.words(number);
        let next_at = Instant::now();
        Attacker { socket: None, opening, repeated, said: 0, opened: false, next_at }
    }

    fn step(&mut self, plan: &Plan, address: SocketAddr, scratch: &mut [u8], done: &mut Done) {
        let now = Instant::now();
        if now < self.next_at {
            return;
        }
        self.next_at = now + plan.every;
        let result = match &mut self.socket {
            None => self.begin(plan, address, done),
            Some(_) => self.talk(plan, scratch, done),
        };
        if result.is_err() && self.socket.take().is_some() {
            done.closed_by_server += 1;
        }
    }

    fn begin(&mut self, plan: &Plan, address: SocketAddr, done: &mut Done) -> io::Result<()> {
        let from = plan.source.unwrap_or_else(|| source(done.connects));
        match dial(address, from) {
            Ok(socket) => {
                done.connects += 1;
                self.socket = Some(socket);
                self.said = 0;
                self.opened = self.opening.is_empty();
                Ok(())
            }
            Err(error) => {
                done.failed += 1;
                Err(error)
            }
        }
    }

    fn talk(&mut self, plan: &Plan, scratch: &mut [u8], done: &mut Done) -> io::Result<()> {
        let Some(socket) = &mut self.socket else { return Ok(()) };
        if plan.reads {
            done.received += receive(socket, scratch)?;
        }
        if !self.opened {
            let sent = send(socket, &self.opening, &mut self.said)?;
            done.sent += sent as u64;
            self.opened = self.said == self.opening.len();
            if self.opened {
                self.said = 0;
            }
        }
        if self.opened && plan.end != End::Stays {
            if plan.end == End::Resets {
                SockRef::from(&*socket).set_linger(Some(Duration::ZERO))?;
            }
            self.socket = None;
            return Ok(());
        }
        if self.opened && !self.repeated.is_empty() {
            let end = self.repeated.len().min(self.said.saturating_add(plan.bytes_per_step));
            let piece = self.repeated.get(..end).unwrap_or_default();
            done.sent += send(socket, piece, &mut self.said)? as u64;
            if self.said == self.repeated.len() {
                self.said = 0;
            }
        }
        Ok(())
    }
}

/// Writes what of `bytes` was not said yet, as far as the kernel takes it.
fn send(socket: &mut Socket, bytes: &[u8], said: &mut usize) -> io::Result<usize> {
    let rest = bytes.get(*said..).unwrap_or_default();
    match socket.write(rest) {
        Ok(count) => {
            *said += count;
            Ok(count)
        }
        // Still connecting, or its buffer is full.
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => Ok(0),
        Err(error) => Err(error),
    }
}

fn receive(socket: &mut Socket, scratch: &mut [u8]) -> io::Result<u64> {
    let mut received = 0;
    for _ in 0..READS {
        match socket.read(scratch) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => received += count as u64,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(received)
}

/// Begins to connect from an address of this machine.
fn dial(address: SocketAddr, from: Ipv4Addr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    if address.ip().is_loopback() {
        socket.bind(&SocketAddr::from((from, 0)).into())?;
    }
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket),
    }
}

/// Many addresses, so that ports do not run out.
fn source(number: u64) -> Ipv4Addr {
    let [.., high, low] = (number % 50_000).to_be_bytes();
    Ipv4Addr::new(127, 1, high, low.max(1))
}
