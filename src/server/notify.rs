//! Words to the service manager (`sd_notify(3)`).
//!
//! Owns: finding it and writing to it. Does not know when there is something to say.

use std::env;
use std::io;
use std::os::unix::net::UnixDatagram;

use log::debug;

/// Tells the service manager, where there is one that listens. Nothing depends on it.
pub(super) fn tell(text: &str) {
    let Ok(address) = env::var("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&address, text.as_bytes()) {
        debug!("the service manager cannot be told {text:?}: {error}");
    }
}

fn send(address: &str, bytes: &[u8]) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    #[cfg(target_os = "linux")]
    if let Some(name) = address.strip_prefix('@') {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::SocketAddr;

        return socket.send_to_addr(bytes, &SocketAddr::from_abstract_name(name)?).map(drop);
    }
    socket.send_to(bytes, address).map(drop)
}
