//! Who publishes, who subscribes, who gets which frame.
//!
//! Owns: the registry of streams, their headers and group of pictures, the wait for a key frame, the timeline, the
//! rules for a publisher that drops, comes back or is replaced. Does not know RTMP, HTTP or the bytes of any wire:
//! whoever owns the hub gives it [`Sink`], to which it hands frames.

mod cache;
mod join;
mod stream;
#[cfg(test)]
mod test_frames;
#[cfg(test)]
mod tests;
mod timeline;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use slab::Slab;
use thiserror::Error;

pub use self::join::Burst;
use self::stream::{Publisher, Stream};
pub use self::timeline::START_MS;
use crate::config::{AppConfig, JoinMode};
use crate::media::{Frame, FrameKind, FrameRole, TrackSet};

/// A stream of this hub. Valid while its publisher or a subscriber of it stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(usize);

impl StreamId {
    /// A small number; used again for another stream once this one is gone.
    pub const fn index(self) -> usize {
        self.0
    }
}

/// A publisher, as the hub's owner names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublisherId(pub u64);

/// A subscriber, as the hub's owner names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubscriberId(pub u64);

/// What became of a frame that was handed to a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It will be sent.
    Queued,
    /// The subscriber is too far behind: this frame and what waited before it were dropped. Nothing more is handed to
    /// it until a frame comes on which a player can begin.
    Skipped,
}

/// Where the hub's decisions go.
pub trait Sink {
    /// `frame` goes to `to`. Called for one frame after the other, each for many subscribers. `begins_group`: a player
    /// can begin with it and needs nothing that came before, headers aside.
    fn deliver(&mut self, to: SubscriberId, frame: &Frame, begins_group: bool) -> Delivery;
    /// The stream of `subscriber` ended for good.
    fn ended(&mut self, subscriber: SubscriberId);
    /// The stream of `subscriber`, which had ended, begins again.
    fn began(&mut self, subscriber: SubscriberId);
}

/// How a publisher left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// It said so: the stream ends.
    Clean,
    /// It did not: it may come back within the grace window.
    Lost,
}

/// Why nobody may publish under a name now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PublishError {
    /// Somebody does, and is not silent or not the same.
    #[error("the stream is being published already")]
    AlreadyPublishing,
    /// The hub holds as many streams as it may.
    #[error("too many streams")]
    TooManyStreams,
}

/// The right to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Where frames go.
    pub stream: StreamId,
    /// The silent publisher that has to give way; it no longer publishes.
    pub evicted: Option<PublisherId>,
    /// Whether a stream that was lost goes on.
    pub resumed: bool,
}

/// A frame as a publisher gave it, before it has its place in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingFrame {
    /// Audio, video or data.
    pub kind: FrameKind,
    /// What it is good for.
    pub role: FrameRole,
    /// Tracks inside.
    pub tracks: TrackSet,
    /// The publisher's own clock: milliseconds, wrapping at 2^32.
    pub timestamp: u32,
    /// Presentation time minus decoding time, in milliseconds.
    pub composition_ms: i32,
    /// Body.
    pub payload: Bytes,
}

/// All streams of a server.
#[derive(Debug)]
pub struct Hub {
    /// Most streams.
    limit: usize,
    streams: Slab<Stream>,
    names: HashMap<String, StreamId>,
    /// Same names, by id; only looked at when a stream goes.
    names_by_id: HashMap<StreamId, String>,
    graces: BTreeSet<(Instant, StreamId)>,
    /// Counts changes of what those who join are sent, of all streams together.
    changes: u64,
}

impl Hub {
    /// No streams yet, and never more than `limit` that are published or waited for.
    pub fn new(limit: usize) -> Self {
        Hub {
            limit,
            streams: Slab::new(),
            names: HashMap::new(),
            names_by_id: HashMap::new(),
            graces: BTreeSet::new(),
            changes: 0,
        }
    }

    /// From now on there are at most `limit` streams, and for each of them holds what `app_of` says of its name.
    /// Nothing that is there goes by that.
    pub fn set_limits(&mut self, limit: usize, app_of: impl Fn(&str) -> Arc<AppConfig>) {
        self.limit = limit;
        for (id, name) in &self.names_by_id {
            if let Some(stream) = self.streams.get_mut(id.0) {
                self.changes += 1;
                stream.version = self.changes;
                stream.set_app(app_of(name));
            }
        }
    }

