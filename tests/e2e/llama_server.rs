//! llama.cpp's own `llama-server`, as Debian has built it, under every option that the built-in recipe has for it.

use crate::harness::{Lab, Service, installed};

#[test]
fn the_program_itself_takes_the_recipe_s_options() {
    let lab = Lab::new();
    let (model, programs) = (installed("models/smollm2-135m-instruct.gguf"), installed("sid"));
    let path = format!("export PATH={programs}/bin:$PATH");
    // Debian's looks for them below /usr; this one does on any processor.
    let backend =
        format!("GGML_BACKEND_PATH={programs}/lib/x86_64-linux-gnu/ggml/backends0/libggml-cpu-x64.so");
    let alias = format!("smol-{}", lab.remote_name());
    let engine = ["text-generation", &model, "--engine", "llama-cpp", "--setup", &path, "--env", &backend];
    let options = ["--served-name", &alias, "--context-length", "2048", "--parallel", "2", "--offline"];
    let job = ["--gpus", "1", "--cpus", "2", "--mem", "1000", "--hf-home", "/tmp"];
    let service = Service::start(&lab, "smol", &[&engine[..], &options, &job].concat()).healthy();

    assert_eq!(service.used(&["models"])["models"], serde_json::json!([alias]));
    let fact = service.used(&["complete", "The capital of France is", "--model", &alias]);
    assert!(fact["text"].as_str().is_some_and(|text| text.contains("Paris")), "{fact}");
    service.assert_key_is_asked_for(&["models"]);
    service.stop(&alias);
}
