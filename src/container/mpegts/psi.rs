//! Program specific information (ISO/IEC 13818-1, 2.4.4): which streams there are and how they are coded.
//!
//! Owns: program association and program map sections and their checksum. Does not know packets.

use bytes::{BufMut, BytesMut};

use super::packet::Pid;
use crate::media::codec::CodecId;

/// The only program of the stream.
const PROGRAM_NUMBER: u16 = 1;
const TRANSPORT_STREAM_ID: u16 = 1;

/// Version numbers have 5 bits.
pub(super) const VERSIONS: u8 = 32;

const PROGRAM_ASSOCIATION: u8 = 0;
const PROGRAM_MAP: u8 = 2;

/// An entry of the program map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) pid: Pid,
    pub(super) coding: Coding,
}

/// How a stream is coded, as far as the program map tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// A codec that needs no more words.
    Plain(CodecId),
    /// MPEG audio, layer III, of MPEG-2 or 2.5: lower sample rates.
    LowRateMp3,
    /// Opus, with `channel_config_code`.
    Opus(u8),
}

impl Coding {
    /// `stream_type` (table 2-34; 0x81 and 0x87: ATSC A/52, annex A and G).
    const fn stream_type(self) -> u8 {
        match self {
            Coding::Plain(CodecId::Avc) => 0x1B,
            Coding::Plain(CodecId::Hevc) => 0x24,
            Coding::Plain(CodecId::Aac) => 0x0F,
            Coding::Plain(CodecId::Mp3) => 0x03,
            Coding::LowRateMp3 => 0x04,
            Coding::Plain(CodecId::Ac3) => 0x81,
            Coding::Plain(CodecId::Eac3) => 0x87,
            Coding::Plain(_) | Coding::Opus(_) => 0x06,
        }
    }

    fn put_descriptors(self, out: &mut BytesMut) {
        const REGISTRATION: u8 = 0x05;
        const DVB_EXTENSION: u8 = 0x7F;
        const OPUS_EXTENSION: u8 = 0x80;
        let format: &[u8] = match self {
            Coding::Plain(CodecId::Hevc) => b"HEVC",
            Coding::Plain(CodecId::Ac3) => b"AC-3",
            Coding::Plain(CodecId::Eac3) => b"EAC3",
            Coding::Opus(_) => b"Opus",
            Coding::Plain(_) | Coding::LowRateMp3 => return,
        };
        out.put_slice(&[REGISTRATION, 4]);
        out.put_slice(format);
        if let Coding::Opus(channel_config_code) = self {
            out.put_slice(&[DVB_EXTENSION, 2, OPUS_EXTENSION, channel_config_code]);
        }
    }
}

/// The program association section: the one program and where its map is.
pub(super) fn association(map: Pid) -> BytesMut {
    let mut body = BytesMut::new();
    body.put_u16(PROGRAM_NUMBER);
    body.put_u16(0xE000 | map.0);
    section(PROGRAM_ASSOCIATION, TRANSPORT_STREAM_ID, 0, &body)
}

/// The program map section.
pub(super) fn program_map(entries: &[Entry], clock: Pid, version: u8) -> BytesMut {
    let mut body = BytesMut::new();
    body.put_u16(0xE000 | clock.0);
    body.put_u16(0xF000);
    for entry in entries {
        let mut descriptors = BytesMut::new();
        entry.coding.put_descriptors(&mut descriptors);
        body.put_u8(entry.coding.stream_type());
        body.put_u16(0xE000 | entry.pid.0);
        body.put_u16(0xF000 | descriptors.len() as u16);
        body.put_slice(&descriptors);
    }
    section(PROGRAM_MAP, PROGRAM_NUMBER, version, &body)
}

/// 2.4.4.10.
fn section(table_id: u8, extension: u16, version: u8, body: &[u8]) -> BytesMut {
    const BEHIND_LENGTH: usize = 5;
    const CHECKSUM_LEN: usize = 4;
    let mut out = BytesMut::new();
    out.put_u8(table_id);
    out.put_u16(0xB000 | (BEHIND_LENGTH + body.len() + CHECKSUM_LEN) as u16);
    out.put_u16(extension);
    // Reserved bits, version, and that it holds from now on.
    out.put_u8(0xC1 | (version % VERSIONS) << 1);
    out.put_slice(&[0, 0]);
    out.put_slice(body);
    let checksum = checksum(&out);
    out.put_u32(checksum);
    out
}

/// CRC-32 with the highest bit first (annex A). Over a section with its checksum it gives 0.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x04C1_1DB7;
    bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte) << 24, |crc, _| {
            let shifted = crc << 1;
            if crc >> 31 == 1 { shifted ^ POLYNOMIAL } else { shifted }
        })
    })
}
