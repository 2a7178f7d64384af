//! A disk without files: does what the engine asked for, late or not at all, and looks whether it makes sense.

use std::collections::{BTreeMap, BTreeSet};

use rtmpd::output::disk::{Command, Done, FileId, Outcome, is_safe_name};

use super::world::World;

/// A file of a recording that was closed.
#[derive(Debug)]
pub struct Closed {
    pub name: String,
    pub bytes: Vec<u8>,
}

#[derive(Debug, Default)]
struct Open {
    name: String,
    bytes: Vec<u8>,
    /// Opening it failed: there is no file.
    is_missing: bool,
    /// Writing to it failed: it takes no more.
    is_broken: bool,
}

/// See the module. The world's `disk` has to be `Some`.
#[derive(Debug, Default)]
pub struct Disk {
    open: BTreeMap<FileId, Open>,
    names: BTreeSet<String>,
    pub closed: Vec<Closed>,
    /// Whole files by their names.
    whole: BTreeMap<String, usize>,
    pub failures: usize,
}

impl Disk {
    /// How many commands and bytes wait.
    pub fn waiting(world: &World) -> (usize, usize) {
        let waiting = world.disk.as_deref().unwrap_or_default();
        (waiting.len(), waiting.iter().map(|(_, command)| command.len()).sum())
    }

    /// Does the next `count` commands; those for which `fails` says so fail.
    pub fn work(&mut self, world: &mut World, count: usize, mut fails: impl FnMut() -> bool) {
        for _ in 0..count {
            let Some(waiting) = world.disk.as_mut().filter(|waiting| !waiting.is_empty()) else { return };
            let (_, command) = waiting.remove(0);
            let file = command.file();
            let bytes = command.len() as u64;
            let fault = fails().then(|| "no space left on device".to_owned());
            let (done, result) = self.handle(command, fault);
            self.failures += usize::from(result.is_err());
            let written = if result.is_ok() { bytes } else { 0 };
            world.engine.handle_outcome(world.now, &Outcome { file, done, written, result });
            world.turn();
        }
    }

    /// Does everything, also what follows from it.
    pub fn settle(&mut self, world: &mut World) {
        for _ in 0..10_000 {
            let (count, _) = Disk::waiting(world);
            if count == 0 {
                return;
            }
            self.work(world, count, || false);
        }
        panic!("the disk is never done");
    }

    pub fn assert_nothing_open(&self) {
        let open: Vec<&str> =
            self.open.values().filter(|file| !file.is_missing).map(|file| file.name.as_str()).collect();
        assert!(open.is_empty(), "never closed: {open:?}");
    }

    fn handle(&mut self, command: Command, fault: Option<String>) -> (Done, Result<(), String>) {
        let failed = fault.clone().map_or(Ok(()), Err);
        match command {
            Command::Open { file, names, .. } => {
                let number = (names.from..).find(|number| !self.names.contains(&names.name(*number)));
                let number = number.expect("a free number");
                let name = names.name(number);
                assert!(is_safe_name(&name), "{name}");
                let open = Open { name: name.clone(), is_missing: failed.is_err(), ..Open::default() };
                if let Some(before) = self.open.insert(file, open) {
                    assert!(before.is_missing, "{file:?} is open");
                }
                if failed.is_ok() {
                    self.names.insert(name.clone());
                }
                (Done::Opened { name, number }, failed)
            }
            Command::Append { file, bytes } => {
                assert!(!bytes.is_empty(), "nothing to write");
                let open = self.open.get_mut(&file).expect("a file that was opened");
                open.is_broken |= fault.is_some() || open.is_missing;
                if open.is_broken {
                    return (Done::Appended, Err(fault.unwrap_or_else(|| "it failed before".to_owned())));
                }
                open.bytes.extend_from_slice(&bytes);
                (Done::Appended, Ok(()))
            }
            Command::WriteAt { file, offset, bytes } => {
                let open = self.open.get_mut(&file).filter(|open| !open.is_missing).expect("a file that is there");
                let at = offset as usize;
                assert!(at + bytes.len() <= open.bytes.len(), "writes behind the end");
                if failed.is_ok() {
                    open.bytes[at..at + bytes.len()].copy_from_slice(&bytes);
                }
                (Done::Written, failed)
            }
            Command::Close { file, rename_to } => {
                let open = self.open.remove(&file).expect("a file that is open");
                assert!(!open.is_missing, "closes what was never opened");
                let name = rename_to.unwrap_or(open.name);
                self.closed.push(Closed { name, bytes: open.bytes });
                (Done::Closed, failed)
            }
            Command::WriteWhole { name, pieces, .. } => {
                assert!(is_safe_name(&name), "{name}");
                if failed.is_ok() {
                    self.whole.insert(name, pieces.iter().map(|piece| piece.len()).sum());
                }
                (Done::WroteWhole, failed)
            }
            Command::Remove { name, .. } => {
                assert!(is_safe_name(&name), "{name}");
                self.whole.remove(&name);
                (Done::Removed, failed)
            }
        }
    }
}
