//! The two sessions of this crate talk to each other.

use std::sync::Arc;
use std::time::Instant;

use super::streams::{play_of, publish_of};
use crate::config::SessionLimits;
use crate::rtmp::client::{ClientEvent, ClientRole, ClientSession, ClientTarget};
use crate::rtmp::server::code::PUBLISH_BAD_NAME;
use crate::rtmp::server::{Event, ServerSession, SessionConfig};

struct Pair {
    now: Instant,
    client: ClientSession,
    server: ServerSession,
}

impl Pair {
    fn new(role: ClientRole, digest: bool) -> Self {
        let now = Instant::now();
        let limits = SessionLimits::default();
        let config = Arc::new(SessionConfig { chunk_size: 4096, limits });
        let target = ClientTarget {
            role,
            tc_url: "rtmp://host/live".to_owned(),
            app: "live".to_owned(),
            stream: "a".to_owned(),
            digest,
        };
        let client = ClientSession::new(now, Arc::clone(&config), target, 1);
        Pair { now, client, server: ServerSession::new(now, config, 2) }
    }

    /// Carries bytes both ways until neither has more to say. Gives what the server told.
    fn talk(&mut self) -> Vec<Event> {
        loop {
            let mut moved = false;
            while let Some(bytes) = self.client.poll_output() {
                self.server.handle_input(self.now, &bytes).expect("server");
                moved = true;
            }
            while let Some(bytes) = self.server.poll_output() {
                self.client.handle_input(self.now, &bytes).expect("client");
                moved = true;
            }
            if !moved {
                return std::iter::from_fn(|| self.server.poll_event()).collect();
            }
        }
    }

    fn client_events(&mut self) -> Vec<ClientEvent> {
        std::iter::from_fn(|| self.client.poll_event()).collect()
    }
}

#[test]
fn our_client_publishes_and_finishes() {
    for digest in [false, true] {
        let mut pair = Pair::new(ClientRole::Publish, digest);
        assert_eq!(pair.talk()[1..], [publish_of(1, "a")]);
        pair.server.accept_publish(1);
        pair.talk();
        assert_eq!(pair.client_events(), [ClientEvent::Started]);
        pair.client.send(9, 40, &[0x17; 10_000]);
        let events = pair.talk();
        assert!(matches!(&events[..], [Event::Video { timestamp: 40, payload, .. }]
            if payload.len() == 10_000));
        pair.client.finish();
        assert_eq!(pair.talk(), [Event::Ended { stream_id: 1 }]);
    }
}

#[test]
fn our_client_plays_and_hears_of_the_end() {
    let mut pair = Pair::new(ClientRole::Play, true);
    assert_eq!(pair.talk()[1..], [play_of(1, "a")]);
    pair.server.accept_play(1);
    pair.talk();
    assert!(pair.client_events().contains(&ClientEvent::Started));
    pair.server.notify_unpublished(1);
    pair.talk();
    assert!(pair.client_events().contains(&ClientEvent::StreamEof));
}

#[test]
fn our_client_hears_why_it_was_rejected() {
    let mut pair = Pair::new(ClientRole::Publish, false);
    pair.talk();
    pair.server.reject(1, PUBLISH_BAD_NAME, "already published");
    pair.talk();
    let events = pair.client_events();
    let is_it = |event: &ClientEvent| {
        matches!(event, ClientEvent::Status { level, code, description }
            if level == "error" && code == PUBLISH_BAD_NAME && description == "already published")
    };
    assert!(events.iter().any(is_it), "{events:?}");
}
