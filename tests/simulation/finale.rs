//! The end of a seed: what is live reaches everybody, and then nothing stays behind.

use crate::actors::{Asked, Player, Stage};
use crate::checker::Checker;
use crate::hls::Watcher;
use crate::model::{GRACE_MS, MESSAGE_STREAMS, Model, Report};
use crate::support::media::Body;
use crate::support::world::LinkId;

/// A live frame waits no longer for others, whatever the configuration was when it came.
const LONGEST_BATCH_MS: u64 = 20;

impl Model {
    /// Everybody wakes up and reads; live streams reach all of their players; then all leave.
    pub fn finish(mut self) -> Report {
        for publisher in &mut self.publishers {
            publisher.is_dead = false;
        }
        for index in 0..self.players.len() {
            self.players[index].is_dead = false;
            let link = self.players[index].sender.client.link;
            self.world.set_window(link, usize::MAX);
            for message_stream in MESSAGE_STREAMS {
                self.players[index].sender.client.put_pause(message_stream, false);
                self.players[index].sender.mark(Asked::Resume { message_stream });
            }
        }
        self.wake_viewers();
        self.world.write_limit = usize::MAX;
        self.settle();
        let links = self.world.open_links();
        self.dropped_before = links.into_iter().map(|link| (link, self.world.dropped_messages(link))).collect();
        if self.rng.one_in(4) {
            self.drain();
        }
        for index in 0..self.publishers.len() {
            if self.publishers[index].stage == Stage::Live {
                let (has_video, has_audio) = (self.publishers[index].has_video, self.publishers[index].has_audio);
                let clock = self.publishers[index].clock;
                self.publishers[index].clock = clock.wrapping_add(40);
                if has_video {
                    self.produce_frames(index, &[Body::Key, Body::Delta]);
                }
                if has_audio {
                    self.produce_frames(index, &[Body::Audio]);
                }
            }
        }
        self.settle();
        if !self.is_short_of_memory {
            self.check_that_all_arrived();
            self.check_that_viewers_have_all();
        }
        self.ask_how_it_is();
        self.leave()
    }

    /// Nobody new comes, and those who are there go on.
    fn drain(&mut self) {
        self.is_draining = true;
        let now = self.world.now;
        self.world.engine.drain(now, None);
        self.world.turn();
        assert!(self.world.try_accept().is_err(), "seed {}: let in while it drains", self.seed);
    }

    fn settle(&mut self) {
        self.settle_now();
        // Live frames may wait for others.
        self.world.wait(LONGEST_BATCH_MS);
        self.settle_now();
    }

    fn settle_now(&mut self) {
        for _ in 0..100_000 {
            let mut is_busy = false;
            for index in 0..self.publishers.len() {
                is_busy |= self.publishers[index].sender.has_more();
                if self.publishers[index].sender.has_more() {
                    self.send_of_publisher(index);
                }
            }
            for index in 0..self.players.len() {
                is_busy |= self.players[index].sender.has_more();
                if self.players[index].sender.has_more() {
                    self.send_of_player(index);
                }
                self.read(index, usize::MAX);
            }
            for index in 0..self.viewers.len() {
                is_busy |= self.send_of_viewer(index);
                self.read_viewer(index, usize::MAX);
            }
            self.check();
            if !is_busy {
                return;
            }
        }
        panic!("it does not settle");
    }

    fn check_that_all_arrived(&self) {
        let is_served = |player: &&Player| !self.world.is_shut(player.sender.client.link);
        for player in self.players.iter().filter(is_served) {
            for (message_stream, playing) in player.plays.iter().filter(|(_, playing)| playing.is_on) {
                let stream = &self.streams[playing.stream];
                let (Some(_), Some(session_id)) = (stream.by, stream.session) else { continue };
                let view = playing.view.as_ref().expect("was answered");
                let link = player.sender.client.link;
                self.check_view(session_id, view, link, &format!("message stream {message_stream}"));
            }
        }
    }

    /// Whoever watches a live stream has its newest frames.
    pub fn check_view(&self, session_id: u32, view: &Checker, link: LinkId, who: &str) {
        let dropped = self.world.dropped_messages(link);
        if self.dropped_before.get(&link) != Some(&dropped) {
            // Frames that waited for others did not fit a small queue.
            return;
        }
        let session = &self.truth.sessions[session_id as usize];
        let who = format!("seed {}: {who}, {dropped} dropped, {view:?}", self.seed);
        let is_picture = |kind| matches!(kind, Body::Key | Body::Delta);
        let video = session.last_arrived(is_picture);
        let audio = session.last_arrived(|kind| kind == Body::Audio);
        assert!(video.is_none() || view.session == Some(session_id), "{who}");
        assert!(video.is_none() || view.video == video, "{who}: {video:?}");
        assert!(audio.is_none() || view.audio == audio, "{who}: {audio:?}");
    }

    fn leave(mut self) -> Report {
        let (accepted, _) = self.world.accepted_and_closed();
        let counts = self.players.iter().flat_map(|player| player.plays.values());
        let frames_seen: usize = counts.filter_map(|playing| playing.view.as_ref()).map(|view| view.count).sum();
        let viewed: usize = self.viewers.iter().map(|viewer| viewer.view.count).sum();
        if self.rng.one_in(2) {
            self.world.shut_down();
            self.world.wait(self.config.queue.linger_ms);
        } else {
            for link in self.world.open_links() {
                self.world.hang_up(link);
            }
            assert!(!self.is_draining || self.world.engine.is_drained(self.world.now));
            // One that drains looks around until it ends.
            self.world.shut_down();
        }
        self.finish_disk();
        self.world.wait(GRACE_MS);
        self.finish_disk();
        self.settle_program();
        // What was not answered is told again after a while.
        self.world.wait(60_000);
        self.settle_program();
        assert!(self.world.engine.is_empty(), "seed {}: not all has ended", self.seed);
        self.disk.assert_nothing_open();
        // HLS that was asked for stays until nobody has asked for it for a while.
        self.world.wait(self.config.app.hls.idle_timeout_ms);
        assert_eq!(self.world.engine.hub().stream_count(), 0);
        assert_eq!(self.world.accepted_and_closed(), (accepted, accepted), "each ends once");
        self.world.wait(60_000);
        self.finish_disk();
        self.finish_program();
        self.world.wait(60_000);
        assert_eq!(self.world.engine.poll_timeout(), None, "nothing is left to do");
        assert_eq!(self.world.engine.memory_used(), 0, "seed {}: bytes that nobody holds", self.seed);
        Report {
            seed: self.seed,
            steps: self.steps_done,
            sessions: self.truth.sessions.len(),
            connections: accepted,
            frames_seen: frames_seen + viewed + self.frames_seen,
            segment_frames: self.segment_frames + self.watchers.iter().map(Watcher::frames_seen).sum::<usize>(),
            recorded_frames: self.recorded_frames,
            disk_failures: self.disk.failures,
        }
    }
}
