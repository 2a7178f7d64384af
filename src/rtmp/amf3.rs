//! AMF3 (Action Message Format, AMF 3 specification): values, reader, writer.
//!
//! Owns: the tree of values, the three reference tables and the bytes. Does not know AMF0.

/// A value (AMF3, section 3).
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// 0x00.
    Undefined,
}
