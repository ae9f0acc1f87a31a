//! What `sacct` prints for the survey.
#![no_main]

#[path = "../../tests/parsers/answer.rs"]
#[expect(dead_code, reason = "the laws' own tests use more of it")]
mod answer;
#[path = "../../tests/parsers/laws.rs"]
#[expect(dead_code, reason = "each target checks its own laws")]
mod laws;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    laws::any_accounting(data);
});
