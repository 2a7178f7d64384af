//! Text: the configuration file and the names of streams.

use rtmpd::config::{parse, to_toml};
use rtmpd::output::disk::{is_safe_name, safe_name};
use rtmpd::rtmp::path::{MAX_PATH_BYTES, StreamPath};

/// A configuration that can be read can be written, and is then read as the same. What cannot is told in one line.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match parse(&text) {
        Ok(config) => {
            let written = to_toml(&config).expect("a configuration that was read");
            assert_eq!(parse(&written).as_ref(), Ok(&config), "{written}");
        }
        Err(error) => {
            assert!(error.line >= 1 && error.line <= text.lines().count().max(1) + 1, "{error}");
            assert!(!error.problem.is_empty());
            assert!(!error.problem.contains(char::is_control), "{error:?}");
        }
    }
}

/// Three texts with line ends between them: `tcUrl`, app and name. An empty `tcUrl` is one that was not sent.
pub fn path(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut parts = text.splitn(3, '\n');
    let [tc_url, app, name] = [parts.next(), parts.next(), parts.next()].map(Option::unwrap_or_default);
    let tc_url = (!tc_url.is_empty()).then_some(tc_url);
    if let Ok(path) = StreamPath::resolve(tc_url, app, name) {
        allowed(&path);
        again(&path);
    }
    cut_elsewhere(app, name);
    file_name(&text);
}

fn allowed(path: &StreamPath) {
    let StreamPath { vhost, app, stream, query } = path;
    let is_segment = |segment: &str| {
        !matches!(segment, "" | "." | "..") && !segment.contains(|c: char| c.is_control() || "/\\".contains(c))
    };
    assert!(is_segment(stream), "{path:?}");
    assert!(app.is_empty() || app.split('/').all(is_segment), "{path:?}");
    assert!(!query.contains(char::is_control), "{path:?}");
    assert!(!vhost.contains(|c: char| c.is_control() || "/\\?@ ".contains(c)), "{path:?}");
    assert!(app.len() + stream.len() + query.len() <= 2 * MAX_PATH_BYTES, "{path:?}");
    for key in ["join", "vhost", "token", ""] {
        let _ = path.query_value(key);
    }
}

/// Whatever a peer calls its stream, the file stays below its directory.
fn file_name(text: &str) {
    const LONGEST_PART: usize = 60;
    let name = safe_name(text, LONGEST_PART);
    assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.~%/".contains(&byte)), "{name:?}");
    assert_eq!(name.split('/').count(), text.split('/').count());
    for part in name.split('/') {
        assert!(is_safe_name(part) && part.len() <= LONGEST_PART && !part.starts_with(['.', '-']), "{part:?}");
    }
}

/// A canonical name is its own canonical name, unless it holds what would be read as an escape or a query.
fn again(path: &StreamPath) {
    if path.app.contains(['%', '?']) || path.stream.contains(['%', '?']) {
        return;
    }
    let name = match path.query.as_str() {
        "" => path.stream.clone(),
        query => format!("{}?{query}", path.stream),
    };
    if path.app.len() + name.len() > MAX_PATH_BYTES {
        return;
    }
    let found = StreamPath::resolve(None, &path.app, &name).expect("a canonical name");
    assert_eq!((&found.app, &found.stream, &found.query), (&path.app, &path.stream, &path.query));
}

/// Where a client cuts a name that has no query does not matter.
fn cut_elsewhere(app: &str, name: &str) {
    if app.contains('?') || name.contains('?') {
        return;
    }
    let joined = format!("{app}/{name}");
    let whole = StreamPath::resolve(None, "", &joined);
    for (at, _) in joined.match_indices('/').take(8) {
        let cut = StreamPath::resolve(None, &joined[..at], &joined[at + 1..]);
        if joined.len() <= MAX_PATH_BYTES {
            assert_eq!(cut, whole, "{joined:?} cut at {at}");
        }
    }
}
