//! Who watches over HTTP, and who empties the folder of recordings.
//!
//! Owns: a thread with a few blocking connections: plain HLS players, and players of HTTP-FLV that come and go. What
//! they get is counted and thrown away.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::hls::Answer;
use crate::link::Target;
use crate::options::Options;

/// How often a player of HLS looks for a segment.
const LOOK: Duration = Duration::from_millis(1_000);
/// How long one of HTTP-FLV stays.
const FLV_VIEW: Duration = Duration::from_secs(15);
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// After trouble nothing is asked for so long.
const TROUBLE: Duration = Duration::from_millis(1_000);
const STEP: Duration = Duration::from_millis(50);
/// A recording that was not written for so long is removed.
const KEEP: Duration = Duration::from_secs(30);
const SWEEP: Duration = Duration::from_secs(5);

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Playlists that came.
    pub playlists: u64,
    /// Segments that came.
    pub segments: u64,
    /// Times that somebody saw something over HTTP-FLV.
    pub flv_views: u64,
    /// Bytes of all that.
    pub bytes: u64,
    /// Answers that are not 200, and connections that failed: streams come and go.
    pub refused: u64,
    /// Recordings that were removed.
    pub files: u64,
    /// Their bytes.
    pub file_bytes: u64,
}

/// Watches until it is over.
pub fn run(target: &Target, options: &Options, is_over: &AtomicBool) -> Seen {
    let soak = &options.soak;
    let mut seen = Seen::default();
    let mut hls: Vec<HlsViewer> = Vec::new();
    let mut flv: Vec<FlvViewer> = Vec::new();
    if let Some(address) = options.http {
        // Half of them see the stream that is always there.
        let path = |number: usize, end: &str| format!("/{}/{}{}.{end}", target.app, target.stream, number % 2);
        hls.extend((0..soak.viewers).map(|number| HlsViewer::new(address, path(number, "m3u8"))));
        flv.extend((0..soak.viewers).map(|number| FlvViewer::new(address, path(number, "flv"), number)));
    }
    let mut swept_at = Instant::now();
    while !is_over.load(Ordering::SeqCst) {
        let now = Instant::now();
        for viewer in &mut hls {
            if now >= viewer.next_at && viewer.look(&mut seen).is_err() {
                seen.refused += 1;
                viewer.forget();
            }
        }
        for viewer in &mut flv {
            viewer.step(now, &mut seen);
        }
        if let Some(directory) = soak.recordings.as_deref().filter(|_| now - swept_at >= SWEEP) {
            swept_at = now;
            sweep(directory, &mut seen);
        }
        std::thread::sleep(STEP);
    }
    seen
}

/// Removes what was not written for a while.
fn sweep(directory: &Path, seen: &mut Seen) {
    // The server may rename and finish files meanwhile: what cannot be read now can be read next time.
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let Ok(data) = entry.metadata() else { continue };
        if data.is_dir() {
            sweep(&entry.path(), seen);
            continue;
        }
        let age = data.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        if age.is_some_and(|age| age > KEEP) && fs::remove_file(entry.path()).is_ok() {
            seen.files += 1;
            seen.file_bytes += data.len();
        }
    }
}

struct HlsViewer {
    address: SocketAddr,
    index: String,
    socket: Option<TcpStream>,
    /// Path of the media playlist, once it is known.
    media: Option<String>,
    newest: String,
    next_at: Instant,
}

impl HlsViewer {
    fn new(address: SocketAddr, index: String) -> HlsViewer {
        HlsViewer { address, index, socket: None, media: None, newest: String::new(), next_at: Instant::now() }
    }

    fn forget(&mut self) {
        self.socket = None;
        self.media = None;
        self.next_at = Instant::now() + TROUBLE;
    }

    /// Asks for the playlist, and for its last segment where that is a new one.
    fn look(&mut self, seen: &mut Seen) -> io::Result<()> {
        self.next_at = Instant::now() + LOOK;
        let Some(media) = self.media.clone() else {
            let index = self.ask(&self.index.clone(), seen)?;
            self.media = Some(beside(&self.index, first_uri(&index).ok_or(ErrorKind::InvalidData)?));
            return Ok(());
        };
        let playlist = self.ask(&media, seen)?;
        seen.playlists += 1;
        let last = playlist.lines().rfind(|line| !line.starts_with('#') && !line.is_empty());
        if let Some(last) = last.filter(|last| **last != self.newest) {
            self.ask(&beside(&media, last), seen)?;
            seen.segments += 1;
            self.newest = last.to_owned();
        }
        Ok(())
    }

    fn ask(&mut self, path: &str, seen: &mut Seen) -> io::Result<String> {
        let socket = match self.socket.take() {
            Some(socket) => self.socket.insert(socket),
            None => self.socket.insert(dial(self.address)?),
        };
        request(socket, path)?;
        let mut answer = Answer::default();
        let mut scratch = vec![0; 64 * 1024];
        loop {
            let count = socket.read(&mut scratch)?;
            let mut input = scratch.get(..count).filter(|input| !input.is_empty()).ok_or(ErrorKind::UnexpectedEof)?;
            seen.bytes += count as u64;
            while !input.is_empty() {
                let (taken, is_whole) = answer.push(input, true)?;
                input = input.get(taken..).unwrap_or_default();
                if is_whole {
                    let text = String::from_utf8_lossy(&answer.body).into_owned();
                    return if answer.status == 200 { Ok(text) } else { Err(ErrorKind::NotFound.into()) };
                }
            }
        }
    }
}

struct FlvViewer {
    address: SocketAddr,
    path: String,
    socket: Option<TcpStream>,
    /// When it comes, or goes.
    next_at: Instant,
    has_seen: bool,
}

impl FlvViewer {
    fn new(address: SocketAddr, path: String, number: usize) -> FlvViewer {
        let next_at = Instant::now() + TROUBLE * number as u32;
        FlvViewer { address, path, socket: None, next_at, has_seen: false }
    }

    /// Reads what is there; comes and goes when it is time to.
    fn step(&mut self, now: Instant, seen: &mut Seen) {
        if now >= self.next_at {
            if self.socket.take().is_some() {
                self.next_at = now + TROUBLE;
                return;
            }
            self.next_at = now + FLV_VIEW;
            self.has_seen = false;
            self.socket = self.begin().ok();
        }
        let mut scratch = [0; 64 * 1024];
        while let Some(socket) = &mut self.socket {
            match socket.read(&mut scratch) {
                Ok(count) if count > 0 => {
                    seen.bytes += count as u64;
                    let is_refused = scratch.starts_with(b"HTTP/1.1 4") && !self.has_seen;
                    seen.flv_views += u64::from(!self.has_seen && !is_refused);
                    self.has_seen = true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                _ => {
                    seen.refused += u64::from(!self.has_seen);
                    self.socket = None;
                    self.next_at = now + TROUBLE;
                }
            }
        }
    }

    fn begin(&self) -> io::Result<TcpStream> {
        let mut socket = dial(self.address)?;
        request(&mut socket, &self.path)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }
}

fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn request(socket: &mut TcpStream, path: &str) -> io::Result<()> {
    socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
}

/// The first line of a playlist that is no tag.
fn first_uri(playlist: &str) -> Option<&str> {
    playlist.lines().find(|line| !line.starts_with('#') && !line.is_empty())
}

/// What a playlist names, as a path of its own.
fn beside(playlist: &str, uri: &str) -> String {
    if uri.starts_with('/') {
        return uri.to_owned();
    }
    let folder = playlist.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{folder}/{uri}")
}
