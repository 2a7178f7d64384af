//! An owner that asks somebody else before it answers: what came behind the question waits, and so do deadlines.

use std::collections::VecDeque;
use std::time::Instant;

use super::{Event, ServerSession};

/// Events behind the one that is asked about.
#[derive(Debug)]
pub(super) struct Later(VecDeque<Event>);

impl ServerSession {
    /// The owner asks somebody else about the event that it took last (`true`), or has its answer. In between it is
    /// told nothing more and gives no more input, so neither the peer's silence nor its being slow to begin counts.
    pub fn set_asked(&mut self, now: Instant, is_asked: bool) {
        if is_asked {
            if self.asked.is_none() {
                self.asked = Some(Box::new(Later(std::mem::take(&mut self.events))));
            }
        } else if let Some(later) = self.asked.take() {
            let Later(mut events) = *later;
            events.append(&mut self.events);
            self.events = events;
            self.last_input = now;
            self.last_sign = now;
            self.setup_since = self.setup_since.map(|_| now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::rtmp::server::tests::peer::{Peer, text};
    use crate::rtmp::server::{Event, SessionError};

    fn wait(peer: &mut Peer, seconds: u64) -> Result<(), SessionError> {
        peer.now += Duration::from_secs(seconds);
        peer.session.handle_timeout(peer.now)
    }

    #[test]
    fn what_came_behind_a_question_is_told_after_it() {
        let mut peer = Peer::connected();
        peer.call(1, "play", 2.0, [text("a")]);
        peer.call(2, "play", 3.0, [text("b")]);
        assert!(matches!(peer.session.poll_event(), Some(Event::Play { stream_id: 1, .. })));
        peer.session.set_asked(peer.now, true);
        assert_eq!(peer.session.poll_event(), None);
        peer.session.set_asked(peer.now, false);
        assert!(matches!(peer.session.poll_event(), Some(Event::Play { stream_id: 2, .. })));
    }

    #[test]
    fn nobody_is_too_slow_while_somebody_else_is_asked() {
        let mut peer = Peer::connected();
        peer.call(1, "publish", 2.0, [text("a")]);
        peer.events();
        peer.session.set_asked(peer.now, true);
        wait(&mut peer, 3_600).expect("it is not its fault");
        peer.session.set_asked(peer.now, false);
        wait(&mut peer, 9).expect("its own time begins now");
        assert_eq!(wait(&mut peer, 1), Err(SessionError::SetupTimeout(10_000)));
    }

    #[test]
    fn a_connect_that_is_asked_about_is_answered_before_what_stands_behind_it() {
        for split in [false, true] {
            let mut peer = Peer::new();
            peer.session.ask_before_connect(true);
            peer.handshake();
            peer.said();
            peer.connect();
            assert_eq!(peer.said(), [""; 0]);
            peer.call(0, "createStream", 2.0, []);
            assert_eq!((peer.said().len(), peer.events().len()), (0, 1));
            if split {
                peer.session.reject_connect("no");
                let said = peer.said();
                assert!(said.last().is_some_and(|line| line.contains("NetConnection.Connect.Rejected")), "{said:?}");
            } else {
                peer.session.accept_connect(peer.now).expect("it goes on");
                let said = peer.said();
                assert!(said.iter().any(|line| line.contains("NetConnection.Connect.Success")), "{said:?}");
                assert_eq!(said.last().map(String::as_str), Some("_result 2 1"));
            }
        }
    }
}