    /// What holds for the application of a stream.
    pub fn app(&self, stream_id: StreamId) -> Option<&Arc<AppConfig>> {
        self.streams.get(stream_id.0).map(|stream| &stream.app)
    }

    /// Begins to publish `name`, in an application for which `app` holds. A publisher that was silent for long enough
    /// gives way to one of the same `identity`, where `app` says so.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn publish<S: Sink>(
        &mut self,
        now: Instant,
        name: &str,
        id: PublisherId,
        identity: &str,
        app: &Arc<AppConfig>,
        sink: &mut S,
    ) -> Result<Grant, PublishError> {
        let stream_id = self.find_or_create(name, app).ok_or(PublishError::TooManyStreams)?;
        self.touch(stream_id);
        let Some(stream) = self.streams.get_mut(stream_id.0) else {
            return Err(PublishError::TooManyStreams);
        };
        let evicted = match &stream.publisher {
            None => None,
            Some(present) => {
                present.gives_way(now, identity, app)?;
                Some(present.id)
            }
        };
        let grace_until = stream.grace_until;
        let publisher = Publisher { id, identity: identity.to_owned(), heard_at: now };
        stream.set_app(Arc::clone(app));
        stream.begin_publisher(publisher, sink);
        if let Some(until) = grace_until {
            self.graces.remove(&(until, stream_id));
        }
        Ok(Grant { stream: stream_id, evicted, resumed: evicted.is_some() || grace_until.is_some() })
    }

    /// Whether [`Hub::publish`] would be granted now. Nothing changes.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn check_publish(&self, now: Instant, name: &str, identity: &str, app: &AppConfig) -> Result<(), PublishError> {
        let Some(id) = self.names.get(name) else {
            let is_full = self.streams.len() >= self.limit;
            return if is_full { Err(PublishError::TooManyStreams) } else { Ok(()) };
        };
        match self.streams.get(id.0).and_then(|stream| stream.publisher.as_ref()) {
            Some(present) => present.gives_way(now, identity, app),
            None => Ok(()),
        }
    }

    /// A publisher leaves. Nothing happens where it is no longer the publisher.
    pub fn unpublish<S: Sink>(
        &mut self,
        now: Instant,
        stream_id: StreamId,
        id: PublisherId,
        departure: Departure,
        sink: &mut S,
    ) {
        self.touch(stream_id);
        let Some(stream) = self.publishing(stream_id, id) else { return };
        match departure {
            Departure::Clean => stream.end(sink),
            Departure::Lost => {
                let until = stream.lose(now);
                self.graces.insert((until, stream_id));
            }
        }
        self.forget_if_idle(stream_id);
    }

    /// Adds a subscriber to `name`, which need not be published yet, in an application for which `app` holds. Send it
    /// [`Hub::burst`], then call [`Hub::open`] if there was a picture in it. `None`: the hub holds as many streams as
    /// it may.
    pub fn subscribe(&mut self, name: &str, id: SubscriberId, app: &Arc<AppConfig>) -> Option<StreamId> {
        let stream_id = self.find_or_create(name, app)?;
        self.streams.get_mut(stream_id.0)?.subscribe(id);
        Some(stream_id)
    }

    /// Removes a subscriber.
    pub fn unsubscribe(&mut self, stream_id: StreamId, id: SubscriberId) {
        if let Some(stream) = self.streams.get_mut(stream_id.0) {
            stream.unsubscribe(id);
        }
        self.forget_if_idle(stream_id);
    }

    /// What to send to one who joins now.
    pub fn burst(&self, stream_id: StreamId, mode: JoinMode) -> Burst {
        self.streams.get(stream_id.0).map(|stream| stream.burst(mode, &stream.app.cache)).unwrap_or_default()
    }

    /// As [`Hub::burst`], for a player that looks at no pictures before it plays.
    pub fn burst_without_probe(&self, stream_id: StreamId, mode: JoinMode) -> Burst {
        let stream = self.streams.get(stream_id.0);
        stream.map(|stream| stream.burst_without_probe(mode, &stream.app.cache)).unwrap_or_default()
    }

    /// All that is remembered in whole groups of pictures, with true timestamps: the present group and, as far as
    /// [`AppConfig::history_ms`] wants them and the limits of the cache let them stay, those before it.
    pub fn history(&self, stream_id: StreamId) -> Burst {
        self.streams.get(stream_id.0).map(Stream::history).unwrap_or_default()
    }

    /// As long as this is the same, so is [`Hub::burst`] of the stream. No two streams ever have the same.
    pub fn version(&self, stream_id: StreamId) -> u64 {
        self.streams.get(stream_id.0).map_or(0, |stream| stream.version)
    }

    /// The subscriber was sent a burst with pictures: live frames follow on.
    pub fn open(&mut self, stream_id: StreamId, id: SubscriberId) {
        if let Some(stream) = self.streams.get_mut(stream_id.0) {
            stream.open(id);
        }
    }

    /// The subscriber wants nothing for now.
    pub fn set_paused(&mut self, stream_id: StreamId, id: SubscriberId) {
        if let Some(stream) = self.streams.get_mut(stream_id.0) {
            stream.set_paused(id);
        }
    }

    /// The paused subscriber goes on: what to send to it, as [`Hub::burst`] for one who joins; then call [`Hub::open`]
    /// if there was a picture in it. There is none where it would take the subscriber back to what it has seen.
    /// `None`: it was not paused.
    pub fn resume(&mut self, stream_id: StreamId, id: SubscriberId, mode: JoinMode) -> Option<Burst> {
        let stream = self.streams.get_mut(stream_id.0)?;
        let app = Arc::clone(&stream.app);
        stream.resume(id, mode, &app.cache)
    }

    /// The subscriber wants, or no longer wants, audio or video.
    pub fn set_wanted(&mut self, stream_id: StreamId, id: SubscriberId, kind: FrameKind, wanted: bool) {
        if let Some(stream) = self.streams.get_mut(stream_id.0) {
            stream.set_wanted(id, kind, wanted);
        }
    }

    /// Takes a frame of a publisher and hands it to the subscribers. Ignored where `id` no longer publishes.
    pub fn frame<S: Sink>(
        &mut self,
        now: Instant,
        stream_id: StreamId,
        id: PublisherId,
        incoming: IncomingFrame,
        sink: &mut S,
    ) {
        self.changes += 1;
        let Some(stream) = self.streams.get_mut(stream_id.0) else { return };
        stream.version = self.changes;
        let Some(publisher) = stream.publisher.as_mut().filter(|publisher| publisher.id == id) else {
            return;
        };
        publisher.heard_at = now;
        let frame = Frame {
            kind: incoming.kind,
            role: incoming.role,
            tracks: incoming.tracks,
            timestamp_ms: stream.place(now, &incoming),
            composition_ms: incoming.composition_ms,
            payload: incoming.payload,
        };
        let app = Arc::clone(&stream.app);
        stream.frame(&frame, &app.cache, sink);
    }

    /// What the metadata of a stream say about its pictures per second.
    pub fn set_frame_rate(&mut self, stream_id: StreamId, id: PublisherId, rate: Option<f64>) {
        self.touch(stream_id);
        if let Some(stream) = self.publishing(stream_id, id) {
            stream.set_frame_rate(rate);
        }
    }

    /// Forgets the metadata of a stream.
    pub fn clear_metadata(&mut self, stream_id: StreamId, id: PublisherId) {
        self.touch(stream_id);
        if let Some(stream) = self.publishing(stream_id, id) {
            stream.clear_metadata();
        }
    }

    /// Ends streams whose publisher did not come back.
    pub fn handle_timeout<S: Sink>(&mut self, now: Instant, sink: &mut S) {
        while let Some(&(until, stream_id)) = self.graces.first().filter(|(until, _)| *until <= now) {
            self.graces.remove(&(until, stream_id));
            self.touch(stream_id);
            if let Some(stream) = self.streams.get_mut(stream_id.0) {
                stream.end(sink);
            }
            self.forget_if_idle(stream_id);
        }
    }

    /// When [`Hub::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.graces.first().map(|(until, _)| *until)
    }

    /// Number of streams that are published, waited for, or in their grace window.
    pub fn stream_count(&self) -> usize {
        self.streams.len()
    }

    /// Number of subscribers of a stream.
    pub fn subscriber_count(&self, stream_id: StreamId) -> usize {
        self.streams.get(stream_id.0).map_or(0, Stream::subscriber_count)
    }

    /// How often a stream's timestamps had to be held or spliced.
    pub fn anomalies(&self, stream_id: StreamId) -> u64 {
        self.streams.get(stream_id.0).map_or(0, Stream::anomalies)
    }

    /// Name of a stream; empty where there is none.
    pub fn name(&self, stream_id: StreamId) -> &str {
        self.names_by_id.get(&stream_id).map_or("", String::as_str)
    }

    /// Ids and names of all streams, in no order.
    pub fn streams(&self) -> impl Iterator<Item = (StreamId, &str)> {
        self.names.iter().map(|(name, &id)| (id, name.as_str()))
    }

    /// The stream with this name.
    pub fn find(&self, name: &str) -> Option<StreamId> {
        self.names.get(name).copied()
    }

    /// Who publishes a stream now.
    pub fn publisher(&self, stream_id: StreamId) -> Option<PublisherId> {
        self.streams.get(stream_id.0)?.publisher.as_ref().map(|publisher| publisher.id)
    }

    /// Bytes of all that is kept of one stream for those who join.
    pub fn stream_bytes(&self, stream_id: StreamId) -> usize {
        self.streams.get(stream_id.0).map_or(0, Stream::cached_bytes)
    }

    /// Forgets the pictures that are kept for those who join: they wait for the next key frame.
    pub fn forget_pictures(&mut self, stream_id: StreamId) {
        self.touch(stream_id);
        if let Some(stream) = self.streams.get_mut(stream_id.0) {
            stream.forget_pictures();
        }
    }

    /// Those subscribers of a stream were left out of what was sent, as with [`Delivery::Skipped`]: they go on with a
    /// frame on which a player can begin.
    pub fn hold_back(&mut self, stream_id: StreamId, is_one: impl Fn(SubscriberId) -> bool) {
        if let Some(stream) = self.streams.get_mut(stream_id.0) {
            stream.hold_back(is_one);
        }
    }

    /// Bytes of all that is kept for those who join, of all streams.
    pub fn cached_bytes(&self) -> usize {
        self.streams.iter().map(|(_, stream)| stream.cached_bytes()).sum()
    }

    /// Whether a publisher of `name` is there now.
    pub fn is_published(&self, name: &str) -> bool {
        self.names.get(name).and_then(|id| self.streams.get(id.0)).is_some_and(|stream| stream.publisher.is_some())
    }

    /// What those who join are sent may change.
    fn touch(&mut self, stream_id: StreamId) {
        self.changes += 1;
        if let Some(stream) = self.streams.get_mut(stream_id.0) {
            stream.version = self.changes;
        }
    }

    fn publishing(&mut self, stream_id: StreamId, id: PublisherId) -> Option<&mut Stream> {
        let stream = self.streams.get_mut(stream_id.0)?;
        stream.publisher.as_ref().is_some_and(|publisher| publisher.id == id).then_some(stream)
    }

    fn find_or_create(&mut self, name: &str, app: &Arc<AppConfig>) -> Option<StreamId> {
        if let Some(&id) = self.names.get(name) {
            return Some(id);
        }
        if self.streams.len() >= self.limit {
            return None;
        }
        let id = StreamId(self.streams.insert(Stream::new(Arc::clone(app))));
        self.names.insert(name.to_owned(), id);
        self.names_by_id.insert(id, name.to_owned());
        self.touch(id);
        Some(id)
    }

    fn forget_if_idle(&mut self, id: StreamId) {
        if !self.streams.get(id.0).is_some_and(Stream::is_idle) {
            return;
        }
        self.streams.remove(id.0);
        if let Some(name) = self.names_by_id.remove(&id) {
            self.names.remove(&name);
        }
    }
}
