//! Players that watch: paced, saturated, or only joining.
//!
//! Owns: the order of a measurement and what its numbers are called. Does not know sockets.

use std::io;
use std::time::{Duration, Instant};

use crate::options::{Command, Options};
use crate::player::{Habit, Start};
use crate::report::Report;
use crate::stats::{Memory, Watched};
use crate::world::{Pace, World};

/// Everything that has to happen at all happens within this, or the program gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Messages that are under way at the end of a measurement are waited for.
const DRAIN: Duration = Duration::from_secs(2);
const MEMORY_SAMPLE: Duration = Duration::from_millis(100);
/// Above this share of one processor the program itself may be what is measured.
const SATURATED_SHARE: f64 = 0.9;

/// Measures.
///
/// # Errors
/// Where the server cannot be reached or does not let anybody publish or play.
pub fn run(options: &Options) -> io::Result<Report> {
    let mut world = World::new(options.target()?, options.clip())?;
    let mut report = Report::default();
    report.count("players", options.count as u64);
    report.count("streams", options.streams as u64);
    publish(&mut world, options)?;
    // The server's cache is full once there were two groups of pictures.
    world.run_for(world.gop() * 2 + Duration::from_millis(200))?;
    let before = memory_peak(&mut world, options)?;

    if options.command == Command::Join {
        join_at_once(&mut world, options, &mut report)?;
    } else {
        let load = Load::begin(options)?;
        join_all(&mut world, options, Start::AtOnce)?;
        wait_for_pictures(&mut world)?;
        load.end()?.report_cycles(&mut report, "join", options.count as u64);
        report_first_frames(&mut report, &world, options);
        world.stall();
        world.run_for(options.warmup)?;
        if let (Some(before), Some(after)) = (before, memory_peak(&mut world, options)?) {
            report_memory(&mut report, "player", before, after, options.count);
        }
        measure(&mut world, options, &mut report)?;
    }
    report_lost(&mut report, &world);
    Ok(report)
}

/// Brings all publishers up, then lets them begin to send.
pub fn publish(world: &mut World, options: &Options) -> io::Result<()> {
    for stream in 0..options.streams {
        world.add_publisher()?;
        let is_last = stream + 1 == options.streams;
        if is_last || stream % options.at_once == options.at_once - 1 {
            let all = world.run(Instant::now() + PATIENCE, World::are_publishers_started)?;
            if !all || world.lost > 0 {
                let reason = world.lost_reason.as_deref().unwrap_or("no answer");
                return Err(io::Error::other(format!("cannot publish: {reason}")));
            }
        }
    }
    world.begin_schedules();
    Ok(())
}

/// All players join in the middle of a group of pictures, where a burst has its usual length. What is counted ends once
/// everybody has all of it.
fn join_at_once(world: &mut World, options: &Options, report: &mut Report) -> io::Result<()> {
    if options.prepared {
        join_all(world, options, Start::WhenAsked)?;
    }
    world.run_to_mid_group()?;
    let load = Load::begin(options)?;
    if options.prepared {
        world.ask_all()?;
    } else {
        join_all(world, options, Start::AtOnce)?;
    }
    wait_for_pictures(world)?;
    let shown = load.began.elapsed();
    // What is sent from now on comes behind all that is sent to those who join.
    let ends = world.newest_sent();
    world.run(Instant::now() + PATIENCE, |world| world.is_past(&ends))?;
    load.end()?.report_cycles(report, "join", options.count as u64);
    report.add("all_have_pictures_ms", shown.as_secs_f64() * 1000.0, "ms");
    report_first_frames(report, world, options);
    report.quantiles("play_to_frame", &world.meter.play_to_frames);
    Ok(())
}

/// Lets all players join, `at_once` of them at the same time.
pub fn join_all(world: &mut World, options: &Options, start: Start) -> io::Result<()> {
    let end = Instant::now() + PATIENCE;
    for number in 0..options.count {
        let habit = if number < options.stalled { Habit::Stalls } else { Habit::Quick };
        world.add_player(number % options.streams.max(1), start, habit)?;
        if number % options.at_once == options.at_once - 1 {
            world.run(end, |world| world.joining_count() == 0)?;
        }
    }
    world.run(end, |world| world.joining_count() == 0).map(|_| ())
}

/// Until each player has a picture.
fn wait_for_pictures(world: &mut World) -> io::Result<()> {
    let has_all = |world: &World| {
        let (shown, present) = world.player_counts();
        shown == present
    };
    world.run(Instant::now() + PATIENCE, has_all).map(|_| ())
}

fn measure(world: &mut World, options: &Options, report: &mut Report) -> io::Result<()> {
    if options.command == Command::Saturated {
        world.set_pace(Pace::Window(options.window));
        world.run_for(Duration::from_secs(1))?;
    }
    world.begin_counting();
    let load = Load::begin(options)?;
    world.run_for(options.duration)?;
    let load = load.end()?;
    let ends = world.end_counting();
    let missing = world.count_missing(&ends, DRAIN)?;

    let meter = &world.meter;
    let seconds = load.wall.as_secs_f64();
    report.add("seconds", seconds, "s");
    report.count("messages", meter.messages);
    report.add("messages_per_s", meter.messages as f64 / seconds, "/s");
    report.add("mbytes_per_s", meter.bytes as f64 / seconds / 1e6, "MB/s");
    report.quantiles("delay", &meter.delays);
    report.count("gaps", meter.gaps);
    report.count("repeats", meter.repeats);
    report.count("missing_at_end", missing);
    report.count("sent_late", world.late);
    load.report_messages(report, meter.messages);
    Ok(())
}

