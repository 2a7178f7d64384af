//! What the engine counts, for those who operate it.
//!
//! Owns: counters, the sessions that ended, how long turns take and how long the server holds messages back. Does not
//! know who asks, nor how an answer is written.
//!
//! Counting costs a few additions for each message and each write; nothing is allocated on the way of a frame.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use log::warn;

use super::close::CloseReason;
use super::connection::{Connection, Session};
use super::histogram::{Histogram, Recent};
use super::queue::Sent;
use crate::hub::{IncomingFrame, StreamId};
use crate::output::live::Form;
use crate::output::monitor::{Declared, StreamMonitor};

/// How somebody plays a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlayedAs {
    Rtmp,
    Http(Form),
}

/// What a connection was in the hub: its last stream, kept after it left.
#[derive(Debug, Clone)]
pub(super) struct Past {
    pub(super) protocol: &'static str,
    pub(super) role: &'static str,
    pub(super) stream: String,
}

/// A session that ended.
#[derive(Debug, Clone)]
pub(super) struct SessionRecord {
    pub(super) peer: SocketAddr,
    pub(super) protocol: &'static str,
    pub(super) role: &'static str,
    pub(super) stream: Option<String>,
    pub(super) began_unix_ms: u64,
    pub(super) duration: Duration,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) dropped: u64,
    pub(super) reason: String,
}

/// Players of one stream, by what they play it with.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Players {
    pub(super) rtmp: u32,
    pub(super) flv: u32,
    pub(super) ts: u32,
    pub(super) mp4: u32,
}

impl Players {
    /// RTMP, FLV, MPEG-TS, MP4, HLS.
    pub(super) fn all(self, hls: u64) -> [u64; 5] {
        [self.rtmp.into(), self.flv.into(), self.ts.into(), self.mp4.into(), hls]
    }

    fn of(&mut self, played_as: PlayedAs) -> &mut u32 {
        match played_as {
            PlayedAs::Rtmp => &mut self.rtmp,
            PlayedAs::Http(Form::Flv) => &mut self.flv,
            PlayedAs::Http(Form::Ts) => &mut self.ts,
            PlayedAs::Http(Form::Mp4) => &mut self.mp4,
        }
    }
}

/// What is counted of one stream.
#[derive(Debug)]
pub(super) struct StreamStats {
    name: String,
    /// Of the present publisher, or the last one.
    pub(super) monitor: Option<Box<StreamMonitor>>,
    pub(super) published_at: Option<Instant>,
    pub(super) players: Players,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) messages_in: u64,
    pub(super) dropped: u64,
    /// Messages that came and were written in this turn.
    fresh: u64,
    delay: Option<Box<Delay>>,
}

/// How long a stream's messages were held back.
#[derive(Debug, Default)]
struct Delay {
    lately: Recent,
    /// Since the stream is known.
    ever: Histogram,
}

impl Delay {
    fn add(&mut self, span: u64, us: u64, count: u64) {
        self.lately.add(span, us, count);
        self.ever.add(us, count);
    }
}

/// Delays of a stream are told over one to two of these.
const DELAY_SPAN: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Stats {
    began: Instant,
    serials: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) messages_in: u64,
    pub(super) dropped: u64,
    pub(super) closes: BTreeMap<&'static str, u64>,
    /// The newest at the front.
    pub(super) sessions: VecDeque<SessionRecord>,
    pub(super) turns: Histogram,
    pub(super) delay: Histogram,
    pub(super) memory_bytes: Option<u64>,
    pub(super) rtmp_port: Option<u16>,
    /// Messages that came and were written in this turn.
    fresh: u64,
    /// By the hub's number.
    streams: Vec<Option<Box<StreamStats>>>,
    /// Streams with messages that came and were written in this turn.
    touched: Vec<StreamId>,
}

impl Stats {
    pub(super) fn new(now: Instant) -> Self {
        Stats {
            began: now,
            serials: 0,
            bytes_in: 0,
            bytes_out: 0,
            messages_in: 0,
            dropped: 0,
            closes: BTreeMap::new(),
            sessions: VecDeque::new(),
            turns: Histogram::default(),
            delay: Histogram::default(),
            memory_bytes: None,
            rtmp_port: None,
            fresh: 0,
            streams: Vec::new(),
            touched: Vec::new(),
        }
    }

