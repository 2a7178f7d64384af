//! Frames that muxers can read: H.264 with a sequence parameter set of any size, AAC-LC.

use bytes::Bytes;
use rtmpd::media::{Frame, FrameKind, FrameRole, HeaderKind, TrackSet};

fn frame(kind: FrameKind, role: FrameRole, timestamp_ms: u64, composition_ms: i32, payload: Vec<u8>) -> Frame {
    let payload = Bytes::from(payload);
    Frame { kind, role, tracks: TrackSet::DEFAULT, timestamp_ms, composition_ms, payload }
}

/// Bits of a raw byte sequence payload.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn put(&mut self, value: u32, bits: u32) {
        self.0.extend((0..bits).rev().map(|bit| value >> bit & 1 == 1));
    }

    /// Exponential Golomb code.
    fn ue(&mut self, value: u32) {
        let bits = (value + 1).ilog2();
        self.put(0, bits);
        self.put(value + 1, bits + 1);
    }

    fn finish(mut self) -> Vec<u8> {
        self.put(1, 1);
        self.0
            .chunks(8)
            .map(|bits| bits.iter().fold(0, |byte, &bit| byte << 1 | u8::from(bit)) << (8 - bits.len()))
            .collect()
    }
}

/// Baseline profile, level 3.0, no cropping.
fn sps(width: u32, height: u32) -> Vec<u8> {
    let mut bits = Bits::default();
    for value in [0, 0, 2, 1] {
        bits.ue(value);
    }
    bits.put(0, 1);
    bits.ue(width / 16 - 1);
    bits.ue(height / 16 - 1);
    bits.put(0b1100, 4);
    [&[0x67, 0x42, 0xC0, 0x1E], bits.finish().as_slice()].concat()
}

/// H.264 sequence header; width and height in multiples of 16.
pub fn video_header(width: u32, height: u32) -> Frame {
    let sps = sps(width, height);
    let mut body = vec![0x17, 0, 0, 0, 0, 1, 0x42, 0xC0, 0x1E, 0xFF, 0xE1, 0, sps.len() as u8];
    body.extend(sps);
    body.extend([1, 0, 4, 0x68, 0xCE, 0x3C, 0x80]);
    frame(FrameKind::Video, FrameRole::Header(HeaderKind::Sequence), 0, 0, body)
}

/// AAC-LC sequence header, stereo, 44100 Hz or 48000 Hz.
pub fn audio_header(is_48k: bool) -> Frame {
    let body = if is_48k { vec![0xAF, 0, 0x11, 0x90] } else { vec![0xAF, 0, 0x12, 0x10] };
    frame(FrameKind::Audio, FrameRole::Header(HeaderKind::Sequence), 0, 0, body)
}

/// One picture of `size` bytes; its time is found in its first bytes.
pub fn video(timestamp_ms: u64, is_key: bool, composition_ms: i32, size: usize) -> Frame {
    let mut nal = vec![if is_key { 0x65 } else { 0x41 }];
    nal.extend(timestamp_ms.to_be_bytes());
    nal.resize(size.max(nal.len()), 0xEE);
    let mut body = vec![if is_key { 0x17 } else { 0x27 }, 1];
    body.extend(&composition_ms.to_be_bytes()[1..]);
    body.extend((nal.len() as u32).to_be_bytes());
    body.extend(nal);
    let role = if is_key { FrameRole::Key } else { FrameRole::Delta };
    frame(FrameKind::Video, role, timestamp_ms, composition_ms, body)
}

/// One access unit of sound.
pub fn audio(timestamp_ms: u64, size: usize) -> Frame {
    let mut body = vec![0xAF, 1];
    body.extend(timestamp_ms.to_be_bytes());
    body.resize(size.max(body.len()), 0xDD);
    frame(FrameKind::Audio, FrameRole::Key, timestamp_ms, 0, body)
}
