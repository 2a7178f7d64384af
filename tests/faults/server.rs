//! The server under test: where and how it is started, and what the system says of it.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use super::media::Scratch;
use super::program::Program;

/// Longest wait for anything. Only a test that fails waits for so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

const BINARY: &str = env!("CARGO_BIN_EXE_rtmpd");

/// How a server is started.
#[derive(Default)]
pub struct Launch<'a> {
    /// A program and its arguments that take a command line behind them.
    pub by: Vec<&'a str>,
    /// Variables.
    pub env: Vec<(&'a str, String)>,
    /// Address to listen on; this machine only where there is none.
    pub bind: Option<&'a str>,
    /// RTMP port; a free one where there is none.
    pub port: u16,
    pub config: &'a str,
}

/// A running server.
pub struct Server {
    pub program: Program,
    pub rtmp: SocketAddr,
    pub http: SocketAddr,
}

impl Server {
    pub fn start(scratch: &Scratch, launch: &Launch<'_>) -> Server {
        let file = scratch.file("rtmpd.toml");
        fs::write(&file, launch.config).unwrap();
        let mut words = launch.by.iter().copied().chain([BINARY]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).envs(launch.env.iter().map(|(name, value)| (*name, value)));
        command.args(["-p", &launch.port.to_string(), "-b", launch.bind.unwrap_or("127.0.0.1")]);
        command.args(["--http-port", "0", "--config"]).arg(&file).env("RUST_LOG", "debug");
        let program = Program::start("rtmpd", &mut command);
        let address = |protocol: &str| {
            let begin = format!("listening {protocol} ");
            let find = |lines: &[String]| lines.iter().find_map(|line| line.strip_prefix(&begin)).map(str::to_owned);
            program.wait_for_stdout("listening", find).parse().unwrap()
        };
        let (rtmp, http) = (address("rtmp"), address("http"));
        Server { program, rtmp, http }
    }

    /// Waits until `count` lines of the log hold `text`.
    pub fn wait_for_log(&self, text: &str, count: usize) {
        self.program.wait_for_stderr(text, count);
    }

    /// Waits until the server holds no more descriptors than `count`.
    pub fn wait_for_descriptors(&self, count: usize) {
        wait_until("descriptors are given back", || self.descriptors() <= count);
    }

    /// Descriptors that the server holds.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.program.id())).unwrap().count()
    }

    /// Ends the server; gives its log, in which there is no error.
    pub fn stop(mut self) -> Vec<String> {
        self.program.terminate();
        let log = self.program.succeed().stderr;
        let errors: Vec<&String> =
            log.iter().filter(|line| line.contains(" ERROR ") || line.contains("panicked")).collect();
        assert!(errors.is_empty(), "errors in the server's log: {errors:#?}");
        log
    }
}

/// Waits for something that has to come.
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never came: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
