//! See `tests/fuzz/targets/chunk.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rtmpd_fuzz::chunk_decoder(data));
