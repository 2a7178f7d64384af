//! What was typed.
//!
//! Owns: the flags, what they change in a [`Config`], and what the program tells the one who started it. Does not know
//! files, sockets or protocol.
//!
//! Everything about a flag stands in one row of `FLAGS`: how it is written, what `--help` says of it, and what it
//! does to [`Typed`].

mod complete;
mod generate;
mod man;

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use getopts::{Fail, HasArg, Occur, Options};
use log::LevelFilter;
use thiserror::Error;

pub use self::generate::Generated;
use crate::config::{self, Config, HttpPort};

/// What the program is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Print [`help`].
    Help,
    /// Print [`version`].
    Version,
    /// Print the text of this.
    Generate(Generated),
    /// Serve, or only check the configuration.
    Run(Typed),
}

/// The command line as it was typed; what was left out is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Typed {
    /// RTMP port.
    pub port: Option<u16>,
    /// HTTP port.
    pub http_port: Option<HttpPort>,
    /// Address to listen on.
    pub bind: Option<IpAddr>,
    /// Size of outgoing chunks, in bytes.
    pub chunk_size: Option<usize>,
    /// Window in which live frames are collected, in milliseconds.
    pub batch_ms: Option<u64>,
    /// Directory in which every stream is recorded.
    pub record: Option<String>,
    /// Publish the built-in clip.
    pub test_stream: bool,
    /// Name of the configuration file.
    pub config: Option<String>,
    /// Only print what holds.
    pub check: bool,
    /// How often more log was asked for.
    pub verbosity: usize,
    generate: Option<Generated>,
    help: bool,
    version: bool,
}

/// A command line that cannot be understood, in one line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}; see rtmpd --help")]
pub struct UsageError(String);

struct Flag {
    /// Empty where there is none.
    short: &'static str,
    long: &'static str,
    /// Name of its value; a switch has none.
    value: Option<&'static str>,
    help: &'static str,
    /// What holds where it is not given.
    default: Option<fn(&Config) -> String>,
    /// Takes the value (empty for a switch), or says what is wrong with it.
    update: fn(&mut Typed, &str) -> Result<(), String>,
}

