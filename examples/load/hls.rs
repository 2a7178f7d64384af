//! Players of Low-Latency HLS: playlist requests that wait, and each part as soon as it is there.
//!
//! Owns: all of it, in one loop with one connection for each player that stays open. Keeps nothing of the media.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Token};

use crate::link::{Link, Target};
use crate::options::Options;
use crate::report::Report;
use crate::stats::Histogram;
use crate::watch::Load;

const EVENTS_PER_TURN: usize = 1_024;
const SCRATCH_BYTES: usize = 256 * 1024;
/// Everything that has to happen at all happens within this, or the program gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest head of an answer.
const HEAD_BYTES: usize = 16 * 1024;

/// What all players saw.
struct Meter {
    counting: bool,
    requests: u64,
    playlists: u64,
    parts: u64,
    bytes: u64,
    /// Answers that are not 200.
    refused: u64,
    /// From asking for a part that is there to its last byte.
    part_times: Histogram,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Index,
    Playlist,
    Part,
}

/// An answer, as far as it is there.
#[derive(Default)]
pub struct Answer {
    head: Vec<u8>,
    /// 200 and the like.
    pub status: u16,
    body_left: usize,
    /// What was kept of the body.
    pub body: Vec<u8>,
    in_body: bool,
}

struct Player {
    link: Link,
    host: String,
    /// Of everything that the playlist names.
    base: String,
    /// Path of the playlist.
    media: String,
    asked: Asked,
    asked_at: Instant,
    answer: Answer,
    /// Parts to be fetched.
    waiting: VecDeque<String>,
    newest: Option<String>,
    /// What the next playlist has to have.
    wanted: String,
}

/// Measures.
///
/// # Errors
/// Where the server cannot be reached.
pub fn run(options: &Options) -> io::Result<Report> {
    let target = options.target()?;
    let mut world = World::new()?;
    let end = Instant::now() + PATIENCE;
    for number in 0..options.count {
        world.add(&target)?;
        if number % options.at_once == options.at_once - 1 {
            world.run(end, |world| world.count_watching() == number + 1)?;
        }
    }
    world.run(end, |world| world.count_watching() == options.count)?;
    let watching = world.count_watching();
    world.run(Instant::now() + options.warmup, |_| false)?;
    world.meter.counting = true;
    let load = Load::begin(options)?;
    world.run(Instant::now() + options.duration, |_| false)?;
    let load = load.end()?;
    let (meter, seconds) = (&world.meter, load.wall.as_secs_f64());
    let mut report = Report::default();
    report.count("hls_players", watching as u64);
    report.add("seconds", seconds, "s");
    report.add("requests_per_s", meter.requests as f64 / seconds, "/s");
    report.add("playlists_per_s", meter.playlists as f64 / seconds, "/s");
    report.add("parts_per_s", meter.parts as f64 / seconds, "/s");
    report.add("mbytes_per_s", meter.bytes as f64 / seconds / 1e6, "MB/s");
    report.count("refused", meter.refused);
    report.quantiles("part", &meter.part_times);
    load.report_share(&mut report);
    report.count("connections_lost", world.lost);
    if let Some(reason) = &world.lost_reason {
        report.warn(format!("{} connections lost, the last one: {reason}", world.lost));
    }
    Ok(report)
}

struct World {
    poll: Poll,
    scratch: Box<[u8]>,
    players: Vec<Option<Player>>,
    meter: Meter,
    lost: u64,
    lost_reason: Option<String>,
}

impl World {
    fn new() -> io::Result<World> {
        let meter = Meter {
            counting: false,
            requests: 0,
            playlists: 0,
            parts: 0,
            bytes: 0,
            refused: 0,
            part_times: Histogram::new(),
        };
        let scratch = vec![0; SCRATCH_BYTES].into_boxed_slice();
        Ok(World { poll: Poll::new()?, scratch, players: Vec::new(), meter, lost: 0, lost_reason: None })
    }

    fn add(&mut self, target: &Target) -> io::Result<()> {
        let token = Token(self.players.len());
        let link = Link::connect(self.poll.registry(), token, target.address, None)?;
        let mut player = Player {
            link,
            host: target.address.to_string(),
            base: String::new(),
            media: format!("/{}/{}.m3u8", target.app, target.stream),
            asked: Asked::Index,
            asked_at: Instant::now(),
            answer: Answer::default(),
            waiting: VecDeque::new(),
            newest: None,
            wanted: String::new(),
        };
        player.ask(Asked::Index)?;
        self.players.push(Some(player));
        Ok(())
    }

    /// Players that had a playlist.
    fn count_watching(&self) -> usize {
        self.players.iter().flatten().filter(|player| player.newest.is_some()).count()
    }

