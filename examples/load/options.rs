//! What was typed.
//!
//! Owns: names, defaults and meaning of the arguments. Does not act on them.

use std::io;
use std::net::ToSocketAddrs;
use std::time::Duration;

use getopts::{Matches, Options as Flags};

use crate::clip::Clip;
use crate::link::Target;
use crate::stats::Watched;

const USAGE: &str = "\
usage: load COMMAND [OPTIONS] [rtmp://HOST:PORT/APP/STREAM[?QUERY]]

  paced      publish at the pace of a camera, watch with many players
  saturated  publish as fast as the slowest player reads
  join       many players join at the same moment, half a group of pictures after a key frame. first_frame is the time
             from a player's connect() to the last byte of its first key frame, play_to_frame from its `play`
             to there. With --prepared all are connected before, and only `play` is said by all at once
  storm      connect, play, first key frame, close; again and again
  fairness   a key frame of 300 KiB every second to many players of one stream: how late is the sound of another
             stream with one player, with those key frames and without
  hls        N players of Low-Latency HLS: playlist requests that wait, and each part as soon as it is there.
             Somebody else publishes. The URL is http://HOST:PORT/APP/STREAM
  idle       connections that say `connect` and nothing more
  floor      serve: each message with one write to each player, and nothing else

Streams are called STREAM0, STREAM1, ... The program publishes them itself and ends by itself.";

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// See the usage text; the same for the others.
    Paced,
    Saturated,
    Join,
    Storm,
    Fairness,
    Hls,
    Idle,
    Floor,
}

/// See the module.
#[derive(Clone)]
pub struct Options {
    /// What to do.
    pub command: Command,
    /// The server; not for the floor.
    pub target: Option<Target>,
    /// Players, or idle connections, or cycles of a storm.
    pub count: usize,
    /// Streams over which the players are spread.
    pub streams: usize,
    /// Players that stop reading.
    pub stalled: usize,
    /// Connections being opened at the same time.
    pub at_once: usize,
    /// Messages under way in saturation.
    pub window: u64,
    /// Video bit rate.
    pub kbps: u64,
    /// Frames from key frame to key frame.
    pub gop_frames: u64,
    /// How long to measure.
    pub duration: Duration,
    /// How long to wait before.
    pub warmup: Duration,
    /// The server's processes, where their use is to be shown.
    pub watched: Option<Watched>,
    /// Players are connected before the moment at which they join.
    pub prepared: bool,
    /// JSON instead of a table.
    pub json: bool,
    /// Port of the floor.
    pub port: u16,
    /// What the floor sends to one who joins.
    pub floor_join: FloorJoin,
}

/// What the floor sends to one who joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloorJoin {
    /// Headers, and the present group of pictures.
    Gop,
    /// Headers, and the latest key frame.
    Key,
    /// Headers.
    None,
}

impl Options {
    /// Reads the arguments. `None`: help was asked for, and given by the error text of nothing.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub fn parse(arguments: &[String]) -> Result<Options, String> {
        let flags = flags();
        let matches = flags.parse(arguments).map_err(|error| error.to_string())?;
        if matches.opt_present("help") || matches.free.is_empty() {
            return Err(flags.usage(USAGE));
        }
        let command = match matches.free.first().map(String::as_str) {
            Some("paced") => Command::Paced,
            Some("saturated") => Command::Saturated,
            Some("join") => Command::Join,
            Some("storm") => Command::Storm,
            Some("fairness") => Command::Fairness,
            Some("hls") => Command::Hls,
            Some("idle") => Command::Idle,
            Some("floor") => Command::Floor,
            _ => return Err(flags.usage(USAGE)),
        };
        let chunk_size = number(&matches, "chunk-size", 65_536)? as usize;
        let target = matches.free.get(1).map(|url| parse_url(url, chunk_size)).transpose()?;
        if target.is_none() && command != Command::Floor {
            return Err("a URL is needed: rtmp://HOST:PORT/APP/STREAM".to_owned());
        }
        let count = number(&matches, "count", default_count(command))? as usize;
        let prepared = matches.opt_present("prepared");
        let at_once = if command == Command::Join && !prepared { count as u64 } else { 32 };
        Ok(Options {
            command,
            target,
            count,
            streams: number(&matches, "streams", 1)? as usize,
            stalled: number(&matches, "stalled", 0)? as usize,
            at_once: number(&matches, "at-once", at_once)?.max(1) as usize,
            window: number(&matches, "window", 128)?,
            kbps: number(&matches, "kbps", 2_500)?,
            gop_frames: number(&matches, "gop", 60)?,
            duration: Duration::from_secs(number(&matches, "seconds", 10)?),
            warmup: Duration::from_secs(number(&matches, "warmup", 2)?),
            watched: pids(&matches)?,
            prepared,
            json: matches.opt_present("json"),
            port: number(&matches, "port", 0)? as u16,
            floor_join: match matches.opt_str("join").as_deref() {
                None | Some("gop") => FloorJoin::Gop,
                Some("key") => FloorJoin::Key,
                Some("none") => FloorJoin::None,
                Some(other) => return Err(format!("--join: {other} is none of gop, key, none")),
            },
        })
    }

    /// The clip that publishers send.
    pub fn clip(&self) -> Clip {
        Clip::new(self.kbps, self.gop_frames)
    }

    /// The target, which every command but the floor has.
    ///
    /// # Errors
    /// Where there is none.
    pub fn target(&self) -> io::Result<Target> {
        self.target.clone().ok_or_else(|| io::Error::other("no URL"))
    }
}

