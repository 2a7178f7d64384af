//! See `tests/fuzz/targets/text.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rtmpd_fuzz::config(data));
