//! Eight processes at a time at one ledger: they run, look at, stop and remove the same services. Nobody is shown an error
//! that is not theirs, and what one was told is still true at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Output};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Sets how many seconds the storm lasts, on 50 services then.
const SECONDS: &str = "TOWLINE_STORM";
const PROCESSES: usize = 8;
/// How long one command may take on a machine that is busy with seven others. Longer is a deadlock.
const STUCK: Duration = Duration::from_secs(120);

/// What one command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    Run,
    List,
    RefreshAll,
    Refresh,
    Show,
    Stop,
    Remove,
}

/// Where it rages, and what is run there.
pub(crate) struct Storm<'a> {
    /// Makes a command of `towline` that uses the one ledger.
    pub(crate) towline: &'a (dyn Fn() -> Command + Sync),
    /// Options, `--` and the server of each service.
    pub(crate) server: &'a [String],
    /// What stands in front of the report.
    pub(crate) title: &'a str,
}

/// What became of one command.
struct Done {
    deed: Deed,
    /// The id that it was about: of a new service if it was run, of the one that was named otherwise.
    id: Option<String>,
    ran: Ran,
    took: Duration,
}

#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ran {
    fn has_succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

/// The services that the processes know: the newest id of each name.
#[derive(Clone, Default)]
struct Known(Arc<Mutex<BTreeMap<usize, String>>>);

/// A few numbers that look like chance, the same for each seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        // Knuth's MMIX constants; the low bits of such a generator are poor.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

fn scale() -> (Duration, usize) {
    match std::env::var(SECONDS).ok().map(|seconds| seconds.parse().unwrap()) {
        Some(seconds) => (Duration::from_secs(seconds), 50),
        None => (Duration::from_secs(4), 8),
    }
}

impl Deed {
    fn draw(chance: &mut Chance) -> Self {
        match chance.below(20) {
            0..7 => Self::Run,
            7..9 => Self::List,
            9..11 => Self::RefreshAll,
            11..13 => Self::Refresh,
            13 => Self::Show,
            14..17 => Self::Stop,
            _ => Self::Remove,
        }
    }

    /// Whether a command may end so by what somebody else has done to the service that it is about.
    fn may_end_with(self, ran: &Ran) -> bool {
        let says = |words: &[&str]| words.iter().any(|word| ran.stderr.contains(word));
        let gone = ran.code == Some(4) && says(&["there is no service", "is not recorded"]);
        match (self, ran.code) {
            (_, Some(0)) => true,
            (Self::Run, Some(7)) => says(&["the name s"]) && says(&[" is taken by service "]),
            (Self::Run, Some(8)) => says(&["ended as STOPPED: stopped on request", "never submitted"]),
            (Self::Remove, Some(5)) => says(&["only ended services can be removed"]),
            (Self::List | Self::RefreshAll, _) => false,
            _ => gone,
        }
    }

    const fn is_of_one(self) -> bool {
        matches!(self, Self::Refresh | Self::Show | Self::Stop | Self::Remove)
    }
}

/// Words that no user is to read because of what other processes do.
const NEVER: [&str; 8] = [
    "at the same time",
    "locked",
    "warning",
    "panicked",
    "SQLSTATE",
    "SQLite",
    "roken pipe",
    "run the command again",
];

