//! Streams that run longer than 24-bit, 31-bit and 32-bit clocks can count.

use rtmpd::config::EngineConfig;

use crate::support::client::Client;
use crate::support::media::Body::{Audio, Delta, Key};
use crate::support::world::World;

/// Between two frames: less than a publisher may be silent.
const STEP_MS: u32 = 29_000;

#[test]
fn fifty_one_days_of_a_stream() {
    let mut world = World::new(EngineConfig::default());
    let mut publisher = Client::publishing(&mut world, "a");
    let mut player = Client::playing(&mut world, "a");
    let mut clock = 0xFFFF_0000_u32;
    let mut expected: Option<u32> = None;
    let mut wraps = 0;
    for step in 0..51 * 24 * 3_600_000_u64 / u64::from(STEP_MS) {
        world.wait(u64::from(STEP_MS));
        clock = clock.wrapping_add(STEP_MS);
        let kind = if step % 2 == 0 { Key } else { Delta };
        publisher.put_frame(1, clock, kind, &kind.with(b"v", 0));
        publisher.put_frame(1, clock.wrapping_add(10), Audio, &Audio.with(b"a", 0));
        publisher.flush(&mut world);
        publisher.read(&mut world);
        publisher.take_heard();
        let seen = player.seen(&mut world);
        let times: Vec<u32> = seen.iter().map(|seen| seen.timestamp).collect();
        let video = expected.unwrap_or(1_000);
        assert_eq!(times, [video, video.wrapping_add(10)], "step {step}");
        expected = Some(video.wrapping_add(STEP_MS));
        wraps += u32::from(expected < Some(video));
        player.take_heard();
    }
    assert_eq!(wraps, 1, "the players' clock has wrapped");
    assert_eq!(world.engine.connection_count(), 2);
}
