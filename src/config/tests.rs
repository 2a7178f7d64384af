//! The configuration as its operator meets it: texts that are read, refused and written.

use super::*;

fn problem(text: &str) -> String {
    match parse(text) {
        Ok(config) => panic!("accepted: {text}\nas {config:?}"),
        Err(error) => error.to_string(),
    }
}

/// `key = value` with the section that the key needs, in line 2.
fn setting(key: &str, value: &str) -> String {
    let (section, name) = key.rsplit_once('.').unwrap();
    format!("[{section}]\n{name} = {value}\n")
}

#[test]
fn an_empty_file_means_the_defaults() {
    assert_eq!(parse(""), Ok(Config::default()));
    assert_eq!(parse("# nothing\n[limits]\n[limits.queue]\n"), Ok(Config::default()));
}

#[test]
fn each_section_is_read() {
    let config = parse(
        "server = { bind = '::1', port = 0, chunk_size = 4096 }\n\
         limits.connections = 7\n\
         limits.session.command_bytes = 5000\n\
         limits.http.headers = 20\n\
         limits.queue.linger_ms = 900\n\
         limits.streams = 3\n\
         [default.cache]\nprobe_frames = 0\n\
         [default.hls]\nmode = 'always'\nformat = 'ts'\nsegments = 9\n\
         [default]\njoin = 'key'\ntakeover = 'reject'\n",
    )
    .unwrap();
    let mut expected = Config { bind: "::1".parse().unwrap(), port: 0, ..Config::default() };
    let engine = &mut expected.engine;
    engine.chunk_size = 4096;
    engine.connections = 7;
    engine.session.command_bytes = 5000;
    engine.http.headers = 20;
    engine.queue.linger_ms = 900;
    engine.streams = 3;
    let cache = CacheLimits { probe_frames: 0, ..CacheLimits::default() };
    let hls = HlsConfig { mode: HlsMode::Always, format: HlsFormat::Ts, segments: 9, ..HlsConfig::default() };
    engine.app = AppConfig { join: JoinMode::Key, takeover: Takeover::Reject, cache, hls, ..AppConfig::default() };
    assert_eq!(config, expected);
    assert_eq!(config.address().to_string(), "[::1]:0");
}

#[test]
fn http_can_be_turned_off() {
    let config = parse("server.http_port = 'off'").unwrap();
    assert_eq!((config.http_port, config.http_address()), (HttpPort::Off, None));
    assert_eq!(parse(&to_toml(&config).unwrap()), Ok(config));
    let config = parse("server = { bind = '::1', http_port = 81 }").unwrap();
    assert_eq!(config.http_address().unwrap().to_string(), "[::1]:81");
}

#[test]
fn an_app_overrides_single_keys_of_the_default() {
    let text = "[app.tv]\njoin = 'gop'\n[default]\ntakeover = 'reject'\n[app.'live/inner']\ntakeover = 'when-silent'\n";
    let engine = parse(text).unwrap().engine;
    let (edge, gop) = (JoinMode::Edge, JoinMode::Gop);
    let (reject, silent) = (Takeover::Reject, Takeover::WhenSilent);
    let app = |join, takeover| AppConfig { join, takeover, ..AppConfig::default() };
    assert_eq!(*engine.app("tv"), app(gop, reject));
    assert_eq!(*engine.app("live/inner"), app(edge, silent));
    assert_eq!(*engine.app("other"), app(edge, reject));
}

#[test]
fn an_app_overrides_single_keys_of_every_section() {
    let text = "[default.hls]\nsegments = 9\npart_ms = 200\n\
                [app.tv.hls]\npart_ms = 500\n\
                [app.tv.record]\nauto = true\nformats = ['ts', 'mp4']\n\
                [app.tv.cache]\ngop_bytes = 100000\n\
                [app.tv.queue]\nlag_ms = 500\n\
                [app.tv]\nplayers_per_stream = 3\nstream_bytes_per_second = 5000\ngrace_ms = 0\n\
                [default.record]\ndirectory = '/srv'\n";
    let engine = parse(text).unwrap().engine;
    let expected = AppConfig {
        grace_ms: 0,
        players_per_stream: 3,
        stream_bytes_per_second: 5_000,
        queue: PlayerQueueLimits { lag_ms: 500, ..PlayerQueueLimits::default() },
        cache: CacheLimits { gop_bytes: 100_000, ..CacheLimits::default() },
        hls: HlsConfig { segments: 9, part_ms: 500, ..HlsConfig::default() },
        record: RecordConfig {
            auto: true,
            directory: "/srv".into(),
            formats: vec![RecordFormat::Ts, RecordFormat::Mp4],
            ..RecordConfig::default()
        },
        ..AppConfig::default()
    };
    assert_eq!(*engine.app("tv"), expected);
    assert_eq!((engine.app.hls.part_ms, engine.app.record.auto, engine.app.players_per_stream), (200, false, 0));
}

