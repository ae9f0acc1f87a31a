//! Two processes that write one ledger, killed again and again in the middle of it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use towline_core::id::ServiceId;
use towline_core::lifecycle::Life;
use towline_core::ports::{Change, Ledger, SaveOutcome, Select};
use towline_core::service::{Event, Service};
use towline_core::testing::{sample_lives, sample_service};
use towline_store::{Location, Store};

use crate::shared::insert;

const FILE: &str = "TOWLINE_TEST_FILE";
const WRITER: &str = "TOWLINE_TEST_WRITER";

/// How many processes are killed.
const KILLS: u32 = 200;
/// How many services a writer keeps, and saves with each save.
const KEPT: usize = 6;

/// A process that writes, and what it has said so far.
struct Writer {
    number: u32,
    child: Child,
    said: BufReader<ChildStdout>,
    told: Told,
}

/// What a process was told by the ledger: the generation of each of its services, `None` for a removed one.
#[derive(Default)]
struct Told {
    generations: BTreeMap<String, Option<u64>>,
    /// The service that it was about to remove.
    removing: Option<String>,
    lines: usize,
}

impl Told {
    fn line(&mut self, line: &str) {
        // The runner of tests prints before the first one, without a line end.
        let Some((_, words)) = line.rsplit_once("ledger: ") else { return };
        self.lines += 1;
        let words: Vec<&str> = words.split(' ').collect();
        match words.as_slice() {
            ["saved", id, generation] => {
                _ = self.generations.insert((*id).to_owned(), Some(generation.parse().unwrap()))
            }
            ["removing", id] => self.removing = Some((*id).to_owned()),
            ["removed", id] => {
                self.removing = None;
                self.generations.insert((*id).to_owned(), None);
            }
            // The last line may be cut off.
            _ => {}
        }
    }
}

impl Writer {
    fn start(file: &Path, number: u32) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kills::part_write_until_killed", "--ignored", "--nocapture"])
            .env(FILE, file)
            .env(WRITER, number.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { number, child, said, told: Told::default() }
    }

    /// Kills it once it has been told of `lines` things, and returns all that it was told.
    fn kill(mut self, lines: usize) -> (u32, Told) {
        let mut line = String::new();
        while self.told.lines < lines {
            line.clear();
            assert!(self.said.read_line(&mut line).unwrap() > 0, "writer {} ended by itself", self.number);
            self.told.line(line.trim_end());
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut rest = Vec::new();
        self.said.read_to_end(&mut rest).unwrap();
        // What follows the last line end was not said to its end.
        let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        for line in String::from_utf8_lossy(&rest[..whole]).lines() {
            self.told.line(line);
        }
        (self.number, self.told)
    }
}

/// Holds a ledger against what a killed process was told, and removes what that has left.
async fn check(location: &Location, number: u32, told: &Told) {
    let report = Store::check(location).await.unwrap();
    assert_eq!(report.problems, [], "after kill {number}");
    let store = Store::open(location).await.unwrap();
    let listing = store.list(Select::All).await.unwrap();
    let found: BTreeMap<String, u64> =
        listing.services.iter().map(|service| (service.id.to_string(), service.generation)).collect();
    for (id, generation) in &told.generations {
        match (generation, found.get(id)) {
            (None, Some(_)) => panic!("kill {number}: {id} was removed, and is there again"),
            (Some(_), None) => assert_eq!(told.removing.as_ref(), Some(id), "kill {number}: {id} is lost"),
            (Some(told), Some(found)) => assert!(found >= told, "kill {number}: {id} went back"),
            (None, None) => {}
        }
    }
    for service in listing.services.iter().filter(|service| told.generations.contains_key(&id(service))) {
        store.remove(service.id, service.generation).await.unwrap();
    }
    store.close().await.unwrap();
}

fn id(service: &Service) -> String {
    service.id.to_string()
}

#[tokio::test]
async fn a_ledger_outlives_two_hundred_kills_in_mid_write() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("towline.db");
    let location = Location::Sqlite(file.clone());
    let (mut saves, mut unfinished) = (0, 0);
    // Of each pair the first dies while the other writes on, and the second leaves nobody who has the ledger open.
    for pair in 0..KILLS / 2 {
        let lines = 1 + usize::try_from(pair).unwrap() % 25;
        let writers = [Writer::start(&file, 2 * pair + 1), Writer::start(&file, 2 * pair + 2)];
        for (writer, lines) in writers.into_iter().zip([lines, lines + 5]) {
            let (number, told) = writer.kill(lines);
            // What the last one wrote is not in the file yet: the next opening has to recover it.
            unfinished += u32::from(dir.path().join("towline.db-wal").exists());
            saves += told.lines;
            check(&location, number, &told).await;
        }
    }
    assert!(saves > 1_000, "{saves} things were told");
    assert!(unfinished >= KILLS / 2, "{unfinished} kills left something to recover");
}

#[tokio::test]
#[ignore = "a part of a_ledger_outlives_two_hundred_kills_in_mid_write"]
async fn part_write_until_killed() {
    let (Some(file), Ok(writer)) = (std::env::var_os(FILE).map(PathBuf::from), std::env::var(WRITER)) else {
        return;
    };
    let store = Store::open(&Location::Sqlite(file)).await.unwrap();
    let first = writer.parse::<u32>().unwrap() * 100_000;
    let lives = sample_lives();
    let mut kept: Vec<Service> = Vec::new();
    for n in 0.. {
        let service = sample_service(first + n, &format!("s{writer}-{n}"));
        insert(&store, &service).await.unwrap();
        println!("ledger: saved {} 0", service.id);
        kept.push(service);
        live_on(&store, &mut kept, &lives[usize::try_from(n).unwrap() % lives.len()]).await;
        if kept.len() > KEPT {
            let Service { id, generation, .. } = kept.remove(0);
            println!("ledger: removing {id}");
            store.remove(id, generation).await.unwrap();
            println!("ledger: removed {id}");
        }
    }
}

/// Saves all of `kept` with another life, and the events that this is.
#[expect(clippy::print_stdout, reason = "so it tells who kills it how far it is")]
async fn live_on(store: &Store, kept: &mut [Service], life: &Life) {
    let mut changes = Vec::new();
    for service in kept.iter_mut() {
        let from = service.status();
        service.life = life.clone();
        let (at, to) = (service.created_at, service.status());
        let event = (from != to).then(|| Event { at, from: Some(from), to, why: "x".repeat(500) });
        changes.push(Change { service: service.clone(), event });
    }
    let outcomes = store.save(&changes).await.unwrap();
    for (service, outcome) in kept.iter_mut().zip(outcomes) {
        let SaveOutcome::Saved(generation) = outcome else { panic!("nobody else writes {}", service.id) };
        service.generation = generation;
        let id: ServiceId = service.id;
        println!("ledger: saved {id} {generation}");
    }
}
