//! What the enhanced audio and video headers have in common: packet type, `ModEx`, FourCC and tracks (Enhanced RTMP
//! v2, `ExVideoTagHeader` and `ExAudioTagHeader`).
//!
//! Owns: walking over them to the body of each track. Does not know what the packet types are good for.

use crate::media::TrackSet;
use crate::wire::{Incomplete, Reader};

/// `SequenceStart`, audio and video.
pub(in crate::container::flv) const SEQUENCE_START: u8 = 0;
/// `CodedFrames`, audio and video.
pub(in crate::container::flv) const CODED_FRAMES: u8 = 1;
/// `CodedFramesX`, video.
pub(in crate::container::flv) const CODED_FRAMES_X: u8 = 3;
/// `Metadata`, video.
pub(in crate::container::flv) const METADATA: u8 = 4;
/// `MultichannelConfig`, audio.
pub(in crate::container::flv) const MULTICHANNEL_CONFIG: u8 = 4;
/// `MPEG2TSSequenceStart`, video.
pub(in crate::container::flv) const MPEG2TS_SEQUENCE_START: u8 = 5;
/// `Multitrack` of audio.
pub(in crate::container::flv) const AUDIO_MULTITRACK: u8 = 5;
/// `Multitrack` of video.
pub(in crate::container::flv) const VIDEO_MULTITRACK: u8 = 6;
/// `ModEx`, audio and video.
const MOD_EX: u8 = 7;

/// How the tracks stand in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// No multitrack: the default track.
    Single,
    /// `OneTrack`: a track id before the body.
    OneTrack,
    /// `ManyTracks`: track id and size before the body of each.
    ManyTracks,
    /// `ManyTracksManyCodecs`: FourCC, track id and size before the body of each.
    ManyCodecs,
}

/// An enhanced header up to its first track.
#[derive(Debug, Clone)]
pub(in crate::container::flv) struct ExHeader<'a> {
    /// Packet type before `Multitrack` was looked into.
    pub(in crate::container::flv) outer_packet_type: u8,
    /// Packet type of the tracks.
    pub(in crate::container::flv) packet_type: u8,
    /// Offset of the byte whose low four bits are `packet_type`.
    pub(in crate::container::flv) packet_type_at: usize,
    layout: Layout,
    tracks: Tracks<'a>,
}

impl<'a> ExHeader<'a> {
    /// Reads from the first byte of a tag body on, which must be an enhanced one; `multitrack` is the packet type that
    /// stands for multitrack. [`Incomplete`] also where a multitrack type is not defined.
    pub(in crate::container::flv) fn decode(body: &'a [u8], multitrack: u8) -> Result<Self, Incomplete> {
        let mut reader = Reader::new(body);
        let outer_packet_type = skip_mod_ex(&mut reader)?;
        let mut packet_type = outer_packet_type;
        let mut packet_type_at = body.len() - reader.remaining() - 1;
        let mut layout = Layout::Single;
        if outer_packet_type == multitrack {
            packet_type_at += 1;
            let byte = reader.u8()?;
            packet_type = byte & 0x0F;
            layout = match byte >> 4 {
                0 => Layout::OneTrack,
                1 => Layout::ManyTracks,
                2 => Layout::ManyCodecs,
                _ => return Err(Incomplete),
            };
            if packet_type == multitrack {
                return Err(Incomplete);
            }
        }
        let four_cc = if layout == Layout::ManyCodecs { [0; 4] } else { reader.array()? };
        let tracks = Tracks { layout, four_cc, reader, ended: false };
        Ok(ExHeader { outer_packet_type, packet_type, packet_type_at, layout, tracks })
    }

    /// The tracks in their order.
    pub(in crate::container::flv) fn tracks(&self) -> Tracks<'a> {
        self.tracks.clone()
    }

    /// Ids of all tracks.
    pub(in crate::container::flv) fn track_set(&self) -> TrackSet {
        let mut set = TrackSet::EMPTY;
        for track in self.tracks() {
            set.insert(track.id);
        }
        set
    }

    /// Whether the form is one for several tracks, however many there are.
    pub(in crate::container::flv) fn has_several_tracks(&self) -> bool {
        matches!(self.layout, Layout::ManyTracks | Layout::ManyCodecs)
    }
}

/// Reads the first byte and the `ModEx` packets behind it, and gives the packet type that follows them. Each of them
/// takes bytes, so the body ends the loop.
fn skip_mod_ex(reader: &mut Reader<'_>) -> Result<u8, Incomplete> {
    let mut packet_type = reader.u8()? & 0x0F;
    while packet_type == MOD_EX {
        let mut size = usize::from(reader.u8()?) + 1;
        if size == 256 {
            size = usize::from(reader.u16()?) + 1;
        }
        reader.skip(size)?;
        packet_type = reader.u8()? & 0x0F;
    }
    Ok(packet_type)
}

/// One track of a body.
#[derive(Debug, Clone, Copy)]
pub(in crate::container::flv) struct Track<'a> {
    pub(in crate::container::flv) id: u8,
    pub(in crate::container::flv) four_cc: [u8; 4],
    /// What is said of the track, to the end of the whole tag body where it is the only one.
    pub(in crate::container::flv) rest: &'a [u8],
}

impl Track<'_> {
    /// Whether `CodedFrames` of this codec begin with a composition time.
    pub(in crate::container::flv) fn has_composition_time(&self) -> bool {
        matches!(&self.four_cc, b"avc1" | b"hvc1" | b"vvc1")
    }
}

/// Walks over the tracks of a body. A track whose size passes the end gets what is there and is the last.
#[derive(Debug, Clone)]
pub(in crate::container::flv) struct Tracks<'a> {
    layout: Layout,
    four_cc: [u8; 4],
    reader: Reader<'a>,
    ended: bool,
}

impl<'a> Tracks<'a> {
    fn read(&mut self) -> Result<Track<'a>, Incomplete> {
        if self.layout == Layout::ManyCodecs {
            self.four_cc = self.reader.array()?;
        }
        let id = if self.layout == Layout::Single { 0 } else { self.reader.u8()? };
        let rest = match self.layout {
            Layout::Single | Layout::OneTrack => self.take(usize::MAX),
            Layout::ManyTracks | Layout::ManyCodecs => {
                let size = self.reader.u24()?;
                self.take(size as usize)
            }
        };
        Ok(Track { id, four_cc: self.four_cc, rest })
    }

    /// The next `size` bytes, or what is left, which ends the walk.
    fn take(&mut self, size: usize) -> &'a [u8] {
        self.reader.bytes(size).unwrap_or_else(|Incomplete| {
            self.ended = true;
            self.reader.rest()
        })
    }
}

impl<'a> Iterator for Tracks<'a> {
    type Item = Track<'a>;

    fn next(&mut self) -> Option<Track<'a>> {
        if self.ended { None } else { self.read().ok() }
    }
}
