//! The whole server without sockets, driven by a script: peers that come, speak RTMP, HTTP or nonsense, read or do not
//! read, and go, on a clock that the script moves.
//!
//! [`World`] checks what holds for an engine at any time: each connection has one socket, deadlines end, and nothing
//! is said behind the last words.

use std::collections::BTreeMap;
use std::time::Duration;

use rtmpd::config::{
    AppConfig, CacheLimits, EngineConfig, HlsConfig, HlsFormat, HlsMode, PlayerQueueLimits, QueueLimits, RecordConfig,
    RecordFormat, SessionLimits,
};
use rtmpd::container::flv::file::FlvDemuxer;
use rtmpd::container::mpegts::PACKET_LEN;
use rtmpd::engine::Protocol;
use rtmpd::rtmp::amf0::Value;
use rtmpd::rtmp::message::type_id;

use super::script::Script;
use crate::support::client::{Client, Heard};
use crate::support::disk::Disk;
use crate::support::media::Body;
use crate::support::world::{LinkId, World};

const GRACE_MS: u64 = 3_000;
const STREAMS: usize = 4;
const CONNECTIONS: usize = 6;
/// Longer than any time of the configuration.
const LONGEST_DEADLINE_MS: u64 = 60_000;
/// Peers that a script may bring, one after the other.
const PEERS: usize = 24;
/// Filler that the frames of one script may hold together, in bytes.
const FILLER_BYTES: usize = 1 << 20;
/// What waits for one peer beside what has a limit of its own, in bytes: one message over it.
const SLACK_BYTES: usize = 128 * 1024;
const NAMES: [&str; 5] = ["a", "b?join=gop", "a?join=key", "b", "c?gop=0&token=x"];
const BODIES: [Body; 5] = [Body::VideoHeader, Body::AudioHeader, Body::Key, Body::Delta, Body::Audio];
const AVC_RECORD: &[u8] =
    b"\x01\x64\0\x1F\xFF\xE1\0\x0F\x67\x64\0\x1F\xAC\xD9\x40\x50\x05\xBB\x01\x10\0\0\x03\x01\0\x04\
    \x68\xEB\xE3\xCB";
const AAC_CONFIG: &[u8] = b"\x11\x90";
const REQUESTS: [&[u8]; 20] = [
    b"GET /live/a.flv HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /live/a.ts HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /live/a.mp4?join=gop HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /live/b.flv?wait=5&join=key HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /live/a.ts?wait=60 HTTP/1.1\r\nHost: h\r\n\r\n",
    b"HEAD /live/a.flv HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /live/a.flv HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    b"GET /live/b.mp4?wait=3 HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    b"\x89\x81\0\0\0\0p\x88\x80\0\0\0\0",
    b"GET /live/a.m3u8 HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"POST /live/a.flv HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab",
    b"GET /live/a/media.m3u8?_HLS_msn=1&_HLS_part=0 HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /live/b.m3u8?wait=9 HTTP/1.1\r\nHost: h\r\n\r\nGET /live/b/media.m3u8 HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /api/v1/clients HTTP/1.1\r\nHost: localhost\r\n\r\nGET /api/v1/streams HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: [::1]\r\n\r\nGET /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"DELETE /api/v1/clients/0-1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"PUT /api/v1/streams/live/a/recording HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
    b"DELETE /api/v1/streams/live/a/recording HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
];

fn config(flags: u8) -> EngineConfig {
    EngineConfig {
        chunk_size: 128 << (flags & 7),
        connections: CONNECTIONS,
        session: SessionLimits {
            message_bytes: 128 * 1024,
            command_bytes: 4096,
            partial_bytes: 256 * 1024,
            chunk_streams: 16,
            message_streams: 3,
            answer_bytes: 16 * 1024,
            ..SessionLimits::default()
        },
        streams: STREAMS,
        queue: QueueLimits { hard_bytes: 64 * 1024, ..QueueLimits::default() },
        app: AppConfig {
            queue: PlayerQueueLimits { bytes: 64 * 1024, ..PlayerQueueLimits::default() },
            grace_ms: GRACE_MS,
            cache: CacheLimits {
                gop_frames: 50,
                gop_bytes: 64 * 1024,
                headers: 4,
                header_bytes: 4096,
                ..CacheLimits::default()
            },
            hls: HlsConfig {
                mode: if flags & 8 == 0 { HlsMode::OnDemand } else { HlsMode::Always },
                format: if flags & 16 == 0 { HlsFormat::Fmp4 } else { HlsFormat::Ts },
                directory: if flags & 32 == 0 { String::new() } else { "hls".to_owned() },
                ..HlsConfig::default()
            },
            record: RecordConfig {
                auto: flags & 64 != 0,
                formats: vec![RecordFormat::Flv, RecordFormat::Ts, RecordFormat::Mp4, RecordFormat::Es],
                split_ms: 1_000,
                queue_bytes: 256 * 1024,
                ..RecordConfig::default()
            },
            ..AppConfig::default()
        },
        memory_limit: if flags & 128 == 0 { 1 << 30 } else { 512 * 1024 },
        ..EngineConfig::default()
    }
}

