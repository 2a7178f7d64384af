//! The server under test, and what the system says of its process.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::program::Program;

/// Longest wait for anything. Only a test that fails waits for so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

const LISTENING: &str = "listening rtmp ";
/// How often the system is asked again.
const POLL_STEP: Duration = Duration::from_millis(5);

/// A running server on a free port.
pub struct Server {
    program: Program,
    pub address: SocketAddr,
    config: Option<PathBuf>,
}

impl Server {
    /// A server with every default.
    pub fn start() -> Server {
        Server::launch(Command::new(env!("CARGO_BIN_EXE_rtmpd")), None)
    }

    /// A server with this configuration file.
    pub fn with_config(text: &str) -> Server {
        Server::configured(Command::new(env!("CARGO_BIN_EXE_rtmpd")), text)
    }

    /// A server by another command, with this configuration file.
    pub fn configured(command: Command, text: &str) -> Server {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let file = std::env::temp_dir().join(format!("rtmpd-sockets-{}-{number}.toml", std::process::id()));
        fs::write(&file, text).unwrap();
        Server::launch(command, Some(file))
    }

    /// A server that may have only so many descriptors.
    pub fn with_descriptors(count: usize) -> Server {
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -n \"$1\" && shift && exec \"$@\"", "sh"]);
        shell.arg(count.to_string()).arg(env!("CARGO_BIN_EXE_rtmpd"));
        Server::launch(shell, None)
    }

    fn launch(mut command: Command, config: Option<PathBuf>) -> Server {
        command.args(["-p", "0", "-b", "127.0.0.1", "--http-port", "off"]).env("RUST_LOG", "debug");
        if let Some(file) = &config {
            command.arg("--config").arg(file);
        }
        let program = Program::start("rtmpd", &mut command);
        let address = program.wait_for_stdout("listening", |lines| {
            lines.iter().find_map(|line| line.strip_prefix(LISTENING)).map(str::to_owned)
        });
        Server { program, address: address.parse().unwrap(), config }
    }

    /// Waits until `count` lines of the log hold `text`.
    pub fn wait_for_log(&self, text: &str, count: usize) {
        self.program.wait_for_stderr(text, count);
    }

    /// Writes another text into its configuration file.
    pub fn configure(&self, text: &str) {
        fs::write(self.config.as_ref().unwrap(), text).unwrap();
    }

    /// Writes another text into its configuration file and has it read again (SIGHUP).
    pub fn reload(&self, text: &str) {
        self.configure(text);
        self.program.signal("HUP");
    }

    /// Has it replaced by a new process (SIGUSR2).
    pub fn upgrade(&self) {
        self.program.signal("USR2");
    }

    /// Descriptors that the server holds.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.program.id())).unwrap().count()
    }

    /// Waits until the server holds no more descriptors than `count`.
    pub fn wait_for_descriptors(&self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.descriptors() > count {
            assert!(Instant::now() < deadline, "{} descriptors stay open, not {count}", self.descriptors());
            sleep(POLL_STEP);
        }
    }

    /// Memory that the server has in use, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.memory("VmRSS:")
    }

    /// The most memory that the server ever had in use, in bytes.
    pub fn peak_memory_bytes(&self) -> usize {
        self.memory("VmHWM:")
    }

    fn memory(&self, what: &str) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.program.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
        line.trim().strip_suffix(" kB").unwrap().trim().parse::<usize>().unwrap() * 1024
    }

    /// Asks the server to end (SIGTERM).
    pub fn terminate(&self) {
        self.program.terminate();
    }

    /// Ends the server; gives its log, in which there is no error.
    pub fn stop(self) -> Vec<String> {
        self.terminate();
        self.expect_clean_end()
    }

    /// Waits for the end of a server that was asked to, and of all that it started; gives its log.
    pub fn expect_end(&mut self) -> Vec<String> {
        self.program.succeed().stderr
    }

    /// The same; there is no error in the log.
    pub fn expect_clean_end(mut self) -> Vec<String> {
        let log = self.expect_end();
        let errors: Vec<&String> =
            log.iter().filter(|line| line.contains(" ERROR ") || line.contains("panicked")).collect();
        assert!(errors.is_empty(), "errors in the server's log: {errors:#?}");
        log
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(file) = &self.config {
            // A file that stays behind in the temporary folder harms nobody.
            let _ = fs::remove_file(file);
        }
    }
}

/// Makes sure that this test program may have `count` descriptors beside those of other tests.
#[allow(unsafe_code, reason = "no safe call raises a limit")]
pub fn need_descriptors(count: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the answer.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }, 0, "the limit cannot be read");
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a valid limit that is only read.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0, "the limit cannot be raised");
    let allowed = limit.rlim_max;
    assert!(allowed >= count, "this test needs {count} descriptors, the system allows {allowed} (see ulimit -Hn)");
}
