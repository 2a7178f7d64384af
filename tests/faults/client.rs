//! A client that takes it as it comes: whatever breaks is a value, and it can come back.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtmpd::config::SessionLimits;
use rtmpd::rtmp::client::{ClientEvent, ClientRole, ClientSession, ClientTarget};
use rtmpd::rtmp::message::type_id;
use rtmpd::rtmp::server::SessionConfig;

use super::server::PATIENCE;
use super::support_media::Body;

/// How long one read waits, so that a test can look at something else.
const LOOK: Duration = Duration::from_millis(100);
/// How long connecting may take: a network may be gone.
const DIAL: Duration = Duration::from_secs(5);

pub struct Client {
    socket: TcpStream,
    session: ClientSession,
    events: Vec<ClientEvent>,
    /// Audio and video: type, timestamp, payload.
    pub frames: Vec<(u8, u32, Vec<u8>)>,
}

impl Client {
    /// Connects and waits until it may publish or play.
    pub fn start(server: SocketAddr, role: ClientRole, stream: &str) -> io::Result<Client> {
        let socket = TcpStream::connect_timeout(&server, DIAL)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(LOOK))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let config = SessionConfig { chunk_size: 4096, limits: SessionLimits::default() };
        let (tc_url, app) = ("rtmp://127.0.0.1/live".to_owned(), "live".to_owned());
        let target = ClientTarget { role, tc_url, app, stream: stream.to_owned(), digest: false };
        let session = ClientSession::new(Instant::now(), Arc::new(config), target, 1);
        let mut client = Client { socket, session, events: Vec::new(), frames: Vec::new() };
        client.flush()?;
        let deadline = Instant::now() + PATIENCE;
        while !client.events.contains(&ClientEvent::Started) {
            client.read()?;
            let is_refusal =
                |event: &ClientEvent| matches!(event, ClientEvent::Status { level, .. } if level == "error");
            if client.events.iter().any(is_refusal) || Instant::now() >= deadline {
                return Err(io::Error::other(format!("not started: {:?}", client.events)));
            }
        }
        Ok(client)
    }

    /// The same, again and again: the server may not be there yet.
    pub fn start_when_possible(server: SocketAddr, role: ClientRole, stream: &str) -> Client {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Client::start(server, role, stream) {
                Ok(client) => return client,
                Err(error) => assert!(Instant::now() < deadline, "{stream}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn send(&mut self, type_id: u8, timestamp: u32, payload: &[u8]) -> io::Result<()> {
        self.session.send(type_id, timestamp, payload);
        self.flush()
    }

    /// Sends picture `number` of a stream with one every 40 ms, a key frame every tenth time; its header before it.
    pub fn send_picture(&mut self, number: u32, filler: usize) -> io::Result<()> {
        if number == 0 {
            self.send(type_id::VIDEO, 0, &Body::VideoHeader.with(b"header", 0))?;
        }
        let kind = if number.is_multiple_of(10) { Body::Key } else { Body::Delta };
        self.send(type_id::VIDEO, number * 40, &kind.with(format!("picture {number};").as_bytes(), filler))
    }

    /// Reads what comes within a short while.
    pub fn read(&mut self) -> io::Result<()> {
        let mut scratch = vec![0; 65_536];
        match self.socket.read(&mut scratch) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => self.session.handle_input(Instant::now(), &scratch[..count]).map_err(io::Error::other)?,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
        while let Some(event) = self.session.poll_event() {
            match event {
                ClientEvent::Media(message) if message.type_id != type_id::DATA_AMF0 => {
                    self.frames.push((message.type_id, message.timestamp, message.payload.to_vec()));
                }
                ClientEvent::Media(_) => {}
                event => self.events.push(event),
            }
        }
        self.flush()
    }

    /// Numbers of the pictures that came, in their order.
    pub fn pictures(&self) -> Vec<u32> {
        let number = |body: &[u8]| {
            // The number stands in front; the rest may be long.
            let text = String::from_utf8_lossy(&body[..body.len().min(32)]);
            text.split_once("picture ")?.1.split_once(';')?.0.parse().ok()
        };
        self.frames.iter().filter_map(|(_, _, body)| number(body)).collect()
    }

    /// Reads until picture `number` came.
    pub fn read_picture(&mut self, number: u32) {
        let deadline = Instant::now() + PATIENCE;
        while self.pictures().last().is_none_or(|last| *last < number) {
            assert!(Instant::now() < deadline, "picture {number} never came: {:?}", self.pictures());
            self.read().unwrap_or_else(|error| panic!("before picture {number}: {error}"));
        }
    }

    /// Waits until the server closes.
    pub fn read_to_the_end(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.read().is_ok() {
            assert!(Instant::now() < deadline, "it stays open");
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while let Some(bytes) = self.session.poll_output() {
            self.socket.write_all(&bytes)?;
        }
        Ok(())
    }
}

/// A publisher and its player, with all pictures so far in their order.
pub struct Pair {
    pub publisher: Client,
    pub player: Client,
    sent: u32,
}

impl Pair {
    pub fn new(publisher: SocketAddr, player: SocketAddr, stream: &str) -> Pair {
        let publisher = Client::start(publisher, ClientRole::Publish, stream).unwrap();
        let player = Client::start(player, ClientRole::Play, stream).unwrap();
        Pair { publisher, player, sent: 0 }
    }

    pub fn of(publisher: Client, player: Client) -> Pair {
        Pair { publisher, player, sent: 0 }
    }

    /// Sends without waiting.
    pub fn send(&mut self, count: u32, filler: usize) {
        for _ in 0..count {
            self.publisher.send_picture(self.sent, filler).unwrap();
            self.sent += 1;
        }
    }

    /// Everything sent so far came once, in its order.
    pub fn expect_all(&mut self) {
        self.player.read_picture(self.sent - 1);
        assert_eq!(self.player.pictures(), (0..self.sent).collect::<Vec<u32>>());
    }
}
