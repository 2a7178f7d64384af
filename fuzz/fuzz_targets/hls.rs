//! See `tests/fuzz/targets/hls.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rtmpd_fuzz::hls(data));
