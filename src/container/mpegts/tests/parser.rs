//! A small reader of transport streams that accepts nothing but what is right.

use std::collections::BTreeMap;

use crate::container::mpegts::PACKET_LEN;
use crate::container::mpegts::psi::checksum;

/// What one packet says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub pid: u16,
    pub is_start: bool,
    pub counter: u8,
    pub is_discontinuity: bool,
    pub is_random_access: bool,
    /// Ticks of 90 kHz.
    pub pcr: Option<u64>,
    pub payload: Vec<u8>,
}

/// What one PES packet says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub pid: u16,
    pub stream_id: u8,
    pub announced_len: usize,
    pub pts: u64,
    pub dts: Option<u64>,
    pub payload: Vec<u8>,
}

/// A program map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    pub version: u8,
    pub clock_pid: u16,
    /// Stream type, PID, descriptors.
    pub streams: Vec<(u8, u16, Vec<u8>)>,
}

/// Cuts packets and looks at each: sync, adaptation field, stuffing.
pub fn packets(bytes: &[u8]) -> Vec<Packet> {
    assert_eq!(bytes.len() % PACKET_LEN, 0, "whole packets only");
    bytes.chunks(PACKET_LEN).map(packet).collect()
}

fn packet(bytes: &[u8]) -> Packet {
    assert_eq!(bytes[0], 0x47, "sync byte");
    assert_eq!(bytes[1] & 0xA0, 0, "no error, no priority");
    assert_eq!(bytes[3] & 0xC0, 0, "not scrambled");
    let (has_adaptation, has_payload) = (bytes[3] & 0x20 != 0, bytes[3] & 0x10 != 0);
    let mut packet = Packet {
        pid: u16::from_be_bytes([bytes[1] & 0x1F, bytes[2]]),
        is_start: bytes[1] & 0x40 != 0,
        counter: bytes[3] & 0x0F,
        is_discontinuity: false,
        is_random_access: false,
        pcr: None,
        payload: Vec::new(),
    };
    let mut rest = &bytes[4..];
    if has_adaptation {
        let (field, behind) = rest[1..].split_at(usize::from(rest[0]));
        rest = behind;
        read_adaptation(field, &mut packet);
    }
    assert_eq!(!rest.is_empty(), has_payload, "a packet without payload is all adaptation field");
    packet.payload = rest.to_vec();
    packet
}

fn read_adaptation(field: &[u8], packet: &mut Packet) {
    let Some((&flags, mut rest)) = field.split_first() else { return };
    assert_eq!(flags & 0x2F, 0, "fields that are never written");
    packet.is_discontinuity = flags & 0x80 != 0;
    packet.is_random_access = flags & 0x40 != 0;
    if flags & 0x10 != 0 {
        let bits = rest[..6].iter().fold(0_u64, |bits, &byte| bits << 8 | u64::from(byte));
        assert_eq!(bits & 0x7FFF, 0x7E00, "reserved bits are set, the extension is 0");
        packet.pcr = Some(bits >> 15);
        rest = &rest[6..];
    }
    assert!(rest.iter().all(|&byte| byte == 0xFF), "stuffing");
}

/// Looks at the counters of all PIDs, going on from `last`.
pub fn assert_continuous(packets: &[Packet], last: &mut BTreeMap<u16, u8>) {
    for (index, packet) in packets.iter().enumerate() {
        let step = u8::from(!packet.payload.is_empty());
        if let Some(last) = last.get(&packet.pid) {
            assert_eq!(packet.counter, (last + step) % 16, "packet {index}, PID {}", packet.pid);
        }
        last.insert(packet.pid, packet.counter);
    }
}

/// Puts PES packets together, in the order in which they begin.
pub fn units(packets: &[Packet]) -> Vec<Unit> {
    let mut open: Vec<(u16, Vec<u8>)> = Vec::new();
    for packet in packets.iter().filter(|packet| packet.pid == 0x100 || packet.pid == 0x101) {
        if packet.is_start {
            open.push((packet.pid, Vec::new()));
        }
        let unit = open.iter_mut().rev().find(|(pid, _)| *pid == packet.pid);
        if !packet.payload.is_empty() {
            unit.expect("a unit begins with its start").1.extend(&packet.payload);
        }
    }
    open.iter().map(|(pid, bytes)| unit(*pid, bytes)).collect()
}

fn unit(pid: u16, bytes: &[u8]) -> Unit {
    assert_eq!(bytes[..3], [0, 0, 1], "start code");
    let announced_len = usize::from(u16::from_be_bytes([bytes[4], bytes[5]]));
    assert!(announced_len == bytes.len() - 6 || (announced_len == 0 && pid == 0x100), "length");
    assert_eq!(bytes[6], 0x84, "marker, data alignment");
    let (times_len, prefix) = match bytes[7] {
        0x80 => (5, 2),
        0xC0 => (10, 3),
        flags => panic!("flags {flags:#x}"),
    };
    assert_eq!(usize::from(bytes[8]), times_len);
    let dts = (times_len == 10).then(|| timestamp(&bytes[14..19], 1));
    Unit {
        pid,
        stream_id: bytes[3],
        announced_len,
        pts: timestamp(&bytes[9..14], prefix),
        dts,
        payload: bytes[9 + times_len..].to_vec(),
    }
}

fn timestamp(bytes: &[u8], prefix: u8) -> u64 {
    assert_eq!(bytes[0] >> 4, prefix, "prefix of a timestamp");
    assert!(bytes[0] & bytes[2] & bytes[4] & 1 == 1, "marker bits");
    let part = |byte: u8, shift: u32| u64::from(byte) << shift;
    part(bytes[0] >> 1 & 7, 30)
        | part(bytes[1], 22)
        | part(bytes[2] >> 1, 15)
        | part(bytes[3], 7)
        | part(bytes[4], 0) >> 1
}

/// The section of a packet, its checksum looked at.
fn section(packet: &Packet) -> &[u8] {
    assert!(packet.is_start);
    assert_eq!(packet.payload[0], 0, "pointer");
    let len = usize::from(u16::from_be_bytes([packet.payload[2] & 0x0F, packet.payload[3]]));
    let (section, rest) = packet.payload[1..].split_at(3 + len);
    assert_eq!(checksum(section), 0, "checksum");
    assert!(rest.iter().all(|&byte| byte == 0xFF), "stuffing");
    section
}

/// All program maps. Each has to stand behind its program association.
pub fn maps(packets: &[Packet]) -> Vec<Map> {
    let mut maps = Vec::new();
    for (index, packet) in packets.iter().enumerate().filter(|(_, packet)| packet.pid == 0x1000) {
        let association = section(&packets[index - 1]);
        assert_eq!((packets[index - 1].pid, &association[8..12]), (0, &[0, 1, 0xF0, 0][..]));
        let section = section(packet);
        let mut streams = Vec::new();
        let mut rest = &section[12..section.len() - 4];
        while let [stream_type, high, low, _, len, behind @ ..] = rest {
            let (descriptors, behind) = behind.split_at(usize::from(*len));
            streams.push((*stream_type, u16::from_be_bytes([high & 0x1F, *low]), descriptors.to_vec()));
            rest = behind;
        }
        let clock_pid = u16::from_be_bytes([section[8] & 0x1F, section[9]]);
        maps.push(Map { version: section[5] >> 1 & 0x1F, clock_pid, streams });
    }
    maps
}
