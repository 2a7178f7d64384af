//! Those who watch over HTTP and WebSocket, in all endless forms.

use rtmpd::engine::Protocol;

use crate::actors::piece;
use crate::checker::Checker;
use crate::containers::{Form, Found, Reader, WebSocket};
use crate::model::{Model, STREAMS};
use crate::support::world::LinkId;

const MOST: usize = 5;

/// What the answer has to be, from the moment in which the request was whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    Stream,
    NotFound,
    /// The stream is waited for: either.
    Any,
    Unavailable,
}

#[derive(Debug)]
pub struct Viewer {
    pub link: LinkId,
    pub stream: usize,
    form: Form,
    waits: bool,
    /// What of the request was not sent yet.
    outbox: Vec<u8>,
    pub expected: Option<Expected>,
    head: Vec<u8>,
    status: Option<u16>,
    socket: Option<WebSocket>,
    reader: Reader,
    pub view: Checker,
    is_edge: bool,
    /// The stream was not there when it was asked for, nor since.
    is_waiting: bool,
    pub is_dead: bool,
    appetite: usize,
}

impl Viewer {
    /// Begins to wait, or to watch, from here on.
    pub fn joins(&mut self, joined_at: Option<(u32, usize)>) {
        self.view = Checker::new(self.stream as u8, self.is_edge, joined_at);
    }

    /// Whether every frame has to arrive in the moment in which it was sent.
    pub fn is_prompt(&self) -> bool {
        self.form == Form::Flv && matches!(self.status, Some(200 | 101))
    }
}

