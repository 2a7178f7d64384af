//! Who publishes and who plays, and for how long.
//!
//! Owns: the comings and goings, the same ones in each run, and what was lost on the way. Does not look at the server.

use std::io;
use std::time::{Duration, Instant};

use crate::options::Options;
use crate::player::{Habit, Start};
use crate::publisher::Publisher;
use crate::report::Report;
use crate::world::World;

/// Seats are taken one after the other, so that a start is no storm.
const SEATS_PER_TICK: usize = 4;
/// A stream is on for so long, in ms.
const SHOW_MS: (u64, u64) = (10_000, 40_000);
/// Most breaks are within the server's grace, and each fourth is beyond it.
const BREAK_MS: (u64, u64) = (500, 5_000);
const LONG_BREAK_MS: (u64, u64) = (12_000, 20_000);
/// A player stays for so long.
const SEAT_MS: (u64, u64) = (3_000, 60_000);
/// A seat is empty for so long.
const EMPTY_MS: (u64, u64) = (10, 500);
/// So long after it said that it ends a publisher closes.
const GOODBYE: Duration = Duration::from_millis(500);
/// A player that saw no picture for so long, while there was one, never will.
const PICTURE_PATIENCE: Duration = Duration::from_secs(10);
/// A publisher that may not send after so long never will.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// After the loss of a publisher the next one waits for so long.
const TROUBLE: Duration = Duration::from_secs(1);
/// A slow player reads a share of what is sent: one divided by this.
const SLOW_SHARE: u64 = 2;

/// Numbers that look like chance and are the same in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit.max(1)
    }

    fn within(&mut self, (least, most): (u64, u64)) -> Duration {
        Duration::from_millis(least + self.below(most - least))
    }
}

enum Turn {
    Off {
        until: Instant,
    },
    /// Connects, and is given up in the end.
    Rising {
        until: Instant,
    },
    On {
        since: Instant,
        until: Instant,
    },
    /// Said that it ends.
    Leaving {
        until: Instant,
    },
}

/// One stream's publishers, one after the other.
struct Show {
    turn: Turn,
    /// How many there were.
    count: u64,
    /// The number that was sent last by any of them.
    newest: u64,
}

enum Seat {
    Empty { until: Instant },
    Joining { stream: usize, since: Instant, until: Instant },
    Watching { stream: usize, until: Instant },
}

/// See the module.
pub struct Cast {
    shows: Vec<Show>,
    /// Quick ones, then slow ones; a player's number is that of its seat.
    seats: Vec<Seat>,
    quick: usize,
    chance: Chance,
    kbps: u64,
    fed_at: Instant,
    /// Players so far.
    pub joins: u64,
    /// Publishers so far.
    pub publishers: u64,
    breaks_without_a_word: u64,
    lost: u64,
    lost_slow: u64,
    lost_publishers: u64,
    without_picture: u64,
    missing_at_end: u64,
}

impl Cast {
    /// Nobody is there yet.
    pub fn new(options: &Options) -> Cast {
        let now = Instant::now();
        let show = |_| Show { turn: Turn::Off { until: now }, count: 0, newest: 0 };
        let seat = |_| Seat::Empty { until: now };
        Cast {
            shows: (0..options.streams).map(show).collect(),
            seats: (0..options.count + options.soak.slow).map(seat).collect(),
            quick: options.count,
            chance: Chance(7),
            kbps: options.kbps,
            fed_at: now,
            joins: 0,
            publishers: 0,
            breaks_without_a_word: 0,
            lost: 0,
            lost_slow: 0,
            lost_publishers: 0,
            without_picture: 0,
            missing_at_end: 0,
        }
    }

    /// Lets those come and go whose time it is.
    pub fn tick(&mut self, world: &mut World) -> io::Result<()> {
        let now = Instant::now();
        for stream in 0..self.shows.len() {
            self.turn(world, now, stream)?;
        }
        let mut taken = 0;
        for number in 0..self.seats.len() {
            self.sit(world, now, number, &mut taken)?;
        }
        let bytes = self.kbps * 1000 / 8 / SLOW_SHARE * (now - self.fed_at).as_millis() as u64 / 1000;
        self.fed_at = now;
        world.feed_slow(bytes as usize);
        Ok(())
    }

