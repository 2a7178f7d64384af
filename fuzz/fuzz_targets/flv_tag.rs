//! See `tests/fuzz/targets/flv.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rtmpd_fuzz::flv_tag(data));
