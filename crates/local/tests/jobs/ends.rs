//! All the ways in which a service ends.

use std::time::Duration;

use rustix::process::Signal;
use towline_core::job::{ExitStatus, JobState, Outcome, Sight};
use towline_core::ports::{FilesError, LogFrom, Scheduler, ServiceFiles};

use crate::bench::{Bench, SERVER, get, kill, marked, shells, spec};

#[tokio::test]
async fn a_service_serves_until_it_is_cancelled() {
    let bench = Bench::new();
    let job = bench.start(&SERVER).await;
    let place = bench.place(&job).await;
    assert_eq!((place.host.as_str(), place.loopback), ("127.0.0.1", true));
    assert!(get(&place).contains("404"));
    let report = bench.report(&job).await;
    assert_eq!((&report.state, report.word.as_str()), (&JobState::Running, "RUNNING"));
    assert!(report.node.is_some() && report.running_for.is_some() && report.time_left.is_none());

    let end = bench.cancel(&job).await;
    assert_eq!(end.outcome, Outcome::Cancelled);
    assert_eq!(end.exit, Some(ExitStatus { code: 143, signal: Some(15) }));
    assert!(std::net::TcpListener::bind(("127.0.0.1", place.port)).is_ok(), "the port is not free");
    // Cancelling what has ended is done at once and changes nothing.
    assert_eq!(bench.cancel(&job).await, end);

    bench.scheduler.remove(bench.id).await.unwrap();
    bench.scheduler.remove(bench.id).await.unwrap();
    let log = bench.scheduler.read_log(bench.id, LogFrom::Offset(0), Duration::ZERO).await;
    assert!(matches!(log, Err(FilesError::Missing)));
}

#[tokio::test]
async fn an_exit_code_is_kept() {
    for (command, code, outcome) in [
        (&["true"][..], 0, Outcome::Completed),
        (&["sh", "-c", "echo last words; exit 3"], 3, Outcome::Failed),
        (&["nosuch-server"], 127, Outcome::Failed),
        (&["/etc/passwd"], 126, Outcome::Failed),
    ] {
        let bench = Bench::new();
        let job = bench.start(command).await;
        let end = bench.end(&job).await;
        assert!(!bench.file("attempt.json").exists(), "{command:?}");
        assert_eq!(
            (end.outcome, end.exit),
            (outcome, Some(ExitStatus { code, signal: None })),
            "{command:?}"
        );
    }
}

#[tokio::test]
async fn the_log_tells_why() {
    let bench = Bench::new();
    let job = bench.start(&["nosuch-server", "{port}"]).await;
    bench.end(&job).await;
    assert!(bench.log().await.contains("nosuch-server: command not found"));

    let bench = Bench::new();
    let mut lost = spec(&SERVER);
    lost.chdir = Some("/nosuch dir".into());
    let job = bench.submit(&lost).await;
    assert_eq!(bench.end(&job).await.exit, Some(ExitStatus { code: 1, signal: None }));
    assert!(bench.log().await.contains("towline: cannot change to /nosuch dir"));
}

#[tokio::test]
async fn a_signal_is_told_from_an_exit_code() {
    let bench = Bench::new();
    let job = bench.start(&["sh", "-c", "kill -SEGV $$"]).await;
    let end = bench.end(&job).await;
    assert_eq!((end.outcome, end.exit.unwrap().signal), (Outcome::Failed, Some(11)));
}

#[tokio::test]
async fn a_server_that_ignores_the_request_to_end_is_killed() {
    let bench = Bench::new();
    let deaf = "import signal, sys, http.server as h
signal.signal(signal.SIGTERM, signal.SIG_IGN)
h.HTTPServer(('127.0.0.1', int(sys.argv[1])), h.SimpleHTTPRequestHandler).serve_forever()";
    let job = bench.start(&["python3", "-c", deaf, "{port}"]).await;
    bench.place(&job).await;
    bench.scheduler.cancel(bench.id, &job).await.unwrap();
    let report = bench.report(&job).await;
    assert_eq!((report.state, report.word.as_str()), (JobState::Leaving, "COMPLETING"));
    bench.takes_back_its_place().await;
    let end = bench.end(&job).await;
    assert_eq!((end.outcome, end.exit.unwrap().signal), (Outcome::Cancelled, Some(9)));
}

#[tokio::test]
async fn a_whole_tree_of_processes_ends() {
    for command in [
        // A child, and one that has left the process group.
        "python3 -m http.server $PORT --bind 127.0.0.1 & sleep 1000 & wait",
        "setsid python3 -m http.server $PORT --bind 127.0.0.1 & sleep 1000",
        // Children whose parent is gone.
        "(setsid python3 -m http.server $PORT --bind 127.0.0.1 &) ; sleep 1000",
    ] {
        let bench = Bench::new();
        let job = bench.start(&["sh", "-c", command]).await;
        let place = bench.place(&job).await;
        assert!(marked(bench.id).contains(&place.pid.try_into().unwrap()), "{command}");
        assert_eq!(bench.cancel(&job).await.outcome, Outcome::Cancelled, "{command}");
    }
}

