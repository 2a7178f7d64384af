//! A media playlist as it is written.

/// A partial segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub uri: String,
    pub duration_ms: u64,
    pub independent: bool,
}

/// A segment, or what there is of the last one, which has no URI then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Segment {
    pub msn: u64,
    pub uri: Option<String>,
    pub duration_ms: u64,
    pub discontinuity: bool,
    /// Discontinuities up to here, since the stream began.
    pub discontinuities: u64,
    pub map: Option<String>,
    pub date_ms: Option<u64>,
    pub parts: Vec<Part>,
}

/// A media playlist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Playlist {
    pub version: u64,
    pub target_s: u64,
    pub part_target_ms: Option<u64>,
    pub can_block: bool,
    pub can_skip_until_ms: Option<u64>,
    pub hold_back_ms: Option<u64>,
    pub part_hold_back_ms: Option<u64>,
    pub media_sequence: u64,
    pub discontinuity_sequence: u64,
    pub is_independent: bool,
    /// Segments that a delta update left out.
    pub skipped: usize,
    /// Segments that are whole.
    pub segments: Vec<Segment>,
    /// What there is of the next one.
    pub open: Option<Segment>,
    pub hint: Option<String>,
    pub is_ended: bool,
}

/// Value of an attribute in a list, without its quotes.
pub fn attribute<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = list;
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (value, next) = quoted.split_once('"')?;
                (value, next.strip_prefix(',').unwrap_or(next))
            }
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key == name {
            return Some(value);
        }
        rest = next;
    }
    None
}

/// A decimal number of seconds as milliseconds.
fn milliseconds(text: &str) -> Result<u64, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let fraction = format!("{fraction:0<3}");
    let number = |digits: &str| digits.parse::<u64>().map_err(|_| format!("{text:?} is no number of seconds"));
    Ok(number(whole)? * 1_000 + number(&fraction[..3])?)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

/// ISO 8601 with milliseconds, UTC, as milliseconds since 1970.
fn date(text: &str) -> Result<u64, String> {
    let bad = || format!("{text:?} is no date");
    let digits: Vec<u64> = text
        .split(['-', 'T', ':', '.', 'Z'])
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().unwrap_or(u64::MAX))
        .collect();
    let [year, month, day, hour, minute, second, ms] = digits[..] else { return Err(bad()) };
    if !(1970..10_000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) || ms > 999 {
        return Err(bad());
    }
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let months = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let years: u64 = (1970..year).map(|year| 365 + u64::from(is_leap(year))).sum();
    let days = years + months[..month as usize - 1].iter().sum::<u64>() + day - 1;
    Ok((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000 + ms)
}

impl Playlist {
    /// Reads a playlist.
    pub fn parse(text: &str) -> Result<Playlist, String> {
        let mut lines = text.lines();
        if lines.next() != Some("#EXTM3U") {
            return Err("does not begin with #EXTM3U".to_owned());
        }
        if !text.ends_with('\n') {
            return Err("the last line does not end".to_owned());
        }
        let mut playlist = Playlist::default();
        let mut next = Segment::default();
        let mut map = None;
        for line in lines {
            playlist.line(line, &mut next, &mut map).map_err(|problem| format!("{line}: {problem}"))?;
        }
        if next != Segment::default() {
            next.map = map;
            next.duration_ms = next.parts.iter().map(|part| part.duration_ms).sum();
            playlist.open = Some(next);
        }
        playlist.number();
        Ok(playlist)
    }

    fn line(&mut self, line: &str, next: &mut Segment, map: &mut Option<String>) -> Result<(), String> {
        let (tag, value) = line.split_once(':').unwrap_or((line, ""));
        match tag {
            "#EXT-X-VERSION" => self.version = number(value)?,
            "#EXT-X-TARGETDURATION" => self.target_s = number(value)?,
            "#EXT-X-MEDIA-SEQUENCE" => self.media_sequence = number(value)?,
            "#EXT-X-DISCONTINUITY-SEQUENCE" => self.discontinuity_sequence = number(value)?,
            "#EXT-X-INDEPENDENT-SEGMENTS" => self.is_independent = true,
            "#EXT-X-ENDLIST" => self.is_ended = true,
            "#EXT-X-SERVER-CONTROL" => self.server_control(value)?,
            "#EXT-X-PART-INF" => {
                self.part_target_ms = Some(milliseconds(attribute(value, "PART-TARGET").ok_or("no PART-TARGET")?)?)
            }
            "#EXT-X-SKIP" => {
                let skipped = attribute(value, "SKIPPED-SEGMENTS").ok_or("no SKIPPED-SEGMENTS")?;
                self.skipped = number(skipped)? as usize;
            }
            "#EXT-X-DISCONTINUITY" => next.discontinuity = true,
            "#EXT-X-MAP" => *map = Some(attribute(value, "URI").ok_or("no URI")?.to_owned()),
            "#EXT-X-PROGRAM-DATE-TIME" => next.date_ms = Some(date(value)?),
            "#EXT-X-PART" => next.parts.push(part(value)?),
            "#EXT-X-PRELOAD-HINT" => {
                if attribute(value, "TYPE") != Some("PART") {
                    return Err("not for a part".to_owned());
                }
                self.hint = Some(attribute(value, "URI").ok_or("no URI")?.to_owned());
            }
            "#EXTINF" => next.duration_ms = milliseconds(value.split(',').next().unwrap_or(value))?,
            _ if line.starts_with('#') => return Err("unknown".to_owned()),
            _ if line.is_empty() => return Err("empty".to_owned()),
            _ => {
                next.uri = Some(line.to_owned());
                next.map.clone_from(map);
                self.segments.push(std::mem::take(next));
            }
        }
        Ok(())
    }

    fn server_control(&mut self, value: &str) -> Result<(), String> {
        let seconds = |name| attribute(value, name).map(milliseconds).transpose();
        self.can_block = attribute(value, "CAN-BLOCK-RELOAD") == Some("YES");
        self.can_skip_until_ms = seconds("CAN-SKIP-UNTIL")?;
        self.hold_back_ms = seconds("HOLD-BACK")?;
        self.part_hold_back_ms = seconds("PART-HOLD-BACK")?;
        Ok(())
    }

    /// Gives segments their numbers.
    fn number(&mut self) {
        let mut discontinuities = self.discontinuity_sequence;
        for (segment, msn) in
            self.segments.iter_mut().chain(&mut self.open).zip(self.media_sequence + self.skipped as u64..)
        {
            discontinuities += u64::from(segment.discontinuity);
            segment.msn = msn;
            segment.discontinuities = discontinuities;
        }
    }

    /// Whole segments and what there is of the next one.
    pub fn all(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().chain(&self.open)
    }

    /// Number behind the last whole segment.
    pub fn next_msn(&self) -> u64 {
        self.media_sequence + (self.skipped + self.segments.len()) as u64
    }

    /// URI of every part, in order.
    pub fn part_uris(&self) -> Vec<&str> {
        self.all().flat_map(|segment| &segment.parts).map(|part| part.uri.as_str()).collect()
    }

    /// Length of all whole segments.
    pub fn duration_ms(&self) -> u64 {
        self.segments.iter().map(|segment| segment.duration_ms).sum()
    }
}

fn part(value: &str) -> Result<Part, String> {
    Ok(Part {
        uri: attribute(value, "URI").ok_or("no URI")?.to_owned(),
        duration_ms: milliseconds(attribute(value, "DURATION").ok_or("no DURATION")?)?,
        independent: attribute(value, "INDEPENDENT") == Some("YES"),
    })
}
