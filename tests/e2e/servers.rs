//! Real models on compute nodes, each run by a recipe and used from this machine by the client that people use.

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::harness::{Host, Lab, PATIENCE, SOON, Service, eventually, installed, on, setup};

const ALICE: Host = on("login").as_("alice");

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn a_language_model_talks_to_those_who_have_the_key() {
    let lab = Lab::new();
    let (model, setup) = (installed("models/smollm2-135m-instruct.gguf"), setup("text"));
    let alias = format!("smol-{}", lab.remote_name());
    let engine = ["text-generation", &model, "--engine", "llama-cpp", "--setup", &setup];
    let options = ["--served-name", &alias, "--context-length", "2048", "--cpus", "2", "--mem", "1000"];
    let service = Service::start(&lab, "smol", &[&engine[..], &options].concat()).healthy();

    assert_eq!(service.used(&["models"])["models"], serde_json::json!([alias]));
    let model = ["--model", &alias];
    let chat = service.used(&[&["chat", "Name three colours of the rainbow."][..], &model].concat());
    assert!(chat["tokens"].as_u64().unwrap() > 3 && !text(&chat, "text").trim().is_empty(), "{chat}");
    let fact = service.used(&[&["complete", "The capital of France is"][..], &model].concat());
    assert!(text(&fact, "text").contains("Paris"), "{fact}");
    let stream = service.used(&[&["stream", "Count from one to ten."][..], &model].concat());
    assert!(stream["pieces"].as_array().unwrap().len() > 3, "the answer comes as it is made: {stream}");

    service.assert_key_is_asked_for(&["models"]);
    service.stop(&alias);
}

/// The weights come through a pipe, so that the story has it in its hand how long loading takes.
#[test]
fn texts_that_mean_the_same_are_near_once_the_model_is_loaded() {
    let lab = Lab::new();
    let (weights, setup) = (installed("models/all-MiniLM-L6-v2"), setup("embeddings"));
    let model = format!("/home/alice/{}/minilm", lab.remote_name());
    let copy =
        r#"mkdir -p "$2" && ln -s "$1"/* "$2" && rm "$2/model.safetensors" && mkfifo "$2/model.safetensors""#;
    ALICE.run(&["bash", "-c", copy, "copy", &weights, &model]).ok();
    let job = ["--gpus", "0", "--cpus", "2", "--mem", "1000"];
    let service =
        Service::start(&lab, "near", &[&["embeddings", &model, "--setup", &setup][..], &job].concat());

    let told = eventually("an answer while it loads", SOON, || {
        let told = lab.towline(&["why", "near", "--json"]).json();
        told["sentence"].as_str().unwrap().contains("503").then_some(told)
    });
    let answers = "its server answers /health with HTTP status 503, where only a 2xx counts";
    assert!(text(&told, "sentence").contains(answers), "{told:#}");
    assert!(text(&told, "advice").starts_with("wait: many servers answer so while they load"), "{told:#}");
    assert_eq!((&told["status"], &told["outlook"]), (&"STARTING".into(), &"waits".into()), "{told:#}");
    assert_eq!(lab.history("near").iter().filter(|to| *to == "HEALTHY").count(), 0);

    let load = r#"cat "$1/model.safetensors" >"$2/model.safetensors""#;
    ALICE.run(&["bash", "-c", load, "load", &weights, &model]).ok();
    let service = service.healthy();
    let eating =
        ["A man is eating food.", "A man is eating a piece of bread.", "Stock markets fell on Monday."];
    let near = service.used(&[&["similarity"][..], &eating].concat());
    let cosine = |index: usize| near["cosines"][index].as_f64().unwrap_or_else(|| panic!("{near}"));
    assert!(near["dimensions"] == 384 && cosine(0) > 0.6 && cosine(1).abs() < 0.2, "{near}");
    service.assert_key_is_asked_for(&["similarity", "a", "b"]);

    // It takes SIGTERM for an order, and ends well.
    kill_process(service.process(&format!("--model-id {model} ")), Signal::TERM).unwrap();
    let ended = lab.wait_for("near", "STOPPED", SOON);
    assert!(text(&ended, "cause").contains("completed by itself"), "{ended}");
}

#[test]
fn speech_is_written_down_by_a_recipe_of_a_project() {
    let lab = Lab::new();
    let (weights, setup) = (installed("models/whisper-base"), setup("speech"));
    let model = format!("/home/alice/{}/whisper", lab.remote_name());
    let link = r#"mkdir -p "${2%/*}" && ln -s "$1" "$2""#;
    ALICE.run(&["bash", "-c", link, "link", &weights, &model]).ok();
    let words = ["whisper", &model, "--setup", &setup, "--beam-size", "3", "--mem", "1500"];
    let service = Service::start(&lab, "ear", &words).healthy();

    let sentence = installed("sentence.wav");
    let written = service.used(&["transcribe", &sentence]);
    let heard = text(&written, "text").to_lowercase();
    assert!(heard.contains("quick brown fox") && heard.contains("lazy dog"), "{written}");
    service.assert_key_is_asked_for(&["transcribe", &sentence]);
    service.stop(&format!("--model {model} "));
}

#[test]
fn a_model_that_is_not_there() {
    let lab = Lab::new();
    let setup = setup("text");
    let words = ["text-generation", "/nowhere/model.gguf", "--engine", "llama-cpp", "--setup", &setup];
    Service::start(&lab, "smol", &[&words[..], &["--cpus", "1", "--mem", "500"]].concat());
    let ended = lab.wait_for("smol", "FAILED", PATIENCE);
    assert!(text(&ended, "cause").contains("exit code 1"), "{ended}");
    let told = lab.towline(&["why", "smol", "--json"]).json();
    assert!(told["log"].to_string().contains("/nowhere/model.gguf"), "{told:#}");
}