fn flags() -> Flags {
    let mut flags = Flags::new();
    flags
        .optopt("n", "count", "players [100; fairness: 1000], storm: cycles [1000], idle: connections [1000]", "N")
        .optopt("m", "streams", "streams, players are spread over them [1]", "N")
        .optopt("", "stalled", "so many of the players stop reading [0]", "N")
        .optopt("", "at-once", "connections being opened at the same time [32; join: all]", "N")
        .optopt("", "window", "saturated: messages under way [128]", "N")
        .optopt("", "kbps", "video bit rate [2500]", "N")
        .optopt("", "gop", "video frames from key frame to key frame, at 30 a second [60]", "N")
        .optopt("", "seconds", "how long to measure [10]", "N")
        .optopt("", "warmup", "seconds before that [2]", "N")
        .optopt("", "chunk-size", "of publishers, in bytes [65536]", "N")
        .optopt("", "pid", "processes of the server whose CPU and memory to show", "PID[,PID]")
        .optopt("", "port", "floor: where to listen on 127.0.0.1 [0: a free one]", "N")
        .optopt("", "join", "floor: what one who joins gets [gop]", "gop|key|none")
        .optflag("", "prepared", "join: players have connected before, and say `play` at the same moment")
        .optflag("", "json", "JSON instead of a table")
        .optflag("h", "help", "this text");
    flags
}

fn default_count(command: Command) -> u64 {
    match command {
        Command::Storm | Command::Idle => 1_000,
        Command::Join => 500,
        Command::Fairness => 1_000,
        _ => 100,
    }
}

fn number(matches: &Matches, name: &str, default: u64) -> Result<u64, String> {
    match matches.opt_str(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| format!("--{name}: {text} is no number")),
    }
}

fn pids(matches: &Matches) -> Result<Option<Watched>, String> {
    let Some(text) = matches.opt_str("pid") else { return Ok(None) };
    let pids: Result<Vec<u32>, _> = text.split(',').map(str::parse).collect();
    pids.map(|pids| Some(Watched::new(pids))).map_err(|_| format!("--pid: {text} is no number"))
}

fn parse_url(url: &str, chunk_size: usize) -> Result<Target, String> {
    let bad = || format!("{url}: not rtmp://HOST:PORT/APP/STREAM (hls: http://)");
    let (rest, port) = match url.strip_prefix("http://") {
        Some(rest) => (rest, 8080),
        None => (url.strip_prefix("rtmp://").ok_or_else(bad)?, 1935),
    };
    let (host, path) = rest.split_once('/').ok_or_else(bad)?;
    let (app, stream) = path.split_once('/').ok_or_else(bad)?;
    let (stream, query) = match stream.split_once('?') {
        Some((stream, query)) => (stream, format!("?{query}")),
        None => (stream, String::new()),
    };
    let host = if host.contains(':') { host.to_owned() } else { format!("{host}:{port}") };
    let address = host.to_socket_addrs().map_err(|error| format!("{host}: {error}"))?.next().ok_or_else(bad)?;
    Ok(Target { address, app: app.to_owned(), stream: stream.to_owned(), query, chunk_size })
}
