//! The records that a job leaves: `attempt.json`, `place.json` and `exit.json`.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use towline_core::job::{ExitStatus, Place};
use towline_core::runner::{RecordError, parse_attempt, parse_exit, parse_place};

use crate::shell::{bash, parts, spec, text};

/// What a job knows of itself and of its server.
#[derive(Clone, Debug)]
struct Run {
    job: String,
    host: String,
    restarts: String,
    port: u16,
    pid: u32,
    /// The address at which it listens and how far that reaches, as the runner has them.
    address: &'static str,
    rank: u8,
    code: u8,
}

fn run() -> impl Strategy<Value = Run> {
    let word = || prop_oneof![2 => "[a-zA-Z0-9][a-zA-Z0-9._-]{0,12}", 1 => text()];
    let restarts = prop_oneof![3 => (0..5_u32).prop_map(|n| n.to_string()), 1 => text()];
    let address =
        prop::sample::select(vec![("*", 3), ("10.77.2.11", 2), ("", 2), ("127.0.0.1", 1), ("::1", 1)]);
    (word(), word(), restarts, 1..=u16::MAX, 1..=u32::MAX, address, any::<u8>()).prop_map(
        |(job, host, restarts, port, pid, (address, rank), code)| Run {
            job,
            host,
            restarts,
            port,
            pid,
            address,
            rank,
            code,
        },
    )
}

/// Lets the runner write all three records, with its own functions; only what it would look up is given to it. Those
/// of the place are kept, as they are taken back at the end.
fn write(run: &Run, dir: &Path) {
    fs::write(dir.join("env"), "").expect("a directory of ours");
    let path = dir.to_str().expect("a path in UTF-8");
    let given = format!(
        "towline_pick_port() {{ export PORT={port}; }}\ntowline_sweep() {{ :; }}\ntowline_prepare >/dev/null\n\
         towline_pid={pid} towline_address={address} towline_rank={rank}\ntowline_publish >/dev/null\n\
         cp {{,kept-}}attempt.json; cp {{,kept-}}place.json\ntowline_end {code}\n",
        port = run.port,
        pid = run.pid,
        address = run.address,
        rank = run.rank,
        code = run.code,
    );
    let env = [
        ("LC_ALL", "C.UTF-8"),
        ("HOME", path),
        ("TEST_DIR", path),
        ("TEST_JOB", &run.job),
        ("TEST_HOST", &run.host),
        ("TEST_RESTARTS", &run.restarts),
    ];
    let output = bash(&(parts(&spec(&["serve".into()])).0 + &given), &env);
    assert_eq!(output.status.code(), Some(run.code.into()), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// Only characters that need no escape in JSON are left of what the scheduler says.
fn plain(text: &str, more: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c) || more.contains(c);
    text.chars().map(|c| if is_plain(c) { c } else { '_' }).collect()
}

/// That no part of a record is taken for it.
fn is_nothing_when_cut<T: std::fmt::Debug>(text: &str, parse: impl Fn(&str) -> Result<T, RecordError>) {
    for end in 0..text.trim_end().len() {
        let part = &text[..end];
        assert!(parse(part).is_err(), "{part:?} was read as {:?}", parse(part));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_a_job_wrote_is_read_as_it_was(run in run()) {
        let dir = tempfile::tempdir().unwrap();
        write(&run, dir.path());
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        let (attempt, place, exit) = (read("kept-attempt.json"), read("kept-place.json"), read("exit.json"));
        is_nothing_when_cut(&attempt, parse_attempt);
        is_nothing_when_cut(&place, parse_place);
        is_nothing_when_cut(&exit, parse_exit);

        let (job, host) = (plain(&run.job, ""), plain(&run.host, ":"));
        let restarts = run.restarts.parse::<u32>().ok().filter(|n| n.to_string() == run.restarts && *n < 1_000_000_000);
        let exit = parse_exit(&exit);
        if job.is_empty() {
            prop_assert!(exit.is_err() && parse_attempt(&attempt).is_err() && parse_place(&place).is_err());
            return Ok(());
        }
        let exit = exit.unwrap();
        let signal = (129..=192).contains(&run.code).then(|| run.code - 128);
        prop_assert_eq!((exit.job.as_str(), exit.restarts), (job.as_str(), restarts.unwrap_or(0)));
        prop_assert_eq!((exit.exit, exit.time_limit), (ExitStatus { code: run.code, signal }, false));

        let usable = |host: &str| !host.is_empty() && !host.starts_with('-');
        match parse_attempt(&attempt) {
            Ok(told) => {
                prop_assert_eq!((told.job, told.restarts), (exit.job.clone(), exit.restarts));
                let expected = Place { host: host.clone(), port: run.port, pid: told.place.pid, listening: false, loopback: false };
                prop_assert_eq!(told.place, expected);
            }
            Err(error) => prop_assert!(!usable(&host), "{error}"),
        }
        // A listener at one address answers only there.
        let host = if run.rank == 2 && !run.address.is_empty() { run.address.to_owned() } else { host };
        match parse_place(&place) {
            Ok(told) => {
                prop_assert_eq!((told.job, told.restarts), (exit.job, exit.restarts));
                let expected = Place { host, port: run.port, pid: run.pid, listening: true, loopback: run.rank == 1 };
                prop_assert_eq!(told.place, expected);
            }
            Err(error) => prop_assert!(!usable(&host), "{error}"),
        }
    }
}
