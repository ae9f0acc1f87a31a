//! The recipes that come with the crate.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use towline_recipes::{BUILT_IN, Containing, EXAMPLE, Provider, Recipe};

use crate::support::{built_in, key, request, resolve};

/// The command of a recipe with these parameters and model.
fn command(name: &str, model: Option<&str>, values: &[(&str, &str)]) -> String {
    let mut request = crate::support::with(values);
    request.model = model.map(Into::into);
    request.extra = Vec::new();
    resolve(&built_in(name), &request).unwrap().command.join(" ")
}

#[test]
fn all_can_be_read_run_and_run_in_a_container() {
    let names: BTreeSet<&str> = BUILT_IN.iter().map(|recipe| recipe.name).collect();
    let expected = ["embeddings", "ollama", "sglang", "speech-recognition", "text-generation"];
    assert_eq!(names, BTreeSet::from(expected));
    for known in BUILT_IN {
        let recipe = built_in(known.name);
        let variants = recipe.runs().keys();
        for variant in variants {
            let mut request = request();
            if let Some(selector) = recipe.selector() {
                request.values.insert(selector.name.clone(), vec![variant.clone()]);
            }
            request.model = recipe.model().map(|_| "org/model".to_owned());
            for container in [Containing::Bare, Containing::In(Provider::Apptainer)] {
                request.container = container;
                let spec = resolve(&recipe, &request).unwrap_or_else(|error| panic!("{error}"));
                assert!(spec.command.iter().any(|word| word.contains("{port}")), "{spec:?}");
                assert!(spec.command.iter().any(|word| word.contains("{host}")), "{spec:?}");
            }
        }
    }
}

