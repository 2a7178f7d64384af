//! Tests of the canonical rule for names.

use proptest::prelude::*;

use super::*;

fn resolve(tc_url: &str, app: &str, name: &str) -> StreamPath {
    StreamPath::resolve(Some(tc_url), app, name).unwrap()
}

/// App, stream and query of what a client sends that gives no `tcUrl`.
fn parts(app: &str, name: &str) -> (String, String, String) {
    let path = StreamPath::resolve(None, app, name).unwrap();
    assert_eq!(path.vhost, path.query_value("vhost").unwrap_or_default());
    (path.app, path.stream, path.query)
}

/// Checks rows of (app, name, resulting app, stream and query).
fn check(rows: &[(&str, &str, &str, &str, &str)]) {
    for &(app, name, to_app, to_stream, to_query) in rows {
        let expected = (to_app.to_owned(), to_stream.to_owned(), to_query.to_owned());
        assert_eq!(parts(app, name), expected, "app {app:?}, name {name:?}");
        let tc_url = format!("rtmp://host:1935/{app}");
        let path = resolve(&tc_url, app, name);
        assert_eq!((path.app, path.stream, path.query), expected, "{tc_url:?}, name {name:?}");
    }
}

#[test]
fn app_and_stream() {
    check(&[("live", "x", "live", "x", ""), ("live", "x?a=1&b=2", "live", "x", "a=1&b=2")]);
}

#[test]
fn publish_and_play_urls_that_are_cut_differently_meet() {
    check(&[
        ("live/0", "x", "live/0", "x", ""),
        ("live", "0/x", "live/0", "x", ""),
        ("live/0/x", "", "live/0", "x", ""),
        ("", "live/0/x", "live/0", "x", ""),
    ]);
}

#[test]
fn slashes_too_many_do_not_matter() {
    check(&[
        ("live/", "x", "live", "x", ""),
        ("/live//0/", "//x/", "live/0", "x", ""),
        ("live", "x/?a=1", "live", "x", "a=1"),
        ("live/?a=1", "x", "live", "x", "a=1"),
    ]);
    assert_eq!(resolve("rtmp://host/live/", "live", "x").app, "live");
    assert_eq!(resolve("rtmp://host//live", "live/", "x").app, "live");
}

#[test]
fn single_segment_url_has_an_empty_app() {
    check(&[
        ("name?user=me&pass=word", "", "", "name", "user=me&pass=word"),
        ("", "name?user=me&pass=word", "", "name", "user=me&pass=word"),
        ("/", "name", "", "name", ""),
        ("name?", "", "", "name", ""),
    ]);
    assert_eq!(resolve("rtmp://host", "", "name").stream, "name");
    assert_eq!(resolve("rtmp://host?user=me", "", "name").query, "user=me");
}

#[test]
fn query_in_app_and_name_after_it() {
    check(&[
        ("app1?query", "stream1", "app1", "stream1", "query"),
        ("app1?query/", "stream1", "app1", "stream1", "query"),
        ("live/0?a=1", "0/x", "live/0/0", "x", "a=1"),
    ]);
}

#[test]
fn slash_inside_query_values() {
    let cover = "x?id=1&cover=http://host/a.png";
    check(&[
        ("", "name?token=a/b", "", "name", "token=a/b"),
        ("name?token=a/b", "", "", "name", "token=a/b"),
        ("name?token=a/", "", "", "name", "token=a/"),
        ("live", "x?token=a/b/?c", "live", "x", "token=a/b/?c"),
        ("live/x?token=a/b", "", "live", "x", "token=a/b"),
        ("live?token=a/b", "x", "live", "x", "token=a/b"),
        ("live", cover, "live", "x", "id=1&cover=http://host/a.png"),
    ]);
}

#[test]
fn queries_of_app_and_name_are_merged_in_that_order() {
    check(&[
        ("live?a=1", "x?b=2", "live", "x", "a=1&b=2"),
        ("live?a=1", "x?a=2", "live", "x", "a=1&a=2"),
        ("live?a=1", "x?", "live", "x", "a=1"),
        ("live?", "x?b=2", "live", "x", "b=2"),
    ]);
    assert_eq!(StreamPath::resolve(None, "live?a=1", "x?a=2").unwrap().query_value("a").unwrap(), "1");
}

