//! Does it stay as it is? Mixed load for minutes or hours, in which everybody comes and goes.
//!
//! Owns: the measurement: memory, descriptors and losses over time. `cast` is who publishes and plays, `viewers` who
//! watches over HTTP.

mod cast;
mod viewers;

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use self::cast::Cast;
use self::viewers::Seen;
use crate::options::Options;
use crate::report::Report;
use crate::stats::{Watched, slope};
use crate::watch::Load;
use crate::world::{Pace, World};

/// How often somebody may come or go.
const TICK: Duration = Duration::from_millis(50);
const SAMPLE: Duration = Duration::from_secs(2);
/// How often a line about it goes to standard error.
const PROGRESS: Duration = Duration::from_secs(60);
/// What is under way at the end may take so long.
const DRAIN: Duration = Duration::from_secs(3);
/// So long after the last one left every descriptor is given back, recordings and the like as well.
const GIVE_BACK: Duration = Duration::from_secs(60);

/// What the system says of the server at a moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    minutes: f64,
    resident: u64,
    descriptors: usize,
}

/// Measures.
///
/// # Errors
/// Where the server cannot be reached or looked at.
pub fn run(options: &Options) -> io::Result<Report> {
    let watched = options.watched.clone().ok_or_else(|| io::Error::other("soak needs --pid"))?;
    let target = options.target()?;
    let mut world = World::new(target.clone(), options.clip())?;
    let before = watched.descriptors()?;
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let beside = scope.spawn(|| viewers::run(&target, options, &is_over));
        let result = watch(&mut world, options, &watched);
        is_over.store(true, Ordering::SeqCst);
        let seen = beside.join().map_err(|_| io::Error::other("the viewers' thread ended badly"))?;
        let (cast, samples, load) = result?;
        let mut report = Report::default();
        report.count("players", options.count as u64);
        report.count("slow_players", options.soak.slow as u64);
        report.count("streams", options.streams as u64);
        cast.report(&mut report, &world);
        seen.report(&mut report, options);
        load.report_share(&mut report);
        drop(world);
        let left = wait_for_descriptors(&watched, before)?;
        report_memory(&mut report, &samples, options);
        report.add("server_resident_after_kib", watched.memory()?.resident as f64 / 1024.0, "KiB");
        report_descriptors(&mut report, before, &samples, left);
        Ok(report)
    })
}

/// Lets everybody come and go for the time that was asked for.
fn watch(world: &mut World, options: &Options, watched: &Watched) -> io::Result<(Cast, Vec<Sample>, Load)> {
    let began = Instant::now();
    let end = began + options.duration;
    let load = Load::begin(options)?;
    let mut cast = Cast::new(options);
    let mut samples: Vec<Sample> = Vec::new();
    let (mut sample_at, mut progress_at) = (began + SAMPLE, began + PROGRESS);
    world.set_pace(Pace::Schedule);
    while Instant::now() < end {
        cast.tick(world)?;
        world.run_for(TICK)?;
        let now = Instant::now();
        if now >= sample_at {
            sample_at = now + SAMPLE;
            let minutes = (now - began).as_secs_f64() / 60.0;
            let resident = watched.memory()?.resident;
            samples.push(Sample { minutes, resident, descriptors: watched.descriptors()? });
        }
        if now >= progress_at {
            progress_at = now + PROGRESS;
            tell(&samples, &cast, world)?;
        }
    }
    world.set_pace(Pace::Silent);
    world.run_for(DRAIN)?;
    cast.end(world);
    let load = load.end()?;
    for number in 0..options.count + options.soak.slow {
        world.drop_player(number);
    }
    for stream in 0..options.streams {
        world.drop_publisher(stream);
    }
    Ok((cast, samples, load))
}

fn tell(samples: &[Sample], cast: &Cast, world: &World) -> io::Result<()> {
    let Some(sample) = samples.last() else { return Ok(()) };
    writeln!(
        io::stderr(),
        "minute {:.0}: {:.1} MiB resident, {} descriptors, {} joins, {} publishers so far, {} gaps",
        sample.minutes,
        sample.resident as f64 / 1048576.0,
        sample.descriptors,
        cast.joins,
        cast.publishers,
        world.meter.gaps
    )
}

fn wait_for_descriptors(watched: &Watched, before: usize) -> io::Result<usize> {
    let end = Instant::now() + GIVE_BACK;
    loop {
        let now = watched.descriptors()?;
        if now <= before || Instant::now() >= end {
            return Ok(now);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn report_memory(report: &mut Report, samples: &[Sample], options: &Options) {
    // In the first half caches and pools still fill.
    let second: Vec<Sample> = samples.iter().skip(samples.len() / 2).copied().collect();
    let points: Vec<(f64, f64)> = second.iter().map(|sample| (sample.minutes, sample.resident as f64)).collect();
    let slope_kib = slope(&points) / 1024.0;
    let extremes = (second.iter().map(|s| s.resident).min(), second.iter().map(|s| s.resident).max());
    report.add("minutes", samples.last().map_or(0.0, |sample| sample.minutes), "min");
    report.count("samples", samples.len() as u64);
    if let (Some(least), Some(most)) = extremes {
        report.add("server_resident_least_kib", least as f64 / 1024.0, "KiB");
        report.add("server_resident_most_kib", most as f64 / 1024.0, "KiB");
    }
    report.add("server_resident_slope_kib_per_min", slope_kib, "KiB/min");
    report.count("slope_limit_kib_per_min", options.soak.slope_limit_kib);
    if slope_kib > options.soak.slope_limit_kib as f64 {
        report.fail(format!("memory grows by {slope_kib:.0} KiB in a minute"));
    }
}

fn report_descriptors(report: &mut Report, before: usize, samples: &[Sample], after: usize) {
    report.count("descriptors_before", before as u64);
    report.count("descriptors_most", samples.iter().map(|sample| sample.descriptors).max().unwrap_or(0) as u64);
    report.count("descriptors_after", after as u64);
    if after > before {
        report.fail(format!("{} descriptors were not given back", after - before));
    }
}

impl Seen {
    fn report(&self, report: &mut Report, options: &Options) {
        if options.http.is_some() {
            report.count("hls_playlists", self.playlists);
            report.count("hls_segments", self.segments);
            report.count("flv_views", self.flv_views);
            report.add("http_mbytes", self.bytes as f64 / 1e6, "MB");
            report.count("http_refused", self.refused);
            if self.segments == 0 || self.flv_views == 0 {
                report.fail("nobody could watch over HTTP");
            }
        }
        if options.soak.recordings.is_some() {
            report.count("recordings_removed", self.files);
            report.add("recorded_mbytes", self.file_bytes as f64 / 1e6, "MB");
            if self.files == 0 {
                report.fail("nothing was recorded");
            }
        }
    }
}
