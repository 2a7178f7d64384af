//! See `tests/fuzz/targets/session.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rtmpd_fuzz::client_session(data));
