//! The manual page.
//!
//! Owns: `rtmpd(1)` as `man` reads it (roff with the `man` macros). Does not know what a flag means: what it says of
//! one is what `--help` says.

use super::{FLAGS, Flag};
use crate::config::Config;

pub(super) fn page() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut page = format!(
        ".\\\" Made by `rtmpd --generate man`; do not edit.\n\
         .TH RTMPD 1 \"\" \"rtmpd {version}\" \"User Commands\"\n\
         .SH NAME\nrtmpd \\- live\\-streaming server\n.SH SYNOPSIS\n.B rtmpd\n"
    );
    for flag in FLAGS {
        let value = flag.value.map(|value| format!("\\ \\fI{value}\\fR")).unwrap_or_default();
        page.push_str(&format!("[{}{value}]\n", bold(&format!("--{}", flag.long))));
    }
    page.push_str(DESCRIPTION);
    page.push_str(".SH OPTIONS\nWhat holds without the option stands in brackets.\n");
    let defaults = Config::default();
    for flag in FLAGS {
        page.push_str(&option(flag, &defaults));
    }
    page.push_str(REST);
    page
}

/// One option with its explanation.
fn option(flag: &Flag, defaults: &Config) -> String {
    let short = if flag.short.is_empty() { String::new() } else { format!("{}, ", bold(&format!("-{}", flag.short))) };
    let value = flag.value.map(|value| format!(" \\fI{value}\\fR")).unwrap_or_default();
    let default = flag.default.map(|default| format!(" [{}]", escaped(&default(defaults)))).unwrap_or_default();
    let help = escaped(flag.help);
    format!(".TP\n{short}{}{value}\n{help}{default}\n", bold(&format!("--{}", flag.long)))
}

fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", escaped(text))
}

/// Text as it is to be seen: a plain `-` would become a hyphen, `\` an escape, and `.` or `'` in front a request.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

const DESCRIPTION: &str = r#".SH DESCRIPTION
An encoder publishes a stream, any number of players watch it at its live edge.
Publish to and play from
.BI rtmp:// HOST\fR[\fP:PORT\fR]\fP / APP / STREAM\fR.\fP
No configuration is needed; everything that a file can set is printed by
.B \-\-check
and explained in the example file.
.PP
As soon as it listens, rtmpd writes a line for each listener,
.RI \(dqlistening\ rtmp\  ADDRESS : PORT \(dq,
on standard output.
Its log goes to standard error.
"#;

const REST: &str = r#".SH SIGNALS
.TP
.B SIGTERM
Take nobody new, let sessions go on for
.I drain_ms
(0 unless configured), then end all of them properly and the program, within two seconds more.
A second one ends them at once.
.TP
.B SIGINT
End all sessions properly and then the program, within two seconds.
.TP
.B SIGUSR2
Start the program again from its file, which may be a newer one by now, with the same options, and hand the listening
sockets over once it serves: nobody who connects is refused.
This process goes on with those whom it has, for
.I upgrade_drain_ms
(an hour) at most.
Where the new one does not start, nothing changes, and the log says why.
.TP
.B SIGHUP
Read the file of
.B \-\-config
again. Whoever is connected stays; what cannot change is told in the log, and a file with a mistake changes nothing.
.SH ENVIRONMENT
.TP
.B RUST_LOG
What is logged, for example
.BR debug ;
wins over
.BR \-\-verbose .
.TP
.BR LISTEN_PID ", " LISTEN_FDS ", " LISTEN_FDNAMES
Sockets handed over by
.BR systemd (1)
or alike; see
.BR systemd.socket (5).
.TP
.B NOTIFY_SOCKET
Where the service manager is told that rtmpd serves, and which process does after an upgrade; see
.BR sd_notify (3).
.TP
.B RTMPD_UPGRADE
Set for the new process of an upgrade.
.SH EXIT STATUS
.TP
.B 0
It was ended by a signal, or has printed what it was asked for.
.TP
.B 1
Trouble at run time, for example a port in use.
.TP
.B 2
A wrong option or configuration.
.SH FILES
.TP
.I /etc/rtmpd.toml
The configuration of the system service.
.TP
.I /usr/share/doc/rtmpd/rtmpd.toml.example
Every key of a configuration with its default.
.SH EXAMPLES
Listen on this machine only, publish a file, and watch it:
.PP
.nf
.RS
rtmpd \-\-bind 127.0.0.1
ffmpeg \-re \-i VIDEO \-c copy \-f flv rtmp://127.0.0.1/live/test
ffplay \-fflags nobuffer rtmp://127.0.0.1/live/test
.RE
.fi
.PP
Keep the whole configuration, to change it:
.PP
.nf
.RS
rtmpd \-\-check > rtmpd.toml
.RE
.fi
.SH SEE ALSO
.BR ffmpeg (1),
.BR ffplay (1),
.BR systemd.socket (5)
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_is_on_the_page() {
        let page = page();
        for flag in FLAGS {
            assert!(page.contains(&bold(&format!("--{}", flag.long))), "{}", flag.long);
            assert!(page.contains(&escaped(flag.help)), "{}", flag.long);
        }
        assert!(page.contains("[1935]"));
    }

    #[test]
    fn text_is_not_taken_for_roff() {
        assert_eq!(escaped("--a \\ b"), "\\-\\-a \\e b");
        assert_eq!(escaped(".TH"), "\\&.TH");
    }
}
