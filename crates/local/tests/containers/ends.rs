//! What becomes of services in containers.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use towline_core::container::{Mount, Network};
use towline_core::job::{ExitStatus, JobState, Outcome, Sight};
use towline_core::ports::{Scheduler as _, ServiceFiles as _, SubmitError};
use towline_core::spec::ServiceSpec;

use crate::podman::{Bench, SERVER, containers, get, podman, shells};

#[tokio::test]
async fn a_container_serves_until_it_is_cancelled() {
    for bench in Bench::in_each_network("ends::a_container_serves_until_it_is_cancelled") {
        let job = bench.start(SERVER).await;
        let place = bench.place().await;
        assert_eq!((place.host.as_str(), place.loopback), ("127.0.0.1", true));
        assert!(get(&place).contains("a page of the image"));
        assert_eq!(bench.report().await.state, JobState::Running);
        bench.logged("serving").await;
        // Published on the loopback interface alone, whoever listens inside.
        let listening =
            Command::new("ss").args(["-ltnH", &format!("sport = :{}", place.port)]).output().unwrap();
        let listening = String::from_utf8(listening.stdout).unwrap();
        assert!(listening.contains("127.0.0.1:") && !listening.contains("0.0.0.0:2"), "{listening}");

        bench.scheduler.cancel(bench.id, &job).await.unwrap();
        let end = bench.end().await;
        assert_eq!(
            (end.outcome, end.exit),
            (Outcome::Cancelled, Some(ExitStatus { code: 143, signal: Some(15) }))
        );
        assert_eq!(bench.log().await.matches("asked").count(), 1, "it is asked once: {}", bench.log().await);
        assert_eq!(containers(bench.id), [bench.name()], "it stays until it is removed");
        bench.scheduler.remove(bench.id).await.unwrap();
        assert_eq!((containers(bench.id), bench.root.path().read_dir().unwrap().count()), (vec![], 0));
        bench.scheduler.remove(bench.id).await.unwrap();
    }
}

#[tokio::test]
async fn an_exit_code_is_the_containers() {
    for (script, code, outcome) in [
        ("echo last words; exit 3", 3, Outcome::Failed),
        ("true", 0, Outcome::Completed),
        ("kill -KILL $$; sleep 1000", 137, Outcome::Failed),
    ] {
        let Some(bench) = Bench::new("ends::an_exit_code_is_the_containers", Network::Host) else { return };
        bench.start(script).await;
        if code == 137 {
            // The first process of a container cannot kill itself.
            bench
                .reaches("running", |_| podman(&["ps", "--format", "{{.Names}}"]).contains(&bench.name()))
                .await;
            podman(&["kill", &bench.name()]);
        }
        let end = bench.end().await;
        assert_eq!(
            (end.outcome, end.exit.map(|exit| exit.code)),
            (outcome, Some(code)),
            "{}",
            bench.log().await
        );
    }
}

#[tokio::test]
async fn a_program_that_is_not_in_the_image_is_told() {
    let Some(bench) = Bench::new("ends::a_program_that_is_not_in_the_image_is_told", Network::Host) else {
        return;
    };
    let spec = ServiceSpec { command: vec!["nosuch-server".into()], ..bench.spec("") };
    bench.scheduler.submit(bench.id, &spec).await.unwrap();
    let end = bench.end().await;
    assert_eq!(end.outcome, Outcome::Failed);
    assert!(bench.log().await.contains("nosuch-server"), "{}", bench.log().await);
}

