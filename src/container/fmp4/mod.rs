//! Fragmented MP4 (ISO/IEC 14496-12): frames to an init segment and fragments.
//!
//! Owns: the tracks by their headers, decoding times, and the boxes. Takes the default video track and the default
//! audio track (track id 0) and no others. Carries H.264, HEVC, AV1, VP9; AAC, MP3, Opus, FLAC, AC-3, E-AC-3; frames of
//! other codecs are passed over. Does not decide when to cut, and does not know where the bytes go.
//!
//! Both tracks of a stream stand in each fragment, video first. Times of both are those of the stream: no edit list,
//! and composition times may be negative. Fragments are built as CMAF (ISO/IEC 23000-19) builds them, but CMAF has one
//! track in a file, so its brand is not claimed.

mod audio;
mod boxes;
mod clock;
mod fragment;
mod init;
mod queue;
#[cfg(test)]
mod tests;
mod video;

use bytes::{Bytes, BytesMut};

use self::audio::AudioTrack;
use self::clock::AudioClock;
use self::init::{AUDIO_ID, VIDEO_ID, VIDEO_TIMESCALE};
use self::queue::{Queue, Sample};
use self::video::VideoTrack;
use crate::container::flv::unit::{Unit, units};
use crate::media::codec::CodecId;
use crate::media::{Frame, FrameKind, FrameRole};

/// Video ticks in a millisecond.
const TICKS_PER_MS: u64 = VIDEO_TIMESCALE as u64 / 1000;

/// How long the first video frame is taken to be where nothing follows it, in milliseconds.
const FIRST_FRAME_MS: u32 = 40;

/// Most bytes that may be pending, for a fragment counts them with 31 bits. Frames over it are dropped.
const MAX_PENDING_BYTES: usize = 1 << 30;

/// Makes init segments and fragments of one stream.
///
/// Keeps what was pushed until it is cut, as references to the frames' own bytes: a caller bounds it by cutting. Where
/// none cuts, frames are dropped beyond 1 GiB.
#[derive(Debug, Clone)]
pub struct Muxer {
    video: Option<VideoTrack>,
    audio: Option<AudioTrack>,
    video_queue: Queue,
    audio_queue: Queue,
    clock: AudioClock,
    /// Of the last fragment.
    sequence: u32,
}

/// One `moof` and `mdat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// Both boxes.
    pub bytes: Bytes,
    /// Decoding time of the first video sample, of the first audio sample where there is no video, in milliseconds.
    pub start_ms: u64,
    /// From there to the end of the last sample of the same track, in milliseconds.
    pub duration_ms: u64,
    /// Decoding can begin here: the first video sample is a key frame, or the stream has no video at all.
    pub starts_with_key: bool,
    /// There is at least one video sample inside.
    pub has_video: bool,
    /// Video samples inside.
    pub video_samples: usize,
    /// Audio samples inside.
    pub audio_samples: usize,
}

/// A track that a frame makes known, or changes.
enum Change {
    Video(VideoTrack),
    Audio(AudioTrack),
}

impl Default for Muxer {
    fn default() -> Self {
        Muxer::new()
    }
}

impl Muxer {
    /// A muxer that knows no track.
    pub fn new() -> Self {
        Muxer {
            video: None,
            audio: None,
            video_queue: Queue::new(VIDEO_TIMESCALE, FIRST_FRAME_MS * TICKS_PER_MS as u32),
            audio_queue: Queue::new(1, 0),
            clock: AudioClock::new(1),
            sequence: 0,
        }
    }

    /// Whether `frame` changes the init segment: by a header, by the first frame of a codec that has no headers, or by
    /// a key frame of AV1 or VP9 that tells another size than is known. Cut first, then push it, then make a new init
    /// segment. A header that says what is known already changes nothing.
    pub fn changes_tracks(&self, frame: &Frame) -> bool {
        let mut changes = default_units(frame).filter_map(|unit| self.change(frame.kind, &unit));
        changes.any(|change| match change {
            Change::Video(track) => track.is_known() || self.known_video().is_some(),
            Change::Audio(_) => true,
        })
    }

