//! Those who watch HLS: playlists, segments and parts, over connections that they keep.

use rtmpd::engine::Protocol;

use crate::actors::piece;
use crate::checker::Checker;
use crate::containers::{Mp4, Ts};
use crate::model::{Model, STREAMS};
use crate::support::hls::playlist::Playlist;
use crate::support::media::Body;
use crate::support::world::LinkId;
use crate::truth::{Mark, Session};

const MOST: usize = 2;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    Index,
    Media,
    Segment(u64),
    Part,
}

#[derive(Debug)]
pub struct Watcher {
    link: LinkId,
    stream: usize,
    /// The media playlist, once it is known.
    media: Option<String>,
    asked: Option<Asked>,
    outbox: Vec<u8>,
    answer: Vec<u8>,
    playlist: Option<Playlist>,
    /// The last segment that was looked through.
    last: Option<u64>,
    view: Checker,
    /// After a gap, pictures count again from a key frame on.
    is_lost: bool,
}

impl Watcher {
    pub fn frames_seen(&self) -> usize {
        self.view.count
    }
}

impl Model {
    pub fn add_watcher(&mut self) {
        if self.watchers.len() >= MOST {
            return;
        }
        let Ok(link) = self.world.try_accept_as(Protocol::Http) else { return };
        let stream = self.rng.below(STREAMS);
        self.watchers.push(Watcher {
            link,
            stream,
            media: None,
            asked: None,
            outbox: Vec::new(),
            answer: Vec::new(),
            playlist: None,
            last: None,
            view: fresh(stream),
            is_lost: false,
        });
    }

    /// Asks for something, reads what came, or goes.
    pub fn watchers_go_on(&mut self) {
        let mut index = 0;
        while index < self.watchers.len() {
            if !self.world.is_open(self.watchers[index].link) || self.rng.one_in(300) {
                let watcher = self.watchers.swap_remove(index);
                self.world.hang_up(watcher.link);
                self.segment_frames += watcher.view.count;
                continue;
            }
            match self.rng.below(4) {
                0 => self.watcher_asks(index),
                1 => self.watcher_sends(index),
                2 => self.watcher_reads(index),
                _ => {}
            }
            index += 1;
        }
    }

    fn watcher_asks(&mut self, index: usize) {
        let watcher = &mut self.watchers[index];
        if watcher.asked.is_some() || self.rng.one_in(3) {
            return;
        }
        let base = format!("/live/s{}", watcher.stream);
        let listed = watcher.playlist.as_ref();
        let new = listed.and_then(|playlist| {
            playlist.segments.iter().find(|segment| watcher.last.is_none_or(|last| segment.msn > last))
        });
        let (asked, path) = match (&watcher.media, new) {
            (None, _) => {
                let wait = self.rng.pick(&["", "?wait=20", "?key=a%22b"]);
                (Asked::Index, format!("{base}.m3u8{wait}"))
            }
            (Some(_), Some(segment)) => {
                let uri = segment.uri.clone().expect("a segment that is whole");
                (Asked::Segment(segment.msn), format!("{base}/{uri}"))
            }
            (Some(media), None) => {
                let next = listed.map_or(0, Playlist::next_msn);
                let join = if media.contains('?') { '&' } else { '?' };
                match self.rng.below(6) {
                    0 => (Asked::Media, format!("{base}/{media}{join}_HLS_msn={next}")),
                    1 => (Asked::Media, format!("{base}/{media}{join}_HLS_msn={next}&_HLS_part=1")),
                    2 => (Asked::Media, format!("{base}/{media}{join}_HLS_msn={}", next + 9)),
                    3 => (Asked::Part, format!("{base}/part-{next}.0.m4s")),
                    4 => (Asked::Part, format!("{base}/seg-1.m4s?_HLS_msn=x")),
                    _ => (Asked::Media, format!("{base}/{media}")),
                }
            }
        };
        watcher.asked = Some(asked);
        watcher.outbox = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").into_bytes();
    }

    fn watcher_sends(&mut self, index: usize) {
        let len = piece(&mut self.rng);
        let watcher = &mut self.watchers[index];
        let rest = watcher.outbox.split_off(len.min(watcher.outbox.len()));
        let bytes = std::mem::replace(&mut watcher.outbox, rest);
        if !bytes.is_empty() {
            self.world.send(watcher.link, &bytes);
        }
    }

