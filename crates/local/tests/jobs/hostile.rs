//! Text and set-ups that would break a careless script.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use towline_core::job::{ExitStatus, Outcome};
use towline_core::ports::{Scheduler, SubmitError};

use crate::bench::{Bench, SERVER, processes, spec};

const NASTY: [&str; 13] = [
    "$(touch hacked)",
    "`touch hacked`",
    "it's \"quoted\"",
    "back\\slash\\",
    "two\nlines\n",
    "",
    " spaces  ",
    "*",
    "~",
    "!history",
    "ümläut 🚢",
    "\t\r\u{7}",
    "it's \u{1}\u{7f}",
];

#[tokio::test]
async fn every_word_reaches_the_command_as_it_was_typed() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    let print =
        "import os, sys; sys.stdout.write('\\0'.join(sys.argv[1:] + [os.environ['PORT'], os.environ['V']]))";
    let mut words = vec!["python3", "-c", print, "{port}", "a{port}b{port}", "{port }"];
    words.extend(NASTY);
    let mut nasty = spec(&words);
    nasty.chdir = Some(dir.path().to_str().unwrap().into());
    nasty.env.insert("V".into(), NASTY.concat());
    let script = bench.scheduler.script(bench.id, &nasty).unwrap();
    let job = bench.submit(&nasty).await;
    assert_eq!(std::fs::read_to_string(bench.file("job.sh")).unwrap(), script);
    assert!(Command::new("bash").arg("-n").arg(bench.file("job.sh")).status().unwrap().success());

    assert_eq!(bench.end(&job).await.outcome, Outcome::Completed);
    let log = bench.log().await;
    let log = log.strip_suffix("towline: the command ended with exit code 0\n").unwrap();
    let got: Vec<&str> = log.split('\0').collect();
    let port = got[got.len() - 2].to_owned();
    let mut expected = vec![port.clone(), format!("a{port}b{port}"), "{port }".into()];
    expected.extend(NASTY.map(str::to_owned));
    expected.extend([port, NASTY.concat()]);
    assert_eq!(got, expected);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "something was run");
}

#[tokio::test]
async fn secrets_are_seen_by_the_command_alone() {
    let bench = Bench::new();
    let secret = format!("s3cr3t-{}'\n", bench.id);
    let mut keyed = spec(&SERVER);
    keyed.env.insert("KEY".into(), secret.clone());
    let job = bench.submit(&keyed).await;
    bench.place(&job).await;
    assert_eq!(processes("cmdline", |word| word.contains("s3cr3t-")), Vec::<i32>::new());
    assert_eq!(processes("environ", |word| word == format!("KEY={secret}")).len(), 1);
    let mode = |name: &str| std::fs::metadata(bench.file(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("env"), mode("job.sh"), mode("server.log")), (0o700, 0o600, 0o600, 0o600));
    assert!(!bench.log().await.contains("s3cr3t-"));
    bench.cancel(&job).await;
}

#[tokio::test]
async fn a_set_up_may_turn_the_shell_inside_out() {
    let bench = Bench::new();
    let mut odd = spec(&SERVER);
    odd.command[0] = "/usr/bin/python3".into();
    odd.env.insert("PATH".into(), "/nowhere".into());
    odd.setup = vec![
        "ls() { exit 9; }; sleep() { exit 9; }".into(),
        "IFS=0123; shopt -s failglob nullglob; set -feu".into(),
        "trap 'echo their own trap' EXIT TERM; cd /".into(),
        "# only a comment \\".into(),
        "export PORT=1".into(),
    ];
    let job = bench.submit(&odd).await;
    bench.place(&job).await;
    let end = bench.cancel(&job).await;
    assert_eq!(end.exit, Some(ExitStatus { code: 143, signal: Some(15) }));
    assert!(bench.log().await.contains("their own trap"));
}

#[tokio::test]
async fn a_set_up_that_fails_ends_the_service() {
    for (line, code, words) in [
        ("echo before; false", 1, "line 1 of the set-up failed with exit code 1"),
        ("exit 5", 5, ""),
        ("echo 'open", 2, "line 1 of the set-up failed"),
        ("if true; then", 2, "line 1 of the set-up failed"),
        ("nosuch-module load x", 127, "nosuch-module: command not found"),
    ] {
        let bench = Bench::new();
        let mut broken = spec(&SERVER);
        broken.setup = vec![line.into()];
        let job = bench.submit(&broken).await;
        let end = bench.end(&job).await;
        let log = bench.log().await;
        assert_eq!((end.outcome, end.exit.unwrap().code), (Outcome::Failed, code), "{line}: {log}");
        assert!(log.contains(words), "{line}: {log}");
        assert!(bench.look(Some(&job)).await.place.is_none());
    }
}

#[tokio::test]
async fn what_only_a_cluster_can_do_is_refused() {
    let bench = Bench::new();
    let refused = |change: &dyn Fn(&mut towline_core::resources::Resources)| {
        let mut wish = spec(&SERVER);
        change(&mut wish.resources);
        bench.scheduler.check(&wish).unwrap_err().field
    };
    assert_eq!(refused(&|r| r.partition = Some("gpu".into())), "partition");
    assert_eq!(refused(&|r| r.mem = Some("500M".into())), "mem");
    assert_eq!(refused(&|r| r.ntasks_per_node = Some(2)), "ntasks-per-node");
    assert_eq!(refused(&|r| r.requeue = Some(true)), "requeue");
    assert_eq!(refused(&|r| r.submit_args = vec!["--nice".into()]), "sbatch-arg");
    assert_eq!(refused(&|r| r.time = Some("soon".into())), "time");
    let mut fine = spec(&SERVER);
    fine.resources.requeue = Some(false);
    fine.resources.time = Some("1-0".into());
    assert_eq!(bench.scheduler.check(&fine), Ok(()));
    let mut taken = spec(&SERVER);
    taken.env.insert("PORT".into(), "80".into());
    assert!(matches!(bench.scheduler.submit(bench.id, &taken).await, Err(SubmitError::Spec(_))));
}
