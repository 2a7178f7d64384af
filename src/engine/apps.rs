//! What holds for the streams of one application.
//!
//! Owns: finding it by the application's name, once for each publisher and player that begins, and the limit on players
//! of one stream. Does not know what is done with the rest.
//!
//! A stream of the hub keeps what was found for it, so that nothing is looked up on the way of a frame.

use std::collections::HashMap;
use std::sync::Arc;

use super::Engine;
use crate::config::{AppConfig, EngineConfig, PlayerQueueLimits};
use crate::hub::StreamId;

/// The settings of all applications, shared with the streams for which they hold.
#[derive(Debug)]
pub(super) struct Apps {
    default: Arc<AppConfig>,
    apps: HashMap<String, Arc<AppConfig>>,
}

impl Apps {
    pub(super) fn new(config: &EngineConfig) -> Self {
        let apps = config.apps.iter().map(|(name, app)| (name.clone(), Arc::new(app.clone())));
        Apps { default: Arc::new(config.app.clone()), apps: apps.collect() }
    }

    /// What holds for the application of this name.
    pub(super) fn of(&self, app: &str) -> &Arc<AppConfig> {
        self.apps.get(app).unwrap_or(&self.default)
    }

    /// What holds for the application of the stream that the hub knows by this name.
    pub(super) fn of_stream(&self, name: &str) -> &Arc<AppConfig> {
        self.of(name.rsplit_once('/').map_or("", |(app, _)| app))
    }

    /// Sections of `[default]` and `[app.NAME]` that are not as `before`, and that a stream keeps to as long as it is
    /// being published or asked for.
    pub(super) fn changed_for_later(&self, before: &Apps) -> Vec<String> {
        let names = self.apps.keys().chain(before.apps.keys().filter(|name| !self.apps.contains_key(*name)));
        let apps = names.map(|name| (format!("app.{name}"), self.of(name), before.of(name)));
        let default = [("default".to_owned(), &self.default, &before.default)];
        let mut sections = Vec::new();
        for (section, now, then) in default.into_iter().chain(apps) {
            let changed = [("hls", now.hls != then.hls), ("record", now.record != then.record)];
            sections.extend(changed.iter().filter(|(_, is_so)| *is_so).map(|(name, _)| format!("[{section}.{name}]")));
        }
        sections.sort();
        sections
    }
}

impl Engine {
    /// What may wait for a player of a stream.
    pub(super) fn queue_limits(&self, stream: StreamId) -> PlayerQueueLimits {
        self.hub.app(stream).map(|app| app.queue).unwrap_or_default()
    }

    /// Whether one more may play the stream of this name, over whatever.
    ///
    /// # Errors
    /// Why not, in words for the player.
    pub(super) fn room_for_player(&self, name: &str, app: &AppConfig) -> Result<(), String> {
        let limit = app.players_per_stream as u64;
        if limit == 0 {
            return Ok(());
        }
        let connected = self.hub.find(name).map(|stream| self.stats.players(stream)).unwrap_or_default();
        let playing: u64 = connected.all(self.viewers.count(name) as u64).iter().sum();
        if playing < limit { Ok(()) } else { Err(format!("the stream has as many players as it may: {limit}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn apps(text: &str) -> Apps {
        Apps::new(&parse(text).unwrap().engine)
    }

    #[test]
    fn a_stream_has_the_settings_of_its_application() {
        let apps = apps("[app.tv]\ngrace_ms = 1\n[app.'tv/inner']\ngrace_ms = 2\n[app.'']\ngrace_ms = 3\n");
        let cases = [("tv/a", 1), ("tv/inner/a", 2), ("/a", 3), ("tv/other/a", 10_000), ("live/tv", 10_000)];
        for (name, grace_ms) in cases {
            assert_eq!(apps.of_stream(name).grace_ms, grace_ms, "{name}");
        }
    }

    #[test]
    fn what_changes_later_is_told_by_its_section() {
        let before = apps("[app.tv]\n[app.gone.hls]\nsegments = 9\n");
        let after = "[default.record]\nauto = true\n[app.tv]\njoin = 'gop'\n[app.tv.record]\nauto = false\n\
                     [app.new.hls]\nmode = 'off'\n";
        let told = apps(after).changed_for_later(&before);
        let expected = ["[app.gone.hls]", "[app.gone.record]", "[app.new.hls]", "[app.new.record]", "[default.record]"];
        assert_eq!(told, expected);
        assert_eq!(before.changed_for_later(&before), [""; 0]);
    }
}