fn report_first_frames(report: &mut Report, world: &World, options: &Options) {
    let (shown, _) = world.player_counts();
    report.quantiles("first_frame", &world.meter.first_frames);
    if shown < options.count {
        report.warn(format!("{} players saw no key frame", options.count - shown));
    }
}

/// Says what was lost on the way.
pub fn report_lost(report: &mut Report, world: &World) {
    report.count("connections_lost", world.lost);
    if let Some(reason) = &world.lost_reason {
        report.warn(format!("{} connections lost, the last one: {reason}", world.lost));
    }
}

/// The most memory that the server has within one group of pictures, so that a cache that fills and empties with each
/// does not count.
pub fn memory_peak(world: &mut World, options: &Options) -> io::Result<Option<Memory>> {
    let Some(watched) = &options.watched else { return Ok(None) };
    let end = Instant::now() + world.gop();
    let mut peak = watched.memory()?;
    while Instant::now() < end {
        world.run_for(MEMORY_SAMPLE)?;
        peak = peak.max(watched.memory()?);
    }
    Ok(Some(peak))
}

/// Memory of the server for each of `count` connections of a `kind`.
pub fn report_memory(report: &mut Report, kind: &str, before: Memory, after: Memory, count: usize) {
    let each = |before: u64, after: u64| (after as f64 - before as f64) / count.max(1) as f64;
    report.add("server_resident_before_kib", before.resident as f64 / 1024.0, "KiB");
    report.add("server_resident_kib", after.resident as f64 / 1024.0, "KiB");
    report.add(format!("server_bytes_per_{kind}"), each(before.resident, after.resident), "bytes");
    report.add(format!("server_private_bytes_per_{kind}"), each(before.private, after.private), "bytes");
}

/// CPU time of the server and of this program, over a time.
pub struct Load {
    server: Option<Watched>,
    server_ns: u64,
    own_ns: u64,
    began: Instant,
    /// How long.
    pub wall: Duration,
}

impl Load {
    /// From now on.
    pub fn begin(options: &Options) -> io::Result<Load> {
        let server = options.watched.clone();
        let server_ns = server.as_ref().map_or(Ok(0), Watched::cpu_ns)?;
        let own_ns = Watched::own().cpu_ns()?;
        Ok(Load { server, server_ns, own_ns, began: Instant::now(), wall: Duration::ZERO })
    }

    /// Until now.
    pub fn end(self) -> io::Result<Load> {
        let server_ns = self.server.as_ref().map_or(Ok(0), Watched::cpu_ns)? - self.server_ns;
        let own_ns = Watched::own().cpu_ns()? - self.own_ns;
        Ok(Load { server_ns, own_ns, wall: self.began.elapsed(), ..self })
    }

    /// The server's CPU time in nanoseconds, where it is known.
    pub fn server_ns(&self) -> Option<f64> {
        self.server.as_ref().map(|_| self.server_ns as f64)
    }

    fn report_messages(&self, report: &mut Report, messages: u64) {
        let wall_ns = self.wall.as_nanos() as f64;
        let each_us = |ns: u64| ns as f64 / 1000.0 / messages.max(1) as f64;
        if self.server.is_some() {
            report.add("server_cpu_share", self.server_ns as f64 / wall_ns, "processors");
            report.add("server_cpu_us_per_message", each_us(self.server_ns), "us");
        }
        let share = self.own_ns as f64 / wall_ns;
        report.add("own_cpu_share", share, "processors");
        report.add("own_cpu_us_per_message", each_us(self.own_ns), "us");
        if share > SATURATED_SHARE {
            report.warn("this program used its whole processor: the server may be able to do more");
        }
    }

    /// Shares of a processor.
    pub fn report_share(&self, report: &mut Report) {
        let wall_ns = self.wall.as_nanos() as f64;
        if self.server.is_some() {
            report.add("server_cpu_share", self.server_ns as f64 / wall_ns, "processors");
        }
        report.add("own_cpu_share", self.own_ns as f64 / wall_ns, "processors");
    }

    /// CPU time for each of `count` joins or other cycles.
    pub fn report_cycles(&self, report: &mut Report, kind: &str, count: u64) {
        let each_us = |ns: u64| ns as f64 / 1000.0 / count.max(1) as f64;
        report.add(format!("{kind}_wall_ms"), self.wall.as_secs_f64() * 1000.0, "ms");
        if self.server.is_some() {
            report.add(format!("server_cpu_us_per_{kind}"), each_us(self.server_ns), "us");
        }
        report.add(format!("own_cpu_us_per_{kind}"), each_us(self.own_ns), "us");
    }
}
