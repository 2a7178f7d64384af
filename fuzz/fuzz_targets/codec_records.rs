//! See `tests/fuzz/targets/codec.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rtmpd_fuzz::codec_records(data));
