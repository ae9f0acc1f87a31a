//! The probe of a cluster, through a real shell.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use towline_slurm::{Problem, Quota};

use crate::support::{LoginHost, mode};

const SETTINGS: &str =
    "AccountingStorageEnforce = associations,limits\nClusterName             = towline\nX = y\n";

fn capture(name: &str) -> String {
    fs::read_to_string(format!("{}/tests/captures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A host whose Slurm answers as the recorded one.
fn healthy() -> LoginHost {
    let host = LoginHost::new();
    host.set("sbatch.out", "slurm-wlm 22.05.8\n");
    host.set(
        "scontrol.hook",
        r#"case $1 in show) cat "$FAKE/settings" ;; *) cat "$FAKE/partitions" ;; esac"#,
    );
    host.set("settings", SETTINGS);
    host.set("partitions", &capture("partitions.scontrol"));
    host.set("sacctmgr.out", &capture("user.sacctmgr"));
    host
}

#[tokio::test]
async fn a_healthy_cluster_tells_everything_in_one_command() {
    let host = healthy();
    let probe = host.slurm.probe().await.unwrap();
    assert_eq!(probe.problems, []);
    assert_eq!(probe.home, host.path("home/.tow line").to_str().unwrap());
    assert_eq!(probe.slurm_version.as_deref(), Some("22.05.8"));
    assert!(probe.has_accounting && probe.enforces_accounts == Some(true));
    assert_eq!(probe.partitions.len(), 3);
    let accounts: Vec<_> = probe.associations.unwrap().into_iter().map(|it| it.account).collect();
    assert_eq!(accounts, ["research", "bobonly"]);
    assert!(probe.room.free_bytes.is_some() && probe.room.file_system.is_some(), "{:?}", probe.room);
    assert_eq!(probe.sshd, Some(("192.0.2.2".to_owned(), 22)));
    assert!(probe.clock.is_some() && !probe.groups.is_empty());
    assert_eq!(host.runs(), 1);
    assert_eq!(host.calls("squeue"), ["--me -h -o %A"]);
    let left = fs::read_dir(host.path("home/.tow line/services")).unwrap().count();
    assert_eq!((left, mode(&host.path("home/.tow line/services"))), (0, 0o700), "nothing is left behind");
}

#[tokio::test]
async fn a_controller_that_is_down_is_asked_once() {
    let host = healthy();
    host.set("squeue.err", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n");
    host.set("squeue.code", "1");
    let probe = host.slurm.probe().await.unwrap();
    assert!(matches!(&probe.problems[..], [Problem::Controller { .. }]), "{:?}", probe.problems);
    assert_eq!(host.calls("scontrol"), [""; 0]);
    assert!(probe.partitions.is_empty() && probe.associations.is_some());
}

#[tokio::test]
async fn accounting_that_is_down_is_asked_once() {
    let host = healthy();
    host.set("sacct.err", "sacct: error: Problem talking to the database: Connection refused\n");
    host.set("sacct.code", "1");
    let probe = host.slurm.probe().await.unwrap();
    assert!(matches!(&probe.problems[..], [Problem::Accounting { .. }]), "{:?}", probe.problems);
    assert_eq!(host.calls("sacctmgr"), [""; 0]);
    assert!(probe.associations.is_none() && probe.partitions.len() == 3);
}

#[tokio::test]
async fn what_is_in_the_way_is_all_told() {
    let host = LoginHost::with("sh", "{root}/file/towline").without("sbatch");
    fs::write(host.path("file"), "").unwrap();
    host.greet("\nWelcome!\nTo us.\n");
    let problems = host.slurm.probe().await.unwrap().problems;
    let [Problem::MissingCommand { .. }, Problem::Home { words, .. }, Problem::Noise { first, lines }] =
        &problems[..]
    else {
        panic!("{problems:?}")
    };
    assert!(words.contains("Not a directory"), "{words}");
    assert_eq!((first.as_str(), *lines), ("Welcome!", 2));
}

#[tokio::test]
async fn a_home_on_which_no_byte_fits_is_told() {
    let host = healthy();
    // A file system on which an empty file can be made, and nothing written.
    host.set("full", "#!/bin/sh\necho \"dd: error writing: Disk quota exceeded\" >&2\nexit 1\n");
    let dd = host.path("bin/dd");
    fs::copy(host.path("fake/full"), &dd).unwrap();
    fs::set_permissions(&dd, fs::Permissions::from_mode(0o755)).unwrap();
    let problems = host.slurm.probe().await.unwrap().problems;
    let [Problem::Home { words, .. }] = &problems[..] else { panic!("{problems:?}") };
    assert!(words.ends_with("Disk quota exceeded"), "{words}");
}

#[tokio::test]
async fn quotas_are_asked_for_where_there_are_any() {
    let host = healthy();
    let own = host.slurm.probe().await.unwrap().room;
    assert_eq!((own.bytes, own.files), (None, None));
    let quota = format!("#!/bin/sh\necho '{}  90* 80 100 6days 7 0 0'\n", own.file_system.unwrap());
    fs::write(host.path("bin/quota"), quota).unwrap();
    fs::set_permissions(host.path("bin/quota"), fs::Permissions::from_mode(0o755)).unwrap();
    let room = host.slurm.probe().await.unwrap().room;
    assert_eq!((room.bytes, room.files), (Some(Quota { used: 90 << 10, limit: 80 << 10 }), None));
}
