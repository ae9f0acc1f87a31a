//! Services of a file on the cluster.

use std::fs;

use crate::harness::{Lab, get};

const FILE: &str = "\
[services.web]
profile = 'lab'
command = ['python3', '-m', 'http.server', '{port}']
health = '/'
time = '10'
setup = ['cd /tmp']
pass_env = ['HANDED']

[services.long]
profile = 'lab'
command = ['sleep', '600']
sbatch_args = ['--hold']
";

#[test]
fn services_start_from_a_file_and_again_from_what_is_printed() {
    let lab = Lab::new();
    let file = lab.path("home/lab.toml");
    fs::write(&file, FILE).unwrap();
    let vars = [("HANDED", "on")];
    let run = |words: &[&str]| lab.start_with(&vars, words).finish(std::time::Duration::from_secs(120));
    let started = run(&["run", "-f", "lab.toml", "--detach"]).ok();
    assert_eq!(started, "web\nlong\n");
    assert_eq!(lab.living_jobs().len(), 2);
    lab.towline(&["wait", "web"]).ok();
    let before = lab.show("web");
    run(&["run", "-f", "lab.toml"]).fails(7, &["these run already: web, long"]);
    assert_eq!(lab.living_jobs().len(), 2);

    let spec = lab.towline(&["show", "web", "--spec"]).ok();
    lab.towline(&["stop", "web", "long"]).code(0);
    fs::write(&file, &spec).unwrap();
    let told = run(&["run", "-f", "lab.toml"]).ok();
    let url = told.trim().strip_prefix("web ").unwrap();
    assert_eq!(get(url).unwrap().status, 200);
    let again = lab.show("web");
    for same in ["command", "health", "env", "grace_seconds", "chdir", "bind"] {
        assert_eq!(again[same], before[same], "{same}");
    }
    assert_ne!((&again["id"], &again["job_id"]), (&before["id"], &before["job_id"]));
    lab.towline(&["stop", "web"]).code(0);
    let url = lab.towline(&["rerun", "web"]).ok();
    assert_eq!(get(url.trim()).unwrap().status, 200);
    lab.towline(&["rerun", "web"]).fails(5, &["has not ended"]);
    lab.towline(&["stop", "web"]).code(0);
    assert_eq!(lab.living_jobs(), Vec::<String>::new());
}
