//! The server under test, as its own program.

use std::process::Command;

use super::program::Program;

/// What the server says on standard output once it takes connections; its address follows.
const LISTENING: &str = "listening rtmp ";

/// A running server on a free port.
pub struct Server {
    program: Program,
    address: String,
}

impl Server {
    /// Starts a server.
    pub fn start() -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rtmpd"));
        command.args(["-p", "0", "-b", "127.0.0.1", "--http-port", "off"]).env("RUST_LOG", "debug");
        let program = Program::start("rtmpd", &mut command);
        let address = program.wait_for_stdout("listening", |lines| {
            lines.iter().find_map(|line| line.strip_prefix(LISTENING)).map(str::to_owned)
        });
        Server { program, address }
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
