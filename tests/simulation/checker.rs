//! What one player may see of one stream.
//!
//! Frames come in order; none is lost but where the player was too slow or paused, and then all up to a key frame;
//! the right headers come before what needs them, and a key frame before other pictures; time never goes back.

use crate::truth::{Mark, Truth};

/// From one Play.Start to the next on one message stream.
#[derive(Debug)]
pub struct Checker {
    stream: u8,
    /// Whether it joined at the live edge: then frames up to `joined_at` come in a burst with an order of its own.
    is_edge: bool,
    /// Session and number of frames that had arrived when it joined, or went on after a pause.
    joined_at: Option<(u32, usize)>,
    pub session: Option<u32>,
    /// Newest frames of the session.
    pub video: Option<u32>,
    pub audio: Option<u32>,
    highest: Option<u32>,
    video_header: Option<(u32, u32)>,
    audio_header: Option<(u32, u32)>,
    video_ms: Option<u32>,
    audio_ms: Option<u32>,
    has_ended: bool,
    /// Whether it may have lost frames.
    pub may_skip: bool,
    /// Whether its timestamps are those of all players; a recording has its own.
    has_common_clock: bool,
    /// Coded frames checked.
    pub count: usize,
}

type Verdict = Result<(), String>;

impl Checker {
    pub fn new(stream: u8, is_edge: bool, joined_at: Option<(u32, usize)>) -> Self {
        Checker {
            stream,
            is_edge,
            joined_at,
            session: None,
            video: None,
            audio: None,
            highest: None,
            video_header: None,
            audio_header: None,
            video_ms: None,
            audio_ms: None,
            has_ended: false,
            may_skip: false,
            has_common_clock: true,
            count: 0,
        }
    }

    /// What a file of a recording may hold that begins with this frame.
    pub fn of_recording(first: Mark) -> Self {
        let joined_at = Some((first.session, first.number as usize));
        Checker { has_common_clock: false, ..Checker::new(first.stream, false, joined_at) }
    }

    /// The player went on after a pause.
    pub fn resumed(&mut self, joined_at: Option<(u32, usize)>) {
        self.joined_at = joined_at;
        self.may_skip = true;
        self.video = None;
    }

    pub fn ended(&mut self) -> Verdict {
        if std::mem::replace(&mut self.has_ended, true) { fail("told twice of the end") } else { Ok(()) }
    }

    pub fn began(&mut self) -> Verdict {
        if std::mem::replace(&mut self.has_ended, false) { Ok(()) } else { fail("began without an end") }
    }

    pub fn saw(&mut self, truth: &mut Truth, mark: Mark, timestamp: u32, len: usize) -> Verdict {
        let Some(session) = truth.sessions.get(mark.session as usize) else {
            return fail("a session that never was");
        };
        if session.stream != self.stream || mark.stream != self.stream {
            return fail("a frame of another stream");
        }
        let Some(sent) = session.frames.get(mark.number as usize) else {
            return fail("a frame that was not sent");
        };
        if mark.number as usize >= session.arrived {
            return fail("a frame that has not arrived yet");
        }
        if sent.kind != mark.kind || sent.body_len != len {
            return fail("other bytes than were sent");
        }
        if self.has_ended {
            return fail("media after the end");
        }
        if self.has_common_clock || mark.kind.is_coded() {
            // A file may begin with the newest headers there are, and then have sound that waited.
            self.enter_session(mark.session)?;
        }
        if !mark.kind.is_coded() {
            let header = Some((mark.session, mark.number));
            *(if mark.kind.is_video() { &mut self.video_header } else { &mut self.audio_header }) = header;
            return Ok(());
        }
        self.count += 1;
        let in_burst = self.is_in_burst(mark);
        self.check_header(truth, mark)?;
        if mark.kind.is_video() {
            self.check_video(truth, mark, in_burst)?;
        } else {
            self.check_audio(truth, mark, in_burst)?;
        }
        if !in_burst {
            // A file may put a picture before sound of the same moment.
            if self.has_common_clock && self.highest.is_some_and(|highest| mark.number <= highest) {
                return fail("out of order");
            }
            self.highest = Some(mark.number);
            if self.has_common_clock {
                check_offset(truth, mark, timestamp)?;
            }
        }
        self.check_time(mark, timestamp)
    }

