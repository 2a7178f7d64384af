//! HLS and recordings: subscribers of the hub that are no connections.
//!
//! Owns: which output belongs to which stream, and when each wants to be woken. Does not know who asked for it, nor
//! how an answer is written; what is to be told to others is fetched by the engine.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{info, warn};
use slab::Slab;

use super::callbacks::ClientInfo;
use crate::hub::{StreamId, SubscriberId};
use crate::ledger::{Ledger, Purpose};
use crate::media::Frame;
use crate::output::disk::{Command, Done, FileId, Outcome, safe_name};
use crate::output::hls::{Answer, FileChange, FileEffect, Hls};
use crate::output::record::{RecordEvent, Recorder};

/// An output, as the engine knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct OutputId(pub(super) usize);

/// Set in a subscriber's number where it is no connection.
const OUTPUT_BIT: u64 = 1 << 63;

impl OutputId {
    /// The number by which the hub knows it.
    pub(super) fn subscriber(self) -> SubscriberId {
        SubscriberId(OUTPUT_BIT | self.0 as u64)
    }
}

/// The output that the hub knows by this number; `None`: it is a connection.
pub(super) fn from_hub_id(id: SubscriberId) -> Option<OutputId> {
    (id.0 & OUTPUT_BIT != 0).then_some(OutputId((id.0 & !OUTPUT_BIT) as usize))
}

/// What an output is.
#[derive(Debug)]
pub(super) enum Kind {
    Hls(Box<Hls>),
    Record(Box<Recorder>),
}

#[derive(Debug)]
pub(super) struct Output {
    /// Name of the stream in the hub.
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Where it is subscribed.
    stream: Option<StreamId>,
    /// Its place in the list of those who want to be woken.
    wakes_at: Option<Instant>,
    /// Folder and next file number of HLS that is written to files as well.
    folder: Option<Folder>,
    /// It ends as soon as nobody asks for it.
    is_on_demand: bool,
    /// Its stream ended for good: from now on the same holds, whatever it is.
    is_over: bool,
    /// Whose stream is recorded, where somebody wants to know.
    client: Option<Arc<ClientInfo>>,
}

impl Output {
    /// Whether it ends where nobody asks for it.
    const fn may_idle(&self) -> bool {
        self.is_on_demand || self.is_over
    }
}

/// A file of a recording is whole.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) client: Arc<ClientInfo>,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) duration_ms: u64,
}

#[derive(Debug)]
pub(super) struct Folder {
    pub(super) directory: PathBuf,
    next_file: u32,
    /// A failure was told to the log.
    has_failed: bool,
}

impl Folder {
    pub(super) fn new(directory: &str) -> Self {
        Folder { directory: directory.into(), next_file: 0, has_failed: false }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    outputs: Slab<Output>,
    hls: HashMap<String, OutputId>,
    recorders: HashMap<String, OutputId>,
    wakes: BTreeSet<(Instant, OutputId)>,
    /// Those that may have something to fetch, perhaps more than once.
    touched: Vec<OutputId>,
    commands: VecDeque<Command>,
    /// Those that have left the hub.
    left: Vec<(StreamId, SubscriberId)>,
    /// Files that somebody wants to know of.
    recorded: VecDeque<Recorded>,
    /// Counts what the disk is given.
    ledger: Ledger,
}

impl Outputs {
    /// None yet. What they make is counted in `ledger`.
    pub(super) fn new(ledger: Ledger) -> Self {
        Outputs { ledger, ..Outputs::default() }
    }

    /// Takes a new output. It is subscribed by the caller, who says so with [`Outputs::subscribed`].
    pub(super) fn add(&mut self, name: &str, is_on_demand: bool, folder: Option<Folder>, kind: Kind) -> OutputId {
        let by_name = match kind {
            Kind::Hls(_) => &mut self.hls,
            Kind::Record(_) => &mut self.recorders,
        };
        let output = Output {
            name: name.to_owned(),
            kind,
            stream: None,
            wakes_at: None,
            folder,
            is_on_demand,
            is_over: false,
            client: None,
        };
        let id = OutputId(self.outputs.insert(output));
        by_name.insert(name.to_owned(), id);
        self.touched.push(id);
        id
    }

