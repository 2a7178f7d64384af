//! What publishers send: frames of the size and pace of H.264 with AAC, each with a stamp in it.
//!
//! Owns: the schedule of frames, their bytes, and the stamp (number and time of sending) inside them. Does not know
//! connections. Nothing but the heads of the frames is real; no server needs more.

use bytes::BytesMut;
use rtmpd::rtmp::amf0::{Value, write_value};
use rtmpd::rtmp::message::type_id;

/// Video frames per second.
const FRAMES_PER_SECOND: u64 = 30;
/// AAC: samples per second and per frame.
const AUDIO_RATE: u64 = 44_100;
const AUDIO_SAMPLES: u64 = 1_024;
/// 128 kbit/s.
const AUDIO_BYTES: usize = 372;
/// A key frame is as long as so many others.
const KEY_WEIGHT: u64 = 8;

/// What a publisher sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tracks {
    /// Pictures and sound.
    #[default]
    Both,
    /// A key frame every second.
    KeyFrames,
    /// Sound.
    Sound,
}

/// Says that a stamp follows.
const MAGIC: [u8; 8] = *b"\x01rtmpd\xFFL";
const STAMP_LEN: usize = 24;
/// FLV video tag head, NAL unit length and NAL unit header come before the stamp.
const VIDEO_STAMP_AT: usize = 10;
/// FLV audio tag head comes before the stamp.
const AUDIO_STAMP_AT: usize = 2;
/// So many bytes from the front of a message show everything that is of interest here.
pub const HEAD_LEN: usize = VIDEO_STAMP_AT + STAMP_LEN;

/// Number of a message in its stream, and when it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Counts the media messages of one publisher from 1 on.
    pub number: u64,
    /// Nanoseconds on the program's clock.
    pub sent_ns: u64,
}

impl Stamp {
    /// Finds the stamp in the first [`HEAD_LEN`] bytes of a message.
    pub fn find(type_id: u8, head: &[u8]) -> Option<Stamp> {
        let at = if type_id == type_id::VIDEO { VIDEO_STAMP_AT } else { AUDIO_STAMP_AT };
        let (magic, rest) = head.get(at..)?.split_first_chunk::<8>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (sent_ns, _) = rest.split_first_chunk::<8>()?;
        (*magic == MAGIC).then(|| Stamp { number: u64::from_le_bytes(*number), sent_ns: u64::from_le_bytes(*sent_ns) })
    }

    fn put(self, body: &mut [u8], at: usize) {
        let stamp = [MAGIC, self.number.to_le_bytes(), self.sent_ns.to_le_bytes()];
        if let Some(place) = body.get_mut(at..at + STAMP_LEN) {
            place.copy_from_slice(stamp.as_flattened());
        }
    }
}

/// Whether the message is a picture with which a player can begin.
pub fn is_key_frame(type_id: u8, head: &[u8]) -> bool {
    type_id == type_id::VIDEO && matches!(head, [first, 1, ..] if first >> 4 == 1)
}

/// How far a publisher has come in the schedule.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cursor {
    tracks: Tracks,
    videos: u64,
    audios: u64,
}

impl Cursor {
    /// At the beginning.
    pub fn new(tracks: Tracks) -> Cursor {
        Cursor { tracks, ..Cursor::default() }
    }

    /// When the next frame is due, in nanoseconds from the beginning.
    pub fn due_ns(&self) -> u64 {
        self.video_ns().min(self.audio_ns())
    }

    fn video_ns(&self) -> u64 {
        match self.tracks {
            Tracks::Both => self.videos * 1_000_000_000 / FRAMES_PER_SECOND,
            Tracks::KeyFrames => self.videos * 1_000_000_000,
            Tracks::Sound => u64::MAX,
        }
    }

    fn audio_ns(&self) -> u64 {
        match self.tracks {
            Tracks::KeyFrames => u64::MAX,
            Tracks::Both | Tracks::Sound => self.audios * AUDIO_SAMPLES * 1_000_000_000 / AUDIO_RATE,
        }
    }
}

/// The frames' bytes.
pub struct Clip {
    key: Vec<u8>,
    delta: Vec<u8>,
    audio: Vec<u8>,
    gop_frames: u64,
}

