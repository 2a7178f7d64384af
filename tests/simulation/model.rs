//! The simulation itself: what happens next, and what must be so after it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rtmpd::config::{AppConfig, EngineConfig, Takeover};

use crate::actors::{Asked, Player, Playing, Publisher, Sender, Sent, Stage, piece};
use crate::checker::Checker;
use crate::hls::Watcher;
use crate::programs::Answered;
use crate::rng::Rng;
use crate::scenario::config;
use crate::strangers::Stranger;
use crate::support::client::{Client, Heard};
use crate::support::disk::Disk;
use crate::support::media::Body;
use crate::support::world::{LinkId, World};
use crate::truth::{Mark, Truth};
use crate::viewers::Viewer;

pub const STREAMS: usize = 3;
/// Those on which players play; the usual one more often.
pub const MESSAGE_STREAMS: [u32; 5] = [1, 1, 2, 3, 70_000];
/// What one input may add before memory is looked at again.
const MEMORY_SLACK_BYTES: usize = 200_000;
pub const GRACE_MS: u64 = 10_000;
pub const SILENCE_MS: u64 = 2_000;
const HOUR_MS: u32 = 3_600_000;
const DAY_MS: u32 = 24 * HOUR_MS;

/// A stream as the model sees it.
#[derive(Debug)]
pub struct Published {
    /// Index of the publisher that has it.
    pub by: Option<usize>,
    heard_at: Instant,
    identity: u8,
    /// The newest session; none before the first.
    pub session: Option<u32>,
}

/// What a seed did.
#[derive(Debug)]
pub struct Report {
    pub seed: u64,
    pub steps: usize,
    pub sessions: usize,
    pub connections: usize,
    pub frames_seen: usize,
    /// Frames in segments of HLS, and in files of recordings.
    pub segment_frames: usize,
    pub recorded_frames: usize,
    pub disk_failures: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { seed, steps, sessions, connections, frames_seen, segment_frames, recorded_frames, disk_failures } =
            self;
        write!(f, "seed {seed}: {steps} steps, {sessions} sessions, {connections} connections, {frames_seen} frames ")?;
        write!(f, "seen, {segment_frames} in segments, {recorded_frames} recorded, {disk_failures} disk failures")
    }
}

pub struct Model {
    pub seed: u64,
    pub rng: Rng,
    pub world: World,
    pub config: EngineConfig,
    pub truth: Truth,
    pub streams: Vec<Published>,
    pub publishers: Vec<Publisher>,
    pub players: Vec<Player>,
    pub viewers: Vec<Viewer>,
    pub watchers: Vec<Watcher>,
    pub strangers: Vec<Stranger>,
    pub disk: Disk,
    pub has_bad_disk: bool,
    /// Turns for which the disk does nothing.
    pub disk_sleeps: usize,
    pub has_hls_files: bool,
    pub record_queue_bytes: usize,
    /// The most that may wait for one peer, over all configurations so far.
    queue_bytes: usize,
    pub counters: BTreeMap<String, f64>,
    /// Questions that get no answer.
    pub unanswered: BTreeSet<Bytes>,
    /// There is so little memory that players skip, and newcomers may be refused.
    pub is_short_of_memory: bool,
    pub is_draining: bool,
    /// What each had lost before the last frames came.
    pub dropped_before: BTreeMap<LinkId, u64>,
    pub frames_seen: usize,
    pub segment_frames: usize,
    pub recorded_frames: usize,
    pub steps_done: usize,
    has_slept: bool,
}

