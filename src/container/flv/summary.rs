//! What a player wants to know of a recorded FLV file before it has read it.
//!
//! Owns: duration, which kinds of tags there are, and where the key frames stand, gathered tag by tag in bounded
//! memory. Does not know how that is written.

use crate::media::{FrameKind, FrameRole};

/// Key frames that an index holds. With more of them only every second one stays, then every fourth, and so on.
pub const INDEX_ENTRIES: usize = 2_048;

/// A place to which a player can jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFrame {
    /// Milliseconds from the file's beginning.
    pub time_ms: u64,
    /// Byte of the file where the tag begins.
    pub offset: u64,
}

/// Timestamps of one kind of coded frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Lane {
    last_ms: Option<u64>,
    /// Distance between the last two.
    step_ms: u64,
}

impl Lane {
    fn note(&mut self, time_ms: u64) {
        if let Some(last_ms) = self.last_ms.filter(|last_ms| *last_ms != time_ms) {
            self.step_ms = time_ms.saturating_sub(last_ms);
        }
        self.last_ms = Some(time_ms.max(self.last_ms.unwrap_or_default()));
    }

    /// The last frame is taken to last as long as the one before it.
    fn end_ms(&self) -> u64 {
        self.last_ms.map_or(0, |last_ms| last_ms.saturating_add(self.step_ms))
    }
}

/// How far a file reaches in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    audio: Lane,
    video: Lane,
}

impl Extent {
    /// Takes note of a coded frame `time_ms` milliseconds from the file's beginning.
    pub fn note(&mut self, kind: FrameKind, time_ms: u64) {
        match kind {
            FrameKind::Audio => self.audio.note(time_ms),
            FrameKind::Video => self.video.note(time_ms),
            FrameKind::Data => {}
        }
    }

    /// End of the last frame, in milliseconds from the file's beginning.
    pub fn duration_ms(&self) -> u64 {
        self.audio.end_ms().max(self.video.end_ms())
    }

    /// Whether there is a coded audio frame.
    pub fn has_audio(&self) -> bool {
        self.audio.last_ms.is_some()
    }

    /// Whether there is a coded video frame.
    pub fn has_video(&self) -> bool {
        self.video.last_ms.is_some()
    }
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    extent: Extent,
    key_frames: Vec<KeyFrame>,
    /// One of so many key frames is in the index.
    stride: u64,
    seen: u64,
}

impl Default for Summary {
    fn default() -> Self {
        Summary { extent: Extent::default(), key_frames: Vec::new(), stride: 1, seen: 0 }
    }
}

impl Summary {
    /// Takes note of a tag that begins at `offset`.
    pub fn note(&mut self, kind: FrameKind, role: FrameRole, time_ms: u64, offset: u64) {
        if !matches!(role, FrameRole::Key | FrameRole::Delta | FrameRole::Disposable) {
            return;
        }
        self.extent.note(kind, time_ms);
        if kind == FrameKind::Video && role == FrameRole::Key {
            self.note_key(KeyFrame { time_ms, offset });
        }
    }

    fn note_key(&mut self, key_frame: KeyFrame) {
        if self.seen.is_multiple_of(self.stride) {
            if self.key_frames.len() >= INDEX_ENTRIES {
                let mut number = 0_usize;
                self.key_frames.retain(|_| {
                    number += 1;
                    number % 2 == 1
                });
                self.stride = self.stride.saturating_mul(2);
            }
            if self.seen.is_multiple_of(self.stride) {
                self.key_frames.push(key_frame);
            }
        }
        self.seen += 1;
    }

    /// Forgets what stands from byte `end` on, where the file turned out to end; `extent` is how far it reaches.
    pub fn cut(&mut self, end: u64, extent: Extent) {
        self.key_frames.retain(|key_frame| key_frame.offset < end);
        self.extent = extent;
    }

    /// How far the file reaches.
    pub fn extent(&self) -> Extent {
        self.extent
    }

    /// Places to jump to, in their order.
    pub fn key_frames(&self) -> &[KeyFrame] {
        &self.key_frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_frame_lasts_as_long_as_the_one_before_it() {
        let mut extent = Extent::default();
        assert_eq!(extent.duration_ms(), 0);
        extent.note(FrameKind::Video, 0);
        assert_eq!((extent.duration_ms(), extent.has_audio(), extent.has_video()), (0, false, true));
        for time_ms in [40, 80, 80] {
            extent.note(FrameKind::Video, time_ms);
        }
        assert_eq!(extent.duration_ms(), 120);
        extent.note(FrameKind::Audio, 115);
        extent.note(FrameKind::Audio, 138);
        extent.note(FrameKind::Data, 9_999);
        assert_eq!((extent.duration_ms(), extent.has_audio()), (161, true));
    }

    #[test]
    fn a_long_file_has_an_index_that_covers_all_of_it() {
        let mut summary = Summary::default();
        let count = INDEX_ENTRIES as u64 * 5;
        for number in 0..count {
            summary.note(FrameKind::Video, FrameRole::Key, number * 1_000, 100 + number);
            summary.note(FrameKind::Video, FrameRole::Delta, number * 1_000 + 40, 100 + number);
            summary.note(FrameKind::Audio, FrameRole::Key, number * 1_000, 100 + number);
        }
        let index = summary.key_frames();
        assert!(index.len() <= INDEX_ENTRIES && index.len() >= INDEX_ENTRIES / 2, "{}", index.len());
        let expected = |at: usize| KeyFrame { time_ms: at as u64 * 8_000, offset: 100 + at as u64 * 8 };
        assert!(index.iter().enumerate().all(|(at, entry)| *entry == expected(at)));
        assert_eq!(index.len() as u64, count.div_ceil(8));
    }

    #[test]
    fn what_did_not_reach_the_disk_is_forgotten() {
        let mut summary = Summary::default();
        summary.note(FrameKind::Video, FrameRole::Key, 0, 100);
        summary.note(FrameKind::Video, FrameRole::Delta, 40, 200);
        let extent = summary.extent();
        summary.note(FrameKind::Video, FrameRole::Key, 80, 300);
        summary.cut(300, extent);
        assert_eq!(summary.key_frames(), [KeyFrame { time_ms: 0, offset: 100 }]);
        assert_eq!(summary.extent().duration_ms(), 80);
    }
}