    fn watcher_reads(&mut self, index: usize) {
        let limit = self.rng.pick(&[1, 1_000, usize::MAX]);
        let watcher = &mut self.watchers[index];
        watcher.answer.extend(self.world.read(watcher.link, limit));
        let Some((status, body)) = whole_answer(&mut watcher.answer) else { return };
        let verdict = match watcher.asked.take() {
            None if status == 408 => Ok(()),
            None => Err(format!("{status} without a question")),
            Some(asked) => self.watcher_hears(index, &asked, status, &body),
        };
        if let Err(error) = verdict {
            panic!("seed {}, step {}, HLS: {error}", self.seed, self.steps_done);
        }
    }

    fn watcher_hears(&mut self, index: usize, asked: &Asked, status: u16, body: &[u8]) -> Result<(), String> {
        let watcher = &mut self.watchers[index];
        if status != 200 {
            // A stream that is not there, or no longer; a number that makes no sense; nothing came in time.
            watcher.playlist = None;
            watcher.media = None;
            watcher.is_lost = true;
            let is_known = matches!(status, 404 | 503 | 408) || status == 400 && *asked != Asked::Index;
            return if is_known { Ok(()) } else { Err(format!("{asked:?} was answered with {status}")) };
        }
        match asked {
            Asked::Index => {
                let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
                let uri = text.lines().find(|line| !line.starts_with('#')).ok_or("no media playlist")?;
                let (_, below) = uri.split_once('/').ok_or("a media playlist elsewhere")?;
                watcher.media = Some(below.to_owned());
                Ok(())
            }
            Asked::Media => {
                let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
                let playlist = Playlist::parse(text)?;
                if watcher.last.is_some_and(|last| playlist.next_msn() <= last) {
                    // Another output than before: on demand it ends with those who ask.
                    watcher.last = None;
                    watcher.view = fresh(watcher.stream);
                }
                watcher.playlist = Some(playlist);
                Ok(())
            }
            Asked::Part => Ok(()),
            Asked::Segment(msn) => self.watcher_plays(index, *msn, body),
        }
    }

    fn watcher_plays(&mut self, index: usize, msn: u64, body: &[u8]) -> Result<(), String> {
        let watcher = &mut self.watchers[index];
        if watcher.last.is_some_and(|last| msn != last + 1) {
            watcher.is_lost = true;
        }
        watcher.last = Some(msn);
        let marks = marks_of(body)?;
        for mark in marks {
            if watcher.is_lost {
                if mark.kind != Body::Key {
                    continue;
                }
                watcher.is_lost = false;
                self.segment_frames += watcher.view.count;
                watcher.view = fresh(watcher.stream);
            }
            let verdict = watcher.view.saw_coded(&self.truth, mark);
            let is_steady = |session: &Session| session.has_steady_clock;
            if verdict.is_err() && !self.truth.sessions.get(mark.session as usize).is_some_and(is_steady) {
                // Where a clock jumps, a segment may begin with sound, and pictures before the next key frame be torn.
                watcher.is_lost = true;
                continue;
            }
            let sent = self.truth.sessions.get(mark.session as usize).map(|session| {
                let from = (mark.number as usize).saturating_sub(20);
                session.frames.iter().skip(from).take(24).map(|frame| (frame.kind, frame.raw)).collect::<Vec<_>>()
            });
            verdict.map_err(|error| format!("segment {msn}: {error}: {mark:?}, {:?}; sent {sent:?}", watcher.view))?;
        }
        Ok(())
    }
}

fn fresh(stream: usize) -> Checker {
    let mut view = Checker::new(stream as u8, false, None);
    view.may_skip = true;
    view
}

fn marks_of(body: &[u8]) -> Result<Vec<Mark>, String> {
    let found = if body.first() == Some(&0x47) {
        Ts::default().read(body)?
    } else {
        let mut mp4 = Mp4::of_segment();
        let found = mp4.read(body)?;
        if !mp4.is_between_boxes() {
            return Err("a segment that ends inside a box".to_owned());
        }
        found
    };
    Ok(found.into_iter().map(|found| found.mark).collect())
}

/// Takes one answer out of `bytes`, once it is whole.
pub fn whole_answer(bytes: &mut Vec<u8>) -> Option<(u16, Vec<u8>)> {
    let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..head_end]).expect("text");
    let status: u16 = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    let length: usize = length.map_or(0, |length| length.parse().expect("a length"));
    if bytes.len() < head_end + length {
        return None;
    }
    let rest = bytes.split_off(head_end + length);
    let body = std::mem::replace(bytes, rest).split_off(head_end);
    Some((status, body))
}
