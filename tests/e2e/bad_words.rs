//! What a person types wrongly, and what the cluster refuses.

use crate::harness::{Lab, Output};

/// The command line was wrong: said at once, with a way to learn more; nothing was done.
#[track_caller]
fn assert_usage(output: Output, text: &str) {
    let output = output.code(2).says(&["error: ", text]);
    assert_eq!(output.stdout, "", "{output:?}");
    assert!(output.stderr.contains("--help"), "{output:?}");
}

#[track_caller]
fn assert_nothing_done(lab: &Lab) {
    assert_eq!(lab.towline(&["ls", "--all", "--json"]).json(), serde_json::json!([]));
    assert_eq!(lab.jobs(), std::collections::BTreeMap::new());
}

#[test]
fn names_that_are_none() {
    let lab = Lab::new();
    let long = "x".repeat(300);
    let cases = [
        ("a b", "not ' '"),
        ("it's", "not '\\''"),
        ("\"web\"", "not '\"'"),
        ("$(touch /tmp/owned)", "not '$'"),
        ("two\nlines", "not '\\n'"),
        ("Web", "not 'W'"),
        ("", "may not be empty"),
        ("web-", "neither begin nor end"),
        (long.as_str(), "at most 63 characters, not 300"),
    ];
    for (name, text) in cases {
        assert_usage(lab.run(name, &["--", "sleep", "600"]), text);
        lab.towline(&["show", name]).fails(4, &["there is no service"]);
    }
    assert_nothing_done(&lab);
    lab.run(&"x".repeat(63), &["--detach", "--sbatch-arg=--hold", "--", "true"]).ok();
    assert_eq!(lab.living_jobs().len(), 1, "the longest name is a good one");
}

#[test]
fn values_that_sbatch_could_not_take() {
    let lab = Lab::new();
    let cases: [(&[&str], &str); 13] = [
        (&["--time", "soon"], "time"),
        (&["--time", ""], "time"),
        (&["--mem", "1.5G"], "mem"),
        (&["--cpus", "0"], "--cpus"),
        (&["--partition", "a b"], "partition"),
        (&["--partition", "cpu\n#SBATCH --uid=0"], "partition"),
        (&["--constraint", "\"x\""], "constraint"),
        (&["--sbatch-arg=--wrap=id"], "sbatch-arg"),
        (&["--sbatch-arg=--job-name=mine"], "finds it again"),
        (&["--env", "1X=2"], "1X"),
        (&["--health", "health"], "health"),
        (&["--grace", "0"], "grace"),
        (&["--no-such-option"], "--no-such-option"),
    ];
    for (options, text) in cases {
        let run = lab.run("web", &[options, &["--", "sleep", "600"]].concat());
        assert_usage(run, text);
    }
    lab.run("web", &["--", "python3 -m http.server"]).fails(2, &["is one word"]);
    assert_usage(lab.run("web", &[]), "<CMD>");
    assert_nothing_done(&lab);
}

#[test]
fn what_the_cluster_refuses_in_its_own_words() {
    let lab = Lab::new();
    let cases: [(&[&str], &[&str]); 4] = [
        (&["--partition", "nope"], &["Invalid partition name specified", "--partition", "sinfo"]),
        (
            &["--account", "bobonly"],
            &["Invalid account or account/partition combination specified", "--account"],
        ),
        (&["--qos", "nope"], &["Invalid qos specification", "--qos"]),
        (&["--gres", "gpu:5"], &["Requested node configuration is not available", "ask for less"]),
    ];
    for (options, texts) in cases {
        let run = lab.run("web", &[options, &["--", "sleep", "600"]].concat());
        run.fails(5, texts).says(&["failed to start service web"]);
        let recorded = lab.show("web");
        assert_eq!(recorded["status"], "FAILED", "{recorded}");
        assert!(recorded["cause"].as_str().unwrap().contains(texts[0]), "{recorded}");
    }
    assert_eq!(lab.towline(&["ls", "--json"]).json(), serde_json::json!([]));
    // Slurm may keep a record of a job that it refused, as FAILED.
    assert_eq!(lab.living_jobs(), Vec::<String>::new());
}

#[test]
fn names_that_nobody_has() {
    let lab = Lab::new();
    lab.run("llama", &["--detach", "--sbatch-arg=--hold", "--", "true"]).ok();
    for verb in ["show", "why", "events", "logs", "url", "wait", "stop", "rm", "refresh"] {
        lab.towline(&[verb, "lama"]).fails(4, &["there is no service lama", "hint: did you mean llama?"]);
        lab.towline(&[verb, "zzzzzz"]).fails(4, &["towline ls --all"]);
    }
    lab.towline(&["rm", "llama"]).fails(5, &["only ended services", "towline stop llama"]);
    lab.towline(&["url", "llama"]).fails(5, &["has no URL", "towline wait llama"]);
    lab.run("llama", &["--", "true"]).fails(7, &["llama"]);
    assert_eq!(lab.living_jobs().len(), 1, "the refused ones did no harm");
    assert_usage(lab.towline(&["shwo", "llama"]), "show");

    lab.towline(&["stop", "llama"]).code(0);
    let again = lab.towline(&["stop", "llama"]).code(0).says(&["llama ended as STOPPED at 20"]);
    assert_eq!(again.stdout, "");
    assert_eq!(lab.history("llama").iter().filter(|to| *to == "STOPPED").count(), 1, "it changed nothing");
}