    /// The same of a container that carries neither our headers nor timestamps that could be compared, and that may
    /// order sound and pictures anew.
    pub fn saw_coded(&mut self, truth: &Truth, mark: Mark) -> Verdict {
        let Some(session) = truth.sessions.get(mark.session as usize) else {
            return fail("a session that never was");
        };
        if session.stream != self.stream || mark.stream != self.stream {
            return fail("a frame of another stream");
        }
        let sent = session.frames.get(mark.number as usize).filter(|_| (mark.number as usize) < session.arrived);
        if sent.is_none_or(|sent| sent.kind != mark.kind) {
            return fail("a frame that was not sent");
        }
        self.enter_session(mark.session)?;
        self.count += 1;
        let in_burst = self.is_in_burst(mark);
        if mark.kind.is_video() {
            self.check_video(truth, mark, in_burst)
        } else {
            self.check_audio(truth, mark, in_burst)
        }
    }

    fn enter_session(&mut self, session: u32) -> Verdict {
        match self.session {
            Some(current) if session < current => return fail("a frame of an earlier publisher"),
            Some(current) if session == current => return Ok(()),
            _ => {}
        }
        self.session = Some(session);
        self.video = None;
        self.audio = None;
        self.highest = None;
        Ok(())
    }

    fn is_in_burst(&self, mark: Mark) -> bool {
        self.is_edge
            && self
                .joined_at
                .is_some_and(|(session, arrived)| session == mark.session && (mark.number as usize) < arrived)
    }

    fn check_header(&self, truth: &Truth, mark: Mark) -> Verdict {
        let needed = truth.sessions[mark.session as usize].frames[mark.number as usize].header;
        let needed = needed.map(|number| (mark.session, number));
        let had = if mark.kind.is_video() { self.video_header } else { self.audio_header };
        if had == needed { Ok(()) } else { Err(format!("has header {had:?}, needs {needed:?}")) }
    }

    fn check_video(&mut self, truth: &Truth, mark: Mark, in_burst: bool) -> Verdict {
        use crate::support::media::Body::{Delta, Key};
        let session = &truth.sessions[mark.session as usize];
        let is_picture = |kind| matches!(kind, Key | Delta);
        let is_key = mark.kind == Key;
        match self.video.replace(mark.number) {
            None if !is_key => return fail("pictures do not begin with a key frame"),
            None if in_burst || self.may_skip => {}
            None => {
                let from = match self.joined_at {
                    Some((joined, arrived)) if joined == mark.session => arrived,
                    _ => 0,
                };
                let is_expected = session.find(from, |kind| kind == Key) == Some(mark.number);
                // The whole group of pictures from before.
                let is_past = (mark.number as usize) < from;
                if !is_expected && !is_past {
                    return fail("does not begin with the first key frame");
                }
            }
            Some(last) => {
                let next = session.find(last as usize + 1, is_picture);
                if next == Some(mark.number) || in_burst && is_key {
                    return Ok(());
                }
                if mark.number <= last {
                    return fail("a picture again");
                }
                if !is_key {
                    return fail("a gap that does not end at a key frame");
                }
                if !self.may_skip {
                    return fail("a picture was lost");
                }
            }
        }
        Ok(())
    }

    /// Each burst may bring the newest sound along, also where it was heard before a pause.
    fn check_audio(&mut self, truth: &Truth, mark: Mark, in_burst: bool) -> Verdict {
        use crate::support::media::Body::Audio;
        let session = &truth.sessions[mark.session as usize];
        if let Some(last) = self.audio.replace(mark.number) {
            let next = session.find(last as usize + 1, |kind| kind == Audio);
            if in_burst {
                return Ok(());
            }
            if mark.number <= last {
                return fail("sound again");
            }
            if next != Some(mark.number) && !self.may_skip {
                return fail("sound was lost");
            }
        }
        Ok(())
    }

    fn check_time(&mut self, mark: Mark, timestamp: u32) -> Verdict {
        let last = if mark.kind.is_video() { &mut self.video_ms } else { &mut self.audio_ms };
        match last.replace(timestamp) {
            Some(last) if timestamp.wrapping_sub(last).cast_signed() < 0 => {
                Err(format!("time goes back from {last} to {timestamp}"))
            }
            _ => Ok(()),
        }
    }
}

/// A publisher with a steady clock keeps its distances for all players alike.
fn check_offset(truth: &mut Truth, mark: Mark, timestamp: u32) -> Verdict {
    let session = &mut truth.sessions[mark.session as usize];
    if !session.has_steady_clock {
        return Ok(());
    }
    let raw = session.frames[mark.number as usize].raw;
    let offset = timestamp.wrapping_sub(raw);
    let expected = *session.offset.get_or_insert(offset);
    if offset == expected {
        Ok(())
    } else {
        Err(format!("moved by {offset} ms, others of its publisher by {expected}"))
    }
}

fn fail(what: &str) -> Verdict {
    Err(what.to_owned())
}

