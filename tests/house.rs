//! The rules of the house (ARCHITECTURE.md, "Rooms"), held against the source text itself.
//!
//! Each rule is a function that lists what breaks it; the last tests show that each rule sees what it should.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail where it stands")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Which rooms a room may use: only rooms below it, and of those only the ones it has to know.
const ARROWS: &[(&str, &[&str])] = &[
    ("main", &["cli", "config", "server"]),
    ("cli", &["config"]),
    ("server", &["engine", "output", "container", "config"]),
    (
        "engine",
        &["access", "callback", "output", "hub", "rtmp", "http", "container", "media", "wire", "ledger", "config"],
    ),
    ("access", &["wire", "config"]),
    ("callback", &["wire", "config"]),
    ("output", &["hub", "container", "media", "wire", "ledger", "config"]),
    ("hub", &["media", "config"]),
    ("rtmp", &["container", "media", "wire", "config"]),
    ("http", &["wire", "config"]),
    ("container", &["media", "wire", "config"]),
    ("media", &["wire", "config"]),
    ("wire", &[]),
    ("ledger", &[]),
    ("config", &[]),
];

/// What reaches out of the program, and who may do so. `Duration`, `Instant` and addresses as values are fine.
const IMPURE: &[(&str, &[&str])] = &[
    ("mio", &["server"]),
    ("socket2", &["server"]),
    ("libc", &["server"]),
    ("signal_hook", &["server"]),
    ("signal_hook_mio", &["server"]),
    ("TcpListener", &["server"]),
    ("TcpStream", &["server"]),
    ("UdpSocket", &["server"]),
    ("UnixListener", &["server"]),
    ("UnixStream", &["server"]),
    ("ToSocketAddrs", &["server"]),
    ("Instant::now", &["server"]),
    ("SystemTime", &["server"]),
    ("RandomState", &["server"]),
    ("std::thread", &["server"]),
    ("std::fs", &["server", "main"]),
    ("std::env", &["server", "main"]),
    ("std::process", &["server", "main"]),
];

const UNSAFE_FILE: &str = "src/server/sys.rs";
const LINE_COLUMNS: usize = 120;
const FUNCTION_LINES: usize = 70;

/// Words that say "not finished".
const UNFINISHED: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];
const UNFINISHED_MACROS: [&str; 3] = ["todo", "unimplemented", "dbg"];

/// One source file.
struct Source {
    /// From the top of the project, with `/`.
    path: String,
    text: String,
    /// The text with comments and what stands in quotes blanked out; lines and columns stay.
    code: String,
    /// The same without what only tests see.
    product: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Source {
        let code = blank_comments_and_quotes(text);
        let product = if path.starts_with("src/") { blank_test_items(&code) } else { String::new() };
        Source { path: path.to_owned(), text: text.to_owned(), code, product }
    }

    fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let room = inside.split('/').next()?;
        Some(room.strip_suffix(".rs").unwrap_or(room))
    }

    fn at(&self, offset: usize, problem: &str) -> String {
        let line = self.text[..offset].matches('\n').count() + 1;
        format!("{}:{line}: {problem}", self.path)
    }
}

type Rule = fn(&Source) -> Vec<String>;

// The rules.

/// A room uses only rooms that it may know.
fn arrows(source: &Source) -> Vec<String> {
    let Some(room) = source.room().filter(|&room| room != "lib") else { return Vec::new() };
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == room) else {
        return vec![format!(
            "{}: no row of ARROWS in tests/house.rs says what the room `{room}` may use",
            source.path
        )];
    };
    let root = if room == "main" { "rtmpd" } else { "crate" };
    let used = words(&source.code, root).flat_map(|offset| paths_after(&source.code, offset + root.len()));
    let strangers = used.filter(|(_, name)| *name != room && !allowed.contains(name));
    let known = |name: &str| ARROWS.iter().any(|(room, _)| *room == name);
    strangers
        .map(|(offset, name)| match known(name) {
            true => {
                let may = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
                source.at(offset, &format!("`{room}` must not know `{name}` (of other rooms it may use: {may})"))
            }
            false => source.at(offset, &format!("`{root}::{name}` is no room that tests/house.rs knows")),
        })
        .collect()
}

