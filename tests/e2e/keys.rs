//! A key of a service on the cluster: who has it, and where it is not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::harness::{Host, Lab, Running, SOON, eventually, get, on, state_dir};

const ALICE: Host = on("login").as_("alice");

/// Starts a service that asks for a key, with the path of its server on the cluster; gives its URL.
fn guarded(lab: &Lab, name: &str, secret: &str, words: &str, options: &[&str]) -> String {
    let server = format!("/home/alice/{}.py", lab.remote_name());
    ALICE.run_with(&["bash", "-c", &format!("cat >{server}")], include_bytes!("../servers/guarded.py")).ok();
    let recipes = lab.path("home/towline/recipes");
    fs::create_dir_all(&recipes).unwrap();
    let text =
        format!("summary = 's'\ncommand = ['python3', '{server}', '{{port}}'{words}]\n[secret]\n{secret}\n");
    fs::write(recipes.join(format!("{name}.toml")), text).unwrap();
    let run = ["run", "--profile", "lab", "--name", name, name];
    lab.towline(&[&run[..], options].concat()).ok().trim().to_owned()
}

fn status(url: &str, key: &str) -> String {
    let header = format!("Authorization: Bearer {key}");
    let words = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", &header, url];
    Running::start(Command::new("curl").args(words), b"").finish(SOON).stdout
}

#[test]
fn a_key_is_known_to_its_server_and_its_user_alone() {
    let lab = Lab::new();
    let services = [("by-variable", "env = 'KEY'", ""), ("by-file", "file = true", ", ['{secret-file}']")];
    let mut keys = Vec::new();
    for (name, secret, words) in services {
        let url = guarded(&lab, name, secret, words, &["--requeue"]);
        let key = lab.towline(&["key", name]).ok().trim().to_owned();
        assert_eq!(get(&url).unwrap().status, 401);
        assert_eq!([status(&url, "wrong"), status(&url, &key)], ["401", "200"]);
        keys.push(key);
    }
    assert_ne!(keys[0], keys[1]);
    for key in &keys {
        assert_kept(&lab, key);
        assert!(!with_key_at_home(key).is_empty(), "the search finds what is there");
    }
    // A run of the job after the first has it as well.
    lab.requeue(&lab.show("by-file"));
    let url = lab.show("by-file")["url"].as_str().unwrap().to_owned();
    eventually("its next run knows the key", SOON * 3, || {
        lab.towline(&["refresh"]);
        (status(&url, &keys[1]) == "200").then_some(())
    });
    assert_kept(&lab, &keys[1]);
    lab.towline(&["stop", "by-variable", "by-file"]).code(0);
    for key in &keys {
        assert_kept(&lab, key);
    }
    lab.towline(&["rm", "by-variable", "by-file"]).code(0);
    assert_eq!(with_key_at_home(&keys[0]), []);
}

#[test]
fn a_service_is_healthy_with_and_without_its_key() {
    let lab = Lab::new();
    let open = guarded(&lab, "open", "env = 'KEY'", "", &["--api-key", "none"]);
    assert_eq!(get(&open).unwrap().status, 200);
    lab.towline(&["key", "open"]).fails(4, &["service open has no key"]);
    let typed = guarded(&lab, "typed", "env = 'KEY'", "", &["--api-key", "typed-by-me"]);
    assert_eq!([status(&typed, "none"), status(&typed, "typed-by-me")], ["401", "200"]);
    assert_kept(&lab, "typed-by-me");
    lab.towline(&["stop", "open", "typed"]).code(0);
}

/// Checks that a key is in files of its owner alone, in no command line on any host, and in nothing that Slurm or towline tell.
#[track_caller]
fn assert_kept(lab: &Lab, key: &str) {
    let (here, there) = (with_key(lab, key), with_key_at_home(key));
    assert!(!here.is_empty(), "the ledger has it");
    for (mode, path) in here.into_iter().chain(there) {
        assert_eq!(mode & 0o077, 0, "{path}");
        let name = path.rsplit('/').next().unwrap();
        assert!(["env", "secret"].contains(&name) || name.starts_with("towline.db"), "{path}");
    }
    for process in fs::read_dir("/proc").unwrap() {
        let words = fs::read(process.unwrap().path().join("cmdline")).unwrap_or_default();
        assert!(!contains(&words, key) || words.starts_with(b"curl"), "{}", String::from_utf8_lossy(&words));
    }
    let everything = [
        "squeue --me -t all -O 'Command:999,Comment:999,Name:999,WorkDir:999,StdOut:999'",
        "scontrol show job",
        "sacct -P -o ALL",
        "for job in $(squeue --me -h -o %A); do scontrol write batch_script $job -; done",
    ];
    let told = ALICE.run(&["bash", "-c", &everything.join("; ")]);
    assert!(
        !told.stdout.contains(key) && !told.stderr.contains(key) && told.stdout.contains("JobId="),
        "{told:?}"
    );
    let names = lab.towline(&["ls", "--json"]).json();
    let names = names.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned());
    let mut looks =
        vec!["ls".to_owned(), "ls --json".to_owned(), "doctor".to_owned(), "tunnel ls --json".to_owned()];
    for name in names {
        let of_one =
            ["show", "show --json", "events", "logs", "why", "url", "stop --delay 1h --as FROBNICATED"];
        looks.extend(of_one.map(|verb| format!("{verb} {name}")));
    }
    for look in looks {
        let words: Vec<&str> = look.split(' ').collect();
        let told = lab.start_with(&[("TOWLINE_LOG", "trace")], &words).finish(SOON * 2);
        assert!(!told.stdout.contains(key) && !told.stderr.contains(key), "{look}: {told:?}");
    }
}

/// The files with a key in them, and their modes: of all that is kept on this machine, and by Slurm, accounting and sshd.
fn with_key(lab: &Lab, key: &str) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    let mut dirs = vec![state_dir(), lab.path("")];
    while let Some(dir) = dirs.pop() {
        // What goes away meanwhile is nothing that is kept.
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(about) = fs::symlink_metadata(&path) else { continue };
            if about.is_dir() {
                dirs.push(path);
            } else if about.is_file() && fs::read(&path).is_ok_and(|bytes| contains(&bytes, key)) {
                found.push((about.permissions().mode(), path.display().to_string()));
            }
        }
    }
    found
}

/// Those in the homes of the cluster.
fn with_key_at_home(key: &str) -> Vec<(u32, String)> {
    let look = "grep -rlaF -f - /home | xargs -r -d '\\n' stat -c '%a %n'";
    let listed = on("login").run_with(&["bash", "-c", look], key.as_bytes()).stdout;
    let file = |line: &str| {
        let (mode, path) = line.split_once(' ').unwrap();
        (u32::from_str_radix(mode, 8).unwrap(), path.to_owned())
    };
    listed.lines().map(file).collect()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
