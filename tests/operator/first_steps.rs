//! The steps of the README ("First steps, one by one") with the very commands that stand there, only the addresses put
//! in place: each has to do what the README says of it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::media::Scratch;
use super::program::{Finished, Program};
use super::readme;

const LOG_CLOSED: &str = "closed by the operator";
const LOG_REFUSED: &str = "its key is not known";

/// A terminal in an empty folder.
struct Terminal {
    scratch: Scratch,
    /// What the README says, and what it is here.
    addresses: Vec<(String, String)>,
}

impl Terminal {
    fn command(&self, commands: &str) -> Command {
        let addresses = self.addresses.iter();
        let commands = addresses.fold(commands.to_owned(), |text, (from, to)| text.replace(from, to));
        let mut shell = Command::new("sh");
        shell.args(["-ec", &commands]).current_dir(self.scratch.file("."));
        let binary = Path::new(env!("CARGO_BIN_EXE_rtmpd")).parent().unwrap().to_owned();
        let path = std::env::var_os("PATH").unwrap();
        let path = std::env::join_paths([binary].into_iter().chain(std::env::split_paths(&path))).unwrap();
        shell.env("PATH", path).env_remove("RUST_LOG");
        shell
    }

    /// Types commands, and waits for them.
    fn run(&self, commands: &str) -> Finished {
        Program::start(commands, &mut self.command(commands)).succeed()
    }

    /// Types a command that goes on.
    fn start(&self, command: &str) -> Program {
        Program::start(command, &mut self.command(&format!("exec {command}")))
    }

    fn ask(&self, command: &str) -> Value {
        let said = self.run(command).stdout.concat();
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }
}

fn listening(server: &Program, protocol: &str) -> String {
    let begin = format!("listening {protocol} ");
    server.wait_for_stdout(&begin, |lines| lines.iter().find_map(|line| line.strip_prefix(&begin)).map(str::to_owned))
}

#[test]
#[ignore = "needs ffmpeg, curl: run scripts/test.sh"]
fn the_first_steps_of_the_readme_do_what_it_says() {
    let blocks = readme::blocks();
    let [configure, start, publish, see, kick, why, change] = &blocks[..] else {
        panic!("seven blocks of commands: {blocks:#?}");
    };
    let mut terminal = Terminal { scratch: Scratch::new(), addresses: Vec::new() };
    terminal.run(configure);
    terminal.addresses.push(("rtmpd --config".to_owned(), "rtmpd -b 127.0.0.1 -p 0 --http-port 0 --config".to_owned()));
    let mut server = terminal.start(start);
    let (rtmp, http) = (listening(&server, "rtmp"), listening(&server, "http"));
    terminal.addresses.push(("rtmp://localhost/".to_owned(), format!("rtmp://{rtmp}/")));
    terminal.addresses.push(("localhost:8080".to_owned(), http));

    let mut publisher = terminal.start(publish);
    server.wait_for_stderr("publishes live/cam", 1);
    let stream = terminal.ask(see);
    assert_eq!((&stream["name"], &stream["is_published"]), (&Value::from("live/cam"), &Value::from(true)));

    assert!(terminal.run(kick).stdout.is_empty(), "204 has nothing to say");
    server.wait_for_stderr(LOG_CLOSED, 1);
    assert!(!publisher.finish().status.success(), "ffmpeg noticed");
    let ended = terminal.ask(why)[0].clone();
    assert_eq!(
        (&ended["role"], &ended["stream"], &ended["reason"]),
        (&Value::from("publisher"), &Value::from("live/cam"), &Value::from(LOG_CLOSED))
    );

    // The key is right still: it may come again.
    let again = terminal.start(publish);
    server.wait_for_stderr(" publishes ", 2);
    assert!(terminal.run(change).stdout.is_empty());
    assert_eq!(terminal.ask(see)["is_published"], true, "who is connected stays");
    again.kill();
    assert!(!terminal.start(publish).finish().status.success(), "the old key is good no more");
    server.wait_for_stderr(LOG_REFUSED, 1);
    let renewed = publish.replace("first-secret", "second-secret");
    assert_ne!(&renewed, publish);
    let renewed = terminal.start(&renewed);
    server.wait_for_stderr(" publishes ", 3);
    renewed.kill();
    server.terminate();
    server.succeed();
}

#[test]
fn obs_is_told_the_same_as_ffmpeg_and_the_log_says_what_the_readme_quotes() {
    let (words, blocks) = (readme::words(), readme::blocks().concat());
    for text in ["rtmp://localhost/live", "cam?key=first-secret"] {
        assert!(words.contains(&format!("`{text}`")) && blocks.contains(text), "{text}");
    }
    for text in [LOG_CLOSED, LOG_REFUSED, "cam?key=second-secret"] {
        assert!(words.contains(&format!("`{text}`")), "{text}");
    }
}
