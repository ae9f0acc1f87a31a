//! How the stories of healing are told: a service, somebody who uses its URL without a pause, a fault, and whoever heals it.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Lab, Running, SOON, eventually, get_within};

/// How long healing may take on a machine that is busy. What it takes is printed.
const HEALED: Duration = Duration::from_secs(60);

/// How long a user's client waits for a server that is silent. No request may end by this.
const CLIENT: Duration = Duration::from_secs(25);

/// How often a client asks.
const PAUSE: Duration = Duration::from_millis(50);

/// Whoever heals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// `towline keep`, which runs all the time.
    Keep,
    /// This command, which somebody repeats every second, all the time.
    Watch(&'static str),
    /// This command, which nobody runs before the fault is over.
    Later(&'static str),
}

/// Whoever looks, until it is dropped.
pub(crate) struct Looker {
    by: By,
    running: Option<Running>,
    stop: std::path::PathBuf,
}

impl Looker {
    /// Begins to look.
    pub(crate) fn start(lab: &Lab, by: By) -> Self {
        let stop = lab.path("stop");
        let running = match by {
            By::Keep => {
                let keeper = lab.start(&["keep"]);
                eventually("the keeper", SOON, || keeper.stdout().contains("HEALTHY").then_some(()));
                Some(keeper)
            }
            By::Watch(words) => Some(Self::repeat(lab, words, &stop)),
            By::Later(_) => None,
        };
        Self { by, running, stop }
    }

    fn repeat(lab: &Lab, words: &str, stop: &std::path::Path) -> Running {
        let mut shell = lab.command();
        let towline = shell.get_program().to_owned();
        let text = format!("until [ -e \"$1\" ]; do \"$0\" {words}; sleep 1; done");
        let mut command = std::process::Command::new("sh");
        command.env_clear().arg("-c").arg(text).arg(towline).arg(stop).current_dir(lab.path("home"));
        let variables = shell.env("LANG", "C.UTF-8").get_envs();
        command.envs(variables.filter_map(|(name, value)| Some((name, value?))));
        Running::start(&mut command, b"")
    }

    /// The process that looks, if it is one.
    pub(crate) fn keeper(&self) -> Option<&Running> {
        self.running.as_ref().filter(|_| self.by == By::Keep)
    }

    /// The fault is over.
    fn go_on(&mut self, lab: &Lab) {
        if let By::Later(words) = self.by {
            self.running = Some(Self::repeat(lab, words, &self.stop));
        }
    }

    /// Ends, and gives what was said.
    pub(crate) fn end(mut self) -> String {
        let Some(running) = self.running.take() else { return String::new() };
        match self.by {
            By::Keep => running.signal(Signal::TERM),
            By::Watch(_) | By::Later(_) => std::fs::write(&self.stop, "").unwrap(),
        }
        let output = running.finish(HEALED).code(0);
        drop(std::fs::remove_file(&self.stop));
        output.stdout + &output.stderr
    }
}

/// A client that asks for a URL without a pause.
pub(crate) struct Client {
    over: Arc<AtomicBool>,
    thread: JoinHandle<(Duration, usize)>,
}

impl Client {
    /// Begins to ask.
    pub(crate) fn start(url: &str) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (told, url) = (over.clone(), url.to_owned());
        let thread = spawn(move || {
            let (mut longest, mut silent) = (Duration::ZERO, 0);
            while !told.load(Ordering::Relaxed) {
                let began = Instant::now();
                let answer = get_within(&url, CLIENT);
                longest = longest.max(began.elapsed());
                let is_silence = |kind| matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut);
                silent += usize::from(answer.is_err_and(|error| is_silence(error.kind())));
                sleep(PAUSE);
            }
            (longest, silent)
        });
        Self { over, thread }
    }

    /// Ends, and gives how long the longest request took, whatever became of it, and how many were never told anything.
    pub(crate) fn end(self) -> (Duration, usize) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// A lab with the service `web`, and whoever heals that.
pub(crate) struct Patient<'a> {
    lab: &'a Lab,
    looker: Looker,
}

