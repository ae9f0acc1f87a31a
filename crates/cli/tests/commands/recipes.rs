//! Recipes: found, shown, checked, begun, and run.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::world::{World, eventually};

const USER: &str = ".config/towline/recipes";
const PROJECT: &str = "towline/recipes";

/// A web server by Python, whose page tells the variable KEY's length.
const WEB: &str = "summary = 'A page'\ncommand = ['python3', '-u', '-m', 'http.server', '{port}', '--bind', '{host}', \
    ['--directory', '{directory}'], '{extra}']\nhealth = { path = '/', grace = '1m' }\n\
    [parameters.directory]\ntype = 'path'\nhelp = 'Directory to show'\n";

fn body(url: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_recipe_of_ones_own_goes_from_new_to_healthy() {
    let world = World::new();
    let made = world.run(&["recipe", "new", "files"]).exits(0).says(&["towline run files --help"]);
    let path = world.path(format!("{USER}/files.toml"));
    assert_eq!(made.stdout.trim(), path.to_str().unwrap());
    world.run(&["recipe", "new", "files"]).exits(7).says(&["already", "hint:"]);
    assert_eq!(world.run(&["recipe", "check"]).exits(0).stdout, format!("{}: ok\n", path.display()));
    let help = world.run(&["run", "files", "--help"]).exits(0).stdout;
    for words in ["--directory <PATH>", "--protocol", "HTTP/1.1", "1m]", "--cpus 1 --mem 500M", "<ARG>"] {
        assert!(help.contains(words), "no {words:?} in {help}");
    }
    world.write("shown dir/page $(id)", "the page");
    let directory = world.path("shown dir");
    let run = ["run", "files", "--name", "web", "--directory", directory.to_str().unwrap()];
    let ran = world.run(&run).exits(0).says(&["web: HEALTHY", &format!("recipe files: {}", path.display())]);
    let url = ran.stdout.trim();
    assert!(body(url, "/page%20$(id)").ends_with("the page"));
    let shown = world.run(&["show", "--json", "web"]).exits(0).json();
    let command: Vec<&str> = shown["command"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let expected = ["python3", "-u", "-m", "http.server", "{port}", "--bind", "{host}", "--directory"];
    assert_eq!(command[..8], expected);
    assert_eq!(command[8..], [directory.to_str().unwrap()]);
    assert_eq!((&shown["health"], &shown["grace_seconds"]), (&"/".into(), &60.into()));
    let more = world.run(&["run", "files", "--detach", "--json"]).exits(0).json();
    assert_eq!(more["name"], "files", "without a name it is called as its recipe");
}

#[test]
fn the_project_goes_before_the_user_and_both_before_the_built_in() {
    let world = World::new();
    let listed = |world: &World| -> Vec<(String, String, bool)> {
        let listed = world.run(&["recipe", "ls", "--json"]).exits(0).json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let row = |row: &Value| (text(&row["name"]), text(&row["source"]), row["hidden_by"].is_null());
        listed.as_array().unwrap().iter().map(row).collect()
    };
    let built_in = listed(&world);
    let names: Vec<&str> = built_in.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["embeddings", "ollama", "sglang", "speech-recognition", "text-generation"]);
    assert!(built_in.iter().all(|(_, source, is_meant)| source == "built-in" && *is_meant));

    world.write(&format!("{USER}/ollama.toml"), &WEB.replace("A page", "mine"));
    world.write(&format!("{PROJECT}/ollama.toml"), &WEB.replace("A page", "ours"));
    let of_ollama: Vec<_> = listed(&world).into_iter().filter(|(name, ..)| name == "ollama").collect();
    let row = |source: &str, is_meant| ("ollama".to_owned(), source.to_owned(), is_meant);
    assert_eq!(of_ollama, [row("project", true), row("user", false), row("built-in", false)]);
    assert!(world.run(&["recipe", "ls"]).exits(0).stdout.contains("built in, hidden by project"));
    assert_eq!(world.run(&["recipe", "show", "--json", "ollama"]).exits(0).json()["summary"], "ours");
    std::fs::remove_file(world.path(format!("{PROJECT}/ollama.toml"))).unwrap();
    assert_eq!(world.run(&["recipe", "show", "--json", "ollama"]).exits(0).json()["summary"], "mine");
    let text = world.run(&["recipe", "show", "--toml", "ollama"]).exits(0).stdout;
    assert_eq!(text, WEB.replace("A page", "mine"));
    world
        .run(&["recipe", "new", "--project", "sglang"])
        .exits(0)
        .says(&["warning:", "built-in recipe sglang"]);
    let from = world.run(&["recipe", "new", "--from", "text-generation", "llm"]).exits(0).stdout;
    let of_built_in = world.run(&["recipe", "show", "--toml", "text-generation"]).exits(0).stdout;
    assert_eq!(std::fs::read_to_string(from.trim()).unwrap(), of_built_in);
}

#[test]
fn a_recipe_that_others_may_have_put_there_is_not_used() {
    let world = World::new();
    let path = world.write(&format!("{PROJECT}/ollama.toml"), WEB);
    let directory = path.parent().unwrap();
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o777)).unwrap();
    for verb in [&["run", "ollama", "--dry-run"][..], &["recipe", "show", "ollama"]] {
        world.run(verb).exits(3).says(&["can be written by everybody", "towline/recipes"]);
    }
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).unwrap();
    world
        .run(&["run", "ollama", "--dry-run"])
        .exits(0)
        .says(&["warning:", "hides the built-in recipe ollama"]);
}