const FLAGS: &[Flag] = &[
    Flag {
        short: "p",
        long: "port",
        value: Some("PORT"),
        help: "RTMP port; 0 picks a free one",
        default: Some(|config| config.port.to_string()),
        update: |typed, value| {
            typed.port = u16::try_from(config::parse_number("server.port", value)?).ok();
            Ok(())
        },
    },
    Flag {
        short: "",
        long: "http-port",
        value: Some("PORT"),
        help: "HTTP port; 0 picks a free one, \"off\" disables",
        default: Some(|config| config.http_address().map_or("off".to_owned(), |address| address.port().to_string())),
        update: |typed, value| {
            typed.http_port = Some(parse_http_port(value)?);
            Ok(())
        },
    },
    Flag {
        short: "b",
        long: "bind",
        value: Some("ADDR"),
        help: "address to listen on",
        default: Some(|config| config.bind.to_string()),
        update: |typed, value| {
            typed.bind = Some(parse_address(value)?);
            Ok(())
        },
    },
    Flag {
        short: "s",
        long: "chunk-size",
        value: Some("BYTES"),
        help: "size of outgoing chunks, 128..=65536",
        default: Some(|config| config.engine.chunk_size.to_string()),
        update: |typed, value| {
            typed.chunk_size = usize::try_from(config::parse_number("server.chunk_size", value)?).ok();
            Ok(())
        },
    },
    Flag {
        short: "",
        long: "batch-ms",
        value: Some("MS"),
        help: "frames wait so long to leave together, 0..=100",
        default: Some(|config| config.engine.batch_ms.to_string()),
        update: |typed, value| {
            typed.batch_ms = Some(config::parse_number("server.batch_ms", value)?);
            Ok(())
        },
    },
    Flag {
        short: "",
        long: "record",
        value: Some("DIR"),
        help: "record every stream below this directory",
        default: None,
        update: |typed, value| {
            if value.is_empty() {
                return Err("must be the name of a directory, is \"\"".to_owned());
            }
            typed.record = Some(value.to_owned());
            Ok(())
        },
    },
    Flag {
        short: "",
        long: "test-stream",
        value: None,
        help: "publish a built-in clip as live/test",
        default: None,
        update: |typed, _| {
            typed.test_stream = true;
            Ok(())
        },
    },
    Flag {
        short: "",
        long: "config",
        value: Some("FILE"),
        help: "TOML file; flags given on the command line win",
        default: None,
        update: |typed, value| {
            typed.config = Some(value.to_owned());
            Ok(())
        },
    },
    Flag {
        short: "",
        long: "check",
        value: None,
        help: "read the configuration, print it whole, exit",
        default: None,
        update: |typed, _| {
            typed.check = true;
            Ok(())
        },
    },
    Flag {
        short: "v",
        long: "verbose",
        value: None,
        help: "more log (repeatable); RUST_LOG wins where set",
        default: None,
        update: |typed, _| {
            typed.verbosity += 1;
            Ok(())
        },
    },
    Flag {
        short: "",
        long: "generate",
        value: Some("WHAT"),
        help: "print the man page (man) or completion (bash, zsh, fish), exit",
        default: None,
        update: |typed, value| {
            typed.generate = Some(Generated::parse(value)?);
            Ok(())
        },
    },
    Flag {
        short: "h",
        long: "help",
        value: None,
        help: "print this help",
        default: None,
        update: |typed, _| {
            typed.help = true;
            Ok(())
        },
    },
    Flag {
        short: "V",
        long: "version",
        value: None,
        help: "print the version",
        default: None,
        update: |typed, _| {
            typed.version = true;
            Ok(())
        },
    },
];

