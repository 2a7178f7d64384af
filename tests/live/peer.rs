//! A publisher in this program, and a player: our client's session over a blocking socket.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtmpd::config::SessionLimits;
use rtmpd::container::flv::file::FlvDemuxer;
use rtmpd::rtmp::client::{ClientEvent, ClientRole, ClientSession, ClientTarget};
use rtmpd::rtmp::message::type_id;
use rtmpd::rtmp::server::SessionConfig;

/// Longest wait for anything. Only a test that fails waits for so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A message: type, timestamp in milliseconds, payload.
pub type Tag = (u8, u32, Vec<u8>);

/// All messages of an FLV file.
pub fn tags(clip: &Path) -> Vec<Tag> {
    let bytes = std::fs::read(clip).unwrap();
    let mut demuxer = FlvDemuxer::new(1 << 24);
    let mut input = &bytes[..];
    let mut tags = Vec::new();
    while let Some(tag) = demuxer.demux(&mut input).unwrap() {
        let is_media = matches!(tag.tag_type, type_id::AUDIO | type_id::VIDEO);
        if is_media {
            tags.push((tag.tag_type, tag.timestamp, tag.body.to_vec()));
        }
    }
    tags
}

pub struct Peer {
    socket: TcpStream,
    session: ClientSession,
    events: Vec<ClientEvent>,
    /// Audio and video that came, with its headers.
    pub tags: Vec<Tag>,
}

impl Peer {
    /// A publisher that may send.
    pub fn publish(server: SocketAddr, stream: &str) -> Peer {
        let peer = Peer::connect(server, ClientRole::Publish, stream);
        assert!(peer.has_started(), "{stream:?} is refused: {:?}", peer.events);
        peer
    }

    /// A player that waits for frames.
    pub fn play(server: SocketAddr, stream: &str) -> Peer {
        let peer = Peer::connect(server, ClientRole::Play, stream);
        assert!(peer.has_started(), "{stream:?} is refused: {:?}", peer.events);
        peer
    }

    /// Asks, and waits for the answer; whether it is yes is another thing.
    pub fn connect(server: SocketAddr, role: ClientRole, stream: &str) -> Peer {
        let socket = TcpStream::connect(server).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let config = SessionConfig { chunk_size: 4096, limits: SessionLimits::default() };
        let (tc_url, app) = ("rtmp://127.0.0.1/live".to_owned(), "live".to_owned());
        let target = ClientTarget { role, tc_url, app, stream: stream.to_owned(), digest: false };
        let session = ClientSession::new(Instant::now(), Arc::new(config), target, 1);
        let mut peer = Peer { socket, session, events: Vec::new(), tags: Vec::new() };
        peer.flush();
        while !peer.has_started() && peer.refusal().is_none() && peer.read() {}
        peer
    }

    pub fn has_started(&self) -> bool {
        self.events.contains(&ClientEvent::Started)
    }

    fn refusal(&self) -> Option<&ClientEvent> {
        self.events.iter().find(|event| matches!(event, ClientEvent::Status { level, .. } if level == "error"))
    }

    /// Sends a message. `false`: the server is gone.
    pub fn send(&mut self, (type_id, timestamp, payload): &Tag) -> bool {
        self.session.send(*type_id, *timestamp, payload);
        self.flush()
    }

    /// Sends messages at the pace of their timestamps, `passed` being asked before each. Gives when each was sent.
    pub fn send_paced(&mut self, tags: &[Tag], passed: impl Fn() -> bool) -> Vec<(Instant, u32)> {
        let began = Instant::now();
        let mut sent = Vec::new();
        for tag in tags {
            let due = began + Duration::from_millis(u64::from(tag.1));
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if passed() || !self.send(tag) {
                break;
            }
            sent.push((Instant::now(), tag.1));
        }
        sent
    }

    /// Reads until `count` messages are there.
    pub fn read_tags(&mut self, count: usize) {
        while self.tags.len() < count {
            assert!(self.read(), "{} of {count} messages came", self.tags.len());
        }
    }

    /// Reads once. `false`: the server closed.
    fn read(&mut self) -> bool {
        let mut scratch = vec![0; 65_536];
        match self.socket.read(&mut scratch) {
            Ok(0) => return false,
            Ok(count) => self.session.handle_input(Instant::now(), &scratch[..count]).unwrap(),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return false,
            Err(error) => panic!("nothing comes: {error}"),
        }
        while let Some(event) = self.session.poll_event() {
            match event {
                ClientEvent::Media(message) if message.type_id != type_id::DATA_AMF0 => {
                    self.tags.push((message.type_id, message.timestamp, message.payload.to_vec()));
                }
                ClientEvent::Media(_) => {}
                event => self.events.push(event),
            }
        }
        self.flush();
        true
    }

    fn flush(&mut self) -> bool {
        while let Some(bytes) = self.session.poll_output() {
            if self.socket.write_all(&bytes).is_err() {
                return false;
            }
        }
        true
    }
}