    fn run(&mut self, end: Instant, is_done: impl Fn(&World) -> bool) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        while !is_done(self) && Instant::now() < end {
            let left = end.saturating_duration_since(Instant::now());
            match self.poll.poll(&mut events, Some(left)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result?,
            }
            for event in &events {
                self.handle_event(event);
            }
        }
        Ok(())
    }

    fn handle_event(&mut self, event: &Event) {
        let Some(slot) = self.players.get_mut(event.token().0) else { return };
        let Some(player) = slot else { return };
        let mut result = Ok(());
        if event.is_writable() {
            result = player.link.handle_writable();
        }
        if result.is_ok() && (event.is_readable() || event.is_error()) {
            result = player.read(&mut self.scratch, &mut self.meter);
        }
        if let Err(error) = result {
            *slot = None;
            self.lost += 1;
            self.lost_reason = Some(error.to_string());
        }
    }
}

impl Player {
    fn ask(&mut self, asked: Asked) -> io::Result<()> {
        let path = match (asked, self.waiting.pop_front()) {
            (Asked::Part, Some(part)) => format!("{}{part}", self.base),
            _ => format!("{}{}", self.media, self.wanted),
        };
        self.asked = asked;
        self.asked_at = Instant::now();
        self.link.send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host).as_bytes())
    }

    fn read(&mut self, scratch: &mut [u8], meter: &mut Meter) -> io::Result<()> {
        while let Some(mut input) = self.link.read(scratch)? {
            while !input.is_empty() {
                let (taken, is_whole) = self.answer.push(input, self.asked != Asked::Part)?;
                if meter.counting {
                    meter.bytes += taken as u64;
                }
                input = input.get(taken..).unwrap_or_default();
                if is_whole {
                    let answer = std::mem::take(&mut self.answer);
                    self.take(&answer, meter)?;
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, answer: &Answer, meter: &mut Meter) -> io::Result<()> {
        if meter.counting {
            meter.requests += 1;
            meter.refused += u64::from(answer.status != 200);
            match self.asked {
                Asked::Part => {
                    meter.parts += 1;
                    meter.part_times.add(self.asked_at.elapsed().as_nanos() as u64);
                }
                Asked::Index | Asked::Playlist => meter.playlists += 1,
            }
        }
        if answer.status == 200 {
            let text = String::from_utf8_lossy(&answer.body);
            match self.asked {
                Asked::Index => self.take_index(&text),
                Asked::Playlist => self.take_playlist(&text),
                Asked::Part => {}
            }
        }
        let next = match self.asked {
            _ if !self.waiting.is_empty() => Asked::Part,
            Asked::Index if self.base.is_empty() => Asked::Index,
            _ => Asked::Playlist,
        };
        self.ask(next)
    }

    fn take_index(&mut self, text: &str) {
        let folder = self.media.rsplit_once('/').map_or("", |(folder, _)| folder);
        let media = text.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
        self.media = format!("{folder}/{media}");
        self.base = self.media.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    }

    fn take_playlist(&mut self, text: &str) {
        let (mut msn, mut open, mut parts) = (0_u64, 0_u64, Vec::new());
        for line in text.lines() {
            if let Some(number) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
                msn = number.parse().unwrap_or(0);
            } else if line.starts_with("#EXT-X-PART:") {
                let uri = line.split_once("URI=\"").and_then(|(_, rest)| rest.split_once('"'));
                parts.extend(uri.map(|(uri, _)| uri));
                open += 1;
            } else if !line.starts_with('#') {
                msn += 1;
                open = 0;
            }
        }
        let separator = if self.media.contains('?') { '&' } else { '?' };
        self.wanted = format!("{separator}_HLS_msn={msn}&_HLS_part={open}");
        let known = self.newest.as_ref().and_then(|newest| parts.iter().position(|part| part == newest));
        let from = known.map_or(parts.len().saturating_sub(1), |at| at + 1);
        self.waiting.extend(parts.iter().skip(from).map(|part| (*part).to_owned()));
        self.newest = parts.last().map(|part| (*part).to_owned());
    }
}

impl Answer {
    /// Takes bytes of one answer. Gives how many, and whether it is whole with them.
    pub fn push(&mut self, input: &[u8], keep: bool) -> io::Result<(usize, bool)> {
        if self.in_body {
            let taken = self.body_left.min(input.len());
            if keep {
                self.body.extend_from_slice(input.get(..taken).unwrap_or_default());
            }
            self.body_left -= taken;
            return Ok((taken, self.body_left == 0));
        }
        let before = self.head.len();
        self.head.extend_from_slice(input.get(..HEAD_BYTES.min(input.len())).unwrap_or_default());
        let Some(at) = self.head.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            return if self.head.len() > HEAD_BYTES {
                Err(ErrorKind::InvalidData.into())
            } else {
                Ok((input.len(), false))
            };
        };
        self.head.truncate(at + 4);
        let head = String::from_utf8_lossy(&self.head).to_ascii_lowercase();
        self.status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let length = head.split_once("content-length:").and_then(|(_, rest)| rest.lines().next());
        self.body_left = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
        self.in_body = true;
        Ok((at + 4 - before, self.body_left == 0))
    }
}
