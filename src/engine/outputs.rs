//! HLS and recordings: subscribers of the hub that are no connections.
//!
//! Owns: which output belongs to which stream. Does not know files or sockets.

use std::time::Instant;

use crate::hub::SubscriberId;
use crate::media::Frame;

/// An output, as the engine knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OutputId(usize);

/// Set in a subscriber's number where it is no connection.
const OUTPUT_BIT: u64 = 1 << 63;

/// The output that the hub knows by this number; `None`: it is a connection.
pub(super) fn from_hub_id(id: SubscriberId) -> Option<OutputId> {
    (id.0 & OUTPUT_BIT != 0).then_some(OutputId((id.0 & !OUTPUT_BIT) as usize))
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Outputs {}

impl Outputs {
    pub(super) fn frame(&mut self, _now: Instant, _id: OutputId, _frame: &Frame) {}
    pub(super) fn ended(&mut self, _now: Instant, _id: OutputId) {}
    pub(super) fn began(&mut self, _now: Instant, _id: OutputId) {}
}
