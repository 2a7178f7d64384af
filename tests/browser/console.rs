//! The console as an operator uses it: by mouse and keyboard, on a desk and on a phone, in light and dark.
//!
//! What is looked at stands in `console.mjs`; each look has a name there. `RTMPD_TEST_SHOTS` names a folder for
//! screenshots, which are for people.

use std::process::Command;

use serde_json::Value;

use super::media::{Scratch, publish_endless};
use super::program::Program;
use super::server::Server;

/// Opens the console; everything that is looked at has to be as it should be.
fn expect_all_well(server: &Server, least_checks: usize, arguments: &[&str]) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/console.mjs");
    let mut command = Command::new("node");
    command.args([script, &server.console_url()]);
    command.args(std::env::var_os("RTMPD_TEST_SHOTS")).args(arguments);
    let said = Program::start("console", &mut command).succeed().stdout;
    let result: Value = serde_json::from_str(said.last().unwrap()).unwrap();
    assert_eq!(result["troubles"], Value::Array(Vec::new()), "{result}");
    let checks = result["checks"].as_object().unwrap();
    let wrong: Vec<_> = checks.iter().filter(|(_, is_well)| **is_well != true).map(|(name, _)| name).collect();
    assert!(wrong.is_empty(), "not as it should be: {wrong:?}\n{result}");
    assert!(checks.len() >= least_checks, "{result}");
}

#[test]
#[ignore = "needs Chromium, node, ffmpeg: run scripts/test.sh"]
fn the_console_shows_a_picture_without_an_encoder_and_closes_a_publisher_by_keyboard() {
    let scratch = Scratch::new();
    let server = Server::with_test_stream(&scratch, "");
    let publisher = publish_endless(&server.url("cam"));
    server.wait_for_log("publishes live/cam", 1);
    expect_all_well(&server, 17, &[]);
    server.wait_for_log("closed by the operator", 1);
    publisher.kill();
    server.stop();
}

#[test]
#[ignore = "needs Chromium, node: run scripts/test.sh"]
fn the_console_shows_many_streams_hostile_names_and_none_at_all() {
    let scratch = Scratch::new();
    let server = Server::with_test_stream(&scratch, "");
    expect_all_well(&server, 18, &["--mock"]);
    server.stop();
}

#[test]
#[ignore = "needs Chromium, node: run scripts/test.sh"]
fn the_console_asks_for_the_token_and_opens_with_it() {
    let scratch = Scratch::new();
    let server = Server::with_test_stream(&scratch, "[api]\ntoken = \"s3cret\"\n");
    expect_all_well(&server, 5, &["--token", "s3cret"]);
    server.stop();
}