#[tokio::test]
async fn a_paused_container_is_suspended_and_goes_on() {
    let Some(bench) = Bench::new("ends::a_paused_container_is_suspended_and_goes_on", Network::Host) else {
        return;
    };
    let job = bench.start(SERVER).await;
    let place = bench.place().await;
    podman(&["pause", &bench.name()]);
    let report = bench.report().await;
    assert_eq!((&report.state, report.word.as_str()), (&JobState::Suspended, "PAUSED"));
    podman(&["unpause", &bench.name()]);
    assert_eq!(bench.report().await.state, JobState::Running);
    assert!(get(&place).contains("a page"));
    // One that is paused cannot heed a request: it is woken for it.
    podman(&["pause", &bench.name()]);
    bench.scheduler.cancel(bench.id, &job).await.unwrap();
    assert_eq!(bench.end().await.outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn a_container_that_is_removed_by_hand_has_failed() {
    let Some(bench) = Bench::new("ends::a_container_that_is_removed_by_hand_has_failed", Network::Host)
    else {
        return;
    };
    bench.start(SERVER).await;
    bench.place().await;
    podman(&["rm", "--force", "--time", "0", &bench.name()]);
    let end = bench.end().await;
    assert_eq!((end.outcome, end.exit.map(|exit| exit.code)), (Outcome::Failed, Some(137)));
    bench.scheduler.remove(bench.id).await.unwrap();
}

#[tokio::test]
async fn a_server_that_does_not_heed_a_request_is_killed_after_the_grace_time() {
    for bench in
        Bench::in_each_network("ends::a_server_that_does_not_heed_a_request_is_killed_after_the_grace_time")
    {
        let job = bench.start("exec httpd -f -p {host}:{port} -h /www").await;
        bench.place().await;
        bench.scheduler.cancel(bench.id, &job).await.unwrap();
        let end = bench.end().await;
        assert_eq!((end.outcome, end.exit.map(|exit| exit.code)), (Outcome::Cancelled, Some(137)));
        assert_eq!(podman(&["ps", "--quiet", "--filter", &format!("name={}", bench.name())]), "");
    }
}

#[tokio::test]
async fn what_its_job_leaves_behind_is_leaving_until_it_is_cancelled() {
    let Some(bench) =
        Bench::new("ends::what_its_job_leaves_behind_is_leaving_until_it_is_cancelled", Network::Host)
    else {
        return;
    };
    let job = bench.start(SERVER).await;
    let place = bench.place().await;
    // The job's shell and the script that looks after the container, at once.
    let script = format!("{}/container.sh", bench.id);
    let mut pids: Vec<String> = shells(bench.id).iter().map(ToString::to_string).collect();
    pids.extend(with_word(&script));
    Command::new("kill").arg("-KILL").args(&pids).status().unwrap();
    let leaving = |sight: &Sight| matches!(sight, Sight::Seen(report) if report.state == JobState::Leaving);
    bench.reaches("leaving", leaving).await;
    assert!(get(&place).contains("a page"), "nothing ends it by itself");
    // Submitted again, it is not started a second time.
    assert_eq!(bench.scheduler.submit(bench.id, &bench.spec(SERVER)).await.unwrap(), job);
    assert_eq!(containers(bench.id), [bench.name()]);
    bench.scheduler.cancel(bench.id, &job).await.unwrap();
    assert_eq!(bench.end().await.outcome, Outcome::Cancelled);
    assert_eq!(get(&place), "");
    bench.scheduler.remove(bench.id).await.unwrap();
    assert_eq!(containers(bench.id), Vec::<String>::new());
}

/// The processes that have a word with such an end on their command line.
fn with_word(end: &str) -> Vec<String> {
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let has = |pid: &String| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|word| word.ends_with(end.as_bytes()))
    };
    pids.filter(|pid| pid.parse::<u32>().is_ok()).filter(has).collect()
}

#[tokio::test]
async fn an_end_without_its_job_is_the_engines_word() {
    let Some(bench) = Bench::new("ends::an_end_without_its_job_is_the_engines_word", Network::Host) else {
        return;
    };
    bench.start("trap 'exit 7' TERM; sleep 1000 & wait").await;
    bench.reaches("running", |_| podman(&["ps", "--format", "{{.Names}}"]).contains(&bench.name())).await;
    let mut pids: Vec<String> = shells(bench.id).iter().map(ToString::to_string).collect();
    pids.extend(with_word(&format!("{}/container.sh", bench.id)));
    Command::new("kill").arg("-KILL").args(&pids).status().unwrap();
    podman(&["stop", "--time", "5", &bench.name()]);
    let end = bench.end().await;
    assert_eq!((end.outcome, end.exit), (Outcome::Failed, Some(ExitStatus { code: 7, signal: None })));
}

