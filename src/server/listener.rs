//! One listening socket.
//!
//! Owns: accepting until nobody waits, and the wait where descriptors ran out. Does not know what becomes of a
//! connection.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use log::{debug, warn};
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};

use super::sys;
use crate::engine::Protocol;

/// Wait before accepting again after the descriptors ran out.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct Listener {
    /// `None` once it is closed.
    socket: Option<TcpListener>,
    protocol: Protocol,
    address: SocketAddr,
    /// More may wait to be accepted.
    accept_at: Option<Instant>,
    /// The descriptors ran out, and since then there were always more peers than descriptors.
    is_short_of_descriptors: bool,
}

impl Listener {
    /// Listens on `address`; port 0 takes a free one.
    pub(super) fn bind(
        registry: &Registry,
        token: Token,
        protocol: Protocol,
        address: SocketAddr,
    ) -> io::Result<Listener> {
        Self::register(registry, token, protocol, TcpListener::bind(address)?)
    }

    /// Listens on a socket that was opened before this program began.
    pub(super) fn take(
        registry: &Registry,
        token: Token,
        protocol: Protocol,
        socket: std::net::TcpListener,
    ) -> io::Result<Listener> {
        Self::register(registry, token, protocol, TcpListener::from_std(socket))
    }

    fn register(
        registry: &Registry,
        token: Token,
        protocol: Protocol,
        mut socket: TcpListener,
    ) -> io::Result<Listener> {
        sys::prepare_listener(socket.as_fd())?;
        let address = socket.local_addr()?;
        registry.register(&mut socket, token, Interest::READABLE)?;
        Ok(Listener { socket: Some(socket), protocol, address, accept_at: None, is_short_of_descriptors: false })
    }

    /// Listens no more. Another process may have the same socket, and then it goes on there: closing the descriptor
    /// would not take it out of our poll.
    pub(super) fn close(&mut self, registry: &Registry) {
        self.accept_at = None;
        if let Some(mut socket) = self.socket.take()
            && let Err(error) = registry.deregister(&mut socket)
        {
            debug!("{}: {error}", self.address);
        }
    }

    /// The socket, as long as it listens.
    pub(super) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// When to accept again without an event.
    pub(super) fn accept_at(&self) -> Option<Instant> {
        self.accept_at
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.accept_at.is_some_and(|at| at <= now)
    }

    /// The next turn goes on.
    pub(super) fn accept_again(&mut self, now: Instant) {
        self.accept_at = Some(now);
    }

    /// The next peer that waits. `None`: nobody does, or there is no descriptor for it. `connections` there are now.
    pub(super) fn accept(&mut self, now: Instant, connections: usize) -> Option<(TcpStream, SocketAddr)> {
        self.accept_at = None;
        loop {
            match self.socket.as_ref()?.accept() {
                Ok(accepted) => return Some(accepted),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.is_short_of_descriptors = false;
                    return None;
                }
                Err(error) if sys::is_peers_fault(&error) => debug!("accept: {error}"),
                Err(error) => {
                    self.accept_later(now, connections, &error);
                    return None;
                }
            }
        }
    }

    /// Others wait until a connection ends. The log is told once: this may go on for hours.
    fn accept_later(&mut self, now: Instant, connections: usize, error: &io::Error) {
        if !std::mem::replace(&mut self.is_short_of_descriptors, true) {
            warn!("cannot accept more than {connections} connections: {error}; others have to wait until one ends");
        }
        self.accept_at = Some(now + ACCEPT_BACKOFF);
    }
}
