//! The API for operators, and metrics.

use std::net::Ipv4Addr;

use rtmpd::config::{ApiConfig, EngineConfig};
use rtmpd::engine::{CloseReason, Protocol};
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::media::Body;
use crate::support::world::{LinkId, World};

fn world() -> World {
    World::new(EngineConfig::default())
}

fn world_with_token() -> World {
    let api = ApiConfig { token: "s3cret".to_owned(), ..ApiConfig::default() };
    World::new(EngineConfig { api, ..EngineConfig::default() })
}

/// Status, head and body of the answer to a request on a connection of its own.
fn ask_with(world: &mut World, request: &str, fields: &str) -> (u16, String, String) {
    let link = world.try_accept_as(Protocol::Http).unwrap();
    let host = if fields.contains("Host:") { "" } else { "Host: localhost:8080\r\n" };
    world.send(link, format!("{request} HTTP/1.1\r\n{host}{fields}\r\n").as_bytes());
    let answer = take(world, link);
    world.hang_up(link);
    answer
}

fn take(world: &mut World, link: LinkId) -> (u16, String, String) {
    let text = String::from_utf8(world.read(link, usize::MAX)).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, format!("{head}\r\n"), body.to_owned())
}

fn ask(world: &mut World, request: &str) -> (u16, Value) {
    let (status, _, body) = ask_with(world, request, "");
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

fn get(world: &mut World, path: &str) -> Value {
    let (status, value) = ask(world, &format!("GET /api/v1/{path}"));
    assert_eq!(status, 200, "{path}: {value}");
    value
}

/// A publisher that has sent a second of video and audio, and a player.
fn streaming(world: &mut World) -> (Client, Client) {
    let mut publisher = Client::publishing(world, "cam");
    let player = Client::playing(world, "cam");
    publisher.frame(world, 0, Body::VideoHeader, b"");
    publisher.frame(world, 0, Body::AudioHeader, b"\x12\x10");
    for number in 0..26 {
        let kind = if number == 0 { Body::Key } else { Body::Delta };
        publisher.frame(world, number * 40, kind, b"picture");
        publisher.frame(world, number * 40, Body::Audio, b"sound");
        world.wait(40);
    }
    (publisher, player)
}

#[test]
fn the_server_tells_how_it_is() {
    let mut world = world();
    world.engine.set_memory_bytes(12_345);
    world.engine.set_rtmp_port(1935);
    let (_publisher, _player) = streaming(&mut world);
    let server = get(&mut world, "server");
    for (key, expected) in [
        ("version", json!(env!("CARGO_PKG_VERSION"))),
        ("uptime_s", json!(1)),
        ("connections", json!(3)),
        ("streams", json!(1)),
        ("players", json!(1)),
        ("memory_bytes", json!(12_345)),
        ("memory_limit_bytes", json!(1 << 30)),
        ("is_draining", json!(false)),
        ("rtmp_port", json!(1935)),
    ] {
        assert_eq!(server[key], expected, "{key}");
    }
    assert!(server["memory_used_bytes"].as_u64() > Some(1_000), "{server}");
    assert!(server["bytes_in"].as_u64() > Some(500) && server["bytes_out"].as_u64() > Some(500), "{server}");
}

#[test]
fn a_stream_is_told_with_its_publisher_and_players() {
    let mut world = world();
    assert_eq!(get(&mut world, "streams"), json!([]));
    let (_publisher, mut player) = streaming(&mut world);
    let began = world.now;
    world.engine.end_turn(began, began + std::time::Duration::from_micros(700));
    let stream = get(&mut world, "streams/live/cam");
    assert_eq!(get(&mut world, "streams"), json!([stream]));
    assert_eq!(
        (&stream["name"], &stream["app"], &stream["stream"]),
        (&json!("live/cam"), &json!("live"), &json!("cam"))
    );
    assert_eq!(stream["publisher"]["since_s"], 1);
    let expected = json!({ "codec": "AAC", "sample_rate": 44_100, "channels": 2, "bitrate_bps": 1_432 });
    assert_eq!(stream["audio"], expected);
    assert_eq!((&stream["video"]["codec"], &stream["video"]["width"]), (&json!("H.264"), &Value::Null));
    assert_eq!(stream["players"], json!({ "rtmp": 1, "flv": 0, "ts": 0, "mp4": 0, "hls": 0 }));
    assert_eq!((&stream["messages_in"], &stream["dropped_messages"]), (&json!(54), &json!(0)));
    assert_eq!(
        (&stream["is_published"], &stream["is_recording"], &stream["warnings"]),
        (&json!(true), &json!(false), &json!([]))
    );
    assert!(stream["delay_us"]["p50"].as_u64() >= Some(700) && stream["delay_us"]["p99"].as_u64() < Some(900));
    // The publisher is one of the clients.
    let id = stream["publisher"]["client_id"].as_str().unwrap();
    assert_eq!(get(&mut world, &format!("clients/{id}"))["role"], "publisher");
    player.put_delete_stream(1);
    player.flush(&mut world);
    assert_eq!(get(&mut world, "streams/live/cam")["players"]["rtmp"], 0);
    assert_eq!(ask(&mut world, "GET /api/v1/streams/live/other").0, 404);
}

#[test]
fn a_slow_player_is_seen_by_its_lag_and_its_drops() {
    let mut world = world();
    let (mut publisher, player) = streaming(&mut world);
    assert_eq!(get(&mut world, "streams/live/cam")["lag_ms"], 0);
    world.set_window(player.link, 0);
    let lag_ms = EngineConfig::default().app.queue.lag_ms;
    let mut longest = 0;
    for number in 26..26 + (lag_ms + 1_000) / 40 {
        publisher.frame(&mut world, number * 40, if number % 25 == 1 { Body::Key } else { Body::Delta }, b"picture");
        world.wait(40);
        let stream = get(&mut world, "streams/live/cam");
        let lag = stream["lag_ms"].as_u64().unwrap();
        assert_eq!(get(&mut world, "streams")[0]["lag_ms"], lag);
        let clients = get(&mut world, "clients?stream=live/cam");
        assert_eq!(clients[1]["lag_ms"], lag, "the slowest one's");
        longest = lag.max(longest);
    }
    assert!(longest + 100 > lag_ms.into() && longest < u64::from(lag_ms) + 100, "{longest}");
    assert!(get(&mut world, "streams/live/cam")["dropped_messages"].as_u64() > Some(10));
    let (_, _, page) = ask_with(&mut world, "GET /metrics", "");
    assert!(page.contains("\nrtmpd_stream_lag_seconds{stream=\"live/cam\"} "), "{page}");
}

#[test]
fn clients_are_listed_and_closed() {
    let mut world = world();
    let (publisher, player) = streaming(&mut world);
    let clients = get(&mut world, "clients?stream=live/cam");
    let roles: Vec<_> = clients.as_array().unwrap().iter().map(|client| client["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["publisher", "player"]);
    assert_eq!(get(&mut world, "clients").as_array().unwrap().len(), 3, "the one who asks is one, too");
    let (_, head, body) = ask_with(&mut world, "GET /api/v1/clients?limit=1", "");
    assert!(head.contains("X-Total-Count: 3\r\n") && body.matches("\"id\"").count() == 1, "{head}{body}");
    let client = &clients[1];
    assert_eq!(
        (&client["protocol"], &client["stream"], &client["since_s"]),
        (&json!("rtmp"), &json!("live/cam"), &json!(1))
    );
    let id = client["id"].as_str().unwrap().to_owned();
    assert_eq!(ask(&mut world, &format!("DELETE /api/v1/clients/{id}")).0, 204);
    world.wait(2_000);
    assert_eq!(world.close_reason(player.link), Some(&CloseReason::Operator));
    assert!(world.is_open(publisher.link));
    // Another one that takes its place is another one.
    let _other = Client::playing(&mut world, "cam");
    for gone in [id.as_str(), "0-99", "x", "1-", "-1", "99999999999999999999-1"] {
        assert_eq!(ask(&mut world, &format!("DELETE /api/v1/clients/{gone}")).0, 404, "{gone}");
    }
    let id = get(&mut world, "streams/live/cam")["publisher"]["client_id"].as_str().unwrap().to_owned();
    ask(&mut world, &format!("DELETE /api/v1/clients/{id}"));
    let stream = get(&mut world, "streams/live/cam");
    assert_eq!(
        (&stream["is_published"], &stream["publisher"], &stream["video"]),
        (&json!(false), &Value::Null, &Value::Null)
    );
}

#[test]
fn an_operator_may_close_the_connection_that_it_asks_on() {
    let mut world = world();
    let link = world.try_accept_as(Protocol::Http).unwrap();
    world.send(link, b"DELETE /api/v1/clients/0-1 HTTP/1.1\r\nHost: [::1]\r\n\r\n");
    assert_eq!(take(&mut world, link).0, 204);
    assert!(world.is_shut(link));
}

#[test]
fn sessions_are_remembered_newest_first_and_no_more_than_so_many() {
    let api = ApiConfig { sessions: 3, ..ApiConfig::default() };
    let mut world = World::new(EngineConfig { api, ..EngineConfig::default() });
    world.engine.set_wall_clock(world.now, 1_000_000);
    let (publisher, player) = streaming(&mut world);
    world.hang_up(player.link);
    world.hang_up(publisher.link);
    let sessions = get(&mut world, "sessions");
    let told: Vec<_> =
        sessions.as_array().unwrap().iter().map(|it| (it["role"].clone(), it["stream"].clone())).collect();
    assert_eq!(told, [(json!("publisher"), json!("live/cam")), (json!("player"), json!("live/cam"))]);
    let newest = &sessions[0];
    assert_eq!((&newest["reason"], &newest["began_unix_ms"]), (&json!("closed by peer"), &json!(1_000_000)));
    assert_eq!((&newest["protocol"], &newest["duration_s"]), (&json!("rtmp"), &json!(1.04)));
    for _ in 0..5 {
        let link = world.accept();
        world.hang_up(link);
    }
    assert_eq!(get(&mut world, "sessions").as_array().unwrap().len(), 3);
}

#[test]
fn recordings_begin_and_end_when_asked() {
    let mut world = world();
    world.disk = Some(Vec::new());
    let path = "/api/v1/streams/live/cam/recording";
    assert_eq!(ask(&mut world, &format!("PUT {path}")).0, 409, "nobody publishes");
    let (_publisher, _player) = streaming(&mut world);
    assert_eq!(ask(&mut world, &format!("DELETE {path}")).0, 404, "not begun");
    assert_eq!(ask(&mut world, &format!("PUT {path}")).0, 201);
    assert_eq!(get(&mut world, "streams/live/cam")["is_recording"], true);
    assert_eq!(ask(&mut world, &format!("PUT {path}")).0, 409, "begun already");
    assert_eq!(ask(&mut world, &format!("DELETE {path}")).0, 204);
    assert_eq!(get(&mut world, "streams/live/cam")["is_recording"], false);
    assert!(!world.disk.as_ref().unwrap().is_empty());
}

#[test]
fn the_configuration_is_read_again_or_not() {
    let mut world = world();
    assert_eq!(ask(&mut world, "POST /api/v1/reload").0, 204);
    world.reload = Err("rtmpd.toml:3: wrong".to_owned());
    assert_eq!(ask(&mut world, "POST /api/v1/reload"), (400, json!({ "error": "rtmpd.toml:3: wrong" })));
}

#[test]
fn a_server_that_drains_takes_nobody_new() {
    let mut world = world();
    let (publisher, player) = streaming(&mut world);
    let early = Client::connected(&mut world, "live");
    assert_eq!(ask(&mut world, "POST /api/v1/drain").0, 202);
    assert_eq!(get(&mut world, "server")["is_draining"], true);
    assert_eq!(world.try_accept(), Err(CloseReason::ShuttingDown));
    let mut early = early;
    early.put_play(1, "cam");
    early.flush(&mut world);
    world.wait(2_000);
    assert!(!world.is_open(early.link) && world.is_open(player.link), "who plays goes on");
    assert!(!world.engine.is_drained(world.now));
    world.hang_up(player.link);
    world.hang_up(publisher.link);
    assert!(world.engine.is_drained(world.now));
}

#[test]
fn methods_and_paths_that_are_not_there_are_refused() {
    let mut world = world();
    let rows = [
        ("POST /api/v1/server", 405, "GET, HEAD"),
        ("OPTIONS /api/v1/server", 405, "GET, HEAD"),
        ("TRACE /metrics", 405, "GET, HEAD"),
        ("PATCH /api/v1/clients/1-1", 405, "GET, HEAD, DELETE"),
        ("GET /api/v1/streams/live/cam/recording", 405, "PUT, DELETE"),
        ("GET /api/v1/drain", 405, "POST"),
        ("GET /api/v1", 404, ""),
        ("GET /api/v1/", 404, ""),
        ("GET /api/v1/nothing", 404, ""),
        ("GET /api/v1/clients/", 404, ""),
        ("GET /api/v1/streams/", 404, ""),
        ("GET /api/v1/streams?limit=0", 400, ""),
        ("GET /api/v1/clients?limit=x", 400, ""),
    ];
    for (request, status, allow) in rows {
        let (told, head, body) = ask_with(&mut world, request, "");
        assert_eq!(told, status, "{request}");
        assert!(allow.is_empty() || head.contains(&format!("Allow: {allow}\r\n")), "{request}: {head}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert!(body["error"].as_str().is_some_and(|text| !text.contains('\n')), "{request}: {body}");
    }
    let (status, head, body) = ask_with(&mut world, "HEAD /api/v1/server", "");
    assert!(status == 200 && body.is_empty() && !head.contains("Content-Length: 0"), "{head}");
}

#[test]
fn without_a_token_only_this_machine_may_ask() {
    let mut world = world();
    let rows = [
        ("", 200),
        ("Host: [::1]:8080\r\n", 200),
        ("Host: evil.example\r\n", 403),
        ("X-Forwarded-For: 198.51.100.1\r\n", 403),
        ("Via: 1.1 proxy\r\n", 403),
        ("Authorization: Bearer anything\r\n", 200),
    ];
    for (fields, status) in rows {
        assert_eq!(ask_with(&mut world, "GET /api/v1/server", fields).0, status, "{fields}");
        assert_eq!(ask_with(&mut world, "GET /metrics", fields).0, status, "{fields}");
    }
    world.peer = Ipv4Addr::new(198, 51, 100, 1).into();
    for path in ["/api/v1/server", "/api/v1/nothing", "/metrics"] {
        assert_eq!(ask_with(&mut world, &format!("GET {path}"), "").0, 403, "{path}");
    }
    assert_eq!(ask_with(&mut world, "GET /healthz", "").0, 200);
    world.peer = Ipv4Addr::LOCALHOST.to_ipv6_mapped().into();
    assert_eq!(ask_with(&mut world, "GET /api/v1/server", "").0, 200);
}

#[test]
fn with_a_token_whoever_knows_it_may_ask() {
    let mut world = world_with_token();
    world.peer = Ipv4Addr::new(198, 51, 100, 1).into();
    let rows = [
        ("", 401),
        ("Authorization: Bearer s3cret\r\n", 200),
        ("authorization: bearer s3cret\r\nHost: any.example\r\n", 200),
        ("Authorization: Bearer s3cre\r\n", 401),
        ("Authorization: Bearer s3cret2\r\n", 401),
        ("Authorization: Basic s3cret\r\n", 401),
        ("Authorization: s3cret\r\n", 401),
    ];
    for (fields, status) in rows {
        let (told, head, _) = ask_with(&mut world, "GET /api/v1/server", fields);
        assert_eq!(told, status, "{fields}");
        assert_eq!(head.contains("WWW-Authenticate: Bearer"), status == 401, "{head}");
    }
    world.peer = Ipv4Addr::LOCALHOST.into();
    assert_eq!(ask_with(&mut world, "GET /metrics", "").0, 401, "this machine as well");
}

#[test]
fn pages_of_other_sites_change_nothing_and_read_nothing() {
    let mut world = world();
    for (origin, status) in
        [("http://localhost:8080", 202), ("http://evil.example", 403), ("http://localhost", 403), ("null", 403)]
    {
        let fields = format!("Origin: {origin}\r\n");
        let (told, head, _) = ask_with(&mut world, "POST /api/v1/drain", &fields);
        assert_eq!(told, status, "{origin}");
        assert!(!head.contains("Access-Control"), "{head}");
        let fields = format!("{fields}Access-Control-Request-Method: POST\r\n");
        let (_, head, _) = ask_with(&mut world, "OPTIONS /api/v1/drain", &fields);
        assert!(!head.contains("Access-Control"), "{head}");
    }
}

#[test]
fn an_api_that_is_turned_off_is_not_there() {
    let api = ApiConfig { enabled: false, ..ApiConfig::default() };
    let mut world = World::new(EngineConfig { api, ..EngineConfig::default() });
    for path in ["/api/v1/server", "/metrics"] {
        assert_eq!(ask_with(&mut world, &format!("GET {path}"), "").0, 404, "{path}");
    }
}

/// Name, labels and value of each sample; holds the page to the rules of the text format.
fn samples(page: &str) -> Vec<(String, String, f64)> {
    let mut kinds: Vec<(String, String)> = Vec::new();
    let mut samples = Vec::new();
    for line in page.lines() {
        if let Some(text) = line.strip_prefix("# HELP ") {
            assert!(text.split_once(' ').is_some_and(|(_, help)| help.ends_with('.')), "{line}");
        } else if let Some(text) = line.strip_prefix("# TYPE ") {
            let (name, kind) = text.split_once(' ').unwrap();
            assert!(kinds.iter().all(|(other, _)| other != name), "twice: {line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            kinds.push((name.to_owned(), kind.to_owned()));
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
            // All samples of a metric stand together, behind what it is.
            let (metric, kind) = kinds.last().unwrap();
            let suffix = name.strip_prefix(metric.as_str()).unwrap_or_else(|| panic!("{line} below {metric}"));
            assert!(
                suffix.is_empty() || (kind == "histogram" && ["_bucket", "_sum", "_count"].contains(&suffix)),
                "{line}"
            );
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
            assert!(samples.iter().all(|(n, l, _)| (n, l) != (&name.to_owned(), &labels.to_owned())), "twice: {line}");
            samples.push((name.to_owned(), labels.to_owned(), value));
        }
    }
    assert!(page.ends_with('\n'));
    samples
}

#[test]
fn metrics_can_be_read_by_prometheus() {
    let mut world = world();
    let (_publisher, player) = streaming(&mut world);
    world.hang_up(player.link);
    let _odd = Client::publishing(&mut world, "a\"b");
    let began = world.now;
    world.engine.end_turn(began, began + std::time::Duration::from_micros(1_500));
    let (_, head, page) = ask_with(&mut world, "GET /metrics", "");
    assert!(head.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{head}");
    let samples = samples(&page);
    let value = |name: &str, labels: &str| {
        let found = samples.iter().find(|(n, l, _)| n == name && l == labels);
        found.unwrap_or_else(|| panic!("no {name}{{{labels}}} in\n{page}")).2
    };
    for (name, labels, expected) in [
        ("rtmpd_connections", "protocol=\"rtmp\"", 2.0),
        ("rtmpd_connections", "protocol=\"http\"", 1.0),
        ("rtmpd_streams", "", 2.0),
        ("rtmpd_players", "protocol=\"rtmp\"", 0.0),
        ("rtmpd_messages_total", "", 54.0),
        ("rtmpd_dropped_messages_total", "", 0.0),
        ("rtmpd_closes_total", "reason=\"peer-closed\"", 1.0),
        ("rtmpd_stream_messages_total", "stream=\"live/cam\"", 54.0),
        ("rtmpd_stream_messages_total", "stream=\"live/a\\\"b\"", 0.0),
        ("rtmpd_queue_bytes", "", 0.0),
        ("rtmpd_disk_queue_bytes", "", 0.0),
        ("rtmpd_memory_bytes", "use=\"hls\"", 0.0),
        ("rtmpd_memory_bytes", "use=\"record\"", 0.0),
        ("rtmpd_memory_bytes", "use=\"partial\"", 0.0),
        ("rtmpd_memory_limit_bytes", "", f64::from(1 << 30)),
        ("rtmpd_turn_seconds_bucket", "le=\"0.001024\"", 0.0),
        ("rtmpd_turn_seconds_bucket", "le=\"0.002048\"", 1.0),
        ("rtmpd_turn_seconds_bucket", "le=\"+Inf\"", 1.0),
        ("rtmpd_turn_seconds_sum", "", 0.0015),
    ] {
        assert_eq!(value(name, labels), expected, "{name} {labels}");
    }
    // Pictures and sound; not the two headers.
    for (name, labels) in
        [("rtmpd_added_delay_seconds", ""), ("rtmpd_stream_added_delay_seconds", "stream=\"live/cam\"")]
    {
        assert_eq!(value(&format!("{name}_count"), labels), 52.0);
        let infinity = format!("{labels}{}le=\"+Inf\"", if labels.is_empty() { "" } else { "," });
        assert_eq!(value(&format!("{name}_bucket"), &infinity), 52.0);
    }
    assert!(value("rtmpd_bytes_total", "direction=\"in\"") > 0.0 && value("rtmpd_cache_bytes", "") > 0.0);
    assert!(value("rtmpd_memory_bytes", "use=\"gop\"") >= value("rtmpd_cache_bytes", ""));
    assert!(value("rtmpd_memory_bytes", "use=\"connections\"") > 1_000.0);
    let mut last = 0.0;
    for (_, _, count) in samples.iter().filter(|(name, ..)| name == "rtmpd_added_delay_seconds_bucket") {
        assert!(*count >= last);
        last = *count;
    }
}

/// What an issue asks of the metrics, each with what it is called.
const WANTED: [&str; 14] = [
    "rtmpd_connections",
    "rtmpd_streams",
    "rtmpd_bytes_total",
    "rtmpd_messages_total",
    "rtmpd_dropped_messages_total",
    "rtmpd_closes_total",
    "rtmpd_turn_seconds",
    "rtmpd_added_delay_seconds",
    "rtmpd_stream_added_delay_seconds",
    "rtmpd_queue_bytes",
    "process_resident_memory_bytes",
    "rtmpd_disk_queue_bytes",
    "rtmpd_players",
    "rtmpd_stream_warnings",
];

#[test]
fn every_metric_that_the_dashboard_shows_is_there() {
    let mut world = world();
    world.engine.set_memory_bytes(1);
    let (_publisher, _player) = streaming(&mut world);
    let (_, _, page) = ask_with(&mut world, "GET /metrics", "");
    let kinds: Vec<(&str, &str)> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let dashboard = include_str!("../../contrib/grafana-dashboard.json");
    let dashboard: Value = serde_json::from_str(dashboard).unwrap();
    let mut shown = Vec::new();
    expressions(&dashboard, &mut shown);
    assert!(shown.len() > 10, "{shown:?}");
    let names = shown.iter().flat_map(|text| text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')));
    let names = names.filter(|word| word.starts_with("rtmpd_") || word.starts_with("process_"));
    for name in names.chain(WANTED) {
        let is_there = kinds.iter().any(|(metric, kind)| {
            let suffix = name.strip_prefix(metric);
            suffix == Some("") || (*kind == "histogram" && matches!(suffix, Some("_bucket" | "_sum" | "_count")))
        });
        assert!(is_there, "{name} is no metric of\n{page}");
    }
}

/// The queries of a dashboard.
fn expressions(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if ["expr", "query", "definition"].contains(&name.as_str()) => {
                        into.push(text.clone());
                    }
                    _ => expressions(value, into),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| expressions(value, into)),
        _ => {}
    }
}

#[test]
fn no_more_streams_than_wanted_have_metrics_of_their_own() {
    let api = ApiConfig { metrics_streams: 2, ..ApiConfig::default() };
    let mut world = World::new(EngineConfig { api, ..EngineConfig::default() });
    let _clients: Vec<_> = (0..5).map(|number| Client::publishing(&mut world, &format!("s{number}"))).collect();
    let (_, _, page) = ask_with(&mut world, "GET /metrics", "");
    let mut names: Vec<_> =
        samples(&page).into_iter().filter(|(name, ..)| name == "rtmpd_stream_messages_total").collect();
    names.sort_by(|(_, a, _), (_, b, _)| a.cmp(b));
    assert_eq!(
        names.iter().map(|(_, labels, _)| labels.as_str()).collect::<Vec<_>>(),
        ["stream=\"live/s0\"", "stream=\"live/s1\""]
    );
}

#[test]
fn the_description_names_every_path() {
    let mut world = world();
    let (status, head, body) = ask_with(&mut world, "GET /api/v1/openapi.yaml", "");
    assert!(status == 200 && head.contains("Content-Type: application/yaml\r\n"), "{head}");
    for path in [
        "server",
        "streams",
        "streams/{app}/{stream}",
        "streams/{app}/{stream}/recording",
        "clients",
        "clients/{id}",
        "sessions",
        "reload",
        "drain",
    ] {
        assert!(body.contains(&format!("\n  /api/v1/{path}:\n")), "{path}");
    }
    assert!(body.contains("\n  /metrics:\n") && body.contains("\n  /healthz:\n"));
}