#[tokio::test]
async fn what_a_command_leaves_behind_ends_with_it() {
    let bench = Bench::new();
    let job = bench.start(&["sh", "-c", "setsid sleep 1000 & nohup sleep 1000 & exit 0"]).await;
    assert_eq!(bench.end(&job).await.outcome, Outcome::Completed);
}

#[tokio::test]
async fn a_time_limit_ends_a_service() {
    let bench = Bench::new();
    let mut short = spec(&SERVER);
    short.resources.time = Some("0:02".into());
    let job = bench.submit(&short).await;
    assert!(bench.report(&job).await.time_left.is_some_and(|left| left <= Duration::from_secs(2)));
    let end = bench.end(&job).await;
    assert_eq!((end.outcome, end.exit.unwrap().code), (Outcome::TimeLimit, 124));
    assert!(bench.log().await.contains("towline: the time limit of 2 s is over"));
}

#[tokio::test]
async fn a_cancel_during_the_set_up_is_heard() {
    let bench = Bench::new();
    let mut slow = spec(&SERVER);
    slow.setup = vec!["echo now; sleep 1000".into()];
    let job = bench.submit(&slow).await;
    bench.logged("now").await;
    let told = bench.look(Some(&job)).await.place.unwrap();
    assert!(
        !told.listening && told.port >= 20_000,
        "one can ask there, and learn that nobody answers: {told:?}"
    );
    assert_eq!(bench.cancel(&job).await.outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn a_job_that_was_killed_altogether_has_failed() {
    let bench = Bench::new();
    let job = bench.start(&SERVER).await;
    bench.place(&job).await;
    for pid in shells(bench.id).into_iter().chain(marked(bench.id)) {
        kill(pid, Signal::KILL);
    }
    let end = bench.end(&job).await;
    assert_eq!((end.outcome, end.exit), (Outcome::Failed, None));
    assert!(end.reason.unwrap().contains("killed"));
}

#[tokio::test]
async fn a_server_without_its_shell_is_ended_by_a_cancel() {
    let bench = Bench::new();
    let job = bench.start(&SERVER).await;
    bench.place(&job).await;
    for pid in shells(bench.id) {
        kill(pid, Signal::KILL);
    }
    loop {
        let report = bench.report(&job).await;
        match report.state {
            JobState::Running => tokio::time::sleep(Duration::from_millis(10)).await,
            JobState::Leaving => break assert!(report.reason.unwrap().contains("shell was killed")),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bench.cancel(&job).await.outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn the_files_of_a_running_job_stay() {
    let bench = Bench::new();
    let job = bench.start(&["sleep", "1000"]).await;
    assert!(matches!(bench.scheduler.remove(bench.id).await, Err(FilesError::Failed(_))));
    assert!(matches!(bench.look(None).await.sight, Sight::Seen(report) if report.id == job));
}

#[tokio::test]
async fn a_job_that_does_not_heed_a_cancel_is_killed_by_a_later_one() {
    let bench = Bench::new();
    let mut deaf = spec(&SERVER);
    deaf.setup = vec!["trap '' TERM; echo deaf; sleep 1000; sleep 1000".into()];
    let job = bench.submit(&deaf).await;
    bench.logged("deaf").await;
    bench.scheduler.cancel(bench.id, &job).await.unwrap();
    bench.scheduler.cancel(bench.id, &job).await.unwrap();
    assert_eq!(bench.report(&job).await.state, JobState::Leaving);
    // As if the first cancel was a minute ago.
    let mark = std::fs::File::open(bench.file("cancel")).unwrap();
    mark.set_modified(std::time::SystemTime::now() - Duration::from_secs(60)).unwrap();
    let end = bench.cancel(&job).await;
    assert_eq!((end.outcome, end.exit), (Outcome::Cancelled, None));
}

#[tokio::test]
async fn a_server_is_asked_once_to_end() {
    let bench = Bench::new();
    let counting = "import signal, sys, time, http.server as h, threading
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
server = h.HTTPServer(('127.0.0.1', int(sys.argv[1])), h.SimpleHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
while not asked: time.sleep(0.01)
time.sleep(2)
sys.exit(len(asked))";
    let job = bench.start(&["python3", "-c", counting, "{port}"]).await;
    bench.place(&job).await;
    bench.scheduler.cancel(bench.id, &job).await.unwrap();
    bench.scheduler.cancel(bench.id, &job).await.unwrap();
    assert_eq!(bench.end(&job).await.exit, Some(ExitStatus { code: 1, signal: None }));
}

/// As Slurm does when it ends a job: the signal goes to all its processes at once.
#[tokio::test]
async fn a_signal_to_shell_and_server_at_once_loses_no_exit_code() {
    for _ in 0..10 {
        let bench = Bench::new();
        let job = bench.start(&SERVER).await;
        bench.place(&job).await;
        for pid in marked(bench.id).into_iter().chain(shells(bench.id)) {
            kill(pid, Signal::TERM);
        }
        assert_eq!(bench.end(&job).await.exit, Some(ExitStatus { code: 143, signal: Some(15) }));
    }
}
