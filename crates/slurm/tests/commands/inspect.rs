//! The closer look at one service, through a real shell, and what is explained by it.

use std::fs;

use towline_core::id::JobId;
use towline_core::job::{JobEnd, JobState, Outcome};
use towline_core::lifecycle::{Cause, EndStatus, Ending, Job, Phase, Stage, Terms};
use towline_core::ports::Inspector as _;
use towline_core::service::Service;
use towline_core::time::Timestamp;
use towline_core::why::{Evidence, Limit, Memory, Outlook, Position, explain};

use crate::support::{ID, LoginHost, OTHER, id, record, spec};

const NOW: Timestamp = Timestamp::from_secs(1_795_404_200);

fn service(phase: Phase) -> Service {
    let spec = spec();
    let terms = Terms::with_grace(spec.grace);
    let mut service = Service::new(id(), spec, terms, Timestamp::from_secs(1_795_404_100));
    service.life.phase = phase;
    service
}

fn job(state: JobState) -> Job {
    Job { state: Some(state), ..Job::accepted(JobId::new("7")) }
}

fn waiting() -> Service {
    service(Phase::Live { stage: Stage::Pending, job: job(JobState::Queued) })
}

fn ended(outcome: Outcome) -> Service {
    let end = JobEnd { outcome, exit: None, reason: None };
    let job = Some(job(JobState::Ended(end.clone())));
    let (status, cause) = (EndStatus::Failed, Cause::Job(end));
    service(Phase::Ended(Ending { status, cause, at: NOW, job, owes_cancel: false }))
}

async fn look(host: &LoginHost, service: &Service) -> Evidence {
    host.slurm.inspect(service).await.unwrap()
}

