//! Records that lost their end: what is left of them is not taken for the whole.

use std::fs;

use towline_core::job::{ExitStatus, JobState, Outcome, Sight};

use crate::bench::{Bench, SERVER};

/// What stands in a file of the service, and then each beginning of it.
fn cuts(bench: &Bench, name: &str) -> (String, Vec<String>) {
    let whole = fs::read_to_string(bench.file(name)).unwrap();
    let end = whole.trim_end().len();
    let cuts = (0..end).map(|end| whole[..end].to_owned()).collect();
    (whole, cuts)
}

#[tokio::test]
async fn a_job_whose_record_was_cut_short_is_unseen() {
    let bench = Bench::new();
    let job = bench.start(&["sh", "-c", "exit 3"]).await;
    bench.end(&job).await;
    let (whole, cuts) = cuts(&bench, "job.id");
    for cut in cuts {
        fs::write(bench.file("job.id"), &cut).unwrap();
        for asked in [Some(&job), None] {
            match bench.look(asked).await.sight {
                Sight::Unseen(why) => assert!(why.contains("job.id"), "{why}"),
                other => panic!("{cut:?}: {other:?}"),
            }
        }
    }
    fs::write(bench.file("job.id"), whole.trim_end()).unwrap();
    assert_eq!(bench.end(&job).await.exit, Some(ExitStatus { code: 3, signal: None }));
}

#[tokio::test]
async fn an_end_whose_record_was_cut_short_is_one_of_unknown_kind() {
    let bench = Bench::new();
    let job = bench.start(&["true"]).await;
    assert_eq!(bench.end(&job).await.outcome, Outcome::Completed);
    let (whole, cuts) = cuts(&bench, "exit.json");
    for cut in cuts {
        fs::write(bench.file("exit.json"), &cut).unwrap();
        let end = bench.end(&job).await;
        let why = end.reason.unwrap_or_default();
        assert_eq!((end.outcome, end.exit), (Outcome::Failed, None), "{cut:?}");
        assert!(why.contains("cannot be read") && why.contains("exit.json"), "{why}");
    }
    fs::write(bench.file("exit.json"), whole.trim_end()).unwrap();
    assert_eq!(bench.end(&job).await.outcome, Outcome::Completed);
}

#[tokio::test]
async fn a_place_that_was_cut_short_is_none() {
    let bench = Bench::new();
    let job = bench.start(&SERVER).await;
    let place = bench.place(&job).await;
    let (whole, cuts) = cuts(&bench, "place.json");
    for cut in cuts {
        fs::write(bench.file("place.json"), &cut).unwrap();
        let seen = bench.look(Some(&job)).await;
        assert!(matches!(seen.sight, Sight::Seen(report) if report.state == JobState::Running), "{cut:?}");
        assert_eq!(seen.place, None, "{cut:?}");
    }
    fs::write(bench.file("place.json"), whole).unwrap();
    assert_eq!(bench.look(Some(&job)).await.place, Some(place));
    bench.cancel(&job).await;
}
