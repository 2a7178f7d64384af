//! Packets of 188 bytes (ISO/IEC 13818-1, 2.4.3.2 to 2.4.3.5).
//!
//! Owns: packet headers, continuity counters, adaptation fields and stuffing. Does not know what a packet carries.

use bytes::{Buf, BufMut, BytesMut};

/// Length of a packet, in bytes.
pub const PACKET_LEN: usize = 188;

const SYNC: u8 = 0x47;
const HEADER_LEN: usize = 4;

/// Bytes of a packet behind its header.
pub(super) const BODY_LEN: usize = PACKET_LEN - HEADER_LEN;

/// `PID`, 13 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pid(pub(super) u16);

/// `continuity_counter` of the next packet with payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counter(u8);

impl Counter {
    fn take(&mut self) -> u8 {
        let value = self.0;
        self.0 = (value + 1) % 16;
        value
    }

    /// What the last packet with payload had.
    const fn last(self) -> u8 {
        (self.0 + 15) % 16
    }

    /// How far `self` stands behind `other`.
    pub(super) const fn behind(self, other: Counter) -> u8 {
        (other.0 + 16 - self.0) % 16
    }
}

/// `program_clock_reference_base`, in ticks of 90 kHz, and whether the clock starts anew there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pcr {
    pub(super) base: u64,
    pub(super) is_discontinuity: bool,
}

/// What the adaptation field of the first packet of a unit says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Marks {
    pub(super) pcr: Option<Pcr>,
    pub(super) is_random_access: bool,
}

impl Marks {
    /// Length of what the adaptation field has to say, in bytes, without its length field; 0: nothing.
    const fn len(self) -> usize {
        match (self.pcr, self.is_random_access) {
            (Some(_), _) => 7,
            (None, true) => 1,
            (None, false) => 0,
        }
    }

    /// Writes an adaptation field of `len` bytes and its length field; what it does not need is stuffing.
    fn put(self, len: usize, out: &mut BytesMut) {
        out.put_u8(len as u8);
        if len == 0 {
            return;
        }
        let is_discontinuity = self.pcr.is_some_and(|pcr| pcr.is_discontinuity);
        let flags = [(is_discontinuity, 0x80), (self.is_random_access, 0x40), (self.pcr.is_some(), 0x10)];
        out.put_u8(flags.iter().filter(|(is_set, _)| *is_set).map(|(_, bit)| bit).sum());
        if let Some(pcr) = self.pcr {
            // 33 bits of base, 6 reserved, 9 of extension, which is 0.
            let bits = (pcr.base & 0x1_FFFF_FFFF) << 15 | 0x7E00;
            out.put_uint(bits, 6);
        }
        out.put_bytes(0xFF, len - self.len().max(1));
    }
}

fn put_header(out: &mut BytesMut, pid: Pid, is_start: bool, control: u8, counter: u8) {
    let start = if is_start { 0x4000 } else { 0 };
    out.put_u8(SYNC);
    out.put_u16(start | pid.0 & 0x1FFF);
    out.put_u8(control | counter);
}

/// `adaptation_field_control`, at its place in the header.
mod control {
    pub(super) const PAYLOAD: u8 = 0x10;
    pub(super) const ADAPTATION: u8 = 0x20;
}

/// Cuts a PES packet into packets. The last one is filled up with stuffing in its adaptation field.
pub(super) fn put_unit(out: &mut BytesMut, pid: Pid, counter: &mut Counter, marks: Marks, mut unit: impl Buf) {
    out.reserve(unit.remaining().div_ceil(BODY_LEN - 8) * PACKET_LEN);
    let mut marks = marks;
    let mut is_start = true;
    while unit.has_remaining() {
        let marks_len = marks.len();
        let room = if marks_len > 0 { BODY_LEN - 1 - marks_len } else { BODY_LEN };
        let taken = unit.remaining().min(room);
        let has_adaptation = marks_len > 0 || taken < room;
        let control = if has_adaptation { control::ADAPTATION | control::PAYLOAD } else { control::PAYLOAD };
        put_header(out, pid, is_start, control, counter.take());
        if has_adaptation {
            marks.put(BODY_LEN - 1 - taken, out);
        }
        out.put((&mut unit).take(taken));
        marks = Marks::default();
        is_start = false;
    }
}

/// Writes a packet that carries nothing but the clock. It does not count.
pub(super) fn put_clock(out: &mut BytesMut, pid: Pid, counter: Counter, pcr: Pcr) {
    put_header(out, pid, false, control::ADAPTATION, counter.last());
    Marks { pcr: Some(pcr), is_random_access: false }.put(BODY_LEN - 1, out);
}

/// Writes a section that fits into one packet, which is filled up behind it (2.4.4.1). A longer one is cut.
pub(super) fn put_section(out: &mut BytesMut, pid: Pid, counter: &mut Counter, section: &[u8]) {
    const NO_POINTER: u8 = 0;
    let section = section.get(..BODY_LEN - 1).unwrap_or(section);
    put_header(out, pid, true, control::PAYLOAD, counter.take());
    out.put_u8(NO_POINTER);
    out.put_slice(section);
    out.put_bytes(0xFF, BODY_LEN - 1 - section.len());
}

/// Moves the counters of all packets with payload or without on: `shift` says how far, by PID.
pub(super) fn shift_counters(packets: &mut [u8], shift: impl Fn(Pid) -> u8) {
    for packet in packets.chunks_exact_mut(PACKET_LEN) {
        if let [_, high, low, control, ..] = packet {
            let pid = Pid(u16::from_be_bytes([*high, *low]) & 0x1FFF);
            *control = *control & 0xF0 | (*control + shift(pid)) & 0x0F;
        }
    }
}
