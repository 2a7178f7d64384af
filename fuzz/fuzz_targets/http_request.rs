//! See `tests/fuzz/targets/http.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rtmpd_fuzz::http_request(data));