    /// Takes headers and coded frames in stream order; what carries neither, or none that fragmented MP4 can carry, is
    /// passed over, and so are coded frames before their header. A change of a track (see [`Muxer::changes_tracks`])
    /// drops what is pending of it.
    pub fn push(&mut self, frame: &Frame) {
        for unit in default_units(frame) {
            match self.change(frame.kind, &unit) {
                Some(Change::Video(track)) => {
                    self.video_queue.clear();
                    self.video = Some(track);
                }
                Some(Change::Audio(track)) => {
                    self.audio_queue = Queue::new(track.sample_rate, 0);
                    self.clock = AudioClock::new(track.sample_rate);
                    self.audio = Some(track);
                }
                None => {}
            }
            let is_over = self.pending_bytes().saturating_add(unit.data.len()) > MAX_PENDING_BYTES;
            if unit.is_header || is_over {
                continue;
            }
            match frame.kind {
                FrameKind::Video => self.push_video(frame, &unit),
                FrameKind::Audio => self.push_audio(frame, &unit),
                FrameKind::Data => {}
            }
        }
    }

    /// Whether there is anything to cut.
    pub const fn has_samples(&self) -> bool {
        !self.video_queue.is_empty() || !self.audio_queue.is_empty()
    }

    /// Stream time of what is pending, in milliseconds: the duration of the fragment that a cut would make now.
    pub fn pending_ms(&self) -> u64 {
        let (start_ms, end_ms) = self.pending_span_ms();
        end_ms.saturating_sub(start_ms)
    }

    /// `ftyp` and `moov`, without samples. `None` while no track is known.
    pub fn init_segment(&self) -> Option<Bytes> {
        let mut out = BytesMut::new();
        self.put_init_segment(&mut out);
        (!out.is_empty()).then(|| out.freeze())
    }

    /// Codecs of the init segment as RFC 6381 and the codecs' own bindings spell them, video first: for the `codecs`
    /// parameter of a MIME type and for HLS. `None` while no track is known.
    pub fn codecs(&self) -> Option<String> {
        let video = self.known_video().map(|track| track.codec_string.as_str());
        let audio = self.audio.as_ref().map(|track| track.codec_string.as_str());
        match (video, audio) {
            (Some(video), Some(audio)) => Some(format!("{video},{audio}")),
            (one, other) => one.or(other).map(str::to_owned),
        }
    }

    /// Width and height of the picture in pixels, where they are known.
    pub fn dimensions(&self) -> Option<(u16, u16)> {
        self.known_video()?.dimensions
    }

    /// Whether the init segment has a video track.
    pub fn has_video(&self) -> bool {
        self.known_video().is_some()
    }

    /// Whether the init segment has an audio track.
    pub const fn has_audio(&self) -> bool {
        self.audio.is_some()
    }

    /// What is pending as one `moof` and `mdat`. `None` where nothing is.
    ///
    /// `next_ms` is the decoding time of the video frame that will come next, in milliseconds, where it is known: then
    /// the duration of the last one is exact; else it is that of the one before it, and the next fragment may begin a
    /// little before or after this one's end. Audio frames tell their own duration. A longer gap belongs to the first
    /// frame behind it, which is decoded early and presented in time.
    pub fn cut(&mut self, next_ms: Option<u64>) -> Option<Fragment> {
        let mut out = BytesMut::new();
        let fragment = self.put_fragment(&mut out, next_ms)?;
        Some(Fragment { bytes: out.freeze(), ..fragment })
    }

    /// For one who joins: an init segment and `frames`, such as the current group of pictures, as one fragment. Empty
    /// while no track is known. Fragments cut later go on behind it where what is pending was cut before; else the
    /// pending frames come twice.
    pub fn joined(&self, frames: &[Frame]) -> Bytes {
        let mut scratch = Muxer {
            video: self.video.clone(),
            audio: self.audio.clone(),
            video_queue: self.video_queue.emptied(),
            audio_queue: self.audio_queue.emptied(),
            clock: self.clock.earlier(),
            sequence: self.sequence.wrapping_sub(1),
        };
        for frame in frames {
            scratch.push(frame);
        }
        // Squeezed frames are short, but live ones follow.
        scratch.video_queue.end_like(&self.video_queue);
        let mut out = BytesMut::new();
        scratch.put_init_segment(&mut out);
        scratch.put_fragment(&mut out, None);
        out.freeze()
    }

    /// The video track, once the init segment can tell all of it.
    fn known_video(&self) -> Option<&VideoTrack> {
        self.video.as_ref().filter(|track| track.is_known())
    }