impl Model {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let config = config(&mut rng);
        let is_short_of_memory = config.memory_limit < 1 << 24;
        let mut world = World::new(config.clone());
        world.disk = Some(Vec::new());
        world.write_limit = rng.pick(&[1, 1_000, 1_000, usize::MAX, usize::MAX, usize::MAX]);
        let now = world.now;
        world.engine.set_wall_clock(now, 1_709_208_000_000);
        let stream = || Published { by: None, heard_at: now, identity: 0, session: None };
        Model {
            seed,
            has_bad_disk: rng.one_in(3),
            rng,
            world,
            truth: Truth::default(),
            streams: (0..STREAMS).map(|_| stream()).collect(),
            publishers: Vec::new(),
            players: Vec::new(),
            viewers: Vec::new(),
            watchers: Vec::new(),
            strangers: Vec::new(),
            disk: Disk::default(),
            disk_sleeps: 0,
            has_hls_files: !config.app.hls.directory.is_empty(),
            record_queue_bytes: config.app.record.queue_bytes as usize,
            queue_bytes: config.app.queue.bytes.max(60_000),
            config,
            counters: BTreeMap::new(),
            unanswered: BTreeSet::new(),
            is_short_of_memory,
            is_draining: false,
            dropped_before: BTreeMap::new(),
            frames_seen: 0,
            segment_frames: 0,
            recorded_frames: 0,
            steps_done: 0,
            has_slept: false,
        }
    }

    /// Most seeds are short, so that there can be many; some have time for what takes long.
    pub fn steps(&mut self) -> usize {
        if self.rng.one_in(10) { 400 + self.rng.below(1_600) } else { 100 + self.rng.below(300) }
    }

    pub fn step(&mut self) {
        self.steps_done += 1;
        match self.rng.below(100) {
            0..3 => self.add_publisher(),
            3..6 => self.add_player(),
            6..8 => self.disturb_publisher(),
            8..13 => self.disturb_player(),
            13..45 => self.let_time_pass(),
            45..75 => self.produce(),
            75..88 => self.read_some(),
            88..90 => self.add_viewer(),
            90 => self.disturb_viewer(),
            91 => self.program_works(),
            92 => self.add_watcher(),
            93 => self.add_stranger(),
            94 => self.operate(),
            _ => self.disk_works(),
        }
        self.send_some();
        self.check();
    }

    fn let_time_pass(&mut self) {
        let millis = match self.rng.below(400) {
            0..380 => self.rng.below(60) as u64,
            380..396 => self.rng.below(4_000) as u64,
            396..399 => self.rng.below(13_000) as u64,
            // Once only: players tell forward from back by half of what 32 bits can count.
            _ if self.rng.one_in(3) && !std::mem::replace(&mut self.has_slept, true) => u64::from(20 * DAY_MS),
            _ => u64::from(self.rng.pick(&[40_000, 5 * HOUR_MS])),
        };
        self.world.wait(millis);
    }

    // ---- publishers

    fn add_publisher(&mut self) {
        let alive = self.publishers.iter().filter(|publisher| publisher.stage != Stage::Gone).count();
        if alive >= 5 {
            return;
        }
        let rng = &mut self.rng;
        let tracks = rng.pick(&[(true, true), (true, true), (true, false), (false, true)]);
        let Ok(link) = self.world.try_accept() else { return };
        let client = Client::new(link);
        let rng = &mut self.rng;
        let mut publisher = Publisher {
            sender: Sender::new(client),
            stage: Stage::Asking,
            stream: rng.below(STREAMS),
            identity: rng.pick(&[1, 1, 1, 2]),
            message_stream: rng.pick(&[1, 1, 2, 9]),
            session: 0,
            has_video: tracks.0,
            has_audio: tracks.1,
            has_steady_clock: rng.one_in(2),
            clock: rng.pick(&[0, 0, 90_000_000, 0x7FFF_F000, u32::MAX - 3_000]),
            until_key: 0,
            filler: rng.pick(&[0, 30, 300, 2_000]),
            is_dead: false,
        };
        publisher.sender.client.put_connect("live");
        ask_to_publish(&mut publisher);
        self.publishers.push(publisher);
    }

    fn disturb_publisher(&mut self) {
        let index = self.rng.below(self.publishers.len());
        let Some(publisher) = self.publishers.get_mut(index) else { return };
        let is_live = publisher.stage == Stage::Live;
        match self.rng.below(6) {
            0 => {
                self.world.hang_up(publisher.sender.client.link);
                self.forget_closed_publishers();
            }
            1 if is_live => publisher.is_dead ^= true,
            2 | 3 if is_live => {
                publisher.sender.client.put_delete_stream(publisher.message_stream);
                publisher.sender.mark(Sent::End);
                publisher.stage = Stage::Ending;
            }
            4 if publisher.stage == Stage::Idle => {
                publisher.stage = Stage::Asking;
                ask_to_publish(publisher);
            }
            5 if is_live && !publisher.has_steady_clock => {
                let jump = self.rng.pick(&[5 * HOUR_MS, 25 * DAY_MS, 49 * DAY_MS + 17 * HOUR_MS, 900, 20_000]);
                publisher.clock = match self.rng.below(2) {
                    0 => publisher.clock.wrapping_add(jump),
                    _ => publisher.clock.wrapping_sub(jump),
                };
            }
            _ => {}
        }
    }

    fn produce(&mut self) {
        let index = self.rng.below(self.publishers.len());
        for _ in 0..1 + self.rng.below(4) {
            let Some(publisher) = self.publishers.get_mut(index) else { return };
            if publisher.stage != Stage::Live {
                return;
            }
            let step = self.rng.pick(&[10, 20, 33, 40]);
            publisher.clock = publisher.clock.wrapping_add(step);
            let wants_picture = publisher.has_video && (!publisher.has_audio || self.rng.one_in(2));
            let kinds: &[Body] = if !wants_picture {
                &[Body::Audio]
            } else if publisher.until_key == 0 {
                publisher.until_key = 2 + self.rng.below(20);
                if self.rng.one_in(3) { &[Body::VideoHeader, Body::Key] } else { &[Body::Key] }
            } else {
                publisher.until_key -= 1;
                &[Body::Delta]
            };
            self.produce_frames(index, kinds);
            if self.rng.one_in(60) {
                // Within a group of pictures, or between sounds.
                let Publisher { has_video, has_audio, .. } = self.publishers[index];
                let is_of_video = has_video && (!has_audio || self.rng.one_in(2));
                let kind = if is_of_video { Body::VideoHeader } else { Body::AudioHeader };
                self.produce_frames(index, &[kind]);
            }
        }
    }

    pub fn produce_frames(&mut self, index: usize, kinds: &[Body]) {
        let publisher = &mut self.publishers[index];
        for &kind in kinds {
            let repeated = self.rng.one_in(2);
            let filler = self.rng.below(publisher.filler + 1);
            let body = self.truth.send(publisher.session, kind, publisher.clock, filler, repeated);
            let message_stream = publisher.message_stream;
            publisher.sender.client.put_frame(message_stream, publisher.clock, kind, &body);
            publisher.sender.mark(Sent::Frame);
        }
    }

    pub fn send_of_publisher(&mut self, index: usize) {
        let len = piece(&mut self.rng);
        let publisher = &mut self.publishers[index];
        let may_publish = self.streams[publisher.stream].admits(publisher.identity, self.world.now, &self.config);
        let arrived = publisher.sender.send(&mut self.world, len);
        publisher.sender.client.read(&mut self.world);
        match arrived {
            None => {}
            Some(Sent::Publish) => match self.program_decides() {
                Answered::NotAsked | Answered::Yes => self.publish_arrived(index, may_publish),
                Answered::No => self.publish_arrived(index, false),
                Answered::Never => self.publishers[index].stage = Stage::Gone,
            },
            Some(Sent::Frame) => self.frame_arrived(index),
            Some(Sent::End) => {
                let publisher = &mut self.publishers[index];
                if publisher.stage == Stage::Ending {
                    publisher.stage = Stage::Idle;
                }
                self.unpublish(index);
            }
        }
    }

    pub fn publish_arrived(&mut self, index: usize, may_publish: bool) {
        let publisher = &mut self.publishers[index];
        if !self.world.is_open(publisher.sender.client.link) {
            return;
        }
        publisher.sender.client.read(&mut self.world);
        let granted = publisher.sender.client.has_heard("NetStream.Publish.Start");
        publisher.sender.client.take_heard();
        let is_right = granted == may_publish || self.is_short_of_memory && !granted;
        assert!(is_right, "publisher {index} of stream {}: {granted}", publisher.stream);
        if !granted {
            publisher.stage = Stage::Gone;
            return;
        }
        let index_of_stream = publisher.stream;
        self.viewers_join(index_of_stream);
        let publisher = &mut self.publishers[index];
        let stream = &mut self.streams[publisher.stream];
        let session = self.truth.begin_session(publisher.stream as u8, publisher.has_steady_clock);
        publisher.session = session;
        publisher.stage = Stage::Live;
        publisher.until_key = self.rng.below(3);
        let evicted = stream.by.replace(index);
        stream.heard_at = self.world.now;
        stream.identity = publisher.identity;
        stream.session = Some(session);
        let (has_video, has_audio) = (publisher.has_video, publisher.has_audio);
        if let Some(evicted) = evicted {
            self.publishers[evicted].stage = Stage::Gone;
        }
        if has_video {
            self.produce_frames(index, &[Body::VideoHeader]);
        }
        if has_audio {
            self.produce_frames(index, &[Body::AudioHeader]);
        }
    }

    fn frame_arrived(&mut self, index: usize) {
        let publisher = &self.publishers[index];
        let stream = &mut self.streams[publisher.stream];
        if stream.by == Some(index) {
            stream.heard_at = self.world.now;
            self.truth.sessions[publisher.session as usize].arrived += 1;
        }
    }

    fn unpublish(&mut self, index: usize) {
        let stream = &mut self.streams[self.publishers[index].stream];
        if stream.by == Some(index) {
            stream.by = None;
        }
    }

    pub fn forget_closed_publishers(&mut self) {
        for index in 0..self.publishers.len() {
            if self.world.is_shut(self.publishers[index].sender.client.link) {
                self.publishers[index].stage = Stage::Gone;
                self.unpublish(index);
            }
        }
    }

    // ---- players

    fn add_player(&mut self) {
        if self.players.len() >= 8 {
            return;
        }
        let Ok(link) = self.world.try_accept() else { return };
        let client = Client::new(link);
        if self.rng.one_in(2) {
            let window = self.rng.pick(&[1, 300, 3_000, 30_000]);
            self.world.set_window(client.link, window);
        }
        let mut player = Player {
            sender: Sender::new(client),
            plays: BTreeMap::new(),
            is_dead: false,
            appetite: self.rng.pick(&[100, 2_000, usize::MAX, usize::MAX]),
        };
        player.sender.client.put_connect("live");
        player.sender.mark(Asked::Connect);
        self.ask_to_play(&mut player);
        self.players.push(player);
    }

    fn ask_to_play(&mut self, player: &mut Player) {
        let message_stream = self.rng.pick(&MESSAGE_STREAMS);
        let stream = self.rng.below(STREAMS);
        let mode = self.rng.pick(&["edge", "edge", "gop", "key"]);
        player.sender.client.put_play(message_stream, &format!("s{stream}?join={mode}"));
        let is_edge = mode == "edge";
        player.sender.mark(Asked::Play { message_stream, stream, is_edge });
    }

    fn disturb_player(&mut self) {
        let index = self.rng.below(self.players.len());
        if index >= self.players.len() {
            return;
        }
        let mut player = self.players.swap_remove(index);
        let message_stream = player.plays.keys().next().copied().unwrap_or(1);
        match self.rng.below(8) {
            0 => {
                self.world.hang_up(player.sender.client.link);
                return;
            }
            1 => player.is_dead = self.rng.one_in(2),
            2 | 3 => {
                player.sender.client.put_pause(message_stream, true);
                player.sender.mark(Asked::Pause { message_stream });
            }
            4 | 5 => {
                player.sender.client.put_pause(message_stream, false);
                player.sender.mark(Asked::Resume { message_stream });
            }
            6 => {
                player.sender.client.put_delete_stream(message_stream);
                player.sender.mark(Asked::Delete { message_stream });
                self.ask_to_play(&mut player);
            }
            _ => self.ask_to_play(&mut player),
        }
        self.players.push(player);
    }

    pub fn send_of_player(&mut self, index: usize) {
        let len = piece(&mut self.rng);
        let player = &mut self.players[index];
        if let Some(asked) = player.sender.send(&mut self.world, len) {
            self.asked_arrived(index, asked);
        }
    }

    fn asked_arrived(&mut self, index: usize, asked: Asked) {
        let player = &mut self.players[index];
        match asked {
            Asked::Connect => {}
            Asked::Play { message_stream, stream, is_edge } => {
                let joined_at = self.streams[stream].arrived(&self.truth);
                let playing = player.plays.entry(message_stream).or_default();
                playing.stream = stream;
                playing.is_on = true;
                playing.is_paused = false;
                playing.coming.push_back(Checker::new(stream as u8, is_edge, joined_at));
            }
            Asked::Pause { message_stream } => {
                if let Some(playing) = player.plays.get_mut(&message_stream) {
                    playing.is_paused |= playing.is_on;
                }
            }
            Asked::Resume { message_stream } => {
                // Is answered also where nothing plays.
                let playing = player.plays.entry(message_stream).or_default();
                let was_paused = std::mem::take(&mut playing.is_paused);
                let joined_at = self.streams[playing.stream].arrived(&self.truth);
                playing.resumptions.push_back(was_paused.then_some(joined_at));
            }
            Asked::Delete { message_stream } => {
                if let Some(playing) = player.plays.get_mut(&message_stream) {
                    playing.is_on = false;
                    playing.is_paused = false;
                }
            }
        }
    }

    fn read_some(&mut self) {
        for index in 0..self.players.len() {
            let player = &self.players[index];
            if !player.is_dead && self.rng.one_in(2) {
                let appetite = player.appetite;
                self.read(index, appetite);
            }
        }
        self.read_viewers();
    }

    pub fn read(&mut self, index: usize, limit: usize) {
        let player = &mut self.players[index];
        let dropped = self.world.dropped_messages(player.sender.client.link) > 0;
        let mut bytes = self.world.read(player.sender.client.link, limit);
        // What was read is decoded in pieces, too.
        while !bytes.is_empty() {
            let len = piece(&mut self.rng).min(bytes.len());
            let rest = bytes.split_off(len);
            player.sender.client.take_in(&bytes);
            bytes = rest;
        }
        for heard in player.sender.client.take_heard() {
            let verdict = match &heard {
                Heard::Said(line) => {
                    hear(player, line);
                    hear_end(player, line)
                }
                Heard::Media(seen) => {
                    let mark = Mark::parse(seen.type_id == 9, &seen.payload).expect("a mark");
                    let playing = player.plays.get_mut(&seen.message_stream).expect("plays");
                    let view = playing.view.as_mut().expect("media after Play.Start only");
                    view.may_skip |= dropped || playing.is_paused;
                    view.saw(&mut self.truth, mark, seen.timestamp, seen.payload.len())
                        .map_err(|error| format!("{error}: {mark:?} at {} ms, {view:?}", seen.timestamp))
                }
            };
            if let Err(error) = verdict {
                panic!("seed {}, step {}, player {index}: {error}\n{heard:?}", self.seed, self.steps_done);
            }
        }
    }

    // ---- all

    fn send_some(&mut self) {
        self.forget_closed_publishers();
        for index in 0..self.publishers.len() {
            let publisher = &self.publishers[index];
            if !publisher.is_dead && publisher.sender.has_more() && !self.rng.one_in(4) {
                self.send_of_publisher(index);
            }
        }
        for index in 0..self.players.len() {
            let player = &self.players[index];
            if !player.is_dead && player.sender.has_more() && !self.rng.one_in(4) {
                self.send_of_player(index);
            }
        }
        self.forget_closed_publishers();
        self.send_of_viewers();
        self.watchers_go_on();
        self.strangers_go_on();
    }

    pub fn check(&mut self) {
        self.forget_closed_publishers();
        self.forget_closed_viewers();
        self.check_disk();
        for (number, stream) in self.streams.iter().enumerate() {
            let name = format!("live/s{number}");
            let is_published = self.world.engine.hub().is_published(&name);
            assert_eq!(is_published, stream.by.is_some(), "stream {number}");
        }
        let used = self.world.engine.memory_used();
        assert!(used <= self.config.memory_limit + MEMORY_SLACK_BYTES, "seed {}: {used} bytes are used", self.seed);
        let most = self.queue_bytes + self.config.queue.hard_bytes;
        for link in self.world.open_links() {
            let queued = self.world.queued_bytes(link);
            assert!(queued <= most, "{queued} bytes wait");
        }
        let world = &self.world;
        let mut seen = 0;
        self.players.retain(|player| {
            let is_open = world.is_open(player.sender.client.link);
            if !is_open {
                seen += player
                    .plays
                    .values()
                    .filter_map(|playing| playing.view.as_ref())
                    .map(|view| view.count)
                    .sum::<usize>();
            }
            is_open
        });
        self.frames_seen += seen;
        assert!(self.world.engine.hub().stream_count() <= STREAMS);
    }
}

