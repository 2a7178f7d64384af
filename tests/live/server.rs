//! The server under test, with a configuration of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::media::Scratch;
use super::program::{Finished, Program};

const BINARY: &str = env!("CARGO_BIN_EXE_rtmpd");

/// A running server on free ports.
pub struct Server {
    pub program: Program,
    pub rtmp: SocketAddr,
    pub http: SocketAddr,
}

impl Server {
    /// Starts a server with this configuration.
    pub fn start(scratch: &Scratch, config: &str) -> Server {
        Server::launch(Command::new(BINARY), scratch, config)
    }

    /// Starts a server by a shell that runs `prepare` before.
    pub fn start_after(prepare: &str, scratch: &Scratch, config: &str) -> Server {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{prepare}; exec \"$@\""), "sh", BINARY]);
        Server::launch(shell, scratch, config)
    }

    /// Starts a server as the child of a program that takes a command line behind its own arguments.
    pub fn start_by(program: &[&str], scratch: &Scratch, config: &str) -> Server {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).arg(BINARY);
        Server::launch(command, scratch, config)
    }

    fn launch(mut command: Command, scratch: &Scratch, config: &str) -> Server {
        let file = scratch.file("rtmpd.toml");
        std::fs::write(&file, config).unwrap();
        command.args(["-p", "0", "-b", "127.0.0.1", "--http-port", "0", "--config"]).arg(&file);
        let program = Program::start("rtmpd", command.env("RUST_LOG", "debug"));
        let address = |protocol: &str| {
            let begin = format!("listening {protocol} ");
            let find = |lines: &[String]| lines.iter().find_map(|line| line.strip_prefix(&begin)).map(str::to_owned);
            program.wait_for_stdout("listening", find).parse().unwrap()
        };
        let (rtmp, http) = (address("rtmp"), address("http"));
        Server { program, rtmp, http }
    }

    /// Where a stream is published and played.
    pub fn url(&self, stream: &str) -> String {
        format!("rtmp://{}/live/{stream}", self.rtmp)
    }

    /// Waits until `count` lines of the log hold `text`.
    pub fn wait_for_log(&self, text: &str, count: usize) {
        self.program.wait_for_stderr(text, count);
    }

    /// Ends the server; gives its log, in which there is no error.
    pub fn stop(mut self) -> Vec<String> {
        self.program.terminate();
        let Finished { stderr, .. } = self.program.succeed();
        let errors: Vec<&String> =
            stderr.iter().filter(|line| line.contains(" ERROR ") || line.contains("panicked")).collect();
        assert!(errors.is_empty(), "errors in the server's log: {errors:#?}");
        stderr
    }
}

/// Configuration of a server that records every stream below `directory`.
pub fn recording(directory: &Path, formats: &str) -> String {
    format!("[default.record]\nauto = true\ndirectory = \"{}\"\nformats = [{formats}]\n", directory.display())
}
