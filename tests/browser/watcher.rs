//! A browser that plays one address, and what is seen in it.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use super::program::Program;

/// The browser ends by itself after so many seconds; a test tells it to sooner.
const LONGEST_S: &str = "120";

/// What makes pictures moving ones: so many that differ, so many that were decoded, over so much of the player's time;
/// more than a player that follows a live stream closely still has from a publisher that died.
const MARKS: usize = 5;
const PICTURES: f64 = 75.0;
const PLAYED_S: f64 = 3.0;

/// A browser that plays.
pub struct Watcher {
    program: Program,
}

impl Watcher {
    /// Plays `url` in one of the ways of `page.html`.
    pub fn start(way: &str, url: &str) -> Watcher {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/watch.mjs");
        let mut command = Command::new("node");
        command.args([script, way, url, LONGEST_S]);
        Watcher { program: Program::start(way, &mut command) }
    }

    /// How many looks were taken at the picture so far.
    pub fn looks(&self) -> usize {
        self.program.wait_for_stdout("output", |lines| Some(looks(lines).len()))
    }

    /// Waits until pictures move, looks before `from` not counted.
    pub fn wait_until_moving(&self, from: usize) {
        self.program.wait_for_stdout("moving pictures", |lines| {
            let looks = looks(lines);
            let looks = looks.get(from..)?;
            let (first, last) = (looks.first()?, looks.last()?);
            let grown = |name: &str| last[name].as_f64().unwrap() - first[name].as_f64().unwrap();
            let marks: BTreeSet<u64> = looks.iter().map(|look| look["mark"].as_u64().unwrap()).collect();
            (marks.len() >= MARKS && grown("frames") >= PICTURES && grown("time") >= PLAYED_S).then_some(())
        });
    }

    /// Closes the browser, which must not have met any trouble.
    pub fn stop(mut self) {
        self.program.terminate();
        let finished = self.program.succeed();
        let end = parse(finished.stdout.last().unwrap());
        assert_eq!(end["event"], "end");
        assert_eq!(end["troubles"], Value::Array(Vec::new()), "the browser met trouble");
    }
}

fn looks(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| parse(line)).filter(|line| line["event"] == "look").collect()
}

fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}