    fn turn(&mut self, world: &mut World, now: Instant, stream: usize) -> io::Result<()> {
        let Some(show) = self.shows.get_mut(stream) else { return Ok(()) };
        let publisher = world.publisher(stream);
        show.newest = publisher.map_or(show.newest, |publisher| publisher.newest().max(show.newest));
        match show.turn {
            Turn::Off { until } if now >= until => {
                show.count += 1;
                self.publishers += 1;
                world.add_publisher_at(stream, (stream as u64) << 16 | show.count)?;
                show.turn = Turn::Rising { until: now + START_PATIENCE };
            }
            Turn::Rising { until } if publisher.is_none() || now >= until => {
                show.turn = lose(world, stream, now);
                self.lost_publishers += 1;
            }
            Turn::On { .. } if publisher.is_none() => {
                show.turn = lose(world, stream, now);
                self.lost_publishers += 1;
            }
            Turn::Rising { .. } if publisher.is_some_and(Publisher::is_started) => {
                world.begin_schedule(stream);
                // The first stream is for those who want to see all of one.
                let until = match stream {
                    0 => now + Duration::from_secs(1 << 30),
                    _ => now + self.chance.within(SHOW_MS),
                };
                show.turn = Turn::On { since: now, until };
            }
            Turn::On { until, .. } if now >= until => {
                if self.chance.below(2) == 0 {
                    world.finish_publisher(stream)?;
                    show.turn = Turn::Leaving { until: now + GOODBYE };
                } else {
                    self.breaks_without_a_word += 1;
                    world.drop_publisher(stream);
                    show.turn = Turn::Off { until: now + pause(&mut self.chance) };
                }
            }
            Turn::Leaving { until } if now >= until => {
                world.drop_publisher(stream);
                show.turn = Turn::Off { until: now + pause(&mut self.chance) };
            }
            _ => {}
        }
        Ok(())
    }

    fn sit(&mut self, world: &mut World, now: Instant, number: usize, taken: &mut usize) -> io::Result<()> {
        let is_quick = number < self.quick;
        let streams = self.shows.len() as u64;
        let Some(seat) = self.seats.get_mut(number) else { return Ok(()) };
        let is_there = world.has_player(number);
        match *seat {
            Seat::Empty { until } => {
                if now >= until && *taken < SEATS_PER_TICK {
                    *taken += 1;
                    self.joins += 1;
                    let stream = self.chance.below(streams) as usize;
                    let habit = if is_quick { Habit::Quick } else { Habit::Slow };
                    world.add_player_at(number, stream, Start::AtOnce, habit)?;
                    *seat = Seat::Joining { stream, since: now, until: now + self.chance.within(SEAT_MS) };
                }
            }
            Seat::Joining { until, .. } | Seat::Watching { until, .. } if !is_there || now >= until => {
                self.lost += u64::from(!is_there && is_quick);
                self.lost_slow += u64::from(!is_there && !is_quick);
                world.drop_player(number);
                *seat = Seat::Empty { until: now + self.chance.within(EMPTY_MS) };
            }
            Seat::Joining { stream, since, until } => {
                let Some(show) = self.shows.get(stream) else { return Ok(()) };
                if !world.is_waiting(number) {
                    world.expect_after(number, show.newest);
                    *seat = Seat::Watching { stream, until };
                } else if let Turn::On { since: on, .. } = show.turn
                    && is_quick
                    && now - since.max(on) > PICTURE_PATIENCE
                {
                    self.without_picture += 1;
                    world.drop_player(number);
                    *seat = Seat::Empty { until: now };
                }
            }
            Seat::Watching { .. } => {}
        }
        Ok(())
    }

    /// Counts what never came to those who are still there. Publishers have been silent for a while.
    pub fn end(&mut self, world: &mut World) {
        for number in 0..self.quick {
            let Some(Seat::Watching { stream, .. }) = self.seats.get(number) else { continue };
            let show = self.shows.get(*stream).filter(|show| matches!(show.turn, Turn::On { .. }));
            let newest = show.and_then(|_| world.publisher(*stream)).map(Publisher::newest);
            self.missing_at_end += newest.map_or(0, |newest| world.missing_of(number, newest));
        }
    }

    /// Says who came, and what was lost.
    pub fn report(&self, report: &mut Report, world: &World) {
        let meter = &world.meter;
        report.count("joins", self.joins);
        report.count("publishers", self.publishers);
        report.count("publishers_broken_off", self.breaks_without_a_word);
        report.count("messages_in_order", meter.delays.total());
        report.count("messages_skipped_by_slow", meter.skipped);
        report.quantiles("delay", &meter.delays);
        report.quantiles("meter_lateness", &world.lateness);
        let promises = [
            ("gaps", meter.gaps),
            ("out_of_order", meter.disorder),
            ("missing_at_end", self.missing_at_end),
            ("players_lost", self.lost),
            ("players_without_picture", self.without_picture),
            ("publishers_lost", self.lost_publishers),
        ];
        for (name, count) in promises {
            report.count(name, count);
            if count > 0 {
                report.fail(format!("{name}: {count}, not 0"));
            }
        }
        report.count("slow_players_lost", self.lost_slow);
        if let Some(reason) = &world.lost_reason {
            report.warn(format!("the last connection that was lost: {reason}"));
        }
    }
}

fn lose(world: &mut World, stream: usize, now: Instant) -> Turn {
    world.drop_publisher(stream);
    Turn::Off { until: now + TROUBLE }
}

fn pause(chance: &mut Chance) -> Duration {
    if chance.below(4) == 0 { chance.within(LONG_BREAK_MS) } else { chance.within(BREAK_MS) }
}
