//! Does one stream's key frame for many delay another stream's sound?
//!
//! Owns: the measurement. The many are a thread of their own, so that reading what they get does not delay the one
//! who listens; with one processor for both, the system's scheduler still has its share in the figures, which is why
//! they are told without key frames as well.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use crate::clip::{Clip, Tracks};
use crate::options::Options;
use crate::player::Start;
use crate::report::Report;
use crate::stats::Histogram;
use crate::watch::{Load, join_all, publish, report_lost};
use crate::world::{Pace, World};

const KEY_BYTES: u64 = 300 * 1024;
const PATIENCE: Duration = Duration::from_secs(60);

/// How far it is.
mod stage {
    pub const JOINING: u8 = 0;
    pub const KEY_FRAMES: u8 = 1;
    pub const SILENCE: u8 = 2;
    pub const OVER: u8 = 3;
}

/// Measures.
///
/// # Errors
/// Where the server cannot be reached or does not let anybody publish or play.
pub fn run(options: &Options) -> io::Result<Report> {
    let stage = Arc::new(AtomicU8::new(stage::JOINING));
    std::thread::scope(|scope| {
        let crowd = scope.spawn(|| {
            let result = crowd(options, &stage);
            // Nobody may wait for a crowd that is gone.
            stage.store(stage::OVER, Ordering::SeqCst);
            result
        });
        let report = listen(options, &stage);
        stage.store(stage::OVER, Ordering::SeqCst);
        let crowd = crowd.join().map_err(|_| io::Error::other("the crowd's thread ended badly"))??;
        let mut report = report?;
        report.count("crowd", options.count as u64);
        report.count("key_frames_seen", crowd.meter.messages);
        report.quantiles("key_frame_delay", &crowd.meter.delays);
        report_lost(&mut report, &crowd);
        Ok(report)
    })
}

/// The many: join, get key frames, then nothing.
fn crowd(options: &Options, stage: &AtomicU8) -> io::Result<World> {
    let mut world = World::new(options.target()?, Clip::of_key_frames(KEY_BYTES))?;
    world.set_tracks(Tracks::KeyFrames);
    let is_past = |past: u8| move |_: &World| stage.load(Ordering::SeqCst) > past;
    publish(&mut world, options)?;
    // Nothing is sent before all are there: what they got for joining would still be under way.
    world.set_pace(Pace::Silent);
    join_all(&mut world, options, Start::AtOnce)?;
    world.begin_schedules();
    world.run_for(options.warmup)?;
    world.begin_counting();
    stage.store(stage::KEY_FRAMES, Ordering::SeqCst);
    world.run(Instant::now() + PATIENCE, is_past(stage::KEY_FRAMES))?;
    world.end_counting();
    world.set_pace(Pace::Silent);
    // Looks at the stage now and then, for nothing else wakes it.
    while stage.load(Ordering::SeqCst) < stage::OVER {
        world.run_for(Duration::from_millis(50))?;
    }
    Ok(world)
}

/// The one: listens with key frames for the others and without.
fn listen(options: &Options, stage: &AtomicU8) -> io::Result<Report> {
    let mut target = options.target()?;
    target.stream.push_str("sound");
    let mut world = World::new(target, options.clip())?;
    world.set_tracks(Tracks::Sound);
    let alone = Options { count: 1, streams: 1, stalled: 0, ..options.clone() };
    publish(&mut world, &alone)?;
    join_all(&mut world, &alone, Start::AtOnce)?;
    world.run(Instant::now() + PATIENCE, |_| stage.load(Ordering::SeqCst) > stage::JOINING)?;
    let mut report = Report::default();
    let load = Load::begin(options)?;
    measure(&mut world, options, &mut report, "sound_with_key_frames")?;
    load.end()?.report_share(&mut report);
    stage.store(stage::SILENCE, Ordering::SeqCst);
    world.run_for(options.warmup)?;
    measure(&mut world, options, &mut report, "sound_without")?;
    report_lost(&mut report, &world);
    Ok(report)
}

fn measure(world: &mut World, options: &Options, report: &mut Report, name: &str) -> io::Result<()> {
    world.meter.delays = Histogram::new();
    world.begin_counting();
    world.run_for(options.duration)?;
    world.end_counting();
    report.quantiles(name, &world.meter.delays);
    Ok(())
}