#[tokio::test]
async fn a_lost_client_is_replaced() {
    let Some(bench) = Bench::new("ends::a_lost_client_is_replaced", Network::Host) else { return };
    // What is said before the new client is connected is lost: it is said again and again.
    let two = "(for _ in $(seq 100); do echo two; sleep 0.2; done) &";
    let script = format!("echo one; until test -e /data/go; do sleep 0.1; done; {two} {SERVER}");
    let mut spec = bench.spec(&script);
    let source = bench.root.path().join("data");
    fs::create_dir(&source).unwrap();
    let mounted = Mount { source: source.to_str().unwrap().into(), target: "/data".into(), read_only: true };
    spec.container.as_mut().unwrap().mounts.push(mounted);
    let job = bench.scheduler.submit(bench.id, &spec).await.unwrap();
    bench.logged("one").await;
    let client =
        || with_word("--attach").into_iter().filter(|pid| is_of(pid, &bench.name())).collect::<Vec<_>>();
    let clients = client();
    assert_eq!(clients.len(), 1);
    Command::new("kill").arg("-KILL").args(&clients).status().unwrap();
    let again = |_: &Sight| with_word("--no-stdin").iter().any(|pid| is_of(pid, &bench.name()));
    bench.reaches("followed again", again).await;
    fs::write(source.join("go"), "").unwrap();
    bench.logged("two").await;
    bench.place().await;
    bench.scheduler.cancel(bench.id, &job).await.unwrap();
    assert_eq!(bench.end().await.outcome, Outcome::Cancelled);
}

fn is_of(pid: &str, name: &str) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default().ends_with(format!("{name}\0").as_bytes())
}

