//! Services in containers, by the command and a real Podman: `. "$(scripts/podman-for-tests start)"` makes one for these tests.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::world::{Ran, World, eventually};

/// Serves a page, and ends when it is asked to.
const SERVER: &str =
    "trap 'echo asked; exit 143' TERM; httpd -f -p {host}:{port} -h /www & echo serving; wait";

/// A home, and the image of the tests; `None`, said on the real standard error, where there is no Podman for them.
fn world(test: &str) -> Option<(World, String)> {
    let Some(dir) = std::env::var_os("TOWLINE_TEST_PODMAN").map(PathBuf::from) else {
        // What a macro prints, the test runner swallows.
        let said = writeln!(std::io::stderr(), "SKIPPED containers::{test}: TOWLINE_TEST_PODMAN is not set");
        said.unwrap();
        return None;
    };
    // Never the machine's own.
    assert!(PathBuf::from(std::env::var_os("CONTAINERS_STORAGE_CONF").unwrap()).starts_with(&dir));
    let world = World::new();
    world.write(".config/towline/config.toml", "[profiles.local]\nnetwork = 'host'\n");
    Some((world, fs::read_to_string(dir.join("image")).unwrap().trim().to_owned()))
}

/// `run` of a shell script in the image.
fn run(world: &World, name: &str, image: &str, options: &[&str], script: &str) -> Ran {
    let words = ["run", "--name", name, "--health", "/", "--container", "podman", "--image", image];
    world.run(&[&words[..], options, &["--", "sh", "-c", script]].concat())
}

