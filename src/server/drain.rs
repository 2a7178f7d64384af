//! What signals do, and the end of the server.
//!
//! Owns: which signal means what, and when listeners close. Does not know who may go on for how long: the engine does.

use std::time::Instant;

use log::{error, info};
use signal_hook::consts::{SIGHUP, SIGTERM, SIGUSR2};

use super::{Protocol, SHUTDOWN_LIMIT, Server};

impl Server {
    pub(super) fn handle_signals(&mut self, now: Instant) {
        let pending: Vec<i32> = self.signals.pending().collect();
        for signal in pending {
            match signal {
                SIGHUP => {
                    if let Err(problem) = self.reload() {
                        error!("the configuration stays as it was: {problem}");
                    }
                }
                SIGUSR2 => self.upgrade(now),
                SIGTERM if !std::mem::replace(&mut self.is_told_to_end, true) => {
                    info!("signal {signal}: draining");
                    self.give_up_successor("this one is to end");
                    self.engine.drain_to_the_limit(now);
                }
                // SIGINT, or SIGTERM once more.
                _ => {
                    info!("signal {signal}: ending {} connections", self.engine.connection_count());
                    self.shut_down(now);
                }
            }
        }
    }

    /// Goes on with the end of a server that takes nobody new, whoever told it so.
    pub(super) fn look_at_drain(&mut self, now: Instant) {
        if self.shutdown_until.is_some() || !self.engine.is_draining() {
            return;
        }
        // Operators may still ask over HTTP how far it is, and players of HLS go on.
        self.stop_listening(Some(Protocol::Rtmp));
        if self.engine.is_drained(now) {
            info!("drained: ending {} connections", self.engine.connection_count());
            self.shut_down(now);
        }
    }

    pub(super) fn shut_down(&mut self, now: Instant) {
        self.give_up_successor("this one ends");
        self.stop_listening(None);
        self.shutdown_until.get_or_insert(now + SHUTDOWN_LIMIT);
        self.engine.shut_down(now);
        self.do_effects(now);
    }

    /// Closes the listeners of one protocol, or all.
    pub(super) fn stop_listening(&mut self, protocol: Option<Protocol>) {
        for listener in &mut self.listeners {
            if protocol.is_none_or(|protocol| protocol == listener.protocol()) {
                listener.close(self.poll.registry());
            }
        }
    }
}