/// One who speaks HTTP.
struct Viewer {
    link: LinkId,
    /// Index of the only request that was made, where there was one and nothing else was sent.
    request: Option<usize>,
    is_simple: bool,
    received: Vec<u8>,
}

/// The world, its peers, and what has to be remembered to judge them.
struct Stage {
    world: World,
    disk: Disk,
    flags: u8,
    peers: Vec<Client>,
    viewers: Vec<Viewer>,
    /// Each peer's publishing clock.
    clocks: Vec<u32>,
    /// Latest coded frame of each peer, message stream and kind, in milliseconds.
    latest: BTreeMap<(usize, u32, u8), u32>,
    filler_left: usize,
    most_waiting: usize,
    /// What came in one go may be too much for somebody before that is seen.
    largest_input: usize,
}

/// First byte: chunk size. Then steps: what to do, which peer does it, and what it needs to know.
pub fn engine(data: &[u8]) {
    let mut script = Script::new(data);
    let flags = script.u8();
    let config = config(flags);
    let most_waiting = config.app.queue.bytes + config.queue.hard_bytes + SLACK_BYTES;
    let mut stage = Stage {
        world: World::new(config),
        disk: Disk::default(),
        flags,
        peers: Vec::new(),
        viewers: Vec::new(),
        clocks: Vec::new(),
        latest: BTreeMap::new(),
        filler_left: FILLER_BYTES,
        most_waiting,
        largest_input: 0,
    };
    stage.world.disk = Some(Vec::new());
    stage.accept();
    while !script.is_empty() {
        stage.step(&mut script);
        stage.check();
    }
    stage.finish(data.len().is_multiple_of(2));
}