#[test]
fn obs_multitrack_sends_the_same_query_twice() {
    check(&[("comp1/comp2?key=val", "?key=val", "comp1", "comp2", "key=val")]);
}

#[test]
fn query_is_also_found_where_only_one_of_app_and_tc_url_has_it() {
    assert_eq!(resolve("rtmp://host/live", "live?a=1", "x?b=2").query, "a=1&b=2");
    assert_eq!(resolve("rtmp://host/live?a=1", "live", "x").query, "a=1");
    assert_eq!(resolve("rtmp://host/live?a=1", "live?a=1", "x").query, "a=1");
}

#[test]
fn tc_url_gives_the_path_where_it_has_one() {
    assert_eq!(resolve("rtmp://host/live/0", "live", "x").app, "live/0");
    assert_eq!(resolve("rtmp://host/", "live", "x").app, "live");
    assert_eq!(resolve("rtmp://host", "live", "x").app, "live");
    assert_eq!(resolve("rtmp://host?a=1", "live", "x").app, "live");
}

#[test]
fn tc_url_in_quotes() {
    for tc_url in ["'rtmp://host/live'", "\"rtmp://host/live\"", "'rtmp://host/live", " rtmp://host/live "] {
        let path = resolve(tc_url, "other", "x");
        assert_eq!((path.vhost.as_str(), path.app.as_str()), ("host", "live"), "{tc_url:?}");
    }
}

#[test]
fn tc_url_that_is_missing_or_no_url_leaves_app() {
    for tc_url in [
        None,
        Some(""),
        Some("'"),
        Some("live"),
        Some("host/other"),
        Some("rtmp:/other"),
        Some("://host/other"),
        Some("rt mp://host/other"),
        Some("rtmp://ho st/other"),
        Some("rtmp://../other"),
        Some("rtmp://ho\\st/other"),
        Some("rtmp://host:port/other"),
        Some("rtmp://[::1/other"),
        Some("rtmp://[::1]x/other"),
        Some("undefined"),
    ] {
        let path = StreamPath::resolve(tc_url, "live", "x").unwrap();
        assert_eq!((path.vhost.as_str(), path.app.as_str()), ("", "live"), "{tc_url:?}");
    }
}

#[test]
fn virtual_host_is_the_host_of_tc_url() {
    for (tc_url, vhost) in [
        ("rtmp://Live.Example.COM/live", "live.example.com"),
        ("rtmp://host:1935/live", "host"),
        ("rtmp://host:/live", "host"),
        ("rtmps://host:443", "host"),
        ("RTMP://192.0.2.1/live", "192.0.2.1"),
        ("rtmp://user:p@ss@host:1935/live", "host"),
        ("rtmp://[2001:DB8::1]:1935/live", "[2001:db8::1]"),
        ("rtmp://[::1]/live", "[::1]"),
        ("rtmp:///live", ""),
        ("rtmp://host?vhost=", "host"),
    ] {
        assert_eq!(resolve(tc_url, "live", "x").vhost, vhost, "{tc_url:?}");
    }
    let long = format!("rtmp://{}/live", "h".repeat(MAX_HOST_BYTES + 1));
    assert_eq!(resolve(&long, "live", "x").vhost, "");
}

#[test]
fn virtual_host_of_the_query_wins() {
    for (app, name) in
        [("live?vhost=My.Host", "x"), ("live", "x?a=1&vhost=my.host"), ("live?vhost=my.host:1935", "x?vhost=other")]
    {
        assert_eq!(resolve("rtmp://192.0.2.1/live", app, name).vhost, "my.host", "{app} {name}");
    }
    for vhost in ["..", "a%2Fb", "a%0Ab", "a%5Cb", "a:b:c"] {
        let name = format!("x?vhost={vhost}");
        assert_eq!(StreamPath::resolve(None, "live", &name), Err(PathError::Forbidden), "{name}");
    }
}

