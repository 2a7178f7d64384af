//! What the owner of a session tells it: yes and no to publishers and players, and what became of their streams.

use super::streams::Role;
use super::{ServerSession, Trust};
use crate::rtmp::message::UserControl;

impl ServerSession {
    /// `StreamBegin` and `NetStream.Publish.Start`. Nothing where no `publish` waits on `stream_id`.
    pub fn accept_publish(&mut self, stream_id: u32) {
        match self.streams.get_mut(stream_id) {
            Some(stream) if stream.role == Role::PublishAsked => stream.role = Role::Publishing,
            _ => return,
        }
        self.setup_since = None;
        self.raise_trust(Trust::Publisher);
        self.answers.user_control(UserControl::StreamBegin(stream_id));
        let code = "NetStream.Publish.Start";
        self.answers.on_status(stream_id, "status", code, "Publishing has started.");
    }

    /// `StreamBegin`, `NetStream.Play.Reset` (unless the client asked for none), `NetStream.Play.Start`. Nothing where
    /// no `play` waits on `stream_id`.
    ///
    /// `|RtmpSampleAccess` and `NetStream.Data.Start`, which Flash Media Server sends as data messages here, are left
    /// out: nobody waits for them, and ffmpeg makes a stream of its own of them, in front of audio and video.
    pub fn accept_play(&mut self, stream_id: u32) {
        let Some(stream) = self.streams.get_mut(stream_id) else {
            return;
        };
        let Role::PlayAsked { reset } = stream.role else {
            return;
        };
        stream.role = Role::Playing;
        self.setup_since = None;
        self.answers.user_control(UserControl::StreamBegin(stream_id));
        if reset {
            let code = "NetStream.Play.Reset";
            self.answers.on_status(stream_id, "status", code, "The playlist was reset.");
        }
        let code = "NetStream.Play.Start";
        self.answers.on_status(stream_id, "status", code, "Playing has started.");
    }

    /// `onStatus` of level `error` on `stream_id`; the owner then closes the connection once it is sent. Nothing
    /// where neither a publisher nor a player runs or waits on `stream_id`.
    pub fn reject(&mut self, stream_id: u32, code: &str, description: &str) {
        match self.streams.get_mut(stream_id) {
            Some(stream) if stream.role != Role::Idle => {
                stream.role = Role::Idle;
                stream.name = None;
            }
            _ => return,
        }
        self.answers.on_status(stream_id, "error", code, description);
    }

    /// Tells a player that its stream ended for good: `NetStream.Play.UnpublishNotify` and `StreamEOF`.
    pub fn notify_unpublished(&mut self, stream_id: u32) {
        if self.streams.role(stream_id) == Role::Playing {
            let code = "NetStream.Play.UnpublishNotify";
            self.answers.on_status(stream_id, "status", code, "The publisher has ended.");
            self.answers.user_control(UserControl::StreamEof(stream_id));
        }
    }

    /// Tells a player whose stream had ended that it begins again: `StreamBegin` and `NetStream.Play.PublishNotify`.
    pub fn notify_published(&mut self, stream_id: u32) {
        if self.streams.role(stream_id) == Role::Playing {
            self.answers.user_control(UserControl::StreamBegin(stream_id));
            let code = "NetStream.Play.PublishNotify";
            self.answers.on_status(stream_id, "status", code, "A publisher has begun.");
        }
    }

    /// Asks a client to reconnect, to the server at `url` (scheme, host and port), or to this one where that is empty.
    /// What it does meanwhile goes on until it leaves by itself. `false`: it did not announce that it knows this
    /// request (`capsEx` of its `connect`), and was not asked.
    pub fn request_reconnect(&mut self, url: &str, description: &str) -> bool {
        let Some(names) = self.names.as_ref().filter(|names| names.can_reconnect) else { return false };
        let tc_url = (!url.is_empty()).then(|| names.tc_url_at(url));
        self.answers.reconnect_request(tc_url.as_deref(), description);
        true
    }

    /// Ends every message stream in the way its role wants: publishers get `NetStream.Unpublish.Success`, players
    /// `NetStream.Play.Stop` and `StreamEOF`; then, for all, `NetConnection.Connect.Closed`. Nothing before `connect`.
    pub fn shut_down(&mut self, description: &str) {
        for stream in self.streams.take() {
            match stream.role {
                Role::Publishing => {
                    let code = "NetStream.Unpublish.Success";
                    self.answers.on_status(stream.id, "status", code, description);
                }
                Role::Playing => {
                    let code = "NetStream.Play.Stop";
                    self.answers.on_status(stream.id, "status", code, description);
                    self.answers.user_control(UserControl::StreamEof(stream.id));
                }
                Role::Idle | Role::PublishAsked | Role::PlayAsked { .. } => {}
            }
        }
        if self.names.is_some() {
            let code = "NetConnection.Connect.Closed";
            self.answers.on_status(0, "status", code, description);
        }
    }
}
