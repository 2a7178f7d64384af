//! The one thread that touches files while the server runs.
//!
//! Owns: doing [`Command`]s in their order, and saying what became of them. Does not know what is in a file. The loop
//! never waits for it: what it has not done yet waits in a queue, whose length those limit who fill it.

mod files;
mod repair;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use log::{debug, info, warn};
use mio::Waker;

use self::files::Files;
pub use self::repair::{Found, Repaired, find_unfinished, repair_directory, repair_file};
use crate::output::disk::{Command, Outcome};

/// The loop's side of the disk thread.
#[derive(Debug)]
pub struct Disk {
    commands: Option<Sender<Command>>,
    outcomes: Arc<Outcomes>,
    /// Ends when the thread does.
    ended: Receiver<()>,
}

/// What the loop has not taken yet.
#[derive(Debug)]
struct Outcomes {
    waiting: Mutex<VecDeque<Outcome>>,
    waker: Arc<Waker>,
}

impl Outcomes {
    fn push(&self, outcome: Outcome) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let was_empty = waiting.is_empty();
        waiting.push_back(outcome);
        drop(waiting);
        // Where there were others the loop was woken already and has not come to them.
        if was_empty && let Err(error) = self.waker.wake() {
            warn!("the loop cannot be woken: {error}");
        }
    }
}

impl Disk {
    /// Starts the thread. `waker` is woken when there are outcomes.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(waker: Arc<Waker>) -> io::Result<Disk> {
        let (commands, to_do) = channel();
        let (alive, ended) = channel();
        let outcomes = Arc::new(Outcomes { waiting: Mutex::default(), waker });
        let theirs = Arc::clone(&outcomes);
        thread::Builder::new().name("rtmpd-disk".to_owned()).spawn(move || {
            work(&to_do, &theirs);
            drop(alive);
        })?;
        Ok(Disk { commands: Some(commands), outcomes, ended })
    }

    /// Has a command done. Never waits.
    pub fn submit(&self, command: Command) {
        if let Some(commands) = &self.commands
            && let Err(unsent) = commands.send(command)
        {
            warn!("the disk thread is gone: nothing is done about {:?}", unsent.0.file());
        }
    }

    /// What became of a command. Drain it whenever the waker woke the loop.
    pub fn poll_outcome(&self) -> Option<Outcome> {
        self.outcomes.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Lets the thread do what it was asked for, for as long as `limit`. `false`: it is not through; the program may
    /// end all the same.
    pub fn shut_down(&mut self, limit: Duration) -> bool {
        self.commands = None;
        matches!(self.ended.recv_timeout(limit), Err(RecvTimeoutError::Disconnected))
    }
}

fn work(commands: &Receiver<Command>, outcomes: &Outcomes) {
    let mut files = Files::default();
    for command in commands {
        let outcome = files.handle(command);
        if let Err(reason) = &outcome.result {
            debug!("disk: {reason}");
        }
        outcomes.push(outcome);
    }
}

/// Repairs, in a thread of its own, what an earlier run left unfinished below `directory`. Looks for such files before
/// it returns, so that none of this run is among them. The log is told what was done.
pub fn repair_in_background(directory: &std::path::Path) {
    let found = find_unfinished(directory);
    for problem in &found.problems {
        warn!("recordings of earlier runs: {problem}");
    }
    if found.files.is_empty() {
        return;
    }
    let repair = move || {
        for path in found.files {
            match repair_file(&path) {
                Ok(Some(repaired)) => info!("{repaired}"),
                Ok(None) => {}
                Err(error) => warn!("cannot repair {}: {error}", path.display()),
            }
        }
    };
    if let Err(error) = thread::Builder::new().name("rtmpd-repair".to_owned()).spawn(repair) {
        warn!("recordings of earlier runs stay as they are: {error}");
    }
}
