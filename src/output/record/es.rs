//! Recording as elementary streams.
//!
//! Owns: which codecs make a stream of their own, and what its file is called. Does not know where the bytes go.

use bytes::BytesMut;

use super::headers::Headers;
use crate::container::es::{Adts, AnnexB};
use crate::container::flv::unit::units;
use crate::media::codec::CodecId;
use crate::media::{Frame, FrameKind};

/// One track's file. Nothing is written of codecs that have no such form.
#[derive(Debug)]
pub(super) enum EsForm {
    Video(AnnexB),
    Audio {
        adts: Adts,
        /// What the file is made of.
        codec: Option<CodecId>,
    },
}

impl EsForm {
    /// The file of the default video or audio track.
    pub(super) fn begin(kind: FrameKind, headers: &Headers) -> Self {
        let mut form = match kind {
            FrameKind::Video => EsForm::Video(AnnexB::new()),
            _ => EsForm::Audio { adts: Adts::new(), codec: None },
        };
        let mut nothing = BytesMut::new();
        headers.frames().for_each(|header| form.push(header, &mut nothing));
        form
    }

    /// What a name of such a file ends with.
    pub(super) fn extension(&self) -> &'static str {
        match self {
            EsForm::Video(writer) if writer.codec() == Some(CodecId::Hevc) => ".h265",
            EsForm::Video(_) => ".h264",
            EsForm::Audio { codec: Some(CodecId::Mp3), .. } => ".mp3",
            EsForm::Audio { codec: Some(CodecId::Ac3), .. } => ".ac3",
            EsForm::Audio { codec: Some(CodecId::Eac3), .. } => ".eac3",
            EsForm::Audio { .. } => ".aac",
        }
    }

    pub(super) fn push(&mut self, frame: &Frame, out: &mut BytesMut) {
        match self {
            EsForm::Video(writer) => writer.push(frame, out),
            EsForm::Audio { adts, codec } if frame.kind == FrameKind::Audio => {
                let Some(unit) = units(frame).into_iter().min_by_key(|unit| unit.track) else { return };
                if *codec.get_or_insert(unit.codec) != unit.codec {
                    return;
                }
                match unit.codec {
                    CodecId::Aac => adts.push(frame, out),
                    // Their frames stand on their own.
                    CodecId::Mp3 | CodecId::Ac3 | CodecId::Eac3 => out.extend_from_slice(&unit.data),
                    _ => {}
                }
            }
            EsForm::Audio { .. } => {}
        }
    }
}