#[test]
fn recording_everything_is_as_if_the_default_said_so() {
    let text = "[default.record]\nformats = ['ts']\n[app.quiet.record]\nauto = false\n\
                [app.own.record]\ndirectory = '/own'\n[app.tv]\njoin = 'gop'\n";
    let engine = parse_recording(text, Some("/all")).unwrap().engine;
    let of = |app: &str| {
        let record = &engine.app(app).record;
        (record.auto, record.directory.to_str().unwrap(), record.formats.clone())
    };
    let ts = || vec![RecordFormat::Ts];
    assert_eq!(of("other"), (true, "/all", ts()));
    assert_eq!(of("tv"), (true, "/all", ts()));
    assert_eq!(of("own"), (true, "/own", ts()));
    assert_eq!(of("quiet"), (false, "/all", ts()));
    let directories: Vec<_> = engine.record_directories().into_iter().collect();
    assert_eq!(directories, ["/all", "/own"].map(Path::new));
}

#[test]
fn every_number_of_an_app_is_held_to_its_range() {
    for (key, allowed) in ranges::of_apps() {
        for section in ["app.tv", "app.\"a.b/c \\\" d\"", "app.hls"] {
            let key = format!("{section}.{key}");
            for value in [i128::from(*allowed.start()) - 1, i128::from(*allowed.end()) + 1, i128::from(i64::MIN)] {
                let (min, max) = (allowed.start(), allowed.end());
                let expected = format!("2: {key}: must be a whole number from {min} to {max}, is {value}");
                assert_eq!(problem(&setting(&key, &value.to_string())), expected);
            }
        }
    }
    assert!(problem("[app.hls]\nsegment_ms = 1").starts_with("2: app.hls.segment_ms: unknown field `segment_ms`"));
}

#[test]
fn what_an_app_sets_against_the_default_is_told_where_the_app_sets_it() {
    let told = problem("[default.hls]\nmax_segment_ms = 5000\n[app.tv.hls]\n\nsegment_ms = 6000\n");
    assert!(
        told.starts_with("5: app.tv.hls.segment_ms (6000) must not be larger than app.tv.hls.max_segment_ms (5000): "),
        "{told}"
    );
    let told = problem("[default.cache]\ngop_bytes = 100000\n[app.tv.queue]\nbytes = 65536\n");
    assert!(
        told.starts_with("4: app.tv.cache.gop_bytes (100000) must not be larger than app.tv.queue.bytes "),
        "{told}"
    );
    let told = problem("[app.'a b'.record]\npattern = 'x'\n");
    assert!(told.starts_with("2: app.\"a b\".record.pattern: must hold {sequence}"), "{told}");
}

#[test]
fn every_number_is_held_to_its_range() {
    for (key, allowed) in ranges::all() {
        let (min, max) = (*allowed.start(), *allowed.end());
        let refused = [i128::from(min) - 1, i128::from(max) + 1, i128::from(i64::MAX), i128::from(i64::MIN)];
        for value in refused {
            let expected = format!("2: {key}: must be a whole number from {min} to {max}, is {value}");
            assert_eq!(problem(&setting(&key, &value.to_string())), expected);
        }
        for value in ["'7'", "1.5", "true", "[]"] {
            let expected = format!("2: {key}: must be a whole number from {min} to {max}, is {value}");
            assert_eq!(problem(&setting(&key, value)), expected);
        }
    }
}

#[test]
fn every_number_may_have_the_ends_of_its_range() {
    for (key, allowed) in ranges::all() {
        for value in [allowed.start(), allowed.end()] {
            // Another number may stand against it, but its range does not.
            if let Err(error) = parse(&setting(&key, &value.to_string())) {
                assert!(error.problem.contains("must not be larger than"), "{error}");
            }
        }
    }
}

