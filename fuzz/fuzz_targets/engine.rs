//! See `tests/fuzz/targets/engine.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rtmpd_fuzz::engine(data));
