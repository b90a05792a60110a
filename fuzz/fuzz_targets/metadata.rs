//! Throws bytes at `taskhub_fuzz::metadata`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| taskhub_fuzz::metadata(bytes));
