//! The init segment: `ftyp` and a `moov` without samples (ISO/IEC 14496-12, 8.2 to 8.8).
//!
//! Owns: what stands around the sample entries. Does not know codecs.

use bytes::{BufMut, BytesMut};

use super::audio::AudioTrack;
use super::boxes::{put_box, put_full_box};
use super::video::VideoTrack;

/// Track id of video.
pub(super) const VIDEO_ID: u32 = 1;
/// Track id of audio.
pub(super) const AUDIO_ID: u32 = 2;

/// Timescale of video: a multiple of every usual picture rate, and of milliseconds.
pub(super) const VIDEO_TIMESCALE: u32 = 90_000;

/// Timescale of the whole, which has no duration.
const MOVIE_TIMESCALE: u32 = 1000;

/// 1.0 as 16.16.
const ONE: u32 = 0x0001_0000;

/// No transformation; the last column is 2.30.
const UNITY_MATRIX: [u32; 9] = [ONE, 0, 0, 0, ONE, 0, 0, 0, 0x4000_0000];

/// `und`, five bits a letter.
const UNDETERMINED_LANGUAGE: u16 = 0x55C4;

/// Room for all of it, without the configuration records.
const USUAL_LEN: usize = 1500;

/// Appends `ftyp` and `moov`.
pub(super) fn put_init_segment(out: &mut BytesMut, video: Option<&VideoTrack>, audio: Option<&AudioTrack>) {
    out.reserve(USUAL_LEN);
    put_box(out, b"ftyp", |out| {
        out.put_slice(b"iso6");
        out.put_u32(0);
        out.put_slice(b"iso6mp41");
    });
    put_box(out, b"moov", |out| {
        put_movie_header(out);
        if let Some(video) = video {
            let (width, height) = video.size();
            let track = Track { id: VIDEO_ID, timescale: VIDEO_TIMESCALE, width, height, is_video: true };
            put_track(out, &track, |out| video.put_sample_entry(out));
        }
        if let Some(audio) = audio {
            let track = Track { id: AUDIO_ID, timescale: audio.sample_rate, width: 0, height: 0, is_video: false };
            put_track(out, &track, |out| audio.put_sample_entry(out));
        }
        put_box(out, b"mvex", |out| {
            let ids = [(video.is_some(), VIDEO_ID), (audio.is_some(), AUDIO_ID)];
            for (_, id) in ids.into_iter().filter(|&(is_there, _)| is_there) {
                put_full_box(out, b"trex", 0, 0, |out| {
                    out.put_u32(id);
                    // The only sample entry; duration, size and flags stand in each fragment.
                    out.put_u32(1);
                    out.put_bytes(0, 12);
                });
            }
        });
    });
}

struct Track {
    id: u32,
    timescale: u32,
    width: u16,
    height: u16,
    is_video: bool,
}

fn put_movie_header(out: &mut BytesMut) {
    put_full_box(out, b"mvhd", 0, 0, |out| {
        // Creation and modification time.
        out.put_bytes(0, 8);
        out.put_u32(MOVIE_TIMESCALE);
        out.put_u32(0);
        out.put_u32(ONE);
        out.put_u16(0x0100);
        out.put_bytes(0, 10);
        put_matrix(out);
        out.put_bytes(0, 24);
        out.put_u32(AUDIO_ID + 1);
    });
}

fn put_matrix(out: &mut BytesMut) {
    for value in UNITY_MATRIX {
        out.put_u32(value);
    }
}

fn put_track(out: &mut BytesMut, track: &Track, entry: impl FnOnce(&mut BytesMut)) {
    /// Enabled, in the movie, in the preview.
    const FLAGS: u32 = 7;
    put_box(out, b"trak", |out| {
        put_full_box(out, b"tkhd", 0, FLAGS, |out| {
            out.put_bytes(0, 8);
            out.put_u32(track.id);
            out.put_bytes(0, 4 + 4 + 8);
            // Layer and alternate group; volume of sound.
            out.put_u32(0);
            out.put_u16(if track.is_video { 0 } else { 0x0100 });
            out.put_u16(0);
            put_matrix(out);
            out.put_u32(u32::from(track.width) << 16);
            out.put_u32(u32::from(track.height) << 16);
        });
        put_box(out, b"mdia", |out| {
            put_full_box(out, b"mdhd", 0, 0, |out| {
                out.put_bytes(0, 8);
                out.put_u32(track.timescale);
                out.put_u32(0);
                out.put_u16(UNDETERMINED_LANGUAGE);
                out.put_u16(0);
            });
            put_handler(out, track.is_video);
            put_box(out, b"minf", |out| put_media_information(out, track.is_video, entry));
        });
    });
}

fn put_handler(out: &mut BytesMut, is_video: bool) {
    let (handler, name): (&[u8], &[u8]) = if is_video { (b"vide", b"video\0") } else { (b"soun", b"audio\0") };
    put_full_box(out, b"hdlr", 0, 0, |out| {
        out.put_u32(0);
        out.put_slice(handler);
        out.put_bytes(0, 12);
        out.put_slice(name);
    });
}

fn put_media_information(out: &mut BytesMut, is_video: bool, entry: impl FnOnce(&mut BytesMut)) {
    if is_video {
        put_full_box(out, b"vmhd", 0, 1, |out| out.put_bytes(0, 8));
    } else {
        put_full_box(out, b"smhd", 0, 0, |out| out.put_bytes(0, 4));
    }
    put_box(out, b"dinf", |out| {
        put_full_box(out, b"dref", 0, 0, |out| {
            out.put_u32(1);
            // In the same file.
            put_full_box(out, b"url ", 0, 1, |_| {});
        });
    });
    put_box(out, b"stbl", |out| {
        put_full_box(out, b"stsd", 0, 0, |out| {
            out.put_u32(1);
            entry(out);
        });
        for kind in [b"stts", b"stsc", b"stco"] {
            put_full_box(out, kind, 0, 0, |out| out.put_u32(0));
        }
        put_full_box(out, b"stsz", 0, 0, |out| out.put_bytes(0, 8));
    });
}
