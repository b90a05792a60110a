//! Throws bytes at `taskhub_fuzz::batch`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| taskhub_fuzz::batch(bytes));
