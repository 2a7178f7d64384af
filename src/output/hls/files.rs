//! What to write where segments are kept in a folder, too.
//!
//! Owns: the order of writing: a playlist never names what is not there yet. Does not touch files.

use std::collections::VecDeque;

use bytes::Bytes;

/// Effects that wait to be fetched at most; behind it the oldest are lost.
const MAX_EFFECTS: usize = 4_096;

/// Something to do in the stream's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEffect {
    /// File name, without a folder.
    pub name: String,
    /// What to do with it.
    pub change: FileChange,
}

/// What to do with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileChange {
    /// Write these pieces, one after the other.
    Write(Vec<Bytes>),
    /// The same, under another name that is then changed to this one, so that readers see the old file or the new one.
    Replace(Vec<Bytes>),
    /// Remove it.
    Remove,
}

/// Effects in their order.
#[derive(Debug, Default)]
pub(super) struct Files {
    effects: VecDeque<FileEffect>,
}

impl Files {
    pub(super) fn push(&mut self, name: String, change: FileChange) {
        if self.effects.len() >= MAX_EFFECTS {
            self.effects.pop_front();
        }
        self.effects.push_back(FileEffect { name, change });
    }

    pub(super) fn pop(&mut self) -> Option<FileEffect> {
        self.effects.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_fetches_does_not_grow_for_ever() {
        let mut files = Files::default();
        for number in 0..=MAX_EFFECTS {
            files.push(number.to_string(), FileChange::Remove);
        }
        assert_eq!(files.effects.len(), MAX_EFFECTS);
        assert_eq!(files.pop().map(|effect| effect.name).as_deref(), Some("1"));
    }
}
