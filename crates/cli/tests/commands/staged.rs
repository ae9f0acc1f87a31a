//! Models and images: from a hub to a service on this machine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::web::{COMMIT, Mood, Web};
use crate::world::{Ran, World, eventually};

const MODEL: &str = "org/model-1.5";
const LARGE: &str = "model.safetensors";

/// A home, a hub, and how to run the program with both.
struct Lab {
    world: World,
    web: Web,
    vars: Vec<(&'static str, String)>,
}

impl Lab {
    fn new() -> Self {
        let (world, (web, _)) = (World::new(), Web::with_model());
        let cache = world.path("group cache").display().to_string();
        let path = format!("{}:{}", world.path("bin").display(), std::env::var("PATH").unwrap());
        let vars = vec![
            ("TOWLINE_PROFILES__LOCAL__CACHE", cache),
            ("TOWLINE_PROFILES__LOCAL__HUB", web.hub().to_string()),
            ("TOWLINE_PROFILES__SECOND__KIND", "local".to_owned()),
            ("PATH", path),
        ];
        Self { world, web, vars }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.world.command(args);
        command.envs(self.vars.iter().map(|(name, value)| (name, value)));
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.command(args).output().unwrap().into()
    }

    fn snapshot(&self) -> String {
        let inside = format!("group cache/models/models--org--model-1.5/snapshots/{COMMIT}");
        self.world.path(inside).display().to_string()
    }

