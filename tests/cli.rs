//! The program as the one who starts it meets it: the real binary, on the loopback interface only.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail where it stands")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// No test waits longer for anything. Only one that fails gets there.
const PATIENCE: Duration = Duration::from_secs(10);

fn rtmpd() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rtmpd"));
    command.env_remove("RUST_LOG").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the program to its end, which has to come by itself.
fn run(args: &[&str]) -> Output {
    let mut running = Running::start(rtmpd().args(args));
    let stdout = running.rest_of_output();
    let mut stderr = Vec::new();
    running.child.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    let status = running.child.wait().unwrap();
    Output { status, stdout: stdout.into_bytes(), stderr }
}

/// Checks that the program ends with `code`, says nothing on standard output, and `expected` in one line of its own.
fn assert_refused(args: &[&str], code: i32, expected: &str) {
    let output = run(args);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told, format!("rtmpd: {expected}\n"), "{args:?}");
    assert_eq!(output.status.code(), Some(code), "{args:?}: {told}");
    assert!(output.stdout.is_empty(), "{args:?}");
}

fn assert_prints(args: &[&str], expected: &[&str]) {
    let output = run(args);
    let printed = String::from_utf8(output.stdout).unwrap();
    for part in expected {
        assert!(printed.contains(part), "{args:?} does not print {part:?} but:\n{printed}");
    }
    assert_eq!(output.status.code(), Some(0), "{args:?}");
    assert!(output.stderr.is_empty(), "{args:?}");
}

/// A started program. Its standard output is read all the time; its end is seen by the end of that.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(command: &mut Command) -> Running {
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Running { child, lines }
    }

    /// Starts a server on `bind` and waits until it listens.
    fn listen(bind: &str) -> (Running, SocketAddr) {
        let running =
            Running::start(rtmpd().args(["--bind", bind, "--port", "0", "--http-port", "off"]).stderr(Stdio::null()));
        let line = running.lines.recv_timeout(PATIENCE).expect("a line on standard output");
        let address = line.strip_prefix("listening rtmp ").expect(&line).parse().expect(&line);
        (running, address)
    }

    /// What is still printed until the program ends.
    fn rest_of_output(&mut self) -> String {
        let mut text = String::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => text = text + &line + "\n",
                Err(RecvTimeoutError::Disconnected) => return text,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("still running after {PATIENCE:?}; printed: {text}")
                }
            }
        }
    }

    fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file of its own for each test.
fn file(name: &str, text: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path.into_os_string().into_string().unwrap()
}

#[test]
fn help_and_version_are_printed() {
    assert_prints(&["--help"], &["Usage: rtmpd [OPTIONS]", "-p, --port PORT", "[1935]", "--check"]);
    assert_prints(&["-h"], &["Usage: rtmpd [OPTIONS]"]);
    let version = format!("rtmpd {}\n", env!("CARGO_PKG_VERSION"));
    assert_prints(&["--version"], &[&version]);
    assert_prints(&["-V"], &[&version]);
}

#[test]
fn bad_flags_are_refused_with_code_2() {
    let cases: [(&[&str], &str); 5] = [
        (&["--prot", "1"], "there is no option --prot"),
        (&["--port", "70000"], "--port must be a whole number from 0 to 65535, is \"70000\""),
        (&["--chunk-size", "100"], "--chunk-size must be a whole number from 128 to 65536, is \"100\""),
        (&["--config"], "--config needs a value"),
        (&["rtmpd.toml"], "\"rtmpd.toml\" belongs to no option"),
    ];
    for (args, expected) in cases {
        assert_refused(args, 2, &format!("{expected}; see rtmpd --help"));
    }
}

#[test]
fn bad_configurations_are_told_with_file_line_and_key() {
    let cases = [
        (
            "range.toml",
            "[app.tv.queue]\nbytes = 1000000\nlag_ms = 0\n",
            "3: app.tv.queue.lag_ms: must be a whole number from 100 to 3600000, is 0",
        ),
        (
            "key.toml",
            "[server]\n\nprot = 1935\n",
            "3: server.prot: unknown field `prot`, expected one of `bind`, `port`, `http_port`, `chunk_size`, \
             `batch_ms`, `drain_ms`, `upgrade_drain_ms`, `reconnect_url`, `test_stream`",
        ),
        (
            "value.toml",
            "[app.live]\njoin = 'soon'\n",
            "2: app.live.join: unknown variant `soon`, expected one of `edge`, `gop`, `key`",
        ),
    ];
    for (name, text, expected) in cases {
        let name = file(name, text);
        assert_refused(&["--config", &name], 2, &format!("{name}:{expected}"));
        assert_refused(&["--check", "--config", &name], 2, &format!("{name}:{expected}"));
    }
}

