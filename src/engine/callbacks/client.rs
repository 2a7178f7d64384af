//! Who an event is about.
//!
//! Owns: what is kept of a client for as long as it may be told about. Does not know events.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::callback::Client;
use crate::engine::{ConnectionId, Engine};
use crate::rtmp::path::StreamPath;
use crate::rtmp::server::ConnectInfo;

/// What a client said of itself in `connect`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    tc_url: String,
    flash_ver: String,
    swf_url: String,
    page_url: String,
}

impl Said {
    pub(super) fn new(info: &ConnectInfo) -> Self {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Said {
            tc_url: text(&info.tc_url),
            flash_ver: text(&info.flash_ver),
            swf_url: text(&info.swf_url),
            page_url: text(&info.page_url),
        }
    }
}

/// A client, and the stream that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine) struct ClientInfo {
    id: u64,
    peer: SocketAddr,
    path: StreamPath,
    said: Arc<Said>,
}

impl ClientInfo {
    pub(super) fn view(&self) -> Client<'_> {
        Client {
            id: self.id,
            peer: self.peer,
            vhost: &self.path.vhost,
            app: &self.path.app,
            stream: &self.path.stream,
            query: &self.path.query,
            tc_url: &self.said.tc_url,
            flash_ver: &self.said.flash_ver,
            swf_url: &self.said.swf_url,
            page_url: &self.said.page_url,
        }
    }

    /// Nobody who is connected: the server's own test stream.
    pub(super) fn nobody(path: &StreamPath) -> Self {
        ClientInfo { id: 0, peer: ([0, 0, 0, 0], 0).into(), path: path.clone(), said: Arc::default() }
    }
}

impl Engine {
    /// What is known of a client that wants `path`.
    pub(super) fn client_info(&self, id: ConnectionId, path: &StreamPath) -> ClientInfo {
        let mut info = ClientInfo::nobody(path);
        if let Some(connection) = self.connections.get(id.0) {
            info.id = connection.serial;
            info.peer = connection.peer;
        }
        if let Some(said) = self.callbacks.said.get(&id) {
            info.said = Arc::clone(said);
        }
        info
    }
}
