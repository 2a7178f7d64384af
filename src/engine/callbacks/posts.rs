//! Posts on their way.
//!
//! Owns: which are under way, how long each may take, what came back, and what is counted. Does not know who is asked
//! about.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use log::{debug, warn};

use crate::callback::{Outbox, OutboxFull, Outcome, Post, Request, Verdict};
use crate::config::CallbackConfig;
use crate::engine::{ConnectionId, Effect, Engine};
use crate::http::client::{ClientResponse, ResponseLimits, ResponseReader};

/// One attempt to post. Never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PostId(pub u64);

/// An attempt that is to be made. It is over with [`Effect::EndPost`], also where the driver told of its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostRequest {
    /// Its number.
    pub id: PostId,
    /// A name, or an address without brackets.
    pub host: String,
    /// Port to connect to.
    pub port: u16,
    /// What is to be sent. Holds the client's query, with keys and signatures.
    pub bytes: Bytes,
}

/// What an answer may have. Nobody looks at its body.
const ANSWER: ResponseLimits = ResponseLimits { head_bytes: 16 * 1024, headers: 100, body_bytes: 256 * 1024 };
/// What was not told is logged no more often than this.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// Who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Question(ConnectionId),
    /// Nobody; the event's name.
    Told(&'static str),
}

/// What was counted since the beginning.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Counts {
    /// Attempts.
    pub(in crate::engine) posts: u64,
    /// Attempts without an answer, or with 5xx.
    pub(in crate::engine) failures: u64,
    /// Questions whose answer was no, or that had none.
    pub(in crate::engine) refusals: u64,
    /// Events that were not told: too many waited, or nobody listened.
    pub(in crate::engine) untold: u64,
}

#[derive(Debug)]
struct UnderWay {
    post: Post<Owner>,
    reader: ResponseReader,
    until: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Posts {
    outbox: Outbox<Owner>,
    under_way: BTreeMap<PostId, UnderWay>,
    next: u64,
    pub(super) counts: Counts,
    /// How many were not told since the log was told so, and when that was.
    complaint: (u64, Option<Instant>),
}

impl Posts {
    pub(super) fn is_idle(&self) -> bool {
        self.outbox.is_empty() && self.under_way.is_empty()
    }

    pub(super) fn counts(&self) -> (Counts, usize) {
        (self.counts, self.outbox.len() + self.under_way.len())
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let under_way = self.under_way.values().map(|under_way| under_way.until).min();
        [under_way, self.outbox.poll_timeout()].into_iter().flatten().min()
    }

    pub(super) fn push(&mut self, config: &CallbackConfig, owner: Owner, request: Request) -> Result<u64, OutboxFull> {
        self.outbox.push(config, owner, request)
    }

    /// Nobody wants to know any more. The attempt that was under way, where there was one.
    pub(super) fn cancel(&mut self, number: u64) -> Option<PostId> {
        self.outbox.cancel(number);
        let (&id, _) = self.under_way.iter().find(|(_, under_way)| under_way.post.number == number)?;
        let under_way = self.under_way.remove(&id)?;
        self.outbox.abandon(&under_way.post);
        Some(id)
    }

    fn begin(&mut self, now: Instant, config: &CallbackConfig) -> Option<PostRequest> {
        let post = self.outbox.poll(now)?;
        self.next += 1;
        self.counts.posts += 1;
        let id = PostId(self.next);
        let url = &post.request.url;
        let request = PostRequest {
            id,
            host: url.host().trim_matches(['[', ']']).to_owned(),
            port: url.port(),
            bytes: post.request.bytes.clone(),
        };
        let until = now + Duration::from_millis(config.timeout_ms);
        self.under_way.insert(id, UnderWay { post, reader: ResponseReader::new(ANSWER), until });
        Some(request)
    }

    fn late(&self, now: Instant) -> Option<PostId> {
        self.under_way.iter().find(|(_, under_way)| under_way.until <= now).map(|(id, _)| *id)
    }

    fn reader(&mut self, id: PostId) -> Option<&mut ResponseReader> {
        self.under_way.get_mut(&id).map(|under_way| &mut under_way.reader)
    }

