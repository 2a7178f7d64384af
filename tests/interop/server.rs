//! The server under test, as its own program.

use std::process::Command;

use super::media::Scratch;
use super::program::Program;

/// A running server on free ports.
pub struct Server {
    program: Program,
    address: String,
}

impl Server {
    /// Starts a server without HTTP.
    pub fn start() -> Server {
        Server::launch(&["--http-port", "off"])
    }

    /// Starts a server that serves HTTP as well.
    pub fn start_with_http() -> Server {
        Server::launch(&["--http-port", "0"])
    }

    /// Starts a server that serves HTTP and its built-in clip, with this configuration.
    pub fn with_test_stream(scratch: &Scratch, text: &str) -> Server {
        let file = scratch.file("rtmpd.toml");
        std::fs::write(&file, text).unwrap();
        Server::launch(&["--http-port", "0", "--test-stream", "--config", file.to_str().unwrap()])
    }

    /// The console.
    pub fn console_url(&self) -> String {
        format!("http://{}/", listening(&self.program, "http"))
    }

    /// Starts a server without HTTP that has this configuration file.
    pub fn with_config(scratch: &Scratch, text: &str) -> Server {
        let file = scratch.file("rtmpd.toml");
        std::fs::write(&file, text).unwrap();
        Server::launch(&["--http-port", "off", "--config", file.to_str().unwrap()])
    }

    fn launch(arguments: &[&str]) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rtmpd"));
        command.args(["-p", "0", "-b", "127.0.0.1"]).args(arguments).env("RUST_LOG", "debug");
        let program = Program::start("rtmpd", &mut command);
        let address = listening(&program, "rtmp");
        Server { program, address }
    }

    /// Where something is served over HTTP or WebSocket (`scheme`): `file` is a stream with what says its form.
    pub fn web_url(&self, scheme: &str, file: &str) -> String {
        format!("{scheme}://{}/live/{file}", listening(&self.program, "http"))
    }

    /// Where a stream is published and played.
    pub fn url(&self, stream: &str) -> String {
        format!("rtmp://{}/live/{stream}", self.address)
    }

    /// Waits until `count` players are there before the publisher of `stream`.
    pub fn wait_for_players(&self, stream: &str, count: usize) {
        self.wait_for_log(&format!("waits for live/{stream}"), count);
    }

    /// Waits until `count` lines of the log hold `text`.
    pub fn wait_for_log(&self, text: &str, count: usize) {
        self.program.wait_for_stderr(text, count);
    }

    /// Asks the server to end (SIGTERM), while others are connected.
    pub fn terminate(&self) {
        self.program.terminate();
    }

    /// Ends the server and looks at how it ended, and for errors in its log.
    pub fn stop(self) {
        self.terminate();
        self.expect_clean_end();
    }

    /// Waits for the end of a server that was asked to.
    pub fn expect_clean_end(mut self) {
        let finished = self.program.succeed();
        let errors: Vec<&String> =
            finished.stderr.iter().filter(|line| line.contains(" ERROR ") || line.contains("panicked")).collect();
        assert!(errors.is_empty(), "errors in the server's log: {errors:#?}");
    }
}

/// The address for a protocol, which the server tells once it takes connections.
fn listening(program: &Program, protocol: &str) -> String {
    let start = format!("listening {protocol} ");
    program.wait_for_stdout(&start, |lines| lines.iter().find_map(|line| line.strip_prefix(&start)).map(str::to_owned))
}
