//! A program under a deadline: its output is kept, it is killed when it is dropped.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// No program may take longer for anything, on however slow a machine. Only a test that fails waits for so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a program is asked whether it has ended.
const POLL_STEP: Duration = Duration::from_millis(5);

/// A running program.
pub struct Program {
    name: String,
    child: Child,
    output: Arc<Output>,
    readers: Vec<JoinHandle<()>>,
}

/// What a program that ended left behind.
pub struct Finished {
    pub status: ExitStatus,
    /// Lines of standard output.
    pub stdout: Vec<String>,
    /// Lines of standard error.
    pub stderr: Vec<String>,
}

#[derive(Default)]
struct Output {
    lines: Mutex<Lines>,
    news: Condvar,
}

#[derive(Default, Clone)]
struct Lines {
    stdout: Vec<String>,
    stderr: Vec<String>,
    /// Output streams that reached their end.
    ended: usize,
}

impl Program {
    /// Starts a program. `name` stands before its output where a test fails.
    pub fn start(name: &str, command: &mut Command) -> Program {
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| {
            panic!("{:?} does not start: {error}; scripts/test.sh installs what the tests need", command.get_program())
        });
        let output = Arc::new(Output::default());
        let readers = vec![
            collect(child.stdout.take().unwrap(), &output, |lines| &mut lines.stdout),
            collect(child.stderr.take().unwrap(), &output, |lines| &mut lines.stderr),
        ];
        Program { name: name.to_owned(), child, output, readers }
    }

    /// Waits until `find` finds something in the lines of standard output.
    pub fn wait_for_stdout<T>(&self, what: &str, find: impl Fn(&[String]) -> Option<T>) -> T {
        self.wait_for(what, |lines| find(&lines.stdout))
    }

    /// Waits until `count` lines of standard error hold `text`.
    pub fn wait_for_stderr(&self, text: &str, count: usize) {
        self.wait_for(text, |lines| {
            let there = lines.stderr.iter().filter(|line| line.contains(text)).count();
            (there >= count).then_some(())
        });
    }

    fn wait_for<T>(&self, what: &str, find: impl Fn(&Lines) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.output.lines.lock().unwrap();
        loop {
            if let Some(found) = find(&lines) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let over = left.is_zero() || lines.ended == self.readers.len();
            if over {
                drop(lines);
                panic!("{}: never came to: {what}", self.name);
            }
            lines = self.output.news.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks the program to end (SIGTERM).
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends the program a signal, by its name.
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let status = Command::new("sh").args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &id]).status();
        assert!(status.unwrap().success(), "{}: could not be signalled", self.name);
    }

    /// Ends the program without a word (SIGKILL).
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end.
    pub fn finish(&mut self) -> Finished {
        self.finish_within(PATIENCE)
    }

    /// Waits for the end, but no longer than this.
    pub fn finish_within(&mut self, longest: Duration) -> Finished {
        let deadline = Instant::now() + longest;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() >= deadline => panic!("{}: does not end", self.name),
                None => std::thread::sleep(POLL_STEP),
            }
        };
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let lines = self.output.lines.lock().unwrap().clone();
        Finished { status, stdout: lines.stdout, stderr: lines.stderr }
    }

    /// Waits for the end, which has to be a success.
    pub fn succeed(&mut self) -> Finished {
        let finished = self.finish();
        assert!(finished.status.success(), "{}: {}", self.name, finished.status);
        finished
    }

    /// Waits for the end, which has to be a success without a word on standard error.
    pub fn succeed_quietly(&mut self) -> Finished {
        let finished = self.succeed();
        assert_eq!(finished.stderr, Vec::<String>::new(), "{}: complains", self.name);
        finished
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail where the program has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        if !std::thread::panicking() {
            return;
        }
        // A panic while it was held must not hide what the program said.
        let lines = self.output.lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        println!("---- {} ----", self.name);
        for line in lines.stdout.iter().rev().take(20).rev() {
            println!("out: {line}");
        }
        for line in &lines.stderr {
            println!("err: {line}");
        }
    }
}

fn collect(
    stream: impl Read + Send + 'static,
    output: &Arc<Output>,
    part: fn(&mut Lines) -> &mut Vec<String>,
) -> JoinHandle<()> {
    let output = Arc::clone(output);
    std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut bytes = Vec::new();
        while stream.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            part(&mut output.lines.lock().unwrap()).push(line);
            output.news.notify_all();
            bytes.clear();
        }
        output.lines.lock().unwrap().ended += 1;
        output.news.notify_all();
    })
}
