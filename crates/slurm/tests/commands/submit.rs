//! Submission and cancel, through a real shell.

use std::error::Error as _;
use std::fs;
use std::process::Command;

use crate::support::{ID, LoginHost, id, mode, spec};
use towline_core::id::JobId;
use towline_core::ports::{CancelError, Scheduler as _, SubmitError};
use towline_slurm::{ClusterError, Home, script};

fn source(error: SubmitError) -> ClusterError {
    match error {
        SubmitError::NotSent(source) | SubmitError::Unclear(source) => *source.downcast().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_command_writes_the_files_and_submits_the_job() {
    for shell in ["sh", "bash"] {
        let host = LoginHost::with(shell, "~/.tow line");
        host.set("sbatch.out", "4711\n");
        let mut spec = spec();
        let odd = "a 'b'\n$(id)\nEOF\n`x` \\ é";
        spec.env.insert("SECRET".into(), odd.into());
        spec.command.push("EOF\nEOF".into());
        assert_eq!(host.slurm.submit(id(), &spec).await.unwrap(), JobId::new("4711"));
        assert_eq!(host.runs(), 1);

        let home: Home = "~/.tow line".parse().unwrap();
        let rendered = script::render(id(), &spec, &home).unwrap();
        assert_eq!(fs::read_to_string(host.service("job.sh")).unwrap(), rendered, "byte for byte");
        assert_eq!(fs::read_to_string(host.service("job.id")).unwrap(), "4711\n");
        let env = host.service("env");
        let print = format!(". '{}'; printf %s \"$SECRET\"", env.display());
        let read = Command::new("sh").args(["-c", &print]).output().unwrap();
        assert_eq!(String::from_utf8(read.stdout).unwrap(), odd);
        assert_eq!((mode(&env), mode(&host.service(""))), (0o600, 0o700));
    }
}

#[tokio::test]
async fn sbatch_is_called_without_the_users_settings_and_with_their_file_mode_mask() {
    let host = LoginHost::new();
    host.set("sbatch.out", "4711\n");
    host.set("sbatch.hook", "umask >\"$FAKE/mask\"; cat >\"$FAKE/stdin\"; pwd >\"$FAKE/cwd\"");
    host.slurm.submit(id(), &spec()).await.unwrap();
    let dir = host.service("");
    let dir = dir.to_str().unwrap().trim_end_matches('/');
    assert_eq!(host.calls("sbatch"), [format!("--parsable --chdir={dir} {dir}/job.sh")]);
    assert_eq!(host.environment("sbatch"), "SLURM_CONF=/etc/slurm.conf\n");
    let own = Command::new("sh").args(["-c", "umask"]).output().unwrap();
    assert_eq!(fs::read(host.path("fake/mask")).unwrap(), own.stdout);
    assert_eq!(fs::read(host.path("fake/stdin")).unwrap(), b"");
}

#[tokio::test]
async fn asked_again_it_gives_the_same_job() {
    let host = LoginHost::new();
    host.set("sbatch.out", "4711\n");
    for _ in 0..3 {
        assert_eq!(host.slurm.submit(id(), &spec()).await.unwrap(), JobId::new("4711"));
    }
    assert_eq!(host.calls("sbatch").len(), 1);
}

#[tokio::test]
async fn what_plugins_and_login_files_print_is_passed_over() {
    let host = LoginHost::new();
    host.greet("Welcome to the lab!\n4712 jobs are running");
    host.set("sbatch.out", "Your project has 99 hours left\n4711;lab\n");
    host.set("sbatch.err", "sbatch: warning: something\n");
    assert_eq!(host.slurm.submit(id(), &spec()).await.unwrap(), JobId::new("4711"));
}

#[tokio::test]
async fn a_refusal_is_told_in_slurms_words_and_can_be_tried_again() {
    let host = LoginHost::new();
    host.set("sbatch.err", "sbatch: error: Batch job submission failed: Invalid qos specification\n");
    host.set("sbatch.code", "1");
    match host.slurm.submit(id(), &spec()).await {
        Err(SubmitError::Refused { words }) => assert_eq!(words, "Invalid qos specification"),
        other => panic!("{other:?}"),
    }
    host.set("sbatch.code", "0");
    host.set("sbatch.out", "4711\n");
    assert_eq!(host.slurm.submit(id(), &spec()).await.unwrap(), JobId::new("4711"));
}

#[tokio::test]
async fn a_lost_answer_is_settled_by_the_queue_before_anything_is_sent_again() {
    let host = LoginHost::new();
    host.set(
        "sbatch.err",
        "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n",
    );
    host.set("sbatch.code", "1");
    let lost = host.slurm.submit(id(), &spec()).await.unwrap_err();
    assert!(matches!(lost, SubmitError::Unclear(_)), "{lost:?}");

    host.set("squeue.code", "1");
    host.set("squeue.err", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n");
    let unknown = host.slurm.submit(id(), &spec()).await.unwrap_err();
    assert!(matches!(unknown, SubmitError::Unclear(_)), "{unknown:?}");
    assert!(unknown.source().unwrap().to_string().contains("connect failure"));

    host.set("squeue.code", "0");
    host.set("squeue.out", &format!("4000 other\n4711 web-{ID}\n"));
    assert_eq!(host.slurm.submit(id(), &spec()).await.unwrap(), JobId::new("4711"));
    assert_eq!(host.calls("sbatch").len(), 1);
    assert_eq!(fs::read_to_string(host.service("job.id")).unwrap(), "4711\n");
}

#[tokio::test]
async fn a_queue_that_could_not_be_searched_lists_no_job_and_allows_none() {
    let host = LoginHost::new().without("awk");
    fs::create_dir_all(host.service("")).unwrap();
    fs::write(host.service("submitting"), "over\n").unwrap();
    host.set("squeue.out", &format!("4711 web-{ID}\n"));
    host.set("sbatch.out", "4712\n");
    let unknown = host.slurm.submit(id(), &spec()).await.unwrap_err();
    assert!(matches!(unknown, SubmitError::Unclear(_)), "{unknown:?}");
    assert_eq!(host.calls("sbatch").len(), 0);
}

#[tokio::test]
async fn of_two_submissions_at_once_the_second_waits_its_turn() {
    let host = LoginHost::new();
    host.set("sbatch.out", "4711\n");
    fs::create_dir_all(host.service("")).unwrap();
    fs::write(host.service("submitting"), "").unwrap();
    let busy = host.slurm.submit(id(), &spec()).await.unwrap_err();
    assert!(matches!(source(busy), ClusterError::Busy));
    assert_eq!(host.calls("sbatch").len(), 0);

    // The other one died long ago, and left no job.
    let touch = Command::new("touch").args(["-d", "10 minutes ago"]).arg(host.service("submitting")).status();
    assert!(touch.unwrap().success());
    assert_eq!(host.slurm.submit(id(), &spec()).await.unwrap(), JobId::new("4711"));
}

#[tokio::test]
async fn a_silent_sbatch_is_unclear() {
    let host = LoginHost::new();
    host.set("sbatch.hook", "exec sleep 60");
    let lost = host.impatient().submit(id(), &spec()).await.unwrap_err();
    assert!(matches!(lost, SubmitError::Unclear(_)), "{lost:?}");
}

#[tokio::test]
async fn a_login_host_without_slurm_or_home_gets_nothing() {
    let host = LoginHost::new().without("sbatch");
    let error = host.slurm.submit(id(), &spec()).await.unwrap_err();
    assert!(matches!(error, SubmitError::NotSent(_)), "{error:?}");
    assert!(matches!(source(error), ClusterError::NoSlurm { command: "sbatch" }));
    assert!(!host.service("").exists());

    let host = LoginHost::with("sh", "{root}/file/towline");
    fs::write(host.path("file"), "").unwrap();
    let error = host.slurm.submit(id(), &spec()).await.unwrap_err();
    assert!(matches!(error, SubmitError::NotSent(_)), "{error:?}");
    let words = source(error).to_string();
    assert!(words.contains("Not a directory"), "{words}");
    assert_eq!(host.calls("sbatch").len(), 0);
}

#[tokio::test]
async fn a_bad_spec_is_not_sent() {
    let host = LoginHost::new();
    let mut spec = spec();
    spec.resources.mem = Some("much".into());
    assert_eq!(host.slurm.check(&spec).unwrap_err().field, "mem");
    assert!(matches!(host.slurm.submit(id(), &spec).await, Err(SubmitError::Spec(_))));
    assert_eq!(host.runs(), 0);
}

#[tokio::test]
async fn only_the_services_own_job_is_cancelled() {
    let host = LoginHost::new();
    host.set("squeue.out", &format!("web-{ID}\n"));
    host.slurm.cancel(id(), &JobId::new("7")).await.unwrap();
    assert_eq!(host.calls("scancel"), ["7"]);
    assert_eq!(host.runs(), 1);

    host.set("squeue.out", "somebody-elses\n");
    host.slurm.cancel(id(), &JobId::new("8")).await.unwrap();
    host.set("squeue.out", "");
    host.slurm.cancel(id(), &JobId::new("9")).await.unwrap();
    assert_eq!(host.calls("scancel"), ["7"]);
}

#[tokio::test]
async fn a_cancel_that_was_not_heard_is_an_error() {
    let host = LoginHost::new();
    host.set("squeue.hook", "exec sleep 60");
    let late = host.impatient().cancel(id(), &JobId::new("7")).await.unwrap_err();
    assert!(matches!(late, CancelError::Unreachable { .. }), "{late:?}");
    let none = LoginHost::new().without("scancel");
    assert!(matches!(none.slurm.cancel(id(), &JobId::new("7")).await, Err(CancelError::Unreachable { .. })));
    assert!(matches!(host.slurm.cancel(id(), &JobId::new("12-3")).await, Err(CancelError::Refused { .. })));
}
