//! A configuration that is read again while the server runs.
//!
//! Owns: what SIGHUP does, and telling which settings wait for the next start. Does not know where a configuration
//! comes from.

use std::io;

use log::{info, warn};
use signal_hook::consts::SIGHUP;

use super::Server;
use crate::config::Config;

/// Reads the configuration again, or says in one line why it cannot be used.
pub type Loader = Box<dyn Fn() -> Result<Config, String>>;

/// How a configuration is read again, and what of it was settled at the start.
pub(super) struct Reloading {
    load: Option<Loader>,
    fixed: [(&'static str, String); 3],
}

impl Reloading {
    pub(super) fn new(config: &Config) -> Self {
        Reloading { load: None, fixed: fixed(config) }
    }
}

/// Settings that cannot change while listeners are open, as text.
fn fixed(config: &Config) -> [(&'static str, String); 3] {
    let http_port = config.http_address().map_or("off".to_owned(), |address| address.port().to_string());
    [
        ("server.bind", config.bind.to_string()),
        ("server.port", config.port.to_string()),
        ("server.http_port", http_port),
    ]
}

impl Server {
    /// From now on SIGHUP has `load` read the configuration again. Without this it ends the program, as it does others.
    ///
    /// # Errors
    /// The signal cannot be waited for.
    pub fn set_loader(&mut self, load: Loader) -> io::Result<()> {
        self.signals.add_signal(SIGHUP)?;
        self.reloading.load = Some(load);
        Ok(())
    }

    /// Whoever is connected stays. One that cannot be used changes nothing.
    ///
    /// # Errors
    /// Why it stays as it was, in one line.
    pub(super) fn reload(&mut self) -> Result<(), String> {
        let Some(load) = &self.reloading.load else {
            return Err("rtmpd was started without --config: there is no file to read again".to_owned());
        };
        let config = load()?;
        for ((key, old), (_, new)) in self.reloading.fixed.iter().zip(fixed(&config)) {
            if *old != new {
                warn!("{key} stays {old} until rtmpd is started again; then it is {new}");
            }
        }
        for key in self.engine.reload(config.engine) {
            warn!("{key} stays as it is until rtmpd is started again");
        }
        info!("the configuration was read again; it holds for all who begin now");
        Ok(())
    }
}