#[test]
fn a_key_reaches_those_that_know_one_by_the_environment_alone() {
    for (name, variable) in [
        ("text-generation", Some("VLLM_API_KEY")),
        ("embeddings", Some("API_KEY")),
        ("speech-recognition", Some("SRI_TOKEN")),
        ("ollama", None),
        ("sglang", None),
    ] {
        let recipe = built_in(name);
        let mut request = request();
        request.model = recipe.model().map(|_| "org/model".to_owned());
        request.key = key("hush");
        match (variable, resolve(&recipe, &request)) {
            (Some(variable), Ok(spec)) => {
                assert_eq!(spec.env[variable], "hush");
                assert!(!spec.command.iter().chain(&spec.setup).any(|word| word.contains("hush")));
            }
            (None, Err(error)) => assert!(error.to_string().contains("takes no key"), "{error}"),
            (_, other) => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn they_say_what_their_servers_understand() {
    assert_eq!(
        command("text-generation", Some("Qwen/Qwen3-8B"), &[("context-length", "8192")]),
        "vllm serve Qwen/Qwen3-8B --host {host} --port {port} --max-model-len 8192 --tensor-parallel-size 1"
    );
    assert_eq!(
        command("text-generation", Some("/m/x.gguf"), &[("engine", "llama-cpp"), ("context-length", "4096")]),
        "llama-server --model /m/x.gguf --host {host} --port {port} --ctx-size 4096 --threads 4"
    );
    assert_eq!(
        command("text-generation", Some("org/x-GGUF:Q4_K_M"), &[("engine", "llama-cpp")]),
        "llama-server --hf-repo org/x-GGUF:Q4_K_M --host {host} --port {port} --threads 4"
    );
    assert!(command("speech-recognition", Some("openai/whisper-tiny"), &[("hub-cache", "/hub")]).ends_with(
        "speech_recognition --model-id openai/whisper-tiny --host {host} --port {port} --model-dir /hub"
    ));
    assert_eq!(
        command("embeddings", Some("/m/gte"), &[("pooling", "mean")]),
        "text-embeddings-router --model-id /m/gte --hostname {host} --port {port} --pooling mean"
    );
    assert_eq!(command("ollama", None, &[]), "env OLLAMA_HOST={host}:{port} ollama serve");
    assert_eq!(
        command("sglang", Some("Qwen/Qwen3-8B"), &[("gpu-memory", "0.8")]),
        "python3 -m sglang.launch_server --model-path Qwen/Qwen3-8B --host {host} --port {port} \
         --mem-fraction-static 0.8 --tp-size 1"
    );
}

#[test]
fn all_gpus_of_a_job_are_used() {
    for (name, words) in [("text-generation", "--tensor-parallel-size 4"), ("sglang", "--tp-size 4")] {
        let mut request = request();
        request.model = Some("org/model".into());
        request.around.resources.gpus = Some("a100:4".into());
        let spec = resolve(&built_in(name), &request).unwrap();
        assert!(spec.command.join(" ").contains(words), "{spec:?}");
        request.around.resources.gpus = Some("0".into());
        let spec = resolve(&built_in(name), &request).unwrap();
        assert!(!spec.command.join(" ").contains("-parallel") && spec.resources.gpus.is_none());
    }
}

#[test]
fn the_example_is_a_recipe() {
    let recipe = Recipe::read("hello", EXAMPLE, "hello.toml").unwrap_or_else(|bad| panic!("{bad}"));
    let spec = resolve(&recipe, &request()).unwrap();
    assert_eq!(spec.command.join(" "), "python3 -u -m http.server {port} --bind {host} --directory .");
    assert_eq!(spec.health, "/");
}

/// What the documentation shows is what is read.
#[test]
fn the_recipe_of_the_documentation_is_one() {
    let page = include_str!("../../../../docs/recipes.md");
    let text = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let recipe = Recipe::read("chat", text, "recipes.md").unwrap_or_else(|bad| panic!("{bad}"));
    let mut request =
        crate::support::with(&[("stop", "a"), ("stop", "b"), ("venv", "/v"), ("debug", "true")]);
    request.model = Some("org/model".into());
    request.revision = Some("main".into());
    request.extra = vec!["--more".into()];
    let spec = resolve(&recipe, &request).unwrap();
    assert_eq!(
        spec.command.join(" "),
        "python3 -m chat org/model --listen {host}:{port} --revision main --threads 4 --stop=a --stop=b --log debug --more"
    );
    assert_eq!(spec.setup, ["module load python", "source \"$VENV/bin/activate\""]);
    assert_eq!(spec.env["VENV"], "/v");
}

/// Every key that the reader knows is described, and every type.
#[test]
fn the_documentation_tells_every_key() {
    let page = include_str!("../../../../docs/recipes.md");
    let bad = Recipe::read("x", "summary = 's'\ncommand = ['x', '{port}']\nodd = 1\n[job]\nodd = 1\n[health]\nodd = 1\n\
        [secret]\nenv = 'A'\nodd = 1\n[container]\nodd = 1\nmounts = [{ source = '/', odd = 1 }]\n[model]\nodd = 1\n\
        [parameters.a]\ntype = 'string'\nhelp = 'h'\nodd = 1\n[parameters.b]\ntype = 'odd'\nhelp = 'h'\n", "").unwrap_err();
    let mut told = 0;
    for hint in bad.problems.iter().filter_map(|problem| problem.hint.as_deref()) {
        let Some((_, keys)) = hint.split_once("allowed here: ") else { continue };
        for key in keys.split(", ") {
            assert!(page.contains(&format!("`{key}`")), "no {key} in docs/recipes.md");
            told += 1;
        }
    }
    assert!(told > 50, "{told} of {bad:?}");
}

#[test]
fn llama_cpp_gets_key_and_cache_and_embeddings_a_cache_that_can_be_written() {
    let mut request = crate::support::with(&[("engine", "llama-cpp"), ("hf-home", "/hf")]);
    request.model = Some("org/model".into());
    request.key = key("hush");
    let spec = resolve(&built_in("text-generation"), &request).unwrap();
    assert_eq!((spec.env["LLAMA_API_KEY"].as_str(), spec.env["LLAMA_CACHE"].as_str()), ("hush", "/hf"));
    let mut request = self::request();
    request.model = Some("org/model".into());
    request.container = Containing::In(Provider::Apptainer);
    let spec = resolve(&built_in("embeddings"), &request).unwrap();
    assert!(spec.setup.iter().any(|line| line.contains("HUGGINGFACE_HUB_CACHE")), "{spec:?}");
    let ready = resolve(&built_in("speech-recognition"), &request).unwrap().ready;
    assert!(!ready.is_any_success(), "a limit of its rate is an answer too");
}

/// The program's own default has a `~`, which nothing replaces.
#[test]
fn speech_recognition_is_given_the_cache_that_hugging_face_would_use() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("speech");
    std::fs::create_dir_all(&dir).unwrap();
    let program = dir.join("speech_recognition");
    std::fs::write(&program, "#!/bin/sh\necho \"$@\"\n").unwrap();
    std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let mut request = request();
    request.model = Some("openai/whisper-tiny".into());
    let words = resolve(&built_in("speech-recognition"), &request).unwrap().command;
    let path = format!("{}:/usr/bin:/bin", dir.display());
    for (variables, cache) in [
        (&[][..], "/home/alice/.cache/huggingface/hub"),
        (&[("HF_HOME", "/hf")], "/hf/hub"),
        (&[("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/a b")], "/a b"),
    ] {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env_clear().env("HOME", "/home/alice").env("PATH", &path);
        let said = command.envs(variables.iter().copied()).output().unwrap();
        let expected = format!(
            "launch --model-dir {cache} --model-id openai/whisper-tiny --host {{host}} --port {{port}}\n"
        );
        assert_eq!(String::from_utf8_lossy(&said.stdout), expected, "{said:?}");
    }
}

/// What runs tomorrow is what runs today, and what was staged is what is asked for.
#[test]
fn images_are_pinned() {
    for known in BUILT_IN {
        let recipe = built_in(known.name);
        let containers = recipe.runs().values().filter_map(|run| run.container.as_ref());
        for image in containers.flat_map(|container| container.images.values()) {
            let tag = image.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
            assert!(tag.is_some_and(|tag| tag.contains(|c: char| c.is_ascii_digit())), "{image}");
        }
    }
}