    /// Something was not told.
    pub(super) fn complain(&mut self, now: Instant, what: &str, why: &str) {
        self.counts.untold += 1;
        let (count, told_at) = &mut self.complaint;
        *count += 1;
        if told_at.is_none_or(|at| now.saturating_duration_since(at) >= COMPLAINT_INTERVAL) {
            warn!("callbacks: {count} not told, the last of them {what}: {why}");
            self.complaint = (0, Some(now));
        }
    }
}

/// A whole answer, and what it is in words.
fn outcome(response: &ClientResponse) -> (Outcome, String) {
    let location = response.fields.get("Location").map(str::to_owned);
    let why = match response.status {
        // Where it leads to may hold a key.
        300..=399 => format!("it answered {} without a name that a stream can have", response.status),
        status => format!("it answered {status}"),
    };
    (Outcome::Answer { status: response.status, location }, why)
}

impl Engine {
    /// Posts what may be posted now.
    pub(super) fn post(&mut self, now: Instant) {
        while let Some(request) = self.callbacks.posts.begin(now, &self.config.callbacks) {
            self.effects.push_back(Effect::Post(request));
        }
    }

    /// Bytes that came back. Those of a post that is over are ignored.
    pub fn handle_post_input(&mut self, now: Instant, id: PostId, input: &[u8]) {
        let Some(reader) = self.callbacks.posts.reader(id) else { return };
        match reader.handle_input(input) {
            Ok(None) => {}
            Ok(Some(response)) => {
                let (outcome, why) = outcome(&response);
                self.end_post(now, id, &outcome, &why);
            }
            Err(error) => self.handle_post_failed(now, id, &error.to_string()),
        }
    }

    /// The other side sends no more.
    pub fn handle_post_closed(&mut self, now: Instant, id: PostId) {
        let Some(reader) = self.callbacks.posts.reader(id) else { return };
        match reader.handle_end() {
            Ok(response) => {
                let (outcome, why) = outcome(&response);
                self.end_post(now, id, &outcome, &why);
            }
            Err(error) => self.handle_post_failed(now, id, &error.to_string()),
        }
    }

    /// There is no connection, or none any more; why, for the log.
    pub fn handle_post_failed(&mut self, now: Instant, id: PostId, why: &str) {
        self.end_post(now, id, &Outcome::NoAnswer, &format!("no answer: {why}"));
    }

    pub(super) fn end_late_posts(&mut self, now: Instant) {
        while let Some(id) = self.callbacks.posts.late(now) {
            let why = format!("not within {} ms (callbacks.timeout_ms)", self.config.callbacks.timeout_ms);
            self.handle_post_failed(now, id, &why);
        }
    }

    fn end_post(&mut self, now: Instant, id: PostId, outcome: &Outcome, why: &str) {
        let posts = &mut self.callbacks.posts;
        let Some(UnderWay { post, .. }) = posts.under_way.remove(&id) else { return };
        self.effects.push_back(Effect::EndPost(id));
        let has_failed = match outcome {
            Outcome::Answer { status, .. } => *status >= 500,
            Outcome::NoAnswer => true,
        };
        posts.counts.failures += u64::from(has_failed);
        let (number, url) = (post.number, post.request.url.authority().to_owned());
        match posts.outbox.finish(now, &self.config.callbacks, post, outcome) {
            None => debug!("callback to {url}: {why}; it is tried again"),
            Some((Owner::Told(event), _)) => {
                if has_failed {
                    posts.complain(now, event, why);
                }
            }
            Some((Owner::Question(asked), verdict)) => self.answer_question(now, asked, number, verdict, why),
        }
        self.post(now);
    }

    pub(super) fn cancel_post(&mut self, now: Instant, number: u64) {
        if let Some(id) = self.callbacks.posts.cancel(number) {
            self.effects.push_back(Effect::EndPost(id));
            self.post(now);
        }
    }

    pub(super) fn count_refusal(&mut self, verdict: &Verdict) {
        self.callbacks.posts.counts.refusals += u64::from(*verdict == Verdict::Refuse);
    }
}