    /// Since the engine began.
    pub(super) fn uptime(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }

    fn span(&self, now: Instant) -> u64 {
        self.uptime(now).as_secs() / DELAY_SPAN.as_secs()
    }

    /// A number that no other connection has or had.
    pub(super) fn next_serial(&mut self) -> u64 {
        self.serials += 1;
        self.serials
    }

    // Streams.

    /// What is counted of a stream; `None` where nothing was.
    pub(super) fn stream(&mut self, id: StreamId) -> Option<&mut StreamStats> {
        self.streams.get_mut(id.index())?.as_deref_mut()
    }

    /// How many play a stream, without HLS.
    pub(super) fn players(&self, id: StreamId) -> Players {
        let stream = self.streams.get(id.index()).and_then(Option::as_deref);
        stream.map(|stream| stream.players).unwrap_or_default()
    }

    /// What is counted of a stream, from nothing where the hub's number stood for another name before.
    fn stream_named(&mut self, id: StreamId, name: &str) -> Option<&mut StreamStats> {
        let index = id.index();
        if self.streams.len() <= index {
            self.streams.resize_with(index + 1, || None);
        }
        let slot = self.streams.get_mut(index)?;
        if slot.as_ref().is_none_or(|stream| stream.name != name) {
            *slot = Some(Box::new(StreamStats::new(name)));
        }
        slot.as_deref_mut()
    }

    /// The hub knows this stream no more.
    pub(super) fn forget_stream(&mut self, id: StreamId) {
        if let Some(slot) = self.streams.get_mut(id.index()) {
            *slot = None;
        }
    }

    /// Forgets all streams but those.
    pub(super) fn retain_streams(&mut self, is_known: impl Fn(&str) -> bool) {
        for slot in &mut self.streams {
            if slot.as_ref().is_some_and(|stream| !is_known(&stream.name)) {
                *slot = None;
            }
        }
    }

    pub(super) fn publisher_began(&mut self, now: Instant, id: StreamId, name: &str) {
        if let Some(stream) = self.stream_named(id, name) {
            stream.monitor = Some(Box::default());
            stream.published_at = Some(now);
        }
    }

    pub(super) fn player_began(&mut self, id: StreamId, name: &str, played_as: PlayedAs) {
        if let Some(stream) = self.stream_named(id, name) {
            *stream.players.of(played_as) += 1;
        }
    }

    pub(super) fn player_ended(&mut self, id: StreamId, played_as: PlayedAs) {
        if let Some(stream) = self.stream(id) {
            let count = stream.players.of(played_as);
            *count = count.saturating_sub(1);
        }
    }

    /// A publisher sent a message. `true`: [`Stats::check`] wants to be called.
    pub(super) fn message(&mut self, now: Instant, id: StreamId, frame: &IncomingFrame) -> bool {
        let len = frame.payload.len() as u64;
        self.messages_in += 1;
        let Some(stream) = self.stream(id) else { return false };
        stream.bytes_in += len;
        stream.messages_in += 1;
        stream.monitor.as_mut().is_some_and(|monitor| monitor.frame(now, frame))
    }

    /// Tells the log what is wrong with a stream.
    pub(super) fn check(&mut self, now: Instant, id: StreamId, anomalies: u64) {
        let Some(StreamStats { name, monitor: Some(monitor), .. }) = self.stream(id) else { return };
        for warning in monitor.check(now, anomalies) {
            warn!("{name}: {}", warning.text);
        }
    }

    pub(super) fn set_declared(&mut self, id: StreamId, declared: Declared) {
        if let Some(monitor) = self.stream(id).and_then(|stream| stream.monitor.as_mut()) {
            monitor.set_declared(declared);
        }
    }

    pub(super) fn dropped(&mut self, id: StreamId, count: u64) {
        self.dropped += count;
        if let Some(stream) = self.stream(id) {
            stream.dropped += count;
        }
    }

    // Writing.