#[test]
fn ffmpeg_and_librtmp_change_names_by_their_format() {
    for name in [
        "x",
        "x.flv",
        "x.mp4",
        "x.f4v",
        "x.mp3",
        "flv:x",
        "mp4:x.mp4",
        "mp4:x.f4v",
        "mp4:x",
        "mp3:x",
        "mp4:x.mp4?a=1",
        "x.flv?a=1",
        "flv:x.flv.flv",
        "mp4%3Ax%2Emp4",
    ] {
        let (app, stream, _) = parts("live", name);
        assert_eq!((app.as_str(), stream.as_str()), ("live", "x"), "{name:?}");
    }
    check(&[
        ("live", "mp4:0/x.mp4", "live/0", "x", ""),
        ("live/0", "x.mp4", "live/0", "x", ""),
        ("live.flv", "x", "live.flv", "x", ""),
        ("live/x.flv", "", "live", "x", ""),
        ("live", ".flv", "live", ".flv", ""),
        ("live", "x.ts", "live", "x.ts", ""),
        ("live", "xflv:y", "live", "xflv:y", ""),
    ]);
    assert_eq!(StreamPath::resolve(None, "", "mp4:"), Err(PathError::Empty));
}

#[test]
fn segments_are_percent_decoded_once() {
    check(&[
        ("live", "a%20b", "live", "a b", ""),
        ("l%69ve", "x", "live", "x", ""),
        ("live", "caf%C3%A9", "live", "café", ""),
        ("live", "100%25", "live", "100%", ""),
        ("live", "%2541", "live", "%41", ""),
        ("live", "a%3Fb=c", "live", "a?b=c", ""),
        ("live", "a+b", "live", "a+b", ""),
        ("live", "a%2Bb&c", "live", "a+b&c", ""),
    ]);
}

#[test]
fn escapes_that_are_not_valid_stay() {
    check(&[
        ("live", "100%", "live", "100%", ""),
        ("live", "a%4", "live", "a%4", ""),
        ("live", "a%zz%+1", "live", "a%zz%+1", ""),
        ("live", "%41%FF", "live", "%41%FF", ""),
    ]);
}

#[test]
fn an_escaped_slash_does_not_split() {
    check(&[
        ("live", "a%2Fb", "live", "a%2Fb", ""),
        ("live", "a%2fb", "live", "a%2Fb", ""),
        ("live", "%2F..%2F..%2Fetc", "live", "%2F..%2F..%2Fetc", ""),
    ]);
}

#[test]
fn forbidden_names() {
    for (app, name) in [
        ("live", ".."),
        ("live", "."),
        ("..", "x"),
        ("live/../..", "x"),
        ("live", "../x"),
        ("live", "%2e%2E"),
        ("live", "%2e/x"),
        ("live", "mp4:.."),
        ("live", "...flv"),
        ("live", "...flv.mp4"),
        ("live", "a\\b"),
        ("live", "a%5Cb"),
        ("live", "a\0"),
        ("live", "a%00"),
        ("live", "a\r\nb"),
        ("live", "a%0a"),
        ("l\u{7f}ive", "a"),
        ("live", "a\u{85}"),
        ("live", "x?a=\n"),
        ("live?a=\0", "x"),
    ] {
        assert_eq!(StreamPath::resolve(None, app, name), Err(PathError::Forbidden), "{app:?} {name:?}");
    }
    check(&[("live", "...", "live", "...", ""), ("live", "..x", "live", "..x", "")]);
}

#[test]
fn empty_names() {
    for (app, name) in [("", ""), ("/", "//"), ("?a=1", ""), ("", "?a=1"), ("", "/?a=1")] {
        assert_eq!(StreamPath::resolve(None, app, name), Err(PathError::Empty), "{app:?} {name:?}");
        let tc_url = Some("rtmp://host/");
        assert_eq!(StreamPath::resolve(tc_url, app, name), Err(PathError::Empty));
    }
}

#[test]
fn longest_name() {
    let fits = "x".repeat(MAX_PATH_BYTES - 4);
    assert!(StreamPath::resolve(None, "live", &fits).is_ok());
    let tc_url = Some("rtmp://host/liv");
    assert!(StreamPath::resolve(tc_url, "live", &fits).is_ok());
    for (tc_url, app, name) in [
        (None, "live5", fits.as_str()),
        (None, fits.as_str(), "live5"),
        (Some("rtmp://host/live5"), "live", &fits),
        (Some("rtmp://host/live?a"), "live", &fits),
        (None, "", &"/".repeat(65_536)),
        (None, "", &"%2e/".repeat(16_384)),
        (Some(&format!("rtmp://host/{}", "a/".repeat(32_768))), "live", "x"),
    ] {
        assert_eq!(StreamPath::resolve(tc_url, app, name), Err(PathError::TooLong));
    }
}

