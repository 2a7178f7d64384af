//! Who waits for an answer.
//!
//! Owns: the one question that a connection may have open, how long it may wait, and what each verdict means for it.
//! Does not know how a question is posted.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{debug, warn};

use super::ClientInfo;
use super::client::Said;
use super::posts::Owner;
use super::viewers::View;
use crate::access::{self, Action, REFUSAL};
use crate::callback::{self, Event, RETRY_WAIT, Verdict};
use crate::config::CallbackConfig;
use crate::engine::{CloseReason, ConnectionId, Effect, Engine, hub_name};
use crate::http::Response;
use crate::rtmp::path::StreamPath;
use crate::rtmp::server::{ConnectInfo, code};

/// What is asked about.
#[derive(Debug)]
pub(super) enum Asked {
    Connect,
    Publish { message_stream: u32, path: StreamPath },
    Play { message_stream: u32, path: StreamPath },
    View(Box<View>),
}

impl Asked {
    const fn event(&self) -> Event<'static> {
        match self {
            Asked::Connect => Event::Connect,
            Asked::Publish { .. } => Event::Publish,
            Asked::Play { .. } | Asked::View(_) => Event::Play,
        }
    }

    const fn is_rtmp(&self) -> bool {
        !matches!(self, Asked::View(_))
    }
}

#[derive(Debug)]
pub(super) struct Question {
    /// Of its post.
    number: u64,
    pub(super) asked: Asked,
    until: Instant,
}

/// All that are open.
#[derive(Debug, Default)]
pub(super) struct Questions {
    open: HashMap<ConnectionId, Question>,
    deadlines: BTreeSet<(Instant, ConnectionId)>,
}

impl Questions {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    fn insert(&mut self, id: ConnectionId, question: Question) {
        self.deadlines.insert((question.until, id));
        self.open.insert(id, question);
    }

    fn take(&mut self, id: ConnectionId) -> Option<Question> {
        let question = self.open.remove(&id)?;
        self.deadlines.remove(&(question.until, id));
        Some(question)
    }

    fn number(&self, id: ConnectionId) -> Option<u64> {
        self.open.get(&id).map(|question| question.number)
    }

    /// The viewer that `id` asks for, and who waits with it.
    pub(super) fn view_mut(&mut self, id: ConnectionId) -> Option<&mut View> {
        match self.open.get_mut(&id).map(|question| &mut question.asked) {
            Some(Asked::View(view)) => Some(view),
            _ => None,
        }
    }
}

/// The longest that a question may take: as long as all of its attempts, however long they had to wait for others.
fn longest(config: &CallbackConfig) -> Duration {
    let attempt = Duration::from_millis(config.timeout_ms).saturating_add(RETRY_WAIT);
    attempt.saturating_mul(config.retries.saturating_add(1))
}

impl Engine {
    /// An RTMP client has said `connect`: it goes on at once, or after the answer.
    pub(in crate::engine) fn ask_connect(&mut self, now: Instant, id: ConnectionId, info: &ConnectInfo) {
        let callbacks = &self.config.callbacks;
        if callbacks.asks_or_tells() {
            self.callbacks.said.insert(id, Arc::new(Said::new(info)));
        }
        if !self.config.callbacks.on_connect.is_set() {
            return self.accept_connect(now, id);
        }
        let place = place_of(info);
        let info = self.client_info(id, &place);
        self.ask(now, id, &info, Asked::Connect);
    }

    fn accept_connect(&mut self, now: Instant, id: ConnectionId) {
        let Some(session) = self.connections.get_mut(id.0).and_then(|connection| connection.rtmp()) else { return };
        if let Err(reason) = session.accept_connect(now) {
            self.close(now, id, reason.into());
        }
    }

    /// Whether a program is asked before `path` is published. A name that cannot be had is not asked about: its
    /// publisher is refused.
    pub(in crate::engine) fn asks_to_publish(
        &mut self,
        now: Instant,
        id: ConnectionId,
        message_stream: u32,
        path: &StreamPath,
    ) -> bool {
        if !self.config.callbacks.on_publish.is_set() {
            return false;
        }
        let name = hub_name(path);
        let app = self.apps.of(&path.app);
        let identity = access::identity(app, &path.query);
        if !self.is_test_stream(&name)
            && let Err(error) = self.hub.check_publish(now, &name, &identity, app)
        {
            self.refuse_publisher(now, id, message_stream, &name, &error);
            return true;
        }
        let info = self.client_info(id, path);
        self.ask(now, id, &info, Asked::Publish { message_stream, path: path.clone() });
        true
    }

    /// Whether a program is asked before `path` is played.
    pub(in crate::engine) fn asks_to_play(
        &mut self,
        now: Instant,
        id: ConnectionId,
        message_stream: u32,
        path: &StreamPath,
    ) -> bool {
        if !self.config.callbacks.on_play.is_set() {
            return false;
        }
        let info = self.client_info(id, path);
        self.ask(now, id, &info, Asked::Play { message_stream, path: path.clone() });
        true
    }

    pub(super) fn ask(&mut self, now: Instant, id: ConnectionId, info: &ClientInfo, asked: Asked) {
        let config = Arc::clone(&self.config);
        let Some(request) = callback::request(&config.callbacks, &asked.event(), &info.view()) else { return };
        if asked.is_rtmp() {
            self.set_asked(now, id, true);
        }
        match self.callbacks.posts.push(&config.callbacks, Owner::Question(id), request) {
            Ok(number) => {
                let until = now + longest(&config.callbacks);
                self.callbacks.questions.insert(id, Question { number, asked, until });
                self.post(now);
            }
            Err(full) => self.decide_question(now, id, asked, Verdict::Refuse, &full.to_string()),
        }
    }

