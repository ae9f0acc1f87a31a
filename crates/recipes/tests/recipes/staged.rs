//! Models and images that lie where the service runs.

use towline_recipes::{Containing, Provider, Request, Snapshot, Stageable};

use crate::support::{built_in, read, request};

fn snapshot() -> Snapshot {
    let hub = "/cache/models".to_owned();
    Snapshot { path: format!("{hub}/models--a--b/snapshots/c0ffee"), hub, commit: "c0ffee".into() }
}

fn asked(model: &str) -> Request {
    Request { model: Some(model.into()), snapshot: Some(snapshot()), ..request() }
}

#[test]
fn a_model_that_lies_there_is_given_by_its_directory_and_served_by_its_name() {
    let recipe = read(
        "summary = 's'\ncommand = ['serve', '{port}', '{model}', ['--rev', '{revision}'], ['--name', '{called}'], ['--id', '{model-name}']]\n\
         [model]\nserved = 'called'\n[parameters.called]\ntype = 'string'\nhelp = 'h'\n\
         [container]\nimages = { apptainer = 'docker://x:1' }\nmounts = [{ source = '{model-path}' }]",
    );
    let words = |request: &Request| crate::support::command(&recipe, request);
    let mut request = asked("a/b");
    request.revision = Some("main".into());
    assert_eq!(words(&request), "serve {port} /cache/models/models--a--b/snapshots/c0ffee --name a/b");
    request.values.insert("called".into(), vec!["mine".into()]);
    assert_eq!(words(&request), "serve {port} /cache/models/models--a--b/snapshots/c0ffee --name mine");
    request.container = Containing::In(Provider::Apptainer);
    let mount = "--mount type=bind,source=/cache/models/models--a--b,destination=/cache/models/models--a--b docker://x:1";
    assert!(words(&request).contains(mount), "{}", words(&request));
    assert_eq!(words(&asked("/own/model")), "serve {port} /own/model", "a path is what it says");
    let without = Request { snapshot: None, ..asked("a/b") };
    assert_eq!(words(&without), "serve {port} a/b --id a/b");
}

#[test]
fn a_server_that_takes_names_gets_the_cache() {
    let recipe = read(
        "summary = 's'\ncommand = ['serve', '{port}', '{model-name}', ['--dir', '{dir}'], ['--rev', '{revision}']]\n\
         [model]\nhub = 'dir'\n[parameters.dir]\ntype = 'path'\nhelp = 'h'",
    );
    let mut request = asked("a/b");
    let words = |request: &Request| crate::support::command(&recipe, request);
    assert_eq!(words(&request), "serve {port} a/b --dir /cache/models --rev c0ffee");
    request.values.insert("dir".into(), vec!["/own".into()]);
    assert!(words(&request).contains("--dir /own"));
}

#[test]
fn only_what_a_recipe_can_use_is_looked_for() {
    let of = |recipe: &towline_recipes::Recipe, request: &Request| recipe.stageable(request);
    let chat = built_in("text-generation");
    let mut request = asked("a/b");
    let model = Stageable { model: Some("a/b".into()), image: None };
    assert_eq!(of(&chat, &request), model);
    request.container = Containing::In(Provider::Apptainer);
    assert!(of(&chat, &request).image.unwrap().starts_with("docker://vllm/"));
    request.image = Some("/images/own.sif".into());
    assert_eq!(of(&chat, &request), model);
    request.values.insert("engine".into(), vec!["llama-cpp".into()]);
    assert_eq!(of(&chat, &request), Stageable::default(), "it takes files, no snapshots");
    assert_eq!(of(&chat, &asked("/models/own")), Stageable::default());
    assert_eq!(of(&built_in("ollama"), &crate::support::request()), Stageable::default());
    request.values.insert("engine".into(), vec!["none".into()]);
    assert_eq!(of(&chat, &request), Stageable::default(), "what is wrong is told later");
    let speech = built_in("speech-recognition");
    let words = crate::support::command(&speech, &asked("openai/whisper-base"));
    assert!(words.contains("--revision c0ffee --model-dir /cache/models"), "{words}");
    for name in ["text-generation", "sglang", "embeddings"] {
        let words = crate::support::command(&built_in(name), &asked("a/b"));
        assert!(words.contains("/snapshots/c0ffee") && words.contains("--served-model-name a/b"), "{words}");
    }
}

#[test]
fn a_parameter_that_is_not_there_cannot_be_told_the_name() {
    let text = "summary = 's'\ncommand = ['serve', '{port}', '{model}', ['--name', '{called}']]\n\
        [model]\nserved = 'caled'\n[parameters.called]\ntype = 'string'\nhelp = 'h'";
    let bad = towline_recipes::Recipe::read("web", text, "web.toml").unwrap_err();
    assert_eq!(bad.problems.len(), 1, "{bad}");
    assert_eq!((bad.problems[0].line, bad.problems[0].column), (4, 1));
    assert!(bad.problems[0].hint.as_ref().unwrap().contains("called"));
}
