//! Who is watching.
//!
//! Owns: counting players, which make many requests each. Does not know what they ask for.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Players that are told apart at most; they choose the numbers that are remembered.
const MAX_SESSIONS: usize = 100_000;

/// Players by the session that their URIs carry.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    seen: HashMap<u64, Instant>,
}

impl Sessions {
    pub(super) fn note(&mut self, now: Instant, session: u64) {
        if self.seen.len() < MAX_SESSIONS || self.seen.contains_key(&session) {
            self.seen.insert(session, now);
        }
    }

    /// Players that asked for something within `window`; the others are forgotten.
    pub(super) fn forget_old(&mut self, now: Instant, window: Duration) {
        self.seen.retain(|_, seen| now.saturating_duration_since(*seen) <= window);
    }

    pub(super) fn count(&self, now: Instant, window: Duration) -> usize {
        self.seen.values().filter(|seen| now.saturating_duration_since(**seen) <= window).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_cannot_make_it_grow_for_ever() {
        let now = Instant::now();
        let mut sessions = Sessions::default();
        for session in 0..MAX_SESSIONS as u64 + 5 {
            sessions.note(now, session);
        }
        assert_eq!(sessions.count(now, Duration::ZERO), MAX_SESSIONS);
        let later = now + Duration::from_secs(1);
        sessions.note(later, 0);
        sessions.forget_old(later, Duration::ZERO);
        assert_eq!(sessions.seen.len(), 1);
    }
}
