//! A scheduler in a directory of its own, which takes every process with it when the test is over.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getsid, kill_process};
use tempfile::TempDir;
use towline_core::id::{JobId, ServiceId};
use towline_core::job::{JobEnd, JobReport, JobState, Place, Sight, Sighting};
use towline_core::ports::{LogFrom, Scheduler, ServiceFiles, Subject};
use towline_core::ready::Ready;
use towline_core::resources::Resources;
use towline_core::spec::{Bind, ServiceSpec};
use towline_core::time::Timestamp;
use towline_local::LocalScheduler;

/// How long to wait for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Bench {
    pub(crate) scheduler: LocalScheduler,
    pub(crate) id: ServiceId,
    pub(crate) root: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        Self { scheduler: LocalScheduler::new(root.path()), id: new_id(), root }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.root.path().join(self.id.to_string()).join(name)
    }

    pub(crate) async fn start(&self, command: &[&str]) -> JobId {
        self.submit(&spec(command)).await
    }

    pub(crate) async fn submit(&self, spec: &ServiceSpec) -> JobId {
        self.scheduler.submit(self.id, spec).await.unwrap()
    }

    pub(crate) async fn look(&self, job: Option<&JobId>) -> Sighting {
        let subject = Subject { id: self.id, job: job.cloned(), created_at: Timestamp::from_secs(0) };
        self.scheduler.survey(&[subject]).await.unwrap().sightings.remove(&self.id).unwrap()
    }

    pub(crate) async fn report(&self, job: &JobId) -> JobReport {
        match self.look(Some(job)).await.sight {
            Sight::Seen(report) => report,
            other => panic!("not seen: {other:?}"),
        }
    }

    pub(crate) async fn place(&self, job: &JobId) -> Place {
        let begin = Instant::now();
        loop {
            let sighting = self.look(Some(job)).await;
            if let Some(place) = sighting.place.filter(|place| place.listening) {
                return place;
            }
            assert!(begin.elapsed() < PATIENCE, "no place: {:?}\n{}", sighting.sight, self.log().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn end(&self, job: &JobId) -> JobEnd {
        let begin = Instant::now();
        loop {
            let report = self.report(job).await;
            if let JobState::Ended(end) = report.state {
                assert_eq!(marked(self.id), Vec::<i32>::new(), "processes are left");
                return end;
            }
            assert!(begin.elapsed() < PATIENCE, "has not ended: {report:?}\n{}", self.log().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn cancel(&self, job: &JobId) -> JobEnd {
        self.scheduler.cancel(self.id, job).await.unwrap();
        self.end(job).await
    }

    /// Waits until no record tells a place any more: a later run of the job must not be taken to have one yet.
    pub(crate) async fn takes_back_its_place(&self) {
        let begin = Instant::now();
        while self.file("place.json").exists() || self.file("attempt.json").exists() {
            assert!(begin.elapsed() < PATIENCE, "a place stays told: {}", self.log().await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn log(&self) -> String {
        let chunk = self.scheduler.read_log(self.id, LogFrom::Offset(0), Duration::ZERO).await.unwrap();
        String::from_utf8(chunk.bytes).unwrap()
    }

    pub(crate) async fn logged(&self, text: &str) {
        let begin = Instant::now();
        while !self.log().await.contains(text) {
            assert!(begin.elapsed() < PATIENCE, "{text:?} is not in the log: {}", self.log().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        end_processes(self.id);
    }
}

/// Ends whatever runs for a service.
pub(crate) fn end_processes(id: ServiceId) {
    // The shells first: they must not start anything more.
    for pid in shells(id) {
        kill(pid, Signal::STOP);
        for other in processes("stat", |line| session(line) == Some(pid)) {
            kill(other, Signal::KILL);
        }
    }
    for pid in marked(id) {
        kill(pid, Signal::KILL);
    }
}

fn session(stat: &str) -> Option<i32> {
    stat.rsplit(')').next()?.split_ascii_whitespace().nth(3)?.parse().ok()
}

/// An id that no other test has, in whichever process: processes are found by it.
pub(crate) fn new_id() -> ServiceId {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:08x}-0000-4000-8000-{count:012x}", std::process::id()).parse().unwrap()
}

pub(crate) fn spec(command: &[&str]) -> ServiceSpec {
    ServiceSpec {
        name: "web".parse().unwrap(),
        profile: "local".into(),
        command: command.iter().map(ToString::to_string).collect(),
        setup: Vec::new(),
        env: BTreeMap::new(),
        secret: None,
        chdir: None,
        container: None,
        bind: Bind::All,
        health: "/".into(),
        ready: Ready::default(),
        grace: Duration::from_secs(60),
        resources: Resources::default(),
    }
}

/// The server of most tests.
pub(crate) const SERVER: [&str; 6] = ["python3", "-m", "http.server", "{port}", "--bind", "127.0.0.1"];

/// The first line of the answer to a GET.
pub(crate) fn get(place: &Place) -> String {
    let mut stream = TcpStream::connect((place.host.as_str(), place.port)).unwrap();
    stream.write_all(b"GET /nothing HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap().to_owned()
}

/// The processes that carry the mark of a service.
pub(crate) fn marked(id: ServiceId) -> Vec<i32> {
    processes("environ", |environment| environment == format!("TOWLINE_SERVICE={id}"))
}

/// The shells that run a service's job; not the copies of themselves that they make to start other programs.
pub(crate) fn shells(id: ServiceId) -> Vec<i32> {
    let mut found = processes("cmdline", |word| word.ends_with(&format!("{id}/job.sh")));
    found.retain(|pid| Pid::from_raw(*pid).is_some_and(|pid| getsid(Some(pid)) == Ok(pid)));
    found
}

/// The processes that have such a word in a list separated by NUL characters.
pub(crate) fn processes(list: &str, is_it: impl Fn(&str) -> bool) -> Vec<i32> {
    let pids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let has_word = |pid: &i32| {
        let bytes = fs::read(format!("/proc/{pid}/{list}")).unwrap_or_default();
        bytes.split(|byte| *byte == 0).any(|word| is_it(&String::from_utf8_lossy(word)))
    };
    pids.filter(has_word).collect()
}

pub(crate) fn kill(pid: i32, signal: Signal) {
    // It may have ended meanwhile.
    let _ = kill_process(Pid::from_raw(pid).unwrap(), signal);
}