#[tokio::test]
async fn values_reach_the_container_as_they_are_and_no_command_line() {
    for bench in Bench::in_each_network("ends::values_reach_the_container_as_they_are_and_no_command_line") {
        let odd = "a \"b\" 'c'\n$(id) \\ =d";
        let mut spec = bench
            .spec("printf '<%s>' \"$ODD\" \"$EMPTY\"; echo \"[$PATH]\"; env | grep -c KEY=; exec sleep 1000");
        spec.env = BTreeMap::from([
            ("ODD".to_owned(), odd.to_owned()),
            ("EMPTY".to_owned(), String::new()),
            ("KEY".to_owned(), "s3cret-of-a-container".to_owned()),
            ("PATH".to_owned(), "/bin:/opt/none".to_owned()),
        ]);
        bench.scheduler.submit(bench.id, &spec).await.unwrap();
        bench.logged(&format!("<{odd}><>[/bin:/opt/none]")).await;
        for file in ["env", "container.env", "container.id", "job.sh", "container.sh"] {
            let path = bench.root.path().join(bench.id.to_string()).join(file);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{file}");
        }
        let said = with_word("s3cret-of-a-container");
        assert_eq!(said, Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_before_anything_is_started() {
    let test = "ends::what_is_not_there_is_told_before_anything_is_started";
    let Some(bench) = Bench::new(test, Network::Host) else { return };
    let refused = async |change: fn(&mut ServiceSpec)| {
        let mut spec = bench.spec(SERVER);
        change(&mut spec);
        match bench.scheduler.submit(bench.id, &spec).await {
            Err(SubmitError::Refused { words }) => words,
            other => panic!("{other:?}"),
        }
    };
    let words = refused(|spec| spec.container.as_mut().unwrap().image = "localhost/none:1".into()).await;
    assert!(words.contains("podman build -t localhost/none:1"), "{words}");
    let words = refused(|spec| {
        let mount = Mount { source: "/nonexistent".into(), target: "/m".into(), read_only: true };
        spec.container.as_mut().unwrap().mounts.push(mount);
    });
    let words = words.await;
    assert!(words.contains("/nonexistent"), "{words}");
    assert_eq!(bench.look().await.sight, Sight::Absent);
    assert_eq!(containers(bench.id), Vec::<String>::new());
}

#[tokio::test]
async fn a_port_that_a_stranger_takes_is_replaced() {
    for bench in Bench::in_each_network("ends::a_port_that_a_stranger_takes_is_replaced") {
        // Somebody who is no process of the service is quicker.
        let pid = bench.root.path().join("stranger");
        let take = "TOWLINE_SERVICE= setsid python3 -m http.server --bind 127.0.0.1 \"$PORT\" >/dev/null 2>&1 & \
                    echo \"$! $PORT\" >\"$STRANGER\"; \
                    until (exec 3<>\"/dev/tcp/127.0.0.1/$PORT\") 2>/dev/null; do sleep 0.1; done";
        let mut spec = bench.spec("exec httpd -f -p {host}:{port} -h /www");
        spec.setup = vec![take.to_owned()];
        spec.env = BTreeMap::from([("STRANGER".to_owned(), pid.to_str().unwrap().to_owned())]);
        let job = bench.scheduler.submit(bench.id, &spec).await.unwrap();
        let place = bench.place().await;
        let stranger = fs::read_to_string(&pid).unwrap();
        let (pid, port) = stranger.trim().split_once(' ').unwrap();
        assert_ne!(place.port.to_string(), port);
        assert!(get(&place).contains("a page of the image"), "{}", bench.log().await);
        assert!(bench.log().await.contains(&format!("another program has taken port {port}")));
        assert_eq!(containers(bench.id), [bench.name()]);
        Command::new("kill").args(["-KILL", pid]).status().unwrap();
        bench.scheduler.cancel(bench.id, &job).await.unwrap();
        assert_eq!(bench.end().await.outcome, Outcome::Cancelled);
    }
}

/// A model may take minutes to load, in which the engine holds the port already.
#[tokio::test]
async fn a_server_that_takes_its_time_keeps_its_port() {
    let name = "ends::a_server_that_takes_its_time_keeps_its_port";
    let Some(bench) = Bench::new(name, Network::Bridge) else { return };
    let job = bench.start("sleep 6; exec httpd -f -p 0.0.0.0:{port} -h /www").await;
    let place = bench.place().await;
    assert!(get(&place).contains("a page"));
    let log = bench.log().await;
    assert!(!log.contains("taken"), "{log}");
    bench.scheduler.cancel(bench.id, &job).await.unwrap();
    bench.end().await;
}

#[tokio::test]
async fn a_server_out_of_its_engines_reach_is_told_and_has_no_place() {
    let name = "ends::a_server_out_of_its_engines_reach_is_told_and_has_no_place";
    let Some(bench) = Bench::new(name, Network::Bridge) else { return };
    let job = bench.start("exec httpd -f -p 127.0.0.1:{port} -h /www").await;
    bench.logged("listens on the loopback interface of its container only").await;
    let sighting = bench.look().await;
    assert!(sighting.place.is_none_or(|place| !place.listening), "{sighting:?}", sighting = sighting.sight);
    bench.scheduler.cancel(bench.id, &job).await.unwrap();
    bench.end().await;
}

/// Podman says `stopping` for ever of a container whose monitor was killed.
#[tokio::test]
async fn a_container_without_its_monitor_can_be_stopped() {
    let name = "ends::a_container_without_its_monitor_can_be_stopped";
    let Some(bench) = Bench::new(name, Network::Bridge) else { return };
    let job = bench.start(SERVER).await;
    bench.place().await;
    let monitor = podman(&["inspect", &bench.name(), "--format", "{{.State.ConmonPid}}"]);
    Command::new("kill").args(["-KILL", monitor.trim()]).status().unwrap();
    // As who waits for the end of a service does.
    let again = async {
        loop {
            bench.scheduler.cancel(bench.id, &job).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        }
    };
    let end = tokio::select! {
        () = again => unreachable!("it goes on"),
        end = bench.end() => end,
    };
    assert_eq!(end.outcome, Outcome::Cancelled);
    bench.scheduler.remove(bench.id).await.unwrap();
    assert_eq!(containers(bench.id), Vec::<String>::new());
}