fn podman(words: &[&str]) -> String {
    let output = Command::new("podman").args(words).output().unwrap();
    assert!(output.status.success(), "podman {words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn container(world: &World, name: &str) -> String {
    let shown = world.run(&["show", "--no-refresh", "--json", name]).exits(0).json();
    format!("towline-{}", shown["id"].as_str().unwrap())
}

/// The body that a URL answers with.
fn get(url: &str) -> String {
    use std::io::Read as _;
    let answer = || -> std::io::Result<String> {
        let mut stream = std::net::TcpStream::connect(url.trim().trim_start_matches("http://"))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    answer().unwrap_or_default()
}

#[test]
fn a_container_lives_is_followed_and_ends() {
    let Some((world, image)) = world("a_container_lives_is_followed_and_ends") else { return };
    for network in ["host", "bridge"] {
        let ran =
            run(&world, "web", &image, &["--network", network], SERVER).exits(0).says(&["web: HEALTHY"]);
        assert!(get(&ran.stdout).contains("a page of the image"), "{network}");
        let name = container(&world, "web");
        assert!(world.run(&["show", "web"]).exits(0).stdout.contains(&name));
        let shown = world.run(&["show", "--json", "web"]).exits(0).json();
        assert_eq!(
            (&shown["container"]["engine"], &shown["container"]["image"]),
            (&"podman".into(), &image.as_str().into())
        );

        let mut follower = world.command(&["logs", "-f", "web"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|line| line == "serving"), "{network}");
        world.run(&["stop", "web"]).exits(0).says(&["web: STOPPED"]);
        assert!(lines.any(|line| line == "asked"), "{network}: its last words are followed");
        assert_eq!(follower.wait().unwrap().code(), Some(0));
        assert_eq!(get(&ran.stdout), "");
        assert!(podman(&["ps", "--all", "--format", "{{.Names}}"]).contains(&name));
        world.run(&["rm", "web"]).exits(0);
        assert!(!podman(&["ps", "--all", "--format", "{{.Names}}"]).contains(&name));
    }
}

#[test]
fn a_container_killed_removed_or_paused_by_hand_is_told() {
    let Some((world, image)) = world("a_container_killed_removed_or_paused_by_hand_is_told") else { return };
    run(&world, "killed", &image, &[], SERVER).exits(0);
    podman(&["kill", &container(&world, "killed")]);
    world.run(&["wait", "--for", "failed", "killed"]).exits(0);
    assert!(world.run(&["show", "killed"]).exits(0).stdout.contains("signal 9"));

    run(&world, "removed", &image, &[], SERVER).exits(0);
    podman(&["rm", "--force", "--time", "0", &container(&world, "removed")]);
    world.run(&["wait", "--for", "failed", "removed"]).exits(0);
    // It is killed before it is removed, and either may be seen first.
    assert!(world.run(&["show", "removed"]).exits(0).stdout.contains("signal 9"));

    run(&world, "paused", &image, &[], SERVER).exits(0);
    let name = container(&world, "paused");
    podman(&["pause", &name]);
    eventually("silence", || {
        world.run(&["refresh", "paused"]).exits(0);
        (world.status("paused") == "UNHEALTHY").then_some(())
    });
    assert!(world.run(&["show", "paused"]).exits(0).stdout.contains("PAUSED"));
    podman(&["unpause", &name]);
    world.run(&["wait", "paused"]).exits(0);
    world.run(&["stop", "paused"]).exits(0);
    world.run(&["rm", "killed", "removed", "paused"]).exits(0);
}

#[test]
fn an_engine_that_is_gone_ends_nothing() {
    let Some((world, image)) = world("an_engine_that_is_gone_ends_nothing") else { return };
    let url = run(&world, "web", &image, &[], SERVER).exits(0).stdout;
    // All that there is on PATH but Podman.
    let bin = world.path("bin");
    fs::create_dir(&bin).unwrap();
    for dir in ["/usr/sbin", "/usr/bin"].map(PathBuf::from) {
        for entry in dir.read_dir().unwrap() {
            let name = entry.unwrap().file_name();
            if name != "podman" {
                drop(symlink(dir.join(&name), bin.join(&name)));
            }
        }
    }
    let path = bin.to_str().unwrap();
    podman(&["pause", &container(&world, "web")]);
    eventually("silence, and nobody knows why", || {
        world.run_with(&[("PATH", path)], &["refresh", "web"]).exits(0);
        (world.status("web") == "UNHEALTHY").then_some(())
    });
    let why = world.run_with(&[("PATH", path)], &["why", "web"]).exits(0);
    assert!(why.stdout.contains("podman is not on PATH"), "{why:?}");
    podman(&["unpause", &container(&world, "web")]);
    world.run(&["wait", "web"]).exits(0);
    assert!(get(&url).contains("a page"));
    world.run(&["stop", "web"]).exits(0);
    world
        .run_with(&[("PATH", path)], &["rm", "web"])
        .exits(1)
        .says(&["podman is not on PATH", "--keep-files"]);
    world.run(&["rm", "web"]).exits(0);
}

#[test]
fn a_missing_image_says_how_to_get_it() {
    let Some((world, _)) = world("a_missing_image_says_how_to_get_it") else { return };
    let ran = run(&world, "web", "quay.io/no/none:1", &[], SERVER).exits(5);
    let ran = ran.says(&["quay.io/no/none:1 is not on this machine", "podman pull quay.io/no/none:1"]);
    assert!(ran.stderr.contains("web: FAILED"), "{ran:?}");
    let why = world.run(&["why", "web"]).exits(0).stdout;
    assert!(why.contains("podman pull quay.io/no/none:1"), "{why}");
    // No registry has an image that was made here.
    run(&world, "web", "localhost/none:1", &[], SERVER).exits(5).says(&["podman build -t localhost/none:1"]);
}

#[test]
fn two_of_one_name_are_one() {
    let Some((world, image)) = world("two_of_one_name_are_one") else { return };
    run(&world, "web", &image, &[], SERVER).exits(0);
    run(&world, "web", &image, &[], SERVER).exits(7).says(&["the name web is taken"]);
    world.run(&["stop", "web"]).exits(0);
    world.run(&["rm", "web"]).exits(0);
}

#[test]
fn a_recipes_key_and_mounts_reach_the_container_and_no_command_line() {
    let test = "a_recipes_key_and_mounts_reach_the_container_and_no_command_line";
    let Some((world, image)) = world(test) else { return };
    let data = world.path("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("note"), "from the host\n").unwrap();
    let script = SERVER.replace('\'', "\"");
    let recipe = [
        "summary = 'A page'",
        &format!("command = ['sh', '-c', 'echo key of ${{{{#KEY}}}}; cat /data/note; {script}']"),
        "[health]\npath = '/'\n[secret]\nenv = 'KEY'",
        "[parameters.data]\ntype = 'path'\nhelp = 'Data'",
        // Podman takes Docker's.
        &format!("[container]\nimages = {{ docker = '{image}' }}"),
        "mounts = [{ source = '{data}', target = '/data', read_only = true }]\n",
    ];
    world.write(".config/towline/recipes/page.toml", &recipe.join("\n"));
    let words = ["run", "page", "--name", "page", "--container", "podman", "--data", data.to_str().unwrap()];
    world.run(&words).exits(0).says(&["page: HEALTHY"]);
    let log = world.run(&["logs", "page"]).exits(0).stdout;
    let key = world.run(&["key", "page"]).exits(0).stdout.trim().to_owned();
    assert!(log.contains(&format!("key of {}", key.len())) && log.contains("from the host"), "{log}");
    for entry in fs::read_dir("/proc").unwrap() {
        let words = fs::read(entry.unwrap().path().join("cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&words).contains(&key));
    }
    world.run(&["stop", "page"]).exits(0);
    world.run(&["rm", "page"]).exits(0);
}

#[test]
fn a_run_that_is_killed_leaves_one_container_that_the_next_finds() {
    let test = "a_run_that_is_killed_leaves_one_container_that_the_next_finds";
    let Some((world, image)) = world(test) else { return };
    // Files that the job leaves one after the other; the first that it writes settles that there is a job.
    for (turn, file) in ["job.id", "container.id", "stand-in", "place.json"].into_iter().enumerate() {
        let name = format!("web-{turn}");
        let words = ["run", "--name", &name, "--health", "/", "--container", "podman", "--image", &image];
        let mut command = world.command(&[&words[..], &["--", "sh", "-c", SERVER]].concat());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        eventually(file, || services(&world).into_iter().find(|dir| dir.join(file).exists()));
        child.kill().unwrap();
        child.wait().unwrap();
        world.run(&["wait", &name]).exits(0);
        let container = container(&world, &name);
        let names = podman(&["ps", "--all", "--format", "{{.Names}}"]);
        assert_eq!(names.lines().filter(|known| *known == container).count(), 1, "{file}: {names}");
        world.run(&["stop", &name]).exits(0);
        world.run(&["rm", &name]).exits(0);
        assert!(!podman(&["ps", "--all"]).contains(&container), "{file}");
    }
}

/// The directories of the services on this machine.
fn services(world: &World) -> Vec<PathBuf> {
    let found = fs::read_dir(world.path(".local/share/towline/local"));
    found.map(|found| found.map(|entry| entry.unwrap().path()).collect()).unwrap_or_default()
}

#[test]
fn a_cluster_and_a_container_without_an_image_are_refused() {
    let world = World::new();
    world.write(".config/towline/config.toml", "[profiles.lab]\nkind = 'slurm'\nhost = 'nowhere'\n");
    let on = |words: &[&str]| world.run(&[&["run", "--dry-run"], words, &["--", "true"]].concat());
    on(&["--profile", "lab", "--container", "podman", "--image", "x:1"])
        .exits(2)
        .says(&["podman runs on this machine alone"]);
    on(&["--container", "podman"]).exits(2).says(&["--container needs an --image"]);
    on(&["--container", "none", "--image", "x:1"]).exits(2).says(&["--image without a container"]);
    on(&["--container", "podman", "--image", "x:1", "--mount", "a"]).exits(2).says(&["bad mount"]);
    let words = ["--profile", "lab", "--container", "apptainer", "--image", "/x.sif", "--mount", "/a:ro"];
    let script = on(&words).exits(0).stdout;
    let mount = "apptainer exec --mount 'type=bind,source=/a,destination=/a,ro' /x.sif true";
    assert!(script.contains(mount), "{script}");
}
