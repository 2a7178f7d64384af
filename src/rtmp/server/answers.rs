//! Messages that a session sends by itself.
//!
//! Owns: the bytes not yet drained, and which chunk stream and shape each answer has. Does not know when an answer
//! is due.

use bytes::{Bytes, BytesMut};

use super::status;
use crate::rtmp::amf0::Value;
use crate::rtmp::chunk;
use crate::rtmp::command::Command;
use crate::rtmp::message::{ControlMessage, UserControl, chunk_stream_id, type_id};

/// Chunk size before Set Chunk Size (5.4.1).
const FIRST_CHUNK_SIZE: usize = 128;

/// Answers of one input, joined to one buffer.
#[derive(Debug)]
pub(super) struct Answers {
    out: BytesMut,
    chunk_size: usize,
}

impl Answers {
    pub(super) fn new() -> Self {
        Answers { out: BytesMut::new(), chunk_size: FIRST_CHUNK_SIZE }
    }

    /// Bytes not yet drained.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// Memory held between two inputs, which should be none.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.out.capacity()
    }

    /// All bytes, leaving no allocation behind.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        if self.out.is_empty() {
            return None;
        }
        Some(std::mem::take(&mut self.out).freeze())
    }

    /// Where the handshake, which is not chunked, writes.
    pub(super) fn unchunked(&mut self) -> &mut BytesMut {
        &mut self.out
    }

    /// Set Chunk Size; what follows is cut so.
    pub(super) fn set_chunk_size(&mut self, chunk_size: usize) {
        let announced = u32::try_from(chunk_size).unwrap_or(0x00FF_FFFF);
        self.control(ControlMessage::SetChunkSize(announced));
        self.chunk_size = chunk_size;
    }

    pub(super) fn control(&mut self, message: ControlMessage) {
        let mut body = BytesMut::new();
        message.encode(&mut body);
        self.message(chunk_stream_id::CONTROL, message.type_id(), 0, &body);
    }

    pub(super) fn user_control(&mut self, event: UserControl) {
        self.control(ControlMessage::UserControl(event));
    }

    /// `_result` with one value beside the command object.
    pub(super) fn result(&mut self, transaction_id: f64, object: Value, value: Value) {
        self.command(0, "_result", transaction_id, object, value);
    }

    /// `_result` (null, undefined), where the caller wants any: calls with transaction id 0 want none.
    pub(super) fn empty_result(&mut self, transaction_id: f64) {
        if transaction_id > 0.0 {
            self.result(transaction_id, Value::Null, Value::Undefined);
        }
    }

    /// `_error`, where the caller wants an answer.
    pub(super) fn error(&mut self, transaction_id: f64, code: &str, description: &str) {
        if transaction_id > 0.0 {
            let info = status("error", code, description);
            self.command(0, "_error", transaction_id, Value::Null, info);
        }
    }

    /// A call of the client's method `name`, like `onFCPublish`, with an information object of level `status`.
    pub(super) fn call(&mut self, name: &str, transaction_id: f64, code: &str, description: &str) {
        let info = status("status", code, description);
        self.command(0, name, transaction_id, Value::Null, info);
    }

    /// `onStatus` on a message stream (7.2.2).
    pub(super) fn on_status(&mut self, stream_id: u32, level: &str, code: &str, description: &str) {
        let info = status(level, code, description);
        self.command(stream_id, "onStatus", 0.0, Value::Null, info);
    }

    /// `NetConnection.Connect.ReconnectRequest` (Enhanced RTMP v2, "Reconnect Request"). `tc_url`: where to; `None`:
    /// where the client is connected now.
    pub(super) fn reconnect_request(&mut self, tc_url: Option<&str>, description: &str) {
        let mut info = status("status", "NetConnection.Connect.ReconnectRequest", description);
        if let (Value::Object(members), Some(tc_url)) = (&mut info, tc_url) {
            members.push(("tcUrl".to_owned(), Value::string(tc_url)));
        }
        self.command(0, "onStatus", 0.0, Value::Null, info);
    }

    fn command(&mut self, stream_id: u32, name: &str, id: f64, object: Value, value: Value) {
        let command = Command { name: name.to_owned(), transaction_id: id, object, arguments: vec![value] };
        let mut body = BytesMut::new();
        command.encode(&mut body);
        self.message(chunk_stream_id::COMMAND, type_id::COMMAND_AMF0, stream_id, &body);
    }

    fn message(&mut self, chunk_stream_id: u32, type_id: u8, stream_id: u32, body: &[u8]) {
        chunk::encode_message(&mut self.out, self.chunk_size, chunk_stream_id, 0, type_id, stream_id, body);
    }
}