impl Stage {
    fn accept(&mut self) {
        if self.peers.len() < PEERS
            && let Ok(link) = self.world.try_accept()
        {
            self.peers.push(Client::new(link));
            self.clocks.push(0);
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let step = script.u8();
        let peer = usize::from(script.u8()) % self.peers.len();
        if step & 0x80 != 0 && matches!(step % 16, 0 | 1 | 9 | 12 | 13 | 14) {
            self.viewer_step(step, peer, script);
            return;
        }
        if step & 0x80 != 0 && step % 16 == 15 {
            return self.operate(script.u8());
        }
        match step % 16 {
            0 => self.accept(),
            1 => self.peers[peer].put_connect("live"),
            2 => {
                let name = NAMES[usize::from(script.u8()) % NAMES.len()];
                self.peers[peer].put_publish(u32::from(step >> 6), name);
            }
            3 => {
                let name = NAMES[usize::from(script.u8()) % NAMES.len()];
                self.peers[peer].put_play(u32::from(step >> 6), name);
            }
            4 | 5 => self.frame(peer, step, script),
            6 => {
                let at = self.clocks[peer];
                self.peers[peer].put_metadata(u32::from(step >> 6), at, "text");
            }
            7 => self.peers[peer].put_pause(u32::from(step >> 6), step & 32 == 0),
            8 => self.command(peer, step),
            9 => {
                let len = usize::from(script.u8());
                let bytes = script.bytes(len);
                self.peers[peer].outbox.extend_from_slice(bytes);
            }
            10 => {
                let len = usize::from(script.u8());
                let type_id = script.u8();
                let at = script.u32();
                let body = script.bytes(len);
                self.peers[peer].put(type_id, u32::from(step >> 6), at, body);
            }
            11 => self.world.wait(u64::from(script.u16())),
            12 => {
                let window = [0, 1, 300, 5_000, 100_000, usize::MAX][usize::from(script.u8()) % 6];
                self.world.set_window(self.peers[peer].link, window);
            }
            13 => self.read(peer),
            14 => self.world.hang_up(self.peers[peer].link),
            _ => self.world.write_limit = 1 + usize::from(script.u16()),
        }
        self.send(peer, step);
    }

    /// The disk answers, or another configuration holds from now on.
    fn operate(&mut self, what: u8) {
        match what {
            0..64 => self.disk.work(&mut self.world, usize::from(what), || false),
            64..128 => self.disk.work(&mut self.world, 1 + usize::from(what & 3), || true),
            128..250 => {
                // Chunks keep their size.
                let _ = self.world.engine.reload(config(self.flags & 7 | what << 3));
                self.world.turn();
            }
            _ => {
                let now = self.world.now;
                self.world.engine.drain(now, Some(Duration::from_secs(3_600)));
                self.world.turn();
            }
        }
    }

    fn viewer_step(&mut self, step: u8, number: usize, script: &mut Script<'_>) {
        let count = self.viewers.len();
        if step.is_multiple_of(16) || count == 0 {
            if count < PEERS
                && let Ok(link) = self.world.try_accept_as(Protocol::Http)
            {
                self.viewers.push(Viewer { link, request: None, is_simple: true, received: Vec::new() });
            }
            return;
        }
        // The latest ones first: they are still there.
        let viewer = &mut self.viewers[count - 1 - number % count];
        match step % 16 {
            1 => {
                let request = usize::from(script.u8()) % REQUESTS.len();
                viewer.is_simple &= viewer.request.replace(request).is_none();
                let bytes = REQUESTS[request];
                let (now, later) = bytes.split_at(if step & 16 == 0 { bytes.len() } else { bytes.len() / 2 });
                self.world.send(viewer.link, now);
                self.world.send(viewer.link, later);
            }
            9 => {
                let len = usize::from(script.u8());
                viewer.is_simple = false;
                self.world.send(viewer.link, script.bytes(len));
            }
            12 => {
                let window = [0, 1, 300, 5_000, 100_000, usize::MAX][usize::from(script.u8()) % 6];
                self.world.set_window(viewer.link, window);
            }
            13 => viewer.received.extend(self.world.read(viewer.link, 1 + usize::from(step & 0x70) * 100)),
            _ => self.world.hang_up(viewer.link),
        }
    }

    /// All that waits in the outbox, or the first part of it.
    fn send(&mut self, peer: usize, step: u8) {
        let client = &mut self.peers[peer];
        let len = if step & 16 == 0 { client.outbox.len() } else { client.outbox.len() / 2 };
        let rest = client.outbox.split_off(len);
        let bytes = std::mem::replace(&mut client.outbox, rest);
        self.largest_input = self.largest_input.max(bytes.len());
        if !bytes.is_empty() {
            self.world.send(client.link, &bytes);
            // Who has too much is closed as soon as the loop comes round.
            self.world.wait(0);
        }
    }

    fn frame(&mut self, peer: usize, step: u8, script: &mut Script<'_>) {
        let choice = script.u8();
        let (kind, mark) = match choice {
            250..253 => (Body::VideoHeader, AVC_RECORD),
            253.. => (Body::AudioHeader, AAC_CONFIG),
            // One small NAL unit, so that every container has something to carry.
            _ => (BODIES[usize::from(choice) % BODIES.len()], &b"\0\0\0\x02\x65a"[..]),
        };
        let forward = script.u8();
        let clock = &mut self.clocks[peer];
        // Mostly frame by frame, sometimes far, sometimes back.
        *clock = match forward {
            255 => clock.wrapping_add(3_000_000_000),
            250..255 => clock.wrapping_sub(u32::from(forward) * 10),
            _ => clock.wrapping_add(u32::from(forward)),
        };
        let at = *clock;
        let filler = if step % 16 == 5 { usize::from(script.u16()).min(self.filler_left) } else { 3 };
        self.filler_left = self.filler_left.saturating_sub(filler);
        self.peers[peer].put_frame(u32::from(step >> 6), at, kind, &kind.with(mark, filler));
    }

    fn command(&mut self, peer: usize, step: u8) {
        let client = &mut self.peers[peer];
        let stream = u32::from(step >> 6);
        match step >> 5 & 1 {
            0 => client.put_delete_stream(stream),
            _ => client.put_command(stream, "receiveVideo", Value::Null, &[Value::Boolean(step & 16 == 0)]),
        }
    }

    /// What a peer reads is well framed, and the time of coded frames does not go back.
    fn read(&mut self, peer: usize) {
        let client = &mut self.peers[peer];
        client.read(&mut self.world);
        for heard in client.take_heard() {
            match heard {
                Heard::Said(line) if line.contains("NetStream.Play") => {
                    self.latest.retain(|(of, _, _), _| *of != peer);
                }
                Heard::Said(_) => {}
                Heard::Media(seen) => {
                    let is_video = seen.type_id == type_id::VIDEO;
                    let is_coded = Body::parse(is_video, &seen.payload).is_some_and(|(kind, _)| kind.is_coded());
                    if seen.type_id != type_id::DATA_AMF0 && is_coded {
                        let key = (peer, seen.message_stream, seen.type_id);
                        let before = self.latest.insert(key, seen.timestamp);
                        assert!(before.is_none_or(|before| before <= seen.timestamp), "{before:?}, then {seen:?}");
                    }
                }
            }
        }
    }

    fn check(&self) {
        assert!(self.world.engine.connection_count() <= CONNECTIONS);
        assert!(self.world.engine.hub().stream_count() <= STREAMS);
        let most_waiting = self.most_waiting + self.largest_input;
        for client in &self.peers {
            let waiting = self.world.queued_bytes(client.link);
            assert!(waiting <= most_waiting, "{waiting} bytes wait");
        }
        for viewer in &self.viewers {
            let waiting = self.world.queued_bytes(viewer.link);
            assert!(waiting <= most_waiting, "{waiting} bytes wait for a viewer");
        }
    }

    /// What a viewer got is an answer, and behind its head whole tags or packets, but for the last.
    fn judge(viewer: &Viewer) {
        let received = &viewer.received;
        let begin = &received[..received.len().min(9)];
        assert!(b"HTTP/1.1 ".starts_with(begin), "{}", received.escape_ascii());
        let head = received.windows(4).position(|window| window == b"\r\n\r\n");
        let (Some(head), true) = (head, viewer.is_simple) else { return };
        let mut body = &received[head + 4..];
        if !received.starts_with(b"HTTP/1.1 200") {
            return;
        }
        match viewer.request {
            Some(0 | 3) => {
                let mut demuxer = FlvDemuxer::new(1 << 20);
                while demuxer.demux(&mut body).expect("tags").is_some() {}
            }
            Some(1 | 4) => assert!(body.chunks(PACKET_LEN).all(|packet| packet[0] == 0x47), "packets"),
            _ => {}
        }
    }

    /// In the end nothing is left.
    fn finish(&mut self, shuts_down: bool) {
        for peer in 0..self.peers.len() {
            self.world.set_window(self.peers[peer].link, usize::MAX);
            self.read(peer);
        }
        for viewer in &mut self.viewers {
            self.world.set_window(viewer.link, usize::MAX);
            viewer.received.extend(self.world.read(viewer.link, usize::MAX));
            Self::judge(viewer);
        }
        if shuts_down {
            self.world.shut_down();
            self.world.wait(2_000);
        }
        for link in self.world.open_links() {
            self.world.hang_up(link);
        }
        self.disk.settle(&mut self.world);
        self.world.wait(GRACE_MS);
        self.disk.settle(&mut self.world);
        assert!(self.world.engine.is_empty());
        self.disk.assert_nothing_open();
        // HLS that was asked for stays until nobody has asked for it for a while.
        self.world.wait(EngineConfig::default().app.hls.idle_timeout_ms);
        assert_eq!(self.world.engine.hub().stream_count(), 0, "streams that nobody publishes or plays");
        // Those who have gone left their deadlines behind, which come up once.
        self.world.wait(LONGEST_DEADLINE_MS);
        assert_eq!(self.world.engine.poll_timeout(), None, "deadlines of nobody");
        self.disk.settle(&mut self.world);
        assert_eq!(self.world.engine.memory_used(), 0, "bytes that nobody holds");
    }
}
