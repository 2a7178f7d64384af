//! What a publisher sends, in numbers, and what is wrong with it.
//!
//! Owns: codecs, sizes and rates of a stream as people want to read them, and the warnings to whoever set the encoder
//! up. Does not know connections, nor how metadata are written. Looks at headers and, once, at the first key frame; of
//! all other frames it counts bytes and reads the clock.

use std::time::{Duration, Instant};

use crate::container::flv::tag;
use crate::container::flv::unit::units;
use crate::hub::IncomingFrame;
use crate::media::codec::{CodecId, aac, ac3, av1, avc, flac, hevc, mp3, opus, vp9};
use crate::media::{Frame, FrameKind, FrameRole, HeaderKind};

/// Seconds that are remembered.
const SECONDS: usize = 10;
/// Bit rates are told over so many of them.
const RATE_SECONDS: usize = 5;
/// Longest distance of key frames that is no reason to warn.
const LONG_GOP_MS: u32 = 4_000;
/// A distance of key frames beyond this is a clock that jumped.
const LONGEST_GOP_MS: u32 = 600_000;
/// Pictures per second are counted over at least so much of the stream's time.
const FRAME_RATE_MS: u32 = 1_000;
/// Sound and pictures may stand so far apart.
const APART_MS: u32 = 1_000;
/// They are apart in so many seconds one after the other before that is a reason to warn.
const APART_SECONDS: u32 = 3;
/// A clock jumps that had to be corrected so often.
const JUMPS: u64 = 3;

/// What the pictures are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VideoInfo {
    /// Which codec.
    pub codec: CodecId,
    /// Width and height in pixels, where they are known.
    pub dimensions: Option<(u16, u16)>,
    /// Pictures per second, where they are known.
    pub frame_rate: Option<f64>,
    /// From one key frame to the next, in milliseconds.
    pub gop_ms: Option<u32>,
    /// Bits per second.
    pub bitrate_bps: u64,
}

/// What the sound is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioInfo {
    /// Which codec.
    pub codec: CodecId,
    /// Samples per second, where they are known.
    pub sample_rate: Option<u32>,
    /// Channels, where they are known.
    pub channels: Option<u8>,
    /// Bits per second.
    pub bitrate_bps: u64,
}

/// What is wrong with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WarningKind {
    /// Key frames are far apart.
    LongGop,
    /// AAC came without its sequence header.
    AacWithoutHeader,
    /// The publisher's clock jumps.
    ClockJumps,
    /// Sound and pictures are not sent together.
    AudioVideoApart,
    /// Far more is sent than was announced.
    BitrateAboveMetadata,
}

impl WarningKind {
    /// A short name, for programs.
    pub const fn name(self) -> &'static str {
        match self {
            WarningKind::LongGop => "long-gop",
            WarningKind::AacWithoutHeader => "aac-without-header",
            WarningKind::ClockJumps => "clock-jumps",
            WarningKind::AudioVideoApart => "audio-video-apart",
            WarningKind::BitrateAboveMetadata => "bitrate-above-metadata",
        }
    }
}

/// Something that is wrong, told once for each publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What.
    pub kind: WarningKind,
    /// The same for a person, with what to do about it.
    pub text: String,
}

/// What the publisher's metadata say.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Declared {
    /// Pictures per second.
    pub frame_rate: Option<f64>,
    /// Bits per second of the pictures.
    pub video_bps: Option<u64>,
    /// Bits per second of the sound.
    pub audio_bps: Option<u64>,
}

/// Watches the frames of one publisher.
#[derive(Debug, Default)]
pub struct StreamMonitor {
    video: Option<Video>,
    audio: Option<Audio>,
    declared: Declared,
    group: Group,
    seconds: Seconds,
    /// When the newest coded frame came, and its timestamp.
    last_video: Option<(Instant, u32)>,
    last_audio: Option<(Instant, u32)>,
    apart_seconds: u32,
    /// Corrections of the stream's clock when this publisher began.
    first_anomalies: Option<u64>,
    warnings: Vec<Warning>,
}

#[derive(Debug)]
struct Video {
    codec: CodecId,
    track: u8,
    dimensions: Option<(u16, u16)>,
    /// As the header says it.
    frame_rate: Option<f64>,
}

