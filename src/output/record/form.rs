//! How a file of each format is written.
//!
//! Owns: the choice of the format. Does not know disks or limits.

use bytes::{Bytes, BytesMut};

use super::es::EsForm;
use super::flv::FlvForm;
use super::headers::Headers;
use super::mp4::Mp4Form;
use crate::config::RecordFormat;
use crate::container::flv::summary::Extent;
use crate::container::mpegts;
use crate::media::{Frame, FrameKind};

/// One file's format.
#[derive(Debug)]
pub(super) enum Form {
    Flv(FlvForm),
    Ts(Box<mpegts::Muxer>),
    Mp4(Box<Mp4Form>),
    Es(EsForm),
}

impl Form {
    /// New files of a format, each with what it begins with.
    pub(super) fn begin(format: RecordFormat, headers: &Headers, has_video: bool) -> Vec<(Form, BytesMut)> {
        let mut head = BytesMut::new();
        let form = match format {
            RecordFormat::Flv => Form::Flv(FlvForm::begin(headers, has_video, &mut head)),
            RecordFormat::Ts => {
                let mut muxer = Box::new(mpegts::Muxer::new());
                headers.frames().for_each(|header| muxer.push(header, &mut head));
                Form::Ts(muxer)
            }
            RecordFormat::Mp4 => Form::Mp4(Box::new(Mp4Form::begin(headers))),
            RecordFormat::Es => {
                let tracks = [FrameKind::Video, FrameKind::Audio];
                return tracks.map(|kind| (Form::Es(EsForm::begin(kind, headers)), BytesMut::new())).into();
            }
        };
        vec![(form, head)]
    }

    /// What a name of such a file ends with. Known for certain once there are bytes.
    pub(super) fn extension(&self) -> &'static str {
        match self {
            Form::Flv(_) => ".flv",
            Form::Ts(_) => ".ts",
            Form::Mp4(_) => ".mp4",
            Form::Es(form) => form.extension(),
        }
    }

    /// Whether some of the stream can only go on in another file.
    pub(super) fn wants_split(&self) -> bool {
        matches!(self, Form::Mp4(form) if form.wants_split())
    }

    /// Takes a frame whose timestamp counts from the file's beginning. `at`: bytes of the file before `out` grows.
    pub(super) fn push(&mut self, frame: &Frame, at: u64, out: &mut BytesMut) {
        match self {
            Form::Flv(form) => form.push(frame, at, out),
            Form::Ts(muxer) => muxer.push(frame, out),
            Form::Mp4(form) => form.push(frame, out),
            Form::Es(form) => form.push(frame, out),
        }
    }

    /// No frame follows: what is left.
    pub(super) fn end(&mut self, out: &mut BytesMut) {
        if let Form::Mp4(form) = self {
            form.end(out);
        }
    }

    /// What to write over a file that has `end` bytes and reaches as far as `extent`, and where.
    pub(super) fn finish(&mut self, end: u64, extent: Extent) -> Vec<(u64, Bytes)> {
        match self {
            Form::Flv(form) => form.finish(end, extent),
            Form::Ts(_) | Form::Mp4(_) | Form::Es(_) => Vec::new(),
        }
    }
}
