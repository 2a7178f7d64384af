//! Every call that differs between platforms, and all `unsafe` of this crate.
//!
//! Owns: socket options that `mio` does not have, inherited descriptors, locks on files, and limits of the process.
//! Does not know what they are for.
#![allow(unsafe_code, reason = "socket options, locks and limits that no safe wrapper in use offers")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// Unsent bytes that the kernel holds for one socket before it says "not writable". Above it bytes wait in our queue,
/// where they can be dropped; below it a key frame takes many calls.
const NOTSENT_LOWAT_BYTES: libc::c_int = 256 * 1024;
/// Peers that may wait to be accepted. The standard library's 128 is less than may join at the same moment; one that
/// finds no place asks again after a second. The kernel cuts it to what the system allows.
const BACKLOG: libc::c_int = 4_096;
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Those below are standard input, output and error.
const FIRST_INHERITABLE: libc::c_int = 3;

/// Options for a listener; Linux gives them to each accepted socket, so that accepting one takes no further call. The
/// socket listens already: doing so again only changes how many may wait.
///
/// # Errors
/// The first option that the kernel refuses.
pub(super) fn prepare_listener(socket: BorrowedFd<'_>) -> io::Result<()> {
    SockRef::from(&socket).listen(BACKLOG)?;
    set_stream_options(socket)
}

/// Options for an accepted socket, where the listener's are not inherited.
///
/// # Errors
/// The first option that the kernel refuses.
pub(super) fn prepare_accepted(socket: BorrowedFd<'_>) -> io::Result<()> {
    if cfg!(target_os = "linux") { Ok(()) } else { set_stream_options(socket) }
}

fn set_stream_options(socket: BorrowedFd<'_>) -> io::Result<()> {
    let reference = SockRef::from(&socket);
    reference.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    reference.set_tcp_keepalive(&keepalive)?;
    set_option(socket, libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES)
}

/// Acknowledges what arrived at once: a client that uses Nagle's algorithm waits for it before it sends its next
/// command. The kernel forgets this soon, so it is called after each read of the first exchange.
pub(super) fn acknowledge_now(socket: BorrowedFd<'_>) {
    #[cfg(target_os = "linux")]
    // Only speed is lost where this fails.
    let _ = set_option(socket, libc::IPPROTO_TCP, libc::TCP_QUICKACK, 1);
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
}

fn set_option(socket: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is borrowed and open, `value` lives over the call and `len` is its size.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), len) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has a write that the limit on file sizes forbids fail, instead of ending the process.
pub(super) fn survive_file_size_limit() {
    // SAFETY: no handler of ours is installed; the signal is only ignored.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Raises the number of descriptors this process may have to what the system allows. Says how many that is.
///
/// # Errors
/// What the system answered.
pub(super) fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the answer.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let wanted = libc::rlimit { rlim_cur: highest_descriptor_limit(limit.rlim_max), rlim_max: limit.rlim_max };
    // SAFETY: `wanted` is a valid limit that is only read.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const wanted) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(wanted.rlim_cur)
}

#[cfg(target_os = "macos")]
fn highest_descriptor_limit(hard: libc::rlim_t) -> libc::rlim_t {
    // macOS says "unlimited" and then refuses more than this.
    hard.min(libc::OPEN_MAX as libc::rlim_t)
}

#[cfg(not(target_os = "macos"))]
fn highest_descriptor_limit(hard: libc::rlim_t) -> libc::rlim_t {
    hard
}

/// Whether accepting failed because of the one peer that was next: it gave up while it waited, its network is gone.
/// Anything else (no descriptors, no memory) will fail for the next one as well.
pub(super) fn is_peers_fault(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EINTR
                | libc::ECONNABORTED
                | libc::ECONNRESET
                | libc::EPROTO
                | libc::EPERM
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP
        )
    )
}

/// Marks an open file as being written, for as long as it is open. `false`: somebody else does so already.
pub(super) fn lock_file(file: BorrowedFd<'_>) -> bool {
    // SAFETY: the descriptor is borrowed and open; the call reads no memory of ours.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) == 0 }
}

/// Bytes of memory that the program takes now; `None` where the system does not say so in a file.
pub(super) fn resident_memory() -> Option<u64> {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").ok()?.split_whitespace().nth(1)?.parse().ok()?;
    // SAFETY: the call takes a number and reads no memory of ours.
    let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    Some(pages * u64::try_from(page_bytes).ok()?)
}

/// Gives memory back to the system that the allocator keeps in case it is needed again. Takes some milliseconds where
/// that is much.
pub(super) fn trim_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the call takes a number; it touches only memory that nobody uses.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Another descriptor of the same, which programs inherit that are started while it is open.
///
/// # Errors
/// There are no descriptors left.
pub(super) fn inheritable_copy(descriptor: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is borrowed and open; no memory is involved.
    let copy = unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_DUPFD, FIRST_INHERITABLE) };
    if copy == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just opened it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Takes over descriptors that the one who started this process left open for it, each named once; `None` in place of
/// one that is not open. They are closed in programs that this one starts. Only the first call gets any.
pub(super) fn take_inherited(numbers: &[RawFd]) -> Option<Vec<Option<OwnedFd>>> {
    static IS_TAKEN: AtomicBool = AtomicBool::new(false);
    let is_first = !IS_TAKEN.swap(true, Ordering::Relaxed);
    is_first.then(|| numbers.iter().copied().map(own_inherited).collect())
}

fn own_inherited(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: no memory is involved; a number that is no open descriptor is an error.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return None;
    }
    // SAFETY: it is open, and it is ours alone: the environment says that it was opened for this process, nothing here
    // opened it, and `take_inherited` gives each number away once.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}