    /// Holds an RTMP client, or lets it go on.
    fn set_asked(&mut self, now: Instant, id: ConnectionId, is_asked: bool) {
        if let Some(session) = self.connections.get_mut(id.0).and_then(|connection| connection.rtmp()) {
            session.set_asked(now, is_asked);
            self.effects.push_back(if is_asked { Effect::StopReading(id) } else { Effect::ReadOn(id) });
        }
    }

    /// The client leaves, or wants it no more: nobody is asked, and what comes back counts for nothing.
    pub(in crate::engine) fn cancel_question(&mut self, now: Instant, id: ConnectionId) {
        let Some(question) = self.callbacks.questions.take(id) else { return };
        self.cancel_post(now, question.number);
        match question.asked {
            Asked::View(view) => self.ask_for_others(now, id, *view),
            _ => self.set_asked(now, id, false),
        }
    }

    pub(super) fn end_late_questions(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.callbacks.questions.deadlines.first()
            && at <= now
        {
            let Some(number) = self.callbacks.questions.number(id) else { return };
            self.cancel_post(now, number);
            self.answer_question(now, id, number, Verdict::Refuse, "its turn did not come in time");
        }
    }

    /// An answer, unless the one who was asked about is gone.
    pub(super) fn answer_question(&mut self, now: Instant, id: ConnectionId, number: u64, verdict: Verdict, why: &str) {
        if self.callbacks.questions.number(id) != Some(number) {
            return;
        }
        if let Some(question) = self.callbacks.questions.take(id) {
            self.decide_question(now, id, question.asked, verdict, why);
        }
    }

    fn decide_question(&mut self, now: Instant, id: ConnectionId, asked: Asked, verdict: Verdict, why: &str) {
        let verdict = match (&asked, verdict) {
            // There is no stream yet that could be called otherwise.
            (Asked::Connect, Verdict::Rename(_)) => Verdict::Refuse,
            (_, verdict) => verdict,
        };
        self.count_refusal(&verdict);
        if asked.is_rtmp() {
            self.set_asked(now, id, false);
        }
        match asked {
            Asked::Connect => self.decide_connect(now, id, &verdict, why),
            Asked::Publish { message_stream, path } => {
                let place = self.place_after(id, Action::Publish, &path, &verdict, why);
                match place.and_then(|place| self.may_begin().map(|()| place)) {
                    Ok(path) => self.start_publishing(now, id, message_stream, &path),
                    Err(reason) => self.refuse_after(now, id, message_stream, code::PUBLISH_DENIED, reason),
                }
            }
            Asked::Play { message_stream, path } => {
                let place = self.place_after(id, Action::Play, &path, &verdict, why);
                match place.and_then(|place| self.may_begin().map(|()| place)) {
                    Ok(path) => self.start_playing(now, id, message_stream, &path),
                    Err(reason) => self.refuse_after(now, id, message_stream, code::PLAY_FAILED, reason),
                }
            }
            Asked::View(view) => self.decide_view(now, id, *view, &verdict, why),
        }
        self.drain_session(now, id);
        self.schedule(id);
    }

    fn decide_connect(&mut self, now: Instant, id: ConnectionId, verdict: &Verdict, why: &str) {
        if *verdict == Verdict::Allow {
            return self.accept_connect(now, id);
        }
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        warn!("{}: may not connect: on_connect: {why}", connection.peer);
        if let Some(session) = connection.rtmp() {
            session.reject_connect(REFUSAL);
        }
        self.close(now, id, CloseReason::Refused(format!("on_connect: {why}")));
    }

    fn refuse_after(&mut self, now: Instant, id: ConnectionId, message_stream: u32, code: &str, reason: CloseReason) {
        self.reject(id, message_stream, code, REFUSAL);
        self.close(now, id, reason);
    }

    /// Where it begins after this answer. The log is told why not.
    pub(super) fn place_after(
        &self,
        id: ConnectionId,
        action: Action,
        path: &StreamPath,
        verdict: &Verdict,
        why: &str,
    ) -> Result<StreamPath, CloseReason> {
        let event = match action {
            Action::Publish => "on_publish",
            Action::Play => "on_play",
        };
        let refused = |why: &str| CloseReason::Refused(format!("{event}: {why}"));
        let decided = match verdict {
            Verdict::Allow => Ok(path.clone()),
            Verdict::Rename(name) => path.renamed(name).map_err(|error| refused(&error.to_string())),
            Verdict::Refuse => Err(refused(why)),
        };
        if let Some(connection) = self.connections.get(id.0) {
            let (peer, name) = (connection.peer, hub_name(path));
            match &decided {
                Ok(new) if new != path => debug!("{peer}: {name} becomes {} ({event})", hub_name(new)),
                Ok(_) => {}
                Err(reason) => warn!("{peer}: may not {} {name}: {reason}", action.name()),
            }
        }
        decided
    }

    pub(super) fn refuse_view(&mut self, now: Instant, id: ConnectionId) {
        self.respond(now, id, Response::text(403, REFUSAL).with_cors());
    }
}

/// Application, virtual host and query of a `connect`; there is no stream yet.
fn place_of(info: &ConnectInfo) -> StreamPath {
    let path = StreamPath::resolve(info.tc_url.as_deref(), &info.app, "-");
    match path {
        Ok(path) => StreamPath { stream: String::new(), ..path },
        Err(_) => {
            let (app, query) = info.app.split_once('?').unwrap_or((&info.app, ""));
            let (app, query) = (app.to_owned(), query.to_owned());
            StreamPath { vhost: String::new(), app, stream: String::new(), query }
        }
    }
}
