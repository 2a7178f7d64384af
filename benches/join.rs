//! One instant join: from accepting a player to the last byte of what it is sent to begin with, without sockets.
#![allow(clippy::expect_used, reason = "a bench that fails shall stop")]

use std::hint::black_box;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use criterion::{Criterion, Throughput};
use rtmpd::config::{EngineConfig, SessionLimits};
use rtmpd::engine::{CloseReason, ConnectionId, Engine, Protocol};
use rtmpd::rtmp::client::{ClientEvent, ClientRole, ClientSession, ClientTarget};
use rtmpd::rtmp::message::type_id;
use rtmpd::rtmp::server::SessionConfig;

const GOP_FRAMES: u32 = 60;
const FRAME_MS: u32 = 33;
/// Longer than any answer, shorter than a picture.
const ANSWER_BYTES: usize = 4096;

/// A client and its connection in the engine.
struct Peer {
    id: ConnectionId,
    session: ClientSession,
}

fn peer_address() -> SocketAddr {
    ([127, 0, 0, 1], 40_000).into()
}

/// Connects a client and lets both talk until it has started.
fn connect(engine: &mut Engine, now: Instant, role: ClientRole, stream: &str) -> Peer {
    let config = SessionConfig { chunk_size: 65_536, limits: SessionLimits::default() };
    let target = ClientTarget {
        role,
        tc_url: "rtmp://127.0.0.1/live".to_owned(),
        app: "live".to_owned(),
        stream: stream.to_owned(),
        digest: false,
    };
    let id = engine.accept(now, Protocol::Rtmp, peer_address()).expect("room for one more");
    let session = ClientSession::new(now, Arc::new(config), target, 1);
    let mut peer = Peer { id, session };
    loop {
        say(engine, now, &mut peer);
        let bytes = next_bytes(engine, now).expect("the server has something to say");
        peer.session.handle_input(now, &bytes).expect("what the server says");
        while let Some(event) = peer.session.poll_event() {
            if event == ClientEvent::Started {
                return peer;
            }
        }
    }
}

/// Gives the engine what the client has to say.
fn say(engine: &mut Engine, now: Instant, peer: &mut Peer) {
    while let Some(bytes) = peer.session.poll_output() {
        engine.handle_input(now, peer.id, &bytes);
    }
}

/// The next bytes for whichever connection has some: few, so that the client reads the answers and not the pictures.
fn next_bytes(engine: &mut Engine, now: Instant) -> Option<Vec<u8>> {
    let id = engine.poll_transmit()?;
    let mut slices = [IoSlice::new(&[]); 1];
    engine.fill(id, usize::MAX, &mut slices);
    let [slice] = slices;
    let bytes = slice.get(..slice.len().min(ANSWER_BYTES)).unwrap_or_default().to_vec();
    if engine.advance(now, id, bytes.len()) {
        engine.send_later(id);
    }
    Some(bytes)
}

/// Takes everything from the engine and looks at none of it; says how many bytes there were.
fn drain(engine: &mut Engine, now: Instant) -> usize {
    let mut total = 0;
    while let Some(id) = engine.poll_transmit() {
        loop {
            let mut slices = [IoSlice::new(&[]); 64];
            let filled = engine.fill(id, usize::MAX, &mut slices);
            let count = slices.iter().take(filled).map(|slice| slice.len()).sum();
            total += count;
            if count == 0 || !engine.advance(now, id, count) {
                break;
            }
        }
    }
    total
}

/// An engine with one stream, two groups of pictures into it.
fn engine_with_stream(now: Instant) -> (Engine, Peer) {
    let mut engine = Engine::new(now, EngineConfig::default(), 1);
    let mut publisher = connect(&mut engine, now, ClientRole::Publish, "stream");
    let avc = [0x17, 0, 0, 0, 0, 1, 0x42, 0xC0, 0x1F, 0xFF, 0xE0, 0];
    publisher.session.send(type_id::VIDEO, 0, &avc);
    publisher.session.send(type_id::AUDIO, 0, &[0xAF, 0, 0x12, 0x10]);
    for frame in 0..2 * GOP_FRAMES {
        let is_key = frame % GOP_FRAMES == 0;
        let mut body = if is_key { vec![0x17, 1, 0, 0, 0] } else { vec![0x27, 1, 0, 0, 0] };
        body.resize(if is_key { 70_000 } else { 9_000 }, 0x5A);
        publisher.session.send(type_id::VIDEO, frame * FRAME_MS, &body);
        publisher.session.send(type_id::AUDIO, frame * FRAME_MS, &[0xAF, 1, 0x5A]);
    }
    say(&mut engine, now, &mut publisher);
    drain(&mut engine, now);
    (engine, publisher)
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let now = Instant::now();
    let (mut engine, _publisher) = engine_with_stream(now);
    let mut group = criterion.benchmark_group("join");
    group.throughput(Throughput::Elements(1));
    for mode in ["edge", "gop", "key"] {
        let name = format!("stream?join={mode}");
        group.bench_function(mode, |bencher| {
            bencher.iter(|| {
                let peer = connect(&mut engine, now, ClientRole::Play, &name);
                black_box(drain(&mut engine, now));
                engine.handle_closed(now, peer.id, CloseReason::PeerClosed);
            });
        });
    }
    group.finish();
    criterion.final_summary();
}
