#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| supwatch_agent::invariants::target("lines", data));