    /// The number that the next output will have.
    pub(super) fn next_id(&self) -> OutputId {
        OutputId(self.outputs.vacant_key())
    }

    pub(super) fn subscribed(&mut self, id: OutputId, stream: StreamId) {
        if let Some(output) = self.outputs.get_mut(id.0) {
            output.stream = Some(stream);
        }
    }

    /// The HLS output of a stream.
    pub(super) fn hls_of(&self, name: &str) -> Option<OutputId> {
        self.hls.get(name).copied()
    }

    /// The recorder of a stream that has not ended.
    pub(super) fn recorder_of(&self, name: &str) -> Option<OutputId> {
        self.recorders.get(name).copied()
    }

    pub(super) fn hls(&mut self, id: OutputId) -> Option<&mut Hls> {
        self.touched.push(id);
        match self.outputs.get_mut(id.0).map(|output| &mut output.kind) {
            Some(Kind::Hls(hls)) => Some(hls),
            _ => None,
        }
    }

    /// Whether there is no HLS of a stream, or none to come.
    pub(super) fn is_hls_over(&self, name: &str) -> bool {
        match self.hls_of(name).and_then(|id| self.outputs.get(id.0)).map(|output| &output.kind) {
            Some(Kind::Hls(hls)) => hls.is_over(),
            _ => true,
        }
    }

    /// After so long without a request a player of a stream over HLS is gone.
    pub(super) fn viewing_window(&self, name: &str) -> Option<Duration> {
        match &self.outputs.get(self.hls_of(name)?.0)?.kind {
            Kind::Hls(hls) => Some(hls.viewing_window()),
            Kind::Record(_) => None,
        }
    }

    /// Whose stream it is that is recorded.
    pub(super) fn set_client(&mut self, id: OutputId, client: Arc<ClientInfo>) {
        if let Some(output) = self.outputs.get_mut(id.0) {
            output.client = Some(client);
        }
    }

    /// A file that is whole and that somebody wants to know of.
    pub(super) fn poll_recorded(&mut self) -> Option<Recorded> {
        self.recorded.pop_front()
    }

    /// Bytes of recordings that wait for the disk.
    pub(super) fn waiting_bytes(&self) -> u64 {
        let waiting = self.outputs.iter().map(|(_, output)| match &output.kind {
            Kind::Record(recorder) => recorder.waiting_bytes(),
            Kind::Hls(_) => 0,
        });
        waiting.sum()
    }

    /// HLS outputs, the one that holds most first.
    pub(super) fn hls_by_size(&self) -> Vec<OutputId> {
        let sizes = self.outputs.iter().filter_map(|(key, output)| match &output.kind {
            Kind::Hls(hls) => Some((hls.held_bytes(), OutputId(key))),
            Kind::Record(_) => None,
        });
        let mut sizes: Vec<(usize, OutputId)> = sizes.filter(|(bytes, _)| *bytes > 0).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        sizes.into_iter().map(|(_, id)| id).collect()
    }

    /// Recordings that go on, with the bytes that wait for the disk.
    pub(super) fn recordings(&self) -> impl Iterator<Item = (u64, OutputId)> {
        self.outputs.iter().filter_map(|(key, output)| match &output.kind {
            Kind::Record(recorder) if !recorder.has_ended() => Some((recorder.waiting_bytes(), OutputId(key))),
            _ => None,
        })
    }

    /// Ends a recording before its stream does.
    pub(super) fn give_up_recording(&mut self, id: OutputId, reason: String) {
        if let Some(Kind::Record(recorder)) = self.outputs.get_mut(id.0).map(|output| &mut output.kind) {
            recorder.give_up(reason);
            self.touched.push(id);
        }
    }

    pub(super) fn frame(&mut self, now: Instant, id: OutputId, frame: &Frame) {
        let Some(output) = self.outputs.get_mut(id.0) else { return };
        match &mut output.kind {
            Kind::Hls(hls) => hls.frame(now, frame),
            Kind::Record(recorder) => recorder.frame(now, frame),
        }
        self.touched.push(id);
    }

