//! STOPPED, TIMEOUT and FAILED: what ended it.

use std::time::Duration;

use towline_core::job::{ExitStatus, Outcome};
use towline_core::lifecycle::{Cause, Echo, EndStatus, Ending, Phase, PingRecord};
use towline_core::service::Service;
use towline_core::why::{Evidence, Memory, Outlook, Topic};

use crate::support::{ago, assert_says, code, ended, job_ended, log, on, why};

#[test]
fn a_command_that_was_not_found() {
    let service = job_ended(Outcome::Failed, code(127));
    let told = why(&service, &log("job.sh: line 9: serve: command not found\n"));
    assert_says(
        &told.sentence,
        &["service web ended as FAILED: the job failed (exit code 127)", "a command was not found"],
    );
    assert!(!told.sentence.contains("line 9"), "the line is told once: {}", told.sentence);
    assert_eq!(on(&told, Topic::Log), Some("job.sh: line 9: serve: command not found"));
    assert_says(
        on(&told, Topic::Exit).unwrap(),
        &["exit code 127 (what a shell says of a command that was not found)"],
    );
    assert_says(&told.advice, &["PATH"]);
    assert_eq!(told.outlook, Outlook::Ended);
    let missing = why(&service, &log("job.sh: line 9: /no/such/serve: No such file or directory\n"));
    assert_says(&missing.sentence, &["its log says that a command was not found"]);
    assert_says(on(&missing, Topic::Log).unwrap(), &["/no/such/serve"]);
    let silent = why(&service, &Evidence::default());
    assert_says(&silent.sentence, &["(exit code 127): a command was not found"]);
    assert_eq!((on(&silent, Topic::Log), silent.log.len()), (None, 0));
}

#[test]
fn memory_is_told_with_limit_and_peak() {
    let service = job_ended(Outcome::OutOfMemory, Some(ExitStatus { code: 0, signal: Some(9) }));
    let memory = |limit, peak| Evidence { memory: Memory { limit, peak }, ..Evidence::default() };
    let told = why(&service, &memory(Some(100 << 20), Some(99 << 20)));
    assert_says(
        &told.sentence,
        &["the job ran out of memory", "its limit was 100M, the peak that was seen 99M"],
    );
    assert_eq!(
        (told.advice.as_str(), on(&told, Topic::Exit)),
        ("ask for more with --mem", Some("signal 9 (SIGKILL, by the kernel, the scheduler or a person)"))
    );
    assert_says(
        &why(&service, &memory(Some(100 << 20), None)).sentence,
        &["limit was 100M, and no peak was recorded"],
    );
    let mut asked = service;
    std::sync::Arc::make_mut(&mut asked.spec).resources.mem = Some("2G".into());
    assert_says(&why(&asked, &Evidence::default()).sentence, &["its limit was 2G"]);
}

#[test]
fn each_cause_has_its_meaning_and_advice() {
    let grace = Duration::from_secs(9);
    let causes = [
        (EndStatus::Stopped, Cause::Requested, "stopped on request", "start it again"),
        (
            EndStatus::Timeout,
            Cause::GraceSpent { grace },
            "grace period of 9 s",
            "another path with --health",
        ),
        (EndStatus::Failed, Cause::Refused("no such account".into()), "no such account", "change what"),
        (EndStatus::Failed, Cause::NotSent("no route".into()), "no route", "towline doctor"),
        (EndStatus::Failed, Cause::Vanished, "vanished", "towline logs web"),
    ];
    for (status, cause, sentence, advice) in causes {
        let told = why(&ended(status, cause.clone()), &Evidence::default());
        assert_says(&told.sentence, &[sentence]);
        assert_says(&told.advice, &[advice]);
        assert_eq!(on(&told, Topic::Cause), Some(cause.meaning()));
    }
    let outcomes = [
        (Outcome::TimeLimit, "--time"),
        (Outcome::Deadline, "--time"),
        (Outcome::Preempted, "--requeue"),
        (Outcome::NodeFail, "start it again"),
        (Outcome::BootFail, "start it again"),
        (Outcome::Cancelled, "start it again"),
        (Outcome::Completed, "must stay in the foreground"),
        (Outcome::Failed, "towline logs web"),
    ];
    for (outcome, advice) in outcomes {
        assert_says(&why(&job_ended(outcome, None), &Evidence::default()).advice, &[advice]);
    }
}

/// The job's last place, changed.
fn unheard(change: impl Fn(&mut towline_core::job::Place)) -> Service {
    let mut service = ended(EndStatus::Timeout, Cause::GraceSpent { grace: Duration::from_secs(9) });
    let Phase::Ended(Ending { job: Some(job), .. }) = &mut service.life.phase else { return service };
    job.run.as_mut().and_then(|run| run.place.as_mut()).into_iter().for_each(change);
    service
}

#[test]
fn a_server_that_was_never_heard_has_advice_by_where_it_listened() {
    let nowhere = unheard(|place| place.listening = false);
    let never = "the server never listened on its port";
    assert_says(&why(&nowhere, &Evidence::default()).advice, &[never, "'{port}'", "--grace"]);
    let elsewhere =
        log("towline: the command listens on port 1 and not, so far, on its own port 2: give it x");
    let told = why(&nowhere, &elsewhere);
    assert_says(&told.sentence, &["listens on another port than its own"]);
    assert_says(&told.advice, &[never]);
    assert_says(
        &why(&nowhere, &log("OSError: [Errno 98] Address already in use")).advice,
        &["chosen anew for each run"],
    );
    let loopback = unheard(|place| place.loopback = true);
    assert_says(&why(&loopback, &Evidence::default()).advice, &["loopback interface of c1 only", "0.0.0.0"]);
    let here = Evidence { is_local: true, ..Evidence::default() };
    assert_says(&why(&loopback, &here).advice, &["another path with --health"]);
}

#[test]
fn a_server_that_answered_with_another_status_was_asked_for_the_wrong_path() {
    let mut service = unheard(|_| ());
    let echo = Echo::Silent("HTTP status 404".into());
    service.life.ping = Some(PingRecord { at: ago(2), echo, counted: true });
    let told = why(&service, &log("cat: notes: No such file or directory"));
    assert_says(&told.advice, &["nothing answered /health with a 2xx (last: HTTP status 404)", "--health"]);
}

#[test]
fn a_stop_on_request_is_not_explained_by_its_log() {
    let told = why(&ended(EndStatus::Stopped, Cause::Requested), &log("Permission denied\n"));
    assert_eq!(told.sentence, "service web ended as STOPPED: stopped on request");
}
