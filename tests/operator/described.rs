//! The API as `contrib/openapi.yaml` describes it: schemathesis makes requests of the description, right and wrong
//! ones, and holds every answer against it.

use std::time::Duration;

use super::http::Http;
use super::media::{Scratch, publish_endless};
use super::program::Program;
use super::server::Server;
use super::tools::python_tool;

/// So long may it take.
const LONGEST: Duration = Duration::from_secs(90);
/// So many requests are made at least.
const LEAST_CASES: usize = 200;
/// What would end the server, or the connections on which it is asked.
const LEFT_OUT: [&str; 2] = ["drain", "closeClient"];

/// Everything but what is left out, against a server with a stream, a player over HLS and sessions that ended.
fn expect_answers_as_described(config: &str, token: Option<&str>, examples: &str) {
    let scratch = Scratch::new();
    let recordings = format!("[default.record]\ndirectory = \"{}\"\n", scratch.file("recorded").display());
    let server = Server::start(&scratch, &format!("{config}{recordings}"));
    let ended = publish_endless(&server.url("gone"));
    server.wait_for_log("publishes live/gone", 1);
    ended.kill();
    let publisher = publish_endless(&server.url("test"));
    server.wait_for_log("publishes live/test", 1);
    let mut viewer = Http::connect(server.http);
    let playlist = viewer.get("/live/test.m3u8").text();
    let media = playlist.lines().find(|line| line.contains("media.m3u8")).expect("a media playlist").to_owned();
    assert_eq!(viewer.get(&format!("/live/{media}")).status, 200);

    let base = format!("http://{}", server.http);
    let mut command = python_tool("schemathesis");
    command.args(["run", concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/openapi.yaml"), "--url", &base]);
    command.args(["--phases", "examples,coverage,fuzzing", "--max-examples", examples, "--seed", "1"]);
    command.args(["--workers", "1", "--generation-database", "none", "--no-color"]);
    for operation in LEFT_OUT {
        command.args(["--exclude-operation-id", operation]);
    }
    if let Some(token) = token {
        command.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    command.current_dir(scratch.file("."));
    let mut program = Program::start("schemathesis", &mut command);
    let finished = program.finish_within(LONGEST);
    let said = finished.stdout.join("\n");
    assert!(finished.status.success(), "the API is not as it is described:\n{said}\n{}", finished.stderr.join("\n"));
    // One that asked for next to nothing found nothing either: `  282 generated, 282 passed`.
    let count = finished.stdout.iter().find_map(|line| line.trim().split_once(" generated, ")?.0.parse::<usize>().ok());
    assert!(count.is_some_and(|count| count >= LEAST_CASES), "too few requests:\n{said}");
    println!("{} requests", count.unwrap_or_default());
    assert_eq!(Http::connect(server.http).get("/healthz").status, 200);
    publisher.kill();
    server.stop();
}

#[test]
#[ignore = "needs schemathesis, ffmpeg: run scripts/test.sh"]
fn every_answer_is_as_it_is_described() {
    expect_answers_as_described("", None, "100");
}

#[test]
#[ignore = "needs schemathesis, ffmpeg: run scripts/test.sh"]
fn every_answer_to_one_with_the_token_is_as_it_is_described() {
    expect_answers_as_described("[api]\ntoken = \"s3cret\"\n", Some("s3cret"), "50");
}