#[test]
fn a_number_that_may_not_exceed_another_is_refused_where_it_is_set() {
    let cases = [
        ("session", "command_bytes", "message_bytes", 65_537, 65_536),
        ("session", "message_bytes", "partial_bytes", 5_000_001, 5_000_000),
    ];
    for (section, smaller, larger, small, large) in cases {
        let section = format!("limits.{section}");
        let expected = format!("{section}.{smaller} ({small}) must not be larger than {section}.{larger} ({large}): ");
        let told = problem(&format!("[{section}]\n{larger} = {large}\n{smaller} = {small}\n"));
        assert!(told.starts_with(&format!("3: {expected}")), "{told}");
        assert!(parse(&format!("[{section}]\n{larger} = {large}\n{smaller} = {large}\n")).is_ok());
    }
    let expected = "3: default.cache.gop_bytes (70000) must not be larger than default.queue.bytes (65536): \
                    a player that joins is sent a whole group at once";
    assert_eq!(problem("[default]\nqueue.bytes = 65536\ncache.gop_bytes = 70000"), expected);
    // Only the larger one stands in the file: that is the line to look at.
    let expected = "2: limits.session.command_bytes (65536) must not be larger than \
                    limits.session.message_bytes (5000): publishers send commands, too";
    assert_eq!(problem("[limits.session]\nmessage_bytes = 5000"), expected);
    let told = problem("[default.hls]\nsegment_ms = 13000");
    assert!(
        told.starts_with(
            "2: default.hls.segment_ms (13000) must not be larger than default.hls.max_segment_ms (12000): "
        ),
        "{told}"
    );
    let told = problem("[default.hls]\npart_ms = 3000");
    assert!(
        told.starts_with("2: default.hls.part_ms (3000) must not be larger than default.hls.segment_ms (2000): "),
        "{told}"
    );
    assert_eq!(ranges::ordered_count(), cases.len() + 3);
}

#[test]
fn a_memory_limit_in_the_wrong_unit_is_refused() {
    let expected = "2: limits.memory_limit: must be 0 or at least 33554432, is 512";
    assert_eq!(problem("[limits]\nmemory_limit = 512"), expected);
    assert_eq!(parse("[limits]\nmemory_limit = 0").unwrap().engine.memory_limit, 0);
    assert_eq!(parse("[limits]\nmemory_limit = 33554432").unwrap().engine.memory_limit, 32 * 1024 * 1024);
}

#[test]
fn mistakes_are_told_with_line_and_key() {
    let cases = [
        (
            "[server]\nprot = 1\n",
            "2: server.prot: unknown field `prot`, expected one of `bind`, `port`, `http_port`, `chunk_size`, \
             `batch_ms`",
        ),
        (
            "\n[serve]\n",
            "2: serve: unknown field `serve`, expected one of `server`, `limits`, `callbacks`, `api`, \
             `default`, `app`",
        ),
        ("[server]\nbind = 'localhost'\n", "2: server.bind: invalid IP address syntax"),
        ("[default]\njoin = 'now'", "2: default.join: unknown variant `now`, expected one of `edge`, `gop`, `key`"),
        (
            "[app.tv]\n\ntakeover = 'never'",
            "3: app.tv.takeover: unknown variant `never`, expected `when-silent` or `reject`",
        ),
        (
            "[app.'a b']\nx = 1",
            "2: app.\"a b\".x: unknown field `x`, expected one of `join`, `takeover`, `takeover_silence_ms`, ",
        ),
        ("\n\nlimits = 3", "3: limits: invalid type: integer `3`, expected a section"),
        (
            "[server]\nport = 99999999999999999999",
            "2: server.port: must be a whole number from 0 to 65535, is 999999999",
        ),
        ("[limits]\nqueue = 'big'", "2: limits.queue: invalid type: string \"big\", expected a section"),
        ("[server]\nport = 1\nport = 2\n", "3: this is not TOML: duplicate key: \"port\""),
        (
            "[default.record]\npattern = '{day}-{sequence}'",
            "2: default.record.pattern: knows no placeholders but {app} {stream} {date} {time} {sequence}, is \"{day}-",
        ),
        ("[default.record]\n\nformats = []", "3: default.record.formats: must name one format or more, each once"),
        (
            "[app.a.record]\nformats = ['avi']",
            "2: app.a.record.formats: unknown variant `avi`, expected one of `flv`, ",
        ),
        (
            "[server]\nreconnect_url = 'rtmp://a/live'\n",
            "2: server.reconnect_url: must be like \"rtmp://HOST:PORT\", without a path, is \"rtmp://a/live\"",
        ),
        ("port 1935", "1: this is not TOML: "),
        ("\n[server", "2: this is not TOML: "),
        ("server.port = 1 \u{1}", "1: this is not TOML: "),
    ];
    for (text, expected) in cases {
        let told = problem(text);
        assert!(told.starts_with(expected), "{text:?}\ntold:     {told}\nexpected: {expected}");
        assert!(!told.contains('\n'), "{told}");
    }
}

