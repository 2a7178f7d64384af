//! The text of a configuration file, both ways.
//!
//! Owns: sections and keys of the TOML text, and saying where it is wrong. Does not know where the text comes from.
//!
//! What stands in the file ([`FileForm`]) is not what it means ([`Config`]): a section of one application holds only
//! what differs there. So the file is read twice: whole, each section for itself, which finds every mistake and its
//! line; then the keys of each application as they stand there ([`Written`]), which are laid over those of the default.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use toml::Table;
use toml::de::{DeTable, DeValue};

use super::access::expected_secret;
use super::app::{laid_over, recording};
use super::{
    AccessLimits, ApiConfig, AppConfig, CallbackConfig, Config, DrainConfig, EngineConfig, HttpLimits, HttpPort,
    QueueLimits, SessionLimits, ranges,
};

/// What is wrong with a configuration file, and in which line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{line}: {problem}")]
pub struct FileError {
    /// Line, counted from 1.
    pub line: usize,
    /// The key and what is wrong with it, in one line.
    pub problem: String,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a section")]
struct FileForm {
    server: ServerForm,
    limits: LimitsForm,
    callbacks: CallbackConfig,
    api: ApiConfig,
    default: AppConfig,
    app: BTreeMap<String, AppConfig>,
}

/// What is written of applications, and nothing else.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Written {
    default: Table,
    app: BTreeMap<String, Table>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a section")]
struct ServerForm {
    bind: IpAddr,
    port: u16,
    #[serde(with = "http_port")]
    http_port: HttpPort,
    chunk_size: usize,
    batch_ms: u64,
    drain_ms: u64,
    upgrade_drain_ms: u64,
    reconnect_url: String,
    test_stream: bool,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a section")]
struct LimitsForm {
    connections: usize,
    streams: usize,
    memory_limit: usize,
    session: SessionLimits,
    http: HttpLimits,
    queue: QueueLimits,
    access: AccessLimits,
}

impl Default for ServerForm {
    fn default() -> Self {
        FileForm::from(&Config::default()).server
    }
}

impl Default for LimitsForm {
    fn default() -> Self {
        FileForm::from(&Config::default()).limits
    }
}

impl From<&Config> for FileForm {
    fn from(config: &Config) -> Self {
        let engine = &config.engine;
        FileForm {
            server: ServerForm {
                bind: config.bind,
                port: config.port,
                http_port: config.http_port,
                chunk_size: engine.chunk_size,
                batch_ms: engine.batch_ms,
                drain_ms: engine.drain.drain_ms,
                upgrade_drain_ms: engine.drain.upgrade_drain_ms,
                reconnect_url: engine.drain.reconnect_url.clone(),
                test_stream: engine.test_stream,
            },
            limits: LimitsForm {
                connections: engine.connections,
                streams: engine.streams,
                memory_limit: engine.memory_limit,
                session: engine.session.clone(),
                http: engine.http.clone(),
                queue: engine.queue.clone(),
                access: engine.access,
            },
            callbacks: engine.callbacks.clone(),
            api: engine.api.clone(),
            default: engine.app.clone(),
            app: engine.apps.clone(),
        }
    }
}

impl From<FileForm> for Config {
    fn from(form: FileForm) -> Self {
        let FileForm { server, limits, callbacks, api, default, app } = form;
        let drain = DrainConfig {
            drain_ms: server.drain_ms,
            upgrade_drain_ms: server.upgrade_drain_ms,
            reconnect_url: server.reconnect_url,
        };
        let engine = EngineConfig {
            chunk_size: server.chunk_size,
            batch_ms: server.batch_ms,
            connections: limits.connections,
            streams: limits.streams,
            memory_limit: limits.memory_limit,
            session: limits.session,
            http: limits.http,
            queue: limits.queue,
            access: limits.access,
            callbacks,
            drain,
            test_stream: server.test_stream,
            api,
            app: default,
            apps: app,
        };
        Config { bind: server.bind, port: server.port, http_port: server.http_port, engine }
    }
}

/// A port number, or `"off"`.
mod http_port {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::config::HttpPort;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Port(u16),
        Word(String),
    }

