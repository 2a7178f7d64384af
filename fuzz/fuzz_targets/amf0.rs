//! See `tests/fuzz/targets/amf.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rtmpd_fuzz::amf0(data));