    /// `count` bytes went out to one who is attached to `stream`, and with them the messages that `sent` tells of.
    pub(super) fn written(&mut self, now: Instant, stream: Option<StreamId>, count: usize, sent: Sent) {
        self.bytes_out += count as u64;
        self.fresh += sent.fresh;
        let span = self.span_if(now, sent.late > 0);
        if sent.late > 0 {
            self.delay.add(sent.late_us(), sent.late);
        }
        let Some(id) = stream else { return };
        let Some(stream) = self.streams.get_mut(id.index()).and_then(Option::as_deref_mut) else { return };
        stream.bytes_out += count as u64;
        if sent.late > 0 {
            stream.delay.get_or_insert_default().add(span, sent.late_us(), sent.late);
        }
        if sent.fresh > 0 {
            if stream.fresh == 0 {
                self.touched.push(id);
            }
            stream.fresh += sent.fresh;
        }
    }

    fn span_if(&self, now: Instant, is_needed: bool) -> u64 {
        if is_needed { self.span(now) } else { 0 }
    }

    /// A turn of the loop is over: whatever came and was written in it was held back for as long at most.
    pub(super) fn end_turn(&mut self, began: Instant, ended: Instant) {
        let us = ended.saturating_duration_since(began).as_micros() as u64;
        self.turns.add(us, 1);
        if self.fresh == 0 {
            return;
        }
        self.delay.add(us, std::mem::take(&mut self.fresh));
        let span = self.span(began);
        while let Some(id) = self.touched.pop() {
            if let Some(stream) = self.stream(id) {
                let fresh = std::mem::take(&mut stream.fresh);
                stream.delay.get_or_insert_default().add(span, us, fresh);
            }
        }
    }

    /// Delay of a stream's messages lately, in microseconds: of half of them at most, of 99 % at most.
    pub(super) fn delay_us(&mut self, now: Instant, id: StreamId) -> Option<(u64, u64)> {
        let span = self.span(now);
        let delay = &mut self.stream(id)?.delay.as_mut()?.lately;
        Some((delay.percentile_us(span, 50)?, delay.percentile_us(span, 99)?))
    }

    /// Delay of all messages of a stream since it is known.
    pub(super) fn delay_ever(&mut self, id: StreamId) -> Option<&Histogram> {
        self.stream(id)?.delay.as_ref().map(|delay| &delay.ever)
    }

    // Ends.

    pub(super) fn count_close(&mut self, reason: &CloseReason) {
        *self.closes.entry(reason.label()).or_default() += 1;
    }

    /// A connection is gone. Those over HTTP that played nothing are counted and forgotten.
    pub(super) fn closed(
        &mut self,
        now: Instant,
        unix_ms: u64,
        connection: &Connection,
        reason: &CloseReason,
        kept: usize,
    ) {
        self.count_close(reason);
        let past = connection.past.as_deref();
        if past.is_none() && matches!(connection.session, Session::Http(_)) {
            return;
        }
        let duration = now.saturating_duration_since(connection.opened_at);
        let record = SessionRecord {
            peer: connection.peer,
            protocol: past.map_or_else(|| connection.protocol_name(), |past| past.protocol),
            role: past.map_or("none", |past| past.role),
            stream: past.map(|past| past.stream.clone()),
            began_unix_ms: unix_ms.saturating_sub(duration.as_millis() as u64),
            duration,
            bytes_in: connection.bytes_in,
            bytes_out: connection.bytes_out,
            dropped: connection.dropped,
            reason: reason.to_string(),
        };
        self.remember(record, kept);
    }

    /// Puts a session in front of those that ended before, of which so many are kept.
    pub(super) fn remember(&mut self, record: SessionRecord, kept: usize) {
        self.sessions.push_front(record);
        self.sessions.truncate(kept);
    }
}

impl StreamStats {
    fn new(name: &str) -> Self {
        StreamStats {
            name: name.to_owned(),
            monitor: None,
            published_at: None,
            players: Players::default(),
            bytes_in: 0,
            bytes_out: 0,
            messages_in: 0,
            dropped: 0,
            fresh: 0,
            delay: None,
        }
    }
}

impl Sent {
    /// Mean time that those waited which came in an earlier turn, in microseconds.
    fn late_us(&self) -> u64 {
        self.late_ms * 1000 / self.late.max(1)
    }
}