    pub(super) fn serialize<S: Serializer>(port: &HttpPort, serializer: S) -> Result<S::Ok, S::Error> {
        match port {
            HttpPort::Off => serializer.serialize_str("off"),
            HttpPort::On(port) => serializer.serialize_u16(*port),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HttpPort, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Port(port) => Ok(HttpPort::On(port)),
            Form::Word(word) if word == "off" => Ok(HttpPort::Off),
            Form::Word(_) => Err(de::Error::custom("neither a port nor \"off\"")),
        }
    }
}

/// What the text of a configuration file means. Keys that it leaves out keep their defaults.
///
/// # Errors
/// The first thing that is wrong: TOML that cannot be read, unknown keys, values out of their range.
pub fn parse(text: &str) -> Result<Config, FileError> {
    parse_recording(text, None)
}

/// As [`parse`], with all streams recorded below `directory` where one is given, as if `[default.record]` said so: an
/// application whose own section says otherwise stays as it is.
///
/// # Errors
/// As [`parse`].
pub fn parse_recording(text: &str, directory: Option<&str>) -> Result<Config, FileError> {
    let mut form: FileForm = toml::from_str(text).map_err(|error| explain(text, &error))?;
    if let Some(name) = form.app.keys().find(|name| !is_app_name(name)) {
        let key = joined("app", name);
        let problem =
            format!("{key}: no client can have this name; write it without / at its ends, empty parts, ? and \\");
        return Err(FileError { line: line_of_key(text, &key).unwrap_or(1), problem });
    }
    let Written { mut default, app } = toml::from_str(text).map_err(|error| explain(text, &error))?;
    if let Some(directory) = directory {
        default = laid_over(&default, &recording(directory));
    }
    // Each of them alone was understood, so together they are.
    let meant = |table: Table| table.try_into().map_err(|error| explain(text, &error));
    for (name, own) in app {
        form.app.insert(name, meant(laid_over(&default, &own))?);
    }
    form.default = meant(default)?;
    check_records(text, &form)?;
    let config = Config::from(form);
    if let Err((key, problem)) = config.engine.drain.check() {
        let line = line_of_key(text, key).unwrap_or(1);
        return Err(FileError { line, problem: format!("{key}: {problem}") });
    }
    ranges::check(&config).map_err(|problem| {
        let line = problem.keys.iter().find_map(|key| line_of_key(text, key)).unwrap_or(1);
        FileError { line, problem: problem.text }
    })?;
    Ok(config)
}

fn check_records(text: &str, form: &FileForm) -> Result<(), FileError> {
    let apps = form.app.iter().map(|(name, app)| (joined("app", name), app));
    for (section, app) in std::iter::once(("default".to_owned(), &form.default)).chain(apps) {
        if let Err((key, problem)) = app.record.check() {
            let key = format!("{section}.{key}");
            let line = line_of_key(text, &key).unwrap_or(1);
            return Err(FileError { line, problem: format!("{key}: {problem}") });
        }
    }
    Ok(())
}

/// The whole of `config` as the text of a configuration file, every key with its value.
///
/// # Errors
/// A number that TOML cannot hold; none that [`parse`] accepts.
pub fn to_toml(config: &Config) -> Result<String, toml::ser::Error> {
    toml::to_string(&FileForm::from(config))
}

/// Whether the path of a URL can begin with this: parts with one `/` between them, or nothing at all.
fn is_app_name(name: &str) -> bool {
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['?', '\\']);
    name.is_empty() || (name.split('/').all(is_part) && !name.contains(char::is_control))
}

/// An error of the TOML reader in our words.
fn explain(text: &str, error: &toml::de::Error) -> FileError {
    let span = error.span().unwrap_or_default();
    let line = line_at(text, span.start);
    let message = one_line(error.message());
    let Ok(table) = DeTable::parse(text) else {
        let written = text.lines().nth(line - 1).and_then(beginning);
        let written = written.map(|written| format!(": {}", quoted(written))).unwrap_or_default();
        return FileError { line, problem: format!("this is not TOML: {message}{written}") };
    };
    let Some(key) = key_at(table.get_ref(), "", &span) else {
        return FileError { line, problem: message };
    };
    if let Some(expected) = expected_secret(&key) {
        return FileError { line, problem: format!("{key}: {expected}") };
    }
    let problem = match ranges::allowed(&key) {
        Some(allowed) => {
            let written = text.get(span).unwrap_or_default();
            format!("{key}: {}, is {}", ranges::expected(&allowed), shortened(written))
        }
        None => format!("{key}: {message}"),
    };
    FileError { line, problem }
}

/// The key that stands at `span`, or whose value does, or holds what does.
fn key_at(table: &DeTable<'_>, path: &str, span: &Range<usize>) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let path = joined(path, key.get_ref());
        if key.span() == *span || value.span() == *span {
            return Some(path);
        }
        match value.get_ref() {
            DeValue::Table(table) => key_at(table, &path, span),
            DeValue::Array(_) if contains(&value.span(), span) => Some(path),
            _ => None,
        }
    })
}

fn contains(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// What a line that cannot be read begins with: a section, or the name of a key. What follows may be a secret, and so
/// may a line without either.
fn beginning(line: &str) -> Option<&str> {
    let line = line.trim();
    let name = match line.split_once('=') {
        Some((name, value)) if !value.starts_with('=') => name.trim_end(),
        None if line.starts_with('[') => line,
        _ => return None,
    };
    (!name.is_empty() && !name.contains(['"', '\''])).then_some(name)
}

/// In which line `key` is set, where it is.
fn line_of_key(text: &str, key: &str) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    offset_of_key(table.get_ref(), "", key).map(|offset| line_at(text, offset))
}

fn offset_of_key(table: &DeTable<'_>, path: &str, wanted: &str) -> Option<usize> {
    table.iter().find_map(|(key, value)| {
        let path = joined(path, key.get_ref());
        if path == wanted {
            return Some(key.span().start);
        }
        match value.get_ref() {
            DeValue::Table(table) => offset_of_key(table, &path, wanted),
            _ => None,
        }
    })
}

/// `path.key`, with quotes where TOML wants them.
pub(super) fn joined(path: &str, key: &str) -> String {
    let is_bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let key = if is_bare { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

fn line_at(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    before.iter().filter(|&&byte| byte == b'\n').count() + 1
}

fn one_line(message: &str) -> String {
    let line = message.lines().map(str::trim).collect::<Vec<_>>().join(", ");
    // What was typed may be in it, with characters that do something to a terminal.
    line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn quoted(written: &str) -> String {
    format!("{:?}", shortened(written.trim()))
}

/// Enough of a value to know it again, in one line.
fn shortened(written: &str) -> String {
    const CHARS: usize = 60;
    let first_line = written.lines().next().unwrap_or_default();
    match first_line.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}...", first_line.get(..end).unwrap_or_default()),
        None => first_line.to_owned(),
    }
}
