//! Which port a service gets, and when it is told.

use std::process::Command;
use std::time::{Duration, Instant};

use towline_core::id::JobId;
use towline_core::job::Outcome;
use towline_core::runner::{Runner, parse_exit, parse_place, render};
use towline_core::spec::{Bind, ServiceSpec};

use crate::bench::{Bench, PATIENCE, SERVER, get, kill, processes, spec};

/// A stranger that takes the service's port the first time: not a process of the service by any sign.
fn stolen_once(then: &str) -> String {
    format!(
        "[ -e stolen ] && exec python3 -m http.server \"$PORT\" --bind 127.0.0.1
         touch stolen
         PATH=$PATH setsid env -i PATH=\"$PATH\" sh -c 'python3 -m http.server \"$0\" --bind 127.0.0.1 >stranger 2>&1 &
           echo $! >stranger.pid' \"$PORT\"
         until (exec 3<>/dev/tcp/127.0.0.1/$PORT) 2>/dev/null; do sleep 0.05; done
         echo $PORT >stolen
         {then}"
    )
}

async fn gets_another_port(then: &str) {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let mut thief = spec(&["bash", "-c", &stolen_once(then)]);
    thief.chdir = Some(dir.path().to_str().unwrap().into());
    let job = bench.submit(&thief).await;
    let place = bench.place(&job).await;
    let stolen = std::fs::read_to_string(dir.path().join("stolen")).unwrap();
    let stranger: i32 =
        std::fs::read_to_string(dir.path().join("stranger.pid")).unwrap().trim().parse().unwrap();
    assert_ne!(place.port.to_string(), stolen.trim());
    assert!(bench.log().await.contains(&format!("another program has taken port {}", stolen.trim())));
    assert!(get(&place).contains("404"));
    let end = bench.cancel(&job).await;
    assert!(std::path::Path::new(&format!("/proc/{stranger}")).exists(), "the stranger was harmed");
    kill(stranger, rustix::process::Signal::KILL);
    assert_eq!(end.outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn a_port_lost_by_a_server_that_exits_is_replaced() {
    gets_another_port("exit 98").await;
}

#[tokio::test]
async fn a_port_lost_by_a_server_that_waits_is_replaced() {
    gets_another_port("exec sleep 1000").await;
}

#[tokio::test]
async fn a_port_won_in_the_end_is_kept_and_its_server_not_started_again() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let patient = "PATH=$PATH setsid env -i PATH=\"$PATH\" timeout 1 python3 -m http.server $PORT --bind 127.0.0.1 &
        until (exec 3<>/dev/tcp/127.0.0.1/$PORT) 2>/dev/null; do sleep 0.05; done
        until python3 -m http.server $PORT --bind 127.0.0.1 & server=$!; sleep 0.5; kill -0 $server; do :; done
        until [ -e end ]; do sleep 0.05; done
        kill $server; exit 5";
    let mut late = spec(&["bash", "-c", patient]);
    late.chdir = Some(dir.path().to_str().unwrap().into());
    let job = bench.submit(&late).await;
    bench.place(&job).await;
    std::fs::write(dir.path().join("end"), "").unwrap();
    assert_eq!(bench.end(&job).await.exit.unwrap().code, 5);
    assert!(bench.log().await.ends_with("towline: the command ended with exit code 5\n"));
    assert!(!bench.log().await.contains("another program"));
}

#[tokio::test]
async fn a_server_on_another_port_is_told_so_and_has_no_place() {
    let bench = Bench::new();
    // Port 0: any, but certainly another.
    let job = bench.start(&["python3", "-m", "http.server", "0", "--bind", "127.0.0.1"]).await;
    bench.logged("towline: the command listens on port ").await;
    let sighting = bench.look(Some(&job)).await;
    assert!(!sighting.place.unwrap().listening);
    bench.cancel(&job).await;
}

#[tokio::test]
async fn the_place_is_where_the_server_listens() {
    for (bind, host, loopback) in
        [("0.0.0.0", "127.0.0.1", false), ("127.0.0.2", "127.0.0.2", true), ("::1", "::1", true)]
    {
        let bench = Bench::new();
        let job = bench.start(&["python3", "-m", "http.server", "{port}", "--bind", bind]).await;
        let place = bench.place(&job).await;
        assert_eq!((place.host.as_str(), place.loopback), (host, loopback), "{bind}");
        assert!(get(&place).contains("404"), "{bind}");
        bench.cancel(&job).await;
    }
}

#[tokio::test]
async fn a_private_service_is_told_its_address_in_two_ways() {
    let by_variable = ["sh", "-c", "exec python3 -m http.server \"$PORT\" --bind \"$HOST\""];
    let by_word = ["python3", "-m", "http.server", "{port}", "--bind", "{host}"];
    for (bind, command) in
        [(Bind::Loopback, &by_word[..]), (Bind::Loopback, &by_variable), (Bind::All, &by_word)]
    {
        let bench = Bench::new();
        let job = bench.submit(&ServiceSpec { bind, ..spec(command) }).await;
        let place = bench.place(&job).await;
        assert_eq!(
            (place.host.as_str(), place.loopback),
            ("127.0.0.1", true),
            "nobody else needs to reach it"
        );
        assert!(get(&place).contains("404"));
        bench.cancel(&job).await;
    }
}

#[tokio::test]
async fn a_private_service_that_others_reach_is_ended_before_its_place_is_told() {
    for address in ["0.0.0.0", "::", "127.0.0.1,0.0.0.0"] {
        let bench = Bench::new();
        let listen = "import signal,socket,sys
for address in sys.argv[2].split(','):
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    globals()[address] = socket.create_server((address, int(sys.argv[1])), family=family, reuse_port=True)
signal.pause()";
        let command = ["python3", "-c", listen, "{port}", address];
        let job = bench.submit(&ServiceSpec { bind: Bind::Loopback, ..spec(&command) }).await;
        assert_eq!(bench.end(&job).await.exit.unwrap().code, 1, "{address}");
        let log = bench.log().await;
        assert!(log.contains("of *, where other users reach it, and was ended"), "{address}: {log}");
        assert!(!bench.file("place.json").exists());
    }
}

#[tokio::test]
async fn an_intention_is_known_before_the_place() {
    let bench = Bench::new();
    let job = bench.start(&["sleep", "1000"]).await;
    let begin = Instant::now();
    let place = loop {
        if let Some(place) = bench.look(Some(&job)).await.place {
            break place;
        }
        assert!(begin.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(!place.listening && (20_000..32_000).contains(&place.port));
    bench.cancel(&job).await;
}

/// The runner alone, as a scheduler of a cluster starts it: not the job's own host, and started again.
#[tokio::test]
async fn a_restarted_job_of_a_cluster_tells_its_new_place() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    for (name, text) in [("env", ""), ("place.json", "{}"), ("exit.json", "{}")] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let runner = Runner {
        id: bench.id,
        dir: path,
        job: "'4711\"; $(id)'",
        host: "'c1\",'",
        restarts: "2",
        same_host: false,
        time_limit: None,
    };
    std::fs::write(dir.path().join("job.sh"), render(&spec(&SERVER), &runner).unwrap()).unwrap();
    let log = std::fs::File::create(dir.path().join("log")).unwrap();
    let mut shell = Command::new("bash").arg(dir.path().join("job.sh")).stdout(log).spawn().unwrap();
    let begin = Instant::now();
    let place = loop {
        match std::fs::read_to_string(dir.path().join("place.json")).map(|text| parse_place(&text)) {
            Ok(Ok(place)) => break place,
            _ => assert!(begin.elapsed() < PATIENCE),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!((&place.job, place.restarts), (&JobId::new("4711_____id_"), 2));
    assert_eq!((place.place.host.as_str(), place.place.loopback), ("c1__", true));
    // As a batch system does: the signal goes to the shell alone.
    kill(shell.id().try_into().unwrap(), rustix::process::Signal::TERM);
    assert_eq!(shell.wait().unwrap().code(), Some(143));
    assert_eq!(
        parse_exit(&std::fs::read_to_string(dir.path().join("exit.json")).unwrap()).unwrap().restarts,
        2
    );
    let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
    assert!(log.contains("--- restart 2 of job 4711_____id_ on "), "{log}");
    assert!(log.contains("out of reach from other hosts"), "{log}");
    assert_eq!(
        processes("environ", |word| word == format!("TOWLINE_SERVICE={}", bench.id)),
        Vec::<i32>::new()
    );
}
