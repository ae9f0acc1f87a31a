//! An explanation as people and programs see it.

use serde::Serialize;
use towline_core::id::{JobId, ServiceId};
use towline_core::lifecycle::Status;
use towline_core::service::Service;
use towline_core::time::Timestamp;
use towline_core::why::{Evidence, Explanation, Finding, Outlook, Topic};

use super::words::{clean, clean_line};

/// An explanation in JSON. Fields may be added, and so may topics and outlooks; none changes its meaning or goes away.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct WhyView<'a> {
    /// UUID.
    id: ServiceId,
    name: &'a str,
    /// One of the eight statuses.
    status: Status,
    profile: &'a str,
    job_id: Option<&'a JobId>,
    /// Since when it has had its status.
    since: Timestamp,
    /// When anything was last known for sure.
    observed_at: Option<Timestamp>,
    /// The answer, for people.
    sentence: &'a str,
    /// What is to be expected if nobody does anything: `fine`, `waits`, `blocked`, `never`, `ended`.
    outlook: Outlook,
    /// What it rests on: objects with a `topic` (a word) and a `text`, for people.
    evidence: &'a [Finding],
    /// What to do, for people.
    advice: &'a str,
    /// The last lines of the log; none where it tells nothing.
    log: &'a [String],
    /// What could not be learnt and why, for people.
    unknown: &'a [String],
}

impl<'a> WhyView<'a> {
    /// Of a service, what was learnt of it, and what follows.
    pub(crate) fn new(service: &'a Service, evidence: &'a Evidence, explanation: &'a Explanation) -> Self {
        let life = &service.life;
        Self {
            id: service.id,
            name: service.spec.name.as_str(),
            status: service.status(),
            profile: &service.spec.profile,
            job_id: life.phase.job().map(|job| &job.id),
            since: life.since,
            observed_at: life.observed_at,
            sentence: &explanation.sentence,
            outlook: explanation.outlook,
            evidence: &explanation.evidence,
            advice: &explanation.advice,
            log: &explanation.log,
            unknown: &evidence.gaps,
        }
    }
}

/// The same for people: the sentence, a line for each piece of evidence, the log's last lines, and what to do. The line
/// of the log that tells most is marked among the last ones with `>`, and told by itself only where it is none of them.
pub(crate) fn answer(evidence: &Evidence, explanation: &Explanation) -> String {
    let mut text = clean_line(&explanation.sentence);
    text.push('\n');
    let mut line = |key: &str, value: &str| {
        text.push_str(&format_args!("  {key:11} {}\n", clean_line(value)).to_string());
    };
    let telling = explanation.evidence.iter().find(|finding| finding.topic == Topic::Log);
    let marked = telling.and_then(|telling| explanation.log.iter().rposition(|line| *line == telling.text));
    for Finding { topic, text } in &explanation.evidence {
        if *topic != Topic::Log || marked.is_none() {
            line(topic.as_str(), text);
        }
    }
    for gap in &evidence.gaps {
        line("not learnt", gap);
    }
    if !explanation.log.is_empty() {
        line("log ends", "so:");
        for (at, line) in explanation.log.iter().enumerate() {
            text.push_str(if marked == Some(at) { "    > " } else { "    | " });
            text.push_str(&clean(line));
            text.push('\n');
        }
    }
    text.push_str("what to do: ");
    text.push_str(&clean_line(&explanation.advice));
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use towline_core::why::explain;

    use super::*;
    use crate::testing::{ended, service};

    fn told() -> (Service, Evidence) {
        let evidence = Evidence {
            log: Some("one\n\u{1b}[2Jtwo\tthree\n".into()),
            gaps: vec!["sacct did not answer\u{7} in time".into()],
            ..Evidence::default()
        };
        (ended(service(1, "web")), evidence)
    }

    #[test]
    fn foreign_text_cannot_steer_a_terminal() {
        let (service, evidence) = told();
        let text = answer(&evidence, &explain(&service, &evidence, service.created_at));
        assert!(text.contains("    | \u{fffd}[2Jtwo\tthree\n"), "{text}");
        assert!(text.contains("  not learnt  sacct did not answer\u{fffd} in time\n"), "{text}");
        assert!(text.starts_with("service web ended as "), "{text}");
        assert!(text.lines().last().unwrap().starts_with("what to do: "), "{text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{text:?}");
    }

    #[test]
    fn the_telling_line_of_the_log_is_told_once() {
        let service = ended(service(1, "web"));
        let telling = Finding { topic: Topic::Log, text: "sh: 1: serve: not found".into() };
        let log = ["sh: 1: serve: not found", "sh: 1: serve: not found", "bye"].map(str::to_owned).to_vec();
        let evidence = Evidence::default();
        let mut explanation = explain(&service, &evidence, service.created_at);
        explanation.evidence.push(telling);
        explanation.log = log;
        let text = answer(&evidence, &explanation);
        let lines =
            "  log ends    so:\n    | sh: 1: serve: not found\n    > sh: 1: serve: not found\n    | bye\n";
        assert!(text.contains(lines) && !text.contains("\n  log   "), "{text}");
        explanation.log.drain(..2);
        let text = answer(&evidence, &explanation);
        let lines = "  log         sh: 1: serve: not found\n  log ends    so:\n    | bye\n";
        assert!(text.contains(lines), "{text}");
    }

    #[test]
    fn the_shape_of_the_json() {
        let (service, evidence) = told();
        let explanation = explain(&service, &evidence, service.created_at);
        let json = serde_json::to_value(WhyView::new(&service, &evidence, &explanation)).unwrap();
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        let expected = [
            "id",
            "name",
            "status",
            "profile",
            "job_id",
            "since",
            "observed_at",
            "sentence",
            "outlook",
            "evidence",
            "advice",
            "log",
            "unknown",
        ];
        let mut sorted = expected;
        sorted.sort_unstable();
        let mut found = keys.clone();
        found.sort_unstable();
        assert_eq!(found, sorted.iter().collect::<Vec<_>>());
        assert_eq!((&json["name"], &json["outlook"]), (&"web".into(), &"ended".into()));
        assert_eq!(json["evidence"][0]["topic"], "cause");
        assert_eq!(json["unknown"][0], evidence.gaps[0]);
    }
}