    /// The track that `unit` makes other than it is.
    fn change(&self, kind: FrameKind, unit: &Unit) -> Option<Change> {
        match (kind, unit.is_header) {
            (FrameKind::Video, true) => {
                let mut track = VideoTrack::from_header(unit.codec, &unit.data)?;
                let old = self.video.as_ref().filter(|old| old.codec == track.codec);
                if old.is_some_and(|old| old.is_like(&track)) {
                    return None;
                }
                // A new header may not tell the size, and mostly it stays.
                track.dimensions = track.dimensions.or(old.and_then(|old| old.dimensions));
                Some(Change::Video(track))
            }
            (FrameKind::Video, false) => {
                let track = self.video.as_ref().filter(|track| track.codec == unit.codec && unit.is_key)?;
                track.resized(&unit.data).map(Change::Video)
            }
            (FrameKind::Audio, true) => {
                let track = AudioTrack::from_header(unit.codec, &unit.data)?;
                self.news(track)
            }
            (FrameKind::Audio, false) => {
                // What a header of Opus says is not in its frames.
                let told = |track: &AudioTrack| track.codec() == unit.codec && unit.codec == CodecId::Opus;
                if self.audio.as_ref().is_some_and(told) {
                    return None;
                }
                self.news(AudioTrack::from_frame(unit.codec, &unit.data)?)
            }
            (FrameKind::Data, _) => None,
        }
    }

    fn news(&self, track: AudioTrack) -> Option<Change> {
        let is_known = self.audio.as_ref().is_some_and(|known| known.is_like(&track));
        (!is_known).then_some(Change::Audio(track))
    }

    fn push_video(&mut self, frame: &Frame, unit: &Unit) {
        let Some(track) = self.known_video().filter(|track| track.codec == unit.codec) else { return };
        let composition = i64::from(unit.composition_ms) * TICKS_PER_MS as i64;
        let sample = Sample {
            start: frame.timestamp_ms.saturating_mul(TICKS_PER_MS),
            duration: 0,
            composition: composition.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32,
            is_key: unit.is_key,
            is_disposable: frame.role == FrameRole::Disposable,
            data: track.sample(&unit.data),
        };
        self.video_queue.push(sample);
    }

    fn push_audio(&mut self, frame: &Frame, unit: &Unit) {
        let Some(track) = self.audio.as_ref().filter(|track| track.codec() == unit.codec) else { return };
        let duration = track.samples(&unit.data);
        let sample = Sample {
            start: self.clock.stamp(frame.timestamp_ms, duration),
            duration,
            composition: 0,
            is_key: true,
            is_disposable: false,
            data: unit.data.clone(),
        };
        self.audio_queue.push(sample);
    }

    const fn pending_bytes(&self) -> usize {
        self.video_queue.bytes().saturating_add(self.audio_queue.bytes())
    }

    /// Start and end of what is pending in milliseconds, by video where there is any.
    fn pending_span_ms(&self) -> (u64, u64) {
        let (video, audio) = (&self.video_queue, &self.audio_queue);
        if video.is_empty() {
            return (self.clock.ms(audio.start()), self.clock.ms(audio.end()));
        }
        (video.start() / TICKS_PER_MS, video.end() / TICKS_PER_MS)
    }

    fn put_init_segment(&self, out: &mut BytesMut) {
        let (video, audio) = (self.known_video(), self.audio.as_ref());
        if video.is_some() || audio.is_some() {
            init::put_init_segment(out, video, audio);
        }
    }

    /// Appends what is pending, and tells of it without the bytes.
    fn put_fragment(&mut self, out: &mut BytesMut, next_ms: Option<u64>) -> Option<Fragment> {
        if !self.has_samples() {
            return None;
        }
        if let Some(next_ms) = next_ms {
            self.video_queue.end_at(next_ms.saturating_mul(TICKS_PER_MS));
        }
        self.sequence = self.sequence.wrapping_add(1);
        let (video, audio) = (&self.video_queue, &self.audio_queue);
        fragment::put_fragment(out, self.sequence, (VIDEO_ID, video), (AUDIO_ID, audio));
        let (start_ms, end_ms) = self.pending_span_ms();
        let fragment = Fragment {
            bytes: Bytes::new(),
            start_ms,
            duration_ms: end_ms.saturating_sub(start_ms),
            starts_with_key: video.samples().first().map_or(!self.has_video(), |first| first.is_key),
            has_video: !video.is_empty(),
            video_samples: video.samples().len(),
            audio_samples: audio.samples().len(),
        };
        self.video_queue.clear();
        self.audio_queue.clear();
        Some(fragment)
    }
}

fn default_units(frame: &Frame) -> impl Iterator<Item = Unit> {
    units(frame).into_iter().filter(|unit| unit.track == 0)
}
