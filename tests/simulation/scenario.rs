//! What an operator may have set, by a seed.

use rtmpd::config::{
    AppConfig, CacheLimits, EngineConfig, HlsConfig, HlsFormat, HlsMode, PlayerQueueLimits, QueueLimits, RecordConfig,
    RecordFormat, Takeover,
};

use crate::model::{GRACE_MS, SILENCE_MS};
use crate::operators::rules;
use crate::programs::callbacks;
use crate::rng::Rng;

/// What an operator may have set.
pub fn config(rng: &mut Rng) -> EngineConfig {
    let formats: &[&[RecordFormat]] = &[
        &[RecordFormat::Flv],
        &[RecordFormat::Flv],
        &[RecordFormat::Flv, RecordFormat::Ts, RecordFormat::Mp4],
        &[RecordFormat::Es, RecordFormat::Ts],
    ];
    EngineConfig {
        chunk_size: rng.pick(&[128, 1_000, 4_096, 65_536]),
        queue: QueueLimits { hard_bytes: 200_000, ..QueueLimits::default() },
        batch_ms: rng.pick(&[0, 0, 0, 20]),
        app: AppConfig {
            queue: PlayerQueueLimits { bytes: rng.pick(&[10_000, 60_000, 32 << 20]), ..PlayerQueueLimits::default() },
            grace_ms: GRACE_MS,
            takeover_silence_ms: SILENCE_MS,
            cache: CacheLimits {
                probe_frames: rng.pick(&[0, 5, 42]),
                gop_frames: rng.pick(&[12, 4_096]),
                ..CacheLimits::default()
            },
            record: RecordConfig {
                auto: rng.one_in(3),
                formats: rng.pick(formats).to_vec(),
                split_ms: rng.pick(&[0, 2_000]),
                queue_bytes: rng.pick(&[20_000, 1 << 20]),
                ..RecordConfig::default()
            },
            hls: HlsConfig {
                mode: rng.pick(&[HlsMode::OnDemand, HlsMode::OnDemand, HlsMode::Always, HlsMode::Off]),
                format: rng.pick(&[HlsFormat::Fmp4, HlsFormat::Fmp4, HlsFormat::Ts]),
                directory: rng.pick(&["", "", "hls"]).to_owned(),
                segment_ms: rng.pick(&[500, 2_000]),
                ..HlsConfig::default()
            },
            takeover: rng.pick(&[Takeover::WhenSilent, Takeover::WhenSilent, Takeover::Reject]),
            publish: rules(rng.one_in(6)),
            ..AppConfig::default()
        },
        callbacks: callbacks(rng),
        memory_limit: if rng.one_in(8) { rng.pick(&[150_000, 400_000, 1_500_000]) } else { 1 << 30 },
        ..EngineConfig::default()
    }
}
