//! What was typed.
//!
//! Owns: names, defaults and meaning of the arguments. Does not act on them.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use getopts::{Matches, Options as Flags};

use crate::attack::Kind;
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
  hostile    one publisher and its players, alone and beside each kind of attack
  attack     one kind of attack
  soak       publishers and players come and go, some players are slow, some watch by HLS and HTTP-FLV: does memory
             stay flat, is every descriptor given back, and does everybody who reads get every message? Needs --pid
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
    Hostile,
    Attack,
    Soak,
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
    /// What a soak has besides.
    pub soak: Soak,
    /// The server's HTTP listener.
    pub http: Option<SocketAddr>,
    /// Names of the attacks; all where there is none.
    pub kinds: Vec<String>,
    /// The attack that is made.
    pub kind: Kind,
}

/// What a soak has besides publishers and players.
#[derive(Debug, Clone)]
pub struct Soak {
    /// Players that read less than is sent.
    pub slow: usize,
    /// Viewers by HLS, and as many by HTTP-FLV.
    pub viewers: usize,
    /// Where the server records; what is no longer written there is removed.
    pub recordings: Option<PathBuf>,
    /// The server's memory may not grow by more than this in a minute, in KiB.
    pub slope_limit_kib: u64,
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
            Some("hostile") => Command::Hostile,
            Some("attack") => Command::Attack,
            Some("soak") => Command::Soak,
            Some("floor") => Command::Floor,
            _ => return Err(flags.usage(USAGE)),
        };
        let chunk_size = number(&matches, "chunk-size", 65_536)? as usize;
        let target = matches.free.get(1).map(|url| parse_url(url, chunk_size)).transpose()?;
        if target.is_none() && command != Command::Floor {
            return Err("a URL is needed: rtmp://HOST:PORT/APP/STREAM".to_owned());
        }
        let count = number(&matches, "count", default_count(command))? as usize;
        let kinds = matches.opt_strs("kind");
        if let Some(name) = kinds.iter().find(|name| Kind::find(name).is_none()) {
            let known: Vec<&str> = Kind::ALL.iter().map(|(name, _)| *name).collect();
            return Err(format!("--kind: {name} is none of {}", known.join(", ")));
        }
        let prepared = matches.opt_present("prepared");
        let at_once = if command == Command::Join && !prepared { count as u64 } else { 32 };
        Ok(Options {
            command,
            target,
            count,
            streams: number(&matches, "streams", if command == Command::Soak { 6 } else { 1 })? as usize,
            stalled: number(&matches, "stalled", 0)? as usize,
            at_once: number(&matches, "at-once", at_once)?.max(1) as usize,
            window: number(&matches, "window", 128)?,
            kbps: number(&matches, "kbps", if command == Command::Soak { 500 } else { 2_500 })?,
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
            soak: soak(&matches)?,
            http: http(&matches)?,
            kind: kinds.first().and_then(|name| Kind::find(name)).unwrap_or(Kind::Spin),
            kinds,
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
        .optopt("", "slow", "soak: players that read less than is sent [20]", "N")
        .optopt("", "viewers", "soak: viewers by HLS, and as many by HTTP-FLV [10]", "N")
        .optopt("", "http", "soak, hostile: the server's HTTP listener; none: nobody goes there", "HOST:PORT")
        .optmulti("", "kind", "hostile, attack: only this one; can be given several times", "NAME")
        .optopt("", "recordings", "soak: where the server records; what is no longer written is removed", "DIRECTORY")
        .optopt("", "slope-limit", "soak: KiB by which the server's memory may grow in a minute [1024]", "N")
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
        Command::Soak => 200,
        Command::Hostile => 50,
        _ => 100,
    }
}

fn number(matches: &Matches, name: &str, default: u64) -> Result<u64, String> {
    match matches.opt_str(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| format!("--{name}: {text} is no number")),
    }
}

fn soak(matches: &Matches) -> Result<Soak, String> {
    Ok(Soak {
        slow: number(matches, "slow", 20)? as usize,
        viewers: number(matches, "viewers", 10)? as usize,
        recordings: matches.opt_str("recordings").map(PathBuf::from),
        slope_limit_kib: number(matches, "slope-limit", 1_024)?,
    })
}

fn http(matches: &Matches) -> Result<Option<SocketAddr>, String> {
    let parse = |text: String| text.parse().map_err(|_| format!("--http: {text} is no address"));
    matches.opt_str("http").map(parse).transpose()
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