/// Other rooms are named from the top, so that [`arrows`] sees them.
fn no_climbing(source: &Source) -> Vec<String> {
    let Some(inside) = source.path.strip_prefix("src/") else { return Vec::new() };
    let folders = inside.matches('/').count();
    let depth = if inside.ends_with("/mod.rs") { folders } else { folders + 1 };
    let mut found = Vec::new();
    for offset in words(&source.code, "super").filter(|&offset| !source.code[..offset].ends_with("super::")) {
        let mut after = &source.code[offset..];
        let mut steps = 0;
        while let Some(rest) = after.strip_prefix("super::") {
            after = rest;
            steps += 1;
        }
        let name = identifier(after);
        if steps >= depth && ARROWS.iter().any(|(room, _)| *room == name) {
            found.push(source.at(offset, &format!("write `crate::{name}`: other rooms are named from the top")));
        }
    }
    found
}

/// Sockets, files, threads, clock and randomness have one room. Tests may do as they like.
fn pure(source: &Source) -> Vec<String> {
    let Some(room) = source.room() else { return Vec::new() };
    let mut found = Vec::new();
    for (word, rooms) in IMPURE.iter().filter(|(_, rooms)| !rooms.contains(&room)) {
        for offset in words(&source.product, word) {
            let problem = format!("`{word}` belongs into `{}`: hand the value in from there", rooms.join("` or `"));
            found.push(source.at(offset, &problem));
        }
    }
    for offset in words(&source.product, "std").filter(|&offset| source.product[offset..].starts_with("std::{")) {
        found.push(source.at(offset, "write one `use` for each module of std, so that this test can read them"));
    }
    for offset in words(&source.product, "unsafe").filter(|_| source.path != UNSAFE_FILE) {
        found.push(source.at(offset, &format!("all unsafe code stands in {UNSAFE_FILE}")));
    }
    found
}

/// Every file says first what it is.
fn opens_with_its_purpose(source: &Source) -> Vec<String> {
    if source.text.starts_with("//!") {
        return Vec::new();
    }
    vec![source.at(0, "begins without `//!`: say what this module owns and what it does not know")]
}

/// Nothing unfinished.
fn finished(source: &Source) -> Vec<String> {
    let macros = UNFINISHED_MACROS.iter().flat_map(|name| {
        let calls = words(&source.code, name).filter(|offset| source.code[offset + name.len()..].starts_with('!'));
        calls.map(move |offset| source.at(offset, &format!("`{name}!` has to go")))
    });
    let marks = UNFINISHED.iter().flat_map(|word| {
        words(&source.text, word).map(move |offset| source.at(offset, &format!("`{word}`: do it, or open an issue")))
    });
    macros.chain(marks).collect()
}

/// Exceptions from lints say why.
fn exceptions_have_reasons(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for lint in ["allow", "expect"] {
        for offset in words(&source.code, lint) {
            let before = source.code[..offset].trim_end();
            let rest = &source.code[offset + lint.len()..];
            let is_attribute = before.ends_with('[') || (lint == "allow" && before.ends_with(','));
            if !is_attribute || !rest.starts_with('(') {
                continue;
            }
            let end = closing(rest, '(', ')').unwrap_or(rest.len());
            if words(&rest[..end], "reason").next().is_none() {
                found.push(source.at(offset, &format!("`{lint}(...)` needs a reason = \"...\"")));
            }
        }
    }
    found
}

/// Lines fit on a screen.
fn short_lines(source: &Source) -> Vec<String> {
    let lines = source.text.lines().zip(1..).map(|(line, number)| (line.chars().count(), number));
    let long = lines.filter(|(columns, _)| *columns > LINE_COLUMNS);
    long.map(|(columns, number)| {
        format!("{}:{number}: {columns} columns; {LINE_COLUMNS} is the most a line may have", source.path)
    })
    .collect()
}

