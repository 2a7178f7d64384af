//! The page of metrics as the client library of Prometheus reads it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::http::Http;
use super::media::{Scratch, publish_endless};
use super::program::Program;
use super::server::{Server, recording};
use super::tools::python_tool;

/// What it reads: each metric's type, and its samples by name and labels.
struct Metrics {
    kinds: BTreeMap<String, String>,
    samples: Vec<(String, Value, f64)>,
}

impl Metrics {
    fn read(scratch: &Scratch, page: &[u8]) -> Metrics {
        let file = scratch.file("metrics.txt");
        std::fs::write(&file, page).unwrap();
        let mut command = python_tool("python");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/operator/read_metrics.py")).arg(&file);
        let said = Program::start("the parser of Prometheus", &mut command).succeed_quietly().stdout.concat();
        let families: Value = serde_json::from_str(&said).unwrap();
        let mut metrics = Metrics { kinds: BTreeMap::new(), samples: Vec::new() };
        for family in families.as_array().unwrap() {
            let name = family["name"].as_str().unwrap().to_owned();
            assert!(!family["help"].as_str().unwrap().is_empty(), "{name} says nothing of itself");
            metrics.kinds.insert(name, family["type"].as_str().unwrap().to_owned());
            for sample in family["samples"].as_array().unwrap() {
                let value = sample[2].as_f64().unwrap();
                metrics.samples.push((sample[0].as_str().unwrap().to_owned(), sample[1].clone(), value));
            }
        }
        metrics
    }

    /// The sum of all samples of this name that have this label.
    fn sum(&self, name: &str, label: &str, value: &str) -> f64 {
        let its = self
            .samples
            .iter()
            .filter(|(other, labels, _)| other == name && (label.is_empty() || labels[label] == value));
        its.map(|(_, _, value)| value).sum()
    }
}

#[test]
#[ignore = "needs prometheus_client for Python, ffmpeg: run scripts/test.sh"]
fn metrics_are_what_prometheus_reads() {
    let scratch = Scratch::new();
    let server = Server::start(&scratch, &recording(&scratch.file("recorded"), "\"flv\""));
    let publisher = publish_endless(&server.url("cam\"é"));
    server.wait_for_log("publishes live/cam", 1);
    let mut http = Http::connect(server.http);
    // HLS is there once a whole group of pictures is: then something was recorded and counted, too.
    let playlist = http.get("/live/cam%22%C3%A9.m3u8");
    println!("{}", playlist.text());
    let page = http.get("/metrics");
    assert_eq!(page.status, 200);
    let metrics = Metrics::read(&scratch, &page.body);
    for (name, kind) in &metrics.kinds {
        assert!(["gauge", "counter", "histogram"].contains(&kind.as_str()), "{name} is {kind}");
    }
    assert_eq!(metrics.sum("rtmpd_connections", "protocol", "rtmp"), 1.0);
    assert_eq!(metrics.sum("rtmpd_streams", "", ""), 1.0);
    assert!(metrics.sum("rtmpd_bytes_total", "direction", "in") > 1_000.0);
    assert!(metrics.sum("rtmpd_turn_seconds_count", "", "") > 1.0);
    assert!(metrics.sum("rtmpd_stream_messages_total", "", "") > 10.0);
    assert!(metrics.sum("process_resident_memory_bytes", "", "") > 1e6);
    publisher.kill();
    server.stop();
}