#[test]
fn errors_say_what_is_wrong() {
    assert_eq!(PathError::Empty.to_string(), "the stream name is empty");
    assert_eq!(PathError::TooLong.to_string(), "the name is longer than 2048 bytes");
    assert_eq!(PathError::Forbidden.to_string(), "the name has a segment or character that is not allowed");
}

#[test]
fn query_values_are_percent_decoded() {
    let query = "x?a=1&b&c=%2Fx%20y+z&d=&e=p=q&%66=k&a=2&g=%FF%zz";
    let path = StreamPath::resolve(None, "live", query).unwrap();
    for (key, value) in [
        ("a", Some("1")),
        ("b", Some("")),
        ("c", Some("/x y+z")),
        ("d", Some("")),
        ("e", Some("p=q")),
        ("f", Some("k")),
        ("g", Some("\u{FFFD}%zz")),
        ("A", None),
        ("h", None),
    ] {
        assert_eq!(path.query_value(key).as_deref(), value, "{key}");
    }
    assert_eq!(parts("live", "x").2, "");
    assert_eq!(StreamPath::resolve(None, "live", "x").unwrap().query_value("a"), None);
}

proptest! {
    #[test]
    fn where_the_client_cuts_does_not_matter(
        segments in proptest::collection::vec("[a-z0-9_ %+:.é-]{1,8}", 1..6),
        cut in 0..6_usize,
        query in "[a-z0-9=&/?%]{0,12}",
    ) {
        let (app, name) = segments.split_at(cut.min(segments.len() - 1));
        let whole = StreamPath::resolve(None, "", &format!("{}?{query}", segments.join("/")));
        let cut = StreamPath::resolve(None, &app.join("/"), &format!("{}?{query}", name.join("/")));
        prop_assert_eq!(&whole, &cut);
        let all_in_app = StreamPath::resolve(None, &format!("{}?{query}", segments.join("/")), "");
        prop_assert_eq!(&whole, &all_in_app);
    }

    #[test]
    fn what_is_resolved_keeps_the_rules(tc_url in ".{0,40}", app in ".{0,40}", name in "[a-z%/?.:2Fef&=]{0,30}") {
        let tc_url = format!("rtmp://{tc_url}");
        if let Ok(path) = StreamPath::resolve(Some(&tc_url), &app, &name) {
            prop_assert!(!path.stream.is_empty() && !path.stream.contains('/'));
            let is_clean = |s: &str| !s.is_empty() && is_allowed(s);
            prop_assert!(is_clean(&path.stream));
            prop_assert!(path.app.is_empty() || path.app.split('/').all(is_clean));
            prop_assert!(!path.query.contains(char::is_control));
            prop_assert!(!path.vhost.contains(['/', '\\', ' ']));
        }
    }

    #[test]
    fn plain_names_stay_as_they_are(app in "[a-z]{1,5}(/[a-z]{1,5}){0,3}", stream in "[a-z0-9_-]{1,9}") {
        let path = StreamPath::resolve(None, &app, &stream).unwrap();
        prop_assert_eq!((path.app, path.stream), (app, stream));
    }
}

#[test]
fn a_stream_gets_another_name_in_the_same_place() {
    let path = StreamPath::resolve(Some("rtmp://host/live/inner"), "live/inner", "cam?key=a").unwrap();
    let renamed = path.renamed("flv:caf\u{e9} 100%41.flv").unwrap();
    assert_eq!(renamed, StreamPath { stream: "caf\u{e9} 100%41".to_owned(), ..path.clone() });
    let long = "x".repeat(MAX_PATH_BYTES);
    for (name, expected) in [
        ("", PathError::Empty),
        ("mp4:", PathError::Empty),
        ("a/b", PathError::Forbidden),
        ("..", PathError::Forbidden),
        ("a\\b", PathError::Forbidden),
        ("a\nb", PathError::Forbidden),
        (&long, PathError::TooLong),
    ] {
        assert_eq!(path.renamed(name), Err(expected), "{name}");
    }
}
