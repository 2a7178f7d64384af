//! Connections that do nothing.
//!
//! Owns: the measurement of what one costs. Each says its handshake and `connect`, and nothing more.

use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use rtmpd::rtmp::client::{ClientRole, ClientSession};

use crate::link::Link;
use crate::options::Options;
use crate::player::flush;
use crate::report::Report;
use crate::stats::Watched;
use crate::watch::report_memory;

/// Bytes of S0, S1 and S2: what has to come before `connect` can be sent.
const HANDSHAKE_LEN: usize = 1 + 2 * 1536;
const PATIENCE: Duration = Duration::from_secs(8);
/// How long after the last answer memory is read.
const SETTLE: Duration = Duration::from_millis(500);

struct Idler {
    link: Link,
    session: ClientSession,
    received: usize,
}

impl Idler {
    fn is_connected(&self) -> bool {
        self.received > HANDSHAKE_LEN
    }

    /// Gives the handshake, and nothing of what follows, to the session: so it never goes on from `connect`.
    fn read(&mut self, scratch: &mut [u8]) -> io::Result<()> {
        while let Some(input) = self.link.read(scratch)? {
            let rest = HANDSHAKE_LEN.saturating_sub(self.received).min(input.len());
            self.received += input.len();
            let handshake = input.get(..rest).unwrap_or_default();
            if !handshake.is_empty() {
                self.session.handle_input(Instant::now(), handshake).map_err(io::Error::other)?;
                flush(&mut self.session, &mut self.link)?;
            }
        }
        Ok(())
    }
}

/// Measures.
///
/// # Errors
/// Where the server cannot be reached or closes connections.
pub fn run(options: &Options) -> io::Result<Report> {
    let target = options.target()?;
    let mut poll = Poll::new()?;
    let mut scratch = vec![0; 64 * 1024];
    let mut idlers: Vec<Idler> = Vec::new();
    let before = options.watched.as_ref().map(Watched::memory).transpose()?;
    let cpu_before = options.watched.as_ref().map(Watched::cpu_ns).transpose()?;
    let end = Instant::now() + PATIENCE;
    for number in 0..options.count {
        let token = Token(number);
        let mut link = Link::connect(poll.registry(), token, target.address, None)?;
        let mut session = target.session(ClientRole::Play, 0, number as u64);
        flush(&mut session, &mut link)?;
        idlers.push(Idler { link, session, received: 0 });
        let is_last = number + 1 == options.count;
        if is_last || number % options.at_once == options.at_once - 1 {
            wait(&mut poll, &mut idlers, &mut scratch, end)?;
        }
    }
    std::thread::sleep(SETTLE);

    let mut report = Report::default();
    report.count("connections", idlers.iter().filter(|idler| idler.is_connected()).count() as u64);
    if let Some(watched) = &options.watched {
        let after = watched.memory()?;
        let cpu_ns = watched.cpu_ns()? - cpu_before.unwrap_or(0);
        report.add("server_cpu_us_per_connection", cpu_ns as f64 / 1000.0 / options.count.max(1) as f64, "us");
        report_memory(&mut report, "connection", before.unwrap_or_default(), after, options.count);
    }
    Ok(report)
}

/// Until `connect` of every connection was answered.
fn wait(poll: &mut Poll, idlers: &mut [Idler], scratch: &mut [u8], end: Instant) -> io::Result<()> {
    let mut events = Events::with_capacity(1024);
    while !idlers.iter().all(Idler::is_connected) {
        let timeout = end.saturating_duration_since(Instant::now());
        if timeout.is_zero() {
            return Err(io::Error::other("not every connect was answered in time"));
        }
        poll.poll(&mut events, Some(timeout))?;
        for event in &events {
            let Token(number) = event.token();
            let Some(idler) = idlers.get_mut(number) else { continue };
            if event.is_writable() {
                idler.link.handle_writable()?;
            }
            if event.is_readable() {
                idler.read(scratch)?;
            }
        }
    }
    Ok(())
}
