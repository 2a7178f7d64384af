//! See `tests/fuzz/targets/access.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rtmpd_fuzz::access(data));
