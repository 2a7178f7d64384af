//! What `--generate` prints.
//!
//! Owns: which texts there are. Does not know where they are installed.

use super::{complete, man};

/// A text that is made of the table of flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generated {
    /// The manual page `rtmpd(1)`, for `man`.
    Man,
    /// Completion for bash.
    Bash,
    /// Completion for zsh.
    Zsh,
    /// Completion for fish.
    Fish,
}

impl Generated {
    /// All of them.
    pub const ALL: [Generated; 4] = [Generated::Man, Generated::Bash, Generated::Zsh, Generated::Fish];

    /// The word that asks for it.
    pub fn name(self) -> &'static str {
        match self {
            Generated::Man => "man",
            Generated::Bash => "bash",
            Generated::Zsh => "zsh",
            Generated::Fish => "fish",
        }
    }

    /// The text itself.
    pub fn text(self) -> String {
        match self {
            Generated::Man => man::page(),
            Generated::Bash => complete::bash(),
            Generated::Zsh => complete::zsh(),
            Generated::Fish => complete::fish(),
        }
    }

    /// # Errors
    /// `typed` asks for none of them.
    pub(super) fn parse(typed: &str) -> Result<Generated, String> {
        let known = Self::ALL.into_iter().find(|known| known.name() == typed);
        known.ok_or_else(|| format!("must be one of {}, is {typed:?}", Self::names().join(", ")))
    }

    pub(super) fn names() -> [&'static str; 4] {
        Self::ALL.map(Generated::name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_is_what_the_flags_say() {
        let root = env!("CARGO_MANIFEST_DIR");
        let files = [
            (Generated::Man, "contrib/rtmpd.1"),
            (Generated::Bash, "contrib/completions/rtmpd.bash"),
            (Generated::Zsh, "contrib/completions/_rtmpd"),
            (Generated::Fish, "contrib/completions/rtmpd.fish"),
        ];
        for (generated, file) in files {
            let kept = std::fs::read_to_string(format!("{root}/{file}")).unwrap_or_default();
            let command = format!("cargo run -- --generate {} > {file}", generated.name());
            assert!(kept == generated.text(), "{file} is not up to date; run: {command}");
        }
        assert_eq!(files.len(), Generated::ALL.len());
    }
}
