//! Commands (RTMP 1.0, section 7.2): name, transaction id, command object, arguments.
//!
//! Owns: the shape of a command and of the answers. Does not know what a session does with them.

use bytes::{Bytes, BytesMut};

use super::amf0::{AmfError, Value};

/// A command message, AMF0 or AMF3, decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// `connect`, `publish`, `_result`, ...
    pub name: String,
    /// 0 where no answer is wanted.
    pub transaction_id: f64,
    /// The command object, [`Value::Null`] where there was none.
    pub object: Value,
    /// What follows it.
    pub arguments: Vec<Value>,
}

impl Command {
    /// Decodes the body of a command message of either encoding (type 20; type 17 with its leading format byte 0).
    ///
    /// # Errors
    /// [`AmfError`] where not even the name could be read.
    pub fn decode(type_id: u8, payload: &Bytes) -> Result<Command, AmfError> {
        todo!("{type_id} {payload:?}")
    }

    /// Appends the body of an AMF0 command message.
    pub fn encode(&self, out: &mut BytesMut) {
        todo!("{out:?}")
    }
}
