//! One client: our client's session over a blocking socket.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtmpd::config::SessionLimits;
use rtmpd::rtmp::client::{ClientEvent, ClientRole, ClientSession, ClientTarget};
use rtmpd::rtmp::message::type_id;
use rtmpd::rtmp::server::SessionConfig;
use socket2::{Domain, SockRef, Socket, Type};

use super::backend::Backend;
use super::server::{PATIENCE, Server};
use super::support_media::Body;

/// An audio or video message: type, timestamp, payload.
pub type Received = (u8, u32, Vec<u8>);

pub struct Peer {
    pub socket: TcpStream,
    session: ClientSession,
    /// Most bytes that one call gives to the kernel.
    pub write_step: usize,
    /// What was heard and not asked for yet.
    events: Vec<ClientEvent>,
    /// Audio and video, in its order.
    pub frames: Vec<Received>,
    has_ended: bool,
}

impl Peer {
    /// Connects and says nothing yet.
    pub fn connect(server: &Server, role: ClientRole, stream: &str) -> Peer {
        Peer::over(dial(server, None), role, stream)
    }

    /// A client over this socket.
    pub fn over(socket: TcpStream, role: ClientRole, stream: &str) -> Peer {
        let config = SessionConfig { chunk_size: 4096, limits: SessionLimits::default() };
        let target = ClientTarget {
            role,
            tc_url: "rtmp://127.0.0.1/live".to_owned(),
            app: "live".to_owned(),
            stream: stream.to_owned(),
            digest: false,
        };
        let session = ClientSession::new(Instant::now(), Arc::new(config), target, 1);
        Peer { socket, session, write_step: usize::MAX, events: Vec::new(), frames: Vec::new(), has_ended: false }
    }

    /// A publisher that may send.
    pub fn publish(server: &Server, stream: &str) -> Peer {
        Peer::connect(server, ClientRole::Publish, stream).started()
    }

    /// A player that waits for frames.
    pub fn play(server: &Server, stream: &str) -> Peer {
        Peer::connect(server, ClientRole::Play, stream).started()
    }

    /// Goes on until it may publish or play.
    pub fn started(mut self) -> Peer {
        self.flush();
        self.read_until("start", |peer| peer.events.contains(&ClientEvent::Started));
        self
    }

    /// Goes on until the program has been posted to so often.
    pub fn ask(&mut self, backend: &Backend, posts: usize) {
        let deadline = Instant::now() + PATIENCE;
        self.flush();
        self.socket.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let mut scratch = vec![0; 65_536];
        while backend.posts().len() < posts {
            assert!(Instant::now() < deadline, "nobody was asked");
            if let Ok(count) = self.socket.read(&mut scratch) {
                assert!(count > 0, "closed");
                self.take_in(&scratch[..count]);
            }
        }
    }

    /// Asks, and is told that it may not and closed.
    pub fn refused(mut self, code: &str) {
        self.flush();
        self.read_status(code);
        self.read_to_the_end();
    }

    /// Sends a frame of this kind that holds `mark` and `filler` bytes more.
    pub fn send(&mut self, timestamp: u32, kind: Body, mark: &str, filler: usize) {
        let type_id = if kind.is_video() { type_id::VIDEO } else { type_id::AUDIO };
        self.session.send(type_id, timestamp, &kind.with(mark.as_bytes(), filler));
        self.flush();
    }

    /// Waits for a frame that holds `mark`.
    pub fn read_frame(&mut self, mark: &str) {
        self.read_until(mark, |peer| {
            peer.frames.iter().any(|(_, _, body)| body.windows(mark.len()).any(|part| part == mark.as_bytes()))
        });
    }

    /// Waits for a status.
    pub fn read_status(&mut self, wanted: &str) {
        self.read_until(wanted, |peer| {
            let has_code = |event: &ClientEvent| matches!(event, ClientEvent::Status { code, .. } if code == wanted);
            peer.events.iter().any(has_code)
        });
    }

    /// Reads until the server closes its side, which it has to do.
    pub fn read_to_the_end(&mut self) {
        self.read_until("the end", |peer| peer.has_ended);
    }

    fn read_until(&mut self, what: &str, is_there: impl Fn(&Peer) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut scratch = vec![0; 65_536];
        while !is_there(self) {
            assert!(!self.has_ended, "closed before {what}: {:?}", self.events);
            assert!(Instant::now() < deadline, "never came: {what}: {:?}", self.events);
            match self.socket.read(&mut scratch) {
                Ok(0) => self.has_ended = true,
                Ok(count) => self.take_in(&scratch[..count]),
                Err(error) if is_reset(error.kind()) => self.has_ended = true,
                Err(error) => panic!("waiting for {what}: {error}"),
            }
        }
    }

    fn take_in(&mut self, bytes: &[u8]) {
        self.session.handle_input(Instant::now(), bytes).unwrap();
        while let Some(event) = self.session.poll_event() {
            match event {
                ClientEvent::Media(message) if message.type_id != type_id::DATA_AMF0 => {
                    self.frames.push((message.type_id, message.timestamp, message.payload.to_vec()));
                }
                ClientEvent::Media(_) => {}
                event => self.events.push(event),
            }
        }
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(bytes) = self.session.poll_output() {
            for piece in bytes.chunks(self.write_step) {
                match self.socket.write_all(piece) {
                    Err(error) if !is_reset(error.kind()) => panic!("cannot send: {error}"),
                    // What the server said before it closed is still read.
                    _ => {}
                }
            }
        }
    }

    /// Closes with RST instead of FIN.
    pub fn reset(self) {
        reset(self.socket);
    }
}

/// A connection. `receive_bytes`: how much the kernel may hold for it.
pub fn dial(server: &Server, receive_bytes: Option<usize>) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    if let Some(bytes) = receive_bytes {
        socket.set_recv_buffer_size(bytes).unwrap();
    }
    socket.connect(&server.address.into()).unwrap();
    socket.set_tcp_nodelay(true).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket.into()
}

/// Closes with RST instead of FIN.
pub fn reset(socket: TcpStream) {
    SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Waits until the server has closed its side.
pub fn read_to_the_end(socket: &mut TcpStream) {
    let mut scratch = [0; 4096];
    loop {
        match socket.read(&mut scratch) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if is_reset(error.kind()) => return,
            Err(error) => panic!("it stays open: {error}"),
        }
    }
}

fn is_reset(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted)
}

/// A publisher and a player who notice whether others disturb them.
pub struct Pair {
    publisher: Peer,
    player: Peer,
    sent: u32,
}

impl Pair {
    pub fn new(server: &Server, stream: &str) -> Pair {
        let mut publisher = Peer::publish(server, stream);
        let player = Peer::play(server, stream);
        publisher.send(0, Body::VideoHeader, "header", 0);
        let mut pair = Pair { publisher, player, sent: 0 };
        pair.send();
        pair
    }

    /// Sends a picture and waits until it is there.
    pub fn send(&mut self) {
        self.sent += 1;
        let mark = format!("picture {};", self.sent);
        let kind = if self.sent % 10 == 1 { Body::Key } else { Body::Delta };
        self.publisher.send(self.sent * 40, kind, &mark, 0);
        self.player.read_frame(&mark);
    }

    /// Every frame arrived once.
    pub fn expect_all(&self) {
        // The header came, and then each picture.
        assert_eq!(self.player.frames.len(), self.sent as usize + 1);
    }
}

/// The server takes a new publisher and a new player.
pub fn assert_serves(server: &Server, stream: &str) {
    let mut pair = Pair::new(server, stream);
    for _ in 0..3 {
        pair.send();
    }
    pair.expect_all();
}
