//! See `tests/fuzz/targets/callback.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rtmpd_fuzz::callback(data));