/// Reads the command line, without the program's name. A flag that is given twice counts as given last.
///
/// # Errors
/// The first thing that cannot be understood.
pub fn parse(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Request, UsageError> {
    let matches = options().parse(args).map_err(|fail| UsageError(explain(&fail)))?;
    if let Some(stray) = matches.free.first() {
        return Err(UsageError(format!("{stray:?} belongs to no option")));
    }
    let mut typed = Typed::default();
    for Flag { long, value, update, .. } in FLAGS {
        let values = match value {
            Some(_) => matches.opt_strs(long),
            None => vec![String::new(); matches.opt_count(long)],
        };
        for value in values {
            update(&mut typed, &value).map_err(|problem| UsageError(format!("--{long} {problem}")))?;
        }
    }
    Ok(match typed {
        Typed { help: true, .. } => Request::Help,
        Typed { version: true, .. } => Request::Version,
        Typed { generate: Some(what), .. } => Request::Generate(what),
        typed => Request::Run(typed),
    })
}

impl Typed {
    /// Puts what was typed over what `config` says.
    pub fn apply_to(&self, config: &mut Config) {
        config.port = self.port.unwrap_or(config.port);
        config.http_port = self.http_port.unwrap_or(config.http_port);
        config.bind = self.bind.unwrap_or(config.bind);
        config.engine.chunk_size = self.chunk_size.unwrap_or(config.engine.chunk_size);
        config.engine.batch_ms = self.batch_ms.unwrap_or(config.engine.batch_ms);
        config.engine.test_stream |= self.test_stream;
        if let Some(directory) = &self.record {
            // What single applications say about it was heeded when the file was read.
            config.engine.app.record.auto = true;
            config.engine.app.record.directory = directory.into();
        }
    }

    /// How much is logged where `RUST_LOG` does not say it.
    pub fn log_level(&self) -> LevelFilter {
        match self.verbosity {
            0 => LevelFilter::Info,
            1 => LevelFilter::Debug,
            _ => LevelFilter::Trace,
        }
    }
}

/// What `--help` prints.
pub fn help() -> String {
    let defaults = Config::default();
    let mut text = String::from("A live-streaming server: publish over RTMP, watch at the live edge.\n\n");
    text.push_str("Usage: rtmpd [OPTIONS]\n\n");
    for Flag { short, long, value, help, default, .. } in FLAGS {
        let short = if short.is_empty() { "    ".to_owned() } else { format!("-{short}, ") };
        let value = value.map(|value| format!(" {value}")).unwrap_or_default();
        let name = format!("{short}--{long}{value}");
        let default = default.map(|default| format!(" [{}]", default(&defaults))).unwrap_or_default();
        text.push_str(&format!("  {name:<24} {help}{default}\n"));
    }
    text.push_str("\nPublish to and play from rtmp://HOST[:PORT]/APP/STREAM. All that a file can set is printed by\n");
    text.push_str("--check, and explained in rtmpd.toml.example.\n");
    text
}

/// What `--version` prints.
pub fn version() -> String {
    format!("rtmpd {}\n", env!("CARGO_PKG_VERSION"))
}

/// Why nothing can be received on `address`, and what to do about it, in one line. `flag` sets its port.
pub fn explain_listen_error(flag: &str, address: SocketAddr, error: &io::Error) -> String {
    let (ip, port) = (address.ip(), address.port());
    match error.kind() {
        ErrorKind::AddrInUse => {
            format!("port {port} on {ip} is in use by another program; choose another with {flag}")
        }
        ErrorKind::AddrNotAvailable => format!(
            "{ip} is not an address of this machine; choose another with --bind ({} means all of them)",
            unspecified(ip)
        ),
        ErrorKind::PermissionDenied => {
            format!("port {port} on {ip} may not be used by this user; choose one above 1023 with {flag}")
        }
        _ => format!(
            "cannot listen on {address}: {error}; choose another address with --bind or another port with {flag}"
        ),
    }
}

/// The flag that sets the port of HTTP.
pub const HTTP_PORT_FLAG: &str = "--http-port";
/// The flag that sets the port of RTMP.
pub const PORT_FLAG: &str = "--port";

/// What a newcomer can do with a server that listens for RTMP on `address`.
pub fn first_steps(address: SocketAddr) -> Vec<String> {
    let url = format!("rtmp://{}/live/test", reachable(address));
    vec![
        format!("publish: ffmpeg -re -i VIDEO -c copy -f flv {url}"),
        format!("watch:   ffplay -fflags nobuffer {url}"),
    ]
}

/// What a newcomer can do with a server that listens for HTTP on `address`.
pub fn first_http_steps(address: SocketAddr) -> Vec<String> {
    let url = format!("http://{}/live/test", reachable(address));
    vec![format!("browser: {url}.m3u8 (HLS), {url}.flv, {url}.ts, {url}.mp4")]
}

/// Where programs on this machine find a server that listens on `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn parse_http_port(typed: &str) -> Result<HttpPort, String> {
    if typed == "off" {
        return Ok(HttpPort::Off);
    }
    let number =
        config::parse_number("server.http_port", typed).map_err(|problem| format!("{problem} (or \"off\")"))?;
    Ok(u16::try_from(number).map_or(HttpPort::Off, HttpPort::On))
}

