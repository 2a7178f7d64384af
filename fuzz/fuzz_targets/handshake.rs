//! See `tests/fuzz/targets/handshake.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rtmpd_fuzz::handshake(data));