#[test]
fn apps_that_no_client_can_name_are_refused() {
    for name in ["live/", "/live", "a//b", "..", "a/./b", "live?x", "a\\\\b", "a\\u0007"] {
        let told = problem(&format!("\n[app.\"{name}\"]\n"));
        assert!(told.starts_with("2: app.\"") && told.contains("no client can have this name"), "{told}");
    }
    for name in ["", "live", "a/b", "Ünï/x y"] {
        assert!(parse(&format!("[app.\"{name}\"]\n")).is_ok(), "{name}");
    }
}

#[test]
fn what_is_written_reads_back_the_same() {
    let mut config = Config { bind: "2001:db8::1".parse().unwrap(), port: 1, ..Config::default() };
    assert_eq!(parse(&to_toml(&Config::default()).unwrap()), Ok(Config::default()));
    config.engine.queue.linger_ms = 333;
    config.engine.app.cache.gop_frames = 44;
    let rules = AccessRules {
        deny: vec!["10.0.0.0/8".parse().unwrap()],
        keys: vec![StreamKey::parse("abc").unwrap()],
        stream_keys: BTreeMap::from([("a b".to_owned(), StreamKey::parse("def").unwrap())]),
        ..AccessRules::default()
    };
    config.engine.app.play = rules.clone();
    let app = AppConfig { join: JoinMode::Gop, takeover: Takeover::Reject, publish: rules, ..AppConfig::default() };
    config.engine.apps = BTreeMap::from([(String::new(), AppConfig::default()), ("a \"b\"/c".to_owned(), app)]);
    assert_eq!(parse(&to_toml(&config).unwrap()), Ok(config));
}

/// `section.key` and value of every line that sets one.
fn settings(text: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut settings = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if let Some((key, value)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            settings.push((format!("{section}.{key}"), value.to_owned()));
        }
    }
    settings
}

const EXAMPLE: &str = include_str!("../../rtmpd.toml.example");

#[test]
fn every_number_that_can_be_set_has_a_range() {
    let written = settings(&to_toml(&Config::default()).unwrap());
    let numbers: Vec<_> = written.iter().filter(|(_, value)| value.parse::<i64>().is_ok()).collect();
    assert_eq!(numbers.len(), ranges::all().count());
    for (key, _) in numbers {
        assert!(ranges::allowed(key).is_some(), "src/config/ranges.rs says nothing about {key}");
    }
}

#[test]
fn the_example_file_holds_every_key_with_its_default() {
    assert_eq!(parse(EXAMPLE), Ok(Config::default()));
    let example = settings(EXAMPLE);
    for setting in settings(&to_toml(&Config::default()).unwrap()) {
        assert!(example.contains(&setting), "rtmpd.toml.example lacks {} = {}", setting.0, setting.1);
    }
}

#[test]
fn the_example_file_tells_the_range_of_every_number() {
    let mut comment = String::new();
    let mut told = BTreeMap::new();
    let mut section = String::new();
    for line in EXAMPLE.lines() {
        if let Some(text) = line.strip_prefix('#') {
            comment.push_str(text);
        } else if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
            comment.clear();
        } else if let Some((key, _)) = line.split_once(" = ") {
            told.insert(format!("{section}.{key}"), std::mem::take(&mut comment));
        }
    }
    for (key, allowed) in ranges::all() {
        let expected = format!("({} to {})", allowed.start(), allowed.end());
        let comment = told.get(&key).map_or("", String::as_str);
        assert!(comment.contains(&expected), "rtmpd.toml.example says of {key}:\n{comment}\nnot: {expected}");
    }
}

