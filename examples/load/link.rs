//! One connection of this program to the server: socket, session and what could not be written yet.
//!
//! Owns: non-blocking reading and writing of one socket. Does not know what publishers and players do with it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, BytesMut};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rtmpd::config::SessionLimits;
use rtmpd::rtmp::client::{ClientRole, ClientSession, ClientTarget};
use rtmpd::rtmp::server::SessionConfig;
use socket2::SockRef;

/// Where the server is and how its streams are called.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its address.
    pub address: SocketAddr,
    /// Application.
    pub app: String,
    /// Name of the stream; others get a number behind it.
    pub stream: String,
    /// What follows the name for players, `?` included.
    pub query: String,
    /// Chunk size of the publishers.
    pub chunk_size: usize,
}

impl Target {
    /// The session of one publisher or player on stream number `stream`.
    pub fn session(&self, role: ClientRole, stream: usize, seed: u64) -> ClientSession {
        let query = if role == ClientRole::Play { self.query.as_str() } else { "" };
        let config = SessionConfig { chunk_size: self.chunk_size, limits: SessionLimits::default() };
        let target = ClientTarget {
            role,
            tc_url: format!("rtmp://{}/{}", self.address, self.app),
            app: self.app.clone(),
            stream: format!("{}{stream}{query}", self.stream),
            digest: false,
        };
        ClientSession::new(Instant::now(), Arc::new(config), target, seed)
    }
}

/// See the module.
pub struct Link {
    socket: TcpStream,
    unsent: BytesMut,
    connected: bool,
}

impl Link {
    /// Begins to connect; the poll then names `token`. `receive_bytes`: size of the kernel's receive buffer.
    pub fn connect(
        registry: &Registry,
        token: Token,
        address: SocketAddr,
        receive_bytes: Option<usize>,
    ) -> io::Result<Link> {
        let mut socket = TcpStream::connect(address)?;
        if let Some(bytes) = receive_bytes {
            SockRef::from(&socket).set_recv_buffer_size(bytes)?;
        }
        socket.set_nodelay(true)?;
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Link { socket, unsent: BytesMut::new(), connected: false })
    }

    /// Whether everything that was sent is with the kernel.
    pub fn is_flushed(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Sends `bytes`, now or once the kernel takes them.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        if self.unsent.is_empty() && self.connected {
            let sent = write(&mut self.socket, rest)?;
            rest = rest.get(sent..).unwrap_or_default();
        }
        self.unsent.extend_from_slice(rest);
        Ok(())
    }

    /// The kernel may take more.
    pub fn handle_writable(&mut self) -> io::Result<()> {
        if !self.connected {
            if let Some(error) = self.socket.take_error()? {
                return Err(error);
            }
            self.connected = true;
        }
        if !self.unsent.is_empty() {
            let sent = write(&mut self.socket, &self.unsent)?;
            self.unsent.advance(sent);
            if self.unsent.is_empty() {
                self.unsent = BytesMut::new();
            }
        }
        Ok(())
    }

    /// Reads once into `scratch`. `None`: nothing is there.
    pub fn read<'a>(&mut self, scratch: &'a mut [u8]) -> io::Result<Option<&'a [u8]>> {
        match self.socket.read(scratch) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => Ok(scratch.get(..count)),
            Err(error) if is_for_now(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Writes until the kernel takes no more.
fn write(socket: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
        match socket.write(rest) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

fn is_for_now(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
