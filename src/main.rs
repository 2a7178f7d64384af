//! The `rtmpd` program.
//!
//! Owns: reading the configuration file, where the log goes, and exit codes. Does not know what a flag or key means.

#![forbid(unsafe_code)]

use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;

use log::{LevelFilter, info, warn};
use rtmpd::cli::{self, Request, Typed, UsageError};
use rtmpd::config::{self, Config};
use rtmpd::server::{BindError, Program, Protocol, Server};

/// Why the program ends early, in one line.
enum Failure {
    /// What was typed, or the configuration, cannot be used.
    Usage(String),
    /// The system did not let it go on.
    RunTime(String),
}

impl From<UsageError> for Failure {
    fn from(error: UsageError) -> Self {
        Failure::Usage(error.to_string())
    }
}

fn main() -> ExitCode {
    let (text, code) = match run() {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::RunTime(text)) => (text, 1),
        Err(Failure::Usage(text)) => (text, 2),
    };
    // Nobody is left to be told that this failed.
    let _ = writeln!(io::stderr(), "rtmpd: {text}");
    ExitCode::from(code)
}

fn run() -> Result<(), Failure> {
    let typed = match cli::parse(std::env::args_os().skip(1))? {
        Request::Help => return print(&cli::help()),
        Request::Version => return print(&cli::version()),
        Request::Generate(what) => return print(&what.text()),
        Request::Run(typed) => typed,
    };
    let config = read_config(&typed)?;
    if typed.check {
        let text = config::to_toml(&config).map_err(|error| Failure::Usage(error.to_string()))?;
        return print(&text);
    }
    start_log(typed.log_level());
    serve(config, typed)
}

fn read_config(typed: &Typed) -> Result<Config, Failure> {
    let mut config = match &typed.config {
        None => Config::default(),
        Some(name) => {
            let text = fs::read_to_string(name).map_err(|error| {
                Failure::Usage(format!("cannot read {name:?}: {error}; --config wants the name of a TOML file"))
            })?;
            config::parse_recording(&text, typed.record.as_deref())
                .map_err(|error| Failure::Usage(format!("{name}:{error}")))?
        }
    };
    typed.apply_to(&mut config);
    Ok(config)
}

fn serve(config: Config, typed: Typed) -> Result<(), Failure> {
    let program = Program::of_this_process();
    let mut server = Server::bind(config).map_err(|error| Failure::RunTime(explain(&error)))?;
    if typed.config.is_some() {
        let load = move || {
            read_config(&typed).map_err(|failure| match failure {
                Failure::Usage(text) | Failure::RunTime(text) => text,
            })
        };
        server.set_loader(Box::new(load)).map_err(|error| Failure::RunTime(format!("cannot begin: {error}")))?;
    }
    match program {
        Ok(program) => {
            server.set_program(program).map_err(|error| Failure::RunTime(format!("cannot begin: {error}")))?;
        }
        Err(error) => warn!("SIGUSR2 will not upgrade: {error}"),
    }
    for (protocol, address) in server.addresses() {
        if print(&format!("listening {protocol} {address}\n")).is_err() {
            warn!("standard output is closed; listening on {address}");
        }
        info!("rtmpd {} listens for {} on {address}", env!("CARGO_PKG_VERSION"), protocol.name());
        let steps = match protocol {
            Protocol::Rtmp => cli::first_steps(address),
            Protocol::Http => cli::first_http_steps(address),
        };
        for line in steps {
            info!("{line}");
        }
    }
    server.run().map_err(|error| Failure::RunTime(format!("cannot go on: {error}")))
}

fn explain(error: &BindError) -> String {
    match error {
        BindError::Listen { protocol, address, error } => {
            let flag = match protocol {
                Protocol::Rtmp => cli::PORT_FLAG,
                Protocol::Http => cli::HTTP_PORT_FLAG,
            };
            cli::explain_listen_error(flag, *address, error)
        }
        BindError::System(error) => format!("cannot begin: {error}"),
    }
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::RunTime(format!("cannot write to standard output: {error}")))
}

/// Logs to standard error: time, level, text. `RUST_LOG` wins over `level`.
fn start_log(level: LevelFilter) {
    let mut builder = env_logger::Builder::new();
    match std::env::var("RUST_LOG") {
        Ok(filters) if !filters.is_empty() => builder.parse_filters(&filters),
        _ => builder.filter_level(level),
    };
    builder.format(|out, record| {
        // Peers choose names that are logged: none of them may end the line and begin another one.
        let text = record.args().to_string().replace(char::is_control, "?");
        writeln!(out, "{} {:<5} {text}", out.timestamp_millis(), record.level())
    });
    builder.init();
}
