//! Listeners that are handed over by the one who starts the process. The process that takes them is this test program
//! itself, started again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail where it stands")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Output, Stdio};

use rtmpd::server::activation;

/// Set for the process that is started.
const CHILD: &str = "RTMPD_TEST_CHILD";

/// Starts [`child`] with the descriptors 3 and 4, and the environment that `variables` (for `sh`) sets. The shell
/// becomes that process, so its number is known before.
fn start(three: OwnedFd, four: OwnedFd, variables: &str) -> Output {
    let script = format!("exec 3<&0 4>&1 0</dev/null 1>&2; {variables}; exec \"$0\" \"$@\"");
    let test = std::env::current_exe().unwrap();
    let child = Command::new("sh")
        .args(["-c", &script])
        .arg(test)
        .args(["--exact", "child", "--nocapture", "--ignored"])
        .env(CHILD, "1")
        .stdin(Stdio::from(three))
        .stdout(Stdio::from(four))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.wait_with_output().unwrap()
}

#[test]
#[ignore = "the other tests of this file start it, in a process of its own"]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    match activation::take() {
        Ok(listeners) => {
            for (name, listener) in listeners {
                listener.set_nonblocking(false).unwrap();
                let (mut peer, _) = listener.accept().unwrap();
                peer.write_all(name.as_bytes()).unwrap();
            }
        }
        Err(error) => eprintln!("refused: {error}"),
    }
    eprintln!("again: {}", activation::take().unwrap_or_default().len());
    // Programs that are started from there inherit none of them.
    let inherited = Command::new("sh").args(["-c", "true <&3 || true >&4"]).stderr(Stdio::null()).status().unwrap();
    eprintln!("inherited: {}", inherited.success());
}

fn listeners() -> [TcpListener; 2] {
    [TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap()]
}

fn told(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn listeners_are_taken_over_with_their_names_and_what_waits_in_them() {
    let listeners = listeners();
    // They connect before the process that answers exists.
    let peers = listeners.each_ref().map(|listener| TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    let [three, four] = listeners.map(OwnedFd::from);
    let output = start(three, four, "export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=rtmp:http");
    let told = told(&output);
    assert!(told.contains("again: 0") && told.contains("inherited: false"), "{told}");
    for (mut peer, name) in peers.into_iter().zip(["rtmp", "http"]) {
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        assert_eq!(text, name);
    }
}

#[test]
fn what_was_meant_for_another_process_is_left_alone() {
    let [three, four] = listeners().map(OwnedFd::from);
    let told = told(&start(three, four, "export LISTEN_PID=1 LISTEN_FDS=2"));
    assert!(told.contains("again: 0") && told.contains("inherited: true"), "{told}");
}

#[test]
fn what_is_no_listener_is_refused_by_name() {
    let [three, _] = listeners().map(OwnedFd::from);
    let file = OwnedFd::from(std::fs::File::options().write(true).open("/dev/null").unwrap());
    let told = told(&start(three, file, "export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=rtmp:http"));
    assert!(told.contains("refused: descriptor 4 (http) is no TCP socket that listens"), "{told}");
}