impl Storm<'_> {
    /// Lets it rage, checks what must be true afterwards, stops what is left, and returns the ids of all services that
    /// were run.
    pub(crate) fn rage(&self) -> BTreeSet<String> {
        let all = self.blow();
        self.check(&all);
        let living = self.list(&[]);
        let names: Vec<&str> = living.iter().map(|service| service["name"].as_str().unwrap()).collect();
        if !names.is_empty() {
            self.ok(&[&["stop"][..], &names].concat());
        }
        say(&format!("{}: {}", self.title, report(&all)));
        all.iter().filter(|done| done.deed == Deed::Run).filter_map(|done| done.id.clone()).collect()
    }

    fn run(&self, words: &[&str]) -> Ran {
        (self.towline)().args(words).output().unwrap().into()
    }

    #[track_caller]
    fn ok(&self, words: &[&str]) -> String {
        let ran = self.run(words);
        assert!(ran.has_succeeded(), "{words:?}: {ran:#?}");
        ran.stdout
    }

    fn list(&self, words: &[&str]) -> Vec<Value> {
        serde_json::from_str(&self.ok(&[&["ls", "--json"], words].concat())).unwrap()
    }

    fn blow(&self) -> Vec<Done> {
        let (length, names) = scale();
        let (tell, told) = channel();
        let (known, until) = (Known::default(), Instant::now() + length);
        let mut all: Vec<Done> = Vec::new();
        std::thread::scope(|scope| {
            for seed in 0..PROCESSES {
                let (tell, known) = (tell.clone(), known.clone());
                scope.spawn(move || self.wreak(seed, names, until, &known, &tell));
            }
            drop(tell);
            loop {
                match told.recv_timeout(STUCK) {
                    Ok(done) => all.push(done),
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => {
                        // A panic would wait for whoever waits for that command.
                        let why = format!("a command has not ended after {} s", STUCK.as_secs());
                        say(&why);
                        std::process::abort();
                    }
                }
            }
        });
        all
    }

    /// One of the processes: one command after the other, until the time is over.
    fn wreak(&self, seed: usize, names: usize, until: Instant, known: &Known, tell: &Sender<Done>) {
        let mut chance = Chance(u64::try_from(seed).unwrap() + 1);
        while Instant::now() < until {
            let (deed, number) = (Deed::draw(&mut chance), chance.below(names));
            let id = known.0.lock().unwrap().get(&number).cloned();
            if deed.is_of_one() && id.is_none() {
                continue;
            }
            // By its name a service can be meant while it is still being started; who removes one is to know which.
            let id = id.filter(|_| deed == Deed::Remove || chance.below(2) == 0);
            let name = format!("s{number}");
            let word = id.as_ref().unwrap_or(&name);
            let begun = Instant::now();
            let ran = match deed {
                Deed::Run => {
                    let server = self.server.iter().map(String::as_str);
                    let words = ["run", "--json", "--detach", "--name", &name].into_iter();
                    self.run(&words.chain(server).collect::<Vec<_>>())
                }
                Deed::List => self.run(&["ls", "--all"]),
                Deed::RefreshAll => self.run(&["refresh"]),
                Deed::Refresh => self.run(&["refresh", word]),
                Deed::Show => self.run(&["show", word]),
                Deed::Stop => self.run(&["stop", word]),
                Deed::Remove => self.run(&["rm", word]),
            };
            let new = || serde_json::from_str::<Value>(&ran.stdout).ok()?["id"].as_str().map(str::to_owned);
            let id = if deed == Deed::Run { new() } else { id };
            if let (Deed::Run, Some(id)) = (deed, &id) {
                known.0.lock().unwrap().insert(number, id.clone());
            }
            tell.send(Done { deed, id, ran, took: begun.elapsed() }).unwrap();
        }
    }

    /// What is still true at the end.
    fn check(&self, all: &[Done]) {
        for Done { deed, id, ran, .. } in all {
            assert!(deed.may_end_with(ran), "{deed:?} {id:?}: {ran:#?}");
            let never = NEVER.iter().find(|word| ran.stderr.contains(**word));
            assert_eq!(never, None, "{deed:?} {id:?}: {ran:#?}");
        }
        let checked: Value = serde_json::from_str(&self.ok(&["db", "check", "--json"])).unwrap();
        assert_eq!(checked["sound"], true, "{checked:#}");
        let listed = self.list(&["--all", "--no-refresh"]);
        let status = |id: &str| listed.iter().find(|s| s["id"] == id).map(|s| s["status"].as_str().unwrap());
        let ids =
            |deed: Deed| all.iter().filter(move |done| done.deed == deed).filter_map(|done| done.id.clone());
        let succeeded = |deed: Deed| {
            let done = all.iter().filter(move |done| done.deed == deed && done.ran.has_succeeded());
            done.filter_map(|done| done.id.clone()).collect::<BTreeSet<String>>()
        };
        let (removed, stopped) = (succeeded(Deed::Remove), succeeded(Deed::Stop));
        for id in ids(Deed::Run) {
            match status(&id) {
                Some(_) => assert!(!removed.contains(&id), "{id} was removed, and is there again"),
                None => assert!(removed.contains(&id), "{id} is lost"),
            }
        }
        for id in &stopped {
            let ended = status(id).is_none_or(|status| status == "STOPPED");
            assert!(ended, "{id} was stopped, and is {:?}", status(id));
        }
        let removals =
            all.iter().filter(|done| done.deed == Deed::Remove && done.ran.has_succeeded()).count();
        assert_eq!(removals, removed.len(), "each service is removed once");
    }
}

/// What a macro prints, the test runner swallows.
fn say(text: &str) {
    let mut stderr = std::io::stderr();
    writeln!(stderr, "{text}").unwrap();
}

/// How it went, as `docs/testing.md` has it.
fn report(all: &[Done]) -> String {
    let mut outcomes: BTreeMap<(Deed, i32), usize> = BTreeMap::new();
    for done in all {
        *outcomes.entry((done.deed, done.ran.code.unwrap_or(-1))).or_default() += 1;
    }
    let slowest = all.iter().map(|done| done.took).max().unwrap_or_default();
    let head = format!("{} commands, the slowest took {} ms", all.len(), slowest.as_millis());
    let line = |((deed, code), count)| format!("\n  {deed:?} exit {code}: {count}");
    outcomes.into_iter().map(line).fold(head, |text, line: String| text + &line)
}
