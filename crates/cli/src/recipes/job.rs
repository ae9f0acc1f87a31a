//! What a recipe asks of a scheduler, in the words of the command line.

use serde_json::Value as Json;
use towline_core::resources::Resources;

/// What a job asks for, as options of `run`.
pub(crate) fn job_words(job: &Resources) -> Vec<String> {
    let Ok(Json::Object(fields)) = serde_json::to_value(job) else { return Vec::new() };
    let word = |(name, value): (String, Json)| {
        let option = name.replace('_', "-");
        match value {
            Json::Null | Json::Array(_) | Json::Object(_) => None,
            Json::Bool(true) => Some(format!("--{option}")),
            Json::Bool(false) => Some(format!("--no-{option}")),
            Json::Number(number) => Some(format!("--{option} {number}")),
            Json::String(text) => Some(format!("--{option} {text}")),
        }
    };
    let arguments = job.submit_args.iter().map(|argument| format!("--sbatch-arg={argument}"));
    fields.into_iter().filter_map(word).chain(arguments).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_told_in_options() {
        let job = Resources {
            gpus: Some("2".into()),
            cpus: Some(4),
            requeue: Some(false),
            submit_args: vec!["--nice=1".into()],
            ..Resources::default()
        };
        assert_eq!(job_words(&job), ["--cpus 4", "--gpus 2", "--no-requeue", "--sbatch-arg=--nice=1"]);
    }
}