impl Clip {
    /// Video of `kbps` with a key frame every `gop_frames`.
    pub fn new(kbps: u64, gop_frames: u64) -> Clip {
        let gop_frames = gop_frames.max(1);
        let gop_bytes = kbps * 1000 / 8 * gop_frames / FRAMES_PER_SECOND;
        let delta_len = (gop_bytes / (gop_frames - 1 + KEY_WEIGHT)).max(64);
        Clip {
            key: video(0x17, 0x65, KEY_WEIGHT * delta_len),
            delta: video(0x27, 0x41, delta_len),
            audio: noise(vec![0xAF, 0x01], AUDIO_BYTES),
            gop_frames,
        }
    }

    /// Key frames of `key_bytes` and nothing else.
    pub fn of_key_frames(key_bytes: u64) -> Clip {
        let delta = video(0x27, 0x41, 64);
        Clip { key: video(0x17, 0x65, key_bytes), delta, audio: noise(vec![0xAF, 0x01], AUDIO_BYTES), gop_frames: 1 }
    }

    /// Duration of a group of pictures in milliseconds.
    pub fn gop_ms(&self) -> u64 {
        self.gop_frames * 1000 / FRAMES_PER_SECOND
    }

    /// The next frame: type id, timestamp in milliseconds and body, stamped.
    pub fn take(&mut self, cursor: &mut Cursor, number: u64, sent_ns: u64) -> (u8, u32, &[u8]) {
        let due_ms = (cursor.due_ns() / 1_000_000) as u32;
        let stamp = Stamp { number, sent_ns };
        if cursor.audio_ns() < cursor.video_ns() {
            cursor.audios += 1;
            stamp.put(&mut self.audio, AUDIO_STAMP_AT);
            return (type_id::AUDIO, due_ms, &self.audio);
        }
        let is_key = cursor.videos.is_multiple_of(self.gop_frames);
        cursor.videos += 1;
        let body = if is_key { &mut self.key } else { &mut self.delta };
        stamp.put(body, VIDEO_STAMP_AT);
        (type_id::VIDEO, due_ms, body)
    }
}

/// What comes before the first frame: metadata and the two sequence headers.
pub fn headers() -> [(u8, Vec<u8>); 3] {
    let mut metadata = BytesMut::new();
    write_value(&mut metadata, &Value::string("@setDataFrame"));
    write_value(&mut metadata, &Value::string("onMetaData"));
    let members = [
        ("width", Value::Number(1280.0)),
        ("height", Value::Number(720.0)),
        ("framerate", Value::Number(FRAMES_PER_SECOND as f64)),
        ("videocodecid", Value::Number(7.0)),
        ("audiocodecid", Value::Number(10.0)),
        ("encoder", Value::string("rtmpd load")),
    ];
    write_value(&mut metadata, &Value::ecma_array(members));
    // AVCDecoderConfigurationRecord of a 1280x720 baseline stream, and AudioSpecificConfig of AAC-LC at 44.1 kHz.
    let avc = [
        0x17, 0x00, 0, 0, 0, 0x01, 0x42, 0xC0, 0x1F, 0xFF, 0xE1, 0x00, 0x09, 0x67, 0x42, 0xC0, 0x1F, 0xDA, 0x01, 0x40,
        0x16, 0xE4, 0x01, 0x00, 0x04, 0x68, 0xCE, 0x3C, 0x80,
    ];
    [
        (type_id::DATA_AMF0, metadata.to_vec()),
        (type_id::VIDEO, avc.to_vec()),
        (type_id::AUDIO, vec![0xAF, 0x00, 0x12, 0x10]),
    ]
}

fn video(first: u8, nal_header: u8, len: u64) -> Vec<u8> {
    let nal_len = (len as u32).saturating_sub(9).to_be_bytes();
    let mut body = vec![first, 0x01, 0, 0, 0];
    body.extend_from_slice(&nal_len);
    body.push(nal_header);
    noise(body, len as usize)
}

/// Fills up to `len` bytes with what does not compress and holds no zero bytes.
fn noise(mut body: Vec<u8>, len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_u32;
    while body.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        body.push((state >> 24) as u8 | 1);
    }
    body
}
