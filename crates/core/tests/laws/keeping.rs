//! What ledgers hold: lives survive it, and those of earlier versions are read by later ones.

use std::time::Duration;

use proptest::prelude::*;
use towline_core::lifecycle::{Absence, Job, Life, Phase, Run};
use towline_core::testing::sample_lives;
use towline_core::testing::strategies::{Moment, fact, request, steps, timestamp};

use crate::support::{TERMS, config, trail};

/// What each version wrote, by a life of [`sample_lives`] a line; the newest last. Rows in ledgers look like that, so
/// a file of a version that somebody may have used is never changed.
const FORMATS: [(&str, &str); 2] = [
    ("0.1.0", include_str!("../fixtures/lives/0.1.0.json")),
    ("unreleased", include_str!("../fixtures/lives/unreleased.json")),
];

/// Where the newest of them is.
const NEWEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/lives/unreleased.json");

proptest! {
    #![proptest_config(config())]

    #[test]
    fn status_and_phase_survive_being_written_unchanged(
        steps in steps(&TERMS),
        (fact, request, at) in (fact(), request(), timestamp()),
    ) {
        for Moment { life, .. } in &trail(&steps) {
            // At times as well that no calendar holds.
            let told = life.observe(&fact, at);
            let asked = life.request(&request, at).unwrap_or_else(|_| life.clone());
            for life in [life, &told, &asked] {
                let kept = read(&written(life)).unwrap();
                prop_assert_eq!((kept.status(), &kept.phase), (life.status(), &life.phase));
                prop_assert_eq!(&kept, life);
            }
        }
    }
}

#[test]
fn a_phase_written_by_version_n_is_read_by_version_n_plus_1() {
    for (version, lives) in FORMATS {
        let texts = lines(lives);
        assert!(texts.len() >= 27, "{version} has lost some lives");
        for (text, sample) in texts.iter().zip(sample_lives()) {
            let life = read(text).unwrap_or_else(|error| panic!("{version}: {error} in {text}"));
            let known = if version == "0.1.0" { as_of_0_1_0(sample) } else { sample };
            assert_eq!(life.status(), known.status(), "{version}: {text}");
            assert_eq!(life.cause(), known.cause(), "{version}: {text}");
            let job = |life: &Life| life.phase.job().map(|job| job.id.clone());
            assert_eq!(job(&life), job(&known), "{version}: {text}");
            assert_eq!(life, known, "{version}: something is lost of {text}");
            assert_eq!(read(&written(&life)).unwrap(), life, "{version}: written once more");
        }
    }
}

#[test]
fn the_newest_fixture_is_what_is_written_today() {
    let (version, newest) = FORMATS[FORMATS.len() - 1];
    assert_eq!(
        newest,
        present_format(),
        "lives are written otherwise than {version} wrote them. If ledgers in that format may be in use, keep its \
         file and list another one after it; then write the newest with `cargo test -p towline-core --features \
         testing --test laws -- --ignored write_the_newest_fixture`, and see that all the others can still be read"
    );
}

#[test]
#[ignore = "writes the fixture of a new format"]
#[expect(clippy::disallowed_methods, reason = "a fixture is a file")]
fn write_the_newest_fixture() {
    std::fs::write(NEWEST, present_format()).unwrap();
}

fn written(life: &Life) -> String {
    serde_json::to_string(life).unwrap()
}

fn read(text: &str) -> Result<Life, serde_json::Error> {
    serde_json::from_str(text)
}

fn present_format() -> String {
    let lives: Vec<String> = sample_lives().iter().map(written).collect();
    format!("[\n{}\n]\n", lives.join(",\n"))
}

/// The lives in a fixture, each as its row holds it.
fn lines(fixture: &str) -> Vec<&str> {
    let lives = fixture.strip_prefix("[\n").and_then(|text| text.strip_suffix("\n]\n")).unwrap();
    lives.split(",\n").collect()
}

/// The life without what version 0.1.0 did not know.
fn as_of_0_1_0(mut life: Life) -> Life {
    life.absence = life.absence.map(|absence| Absence { told_since: None, ..absence });
    let strip = |job: &mut Job| {
        job.over = None;
        job.run = job.run.take().map(|run| Run { before: Duration::ZERO, ..run });
    };
    match &mut life.phase {
        Phase::Live { job, .. } => strip(job),
        Phase::Ended(ending) => ending.job.iter_mut().for_each(strip),
        Phase::Intent | Phase::Sending { .. } => {}
    }
    life
}
