//! `/metrics`: what is counted, as Prometheus reads it (text format 0.0.4).
//!
//! Owns: names, units and labels of the metrics. Does not know who asks.

use std::fmt::{Display, Write as _};
use std::time::Instant;

use super::Engine;
use super::connection::Session;
use super::histogram::Histogram;
use crate::hub::StreamId;

/// Text that grows by one metric after the other.
#[derive(Debug, Default)]
struct Page {
    text: String,
}

impl Page {
    fn begin(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{open}{label}=\"{}\"", escaped(text));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.begin(name, kind, help);
        self.sample(name, &[], value);
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.begin(name, "histogram", help);
        self.histogram_samples(name, None, histogram, 1);
    }

    /// The samples of one histogram, with each `step`th power of two as a limit.
    fn histogram_samples(&mut self, name: &str, label: Option<(&str, &str)>, histogram: &Histogram, step: usize) {
        let labels: Vec<_> = label.into_iter().collect();
        let bucket = format!("{name}_bucket");
        for (limit_us, count) in histogram.powers().step_by(step) {
            let limit = seconds(limit_us).to_string();
            self.sample(&bucket, &[labels.as_slice(), &[("le", &limit)]].concat(), count);
        }
        self.sample(&bucket, &[labels.as_slice(), &[("le", "+Inf")]].concat(), histogram.total());
        self.sample(&format!("{name}_sum"), &labels, seconds(histogram.sum_us()));
        self.sample(&format!("{name}_count"), &labels, histogram.total());
    }
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

/// A label's value may hold anything.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Histograms of single streams have every second limit: there may be many of them.
const STREAM_STEP: usize = 2;

/// One stream, as far as it has metrics.
struct StreamRow {
    name: String,
    values: Vec<StreamSample>,
}

/// Which of [`OF_STREAMS`], a label beside the stream's name where there is one, and the value.
type StreamSample = (usize, Option<(&'static str, &'static str)>, f64);

/// Metrics of single streams: name, type, help.
const OF_STREAMS: [(&str, &str, &str); 11] = [
    ("rtmpd_stream_bytes_total", "counter", "Bytes of a stream."),
    ("rtmpd_stream_messages_total", "counter", "Messages that a stream's publishers sent."),
    ("rtmpd_stream_dropped_messages_total", "counter", "Messages of a stream that were dropped for slow players."),
    ("rtmpd_stream_anomalies_total", "counter", "Corrections of a stream's clock."),
    ("rtmpd_stream_players", "gauge", "Players of a stream."),
    ("rtmpd_stream_bytes_per_second", "gauge", "What a stream's publisher sends."),
    ("rtmpd_stream_frames_per_second", "gauge", "Pictures of a stream."),
    ("rtmpd_stream_gop_seconds", "gauge", "From one key frame of a stream to the next."),
    ("rtmpd_stream_delay_seconds", "gauge", "How long the server held messages of a stream back lately, at most."),
    ("rtmpd_stream_warnings", "gauge", "Warnings about what a stream's publisher sends."),
    ("rtmpd_stream_lag_seconds", "gauge", "How long the oldest waiting byte of a stream's slowest player has waited."),
];

impl Engine {
    /// The page.
    pub(super) fn metrics(&mut self, now: Instant) -> String {
        let mut page = Page::default();
        self.put_totals(now, &mut page);
        self.put_connections(&mut page);
        self.put_callbacks(&mut page);
        let delay = "Time from a message's arrival to its being written to a player.";
        page.histogram("rtmpd_added_delay_seconds", delay, &self.stats.delay);
        page.histogram("rtmpd_turn_seconds", "Turns of the event loop.", &self.stats.turns);
        self.put_streams(now, &mut page);
        page.text
    }