/// The checker finds what it is there to find.
mod tests {
    use super::*;
    use crate::support::media::Body::{self, Audio, AudioHeader, Delta, Key, VideoHeader};

    /// Two groups of pictures with sound; the header of the second group is another one.
    const FRAMES: [Body; 13] =
        [VideoHeader, AudioHeader, Key, Audio, Delta, Audio, Delta, VideoHeader, Key, Audio, Delta, Audio, Delta];

    struct Rig {
        truth: Truth,
        checker: Checker,
    }

    impl Rig {
        fn new() -> Self {
            let mut truth = Truth::default();
            for stream in [7, 7, 8] {
                let session = truth.begin_session(stream, true);
                for (number, kind) in (0..).zip(FRAMES) {
                    truth.send(session, kind, number * 20, 0, false);
                }
                truth.sessions[session as usize].arrived = FRAMES.len();
            }
            Rig { truth, checker: Checker::new(7, false, Some((0, 0))) }
        }

        fn see(&mut self, session: u32, number: u32) -> Verdict {
            self.see_at(session, number, 1_000 + number * 20)
        }

        fn see_at(&mut self, session: u32, number: u32, timestamp: u32) -> Verdict {
            let sent = self.truth.sessions[session as usize].frames[number as usize];
            let stream = self.truth.sessions[session as usize].stream;
            let mark = Mark { kind: sent.kind, stream, session, number };
            self.checker.saw(&mut self.truth, mark, timestamp, sent.body_len)
        }

        /// Sees frames of session 0 up to the one that is wrong.
        fn verdict(mut self, numbers: &[u32]) -> String {
            let (wrong, right) = numbers.split_last().expect("some");
            for number in right {
                self.see(0, *number).expect("right so far");
            }
            self.see(0, *wrong).expect_err("must be found")
        }
    }

    #[test]
    fn what_is_right_passes() {
        let mut rig = Rig::new();
        for session in 0..2 {
            for number in 0..FRAMES.len() as u32 {
                rig.see_at(session, number, session * 5_000 + 1_000 + number * 20).expect("right");
            }
        }
        let mut rig = Rig::new();
        rig.checker.may_skip = true;
        for number in [0, 1, 2, 3, 7, 8, 9] {
            rig.see(0, number).expect("a gap that ends at a key frame");
        }
    }

    #[test]
    fn what_is_wrong_is_found() {
        let table: [(&[u32], &str); 10] = [
            (&[0, 1, 4], "begin with a key frame"),
            (&[1, 2], "has header None"),
            (&[0, 1, 2, 3, 4, 5, 6, 8], "has header"),
            (&[0, 1, 2, 3, 6], "a gap that does not end"),
            (&[0, 1, 2, 3, 7, 8], "a picture was lost"),
            (&[0, 1, 2, 3, 4, 9], "sound was lost"),
            (&[0, 1, 2, 3, 4, 4], "a picture again"),
            (&[0, 1, 2, 3, 3], "sound again"),
            (&[0, 1, 2, 4, 3], "out of order"),
            (&[0, 1, 7, 8], "does not begin with the first key frame"),
        ];
        for (numbers, expected) in table {
            let verdict = Rig::new().verdict(numbers);
            assert!(verdict.contains(expected), "{numbers:?}: {verdict}");
        }
    }

    #[test]
    fn wrong_times_streams_and_ends_are_found() {
        let begun = || {
            let mut rig = Rig::new();
            for number in [0, 1, 2, 3, 4] {
                rig.see(0, number).expect("right");
            }
            rig
        };
        let mut rig = begun();
        assert!(rig.see_at(0, 5, 1_000 + 5 * 20 + 1).expect_err("found").contains("moved by"));
        let mut rig = begun();
        rig.truth.sessions[0].has_steady_clock = false;
        assert!(rig.see_at(0, 5, 900).expect_err("found").contains("time goes back"));
        let mut rig = begun();
        assert!(rig.see(2, 5).expect_err("found").contains("another stream"));
        let mut rig = begun();
        rig.see(1, 0).expect("the next publisher");
        assert!(rig.see(0, 5).expect_err("found").contains("an earlier publisher"));
        let mut rig = begun();
        rig.truth.sessions[0].arrived = 5;
        assert!(rig.see(0, 5).expect_err("found").contains("not arrived"));
        let mut rig = begun();
        rig.checker.ended().expect("once");
        assert!(rig.checker.ended().expect_err("found").contains("twice"));
        assert!(rig.see(0, 5).expect_err("found").contains("after the end"));
        rig.checker.began().expect("once");
        assert!(rig.checker.began().expect_err("found").contains("without an end"));
    }
}
