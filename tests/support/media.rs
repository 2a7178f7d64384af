//! Audio and video tag bodies with something to check inside.

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Body {
    VideoHeader,
    AudioHeader,
    Key,
    Delta,
    Audio,
}

impl Body {
    /// The head of an AVC or AAC tag body.
    pub const fn head(self) -> &'static [u8] {
        match self {
            Body::VideoHeader => &[0x17, 0, 0, 0, 0],
            Body::AudioHeader => &[0xAF, 0],
            Body::Key => &[0x17, 1, 0, 0, 0],
            Body::Delta => &[0x27, 1, 0, 0, 0],
            Body::Audio => &[0xAF, 1],
        }
    }

    pub const fn is_video(self) -> bool {
        matches!(self, Body::VideoHeader | Body::Key | Body::Delta)
    }

    pub const fn is_coded(self) -> bool {
        matches!(self, Body::Key | Body::Delta | Body::Audio)
    }

    /// A body of this kind with `mark` and then `filler` bytes.
    pub fn with(self, mark: &[u8], filler: usize) -> Vec<u8> {
        let mut bytes = [self.head(), mark].concat();
        bytes.resize(bytes.len() + filler, 0xEE);
        bytes
    }

    /// Which kind a body is, and what stands behind its head.
    pub fn parse(is_video: bool, body: &[u8]) -> Option<(Body, &[u8])> {
        let all = [Body::VideoHeader, Body::AudioHeader, Body::Key, Body::Delta, Body::Audio];
        let kind = all.into_iter().find(|kind| kind.is_video() == is_video && body.get(..2) == kind.head().get(..2))?;
        Some((kind, body.get(kind.head().len()..)?))
    }
}
