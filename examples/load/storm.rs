//! Players that come, see a picture and go.
//!
//! Owns: the measurement of whole cycles. Does not know sockets.

use std::io;
use std::time::{Duration, Instant};

use crate::options::Options;
use crate::player::{Habit, Start};
use crate::report::Report;
use crate::watch::{Load, publish, report_lost};
use crate::world::World;

/// A cycle that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the server is watched without players, to know what publishing costs.
const BASE: Duration = Duration::from_secs(2);

/// Measures.
///
/// # Errors
/// Where the server cannot be reached or does not let anybody publish.
pub fn run(options: &Options) -> io::Result<Report> {
    let mut world = World::new(options.target()?, options.clip())?;
    let mut report = Report::default();
    publish(&mut world, options)?;
    world.run_for(world.gop() * 2 + Duration::from_millis(200))?;
    let base = Load::begin(options)?;
    world.run_for(BASE)?;
    let base = base.end()?;

    let load = Load::begin(options)?;
    let (count, given_up) = cycles(&mut world, options)?;
    let load = load.end()?;
    report.count("cycles", count as u64);
    report.count("at_once", options.at_once as u64);
    report.add("cycles_per_s", count as f64 / load.wall.as_secs_f64(), "/s");
    load.report_cycles(&mut report, "cycle", count as u64);
    if let (Some(all_ns), Some(base_ns)) = (load.server_ns(), base.server_ns()) {
        let publishing_ns = base_ns * load.wall.as_secs_f64() / base.wall.as_secs_f64();
        let each_us = (all_ns - publishing_ns) / 1000.0 / count.max(1) as f64;
        report.add("server_cpu_us_per_cycle_alone", each_us, "us");
    }
    report.quantiles("first_frame", &world.meter.first_frames);
    report.count("given_up", given_up);
    report_lost(&mut report, &world);
    Ok(report)
}

/// Runs all cycles, or as many as there is time for, `at_once` of them at the same time. Says how many there were, and
/// how many of them saw nothing.
fn cycles(world: &mut World, options: &Options) -> io::Result<(usize, u64)> {
    let last_begin = Instant::now() + options.duration;
    let mut under_way: Vec<(usize, Instant)> = Vec::new();
    let mut begun = 0;
    let mut given_up = 0;
    loop {
        let may_begin = Instant::now() < last_begin;
        while may_begin && begun < options.count && under_way.len() < options.at_once {
            let number = world.add_player(begun % options.streams.max(1), Start::AtOnce, Habit::Quick)?;
            under_way.push((number, Instant::now()));
            begun += 1;
        }
        if under_way.is_empty() {
            return Ok((begun, given_up));
        }
        let oldest = under_way.iter().map(|(_, since)| *since).min();
        let end = oldest.unwrap_or_else(Instant::now) + PATIENCE;
        world.run(end, |world| under_way.iter().any(|(number, _)| !world.is_waiting(*number)))?;
        let now = Instant::now();
        under_way.retain(|(number, since)| {
            let waits = world.is_waiting(*number);
            if waits && now - *since < PATIENCE {
                return true;
            }
            given_up += u64::from(waits);
            world.drop_player(*number);
            false
        });
    }
}