#[test]
fn what_only_looks_like_a_project_or_a_recipe_is_none() {
    let world = World::new();
    world.write("towline", "a program");
    world.run(&["recipe", "ls"]).exits(0);
    world.run(&["run", "olama"]).exits(2).says(&["did you mean ollama?"]);
    world.run(&["run", "-", "--", "true"]).exits(2);
    let run = world.run(&["run", "ollama", "--keep-alive", "-1", "--dry-run"]).exits(0);
    assert!(run.stdout.contains("ollama serve"), "{}", run.stdout);
}

#[test]
fn a_recipe_is_shown_whole() {
    let world = World::new();
    let shown = world.run(&["recipe", "show", "--json", "text-generation"]).exits(0).json();
    assert_eq!(
        (&shown["name"], &shown["source"], &shown["path"]),
        (&"text-generation".into(), &"built-in".into(), &Value::Null)
    );
    assert_eq!(shown["model"]["required"], true);
    let engine = &shown["parameters"][0];
    assert_eq!(
        (&engine["name"], &engine["type"], &engine["default"]),
        (&"engine".into(), &"variant".into(), &"vllm".into())
    );
    let variants: Vec<&str> =
        shown["runs"].as_array().unwrap().iter().filter_map(|run| run["variant"].as_str()).collect();
    assert_eq!(variants, ["llama-cpp", "vllm"]);
    let vllm = &shown["runs"][1];
    assert_eq!(vllm["command"][0], "vllm");
    assert_eq!(
        (&vllm["secret"], &vllm["health"], &vllm["grace_seconds"]),
        (&"VLLM_API_KEY".into(), &"/health".into(), &1800.into())
    );
    assert_eq!(vllm["job"]["gpus"], "1");
    assert!(vllm["container"]["images"]["apptainer"].as_str().unwrap().starts_with("docker://"));
    let text = world.run(&["recipe", "show", "text-generation"]).exits(0).stdout;
    assert!(
        text.contains("variant     llama-cpp") && text.contains("[--max-model-len {context-length}]"),
        "{text}"
    );
}

#[test]
fn a_bad_recipe_is_told_with_file_line_and_column() {
    let world = World::new();
    let path = world.write(&format!("{PROJECT}/web.toml"), &format!("{WEB}[job]\nmemroy = 1\ncpus = 'x'\n"));
    let first = format!("{}:8:1: unknown key memroy", path.display());
    let second = format!("{}:9:8: cpus is a whole number", path.display());
    for args in
        [&["run", "web"][..], &["recipe", "check"], &["recipe", "check", "web"], &["recipe", "show", "web"]]
    {
        world.run(args).exits(3).says(&[
            "error: bad recipe web: ",
            &first,
            &second,
            "hint: allowed here: time, mem",
        ]);
    }
    let file = path.to_str().unwrap();
    let ran = world.run(&["recipe", "check", "--json", file]).exits(3);
    let checked = ran.json();
    assert_eq!((&checked[0]["name"], &checked[0]["ok"]), (&"web".into(), &false.into()));
    let problem = &checked[0]["problems"][0];
    assert_eq!((&problem["line"], &problem["column"]), (&8.into(), &1.into()));
    assert!(problem["message"].as_str().unwrap().contains("memroy"));
    let listed = world.run(&["recipe", "ls", "--json"]).exits(0).json();
    let web = listed.as_array().unwrap().iter().find(|row| row["name"] == "web").unwrap();
    assert!(web["summary"].is_null() && web["problem"].as_str().unwrap().contains(":8:1:"), "{web}");
    world.run(&["recipe", "check", "ollama"]).exits(0);
    world.run(&["recipe", "check", "olama"]).exits(4).says(&["did you mean ollama?"]);
    world.run(&["recipe", "show", "olama"]).exits(4).says(&["did you mean ollama?"]);
    world.run(&["recipe", "check", "./none.toml"]).exits(4).says(&["./none.toml"]);
    world.run(&["recipe", "new", "Bad Name"]).exits(2).says(&["a-z, 0-9"]);
    assert!(world.list(&["--all"]).is_empty(), "nothing was run");
}

