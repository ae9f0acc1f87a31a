//! One job for a service, found again by whoever looks, and never mistaken for another process.

use std::fs::{self, OpenOptions};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::inotify;
use rustix::io::Errno;
use tokio::time::timeout;
use towline_core::id::JobId;
use towline_core::job::{JobState, Outcome, Sight};
use towline_core::ports::{CancelError, Scheduler, SubmitError};
use towline_local::LocalScheduler;

use crate::bench::{Bench, PATIENCE, SERVER, marked, shells, spec};

#[tokio::test(flavor = "multi_thread")]
async fn many_submissions_at_once_start_one_job() {
    let bench = Bench::new();
    let submissions: Vec<_> = (0..8)
        .map(|_| {
            // As many programs with the same root.
            let (scheduler, id) = (LocalScheduler::new(bench.root.path()), bench.id);
            tokio::spawn(async move { scheduler.submit(id, &spec(&SERVER)).await.unwrap() })
        })
        .collect();
    let mut jobs = Vec::new();
    for submission in submissions {
        jobs.push(submission.await.unwrap());
    }
    jobs.dedup();
    assert_eq!((jobs.len(), shells(bench.id).len()), (1, 1));
    let end = bench.cancel(&jobs[0]).await;
    // Even after its end.
    assert_eq!(bench.start(&SERVER).await, jobs[0]);
    assert_eq!(bench.end(&jobs[0]).await, end);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submission_broken_off_anywhere_is_settled() {
    for millis in 0..12 {
        let bench = Bench::new();
        drop(timeout(Duration::from_millis(millis), bench.start(&["sleep", "1000"])).await);
        let job = bench.start(&["sleep", "1000"]).await;
        assert_eq!(shells(bench.id).len(), 1, "after {millis} ms");
        assert!(matches!(bench.look(None).await.sight, Sight::Seen(report) if report.id == job));
        bench.cancel(&job).await;
    }
}

#[tokio::test]
async fn a_service_that_was_never_started_is_absent() {
    let bench = Bench::new();
    assert_eq!(bench.look(None).await.sight, Sight::Absent);
    // As if its starter was killed before there was a process.
    fs::create_dir_all(bench.file("")).unwrap();
    fs::write(bench.file("job.sh"), "").unwrap();
    let lock = OpenOptions::new().create(true).append(true).open(bench.file("lock")).unwrap();
    assert_eq!(bench.look(None).await.sight, Sight::Absent);
    lock.lock().unwrap();
    assert!(matches!(bench.look(None).await.sight, Sight::Unseen(_)), "somebody starts it");
    let opens = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    inotify::add_watch(&opens, bench.file("lock"), inotify::WatchFlags::OPEN).unwrap();
    let (looked, ()) = tokio::join!(bench.look(None), async move {
        tries_again(&opens).await;
        drop(lock);
    });
    assert_eq!(looked.sight, Sight::Absent, "a start is waited for");
    let job = bench.start(&SERVER).await;
    bench.place(&job).await;
    bench.cancel(&job).await;
}

/// Waits until a look has tried the lock, found it held, and tries it again.
async fn tries_again(opens: &OwnedFd) {
    let (begin, mut count) = (Instant::now(), 0);
    let mut events = [MaybeUninit::uninit(); 1024];
    while count < 2 {
        match inotify::Reader::new(opens, &mut events).next() {
            Ok(_) => count += 1,
            Err(error) => {
                assert_eq!(error, Errno::AGAIN);
                assert!(begin.elapsed() < PATIENCE, "the lock was tried {count} times");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

#[tokio::test]
async fn a_recycled_process_id_is_not_the_job() {
    let bench = Bench::new();
    let job = bench.start(&SERVER).await;
    bench.place(&job).await;
    let (pid, start) = job.as_str().split_once('-').unwrap();
    let other = JobId::new(format!("{pid}-{}", start.parse::<u64>().unwrap() + 1));
    // The directory tells which job it is, and no cancel of another harms it.
    let report = bench.report(&other).await;
    assert_eq!((report.id, report.state), (job.clone(), JobState::Running));
    bench.scheduler.cancel(bench.id, &other).await.unwrap();
    assert_eq!(bench.report(&job).await.state, JobState::Running);
    // Without its record it is known by its id; of another id, that there are processes of the service.
    let record = fs::read(bench.file("job.id")).unwrap();
    fs::remove_file(bench.file("job.id")).unwrap();
    assert_eq!(bench.report(&job).await.state, JobState::Running);
    assert_eq!(bench.report(&other).await.state, JobState::Leaving);
    fs::write(bench.file("job.id"), record).unwrap();

    // This very process, if the machine had been restarted since: the same pid and start time, and no job of ours.
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let start = stat.rsplit(')').next().unwrap().split_ascii_whitespace().nth(19).unwrap();
    let stranger = Bench::new();
    let job_of_stranger = JobId::new(format!("{}-{start}", std::process::id()));
    assert_eq!(stranger.look(Some(&job_of_stranger)).await.sight, Sight::Absent);
    stranger.scheduler.cancel(stranger.id, &job_of_stranger).await.unwrap();
    bench.cancel(&job).await;
}

#[tokio::test]
async fn a_machine_that_was_restarted_is_the_reason() {
    let bench = Bench::new();
    fs::create_dir_all(bench.file("")).unwrap();
    let record = r#"{"job":"4194000-1","boot":"00000000-0000-0000-0000-000000000000","limit":0}"#;
    fs::write(bench.file("job.id"), record).unwrap();
    let Sight::Seen(report) = bench.look(None).await.sight else { panic!() };
    let JobState::Ended(end) = report.state else { panic!() };
    assert_eq!((end.outcome, end.reason.as_deref()), (Outcome::Failed, Some("this machine was restarted")));
}

#[tokio::test]
async fn damage_is_a_doubt_and_harms_nobody_else() {
    let bench = Bench::new();
    fs::create_dir_all(bench.file("")).unwrap();
    fs::write(bench.file("job.id"), "{").unwrap();
    assert!(matches!(bench.look(None).await.sight, Sight::Unseen(_)));
    assert!(matches!(bench.scheduler.submit(bench.id, &spec(&SERVER)).await, Err(SubmitError::Unclear(_))));
    let of_slurm = JobId::new("4711");
    assert!(matches!(bench.look(Some(&of_slurm)).await.sight, Sight::Unseen(_)));
    let cancelled = bench.scheduler.cancel(bench.id, &of_slurm).await;
    assert!(matches!(cancelled, Err(CancelError::Refused { .. })));
}

#[tokio::test]
async fn a_place_that_cannot_be_written_starts_nothing() {
    let bench = Bench::new();
    let file = bench.root.path().join("file");
    fs::write(&file, "").unwrap();
    let scheduler = LocalScheduler::new(&file);
    assert!(matches!(scheduler.submit(bench.id, &spec(&SERVER)).await, Err(SubmitError::NotSent(_))));

    // The job itself cannot write who it is.
    fs::create_dir_all(bench.file("job.id.tmp")).unwrap();
    let Err(SubmitError::Refused { words }) = bench.scheduler.submit(bench.id, &spec(&SERVER)).await else {
        panic!("accepted")
    };
    assert!(words.contains("cannot write"), "{words}");
    assert_eq!((shells(bench.id), marked(bench.id)), (vec![], vec![]));
}

/// The other half of the next test: submits in a program of its own, which then ends.
#[tokio::test]
#[ignore = "started by a_service_outlives_the_program_that_started_it"]
async fn submit_and_end() {
    let id = std::env::var("TEST_SERVICE").unwrap().parse().unwrap();
    let scheduler = LocalScheduler::new(std::env::var("TEST_ROOT").unwrap());
    scheduler.submit(id, &spec(&SERVER)).await.unwrap();
}

#[tokio::test]
async fn a_service_outlives_the_program_that_started_it() {
    let bench = Bench::new();
    let program = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "identity::submit_and_end", "--ignored"])
        .env("TEST_SERVICE", bench.id.to_string())
        .env("TEST_ROOT", bench.root.path())
        // Within a service: what is started there is none of its processes.
        .env("TOWLINE_SERVICE", "another")
        .output()
        .unwrap();
    assert!(program.status.success(), "{program:?}");
    let Sight::Seen(report) = bench.look(None).await.sight else { panic!("not found") };
    bench.place(&report.id).await;
    let pid = report.id.as_str().split_once('-').unwrap().0;
    let environment = fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    assert!(!environment.contains("TOWLINE_SERVICE"));
    bench.cancel(&report.id).await;
    // Nobody waits for it any more, so it must not stay as a zombie either, where there is a proper init.
    let begin = Instant::now();
    while !shells(bench.id).is_empty() {
        assert!(begin.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
