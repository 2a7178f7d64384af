//! Control messages of the peer, acknowledgements and pings (5.4, 7.1.7).

use std::time::{Duration, Instant};

use super::ServerSession;
use crate::rtmp::message::{ControlMessage, UserControl};

impl ServerSession {
    /// Set Chunk Size and Abort were acted on by the chunk decoder. Acknowledgements, Set Peer Bandwidth, buffer
    /// lengths and Ping Responses ask for nothing: that bytes arrived is noted for all of them alike. What is too
    /// short or unknown is ignored.
    pub(super) fn handle_control(&mut self, type_id: u8, payload: &[u8]) {
        match ControlMessage::decode(type_id, payload) {
            Some(ControlMessage::WindowAcknowledgementSize(window_bytes)) if window_bytes > 0 => {
                self.peer_window_bytes = window_bytes;
            }
            Some(ControlMessage::UserControl(UserControl::PingRequest(number))) => {
                self.answers.user_control(UserControl::PingResponse(number));
            }
            _ => {}
        }
    }

    /// Acknowledges what arrived once it is the peer's window; also where that is larger or none was announced, since
    /// some wait for it all the same (Wirecast). The latter not too often: a file that is pushed as fast as it can be
    /// needs none, and an encoder that closes its socket with an answer unread loses what it had still to send.
    pub(super) fn acknowledge(&mut self, now: Instant) {
        let limits = &self.config.limits;
        let unacknowledged = self.received_bytes.wrapping_sub(self.acknowledged_bytes);
        let age = now.saturating_duration_since(self.acknowledged_at);
        let unasked = unacknowledged >= limits.acknowledgement_bytes
            && age >= Duration::from_millis(limits.acknowledgement_interval_ms);
        if unasked || unacknowledged >= self.peer_window_bytes {
            self.acknowledged_bytes = self.received_bytes;
            self.acknowledged_at = now;
            self.answers.control(ControlMessage::Acknowledgement(self.received_bytes));
        }
    }

    /// Ping Request with the session's age in milliseconds.
    pub(super) fn ping(&mut self, now: Instant) {
        let age_ms = now.saturating_duration_since(self.started).as_millis();
        let number = u32::try_from(age_ms & u128::from(u32::MAX)).unwrap_or(0);
        self.answers.user_control(UserControl::PingRequest(number));
    }
}