#[derive(Debug)]
struct Audio {
    codec: CodecId,
    sample_rate: Option<u32>,
    channels: Option<u8>,
    has_header: bool,
}

/// The clock of the pictures.
#[derive(Debug, Default)]
struct Group {
    /// Timestamp of the newest key frame.
    began: Option<u32>,
    gop_ms: Option<u32>,
    /// Timestamp of the key frame from which pictures are counted, and how many there were.
    counted_from: Option<u32>,
    counted: u32,
    frame_rate: Option<f64>,
}

impl Group {
    fn key_frame(&mut self, timestamp: u32) {
        let distance = |from: Option<u32>| {
            let ms = from.map(|from| timestamp.wrapping_sub(from));
            ms.filter(|ms| (1..=LONGEST_GOP_MS).contains(ms))
        };
        if let Some(ms) = distance(self.began) {
            self.gop_ms = Some(ms);
        }
        match distance(self.counted_from) {
            Some(ms) if ms < FRAME_RATE_MS => {}
            told => {
                if let Some(ms) = told {
                    self.frame_rate = Some(f64::from(self.counted) * 1000.0 / f64::from(ms));
                }
                self.counted_from = Some(timestamp);
                self.counted = 0;
            }
        }
        self.began = Some(timestamp);
    }
}

/// Bytes of one second.
#[derive(Debug, Default, Clone, Copy)]
struct Second {
    video: u64,
    audio: u64,
}

/// Bytes of the last seconds.
#[derive(Debug, Default)]
struct Seconds {
    present: Second,
    ends: Option<Instant>,
    /// Whole seconds, as a ring.
    past: [Second; SECONDS],
    /// How many seconds have passed.
    passed: usize,
}

impl Seconds {
    /// `true`: a second is over.
    fn turn(&mut self, now: Instant) -> bool {
        const SECOND: Duration = Duration::from_secs(1);
        let Some(ends) = self.ends else {
            self.ends = Some(now + SECOND);
            return false;
        };
        if now < ends {
            return false;
        }
        let silent = now.saturating_duration_since(ends).as_secs();
        self.push();
        for _ in 0..silent.min(SECONDS as u64) {
            self.push();
        }
        self.ends = Some(ends + SECOND + Duration::from_secs(silent));
        true
    }

    fn push(&mut self) {
        let second = std::mem::take(&mut self.present);
        if let Some(slot) = self.past.get_mut(self.passed % SECONDS) {
            *slot = second;
        }
        self.passed += 1;
    }

    /// Bits per second over the last `seconds`, or as many as there are.
    fn rates(&self, seconds: usize) -> Second {
        let count = seconds.min(self.passed).min(SECONDS);
        let mut sum = Second::default();
        for back in 1..=count {
            let second = self.past.get((self.passed - back) % SECONDS).copied().unwrap_or_default();
            sum.video += second.video;
            sum.audio += second.audio;
        }
        let per_second = |bytes: u64| bytes * 8 / count.max(1) as u64;
        Second { video: per_second(sum.video), audio: per_second(sum.audio) }
    }
}

impl StreamMonitor {
    /// A publisher sent `frame`. `true`: a second is over, and [`StreamMonitor::check`] may find something.
    pub fn frame(&mut self, now: Instant, frame: &IncomingFrame) -> bool {
        match frame.kind {
            FrameKind::Video => self.video_frame(now, frame),
            FrameKind::Audio => self.audio_frame(now, frame),
            FrameKind::Data => {}
        }
        self.seconds.turn(now)
    }

    /// The publisher's metadata say this.
    pub fn set_declared(&mut self, declared: Declared) {
        self.declared = declared;
    }

    fn video_frame(&mut self, now: Instant, frame: &IncomingFrame) {
        self.seconds.present.video += frame.payload.len() as u64;
        match frame.role {
            FrameRole::Header(HeaderKind::Sequence) => self.read_video(frame),
            FrameRole::Key | FrameRole::Delta | FrameRole::Disposable => {
                if self.video.as_ref().is_some_and(|video| !frame.tracks.contains(video.track)) {
                    return;
                }
                self.last_video = Some((now, frame.timestamp));
                if frame.role == FrameRole::Key {
                    self.group.key_frame(frame.timestamp);
                    if self.video.as_ref().is_none_or(|video| video.dimensions.is_none()) {
                        self.read_video(frame);
                    }
                }
                self.group.counted = self.group.counted.saturating_add(1);
            }
            _ => {}
        }
    }

