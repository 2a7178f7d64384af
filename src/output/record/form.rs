//! How a file of each format is written.
//!
//! Owns: the choice of the format. Does not know disks or limits.

use bytes::{Bytes, BytesMut};

use super::flv::FlvForm;
use super::headers::Headers;
use crate::config::RecordFormat;
use crate::container::flv::summary::Extent;
use crate::media::Frame;

/// One file's format.
#[derive(Debug)]
pub(super) enum Form {
    Flv(FlvForm),
}

impl Form {
    /// A new file; what it begins with is put into `out`.
    pub(super) fn begin(format: RecordFormat, headers: &Headers, has_video: bool, out: &mut BytesMut) -> Option<Self> {
        match format {
            RecordFormat::Flv => Some(Form::Flv(FlvForm::begin(headers, has_video, out))),
            RecordFormat::Ts | RecordFormat::Mp4 | RecordFormat::Es => None,
        }
    }

    /// What a name of such a file ends with.
    pub(super) fn extension(&self) -> &'static str {
        match self {
            Form::Flv(_) => ".flv",
        }
    }

    /// Takes a frame whose timestamp counts from the file's beginning. `at`: bytes of the file before `out` grows.
    pub(super) fn push(&mut self, frame: &Frame, at: u64, out: &mut BytesMut) {
        match self {
            Form::Flv(form) => form.push(frame, at, out),
        }
    }

    /// No frame follows: what is left.
    pub(super) fn end(&mut self, _out: &mut BytesMut) {
        match self {
            Form::Flv(_) => {}
        }
    }

    /// What to write over a file that has `end` bytes and reaches as far as `extent`, and where.
    pub(super) fn finish(&mut self, end: u64, extent: Extent) -> Vec<(u64, Bytes)> {
        match self {
            Form::Flv(form) => form.finish(end, extent),
        }
    }
}