    /// What an output begins with, which is the past already.
    pub(super) fn begin_with(&mut self, now: Instant, id: OutputId, past: &[Frame]) {
        match self.hls(id) {
            Some(hls) => hls.history(now, past),
            None => past.iter().for_each(|frame| self.frame(now, id, frame)),
        }
    }

    /// The stream ended for good.
    pub(super) fn ended(&mut self, now: Instant, id: OutputId) {
        let Some(output) = self.outputs.get_mut(id.0) else { return };
        output.is_over = true;
        match &mut output.kind {
            Kind::Hls(hls) => hls.ended(now),
            Kind::Record(_) => return self.stop_recording(now, id),
        }
        self.touched.push(id);
    }

    /// A publisher is there, or there again.
    pub(super) fn publisher_began(&mut self, now: Instant, name: &str) {
        let Some(id) = self.hls_of(name) else { return };
        if let Some(hls) = self.hls(id) {
            hls.publisher_began(now);
        }
        if let Some(output) = self.outputs.get_mut(id.0) {
            output.is_over = false;
        }
    }

    /// The publisher is gone, perhaps to come back.
    pub(super) fn publisher_ended(&mut self, now: Instant, name: &str) {
        if let Some(hls) = self.hls_of(name).and_then(|id| self.hls(id)) {
            hls.publisher_ended(now);
        }
    }

    /// Ends a recording. Its files are finished as the disk answers.
    pub(super) fn stop_recording(&mut self, now: Instant, id: OutputId) {
        let Some(output) = self.outputs.get_mut(id.0) else { return };
        if let Kind::Record(recorder) = &mut output.kind {
            recorder.end(now);
            self.recorders.remove(&output.name);
            self.left.extend(output.stream.take().map(|stream| (stream, id.subscriber())));
            self.touched.push(id);
        }
    }

    /// Ends all recordings: the server ends.
    pub(super) fn stop_all_recordings(&mut self, now: Instant) {
        let ids: Vec<OutputId> = self.recorders.values().copied().collect();
        for id in ids {
            self.stop_recording(now, id);
        }
    }

    /// Whether the disk still has to finish recordings.
    pub(super) fn is_writing(&self) -> bool {
        self.outputs.iter().any(|(_, output)| matches!(output.kind, Kind::Record(_)))
    }

    pub(super) fn handle_outcome(&mut self, outcome: &Outcome) {
        let id = OutputId(outcome.file.owner() as usize);
        let Some(output) = self.outputs.get_mut(id.0) else { return };
        let is_of_hls = matches!(outcome.done, Done::WroteWhole | Done::Removed);
        match &mut output.kind {
            // HLS is forgotten without waiting for the disk: what is left of it may have the number of a recorder now.
            Kind::Record(_) if is_of_hls => return,
            Kind::Record(recorder) => recorder.handle_outcome(outcome),
            Kind::Hls(_) => {
                if let (Err(reason), Some(folder)) = (&outcome.result, &mut output.folder)
                    && !std::mem::replace(&mut folder.has_failed, true)
                {
                    warn!("{}: HLS files: {reason}", output.name);
                }
            }
        }
        self.touched.push(id);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.wakes.first().map(|(at, _)| *at)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.wakes.first().filter(|(at, _)| *at <= now) {
            self.wakes.remove(&(at, id));
            let Some(output) = self.outputs.get_mut(id.0) else { continue };
            output.wakes_at = None;
            let may_idle = output.may_idle();
            match &mut output.kind {
                Kind::Hls(hls) => {
                    hls.handle_timeout(now);
                    if may_idle && hls.idle_at().is_some_and(|at| at <= now) {
                        self.remove(id);
                        continue;
                    }
                }
                Kind::Record(recorder) => recorder.handle_timeout(now),
            }
            self.touched.push(id);
        }
    }