fn unspecified(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

fn options() -> Options {
    let mut options = Options::new();
    for Flag { short, long, value, .. } in FLAGS {
        let has_value = if value.is_some() { HasArg::Yes } else { HasArg::No };
        options.opt(short, long, "", "", has_value, Occur::Multi);
    }
    options
}

fn explain(fail: &Fail) -> String {
    match fail {
        Fail::ArgumentMissing(name) => format!("{} needs a value", dashed(name)),
        Fail::UnrecognizedOption(name) => format!("there is no option {}", dashed(name)),
        Fail::UnexpectedArgument(name) => format!("{} takes no value", dashed(name)),
        Fail::OptionMissing(name) => format!("{} is missing", dashed(name)),
        Fail::OptionDuplicated(name) => format!("{} is given twice", dashed(name)),
    }
}

/// An option as it is typed.
fn dashed(name: &str) -> String {
    let name = name.escape_debug();
    if name.clone().count() == 1 { format!("-{name}") } else { format!("--{name}") }
}

/// An IP address, in brackets or not.
fn parse_address(typed: &str) -> Result<IpAddr, String> {
    let inner = typed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(typed);
    if let Ok(address) = inner.parse() {
        return Ok(address);
    }
    if typed.parse::<SocketAddr>().is_ok() {
        return Err(format!("takes an address without a port, is {typed:?}; give the port with --port"));
    }
    Err(format!("must be an IP address, for example 0.0.0.0, 127.0.0.1 or ::, is {typed:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &str) -> Typed {
        match parse(line.split_whitespace()) {
            Ok(Request::Run(typed)) => typed,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn flags_are_read_in_each_way_of_writing_them() {
        let ip = |text: &str| Some(text.parse().unwrap());
        let cases = [
            ("", Typed::default()),
            ("-p 0", Typed { port: Some(0), ..Typed::default() }),
            ("-p65535", Typed { port: Some(65535), ..Typed::default() }),
            ("--port 1 --port=2", Typed { port: Some(2), ..Typed::default() }),
            ("-b ::1", Typed { bind: ip("::1"), ..Typed::default() }),
            ("--bind [::]", Typed { bind: ip("::"), ..Typed::default() }),
            ("--bind=127.0.0.1", Typed { bind: ip("127.0.0.1"), ..Typed::default() }),
            ("-s 128", Typed { chunk_size: Some(128), ..Typed::default() }),
            ("--batch-ms 20", Typed { batch_ms: Some(20), ..Typed::default() }),
            ("--chunk-size 65536", Typed { chunk_size: Some(65536), ..Typed::default() }),
            ("--record /srv/tv", Typed { record: Some("/srv/tv".into()), ..Typed::default() }),
            ("--config a.toml --check", Typed { config: Some("a.toml".into()), check: true, ..Typed::default() }),
            ("-v", Typed { verbosity: 1, ..Typed::default() }),
            ("-vv --verbose", Typed { verbosity: 3, ..Typed::default() }),
        ];
        for (line, expected) in cases {
            assert_eq!(typed(line), expected, "{line}");
        }
    }

    #[test]
    fn help_and_version_win_over_the_rest() {
        for (line, expected) in [
            ("-h", Request::Help),
            ("--check --help -p 1", Request::Help),
            ("-V -h", Request::Help),
            ("-V", Request::Version),
            ("--version -v", Request::Version),
            ("--generate man --generate zsh", Request::Generate(Generated::Zsh)),
            ("--generate man -V", Request::Version),
        ] {
            assert_eq!(parse(line.split_whitespace()), Ok(expected), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_told_in_one_line() {
        let port = "--port must be a whole number from 0 to 65535, is";
        let bytes = "--chunk-size must be a whole number from 128 to 65536, is";
        let address = "--bind must be an IP address, for example 0.0.0.0, 127.0.0.1 or ::, is";
        let cases = [
            ("-p 65536", format!("{port} \"65536\"")),
            ("--port=", format!("{port} \"\"")),
            ("--port -1", format!("{port} \"-1\"")),
            ("-s 127", format!("{bytes} \"127\"")),
            ("-s 4k", format!("{bytes} \"4k\"")),
            ("-b localhost", format!("{address} \"localhost\"")),
            (
                "-b [::1]:1935",
                "--bind takes an address without a port, is \"[::1]:1935\"; give the port with --port".to_owned(),
            ),
            ("--record=", "--record must be the name of a directory, is \"\"".to_owned()),
            ("--port", "--port needs a value".to_owned()),
            ("-p", "-p needs a value".to_owned()),
            ("--prot 1", "there is no option --prot".to_owned()),
            ("-x", "there is no option -x".to_owned()),
            ("--generate csh", "--generate must be one of man, bash, zsh, fish, is \"csh\"".to_owned()),
            ("--check=yes", "--check takes no value".to_owned()),
            ("1935", "\"1935\" belongs to no option".to_owned()),
        ];
        for (line, expected) in cases {
            let told = parse(line.split(' ')).map_err(|error| error.to_string());
            assert_eq!(told, Err(format!("{expected}; see rtmpd --help")), "{line}");
        }
        let told = parse(["--a\nb"]).unwrap_err().to_string();
        assert_eq!(told, "there is no option --a\\nb; see rtmpd --help");
    }

    #[test]
    fn flags_win_over_the_file() {
        let mut config = config::parse("server = { bind = '::1', port = 7, chunk_size = 512 }").unwrap();
        let before = config.clone();
        typed("").apply_to(&mut config);
        assert_eq!(config, before);
        typed("-p 8 -b 127.0.0.2 -s 4096 --record there").apply_to(&mut config);
        assert!(config.engine.app.record.auto);
        assert_eq!(config.engine.app.record.directory.to_str(), Some("there"));
        assert_eq!(config.address().to_string(), "127.0.0.2:8");
        assert_eq!(config.engine.chunk_size, 4096);
    }

    #[test]
    fn help_names_every_flag_and_default() {
        let help = help();
        for flag in FLAGS {
            assert!(help.contains(&format!("--{}", flag.long)) && help.contains(flag.help), "{}", flag.long);
        }
        for default in ["[1935]", "[0.0.0.0]", "[65536]"] {
            assert!(help.contains(default), "{default}");
        }
        assert!(help.lines().all(|line| line.len() <= 100), "{help}");
        let range = config::parse_number("server.chunk_size", "").unwrap_err();
        assert!(range.contains("from 128 to 65536"), "the help says another range: {range}");
    }

    #[test]
    fn each_v_asks_for_more() {
        let levels = ["", "-v", "-vv", "-vvv"].map(|line| typed(line).log_level());
        assert_eq!(levels, [LevelFilter::Info, LevelFilter::Debug, LevelFilter::Trace, LevelFilter::Trace]);
    }

    #[test]
    fn reasons_not_to_listen_say_what_to_do() {
        let cases = [
            (
                "0.0.0.0:1935",
                ErrorKind::AddrInUse,
                "port 1935 on 0.0.0.0 is in use by another program; choose another with --port",
            ),
            (
                "[2001:db8::1]:1935",
                ErrorKind::AddrNotAvailable,
                "2001:db8::1 is not an address of this machine; choose another with --bind (:: means all of them)",
            ),
            (
                "127.0.0.1:80",
                ErrorKind::PermissionDenied,
                "port 80 on 127.0.0.1 may not be used by this user; choose one above 1023 with --port",
            ),
            (
                "127.0.0.1:80",
                ErrorKind::OutOfMemory,
                "cannot listen on 127.0.0.1:80: out of memory; choose another address with --bind or another port \
                 with --port",
            ),
        ];
        for (address, kind, expected) in cases {
            assert_eq!(explain_listen_error(PORT_FLAG, address.parse().unwrap(), &kind.into()), expected);
        }
    }

    #[test]
    fn first_steps_name_an_address_that_can_be_reached() {
        let cases = [
            ("0.0.0.0:1935", "rtmp://127.0.0.1:1935/live/test"),
            ("[::]:1936", "rtmp://[::1]:1936/live/test"),
            ("192.0.2.7:1", "rtmp://192.0.2.7:1/live/test"),
        ];
        for (address, url) in cases {
            let [publish, watch] = &first_steps(address.parse().unwrap())[..] else { panic!("two steps") };
            assert!(publish.contains("ffmpeg") && publish.ends_with(url), "{publish}");
            assert!(watch.contains("ffplay") && watch.ends_with(url), "{watch}");
        }
    }
}
