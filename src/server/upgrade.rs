//! Replacing this program by a newer one without closing a door (SIGUSR2).
//!
//! Owns: how the new process is started, when it counts as serving, and what happens where it never does. Does not
//! know what is handed over in detail (`handover`), nor who may stay for how long.
//!
//! Both processes accept from the same sockets for a moment: who waits to be accepted belongs to the socket and not to
//! a process, so nobody is refused when the old one closes its descriptors.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command};
use std::time::{Duration, Instant};

use log::{debug, error, info, warn};
use mio::Interest;
use mio::net::UnixStream;
use signal_hook::consts::SIGUSR2;

use super::handover::{Offer, VARIABLE};
use super::{SUCCESSOR, Server, notify, sys};

/// A new process that does not serve after this time never will.
const START_LIMIT: Duration = Duration::from_secs(30);

/// What the old process is told.
const READY: [u8; 1] = *b"R";

/// How this process was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// To be asked at the start: the working directory may change later, and the file may be replaced.
    ///
    /// # Errors
    /// The system does not say where the program is.
    pub fn of_this_process() -> io::Result<Program> {
        let mut arguments = env::args_os();
        let typed = arguments.next();
        // As it was typed, so that a symbolic link may point to another version by then.
        let path = match typed.and_then(|typed| find(&typed)) {
            Some(path) => path,
            None => env::current_exe()?,
        };
        Ok(Program { path, arguments: arguments.collect() })
    }
}

/// Where the program is that was started by this name; `None` where there is no such file.
fn find(typed: &OsStr) -> Option<PathBuf> {
    let here = env::current_dir().ok()?;
    let path = if Path::new(typed).components().count() > 1 {
        here.join(typed)
    } else {
        let folders = env::var_os("PATH")?;
        env::split_paths(&folders).map(|folder| here.join(folder).join(typed)).find(|path| path.is_file())?
    };
    path.is_file().then_some(path)
}

/// Both ends of an upgrade.
pub(super) struct Upgrade {
    /// `None`: nobody said how this one was started.
    program: Option<Program>,
    successor: Option<Successor>,
    /// The process that waits to hear that this one serves.
    predecessor: Option<StdUnixStream>,
}

/// A process that was started, and did not say yet that it serves.
struct Successor {
    child: Child,
    ready: UnixStream,
    until: Instant,
}

impl Upgrade {
    pub(super) fn after(predecessor: Option<StdUnixStream>) -> Self {
        Upgrade { program: None, successor: None, predecessor }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.successor.as_ref().map(|successor| successor.until)
    }
}

impl Server {
    /// From now on SIGUSR2 starts `program` and hands the listeners over to it. Without this it ends the process, as
    /// it does others.
    ///
    /// # Errors
    /// The signal cannot be waited for.
    pub fn set_program(&mut self, program: Program) -> io::Result<()> {
        self.signals.add_signal(SIGUSR2)?;
        self.upgrade.program = Some(program);
        Ok(())
    }

    /// Says, to whoever wants to know, that connections are accepted.
    pub(super) fn announce(&mut self) {
        match self.upgrade.predecessor.take() {
            Some(mut predecessor) => {
                if let Err(error) = predecessor.write_all(&READY) {
                    warn!("the process that handed its listeners over is gone: {error}");
                }
            }
            // The one before told the service manager who comes after it.
            None => notify::tell("READY=1"),
        }
    }

    /// Starts the process that is to come after this one.
    pub(super) fn upgrade(&mut self, now: Instant) {
        let Some(program) = self.upgrade.program.clone() else { return };
        if self.engine.is_draining() || self.shutdown_until.is_some() {
            return warn!("no upgrade: this process takes nobody new already");
        }
        if self.upgrade.successor.is_some() {
            return warn!("no second upgrade: the first is under way");
        }
        match self.start(now, &program) {
            Ok(successor) => {
                info!("{} was started as process {}", program.path.display(), successor.child.id());
                self.upgrade.successor = Some(successor);
            }
            Err(error) => error!("no upgrade: {} cannot be started: {error}", program.path.display()),
        }
    }

    fn start(&self, now: Instant, program: &Program) -> io::Result<Successor> {
        let (ours, theirs) = StdUnixStream::pair()?;
        // These are inherited; nothing else is started before they are closed again.
        let ready = sys::inheritable_copy(theirs.as_fd())?;
        let mut copies: Vec<(String, OwnedFd)> = Vec::new();
        for listener in &self.listeners {
            if let Some(socket) = listener.socket() {
                copies.push((listener.protocol().to_string(), sys::inheritable_copy(socket)?));
            }
        }
        let listeners = copies.iter().map(|(name, copy)| (name.clone(), copy.as_raw_fd())).collect();
        let offer = Offer { pid: process::id(), ready: ready.as_raw_fd(), listeners };
        ours.set_nonblocking(true)?;
        let mut ours = UnixStream::from_std(ours);
        self.poll.registry().register(&mut ours, SUCCESSOR, Interest::READABLE)?;
        let mut command = Command::new(&program.path);
        command.args(&program.arguments).env(VARIABLE, offer.to_string());
        for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
            command.env_remove(name);
        }
        let child = command.spawn()?;
        Ok(Successor { child, ready: ours, until: now + START_LIMIT })
    }

    /// Hears what the new process has to say.
    pub(super) fn handle_successor(&mut self, now: Instant) {
        let Some(successor) = &mut self.upgrade.successor else { return };
        match successor.ready.read(&mut [0]) {
            Ok(0) => self.give_up_successor("it ended before it served"),
            Ok(_) => self.make_way(now),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                if successor.until <= now {
                    self.give_up_successor("it does not serve after 30 s");
                }
            }
            Err(error) => self.give_up_successor(&error.to_string()),
        }
    }

    /// The new process serves: this one only goes on with those whom it has.
    fn make_way(&mut self, now: Instant) {
        let Some(successor) = self.upgrade.successor.take() else { return };
        let pid = successor.child.id();
        info!("process {pid} serves from now on");
        notify::tell(&format!("MAINPID={pid}"));
        self.stop_listening(None);
        self.engine.hand_over(now);
    }

    /// Goes on as if nobody had asked for an upgrade.
    pub(super) fn give_up_successor(&mut self, why: &str) {
        let Some(mut successor) = self.upgrade.successor.take() else { return };
        // One that has ended by itself keeps the status that it ended with.
        if let Err(error) = successor.child.kill() {
            debug!("the new process cannot be killed: {error}");
        }
        let status = successor.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        error!("no upgrade: {why} ({status}); this process goes on");
    }
}