#[test]
fn a_server_is_healthy_once_its_answer_says_so() {
    let world = World::new();
    let strict = WEB.replace("path = '/',", "path = '/state.json', json = { pointer = '/ready' },");
    world.write(&format!("{PROJECT}/web.toml"), &strict);
    let shown = world.run(&["recipe", "show", "--json", "web"]).exits(0).json();
    assert_eq!(shown["runs"][0]["ready"]["json"]["pointer"], "/ready");
    world.write("shown/state.json", "{\"ready\": false}");
    let directory = world.path("shown");
    world.run(&["run", "web", "--detach", "--directory", directory.to_str().unwrap()]).exits(0);
    let show = || world.run(&["show", "--json", "web"]).exits(0).json();
    eventually("a server that listens", || (show()["place"]["listening"] == true).then_some(()));
    eventually("its answer", || {
        world.run(&["logs", "web"]).exits(0).stdout.contains("\"GET /state.json").then_some(())
    });
    let shown = show();
    assert_eq!(
        (&shown["status"], &shown["ready"]["json"]["pointer"]),
        (&"STARTING".into(), &"/ready".into())
    );
    world.write("shown/state.json", "{\"ready\": true}");
    world.run(&["wait", "web"]).exits(0).says(&["web: HEALTHY"]);
    let other =
        ["run", "web", "--name", "other", "--health", "/", "--directory", directory.to_str().unwrap()];
    world.write("shown/state.json", "{}");
    world.run(&other).exits(0).says(&["other: HEALTHY"]);
}

#[test]
fn what_is_wrong_with_a_command_line_is_told() {
    let world = World::new();
    for (args, words) in [
        (
            &["run", "text-generaton", "m"][..],
            &["there is no recipe text-generaton", "did you mean text-generation?"][..],
        ),
        (&["run", "./serve.sh"], &["there is no recipe", "put -- before it", "towline run -- ./serve.sh"]),
        (&["run", "text-generation"], &["<MODEL>"]),
        (&["run", "text-generation", "m", "--contxt-length", "8"], &["--contxt-length", "--context-length"]),
        (
            &["run", "text-generation", "m", "--context-length", "8k"],
            &["bad --context-length", "not a whole number", "hint:"],
        ),
        (&["run", "text-generation", "m", "--context-length=0"], &["it is below 1"]),
        (&["run", "text-generation", "m", "--dtype", "foat"], &["foat", "float"]),
        (&["run", "text-generation", "m", "--engine", "llama-cpp", "--dtype", "auto"], &["takes no --dtype"]),
        (
            &["run", "--engine", "vllm", "text-generation", "m"],
            &["--engine stands before the recipe", "after its name"],
        ),
        (&["run", "text-generation", "m", "n"], &["unexpected argument 'n'"]),
        (&["run", "text-generation", "a b"], &["bad model"]),
        (&["run", "ollama", "m"], &["unexpected argument 'm'"]),
        (&["run", "ollama", "--", "x"], &["takes no arguments after --"]),
        (&["run", "ollama", "--api-key", "none"], &["unexpected argument '--api-key'"]),
        (&["run", "text-generation", "m", "--image", "x.sif"], &["--image without a container"]),
        (&["run", "text-generation", "m", "--container", "dokcer"], &["docker", "apptainer"]),
        (&["run", "text-generation", "m", "--health", "up"], &["bad health"]),
    ] {
        let ran = world.run(args).exits(2).says(words);
        assert_eq!(ran.stdout, "", "{args:?}");
    }
    assert!(world.list(&["--all"]).is_empty(), "nothing of it was recorded");
}

