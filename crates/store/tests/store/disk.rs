//! Disks that are full or read-only: real ones, mounted in a mount namespace of their own that ends with its process.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;

use towline_core::ports::{Ledger, LedgerError, Select};
use towline_core::testing::sample_service;
use towline_store::{BackupError, Location, Store};

use crate::shared::{insert, names, open, save, skip};

/// Where the part of a test that runs on a disk of its own finds it mounted.
const DISK: &str = "TOWLINE_TEST_DISK";

/// Runs the ignored test `part` with a disk of 512 KiB; says so if this machine does not let us mount one.
fn on_a_small_disk(test: &str, part: &str) {
    let dir = tempfile::tempdir().unwrap();
    let is_root = dir.path().metadata().unwrap().uid() == 0;
    let namespace: &[&str] = if is_root { &["--mount"] } else { &["--mount", "--map-root-user"] };
    let on_a_disk = |program: &[&OsStr]| {
        let mut command = Command::new("unshare");
        let script = "mount -t tmpfs -o size=512k,mode=700 tmpfs \"$1\" && shift && exec \"$@\"";
        command.args(namespace).args(["--", "sh", "-c", script, "sh"]).arg(dir.path()).args(program);
        command.env(DISK, dir.path()).output()
    };
    if !on_a_disk(&["true".as_ref()]).is_ok_and(|output| output.status.success()) {
        return skip(test, "unshare(1) and mount(8) cannot make a disk in a namespace here");
    }
    let this = std::env::current_exe().unwrap();
    let run =
        [this.as_os_str(), "--exact".as_ref(), part.as_ref(), "--ignored".as_ref(), "--nocapture".as_ref()];
    let output = on_a_disk(&run).unwrap();
    let printed =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
}

fn disk() -> Option<PathBuf> {
    std::env::var_os(DISK).map(PathBuf::from)
}

fn mount<const N: usize>(args: [&str; N]) {
    assert!(Command::new("mount").args(args).status().unwrap().success(), "mount {args:?}");
}

fn remount(options: &str) {
    let (disk, options) = (disk().unwrap(), format!("remount,{options}"));
    // With the source named too, mount(8) adds no options of its own, such as a uid that means nothing in here.
    mount(["-t", "tmpfs", "-o", &options, "tmpfs", disk.to_str().unwrap()]);
}

#[test]
fn a_full_disk_is_told_and_nothing_is_lost() {
    on_a_small_disk("a_full_disk_is_told_and_nothing_is_lost", "disk::part_full");
}

#[tokio::test]
#[ignore = "a part of a_full_disk_is_told_and_nothing_is_lost"]
async fn part_full() {
    let Some(disk) = disk() else { return };
    let store = open(&disk.join("towline.db")).await.unwrap();
    let mut kept = Vec::new();
    let error = loop {
        let n = u32::try_from(kept.len()).unwrap();
        let service = sample_service(n, &format!("s{n}"));
        match insert(&store, &service).await {
            Ok(()) => kept.push(service),
            Err(error) => break error,
        }
        assert!(kept.len() < 10_000, "the disk is never full");
    };
    assert!(matches!(error, LedgerError::Full { .. }), "{error:?}");
    assert!(kept.len() > 10, "{}", kept.len());
    assert_eq!(store.list(Select::All).await.unwrap().services, kept);
    let location = Location::Sqlite(disk.join("towline.db"));
    assert_eq!(Store::check(&location).await.unwrap().problems, []);
    // The copy's disk is full here, as the ledger's is; elsewhere there is room.
    let copied = Store::back_up(&location, &disk.join("copy.db"), false).await;
    assert!(matches!(copied, Err(BackupError::Write { .. })), "{copied:?}");
    assert!(!disk.join("copy.db").exists());
    let elsewhere = tempfile::tempdir().unwrap();
    Store::back_up(&location, &elsewhere.path().join("copy.db"), false).await.unwrap();
    remount("size=4m");
    save(&store, &kept[0]).await.unwrap();
}

