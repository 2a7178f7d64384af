//! Sockets that the service manager opened before it started us (`sd_listen_fds(3)`).
//!
//! Owns: what `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES` mean, and taking over the descriptors that they tell of.
//! Does not know what is served on which.

use std::env;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process;

use socket2::{Socket, Type};
use thiserror::Error;

use super::sys;

/// First descriptor that is handed over; those below are standard input, output and error.
const FIRST_DESCRIPTOR: i32 = 3;
/// More than any unit file has listeners.
const MOST_DESCRIPTORS: u32 = 64;
/// Name of a socket that the manager did not name.
const UNNAMED: &str = "unknown";

/// Why what was handed over cannot be used.
#[derive(Debug, Error)]
pub enum ActivationError {
    /// `LISTEN_FDS` is no number, or too large a one.
    #[error("LISTEN_FDS must be a number from 0 to {MOST_DESCRIPTORS}, is {0:?}")]
    Count(String),
    /// There are other names than descriptors.
    #[error("LISTEN_FDNAMES must have {expected} names, is {names:?}")]
    Names {
        /// What stands there.
        names: String,
        /// As many as there are descriptors.
        expected: usize,
    },
    /// A descriptor that is not open, or not a TCP socket that listens.
    #[error("descriptor {number} ({name}) is no TCP socket that listens; the socket unit wants ListenStream=")]
    NoListener {
        /// The descriptor.
        number: i32,
        /// Its name.
        name: String,
    },
}

/// Takes over the listeners that were handed to this process, with their names (`FileDescriptorName=` of the socket
/// unit; that unit's name where it has none; `unknown` where the manager gives no names). They do not block, and no
/// program that this one starts inherits them. Empty where none were handed over, and when called again.
///
/// # Errors
/// [`ActivationError`]; the descriptors are lost then.
pub fn take() -> Result<Vec<(String, TcpListener)>, ActivationError> {
    let variable = |name| env::var(name).ok();
    let offer = Offer {
        is_ours: variable("LISTEN_PID").is_some_and(|pid| pid == process::id().to_string()),
        count: variable("LISTEN_FDS"),
        names: variable("LISTEN_FDNAMES"),
    };
    let names = offer.names()?;
    let Ok(count) = i32::try_from(names.len()) else { return Ok(Vec::new()) };
    let numbers: Vec<i32> = (FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + count).collect();
    let Some(descriptors) = sys::take_inherited(&numbers) else { return Ok(Vec::new()) };
    let listeners = names.into_iter().zip(descriptors).zip(FIRST_DESCRIPTOR..);
    let listeners = listeners.map(|((name, descriptor), number)| match descriptor.and_then(into_listener) {
        Some(listener) => Ok((name, listener)),
        None => Err(ActivationError::NoListener { number, name }),
    });
    listeners.collect()
}

/// What the environment says.
struct Offer {
    is_ours: bool,
    count: Option<String>,
    names: Option<String>,
}

impl Offer {
    /// A name for each descriptor.
    fn names(self) -> Result<Vec<String>, ActivationError> {
        let Some(count) = self.count.filter(|_| self.is_ours) else { return Ok(Vec::new()) };
        let parsed = count.parse::<u32>().ok().filter(|count| *count <= MOST_DESCRIPTORS);
        let Some(expected) = parsed.and_then(|count| usize::try_from(count).ok()) else {
            return Err(ActivationError::Count(count));
        };
        match self.names {
            Some(names) if expected > 0 => {
                let list: Vec<String> = names.split(':').map(str::to_owned).collect();
                if list.len() == expected { Ok(list) } else { Err(ActivationError::Names { names, expected }) }
            }
            _ => Ok(vec![UNNAMED.to_owned(); expected]),
        }
    }
}

/// `None`: it is something else. One that is bound and does not listen cannot be told everywhere; its first `accept`
/// does.
pub(super) fn into_listener(descriptor: OwnedFd) -> Option<TcpListener> {
    let socket = Socket::from(descriptor);
    let is_stream = socket.r#type().ok()? == Type::STREAM;
    let is_ip = socket.local_addr().ok()?.as_socket().is_some();
    let is_connected = socket.peer_addr().is_ok();
    socket.set_nonblocking(true).ok()?;
    (is_stream && is_ip && !is_connected).then(|| TcpListener::from(socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(is_ours: bool, count: Option<&str>, names: Option<&str>) -> Result<Vec<String>, String> {
        let offer = Offer { is_ours, count: count.map(str::to_owned), names: names.map(str::to_owned) };
        offer.names().map_err(|error| error.to_string())
    }

    #[test]
    fn the_environment_tells_how_many_and_their_names() {
        type Case = (bool, Option<&'static str>, Option<&'static str>, &'static [&'static str]);
        let cases: [Case; 7] = [
            (true, None, None, &[]),
            (true, Some("0"), Some(""), &[]),
            (true, Some("2"), None, &["unknown", "unknown"]),
            (true, Some("1"), Some("rtmp"), &["rtmp"]),
            (true, Some("2"), Some("rtmp:http"), &["rtmp", "http"]),
            (true, Some("2"), Some(":"), &["", ""]),
            // It was meant for the process that started us.
            (false, Some("2"), Some("rtmp:http"), &[]),
        ];
        for (is_ours, count, typed, expected) in cases {
            let expected: Vec<String> = expected.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(names(is_ours, count, typed), Ok(expected), "{count:?} {typed:?}");
        }
    }

    #[test]
    fn an_offer_that_makes_no_sense_is_refused() {
        for count in ["", "x", "-1", "65", "4294967296"] {
            let told = names(true, Some(count), None).unwrap_err();
            assert_eq!(told, format!("LISTEN_FDS must be a number from 0 to 64, is {count:?}"));
        }
        let told = names(true, Some("2"), Some("rtmp")).unwrap_err();
        assert_eq!(told, "LISTEN_FDNAMES must have 2 names, is \"rtmp\"");
    }

    #[test]
    fn only_tcp_sockets_that_listen_are_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let taken = into_listener(listener.into()).unwrap();
        assert_eq!(taken.local_addr().unwrap(), address);
        assert_eq!(taken.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);

        let peer = std::net::TcpStream::connect(address).unwrap();
        assert!(into_listener(peer.into()).is_none(), "one that is connected");
        assert!(into_listener(std::net::UdpSocket::bind("127.0.0.1:0").unwrap().into()).is_none(), "a UDP socket");
        assert!(into_listener(std::fs::File::open("/dev/null").unwrap().into()).is_none(), "a file");
    }
}
