//! Throws bytes at `taskhub_fuzz::connection_string`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| taskhub_fuzz::connection_string(bytes));