#[test]
fn a_batch_script_has_what_recipe_profile_and_command_line_say() {
    let world = World::new();
    let profile = "[profiles.lab]\nkind = 'slurm'\nhost = 'login'\nmem = '64G'\nhealth = '/other'\nsetup = ['module load cuda']\n";
    world.write(".config/towline/config.toml", profile);
    let script = |more: &[&str]| {
        let all =
            [&["run", "--profile", "lab", "text-generation", "Qwen/Qwen3-8B", "--dry-run"], more].concat();
        world.run(&all).exits(0).stdout
    };
    let has = |script: &str, lines: &[&str]| {
        for line in lines {
            assert!(script.contains(line), "no {line:?} in {script}");
        }
    };
    let plain = script(&[]);
    has(
        &plain,
        &["--cpus-per-task=4", "--mem=64G", "--gpus=1", "module load cuda", "--tensor-parallel-size 1"],
    );
    has(&plain, &["vllm serve Qwen/Qwen3-8B --host \"$HOST\" --port \"$PORT\""]);
    let more = script(&["--gpus", "a100:2", "--context-length", "8192", "--", "--swap-space", "$(id)"]);
    has(
        &more,
        &["--gpus=a100:2", "--max-model-len 8192", "--tensor-parallel-size 2", "--swap-space '$(id)'"],
    );
    let none = script(&["--gpus", "0"]);
    assert!(!none.contains("--gpus") && !none.contains("tensor-parallel"), "{none}");
    let contained = script(&["--container", "apptainer", "--image", "/images/my vllm.sif"]);
    has(&contained, &["apptainer exec --nv '/images/my vllm.sif' vllm serve", "export PYTHONNOUSERSITE=1"]);
}

#[test]
fn a_container_engine_runs_the_command_with_its_environment_and_port() {
    let world = World::new();
    // Stands for Apptainer: takes the same words, says which, and runs the command where it is.
    let engine = "#!/bin/bash\nprintf '<%s>' \"$@\"; echo\nshift\nwhile [[ $1 == --* ]]; do [[ $1 == --nv ]] || shift; shift; done\n\
                  shift\nexec \"$@\"\n";
    let engine = world.write("bin/apptainer", engine);
    std::fs::set_permissions(&engine, std::fs::Permissions::from_mode(0o755)).unwrap();
    let container = "[container]\ndefault = 'apptainer'\nimages = { apptainer = '/images/web, 1.sif' }\n\
                     mounts = [{ source = '{directory}', read_only = true }]\n";
    world.write(&format!("{PROJECT}/web.toml"), &format!("{WEB}{container}"));
    let directory = world.path("a, \"b\"");
    std::fs::create_dir(&directory).unwrap();
    let directory = directory.to_str().unwrap();
    let bin = engine.parent().unwrap().to_str().unwrap();
    let path = format!("PATH={bin}:{}", std::env::var("PATH").unwrap());
    let ran =
        world.run(&["run", "web", "--env", &path, "--directory", directory]).exits(0).says(&["web: HEALTHY"]);
    assert!(body(ran.stdout.trim(), "/").contains("200 OK"));
    let log = world.run(&["logs", "web"]).exits(0).stdout;
    let mount = format!("\"source={0}\",\"destination={0}\",ro", directory.replace('"', "\"\""));
    assert!(
        log.contains(&format!("<exec><--mount><type=bind,{mount}></images/web, 1.sif><python3>")),
        "{log}"
    );
    world.run(&["stop", "web"]).exits(0);
    world.run(&["run", "web", "--container", "none", "--name", "bare"]).exits(0).says(&["bare: HEALTHY"]);
}

#[test]
fn a_recipe_runs_as_if_its_command_had_been_typed() {
    let world = World::new();
    world.write(&format!("{PROJECT}/web.toml"), WEB);
    let words = ["python3", "-u", "-m", "http.server", "{port}", "--bind", "{host}"];
    let typed = ["run", "--name", "web", "--health", "/", "--grace", "1m", "--env", "A=1", "--dry-run", "--"];
    let by_hand = world.run(&[&typed[..], &words].concat()).exits(0).stdout;
    let by_recipe = world.run(&["run", "--dry-run", "web", "--name", "web", "--env", "A=1"]).exits(0).stdout;
    let of = |script: &str| {
        script
            .lines()
            .filter(|line| !line.contains("towline_service=") && !line.contains("towline_dir="))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let ids = |script: &str| {
        script
            .lines()
            .filter_map(|line| line.strip_prefix("towline_service=").map(str::to_owned))
            .next()
            .unwrap()
    };
    assert_eq!(of(&by_hand).replace(&ids(&by_hand), "ID"), of(&by_recipe).replace(&ids(&by_recipe), "ID"));
}