/// A fault that befalls all of them while they are looked at; gives the moment at which it was over.
pub(crate) type Harm<'a> = &'a dyn Fn(&[Patient<'_>]) -> Instant;

/// Tells how long it takes each of `healers` until the URL of the service `web` answers again after `harm`; that no
/// request is left in silence; and that the URL is the same. One after the other in one lab.
#[track_caller]
pub(crate) fn measure(lab: &Lab, what: &str, healers: &[By], harm: Harm<'_>) {
    for by in healers {
        heal(&[(lab, *by)], what, harm);
    }
}

/// The same after one fault for all, each in a lab of its own: for faults that last.
#[track_caller]
pub(crate) fn measure_at_once(labs: &[Lab], what: &str, healers: &[By], harm: Harm<'_>) {
    let cases: Vec<(&Lab, By)> = labs.iter().zip(healers.iter().copied()).collect();
    assert_eq!(cases.len(), healers.len(), "a lab for each");
    heal(&cases, what, harm);
}

#[track_caller]
#[expect(clippy::print_stdout, reason = "figures, for who wants them")]
fn heal(cases: &[(&Lab, By)], what: &str, harm: Harm<'_>) {
    let before: Vec<Value> = cases.iter().map(|(lab, _)| lab.show("web")).collect();
    let urls = || before.iter().map(|web| web["url"].as_str().unwrap().to_owned());
    let started = cases.iter().map(|(lab, by)| Patient { lab, looker: Looker::start(lab, *by) });
    let mut patients: Vec<Patient<'_>> = started.collect();
    let clients: Vec<Client> = urls().map(|url| Client::start(&url)).collect();
    let over = harm(&patients);
    patients.iter_mut().for_each(|patient| patient.looker.go_on(patient.lab));
    let name = format!("{what}: an answer");
    let answer = |url: String| {
        let name = name.clone();
        spawn(move || eventually(&name, HEALED, || answered(&url).then(|| over.elapsed())))
    };
    let answers: Vec<_> = urls().map(answer).collect();
    let took: Vec<Duration> = answers.into_iter().map(|answer| answer.join().unwrap()).collect();
    let used: Vec<(Duration, usize)> = clients.into_iter().map(Client::end).collect();
    for (((Patient { lab, looker }, before), took), (longest, silent)) in
        patients.into_iter().zip(&before).zip(took).zip(used)
    {
        let by = looker.by;
        let said = looker.end();
        println!("heal: {what}: by {by:?} {:.1} s; the longest request {:.1} s", secs(took), secs(longest));
        assert_eq!(silent, 0, "{what}: requests that were never told anything: {said}");
        let after = healthy(lab);
        assert_eq!((&after["url"], &after["local_port"]), (&before["url"], &before["local_port"]), "{said}");
        assert_eq!(lab.ssh_processes().len(), 1, "{:?}", lab.ssh_processes());
    }
}

/// This machine sleeps for so many seconds, as the ssh masters and the keepers on it do, while `fault` happens elsewhere. Gives
/// the moment at which it wakes.
pub(crate) fn suspend(patients: &[Patient<'_>], secs: u64, fault: impl FnOnce()) -> Instant {
    let masters: Vec<u32> = patients.iter().map(|patient| master(patient.lab)).collect();
    let send = |sent: Signal| {
        masters.iter().for_each(|pid| signal(*pid, sent));
        patients.iter().filter_map(|patient| patient.looker.keeper()).for_each(|keeper| keeper.signal(sent));
    };
    send(Signal::STOP);
    fault();
    sleep(Duration::from_secs(secs));
    let woke = Instant::now();
    send(Signal::CONT);
    woke
}

/// Whether the URL answers at once.
pub(crate) fn answered(url: &str) -> bool {
    get_within(url, Duration::from_secs(1)).is_ok_and(|page| page.status == 200)
}

/// The service once it is HEALTHY.
#[track_caller]
pub(crate) fn healthy(lab: &Lab) -> Value {
    lab.wait_for("web", "HEALTHY", HEALED)
}

/// The pid of the lab's one ssh master.
#[track_caller]
pub(crate) fn master(lab: &Lab) -> u32 {
    eventually("one ssh master", SOON, || match &lab.ssh_processes()[..] {
        [(pid, _)] => Some(*pid),
        _ => None,
    })
}

/// Sends a signal to a process.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

const fn secs(duration: Duration) -> f32 {
    duration.as_secs_f32()
}