#[test]
fn the_sections_of_apps_in_the_example_can_be_used() {
    // Text has a blank behind its #.
    let uncommented = EXAMPLE.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => setting,
        _ => line,
    });
    let engine = parse(&uncommented.collect::<Vec<_>>().join("\n")).unwrap().engine;
    assert!(!engine.apps.is_empty());
    assert!(engine.apps.values().any(|app| app.publish.wants_credentials()));
}

#[test]
fn an_app_overrides_single_access_rules_of_the_default() {
    let text = "[default.publish]\nkeys = ['abc']\ndeny = ['::1']\n\
                [app.open.publish]\nkeys = []\n\
                [app.tv.publish.stream_keys]\ncam = 'def'\n\
                [app.tv.play]\nsigning_secret = '0123456789abcdef'\nallow = ['10.0.0.0/8', '::ffff:127.0.0.1']\n";
    let engine = parse(text).unwrap().engine;
    let (tv, open) = (engine.app("tv"), engine.app("open"));
    assert_eq!(tv.publish.keys, [StreamKey::parse("abc").unwrap()]);
    assert_eq!(tv.publish.stream_keys.get("cam"), StreamKey::parse("def").as_ref());
    assert_eq!(tv.play.allow.iter().map(Network::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "127.0.0.1"]);
    assert_eq!(tv.play.signing_secret.bytes(), b"0123456789abcdef");
    assert!(!open.publish.wants_credentials() && !open.play.wants_credentials());
    assert_eq!(open.publish.deny, engine.app.publish.deny);
}

#[test]
fn wrong_access_rules_are_told_without_what_was_typed() {
    let keys = "must be a list of keys in quotes";
    let secret = "must be at least 16 bytes in quotes";
    let cases = [
        ("[default.publish]\nkeys = 's3cr3t'", format!("2: default.publish.keys: {keys}")),
        ("[default.publish]\nkeys = ['x',\n'sha256:s3cr3t']", format!("2: default.publish.keys: {keys}")),
        ("[default.play]\nkeys = ['']", format!("2: default.play.keys: {keys}")),
        ("[app.tv.publish]\nkeys = ['a', 5]", format!("2: app.tv.publish.keys: {keys}")),
        ("[default.publish]\nsigning_secret = 's3cr3t'", format!("2: default.publish.signing_secret: {secret}")),
        ("[default.publish]\nsigning_secret = '***'", format!("2: default.publish.signing_secret: {secret}")),
        (
            "[default.publish.stream_keys]\ncam = ['s3cr3t']",
            "2: default.publish.stream_keys.cam: must give each stream one key in quotes".to_owned(),
        ),
        ("[default.publish]\nkeys = ['s3cr3t", "2: this is not TOML: ".to_owned()),
        ("[default.publish]\nkeys = [s3cr3t]", "2: this is not TOML: ".to_owned()),
        ("[default.publish]\nkeys = [\ns3cr3t,\n]", "3: this is not TOML: ".to_owned()),
        ("[default.publish]\nkeys = [\n's3cr3t\n]", "3: this is not TOML: ".to_owned()),
        ("[default.publish]\nsecret = 's3cr3t'", "2: default.publish.secret: unknown field `secret`".to_owned()),
    ];
    for (text, expected) in cases {
        let told = problem(text);
        assert!(told.starts_with(&expected), "{text:?}\ntold:     {told}\nexpected: {expected}");
        assert!(!told.contains("s3cr3t") && !told.contains('\n'), "{told}");
    }
    let told = problem("[default.play]\nallow = ['10.0.0.1/8']");
    assert!(told.starts_with("2: default.play.allow: \"10.0.0.1/8\" has bits behind its length"), "{told}");
}

#[test]
fn a_printed_configuration_shows_no_secret_and_is_not_taken_for_one() {
    let text = "[default.publish]\nkeys = ['abc']\nsigning_secret = 'a long and good one'\n";
    let printed = to_toml(&parse(text).unwrap()).unwrap();
    assert!(printed.contains("signing_secret = \"***\"") && !printed.contains("good one"), "{printed}");
    assert!(printed.contains("sha256:ba7816bf") && !printed.contains("\"abc\""), "{printed}");
    assert!(problem(&printed).contains("*** stands for a secret that was not printed"));
}

#[test]
fn what_a_terminal_would_obey_is_not_repeated() {
    let error = parse("[default]\njoin = \"ed\u{9a}\"\n").unwrap_err();
    assert!(error.problem.starts_with("default.join: unknown variant `ed\u{fffd}`"), "{error}");
}