    fn put_totals(&self, now: Instant, page: &mut Page) {
        let stats = &self.stats;
        page.begin("rtmpd_build_info", "gauge", "The running version.");
        page.sample("rtmpd_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        let uptime = stats.uptime(now).as_secs_f64();
        page.single("rtmpd_uptime_seconds", "gauge", "Time since the server began.", uptime);
        page.single("rtmpd_streams", "gauge", "Streams that are published.", self.published_count());
        page.begin("rtmpd_bytes_total", "counter", "Bytes received from peers and sent to them.");
        page.sample("rtmpd_bytes_total", &[("direction", "in")], stats.bytes_in);
        page.sample("rtmpd_bytes_total", &[("direction", "out")], stats.bytes_out);
        let name = "rtmpd_messages_total";
        page.single(name, "counter", "Audio, video and data messages of publishers.", stats.messages_in);
        let name = "rtmpd_dropped_messages_total";
        page.single(name, "counter", "Messages that were dropped for slow players.", stats.dropped);
        page.begin("rtmpd_closes_total", "counter", "Connections that ended, by reason.");
        for (reason, count) in &stats.closes {
            page.sample("rtmpd_closes_total", &[("reason", reason)], count);
        }
        let cached = self.hub.cached_bytes();
        page.single("rtmpd_cache_bytes", "gauge", "Pictures and headers kept for players that join.", cached);
        let waiting = self.outputs.waiting_bytes();
        page.single("rtmpd_disk_queue_bytes", "gauge", "Recordings that wait for the disk.", waiting);
        let name = "rtmpd_memory_bytes";
        page.begin(name, "gauge", "Memory that counts toward the limit, by what it is used for.");
        for (usage, bytes) in self.memory_uses() {
            page.sample(name, &[("use", usage)], bytes);
        }
        let limit = self.config.memory_limit;
        page.single("rtmpd_memory_limit_bytes", "gauge", "limits.memory_limit; 0 where there is none.", limit);
        if let Some(bytes) = stats.memory_bytes {
            page.single("process_resident_memory_bytes", "gauge", "Memory of the program.", bytes);
        }
        page.single("rtmpd_draining", "gauge", "1 where the server is about to end.", u8::from(self.is_draining()));
    }

    fn put_connections(&self, page: &mut Page) {
        let (mut rtmp, mut http, mut queued) = (0_u64, 0_u64, 0_usize);
        for (_, connection) in &self.connections {
            match connection.session {
                Session::Rtmp(_) => rtmp += 1,
                Session::Http(_) => http += 1,
            }
            queued += connection.queue.len();
        }
        page.begin("rtmpd_connections", "gauge", "Open connections.");
        page.sample("rtmpd_connections", &[("protocol", "rtmp")], rtmp);
        page.sample("rtmpd_connections", &[("protocol", "http")], http);
        page.single("rtmpd_queue_bytes", "gauge", "Bytes that wait to be sent, counted for each player.", queued);
    }

    fn put_callbacks(&self, page: &mut Page) {
        let (counts, waiting) = self.callbacks.counts();
        let name = "rtmpd_callback_posts_total";
        page.single(name, "counter", "Attempts to post a callback.", counts.posts);
        let name = "rtmpd_callback_failures_total";
        page.single(name, "counter", "Attempts without an answer, or answered with 5xx.", counts.failures);
        let name = "rtmpd_callback_refusals_total";
        page.single(name, "counter", "Questions whose answer was no, or that had none.", counts.refusals);
        let name = "rtmpd_callback_untold_total";
        page.single(name, "counter", "Events that could not be told.", counts.untold);
        let name = "rtmpd_callbacks_waiting";
        page.single(name, "gauge", "Callbacks that wait or are being posted.", waiting);
    }

    fn put_streams(&mut self, now: Instant, page: &mut Page) {
        let mut streams: Vec<(bool, String, StreamId)> =
            self.hub.streams().map(|(id, name)| (self.hub.publisher(id).is_none(), name.to_owned(), id)).collect();
        // Published ones first.
        streams.sort_unstable();
        let mut players = [("rtmp", 0), ("flv", 0), ("ts", 0), ("mp4", 0), ("hls", 0)];
        for (_, name, id) in &streams {
            let hls = self.viewers.count(name) as u64;
            for ((_, sum), count) in players.iter_mut().zip(self.stats.players(*id).all(hls)) {
                *sum += count;
            }
        }
        page.begin("rtmpd_players", "gauge", "Players of all streams.");
        for (protocol, count) in players {
            page.sample("rtmpd_players", &[("protocol", protocol)], count);
        }
        streams.truncate(self.config.api.metrics_streams);
        let name = "rtmpd_stream_added_delay_seconds";
        page.begin(name, "histogram", "Time from a message's arrival to its being written to a player of this stream.");
        for (_, stream, id) in &streams {
            if let Some(delay) = self.stats.delay_ever(*id) {
                page.histogram_samples(name, Some(("stream", stream)), delay, STREAM_STEP);
            }
        }
        let lags = self.lags_ms(now);
        let rows = streams.into_iter().map(|(_, name, id)| {
            let mut row = self.stream_row(now, id, name);
            row.values.push((10, None, f64::from(lags.get(&id).copied().unwrap_or_default()) / 1000.0));
            row
        });
        let rows: Vec<StreamRow> = rows.collect();
        for (index, (metric, kind, help)) in OF_STREAMS.iter().enumerate() {
            page.begin(metric, kind, help);
            for StreamRow { name, values } in &rows {
                for (_, labels, value) in values.iter().filter(|(of, _, _)| *of == index) {
                    let labels: Vec<_> = [("stream", name.as_str())].into_iter().chain(*labels).collect();
                    page.sample(metric, &labels, value);
                }
            }
        }
    }

    fn stream_row(&mut self, now: Instant, id: StreamId, name: String) -> StreamRow {
        let mut values = Vec::new();
        let hls = self.viewers.count(&name) as u64;
        let delay = self.stats.delay_us(now, id);
        let is_published = self.hub.publisher(id).is_some();
        values.push((3, None, self.hub.anomalies(id) as f64));
        let Some(counted) = self.stats.stream(id) else { return StreamRow { name, values } };
        values.push((0, Some(("direction", "in")), counted.bytes_in as f64));
        values.push((0, Some(("direction", "out")), counted.bytes_out as f64));
        values.push((1, None, counted.messages_in as f64));
        values.push((2, None, counted.dropped as f64));
        for (protocol, count) in ["rtmp", "flv", "ts", "mp4", "hls"].into_iter().zip(counted.players.all(hls)) {
            values.push((4, Some(("protocol", protocol)), count as f64));
        }
        if let Some(monitor) = counted.monitor.as_ref().filter(|_| is_published) {
            if let Some(video) = monitor.video(now) {
                values.push((5, Some(("kind", "video")), video.bitrate_bps as f64 / 8.0));
                values.extend(video.frame_rate.map(|rate| (6, None, rate)));
                values.extend(video.gop_ms.map(|ms| (7, None, f64::from(ms) / 1000.0)));
            }
            if let Some(audio) = monitor.audio(now) {
                values.push((5, Some(("kind", "audio")), audio.bitrate_bps as f64 / 8.0));
            }
            values.push((9, None, monitor.warnings().len() as f64));
        }
        if let Some((p50, p99)) = delay {
            values.push((8, Some(("percentile", "50")), seconds(p50)));
            values.push((8, Some(("percentile", "99")), seconds(p99)));
        }
        StreamRow { name, values }
    }
}
