//! Those who operate the server: what they are told adds up, and what they change disturbs nobody else.

use std::collections::BTreeMap;

use rtmpd::config::{AccessRules, EngineConfig, HlsMode, StreamKey, Takeover};
use rtmpd::engine::Protocol;
use serde_json::Value;

use crate::hls::whole_answer;
use crate::model::{Model, STREAMS};

const TOKEN: &str = "s3cret";

impl Model {
    pub fn operate(&mut self) {
        match self.rng.below(12) {
            0..3 => self.reload(),
            3 => self.ask_for_reload(),
            4..6 => self.ask_how_it_is(),
            6 => self.scrape(),
            7 => self.kick(),
            8..10 => self.switch_recording(),
            _ => self.ask_nonsense(),
        }
    }

    /// Another configuration holds from now on, for those who begin.
    fn reload(&mut self) {
        let config = changed(&self.config, &mut self.rng);
        let mut asked = config.clone();
        // Those who are connected were told the old one.
        asked.chunk_size = self.rng.pick(&[config.chunk_size, 4_096]);
        let fixed = self.world.engine.reload(asked.clone());
        let expected: &[&str] = if asked.chunk_size == config.chunk_size { &[] } else { &["server.chunk_size"] };
        assert_eq!(fixed, expected, "seed {}", self.seed);
        self.config = config;
        self.world.turn();
    }

    /// The same from outside: the driver says what came of it.
    fn ask_for_reload(&mut self) {
        let result = if self.rng.one_in(2) { Ok(()) } else { Err("a slip in line 3".to_owned()) };
        let expected = if result.is_ok() { 204 } else { 400 };
        self.world.reload = result;
        if let Some((status, _)) = self.ask("POST", "/api/v1/reload") {
            assert_eq!(status, expected, "seed {}", self.seed);
        }
    }

    /// Asks on a connection of its own; `None`: there is no place for it.
    fn ask(&mut self, method: &str, path: &str) -> Option<(u16, String)> {
        let link = self.world.try_accept_as(Protocol::Http).ok()?;
        let token = self.config.api.token.clone();
        let token = if token.is_empty() { token } else { format!("Authorization: Bearer {token}\r\n") };
        let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{token}Content-Length: 0\r\n\r\n");
        self.world.send(link, request.as_bytes());
        let mut answer = Vec::new();
        for _ in 0..100_000 {
            let more = self.world.read(link, usize::MAX);
            if more.is_empty() {
                break;
            }
            answer.extend(more);
        }
        self.world.hang_up(link);
        self.forget_closed_publishers();
        let (status, body) = whole_answer(&mut answer).expect("a whole answer");
        Some((status, String::from_utf8(body).expect("text")))
    }

    fn get(&mut self, path: &str) -> Option<Value> {
        let (status, body) = self.ask("GET", path)?;
        assert_eq!(status, 200, "seed {}: {path}: {body}", self.seed);
        Some(serde_json::from_str(&body).expect("JSON"))
    }

    /// What is counted is what the driver has seen.
    pub fn ask_how_it_is(&mut self) {
        if self.is_short_of_memory {
            // Somebody may be closed between any two answers.
            return;
        }
        self.forget_closed_publishers();
        let (bytes_in, bytes_out) = (self.world.bytes_in, self.world.bytes_out);
        let Some(server) = self.get("/api/v1/server") else { return };
        let number = |value: &Value| value.as_u64().expect("a number");
        let seed = self.seed;
        // Its own request is counted, and its answer not yet.
        assert!(number(&server["bytes_in"]) > bytes_in && number(&server["bytes_in"]) <= self.world.bytes_in);
        assert_eq!(number(&server["bytes_out"]), bytes_out, "seed {seed}: {server}");
        assert_eq!(number(&server["connections"]), self.world.open_links().len() as u64 + 1, "seed {seed}");
        let published = self.streams.iter().filter(|stream| stream.by.is_some()).count() as u64;
        assert_eq!(number(&server["streams"]), published, "seed {seed}: {server}");
        assert_eq!(server["is_draining"], self.is_draining, "seed {seed}");
        let Some(streams) = self.get("/api/v1/streams") else { return };
        let mut players = 0;
        for stream in streams.as_array().expect("a list") {
            let is_known = |index: usize| stream["name"] == format!("live/s{index}");
            let index = (0..STREAMS).find(|index| is_known(*index)).expect("a stream of ours");
            assert_eq!(stream["is_published"], self.streams[index].by.is_some(), "seed {seed}: {stream}");
            assert_eq!(stream["publisher"].is_object(), self.streams[index].by.is_some(), "seed {seed}: {stream}");
            players += stream["players"].as_object().expect("forms").values().map(number).sum::<u64>();
        }
        assert_eq!(number(&server["players"]), players, "seed {seed}: {server} {streams}");
        self.look_at_clients();
    }

