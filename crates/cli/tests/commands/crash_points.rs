//! What is for tests alone is in no build for users.

use std::process::Command;

#[test]
fn only_a_build_with_crash_points_has_any() {
    let found = |text: &str| {
        let program = env!("CARGO_BIN_EXE_towline");
        Command::new("grep")
            .args(["--text", "--quiet", "--fixed-strings", text, program])
            .status()
            .unwrap()
            .success()
    };
    assert!(found("TOWLINE_CONFIG"), "what is there is found");
    for text in ["TOWLINE_CRASH_AT", "TOWLINE_HOLD_AT", "TOWLINE_SETTLE_SECONDS", "crash-points"] {
        assert_eq!(found(text), cfg!(feature = "crash-points"), "{text}");
    }
}
