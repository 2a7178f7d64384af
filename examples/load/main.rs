//! Load for RTMP servers, what it costs them, and the least that it can cost.
//!
//! `load --help` says what it does. All load is bounded in number and time and ends by itself. Read it in this order:
//! `options`, `watch`, `storm`, `fairness`, `hls`, `idle`, `hostile` and `soak` (what is measured), `world` (the loop),
//! `player` and `publisher`, `attack` (who means no good), `clip` (what is sent), `skim`, `link`, `stats`, `report`;
//! and `floor`, the server to compare with.

mod attack;
mod clip;
mod fairness;
mod floor;
mod hls;
mod hostile;
mod idle;
mod link;
mod options;
mod player;
mod publisher;
mod report;
mod skim;
mod soak;
mod stats;
mod storm;
mod watch;
mod world;

use std::io::{self, Write};
use std::process::ExitCode;

use options::{Command, Options};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let options = match Options::parse(&arguments) {
        Ok(options) => options,
        Err(text) => {
            let _ = writeln!(io::stderr(), "{text}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "load: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every promise was kept.
fn run(options: &Options) -> io::Result<bool> {
    let report = match options.command {
        Command::Paced | Command::Saturated | Command::Join => watch::run(options)?,
        Command::Fairness => fairness::run(options)?,
        Command::Storm => storm::run(options)?,
        Command::Hls => hls::run(options)?,
        Command::Idle => idle::run(options)?,
        Command::Hostile => hostile::run(options)?,
        Command::Attack => attack::run(options)?,
        Command::Soak => soak::run(options)?,
        Command::Floor => return floor::run(options).map(|()| true),
    };
    report.write(&mut io::stdout().lock(), options.json)?;
    Ok(!report.has_failed())
}