impl Published {
    /// Whether a publisher of this identity would be granted the stream now.
    fn admits(&self, identity: u8, now: Instant, config: &EngineConfig) -> bool {
        let AppConfig { takeover, publish, .. } = &config.app;
        let may_replace = *takeover == Takeover::WhenSilent && now - self.heard_at >= Duration::from_millis(SILENCE_MS);
        let has_key = !publish.wants_credentials() || identity == 1;
        has_key && (self.by.is_none() || may_replace && self.identity == identity)
    }

    /// Its newest session, and how many frames of that have arrived.
    pub fn arrived(&self, truth: &Truth) -> Option<(u32, usize)> {
        self.session.map(|session| (session, truth.sessions[session as usize].arrived))
    }
}

fn ask_to_publish(publisher: &mut Publisher) {
    let name = format!("s{}?key={}", publisher.stream, publisher.identity);
    publisher.sender.client.put_publish(publisher.message_stream, &name);
    publisher.sender.mark(Sent::Publish);
}

fn playing_of<'a>(player: &'a mut Player, line: &str) -> Option<&'a mut Playing> {
    let message_stream = line.split(' ').nth(1)?.parse().ok()?;
    player.plays.get_mut(&message_stream)
}

/// Takes note of answers that begin something new.
fn hear(player: &mut Player, line: &str) {
    if line.ends_with("NetStream.Play.Start") {
        let playing = playing_of(player, line).expect("plays");
        playing.view = Some(playing.coming.pop_front().expect("asked for"));
    } else if line.ends_with("NetStream.Unpause.Notify") {
        let Some(playing) = playing_of(player, line) else { return };
        if let (Some(Some(joined_at)), Some(view)) = (playing.resumptions.pop_front(), &mut playing.view) {
            view.resumed(joined_at);
        }
    } else if line.ends_with("NetStream.Pause.Notify")
        && let Some(Playing { view: Some(view), .. }) = playing_of(player, line)
    {
        view.may_skip = true;
    }
}

fn hear_end(player: &mut Player, line: &str) -> Result<(), String> {
    let Some(Playing { view: Some(view), .. }) = playing_of(player, line) else { return Ok(()) };
    if line.ends_with("NetStream.Play.UnpublishNotify") {
        view.ended()
    } else if line.ends_with("NetStream.Play.PublishNotify") {
        view.began()
    } else {
        Ok(())
    }
}