fn capture(name: &str) -> String {
    fs::read_to_string(format!("{}/tests/captures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A line of the queue as the closer look asks for it.
fn row(state: &str, reason: &str, start: &str, partition: &str, time: &str) -> String {
    let name = format!("web-{ID}");
    record(&[
        "7",
        state,
        reason,
        start,
        "4294901474",
        partition,
        "research",
        "alice",
        "normal",
        time,
        "1",
        "2",
        "64M",
        "N/A",
        "(null)",
        "",
        "(null)",
        "(null)",
        "(null)",
        &name,
    ]) + "\n"
}

/// The same from a capture, whose own format was another one.
fn captured(name: &str) -> String {
    let text = capture(name);
    let f: Vec<&str> = text.trim_end().split('|').collect();
    row(f[7], f[9], "N/A", f[6], f[14])
}

#[tokio::test]
async fn every_captured_reason_is_explained() {
    let cases = [
        ("PENDING-begin", "its earliest start time has not come"),
        ("PENDING-dependency", "it waits for other jobs"),
        ("PENDING-dependency-never", "will never start as it is: the jobs that it depends on ended"),
        ("PENDING-held", "it is held by you"),
        ("PENDING-node-down", "nodes that it needs are down or drained (c2)"),
        ("PENDING-priority", "jobs of a higher priority wait before it"),
        ("PENDING-resources", "what it asks for is in use by other jobs"),
        ("REQUEUED-after-node-fail", "its earliest start time has not come"),
    ];
    for (name, expected) in cases {
        let host = LoginHost::new();
        host.set("squeue.out", &captured(&format!("{name}.squeue-long")));
        let evidence = look(&host, &waiting()).await;
        let told = explain(&waiting(), &evidence, NOW);
        assert!(told.sentence.contains(expected), "{name}: {} {evidence:#?}", told.sentence);
        assert_eq!(host.runs(), 1);
    }
}

#[tokio::test]
async fn a_waiting_job_is_told_with_its_place_and_its_partitions_limits() {
    for shell in ["sh", "bash"] {
        let host = LoginHost::with(shell, "~/.tow line");
        host.greet("Welcome, no newline");
        let row = row("PENDING", "PartitionTimeLimit", "1795404800", "short", "5:00");
        // The second question names the partition.
        let others = [
            "9 4294901475 bob Priority",
            "8 4294901474 alice None",
            "6 4294901474 bob Resources",
            "7 4294901474 alice PartitionTimeLimit",
            "5 1 carol ReqNodeNotAvail, UnavailableNodes:c2",
            // None of these could start now.
            "1 0 bob JobHeldUser",
            "2 4294901475 bob Dependency",
            "3 4294901475 bob DependencyNeverSatisfied",
            "4 4294901475 bob BeginTime",
            "10 4294901475 bob launch failed requeued held",
            "odd",
            "",
        ];
        host.set("squeue.hook", &queue_of(&others));
        host.set("squeue.out", &format!("odd\nname\n{}{row}", row.replace(ID, OTHER)));
        let partition =
            "PartitionName=short AllowGroups=ALL MaxNodes=UNLIMITED MaxTime=00:02:00 TotalNodes=3\n";
        host.set("scontrol.out", partition);
        let evidence = look(&host, &waiting()).await;
        assert_eq!(evidence.reason.as_deref(), Some("PartitionTimeLimit"));
        assert_eq!(evidence.position, Some(Position { ahead: 2, waiting: 5 }));
        assert_eq!(evidence.starts_at, Some(Timestamp::from_secs(1_795_404_800)));
        assert_eq!((evidence.asked.time.as_deref(), evidence.asked.gres.as_deref()), (Some("5:00"), None));
        let limit = |name: &str, value: &str| Limit {
            of: "partition short".into(),
            name: name.into(),
            value: value.into(),
        };
        assert_eq!(
            evidence.limits,
            [limit("MaxNodes", "UNLIMITED"), limit("MaxTime", "00:02:00"), limit("TotalNodes", "3")]
        );
        assert_eq!(host.calls("scontrol"), ["-o show partition short"], "nobody's jobs are hidden");
        assert_eq!(evidence.gaps, Vec::<String>::new());
        assert_eq!((host.runs(), host.calls("squeue").len()), (1, 2));
        assert_eq!((host.calls("sacct"), host.calls("sacctmgr")), (vec![], vec![]));
        assert_eq!(host.environment("squeue"), "SLURM_CONF=/etc/slurm.conf\nSLURM_TIME_FORMAT=%s\n");
        let told = explain(&waiting(), &evidence, NOW);
        assert!(told.sentence.contains("it asks for 5:00, partition short allows 00:02:00"), "{told:?}");
    }
}

/// What makes `squeue` answer the question about the partition `short` with these lines.
fn queue_of(lines: &[&str]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("'{line}'")).collect();
    format!("case $* in *-p*short*) printf '%s\\n' {}; exit;; esac\n", lines.join(" "))
}

#[tokio::test]
async fn where_others_may_be_hidden_there_is_no_place() {
    let own = ["7 4294901474 alice Resources", "8 4294901475 alice Priority"];
    let cases = [
        ("PrivateData             = none", true),
        ("PrivateData             = accounts,usage", true),
        ("PrivateData             = accounts,jobs,usage", false),
        ("PrivateData             = jobs", false),
        ("Prolog                  = (null)", false),
    ];
    for (setting, is_told) in cases {
        let host = LoginHost::new();
        host.set("squeue.out", &row("PENDING", "Resources", "N/A", "short", "1:00"));
        host.set("squeue.hook", &queue_of(&own));
        host.set("scontrol.hook", &format!("case $* in *config) echo '{setting}'; exit;; esac\n"));
        let evidence = look(&host, &waiting()).await;
        let place = is_told.then_some(Position { ahead: 1, waiting: 2 });
        assert_eq!((evidence.position, evidence.gaps.len()), (place, usize::from(!is_told)), "{setting}");
        assert_eq!((host.runs(), host.calls("scontrol").len()), (1, 2), "{setting}");
        assert!(is_told || evidence.gaps[0].contains("may hide those of others"), "{:?}", evidence.gaps);
    }
}

#[tokio::test]
async fn the_queue_is_not_asked_for_a_job_that_is_held() {
    for reason in ["JobHeldUser", "JobHeldAdmin", "JobHoldMaxRequeue", "job requeued in held state"] {
        let host = LoginHost::new();
        host.set("squeue.out", &row("PENDING", reason, "N/A", "short", "1:00"));
        let evidence = look(&host, &waiting()).await;
        assert_eq!((evidence.reason.as_deref(), evidence.position), (Some(reason), None));
        assert_eq!(host.calls("squeue").len(), 1, "{reason}: {:?}", host.calls("squeue"));
        assert_eq!(host.calls("scontrol"), ["-o show partition short"]);
    }
}

#[tokio::test]
async fn each_of_several_partitions_is_told_with_its_limits() {
    let host = LoginHost::new();
    host.set("squeue.out", &row("PENDING", "PartitionTimeLimit", "N/A", "short,long", "5:00:00"));
    let hook = "for last; do :; done\n\
                case $last in short) t=00:02:00;; *) t=7-00:00:00;; esac\n\
                echo PartitionName=$last MaxNodes=UNLIMITED MaxTime=$t TotalNodes=3\nexit\n";
    host.set("scontrol.hook", hook);
    let told = explain(&waiting(), &look(&host, &waiting()).await, NOW);
    let expected = "service web waits in the queue: partition long may start it, while the scheduler says of one that its \
                    time limit is longer than its partition allows (it asks for 5:00:00, partition short allows \
                    00:02:00, partition long allows 7-00:00:00)";
    assert_eq!((told.sentence.as_str(), told.outlook), (expected, Outlook::Waits));
}

#[tokio::test]
async fn limits_of_accounts_and_qualities_of_service_are_asked_for_when_they_matter() {
    let host = LoginHost::new();
    host.set("squeue.out", &row("PENDING", "QOSMaxWallDurationPerJobLimit", "N/A", "cpu", "2-00:00:00"));
    host.set("sacctmgr.out", "Name|Priority|GrpTRES|MaxWall|MaxTRESPU\nnormal|0||1-00:00:00|cpu=4\n");
    let told = explain(&waiting(), &look(&host, &waiting()).await, NOW);
    assert!(
        told.sentence.contains("asks for 2-00:00:00, quality of service normal allows 1-00:00:00"),
        "{told:?}"
    );
    assert_eq!(host.calls("sacctmgr"), ["-P show qos where name=normal"]);

    let host = LoginHost::new();
    host.set("squeue.out", &row("PENDING", "AssocGrpJobsLimit", "N/A", "cpu", "1:00"));
    let rows = "Cluster|Account|User|GrpJobs|MaxJobs\nlab|research|alice||\nlab|research||5|\n";
    host.set("sacctmgr.out", rows);
    let evidence = look(&host, &waiting()).await;
    assert!(
        evidence.limits.iter().any(|limit| limit.of == "account research" && limit.value == "5"),
        "{evidence:?}"
    );
    assert_eq!(host.calls("sacctmgr").len(), 2);
}

#[tokio::test]
async fn what_fails_is_told_and_harms_nothing_else() {
    let host = LoginHost::new();
    host.set("squeue.out", &row("PENDING", "Resources", "N/A", "cpu", "1:00"));
    host.set("scontrol.code", "1");
    host.set("scontrol.err", &capture("err.ctld-down.squeue.stderr"));
    fs::create_dir_all(host.service("")).unwrap();
    fs::write(host.service("server.log"), "from an earlier run\n").unwrap();
    let evidence = look(&host, &waiting()).await;
    assert_eq!(evidence.reason.as_deref(), Some("Resources"));
    assert_eq!((evidence.gaps.len(), host.calls("scontrol").len()), (1, 2), "{:?}", evidence.gaps);
    assert!(evidence.gaps[0].contains("Unable to contact slurm controller"), "{:?}", evidence.gaps);
    assert_eq!(evidence.log.as_deref(), Some("from an earlier run\n"));

    let host = LoginHost::new();
    host.set("squeue.code", "1");
    host.set("squeue.out", &row("PENDING", "Resources", "N/A", "cpu", "1:00"));
    let evidence = look(&host, &waiting()).await;
    assert_eq!(evidence.gaps, ["squeue failed with exit code 1"]);
    assert_eq!((evidence.reached, host.calls("squeue").len()), (Some(true), 1), "it is not asked twice");
}

#[tokio::test]
async fn a_strangers_row_or_an_unknown_shape_tells_nothing() {
    let row = row("PENDING", "Resources", "N/A", "cpu", "1:00");
    let of_theirs = row.replace(ID, OTHER).replacen("(null)\u{1f}web-", &format!("x-{ID}\u{1f}web-"), 1);
    for other in [row.replace(ID, OTHER), of_theirs, row.replacen('\u{1f}', "", 1), "\n".to_owned()] {
        let host = LoginHost::new();
        host.set("squeue.out", &other);
        let evidence = look(&host, &waiting()).await;
        assert_eq!(evidence, Evidence { reached: Some(true), ..Evidence::default() }, "{other:?}");
    }
}

#[tokio::test]
async fn a_running_job_is_told_with_its_node() {
    let host = LoginHost::new();
    host.set("sinfo.out", "down*\u{1f}Not responding\u{1f}\n");
    let running = Job { node: Some("c1".into()), ..job(JobState::Running) };
    let evidence = look(&host, &service(Phase::Live { stage: Stage::Unhealthy, job: running.clone() })).await;
    assert_eq!(evidence.node.as_deref(), Some("down* (Not responding)"));
    assert!(host.calls("sinfo")[0].contains("-n c1"), "{:?}", host.calls("sinfo"));
    let odd = Job { node: Some("c1; touch owned".into()), ..running };
    look(&host, &service(Phase::Live { stage: Stage::Unhealthy, job: odd })).await;
    assert_eq!(host.calls("sinfo").len(), 1, "no host has such a name");
}

/// Steps and job of a capture, in the fields that the closer look asks for.
fn memory_rows(name: &str, peak: &str) -> String {
    let text = capture(name);
    let rows = text.lines().skip(1).map(|line| {
        let f: Vec<&str> = line.split('|').collect();
        let (number, name) = match f[0].split_once('.') {
            Some((_, step)) => (format!("7.{step}"), f[2].to_owned()),
            None => ("7".to_owned(), format!("{}-{ID}", f[2])),
        };
        let peak = if number == "7" { f[20] } else { peak };
        record(&[&number, f[19], peak, f[21], f[17], &name]) + "\n"
    });
    rows.collect()
}

#[tokio::test]
async fn memory_is_told_with_limit_and_peak() {
    let host = LoginHost::new();
    let extern_step = record(&["7.extern", "", "9K", "", "1", "extern"]) + "\n";
    host.set("sacct.out", &(memory_rows("OUT_OF_MEMORY.sacct-long", "102300K") + &extern_step));
    let service = ended(Outcome::OutOfMemory);
    let evidence = look(&host, &service).await;
    assert_eq!(evidence.memory, Memory { limit: Some(100 << 20), peak: Some(102_300 << 10) });
    assert!(host.calls("sacct")[0].contains("-j 7"), "{:?}", host.calls("sacct"));
    let told = explain(&service, &evidence, NOW);
    assert!(told.sentence.contains("its limit was 100M, the peak that was seen 99.9M"), "{told:?}");

    // As it was recorded: killed before the first sample.
    host.set("sacct.out", &memory_rows("OUT_OF_MEMORY.sacct-long", ""));
    assert_eq!(look(&host, &service).await.memory, Memory { limit: Some(100 << 20), peak: None });
    host.set("sacct.out", &memory_rows("OUT_OF_MEMORY.sacct-long", "9K").replace(ID, OTHER));
    assert_eq!(look(&host, &service).await.memory, Memory::default(), "a stranger's job of that number");
}

/// Where memory is not tracked (`SelectTypeParameters`, slurm.conf(5)) only what was asked for is told.
#[tokio::test]
async fn memory_that_was_asked_for_is_told_of_a_node() {
    let cases = [
        ("100Mc", "cpu=8,node=2,billing=8", "2", Some(400 << 20)),
        ("100Mc", "", "2", None),
        ("100Mn", "cpu=8,node=2", "2", Some(100 << 20)),
        ("100M", "cpu=8,node=2", "2", Some(50 << 20)),
        ("100Mc", "cpu=8,mem=600M,node=2", "2", Some(300 << 20)),
    ];
    for (asked, given, nodes, limit) in cases {
        let host = LoginHost::new();
        host.set("sacct.out", &(record(&["7", asked, "", given, nodes, &format!("web-{ID}")]) + "\n"));
        let memory = look(&host, &ended(Outcome::OutOfMemory)).await.memory;
        assert_eq!(memory, Memory { limit, peak: None }, "{asked} {given}");
    }
}

#[tokio::test]
async fn accounting_may_not_exist() {
    let host = LoginHost::new();
    host.set("sacct.code", "1");
    host.set("sacct.err", "Slurm accounting storage is disabled\n");
    assert_eq!(look(&host, &ended(Outcome::Failed)).await.gaps, Vec::<String>::new());
    let host = LoginHost::new().without("sacct");
    assert_eq!(look(&host, &ended(Outcome::Failed)).await.gaps, Vec::<String>::new());
}

#[tokio::test]
async fn any_log_comes_through_and_no_more_than_its_end() {
    let host = LoginHost::new();
    fs::create_dir_all(host.service("")).unwrap();
    let odd = b"\x1e.\n\x1eQ7\n\xff\x00 bash: serve: command not found\n\x1e.\nlast\n";
    fs::write(host.service("server.log"), odd).unwrap();
    let log = look(&host, &ended(Outcome::Failed)).await.log.unwrap();
    assert!(log.contains("bash: serve: command not found\n") && log.trim_end().ends_with("last"), "{log:?}");
    fs::write(host.service("server.log"), "x".repeat(1 << 20) + "\n" + &"line\n".repeat(999)).unwrap();
    let log = look(&host, &ended(Outcome::Failed)).await.log.unwrap();
    assert!(
        log.len() <= (64 << 10) + 2 && log.lines().filter(|line| *line == "line").count() == 200,
        "{}",
        log.len()
    );
}
