//! The client session of this crate against the engine, through byte buffers.

use std::sync::Arc;

use rtmpd::config::{EngineConfig, SessionLimits};
use rtmpd::rtmp::client::{ClientEvent, ClientRole, ClientSession, ClientTarget};
use rtmpd::rtmp::server::SessionConfig;

use crate::support::media::Body::{Audio, AudioHeader, Delta, Key, VideoHeader};
use crate::support::world::{LinkId, World};

struct Pair {
    session: ClientSession,
    link: LinkId,
}

impl Pair {
    fn new(world: &mut World, role: ClientRole, stream: &str, digest: bool) -> Self {
        let limits = SessionLimits::default();
        let config = Arc::new(SessionConfig { chunk_size: 300, limits });
        let target = ClientTarget {
            role,
            tc_url: "rtmp://host:1935/live".to_owned(),
            app: "live".to_owned(),
            stream: stream.to_owned(),
            digest,
        };
        let session = ClientSession::new(world.now, config, target, 9);
        Pair { session, link: world.accept() }
    }

    /// Carries bytes both ways until nobody has more to say, in pieces of `piece` bytes.
    fn exchange(&mut self, world: &mut World, piece: usize) -> Vec<ClientEvent> {
        loop {
            let mut quiet = true;
            while let Some(bytes) = self.session.poll_output() {
                quiet = false;
                for piece in bytes.chunks(piece) {
                    world.send(self.link, piece);
                }
            }
            let bytes = world.read(self.link, usize::MAX);
            for piece in bytes.chunks(piece) {
                quiet = false;
                self.session.handle_input(world.now, piece).expect("understood");
            }
            if quiet {
                return std::iter::from_fn(|| self.session.poll_event()).collect();
            }
        }
    }
}

#[test]
fn publish_and_play_at_any_split() {
    for (digest, piece) in [(false, 100_000), (true, 1_000), (false, 7), (true, 1)] {
        let mut world = World::new(EngineConfig { chunk_size: 500, ..EngineConfig::default() });
        let mut publisher = Pair::new(&mut world, ClientRole::Publish, "a", digest);
        let mut player = Pair::new(&mut world, ClientRole::Play, "a", digest);
        assert!(publisher.exchange(&mut world, piece).contains(&ClientEvent::Started));
        assert!(player.exchange(&mut world, piece).contains(&ClientEvent::Started));
        let frames = [
            (VideoHeader, 9, 0),
            (AudioHeader, 8, 0),
            (Key, 9, 0),
            (Audio, 8, 10),
            (Delta, 9, 40),
            (Delta, 9, 0x0100_0000),
        ];
        let mut sent = Vec::new();
        for (kind, type_id, timestamp) in frames {
            let body = kind.with(&[0xAB], timestamp as usize % 1_000 * 40);
            publisher.session.send(type_id, timestamp, &body);
            sent.push((type_id, body));
        }
        assert_eq!(publisher.exchange(&mut world, piece), []);
        let events = player.exchange(&mut world, piece);
        let seen: Vec<(u8, Vec<u8>)> = events
            .iter()
            .map(|event| match event {
                ClientEvent::Media(message) => (message.type_id, message.payload.to_vec()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(seen, sent, "in pieces of {piece}");
        publisher.session.finish();
        publisher.exchange(&mut world, piece);
        let events = player.exchange(&mut world, piece);
        assert_eq!(events.last(), Some(&ClientEvent::StreamEof));
        assert!(!world.engine.hub().is_published("live/a"));
    }
}
