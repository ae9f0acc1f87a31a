//! A ledger that one may read and not write, as a user whom permissions stop.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use towline_core::ports::LedgerError;
use towline_core::testing::sample_service;
use towline_store::{Location, Store};

use crate::shared::{execute, insert, names, open, save, skip};

/// Where the part of a test that runs as another user finds the ledger.
const LEDGER: &str = "TOWLINE_TEST_LEDGER";
/// Any user but root, whom permissions do not stop.
const NOBODY: u32 = 65_534;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The program of these tests, run as somebody who is not root; `None` if that cannot be done here.
fn as_a_user(is_root: bool) -> Option<Command> {
    let this = std::env::current_exe().unwrap();
    if !is_root {
        return Some(Command::new(this));
    }
    let as_nobody = || {
        let mut command = Command::new("setpriv");
        let (user, group) = (format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"));
        command.args([user.as_str(), group.as_str(), "--clear-groups", "--"]).arg(&this);
        command
    };
    let listed = as_nobody().arg("--list").output();
    listed.is_ok_and(|output| output.status.success()).then(as_nobody)
}

#[tokio::test]
async fn permissions_to_read_are_enough_to_read() {
    let dir = tempfile::tempdir().unwrap();
    let is_root = dir.path().metadata().unwrap().uid() == 0;
    let Some(mut part) = as_a_user(is_root) else {
        return skip(
            "permissions_to_read_are_enough_to_read",
            "setpriv(1) cannot run these tests as another user here",
        );
    };
    let path = dir.path().join("towline.db");
    let store = open(&path).await.unwrap();
    insert(&store, &sample_service(1, "web")).await.unwrap();
    store.close().await.unwrap();
    for entry in fs::read_dir(dir.path()).unwrap() {
        let file = entry.unwrap().path();
        set_mode(&file, 0o400);
        if is_root {
            chown(&file, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    if is_root {
        chown(dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    set_mode(dir.path(), 0o500);
    part.args(["--exact", "read_only::part_read", "--ignored", "--nocapture"]).env(LEDGER, &path);
    let output = part.output().unwrap();
    set_mode(dir.path(), 0o700);
    let printed =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
}

#[tokio::test]
#[ignore = "a part of permissions_to_read_are_enough_to_read"]
async fn part_read() {
    let Some(path) = std::env::var_os(LEDGER).map(PathBuf::from) else { return };
    let location = Location::Sqlite(path.clone());
    let report = Store::check(&location).await.unwrap();
    assert_eq!((report.services, report.problems), (1, Vec::new()));
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("copy.db");
    Store::back_up(&location, &copy, false).await.unwrap();
    assert_eq!(names(&open(&copy).await.unwrap()).await, ["web"]);

    let refused = open(&path).await;
    assert!(matches!(refused, Err(LedgerError::ReadOnly { .. })), "{refused:?}");
    let store = Store::open_as_it_is(&location).await.unwrap();
    assert_eq!(names(&store).await, ["web"]);
    for error in [
        save(&store, &sample_service(1, "web")).await.unwrap_err(),
        insert(&store, &sample_service(2, "x")).await.unwrap_err(),
    ] {
        assert!(matches!(error, LedgerError::ReadOnly { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn what_is_not_there_yet_is_not_made_for_a_reader() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("towline.db");
    let location = Location::Sqlite(path.clone());
    let missing = Store::open_as_it_is(&location).await;
    assert!(matches!(missing, Err(LedgerError::Failed { .. })), "{missing:?}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    fs::write(&path, "").unwrap();
    let empty = Store::open_as_it_is(&location).await;
    assert!(matches!(empty, Err(LedgerError::Failed { .. })), "{empty:?}");
    open(&path).await.unwrap().close().await.unwrap();
    Store::open_as_it_is(&location).await.unwrap().close().await.unwrap();
    execute(&path, "INSERT INTO towline_migrations VALUES ('m9999_last', 0)").await;
    let newer = Store::open_as_it_is(&location).await;
    assert!(matches!(newer, Err(LedgerError::Newer { .. })), "{newer:?}");
}
