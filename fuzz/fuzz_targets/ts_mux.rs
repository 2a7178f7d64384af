//! See `tests/fuzz/targets/mux.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rtmpd_fuzz::ts_mux(data));