impl Model {
    pub fn add_viewer(&mut self) {
        if self.viewers.len() >= MOST {
            return;
        }
        let Ok(link) = self.world.try_accept_as(Protocol::Http) else { return };
        let rng = &mut self.rng;
        if rng.one_in(2) {
            let window = rng.pick(&[1, 300, 3_000, 30_000]);
            self.world.set_window(link, window);
        }
        let stream = rng.below(STREAMS);
        let mode = rng.pick(&["edge", "edge", "gop", "key"]);
        let form = rng.pick(&[Form::Flv, Form::Flv, Form::Ts, Form::Mp4]);
        let is_socket = form != Form::Ts && rng.one_in(2);
        let waits = rng.one_in(3);
        let extension = match form {
            Form::Flv => "flv",
            Form::Ts => "ts",
            Form::Mp4 => "mp4",
        };
        let wait = if waits { "&wait=30" } else { "" };
        let mut request = format!("GET /live/s{stream}.{extension}?join={mode}{wait} HTTP/1.1\r\nHost: h\r\n");
        if is_socket {
            request.push_str("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n");
            request.push_str("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
        }
        request.push_str("\r\n");
        let is_edge = mode == "edge";
        self.viewers.push(Viewer {
            link,
            stream,
            form,
            waits,
            outbox: request.into_bytes(),
            expected: None,
            head: Vec::new(),
            status: None,
            socket: is_socket.then(WebSocket::default),
            reader: Reader::new(form),
            view: Checker::new(stream as u8, is_edge, None),
            is_edge,
            is_waiting: false,
            is_dead: false,
            appetite: rng.pick(&[1, 100, 2_000, usize::MAX, usize::MAX]),
        });
    }

    pub fn disturb_viewer(&mut self) {
        let index = self.rng.below(self.viewers.len());
        if index >= self.viewers.len() {
            return;
        }
        match self.rng.below(4) {
            0 => {
                let viewer = self.viewers.swap_remove(index);
                self.world.hang_up(viewer.link);
                self.frames_seen += viewer.view.count;
            }
            1 => self.viewers[index].is_dead = self.rng.one_in(2),
            // A ping, the answer to none, and text that says nothing; where it is no WebSocket these are no requests.
            2 if self.viewers[index].socket.is_some() && self.viewers[index].outbox.is_empty() => {
                let frame = self.rng.pick(&[&b"\x89\x81\0\0\0\0p"[..], b"\x8A\x80\0\0\0\0", b"\x81\x81\0\0\0\0t"]);
                self.viewers[index].outbox.extend_from_slice(frame);
            }
            _ => {
                let window = self.rng.pick(&[1, 300, 30_000, usize::MAX]);
                self.world.set_window(self.viewers[index].link, window);
            }
        }
    }

    pub fn send_of_viewers(&mut self) {
        for index in 0..self.viewers.len() {
            if !self.viewers[index].is_dead && !self.viewers[index].outbox.is_empty() && !self.rng.one_in(4) {
                self.send_of_viewer(index);
            }
        }
    }

    /// `true`: there was something to send.
    pub fn send_of_viewer(&mut self, index: usize) -> bool {
        self.forget_closed_publishers();
        let len = piece(&mut self.rng);
        let viewer = &mut self.viewers[index];
        if viewer.outbox.is_empty() {
            return false;
        }
        let rest = viewer.outbox.split_off(len.min(viewer.outbox.len()));
        let bytes = std::mem::replace(&mut viewer.outbox, rest);
        let is_whole = viewer.outbox.is_empty() && viewer.expected.is_none();
        let joined_at = self.streams[viewer.stream].arrived(&self.truth);
        let is_published = self.streams[viewer.stream].by.is_some();
        if is_whole && self.world.is_open(viewer.link) {
            viewer.joins(joined_at);
            viewer.is_waiting = !is_published;
            viewer.expected = Some(match (is_published, viewer.waits) {
                (true, _) if self.is_draining => Expected::Unavailable,
                (true, _) => Expected::Stream,
                (false, true) => Expected::Any,
                (false, false) => Expected::NotFound,
            });
        }
        self.world.send(self.viewers[index].link, &bytes);
        true
    }

    pub fn read_viewers(&mut self) {
        for index in 0..self.viewers.len() {
            if !self.viewers[index].is_dead && self.rng.one_in(2) {
                let appetite = self.viewers[index].appetite;
                self.read_viewer(index, appetite);
            }
        }
    }

    pub fn read_viewer(&mut self, index: usize, limit: usize) {
        let viewer = &mut self.viewers[index];
        let dropped = self.world.dropped_messages(viewer.link) > 0;
        let bytes = self.world.read(viewer.link, limit);
        let is_short = self.is_short_of_memory;
        let verdict = take_in(viewer, &bytes, is_short).and_then(|found| {
            viewer.view.may_skip |= dropped;
            if viewer.reader.gaps() > 0 && !viewer.view.may_skip {
                return Err("packets are missing".to_owned());
            }
            for Found { mark, tag } in found {
                let verdict = match tag {
                    Some((timestamp, len)) => viewer.view.saw(&mut self.truth, mark, timestamp, len),
                    None => viewer.view.saw_coded(&self.truth, mark),
                };
                verdict.map_err(|error| format!("{error}: {mark:?} {tag:?}, {:?}", viewer.view))?;
            }
            Ok(())
        });
        if let Err(error) = verdict {
            let Viewer { form, status, expected, .. } = &self.viewers[index];
            panic!(
                "seed {}, step {}, viewer {index} of {form:?}, {status:?}, expected {expected:?}: {error}",
                self.seed, self.steps_done
            );
        }
    }

    /// Those who wait for a stream that is about to be published begin with what there is of it.
    pub fn viewers_join(&mut self, stream: usize) {
        let joined_at = self.streams[stream].arrived(&self.truth);
        for viewer in self.viewers.iter_mut().filter(|viewer| viewer.stream == stream) {
            if std::mem::take(&mut viewer.is_waiting) {
                viewer.joins(joined_at);
            }
        }
    }

    pub fn forget_closed_viewers(&mut self) {
        let mut index = 0;
        while index < self.viewers.len() {
            if self.world.is_open(self.viewers[index].link) {
                index += 1;
                continue;
            }
            // What was written before the end can still be read; what was dropped before that is not counted any more.
            self.viewers[index].view.may_skip = true;
            self.read_viewer(index, usize::MAX);
            let viewer = self.viewers.swap_remove(index);
            self.frames_seen += viewer.view.count;
        }
    }

    /// FLV has every frame of a stream that is live.
    pub fn check_that_viewers_have_all(&self) {
        let served = |viewer: &&Viewer| viewer.is_prompt() && !self.world.is_shut(viewer.link);
        for viewer in self.viewers.iter().filter(served) {
            let stream = &self.streams[viewer.stream];
            let (Some(_), Some(session)) = (stream.by, stream.session) else { continue };
            self.check_view(session, &viewer.view, viewer.link, "a viewer");
        }
    }

    pub fn wake_viewers(&mut self) {
        for viewer in &mut self.viewers {
            viewer.is_dead = false;
            self.world.set_window(viewer.link, usize::MAX);
        }
    }
}

fn take_in(viewer: &mut Viewer, bytes: &[u8], is_short: bool) -> Result<Vec<Found>, String> {
    if viewer.status.is_some_and(|status| !matches!(status, 200 | 101)) || bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut body = bytes.to_vec();
    if viewer.status.is_none() {
        viewer.head.extend_from_slice(bytes);
        let Some(end) = viewer.head.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(Vec::new()) };
        body = viewer.head.split_off(end + 4);
        let status = head_status(&viewer.head)?;
        viewer.status = Some(status);
        let is_right = match viewer.expected {
            Some(Expected::Stream) => matches!(status, 200 | 101),
            Some(Expected::NotFound) => status == 404,
            Some(Expected::Any) => matches!(status, 200 | 101 | 404 | 503),
            Some(Expected::Unavailable) => status == 503,
            None => false,
        };
        // The head took too long, whatever came in the end.
        if !is_right && status != 408 && !(is_short && status == 503) {
            return Err(format!("answered with {status}"));
        }
        if !matches!(status, 200 | 101) {
            return Ok(Vec::new());
        }
        if (status == 101) != viewer.socket.is_some() {
            return Err("the other protocol".to_owned());
        }
    }
    if let Some(socket) = &mut viewer.socket {
        body = socket.read(&body)?;
    }
    viewer.reader.read(&body)
}

fn head_status(head: &[u8]) -> Result<u16, String> {
    let text = std::str::from_utf8(head).map_err(|error| error.to_string())?;
    let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|status| status.parse().ok());
    status.ok_or_else(|| format!("{text:?} is no answer"))
}
