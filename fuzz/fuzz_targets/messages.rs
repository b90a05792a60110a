//! Throws bytes at `taskhub_fuzz::messages`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| taskhub_fuzz::messages(bytes));