    /// A web server by Python that shows the directory of its model, and is told the name by a variable.
    fn recipe(&self) {
        let text = "summary = 'Files of a model'\n\
            command = ['python3', '-m', 'http.server', '{port}', '--bind', '{host}', '--directory', '{model}']\n\
            env = { NAME = '{called}' }\nhealth = { path = '/', grace = '1m' }\n\
            [model]\nserved = 'called'\n[parameters.called]\ntype = 'string'\nhelp = 'Name of the model'\n\
            [container]\nimages = { apptainer = 'docker://org/files:1.2' }\n\
            mounts = [{ source = '{model-path}', read_only = true }]\n";
        self.world.write(".config/towline/recipes/files.toml", text);
        self.run(&["recipe", "check"]).exits(0);
    }
}

#[test]
fn a_model_goes_from_the_hub_to_a_service_and_away() {
    let lab = Lab::new();
    lab.recipe();
    let none = lab.run(&["run", "files", MODEL, "--dry-run"]).exits(0);
    let none = none.says(&["is not staged: the server downloads it", "towline model add org/model-1.5"]);
    assert!(none.stdout.contains("--directory org/model-1.5"), "{}", none.stdout);
    let added = lab.run(&["model", "add", MODEL]).exits(0).says(&["01234567 (main) is there", "3 files"]);
    assert_eq!(added.stdout.trim(), lab.snapshot());
    assert_eq!(fs::read(format!("{}/{LARGE}", lab.snapshot())).unwrap(), lab.web.content(LARGE));
    let listed = lab.run(&["model", "ls", "--json"]).exits(0).json();
    let model = &listed[0];
    assert_eq!(
        (&model["kind"], &model["name"], &model["bytes"]),
        (&"cache".into(), &MODEL.into(), &800_008.into())
    );
    assert_eq!(model["revisions"][0]["commit"], COMMIT);
    assert!(model["partial"].is_null());
    let table = lab.run(&["model", "ls"]).exits(0).stdout;
    assert!(table.contains("01234567 (main)") && table.contains("complete"), "{table}");
    for word in [MODEL, "org/model-1.5@main", "org/model-1.5@0123456"] {
        assert_eq!(lab.run(&["model", "path", word]).exits(0).stdout.trim(), lab.snapshot());
    }
    let ran = lab.run(&["run", "files", MODEL, "--name", "web"]).exits(0);
    let ran = ran.says(&[&format!("model org/model-1.5: 01234567 (main), in {}", lab.snapshot())]);
    assert!(ran.stdout.starts_with("http://127.0.0.1:"));
    let shown = lab.run(&["show", "--json", "web"]).exits(0).json();
    assert!(shown["command"].as_array().unwrap().contains(&lab.snapshot().into()), "{shown}");
    lab.run(&["model", "rm", MODEL, "--yes"]).exits(5).says(&["service web uses", "towline stop web"]);
    lab.run(&["stop", "web"]).exits(0);
    // Nor while one of another profile there looks for it by its name.
    for (value, is_used) in [("org/model-1.5-large", false), (MODEL, true)] {
        let variable = format!("MODEL={value}");
        let serve = ["--", "python3", "-m", "http.server", "{port}", "--bind", "{host}"];
        lab.run(
            &[
                &["run", "--profile", "second", "--name", "plain", "--health", "/", "--env", &variable][..],
                &serve,
            ]
            .concat(),
        )
        .exits(0);
        let removed = lab.run(&["model", "rm", MODEL, "--yes"]);
        if is_used {
            removed.exits(5).says(&["service plain uses", "towline stop plain"]);
        } else {
            removed.exits(0);
            lab.run(&["model", "add", MODEL]).exits(0);
        }
        lab.run(&["stop", "plain"]).exits(0);
    }
    lab.run(&["model", "rm", MODEL]).exits(5).says(&["--yes"]);
    lab.run(&["model", "rm", "org/model-1.5@main", "--yes"]).exits(0).says(&["is removed", "781.2 KiB"]);
    lab.run(&["model", "path", MODEL]).exits(4).says(&["towline model add org/model-1.5"]);
    assert_eq!(lab.run(&["model", "ls", "--json"]).exits(0).stdout.trim(), "[]");
}

#[test]
fn what_is_staged_can_be_passed_over_and_is_told_by_name() {
    let lab = Lab::new();
    lab.recipe();
    lab.run(&["model", "add", MODEL, "--json"]).exits(0);
    let script = |args: &[&str]| lab.run(&[&["run", "files", "--dry-run"], args].concat()).exits(0).stdout;
    assert!(script(&[MODEL]).contains(&format!("--directory '{}'", lab.snapshot())));
    assert!(script(&[MODEL, "--no-staged"]).contains("--directory org/model-1.5"));
    assert!(script(&["/models/own"]).contains("--directory /models/own"));
    let told = lab.run(&["run", "files", "--dry-run", "org/model-1.5@main"]).exits(0);
    let told = told.says(&["no name of a model", "say org/model-1.5, and --revision main"]);
    assert!(!told.stderr.contains("model add"), "{}", told.stderr);
    // In a container all of the model's directory is shown, since its files are links.
    let script = script(&[MODEL, "--container", "apptainer"]);
    let mounted = lab.world.path("group cache/models/models--org--model-1.5").display().to_string();
    assert!(script.contains(&format!("source={mounted},destination={mounted},ro")), "{script}");
}

#[test]
fn errors_have_their_codes_and_hints_and_hold_no_token() {
    let lab = Lab::new();
    let gated = "X-Error-Code: GatedRepo\r\nX-Error-Message: Access is restricted.\r\n";
    let add = |args: &[&str]| lab.run(&[&["model", "add", MODEL], args].concat());
    lab.web.mood("/api/", Mood::Status(403, gated));
    add(&[]).exits(5).says(&[
        "failed to download model org/model-1.5",
        "is gated: Access is restricted.",
        "--token env:",
    ]);
    lab.web.mood("/api/", Mood::Status(401, ""));
    lab.world.write("token", "hf_hush");
    let file = format!("file:{}", lab.world.path("token").display());
    add(&["--token", &file]).exits(3).says(&["can be read by others", "chmod 600"]);
    fs::set_permissions(lab.world.path("token"), fs::Permissions::from_mode(0o600)).unwrap();
    let told = add(&["--token", &file]).exits(5).says(&["does not accept the token"]);
    assert!(!told.stderr.contains("hf_hush"), "{}", told.stderr);
    lab.web.mood("/api/", Mood::Status(404, "X-Error-Code: RepoNotFound\r\n"));
    add(&[]).exits(4).says(&["the hub has no model org/model-1.5"]);
    lab.web.mood("/api/", Mood::Status(404, "X-Error-Code: RevisionNotFound\r\n"));
    add(&["--revision", "v9"]).exits(4).says(&["has no revision v9"]);
    add(&["--include", "*.gguf"]).exits(4).says(&["--include"]);
    add(&["--hub", "http://127.0.0.1:1"]).exits(6).says(&["the hub gave no answer"]);
    add(&["--hub", "hub.example"]).exits(2).says(&["is no hub"]);
    add(&["--token", "hf_hush"]).exits(2).says(&["neither env:NAME nor file:PATH"]);
    add(&["--in-job"]).exits(2).says(&["no jobs on this machine"]);
    let model = |args: &[&str]| lab.run(&[&["model"], args].concat());
    model(&["add", "a b"]).exits(2).says(&["is no name of a model"]);
    model(&["path", "/models/x"]).exits(2);
    model(&["path", "org/model-1.5@x"]).exits(4).says(&["model org/model-1.5@x is not there"]);
    model(&["rm", "org/none"]).exits(4);
    lab.run(&["image", "rm", "none"]).exits(4);
    lab.run(&["image", "add", "text-generatio"]).exits(4).says(&["text-generation"]);
    lab.run(&["image", "add", "docker://a/b:1"]).exits(3).says(&["there is no apptainer on PATH"]);
    let listed =
        lab.command(&["model", "ls"]).env("TOWLINE_PROFILES__LOCAL__CACHE", "models").output().unwrap();
    Ran::from(listed).exits(3).says(&["bad cache"]);
    let mut plain = lab.command(&["model", "add", MODEL]);
    plain.env_remove("TOWLINE_PROFILES__LOCAL__HUB").env("HF_ENDPOINT", "http://hub.example");
    Ran::from(plain.output().unwrap()).exits(3).says(&["which is not encrypted", "--hub http://hub.example"]);
}

#[test]
fn ctrl_c_leaves_what_is_there_and_the_same_command_goes_on() {
    let lab = Lab::new();
    lab.web.mood(LARGE, Mood::Stall(500_000));
    let mut command = lab.command(&["model", "add", MODEL]);
    let adding = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let partial = || {
        let listed = lab.run(&["model", "ls", "--json"]).exits(0).json();
        listed[0]["partial"]["bytes"].as_u64().filter(|bytes| *bytes > 100_000)
    };
    eventually("a part of the file", partial);
    let killed = Command::new("kill").args(["-INT", &adding.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let told = Ran::from(adding.wait_with_output().unwrap()).exits(130);
    told.says(&["the download of org/model-1.5 is stopped", "the same command goes on with it"]);
    let had = partial().unwrap();
    let table = lab.run(&["model", "ls"]).exits(0).stdout;
    assert!(table.contains("partial: 488.0 KiB of one file"), "{table}");
    lab.run(&["model", "path", MODEL]).exits(4).says(&["partial", "goes on with it"]);
    let added = lab.run(&["model", "add", MODEL, "--json"]).exits(0).json();
    assert_eq!((&added["path"], &added["files"]), (&lab.snapshot().into(), &3.into()));
    assert_eq!(lab.web.gets(LARGE).last().unwrap().range, Some(format!("bytes={had}-")));
}

#[test]
fn an_image_is_pulled_once_and_run_from_its_file() {
    let lab = Lab::new();
    lab.recipe();
    let apptainer = lab
        .world
        .write("bin/apptainer", "#!/bin/sh\nfor word; do last=$word; done\necho \"$last\" >\"$4\"\n");
    fs::set_permissions(apptainer, fs::Permissions::from_mode(0o755)).unwrap();
    let dry = ["run", "files", "/m", "--container", "apptainer", "--dry-run"];
    let before =
        lab.run(&dry).exits(0).says(&["image docker://org/files:1.2 is not staged", "towline image add"]);
    assert!(before.stdout.contains("docker://org/files:1.2"));
    let added = lab.run(&["image", "add", "files"]).exits(0).says(&["image files_1.2 is there"]);
    let path = lab.world.path("group cache/images/files_1.2.sif").display().to_string();
    assert_eq!(added.stdout.trim(), path);
    let script = lab.run(&dry).exits(0).stdout;
    assert!(script.contains(&path) && !script.contains("docker://"), "{script}");
    let own = [&dry[..], &["--image", "docker://org/other:1"]].concat();
    assert!(lab.run(&own).exits(0).stdout.contains("docker://org/other:1"));
    let listed = lab.run(&["image", "ls", "--json"]).exits(0).json();
    assert_eq!(
        (&listed[0]["name"], &listed[0]["source"]),
        (&"files_1.2".into(), &"docker://org/files:1.2".into())
    );
    lab.run(&["image", "ls"]).exits(0);
    fs::write(&path, "not pulled again").unwrap();
    lab.run(&["image", "add", "files"]).exits(0).says(&["image files_1.2 is there"]);
    let other = ["image", "add", "docker://elsewhere/files:1.2"];
    lab.run(&other).exits(7).says(&["is there, from docker://org/files:1.2", "--name", "--force"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "not pulled again");
    lab.run(&[&other[..], &["--force"]].concat()).exits(0);
    assert_eq!(fs::read_to_string(&path).unwrap().trim(), "docker://elsewhere/files:1.2");
    lab.run(&["image", "add", "docker://a/b"]).exits(0).says(&["stands for another image tomorrow"]);
    lab.world.write("bin/apptainer", "#!/bin/sh\necho 'FATAL: no such image' >&2\nexit 255\n");
    lab.run(&["image", "add", "docker://a/c:1"]).exits(5).says(&["FATAL: no such image", "hint:"]);
    lab.run(&["image", "rm", "files_1.3"]).exits(4).says(&["did you mean files_1.2?"]);
    lab.run(&["image", "rm", "files_1.2.sif", "--yes"]).exits(0);
    assert!(!std::path::Path::new(&path).exists());
}