/// Functions fit on a screen.
fn short_functions(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for offset in words(&source.product, "fn") {
        let name = identifier(source.product[offset + 2..].trim_start());
        if name.is_empty() {
            continue;
        }
        let Some(body) = body_start(&source.product[offset..]) else { continue };
        let len = closing(&source.product[offset + body..], '{', '}').unwrap_or_default();
        let lines = source.product[offset..offset + body + len].matches('\n').count() + 1;
        if lines > FUNCTION_LINES {
            let problem = format!("`{name}` has {lines} lines; {FUNCTION_LINES} is the most a function may have");
            found.push(source.at(offset, &problem));
        }
    }
    found
}

// Reading source text. Offsets are bytes; blanking keeps them.

/// Replaces everything but line ends by spaces, byte for byte.
fn blank(text: &str) -> String {
    text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

fn blank_comments_and_quotes(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let begins_word = !code.chars().next_back().is_some_and(is_word);
        let hidden = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment_len(rest),
            '"' => string_len(rest),
            '\'' => char_len(rest),
            'r' | 'b' | 'c' if begins_word => raw_string_len(rest),
            _ => 0,
        };
        if hidden > 0 {
            code.push_str(&blank(&rest[..hidden]));
            rest = &rest[hidden..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

fn block_comment_len(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Length of a string literal that begins with its quote.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of a character literal; 0 for a lifetime.
fn char_len(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        // What is escaped may be a quote itself.
        (Some((_, '\\')), Some((at, escaped))) => {
            let from = at + escaped.len_utf8();
            text[from..].find('\'').map_or(0, |end| from + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

/// Length of a literal such as `r#"..."#`, with `b` or `c` in front or not; 0 where there is none.
fn raw_string_len(text: &str) -> usize {
    let Some(after) = text.trim_start_matches(['b', 'c']).strip_prefix('r') else { return 0 };
    let hashes = after.len() - after.trim_start_matches('#').len();
    let Some(inside) = after[hashes..].strip_prefix('"') else { return 0 };
    let end = format!("\"{}", "#".repeat(hashes));
    let start = text.len() - inside.len();
    inside.find(&end).map_or(text.len(), |at| start + at + end.len())
}

/// Blanks out every item under `#[cfg(test)]`.
fn blank_test_items(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut product = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        product.push_str(&rest[..at]);
        let item = &rest[at..];
        let len = match body_start(&item[MARK.len()..]) {
            Some(body) => MARK.len() + body + closing(&item[MARK.len() + body..], '{', '}').unwrap_or_default(),
            None => MARK.len() + item[MARK.len()..].find(';').unwrap_or_default(),
        };
        product.push_str(&blank(&item[..len]));
        rest = &item[len..];
    }
    product + rest
}

/// Where the first brace opens, unless the item ends before.
fn body_start(item: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, c) in item.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some(at),
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Where what opens first in `code` is closed: the offset behind it.
fn closing(code: &str, open: char, close: char) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        if c == open {
            depth += 1;
        } else if c == close {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(at + c.len_utf8());
            }
        }
    }
    None
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn identifier(code: &str) -> &str {
    &code[..code.find(|c| !is_word(c)).unwrap_or(code.len())]
}

/// Where `word` stands as a whole word.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(offset, _)| offset).filter(move |&offset| {
        let before = code[..offset].chars().next_back();
        let after = code[offset + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// First names of the paths that go on behind `offset`: `::name` or `::{name, other::{...}}`.
fn paths_after(code: &str, offset: usize) -> Vec<(usize, &str)> {
    let Some(path) = code[offset..].strip_prefix("::") else { return Vec::new() };
    let start = offset + 2;
    if !path.starts_with('{') {
        return vec![(start, identifier(path))];
    }
    let mut depth = 0_usize;
    let mut names = Vec::new();
    for (at, c) in path[..closing(path, '{', '}').unwrap_or(path.len())].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 1 && (c == '{' || c == ',') {
            let entry = path[at + 1..].trim_start();
            let name = identifier(entry);
            if !name.is_empty() {
                names.push((start + path.len() - entry.len(), name));
            }
        }
    }
    names
}

// The tree.

fn read_tree() -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in ["src", "tests", "benches", "examples", "fuzz/src", "fuzz/fuzz_targets"] {
        collect(folder, &mut paths);
    }
    paths.sort();
    let mut sources: Vec<Source> = paths.iter().map(|path| Source::new(path, &read(path))).collect();
    let tests: BTreeSet<String> = sources.iter().flat_map(test_modules).collect();
    let belongs_to =
        |path: &str, module: &String| path == format!("{module}.rs") || path.starts_with(&format!("{module}/"));
    for source in &mut sources {
        if tests.iter().any(|module| belongs_to(&source.path, module)) {
            source.product.clear();
        }
    }
    sources
}

fn read(path: &str) -> String {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(full).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn collect(folder: &str, paths: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)) else {
        return;
    };
    for entry in entries {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            collect(&path, paths);
        } else if path.ends_with(".rs") {
            paths.push(path);
        }
    }
}

/// Modules in files of their own that only tests see: `#[cfg(test)] mod name;`, as path without `.rs`.
fn test_modules(source: &Source) -> Vec<String> {
    let stem = source.path.trim_end_matches(".rs");
    let folder = match stem.rsplit_once('/') {
        Some((folder, "mod" | "lib" | "main")) => folder,
        _ => stem,
    };
    let items = source.code.split("#[cfg(test)]").skip(1);
    let names = items.filter_map(|item| {
        let (visibility, rest) = item.split_once("mod ")?;
        let name = identifier(rest);
        let is_module = matches!(visibility.trim(), "" | "pub" | "pub(crate)" | "pub(super)");
        (is_module && rest[name.len()..].starts_with(';')).then(|| format!("{folder}/{name}"))
    });
    names.collect()
}

fn assert_kept(rule: Rule, say: &str) {
    let sources = read_tree();
    assert!(sources.len() > 30, "only {} source files were found: is this the project?", sources.len());
    let found: Vec<String> = sources.iter().flat_map(rule).collect();
    assert!(found.is_empty(), "{say}\n\n{}\n", found.join("\n"));
}

#[test]
fn rooms_use_only_rooms_they_may_know() {
    assert_kept(arrows, "A room may use only rooms below it (ARCHITECTURE.md, \"Rooms\"):");
    assert_kept(no_climbing, "Other rooms are named with `crate::`:");
}

#[test]
fn only_the_server_room_touches_the_world() {
    assert_kept(pure, "The core does no I/O: bytes and time come in, bytes, effects and deadlines come out:");
}

#[test]
fn every_file_opens_with_its_purpose() {
    assert_kept(opens_with_its_purpose, "The first line of a file is `//!`:");
}

#[test]
fn nothing_is_unfinished() {
    assert_kept(finished, "What is not done belongs into an issue, not into the source:");
}

#[test]
fn lint_exceptions_have_reasons() {
    assert_kept(exceptions_have_reasons, "A lint exception says why it is one:");
}

#[test]
fn lines_are_short() {
    assert_kept(short_lines, "Lines have 120 columns at most:");
    let example = Source::new("rtmpd.toml.example", &read("rtmpd.toml.example"));
    assert_eq!(short_lines(&example), Vec::<String>::new());
}

#[test]
fn functions_are_short() {
    assert_kept(short_functions, "Functions outside tests have 70 lines at most:");
}

// The rules themselves.

#[test]
fn each_rule_sees_what_breaks_it() {
    let long_line = "x".repeat(LINE_COLUMNS + 1);
    let long_function = format!("//!\nfn f(x: [u8; 2]) -> Y {{\n{}}}\n", "    g();\n".repeat(FUNCTION_LINES - 1));
    let unfinished = format!("//!\n// {}: later\nfn f() {{ todo!() }}", UNFINISHED[0]);
    let cases: [(Rule, &str, &str, &[usize]); 19] = [
        (arrows, "src/hub/mod.rs", "//!\nuse crate::media::Frame;\nuse crate::rtmp::Event;", &[3]),
        (arrows, "src/rtmp/x.rs", "use crate::{\n  wire::{hub, x},\n  hub::Hub,\n  media};", &[3]),
        (arrows, "src/wire.rs", "fn f() { crate::media::g() }", &[1]),
        (arrows, "src/main.rs", "use rtmpd::cli;\nuse rtmpd::hub::Hub;", &[2]),
        (arrows, "src/media/mod.rs", "use crate::nowhere::X;", &[1]),
        (no_climbing, "src/hub/cache.rs", "use super::cache;\nuse super::super::rtmp::X;", &[2]),
        (no_climbing, "src/hub/mod.rs", "use super::rtmp;", &[1]),
        (pure, "src/engine/mod.rs", "use std::time::Instant;\nfn f() { Instant::now(); }", &[2]),
        (pure, "src/hub/mod.rs", "use std::{fs, io};\nuse std::net::SocketAddr;\nuse std::net::TcpStream;", &[3, 1]),
        (pure, "src/config/mod.rs", "use std::fs;\nuse mio::Poll;", &[2, 1]),
        (pure, "src/server/mod.rs", "use mio::Poll;\nfn f() { unsafe { g() } }", &[2]),
        (opens_with_its_purpose, "src/wire.rs", "/// Not the file.\nfn f() {}", &[1]),
        (finished, "src/wire.rs", &unfinished, &[3, 2]),
        (finished, "tests/x.rs", "fn f() { dbg!(1); }", &[1]),
        (exceptions_have_reasons, "src/wire.rs", "#![allow(x)]\n#[allow(y, reason = \"z\")]", &[1]),
        (exceptions_have_reasons, "src/wire.rs", "#[expect(\n  x,\n)]\nfn f() { g().expect(\"y\"); }", &[1]),
        (short_lines, "src/wire.rs", &long_line, &[1]),
        (short_functions, "src/wire.rs", &long_function, &[2]),
        (short_functions, "src/wire.rs", "trait T { fn f(self: [u8; 2]); }", &[]),
    ];
    for (rule, path, text, lines) in cases {
        let found = rule(&Source::new(path, text));
        let places: Vec<String> = lines.iter().map(|line| format!("{path}:{line}: ")).collect();
        assert_eq!(found.len(), lines.len(), "{text}\n{found:?}");
        for (told, place) in found.iter().zip(&places) {
            assert!(told.starts_with(place), "{text}\n{found:?}");
        }
    }
}

#[test]
fn comments_quotes_and_tests_are_not_the_product() {
    let text = "//! std::fs\n/* a /* unsafe */ mio */ fn f<'a>(c: char) -> &'a str {\n\
                let _ = (b'\"', '\\'', r#\"\" std::fs\"#, b\"mio \\\" mio\", '{');\n\"std::fs\" }\n\
                #[cfg(test)]\nmod tests { use std::fs; fn g() { Instant::now(); } }\n\
                #[cfg(test)]\npub(super) mod more;\nfn libc_like() {}\n";
    let source = Source::new("src/wire.rs", text);
    assert_eq!(pure(&source), Vec::<String>::new());
    assert_eq!(source.code.len(), text.len());
    assert_eq!(source.product.len(), text.len());
    assert!(source.product.contains("fn libc_like() {}"), "{}", source.product);
    assert_eq!(test_modules(&source), ["src/wire/more"]);
    assert_eq!(pure(&Source::new("src/wire.rs", "fn f() {}\nuse std::fs;")).len(), 1);
}
