//! The disk: does what it is asked for late, or fails; and what recordings hold in the end.

use rtmpd::container::flv::file::FlvDemuxer;
use rtmpd::container::mpegts::PACKET_LEN;

use crate::checker::Checker;
use crate::containers::{Found, Mp4, Ts};
use crate::model::Model;
use crate::support::disk::{Closed, Disk};
use crate::support::media::Body;
use crate::truth::Mark;

/// What may wait for the disk beyond the limit of a recording: what one frame makes, in each format.
const SLACK_BYTES: usize = 64 * 1024;

impl Model {
    /// The disk does some of what waits. A bad one fails now and then.
    pub fn disk_works(&mut self) {
        if self.disk_sleeps > 0 {
            self.disk_sleeps -= 1;
            return;
        }
        if self.rng.one_in(40) {
            self.disk_sleeps = self.rng.below(100);
        }
        let count = self.rng.pick(&[1, 1, 3, 50]);
        let (is_bad, rng) = (self.has_bad_disk, &mut self.rng);
        self.disk.work(&mut self.world, count, || is_bad && rng.one_in(20));
        self.look_at_recordings();
    }

    /// What waits for the disk has a limit for each recording.
    pub fn check_disk(&self) {
        let (_, bytes) = Disk::waiting(&self.world);
        let recordings = self.streams.len() + self.truth.sessions.len();
        let most = recordings * (self.record_queue_bytes + SLACK_BYTES);
        assert!(bytes <= most || self.has_hls_files, "{bytes} bytes wait for the disk");
    }

    /// In the end every recording has one end, and every file is closed.
    pub fn finish_disk(&mut self) {
        self.disk.settle(&mut self.world);
        self.look_at_recordings();
    }

    fn look_at_recordings(&mut self) {
        for closed in std::mem::take(&mut self.disk.closed) {
            match self.look_at(&closed) {
                Ok(count) => self.recorded_frames += count,
                Err(error) => panic!("seed {}, step {}, {}: {error}", self.seed, self.steps_done, closed.name),
            }
        }
    }

    fn look_at(&mut self, closed: &Closed) -> Result<usize, String> {
        let Closed { name, bytes } = closed;
        match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("flv") => self.look_at_tags(bytes),
            Some("ts") => {
                let mut ts = Ts::default();
                let found = ts.read(bytes)?;
                if bytes.len() % PACKET_LEN != 0 || ts.gaps > 0 {
                    return Err(format!("a torn packet, or {} gaps", ts.gaps));
                }
                self.look_at_coded(found)
            }
            Some("mp4") => {
                let mut mp4 = Mp4::default();
                let found = mp4.read(bytes)?;
                if !mp4.is_between_boxes() {
                    return Err("a torn box".to_owned());
                }
                self.look_at_coded(found)
            }
            _ => Ok(0),
        }
    }

    /// All frames of a file of tags are there, in order, behind their headers.
    fn look_at_tags(&mut self, mut bytes: &[u8]) -> Result<usize, String> {
        let mut demuxer = FlvDemuxer::new(1 << 20);
        let mut tags = Vec::new();
        while let Some(tag) = demuxer.demux(&mut bytes).map_err(|error| error.to_string())? {
            if matches!(tag.tag_type, 8 | 9) {
                let mark = Mark::parse(tag.tag_type == 9, &tag.body).ok_or("a tag without a mark")?;
                tags.push((mark, tag.timestamp, tag.body.len()));
            }
        }
        let Some(first) = first_of(tags.iter().map(|(mark, ..)| *mark)) else { return Ok(0) };
        let mut view = Checker::of_recording(first);
        let mut last = None;
        for (mark, timestamp, len) in tags {
            if mark.kind.is_coded() && last.replace(mark.session).is_some_and(|session| session != mark.session) {
                // The next publisher goes on in the same file at its own first key frame.
                view.resumed(None);
            }
            view.saw(&mut self.truth, mark, timestamp, len)
                .map_err(|error| format!("{error}: {mark:?} at {timestamp} ms, {view:?}"))?;
        }
        Ok(view.count)
    }

    fn look_at_coded(&mut self, found: Vec<Found>) -> Result<usize, String> {
        let Some(first) = first_of(found.iter().map(|found| found.mark)) else { return Ok(0) };
        let mut view = Checker::of_recording(first);
        let mut last = None;
        for Found { mark, .. } in found {
            if last.replace(mark.session).is_some_and(|session| session != mark.session) {
                view.resumed(None);
            }
            view.saw_coded(&self.truth, mark).map_err(|error| format!("{error}: {mark:?}, {view:?}"))?;
        }
        Ok(view.count)
    }
}

/// The frame with which a file begins.
fn first_of(marks: impl Iterator<Item = Mark> + Clone) -> Option<Mark> {
    let key = marks.clone().find(|mark| mark.kind == Body::Key);
    key.or_else(|| marks.clone().find(|mark| mark.kind.is_coded()))
}
