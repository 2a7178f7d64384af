//! Programs that are asked and told, joined to connections.
//!
//! Owns: when a program is asked and told, who waits for its answer, and what follows from it. Does not know sockets
//! and names of hosts: a post is an effect, and what comes of it is told with [`Engine::handle_post_input`],
//! [`Engine::handle_post_closed`] and [`Engine::handle_post_failed`]. How an event is written and what an answer
//! means is the room `callback`.
//!
//! The order for whoever begins: the name is checked, then the rules of access, then the program is asked, then it
//! begins. So nobody is asked about who may not in any case. Each one who begins ends once, and that is told once
//! ([`ends`]); whoever is refused, or leaves before the answer, never began, and no end of it is told.
//!
//! **Who is asked about is not read from** ([`StopReading`](super::Effect::StopReading) and
//! [`ReadOn`](super::Effect::ReadOn)): what an encoder
//! sends without waiting stays in the kernel, whose flow control then holds the encoder back. The
//! alternative, keeping its frames here, would need a limit of its own and a decision what to do beyond it. What came
//! in the same read as the question, at most the loop's buffer, waits in the session. A connection that publishes
//! already and asks for one stream more pauses as a whole for that time. HTTP connections are read on: their sessions
//! keep what comes before the answer within `limits.http.head_bytes`.

mod client;
mod ends;
mod posts;
mod questions;
mod viewers;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

pub(in crate::engine) use self::client::ClientInfo;
use self::client::Said;
use self::ends::Started;
pub(in crate::engine) use self::posts::Counts;
use self::posts::Posts;
pub use self::posts::{PostId, PostRequest};
use self::questions::Questions;
pub(in crate::engine) use self::viewers::Viewer;
use self::viewers::Viewers;
use super::{ConnectionId, Engine};

/// What is known for callbacks. All of it is empty where none is set.
#[derive(Debug, Default)]
pub(in crate::engine) struct Callbacks {
    posts: Posts,
    questions: Questions,
    /// What clients said of themselves.
    said: HashMap<ConnectionId, Arc<Said>>,
    /// By connection and message stream: whose end is to be told.
    started: HashMap<(ConnectionId, u32), Started>,
    viewers: Viewers,
}

impl Callbacks {
    /// Whether nothing waits to be posted, or is on its way.
    pub(in crate::engine) fn is_idle(&self) -> bool {
        self.posts.is_idle()
    }

    /// When [`Engine::do_callbacks`] has something to do.
    pub(in crate::engine) fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = [self.posts.poll_timeout(), self.questions.poll_timeout(), self.viewers.poll_timeout()];
        deadlines.into_iter().flatten().min()
    }

    /// What was counted, and how many wait or are on their way.
    pub(in crate::engine) fn counts(&self) -> (Counts, usize) {
        self.posts.counts()
    }
}

impl Engine {
    /// Does what is due.
    pub(in crate::engine) fn do_callbacks(&mut self, now: Instant) {
        self.end_late_posts(now);
        self.end_late_questions(now);
        self.end_idle_viewers(now);
        self.post(now);
    }

    /// This connection is gone.
    pub(in crate::engine) fn forget_client(&mut self, id: ConnectionId) {
        self.callbacks.said.remove(&id);
    }
}
