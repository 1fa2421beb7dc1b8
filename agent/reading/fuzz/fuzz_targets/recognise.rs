#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| supwatch_reading::invariants::target("recognise", data));
