//! Throws bytes at `taskhub_fuzz::history`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| taskhub_fuzz::history(bytes));
