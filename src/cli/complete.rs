//! Completion of the command line in shells.
//!
//! Owns: how each shell is told about flags. Does not know what a flag means.

use super::generate::Generated;
use super::{FLAGS, Flag};

/// What can be typed as the value of a flag.
enum Offered {
    /// The flag has no value.
    NoValue,
    /// Anything.
    Free,
    /// The name of a file.
    Files,
    /// Words, among other things or not.
    Words(Vec<&'static str>),
}

fn offered(flag: &Flag) -> Offered {
    match (flag.long, flag.value) {
        (_, None) => Offered::NoValue,
        ("generate", _) => Offered::Words(Generated::names().to_vec()),
        ("bind", _) => Offered::Words(vec!["0.0.0.0", "127.0.0.1"]),
        ("http-port", _) => Offered::Words(vec!["0", "8080", "off"]),
        (_, Some("FILE")) => Offered::Files,
        _ => Offered::Free,
    }
}

/// Both ways to write a flag, as bash sees them in front of a value.
fn written(flag: &Flag) -> Vec<String> {
    let short = (!flag.short.is_empty()).then(|| format!("-{}", flag.short));
    short.into_iter().chain([format!("--{}", flag.long)]).collect()
}

pub(super) fn bash() -> String {
    let mut cases = String::new();
    let mut all = Vec::new();
    for flag in FLAGS {
        all.extend(written(flag));
        let action = match offered(flag) {
            Offered::NoValue => continue,
            Offered::Free => "COMPREPLY=()".to_owned(),
            Offered::Files => "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$word\")".to_owned(),
            Offered::Words(words) => {
                format!("mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$word\")", words.join(" "))
            }
        };
        cases.push_str(&format!("    {}) {action}; return ;;\n", written(flag).join("|")));
    }
    let all = all.join(" ");
    // In `--flag=value` bash sees three words: flag, `=`, value.
    format!(
        "# Completion of rtmpd for bash. Made by `rtmpd --generate bash`; do not edit.\n\
         _rtmpd() {{\n  \
         local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}\n  \
         if [[ $word == = ]]; then\n    word=''\n  \
         elif [[ $before == = && $COMP_CWORD -ge 2 ]]; then\n    before=${{COMP_WORDS[COMP_CWORD-2]}}\n  fi\n  \
         case $before in\n{cases}  esac\n  \
         mapfile -t COMPREPLY < <(compgen -W '{all}' -- \"$word\")\n}}\n\
         complete -F _rtmpd rtmpd\n"
    )
}

pub(super) fn zsh() -> String {
    let mut text = String::from(
        "#compdef rtmpd\n# Completion of rtmpd for zsh. Made by `rtmpd --generate zsh`; do not edit.\n\n\
         _arguments -s -S",
    );
    for flag in FLAGS {
        let value = flag.value.unwrap_or_default().to_lowercase();
        let action = match offered(flag) {
            Offered::NoValue => String::new(),
            Offered::Free => format!(":{value}: "),
            Offered::Files => format!(":{value}:_files"),
            Offered::Words(words) => {
                format!(":{value}:({})", words.join(" "))
            }
        };
        let help = quoted_for_zsh(flag.help);
        let is_repeatable = flag.help.contains("(repeatable)");
        let others = written(flag).join(" ");
        let excluded = if is_repeatable { "*".to_owned() } else { format!("({others})") };
        for name in written(flag) {
            let joined = match (flag.value, name.starts_with("--")) {
                (None, _) => "",
                (Some(_), true) => "=",
                (Some(_), false) => "+",
            };
            text.push_str(&format!(" \\\n  '{excluded}{name}{joined}[{help}]{action}'"));
        }
    }
    text.push('\n');
    text
}

/// A description within `'...[...]'`.
fn quoted_for_zsh(text: &str) -> String {
    text.replace('\'', "'\\''").replace('[', "\\[").replace(']', "\\]")
}

pub(super) fn fish() -> String {
    let mut text = String::from(
        "# Completion of rtmpd for fish. Made by `rtmpd --generate fish`; do not edit.\ncomplete -c rtmpd -f\n",
    );
    for flag in FLAGS {
        let short = if flag.short.is_empty() { String::new() } else { format!(" -s {}", flag.short) };
        let value = match offered(flag) {
            Offered::NoValue => String::new(),
            Offered::Free => " -x".to_owned(),
            Offered::Files => " -r -F".to_owned(),
            Offered::Words(words) => format!(" -x -a '{}'", words.join(" ")),
        };
        let help = flag.help.replace('\\', "\\\\").replace('\'', "\\'");
        text.push_str(&format!("complete -c rtmpd{short} -l {}{value} -d '{help}'\n", flag.long));
    }
    text
}