    fn look_at_clients(&mut self) {
        let Some(clients) = self.get("/api/v1/clients") else { return };
        let clients = clients.as_array().expect("a list");
        // The one who asked is among them; those who watch HLS are told apart from their connections.
        let connected = clients.iter().filter(|client| client["protocol"] != "hls").count();
        let links = self.world.open_links().len() + 1;
        assert!(connected <= links && clients.len() >= links, "seed {}: {connected}, {links}", self.seed);
        let publishers = clients.iter().filter(|client| client["role"] == "publisher").count();
        let published = self.streams.iter().filter(|stream| stream.by.is_some()).count();
        assert_eq!(publishers, published, "seed {}", self.seed);
        let Some(sessions) = self.get("/api/v1/sessions") else { return };
        assert!(sessions.as_array().expect("a list").len() <= self.config.api.sessions, "seed {}", self.seed);
    }

    /// Counters never fall.
    fn scrape(&mut self) {
        let Some((status, text)) = self.ask("GET", "/metrics") else { return };
        assert_eq!(status, 200);
        let mut counters = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            let value: f64 = value.parse().expect("a number");
            assert!(value.is_finite() && value >= 0.0, "{line}");
            // Those of a stream go with it, and begin anew.
            if name.split('{').next().is_some_and(|name| name.ends_with("_total")) && !name.contains("stream=") {
                assert!(counters.insert(name.to_owned(), value).is_none(), "{name} stands there twice");
            }
        }
        for (name, before) in &self.counters {
            let after = counters.get(name);
            assert!(after.is_none_or(|after| after >= before), "seed {}: {name} fell from {before}", self.seed);
        }
        self.counters.extend(counters);
    }

    /// Somebody is sent away.
    fn kick(&mut self) {
        let Some(clients) = self.get("/api/v1/clients") else { return };
        let clients = clients.as_array().expect("a list");
        let client = &clients[self.rng.below(clients.len())];
        let id = client["id"].as_str().expect("a name").to_owned();
        let slot = id.split('-').next().and_then(|slot| slot.parse().ok());
        let is_connected = client["role"] != "none" && client["protocol"] != "hls";
        let Some(link) = slot.filter(|_| is_connected).and_then(|slot| self.world.link_in(slot)) else {
            // The one who asked is gone by now.
            return;
        };
        let Some((status, _)) = self.ask("DELETE", &format!("/api/v1/clients/{id}")) else { return };
        assert!(matches!(status, 204 | 404), "seed {}: {status}", self.seed);
        let is_publisher = self.publishers.iter().any(|publisher| publisher.sender.client.link == link);
        assert!(!is_publisher || self.world.is_shut(link), "seed {}: {client} is still there", self.seed);
        self.forget_closed_publishers();
        let Some((status, _)) = self.ask("DELETE", &format!("/api/v1/clients/{id}")) else { return };
        assert!(status == 404 || self.world.is_open(link), "seed {}: {status}", self.seed);
    }

    fn switch_recording(&mut self) {
        let index = self.rng.below(STREAMS);
        let method = self.rng.pick(&["PUT", "DELETE"]);
        // Where memory is short, its publisher may be closed right behind the answer.
        let was_published = self.streams[index].by.is_some();
        let Some((status, _)) = self.ask(method, &format!("/api/v1/streams/live/s{index}/recording")) else { return };
        let is_published = was_published || self.streams[index].by.is_some();
        let expected: &[u16] = match method {
            "PUT" if is_published => &[201, 409],
            "PUT" => &[409],
            _ => &[204, 404],
        };
        assert!(expected.contains(&status), "seed {}: {method} was answered with {status}", self.seed);
    }

    fn ask_nonsense(&mut self) {
        let paths = ["/api/v1/streams/live/none", "/api/v1/clients/0-0", "/api/v1/clients/x", "/api/v1/%2e%2e", "/x"];
        let path = self.rng.pick(&paths);
        let method = self.rng.pick(&["GET", "PUT", "POST"]);
        if let Some((status, _)) = self.ask(method, path) {
            assert!(matches!(status, 400 | 404 | 405), "seed {}: {method} {path}: {status}", self.seed);
        }
    }
}

/// A configuration that differs in what may change at any time.
fn changed(config: &EngineConfig, rng: &mut crate::rng::Rng) -> EngineConfig {
    let mut config = config.clone();
    match rng.below(7) {
        0 => config.app.queue.bytes = rng.pick(&[10_000, 60_000, config.app.queue.bytes]),
        1 => config.batch_ms = rng.pick(&[0, 20]),
        2 => config.app.record.auto ^= true,
        3 => config.app.hls.mode = rng.pick(&[HlsMode::Off, HlsMode::OnDemand, HlsMode::Always]),
        4 => config.app.takeover = rng.pick(&[Takeover::WhenSilent, Takeover::Reject]),
        5 => config.app.publish = rules(rng.one_in(2)),
        _ => config.api.token = rng.pick(&["", TOKEN]).to_owned(),
    }
    config
}

/// Everybody may publish, or only those with the first key.
pub fn rules(is_strict: bool) -> AccessRules {
    let keys = if is_strict { vec![StreamKey::parse("1").expect("a key")] } else { Vec::new() };
    AccessRules { keys, ..AccessRules::default() }
}