    fn audio_frame(&mut self, now: Instant, frame: &IncomingFrame) {
        self.seconds.present.audio += frame.payload.len() as u64;
        match frame.role {
            FrameRole::Header(HeaderKind::Sequence) => self.read_audio(frame),
            FrameRole::Key => {
                self.last_audio = Some((now, frame.timestamp));
                if self.audio.is_none() {
                    self.read_audio(frame);
                }
            }
            _ => {}
        }
    }

    fn read_video(&mut self, frame: &IncomingFrame) {
        let Some(unit) = units(&placed(frame)).into_iter().min_by_key(|unit| unit.track) else { return };
        let known = self.video.take().filter(|video| !unit.is_header && video.codec == unit.codec);
        let mut video =
            known.unwrap_or(Video { codec: unit.codec, track: unit.track, dimensions: None, frame_rate: None });
        match (unit.codec, unit.is_header) {
            (CodecId::Avc, true) => {
                let record = avc::Record::decode(&unit.data).ok();
                let sps = record.and_then(|record| record.sps.first().and_then(|sps| avc::Sps::decode(sps)));
                video.dimensions = sps.as_ref().map(|sps| (sps.width, sps.height));
                video.frame_rate = sps.and_then(|sps| sps.frame_rate);
            }
            (CodecId::Hevc, true) => {
                let record = hevc::Record::decode(&unit.data).ok();
                video.dimensions = record.and_then(|record| record.sps.first().and_then(|sps| hevc::dimensions(sps)));
            }
            (CodecId::Av1, true) => {
                let record = av1::Record::decode(&unit.data).ok();
                video.dimensions = record.and_then(|record| av1::dimensions(&record.config_obus));
            }
            (CodecId::Av1, false) => video.dimensions = av1::dimensions(&unit.data),
            (CodecId::Vp9, false) => video.dimensions = vp9::dimensions(&unit.data),
            _ => {}
        }
        self.video = Some(video);
    }

    fn read_audio(&mut self, frame: &IncomingFrame) {
        let is_header = frame.role != FrameRole::Key;
        let unit = units(&placed(frame)).into_iter().min_by_key(|unit| unit.track);
        let codec =
            unit.as_ref().map_or_else(|| tag::audio_info(&frame.payload).codec.id(frame.kind), |unit| unit.codec);
        let told = unit.and_then(|unit| match (codec, is_header) {
            (CodecId::Aac, true) => {
                aac::Config::decode(&unit.data).ok().map(|config| (config.output_sample_rate(), config.channels))
            }
            (CodecId::Opus, true) => Some((OPUS_RATE, opus::Head::decode(&unit.data).ok()?.channels)),
            (CodecId::Flac, true) => {
                flac::StreamInfo::decode(&unit.data).ok().map(|info| (info.sample_rate, info.channels))
            }
            (CodecId::Mp3, false) => {
                mp3::FrameHead::decode(&unit.data).ok().map(|head| (head.sample_rate, head.channels))
            }
            (CodecId::Ac3 | CodecId::Eac3, false) => {
                let first = ac3::Packet::decode(&unit.data).ok()?.first;
                Some((first.sample_rate, first.channels()))
            }
            _ => None,
        });
        self.audio = Some(Audio {
            codec,
            sample_rate: told.map(|(sample_rate, _)| sample_rate),
            channels: told.map(|(_, channels)| channels),
            has_header: is_header,
        });
    }

    /// What the pictures are; `None` before the first.
    pub fn video(&self, now: Instant) -> Option<VideoInfo> {
        let video = self.video.as_ref()?;
        Some(VideoInfo {
            codec: video.codec,
            dimensions: video.dimensions,
            frame_rate: self.group.frame_rate.or(video.frame_rate).or(self.declared.frame_rate),
            gop_ms: self.group.gop_ms,
            bitrate_bps: self.rates(now).video,
        })
    }

    /// What the sound is; `None` before the first.
    pub fn audio(&self, now: Instant) -> Option<AudioInfo> {
        let audio = self.audio.as_ref()?;
        Some(AudioInfo {
            codec: audio.codec,
            sample_rate: audio.sample_rate,
            channels: audio.channels,
            bitrate_bps: self.rates(now).audio,
        })
    }