    /// Fetches what outputs have for others: answers to requests that waited come out, commands for the disk are kept
    /// for [`Outputs::poll_command`].
    pub(super) fn drain(&mut self, answers: &mut Vec<(OutputId, u64, Answer)>) {
        while let Some(id) = self.touched.pop() {
            let Some(output) = self.outputs.get_mut(id.0) else { continue };
            let mut is_finished = false;
            match &mut output.kind {
                Kind::Hls(hls) => {
                    while let Some((ticket, answer)) = hls.poll_ready() {
                        answers.push((id, ticket, answer));
                    }
                    while let Some(effect) = hls.poll_file() {
                        if let Some(folder) = &mut output.folder {
                            self.commands.push_back(file_command(id, &output.name, folder, effect));
                        }
                    }
                }
                Kind::Record(recorder) => {
                    while let Some(mut command) = recorder.poll_command() {
                        if let Command::Append { bytes, .. } = &mut command {
                            *bytes = self.ledger.hold(Purpose::Disk, std::mem::take(bytes));
                        }
                        self.commands.push_back(command);
                    }
                    while let Some(event) = recorder.poll_event() {
                        tell(&output.name, &event);
                        if let (RecordEvent::FileDone { name, bytes, duration_ms }, Some(client)) =
                            (event, &output.client)
                        {
                            let (client, path) = (Arc::clone(client), recorder.directory().join(name));
                            self.recorded.push_back(Recorded { client, path, bytes, duration_ms });
                        }
                    }
                    if recorder.has_ended() {
                        if self.recorders.get(&output.name) == Some(&id) {
                            self.recorders.remove(&output.name);
                        }
                        self.left.extend(output.stream.take().map(|stream| (stream, id.subscriber())));
                    }
                    is_finished = recorder.is_finished();
                }
            }
            if is_finished {
                self.remove(id);
            } else {
                self.schedule(id);
            }
        }
    }

    pub(super) fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// A subscriber that is to leave the hub.
    pub(super) fn poll_left(&mut self) -> Option<(StreamId, SubscriberId)> {
        self.left.pop()
    }

    fn schedule(&mut self, id: OutputId) {
        let Some(output) = self.outputs.get_mut(id.0) else { return };
        let wanted = match &output.kind {
            Kind::Hls(hls) => {
                let idle = hls.idle_at().filter(|_| output.may_idle());
                [hls.poll_timeout(), idle].into_iter().flatten().min()
            }
            Kind::Record(recorder) => recorder.poll_timeout(),
        };
        if wanted != output.wakes_at {
            if let Some(at) = output.wakes_at {
                self.wakes.remove(&(at, id));
            }
            output.wakes_at = wanted;
            self.wakes.extend(wanted.map(|at| (at, id)));
        }
    }

    fn remove(&mut self, id: OutputId) {
        let Some(output) = self.outputs.try_remove(id.0) else { return };
        let by_name = match output.kind {
            Kind::Hls(_) => &mut self.hls,
            Kind::Record(_) => &mut self.recorders,
        };
        if by_name.get(&output.name) == Some(&id) {
            by_name.remove(&output.name);
        }
        if let Some(at) = output.wakes_at {
            self.wakes.remove(&(at, id));
        }
        self.left.extend(output.stream.map(|stream| (stream, id.subscriber())));
    }
}

/// Longest part of a stream's folder, in bytes; file names stand behind it.
const FOLDER_PART_BYTES: usize = 200;

fn file_command(id: OutputId, name: &str, folder: &mut Folder, effect: FileEffect) -> Command {
    let file = FileId::new(id.0 as u32, folder.next_file);
    folder.next_file = folder.next_file.wrapping_add(1);
    let name = format!("{}/{}", safe_name(name, FOLDER_PART_BYTES), effect.name);
    let directory = folder.directory.clone();
    match effect.change {
        FileChange::Write(pieces) | FileChange::Replace(pieces) => {
            Command::WriteWhole { file, directory, name, pieces }
        }
        FileChange::Remove => Command::Remove { file, directory, name },
    }
}

fn tell(stream: &str, event: &RecordEvent) {
    match event {
        RecordEvent::FileOpened { name } => info!("{stream}: records to {name}"),
        RecordEvent::FileDone { name, bytes, duration_ms } => {
            let seconds = *duration_ms as f64 / 1000.0;
            info!("{stream}: recorded {name} ({seconds:.1} s, {bytes} bytes)");
        }
        RecordEvent::NothingToWrite { format } => {
            warn!("{stream}: nothing in it can be recorded as {format}");
        }
        RecordEvent::Failed { reason } => warn!("{stream}: recording ended: {reason}"),
    }
}