#[test]
fn a_ledger_that_cannot_be_created_for_want_of_space_is_told() {
    on_a_small_disk("a_ledger_that_cannot_be_created_for_want_of_space_is_told", "disk::part_create_full");
}

#[tokio::test]
#[ignore = "a part of a_ledger_that_cannot_be_created_for_want_of_space_is_told"]
async fn part_create_full() {
    let Some(disk) = disk() else { return };
    // From nothing left at all to nearly enough: whichever file does not fit, it is told as a full disk.
    let mut told = 0;
    for free in [0, 1, 2, 3, 5, 9, 13, 17, 25, 33] {
        let filler = disk.join("filler");
        fs::write(&filler, vec![1; 1 << 20]).unwrap_err();
        let full = fs::metadata(&filler).unwrap().len();
        fs::OpenOptions::new().write(true).open(&filler).unwrap().set_len(full - 4096 * free).unwrap();
        let path = disk.join(format!("{free}/towline.db"));
        match open(&path).await {
            Err(LedgerError::Full { .. }) => told += 1,
            Ok(store) => store.close().await.unwrap(),
            Err(other) => panic!("{free} free pages: a full disk, not {other:?}"),
        }
        // What was left behind half made is no hindrance once there is space.
        fs::remove_file(&filler).unwrap();
        let store = open(&path).await.unwrap();
        insert(&store, &sample_service(1, "web")).await.unwrap();
        store.close().await.unwrap();
        fs::remove_dir_all(disk.join(free.to_string())).unwrap();
    }
    assert!(told >= 5, "{told}");
}

#[test]
fn a_read_only_disk_is_told() {
    on_a_small_disk("a_read_only_disk_is_told", "disk::part_read_only");
}

#[tokio::test]
#[ignore = "a part of a_read_only_disk_is_told"]
async fn part_read_only() {
    let Some(disk) = disk() else { return };
    let path = disk.join("towline.db");
    let store = open(&path).await.unwrap();
    let web = sample_service(1, "web");
    insert(&store, &web).await.unwrap();
    store.close().await.unwrap();
    remount("ro");
    for path in [path.clone(), disk.join("new.db"), disk.join("new/towline.db")] {
        let outcome = open(&path).await;
        assert!(matches!(outcome, Err(LedgerError::ReadOnly { .. })), "{}: {outcome:?}", path.display());
    }
    // It can still be checked, and saved from there.
    let location = Location::Sqlite(path.clone());
    let report = Store::check(&location).await.unwrap();
    assert_eq!((report.services, report.problems), (1, Vec::new()));
    let elsewhere = tempfile::tempdir().unwrap();
    Store::back_up(&location, &elsewhere.path().join("copy.db"), false).await.unwrap();
    assert_eq!(names(&open(&elsewhere.path().join("copy.db")).await.unwrap()).await, ["web"]);
    remount("rw");
    assert_eq!(names(&open(&path).await.unwrap()).await, ["web"]);
}

#[test]
fn a_read_only_file_is_told_and_may_be_read() {
    on_a_small_disk("a_read_only_file_is_told_and_may_be_read", "disk::part_read_only_file");
}

#[tokio::test]
#[ignore = "a part of a_read_only_file_is_told_and_may_be_read"]
async fn part_read_only_file() {
    let Some(disk) = disk() else { return };
    let path = disk.join("towline.db");
    let store = open(&path).await.unwrap();
    let web = sample_service(1, "web");
    insert(&store, &web).await.unwrap();
    store.close().await.unwrap();
    // Permissions would not stop root; a mount of its own does.
    let file = path.to_str().unwrap();
    mount(["--bind", file, file]);
    mount(["-o", "remount,bind,ro", file]);
    let store = open(&path).await.unwrap();
    assert_eq!(names(&store).await, ["web"]);
    for error in
        [save(&store, &web).await.unwrap_err(), insert(&store, &sample_service(2, "x")).await.unwrap_err()]
    {
        assert!(matches!(error, LedgerError::ReadOnly { .. }), "{error:?}");
    }
}