    fn rates(&self, now: Instant) -> Second {
        // The seconds of one that fell silent stand still.
        let is_silent = self.seconds.ends.is_none_or(|ends| now > ends + Duration::from_secs(1));
        if is_silent { Second::default() } else { self.seconds.rates(RATE_SECONDS) }
    }

    /// All that is wrong, in the order in which it was found.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Looks for what is wrong, once a second; says what was not known before. `anomalies`: how often the stream's
    /// clock had to be corrected until now.
    pub fn check(&mut self, now: Instant, anomalies: u64) -> &[Warning] {
        let known = self.warnings.len();
        self.check_groups();
        self.check_clocks(now, anomalies);
        self.check_rates();
        if self.audio.as_ref().is_some_and(|audio| audio.codec == CodecId::Aac && !audio.has_header) {
            let text =
                "AAC came without its sequence header: most players stay silent; start the encoder anew".to_owned();
            self.warn(WarningKind::AacWithoutHeader, text);
        }
        self.warnings.get(known..).unwrap_or_default()
    }

    fn check_groups(&mut self) {
        let Group { began, gop_ms, .. } = self.group;
        let running = began.zip(self.last_video).map(|(began, (_, newest))| newest.wrapping_sub(began));
        let running = running.filter(|ms| *ms <= LONGEST_GOP_MS);
        if let Some(ms) = gop_ms.max(running).filter(|ms| *ms > LONG_GOP_MS) {
            let seconds = f64::from(ms) / 1000.0;
            let text = format!(
                "a key frame comes every {seconds:.1} s or more: set the encoder's key frame interval to 2 s, so that \
                 slow players lose less and HLS has shorter segments"
            );
            self.warn(WarningKind::LongGop, text);
        }
    }

    fn check_clocks(&mut self, now: Instant, anomalies: u64) {
        let jumps = anomalies.saturating_sub(*self.first_anomalies.get_or_insert(anomalies));
        if jumps >= JUMPS {
            let text = "timestamps jump: the encoder's clock is not steady, or two sources feed one stream".to_owned();
            self.warn(WarningKind::ClockJumps, text);
        }
        let (Some((video_at, video)), Some((audio_at, audio))) = (self.last_video, self.last_audio) else { return };
        let is_fresh = |at: Instant| now.saturating_duration_since(at) < Duration::from_secs(1);
        let apart_ms = (video.wrapping_sub(audio) as i32).unsigned_abs();
        if is_fresh(video_at) && is_fresh(audio_at) && apart_ms > APART_MS {
            self.apart_seconds += 1;
        } else {
            self.apart_seconds = 0;
        }
        if self.apart_seconds >= APART_SECONDS {
            let seconds = f64::from(apart_ms) / 1000.0;
            let text =
                format!("sound and pictures are sent {seconds:.1} s apart: players wait so long for the other one");
            self.warn(WarningKind::AudioVideoApart, text);
        }
    }

    fn check_rates(&mut self) {
        if self.seconds.passed < SECONDS {
            return;
        }
        let rates = self.seconds.rates(SECONDS);
        let pairs = [("video", rates.video, self.declared.video_bps), ("audio", rates.audio, self.declared.audio_bps)];
        for (name, sent, declared) in pairs {
            // Half as much again.
            let Some(declared) = declared.filter(|bps| *bps > 0 && sent > bps.saturating_add(bps / 2)) else {
                continue;
            };
            let (sent, declared) = (sent / 1000, declared / 1000);
            let text = format!("{name} has {sent} kbit/s where its metadata promise {declared} kbit/s");
            self.warn(WarningKind::BitrateAboveMetadata, text);
        }
    }

    fn warn(&mut self, kind: WarningKind, text: String) {
        if self.warnings.iter().all(|warning| warning.kind != kind) {
            self.warnings.push(Warning { kind, text });
        }
    }
}

/// Opus always plays at this rate (RFC 7845, 5.1).
const OPUS_RATE: u32 = 48_000;

/// For readers of frames that do not look at the time.
fn placed(frame: &IncomingFrame) -> Frame {
    Frame {
        kind: frame.kind,
        role: frame.role,
        tracks: frame.tracks,
        timestamp_ms: u64::from(frame.timestamp),
        composition_ms: frame.composition_ms,
        payload: frame.payload.clone(),
    }
}

#[cfg(test)]
mod tests;
