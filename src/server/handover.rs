//! What a process tells the one that takes its listeners over.
//!
//! Owns: the variable `RTMPD_UPGRADE`, both ways, and taking over the descriptors that it names. Does not know how the
//! process is started.
//!
//! It reads `PID READY NAME=DESCRIPTOR ...`: the process that hands over, which is the parent of the one that takes; a
//! socket on which one byte says that the new one serves; the listeners with their protocols. `LISTEN_FDS` would not
//! do: a parent does not know the process id that stands beside it, and which numbers are free in the child is not its
//! to say. The text goes from one version of this program to another: it may not change.

use std::env;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::parent_id;

use log::warn;
use thiserror::Error;

use super::{Protocol, activation, sys};

/// See the module.
pub(super) const VARIABLE: &str = "RTMPD_UPGRADE";
/// More than any server has listeners.
const MOST_LISTENERS: usize = 64;
/// Those below are standard input, output and error.
const FIRST_DESCRIPTOR: RawFd = 3;

/// What stands in the variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    /// The process that hands over.
    pub(super) pid: u32,
    /// Where the other one says that it serves.
    pub(super) ready: RawFd,
    /// Listeners by the name of their protocol.
    pub(super) listeners: Vec<(String, RawFd)>,
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pid, self.ready)?;
        self.listeners.iter().try_for_each(|(name, number)| write!(f, " {name}={number}"))
    }
}

impl Offer {
    /// `None`: it makes no sense.
    fn parse(text: &str) -> Option<Offer> {
        let mut words = text.split(' ');
        let pid = words.next()?.parse().ok()?;
        let ready = words.next()?.parse().ok()?;
        let listener = |word: &str| {
            let (name, number) = word.split_once('=')?;
            Some((name.to_owned(), number.parse().ok()?))
        };
        let listeners: Vec<(String, RawFd)> = words.map(listener).collect::<Option<_>>()?;
        let offer = Offer { pid, ready, listeners };
        let mut numbers = offer.numbers();
        numbers.sort_unstable();
        let is_each_once = numbers.windows(2).all(|pair| pair.first() != pair.last());
        let are_ours = numbers.first().is_some_and(|lowest| *lowest >= FIRST_DESCRIPTOR);
        (is_each_once && are_ours && offer.listeners.len() <= MOST_LISTENERS).then_some(offer)
    }

    fn numbers(&self) -> Vec<RawFd> {
        let listeners = self.listeners.iter().map(|(_, number)| *number);
        [self.ready].into_iter().chain(listeners).collect()
    }
}

/// Why what was handed over cannot be used.
#[derive(Debug, Error)]
pub(super) enum HandoverError {
    /// The text makes no sense.
    #[error("{VARIABLE} cannot be understood: {0:?}")]
    Text(String),
    /// A descriptor that is not open, or something else.
    #[error("descriptor {number} ({name}) that was handed over is no listener")]
    NoListener {
        /// The descriptor.
        number: RawFd,
        /// Its name.
        name: String,
    },
    /// The same.
    #[error("descriptor {0} that was handed over is not open")]
    NotOpen(RawFd),
}

/// What was opened before this process began.
#[derive(Debug)]
pub(super) struct Inherited {
    /// Listeners by the name of their protocol. They do not block.
    pub(super) listeners: Vec<(String, TcpListener)>,
    /// The process that waits to be told that this one serves.
    pub(super) predecessor: Option<UnixStream>,
}

/// Takes over what the process before this one handed over, or else the service manager.
///
/// # Errors
/// What was handed over cannot be used; it is lost then.
pub(super) fn inherited() -> io::Result<Inherited> {
    match take().map_err(|error| io::Error::other(error.to_string()))? {
        Some(inherited) => Ok(inherited),
        None => {
            let listeners = activation::take().map_err(|error| io::Error::other(error.to_string()))?;
            Ok(Inherited { listeners, predecessor: None })
        }
    }
}

/// Tells the operator where the configuration says something else by now.
pub(super) fn warn_of_another_address(protocol: Protocol, wanted: SocketAddr, listener: &TcpListener) {
    if let Ok(address) = listener.local_addr()
        && (wanted.ip() != address.ip() || ![0, address.port()].contains(&wanted.port()))
    {
        warn!("{protocol} stays on {address} until rtmpd is started again; then it is {wanted}");
    }
}

/// Takes over what the process that started this one handed to it; `None` where it did not, and when called again.
///
/// # Errors
/// [`HandoverError`]; the descriptors are lost then.
fn take() -> Result<Option<Inherited>, HandoverError> {
    let Ok(text) = env::var(VARIABLE) else { return Ok(None) };
    let offer = Offer::parse(&text).ok_or(HandoverError::Text(text))?;
    // It stays in the environment of all who come after.
    if offer.pid != parent_id() {
        return Ok(None);
    }
    let Some(descriptors) = sys::take_inherited(&offer.numbers()) else { return Ok(None) };
    let mut descriptors = descriptors.into_iter();
    let ready = descriptors.next().flatten().ok_or(HandoverError::NotOpen(offer.ready))?;
    let named = offer.listeners.into_iter().zip(descriptors);
    let listeners = named.map(|((name, number), descriptor)| into_listener(name, number, descriptor));
    Ok(Some(Inherited { listeners: listeners.collect::<Result<_, _>>()?, predecessor: Some(UnixStream::from(ready)) }))
}

fn into_listener(
    name: String,
    number: RawFd,
    descriptor: Option<OwnedFd>,
) -> Result<(String, TcpListener), HandoverError> {
    match descriptor.and_then(activation::into_listener) {
        Some(listener) => Ok((name, listener)),
        None => Err(HandoverError::NoListener { number, name }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(pid: u32, ready: RawFd, listeners: &[(&str, RawFd)]) -> Offer {
        let listeners = listeners.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect();
        Offer { pid, ready, listeners }
    }

    #[test]
    fn an_offer_is_written_and_read() {
        for (text, value) in [
            ("17 9 rtmp=7 http=8", offer(17, 9, &[("rtmp", 7), ("http", 8)])),
            ("17 3", offer(17, 3, &[])),
            ("4294967295 100 rtmp=5", offer(u32::MAX, 100, &[("rtmp", 5)])),
        ] {
            assert_eq!(value.to_string(), text);
            assert_eq!(Offer::parse(text), Some(value));
        }
    }

    #[test]
    fn an_offer_that_makes_no_sense_is_refused() {
        let many: String = (0..65).map(|number| format!(" x={}", number + 10)).collect();
        for text in
            ["", "17", "17 x", "x 9", "17 9 rtmp", "17 9 rtmp=x", "17 9 rtmp=9", "17 9 a=7 b=7", "17 2", "17 9 a=2"]
        {
            assert_eq!(Offer::parse(text), None, "{text:?}");
        }
        assert_eq!(Offer::parse(&format!("17 9{many}")), None);
    }
}
