//! A real model on a compute node, asked from this machine.

use serde_json::{Value, json};

use crate::harness::{Lab, get, post_stream};

#[test]
fn a_model_answers_a_question_piece_by_piece() {
    let lab = Lab::new();
    let server = ["/home/alice/model-server/serve", "--host", "0.0.0.0", "--port", "{port}"];
    let run = lab.run("smol", &[&["--mem", "1000", "--health", "/health", "--"][..], &server].concat());
    let url = run.ok().trim().to_owned();
    let models = get(&format!("{url}/v1/models")).unwrap();
    assert!(models.status == 200 && models.body().contains("smollm2-135m-instruct"), "{models:?}");

    let question = json!({
        "model": "smollm2-135m-instruct",
        "messages": [{ "role": "user", "content": "Name three colours of the rainbow." }],
        "max_tokens": 40,
        "stream": true,
    });
    let answer = post_stream(&format!("{url}/v1/chat/completions"), &question.to_string()).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let with_text: Vec<usize> =
        (0..answer.pieces.len()).filter(|&i| !words(&answer.pieces[i]).is_empty()).collect();
    assert!(with_text.len() >= 3, "the answer came in pieces as it was made: {answer:?}");
    assert!(!answer.pieces[with_text[0]].contains("[DONE]"), "{answer:?}");
    assert!(answer.body().contains("\ndata: [DONE]\n"), "{answer:?}");
    assert!(words(&answer.body()).split_whitespace().count() >= 3, "{answer:?}");

    lab.towline(&["stop", "smol"]).code(0);
    assert_eq!(lab.living_jobs(), Vec::<String>::new());
}

/// The text in a piece of an event stream.
fn words(piece: &str) -> String {
    let events =
        piece.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    events.filter_map(|event| Some(event["choices"][0]["delta"]["content"].as_str()?.to_owned())).collect()
}
