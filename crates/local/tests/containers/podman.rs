//! The Podman of the tests, and services in its containers.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use towline_core::container::{ContainerConfig, Network};
use towline_core::id::{JobId, ServiceId};
use towline_core::job::{JobEnd, JobReport, JobState, Place, Sight, Sighting};
use towline_core::ports::{LogFrom, Scheduler, ServiceFiles, Subject};
use towline_core::ready::Ready;
use towline_core::resources::Resources;
use towline_core::spec::{Bind, ServiceSpec};
use towline_core::time::Timestamp;
use towline_local::LocalScheduler;

const PATIENCE: Duration = Duration::from_secs(60);

/// The image of the tests; `None`, said on the real standard error with the test's name, where there is no Podman for them.
pub(crate) fn image(test: &str) -> Option<String> {
    let Some(dir) = std::env::var_os("TOWLINE_TEST_PODMAN").map(PathBuf::from) else {
        // What a macro prints, the test runner swallows.
        let said = writeln!(std::io::stderr(), "SKIPPED {test}: TOWLINE_TEST_PODMAN is not set");
        said.unwrap();
        return None;
    };
    // Never the machine's own.
    assert!(PathBuf::from(std::env::var_os("CONTAINERS_STORAGE_CONF").unwrap()).starts_with(&dir));
    Some(std::fs::read_to_string(dir.join("image")).unwrap().trim().to_owned())
}

/// A service that has not been started, in a directory of its own. Its container is removed when the test is over.
pub(crate) struct Bench {
    pub(crate) scheduler: LocalScheduler,
    pub(crate) id: ServiceId,
    pub(crate) root: TempDir,
    pub(crate) container: ContainerConfig,
}

/// An id that no other test has, in whichever process.
pub(crate) fn new_id() -> ServiceId {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:08x}-0000-4000-8000-c{count:011x}", std::process::id()).parse().unwrap()
}

impl Bench {
    /// One in each network.
    pub(crate) fn in_each_network(test: &str) -> Vec<Self> {
        let Some(in_host) = Self::new(test, Network::Host) else { return Vec::new() };
        [Some(in_host), Self::new(test, Network::Bridge)].into_iter().flatten().collect()
    }

    pub(crate) fn new(test: &str, network: Network) -> Option<Self> {
        let container = ContainerConfig { network, ..ContainerConfig::new("podman", image(test)?) };
        let root = tempfile::tempdir().unwrap();
        Some(Self { scheduler: LocalScheduler::new(root.path()), id: new_id(), root, container })
    }

    pub(crate) fn spec(&self, script: &str) -> ServiceSpec {
        spec(&self.container, script)
    }

    pub(crate) fn name(&self) -> String {
        format!("towline-{}", self.id)
    }

    pub(crate) async fn start(&self, script: &str) -> JobId {
        self.scheduler.submit(self.id, &self.spec(script)).await.unwrap()
    }

    pub(crate) async fn look(&self) -> Sighting {
        let subject = Subject { id: self.id, job: None, created_at: Timestamp::from_secs(0) };
        self.scheduler.survey(&[subject]).await.unwrap().sightings.remove(&self.id).unwrap()
    }

    pub(crate) async fn report(&self) -> JobReport {
        match self.look().await.sight {
            Sight::Seen(report) => report,
            other => panic!("not seen: {other:?}\n{}", self.log().await),
        }
    }

    pub(crate) async fn place(&self) -> Place {
        let begin = Instant::now();
        loop {
            let sighting = self.look().await;
            if let Some(place) = sighting.place.filter(|place| place.listening) {
                return place;
            }
            assert!(begin.elapsed() < PATIENCE, "no place: {:?}\n{}", sighting.sight, self.log().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn reaches(&self, what: &str, is_it: impl Fn(&Sight) -> bool) -> Sight {
        let begin = Instant::now();
        loop {
            let sight = self.look().await.sight;
            if is_it(&sight) {
                return sight;
            }
            assert!(begin.elapsed() < PATIENCE, "not {what}: {sight:?}\n{}", self.log().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn end(&self) -> JobEnd {
        let has_ended = |sight: &Sight| matches!(sight, Sight::Seen(report) if report.state.has_ended());
        match self.reaches("ended", has_ended).await {
            Sight::Seen(JobReport { state: JobState::Ended(end), .. }) => end,
            _ => unreachable!(),
        }
    }

    pub(crate) async fn log(&self) -> String {
        let chunk = self.scheduler.read_log(self.id, LogFrom::Offset(0), Duration::ZERO).await;
        chunk.map(|chunk| String::from_utf8_lossy(&chunk.bytes).into_owned()).unwrap_or_default()
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
        clean_up(self.id);
    }
}

/// Ends the job of a service and removes its container.
pub(crate) fn clean_up(id: ServiceId) {
    for pid in shells(id) {
        drop(Command::new("kill").args(["-KILL", "--", &format!("-{pid}"), &pid.to_string()]).output());
    }
    podman(&["rm", "--force", "--ignore", "--time", "0", &format!("towline-{id}")]);
}

pub(crate) fn podman(words: &[&str]) -> String {
    let output = Command::new("podman").args(words).output().unwrap();
    assert!(output.status.success(), "podman {words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The containers that carry a service's id, running or not.
pub(crate) fn containers(id: ServiceId) -> Vec<String> {
    let filter = format!("label=towline.service={id}");
    let listed = podman(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"]);
    listed.lines().map(str::to_owned).collect()
}

/// The shells that run a service's job.
pub(crate) fn shells(id: ServiceId) -> Vec<i32> {
    let script = format!("{id}/job.sh");
    let pids = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let leads = |pid: &i32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let session =
            stat.rsplit(')').next().and_then(|rest| rest.split_ascii_whitespace().nth(3)?.parse().ok());
        session == Some(*pid) && words.split(|byte| *byte == 0).any(|word| word.ends_with(script.as_bytes()))
    };
    pids.filter(leads).collect()
}

/// A service that runs a script of the image's shell in such a container.
pub(crate) fn spec(container: &ContainerConfig, script: &str) -> ServiceSpec {
    ServiceSpec {
        name: "web".parse().unwrap(),
        profile: "local".into(),
        command: ["sh", "-c", script].map(String::from).to_vec(),
        setup: Vec::new(),
        env: BTreeMap::new(),
        secret: None,
        chdir: None,
        container: Some(Box::new(container.clone())),
        bind: Bind::All,
        health: "/".into(),
        ready: Ready::default(),
        grace: Duration::from_secs(60),
        resources: Resources::default(),
    }
}

/// Serves a page, says what it serves, and ends when it is asked to, as the first process of a container does only if it
/// takes care of that.
pub(crate) const SERVER: &str =
    "trap 'echo asked; exit 143' TERM; httpd -f -p {host}:{port} -h /www & echo serving; wait";

/// The body of the answer to a GET, and nothing if there is none.
pub(crate) fn get(place: &Place) -> String {
    use std::io::Read as _;
    let answer = || -> std::io::Result<String> {
        let mut stream = std::net::TcpStream::connect((place.host.as_str(), place.port))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    answer().unwrap_or_default()
}