#[test]
fn an_unreadable_configuration_is_refused_with_code_2() {
    let name = format!("{}/no-such-file.toml", env!("CARGO_TARGET_TMPDIR"));
    let output = run(&["--config", &name]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with(&format!("rtmpd: cannot read \"{name}\": ")) && told.lines().count() == 1, "{told}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn check_prints_what_holds_in_the_end_and_reads_it_back() {
    let name = file("some.toml", "server = { port = 7, bind = '::1' }\n[app.tv]\njoin = 'gop'\n");
    let expected = ["port = 8\n", "bind = \"::1\"", "chunk_size = 65536", "[app.tv]\njoin = \"gop\"", "grace_ms = "];
    assert_prints(&["--config", &name, "--check", "--port", "8"], &expected);

    let whole = run(&["--config", &name, "--check"]).stdout;
    let again = file("whole.toml", std::str::from_utf8(&whole).unwrap());
    assert_eq!(run(&["--config", &again, "--check"]).stdout, whole);
}

#[test]
fn recording_everything_leaves_applications_alone_that_say_otherwise() {
    let name = file("record.toml", "[app.quiet.record]\nauto = false\n[app.tv.hls]\nmode = 'off'\n");
    let quiet = "[app.quiet.record]\nauto = false\ndirectory = \"/all\"\n";
    let expected = ["[default.record]\nauto = true\n", "[app.tv.record]\nauto = true\n", quiet];
    assert_prints(&["--config", &name, "--check", "--record", "/all"], &expected);
}

#[test]
fn the_example_file_says_what_holds_without_it() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/rtmpd.toml.example");
    assert_eq!(run(&["--config", example, "--check"]).stdout, run(&["--check"]).stdout);
}

#[test]
fn a_port_in_use_ends_the_program_with_code_1() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let expected = format!("port {port} on 127.0.0.1 is in use by another program; choose another with --port");
    let args = ["--bind", "127.0.0.1", "--port", &port];
    let output = run(&args);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.ends_with(&format!("rtmpd: {expected}\n")), "{told}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn port_0_takes_a_free_port_and_tells_it() {
    let (_running, address) = Running::listen("127.0.0.1");
    assert_ne!(address.port(), 0);
    TcpStream::connect_timeout(&address, PATIENCE).unwrap();
}

#[test]
fn ipv6_addresses_can_be_listened_on() {
    if TcpListener::bind(("::1", 0)).is_err() {
        // A machine without IPv6 has nothing to show here.
        return;
    }
    let (_running, address) = Running::listen("::1");
    assert_eq!(address.ip().to_string(), "::1");
    TcpStream::connect_timeout(&address, PATIENCE).unwrap();
}

#[test]
fn the_log_shows_a_newcomer_how_to_publish_and_watch() {
    let mut running = Running::start(rtmpd().args(["--bind", "127.0.0.1", "--port", "0", "--http-port", "off"]));
    let listening = running.lines.recv_timeout(PATIENCE).unwrap();
    let address = listening.strip_prefix("listening rtmp ").unwrap();
    running.signal("TERM");
    assert_eq!(running.rest_of_output(), "");
    let mut log = String::new();
    running.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    for program in ["ffmpeg ", "ffplay "] {
        let line = log.lines().find(|line| line.contains(program)).expect(&log);
        assert!(line.ends_with(&format!("rtmp://{address}/live/test")), "{line}");
    }
}

#[test]
fn signals_end_the_program_with_code_0() {
    for signal in ["TERM", "INT"] {
        let (mut running, address) = Running::listen("127.0.0.1");
        // One that is connected and says nothing does not hold the end up.
        let _peer = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        running.signal(signal);
        assert_eq!(running.rest_of_output(), "");
        assert_eq!(running.child.wait().unwrap().code(), Some(0), "SIG{signal}");
    }
}

#[test]
fn listeners_stay_where_they_are_when_the_configuration_is_read_again() {
    let name = file("again.toml", "server = { port = 0, bind = '127.0.0.1', http_port = 'off' }");
    let mut running = Running::start(rtmpd().args(["--config", &name]));
    running.lines.recv_timeout(PATIENCE).unwrap();
    file("again.toml", "server = { port = 0, bind = '127.0.0.1', http_port = 0 }");
    running.signal("HUP");
    running.signal("TERM");
    assert_eq!(running.rest_of_output(), "");
    let mut log = String::new();
    running.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    let told = "server.http_port stays off until rtmpd is started again; then it is 0";
    assert_eq!(log.matches(" stays ").count(), 1, "{log}");
    assert!(log.contains(told), "{log}");
}

#[test]
fn rust_log_wins_over_the_flags() {
    let mut running = Running::start(
        rtmpd().args(["-b", "127.0.0.1", "-p", "0", "--http-port", "off", "-vv"]).env("RUST_LOG", "off"),
    );
    running.lines.recv_timeout(PATIENCE).unwrap();
    running.signal("TERM");
    running.rest_of_output();
    let mut log = String::new();
    running.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert_eq!(log, "");
}
