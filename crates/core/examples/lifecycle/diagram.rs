//! The phase diagram, computed by folding: which phase each piece of news leads to from each phase.

use std::fmt::Write as _;
use std::time::Duration;

use towline_core::id::JobId;
use towline_core::job::{JobEnd, JobState, Outcome, Sighting};
use towline_core::lifecycle::{
    CancelFact, Echo, EndStatus, Fact, Job, Life, Phase, Request, Status, Submission,
};

use crate::cases::{
    GRACE, NOW, STAGES, at_stage, name, pinged, recorded, seen, seen_in_run, sending, silence,
};

/// A piece of news, in words, and what it makes of a life.
type News = (&'static str, fn(&Life) -> Life);

/// What may come before there is a job. Only a submission that is under way has an answer.
const INTENT: [News; 3] = [
    ("a submission is sent", |life| life.observe(&Fact::Submitting, NOW)),
    ("stop", stopped),
    ("given up", |life| wished(life, &Request::Abandon { why: String::new() })),
];
const SENDING: [News; 5] = [
    ("accepted, or found", |life| submitted(life, Submission::Accepted(JobId::new("1")))),
    ("nothing was sent", |life| submitted(life, Submission::NotSent(String::new()))),
    ("absent for 5 min", absent),
    ("absent for 5 min after a stop", |life| absent(&wished(life, &STOP))),
    ("refused", |life| submitted(life, Submission::Refused(String::new()))),
];
/// What may come once there is a job.
const LIVE: [News; 16] = [
    ("queued", |life| life.observe(&seen(JobState::Queued, Duration::ZERO), NOW)),
    ("allocated", |life| life.observe(&seen(JobState::Configuring, Duration::ZERO), NOW)),
    ("runs", |life| life.observe(&seen(JobState::Running, Duration::ZERO), NOW)),
    ("runs anew", runs_anew),
    ("ping answered", |life| life.observe(&pinged(Echo::Answered), NOW)),
    ("ping not answered", |life| life.observe(&pinged(silence()), NOW)),
    ("no way to the server", |life| life.observe(&pinged(Echo::NoRoute(String::new())), NOW)),
    ("unseen", |life| life.observe(&Fact::Job(Sighting::unseen("")), NOW)),
    ("stop", stopped),
    ("job completed", |life| ended(life, Outcome::Completed)),
    ("job cancelled by hand", |life| ended(life, Outcome::Cancelled)),
    ("time limit", |life| ended(life, Outcome::TimeLimit)),
    ("grace spent", grace_spent),
    ("job failed", |life| ended(life, Outcome::Failed)),
    ("node failed", |life| ended(life, Outcome::NodeFail)),
    ("absent for 5 min", absent),
];

const STOP: Request = Request::Stop { delay: Duration::ZERO, status: EndStatus::Stopped };

fn submitted(life: &Life, answer: Submission) -> Life {
    life.observe(&Fact::Submission(answer), NOW)
}

fn wished(life: &Life, wish: &Request) -> Life {
    life.request(wish, NOW).unwrap_or_else(|_| life.clone())
}

fn ended(life: &Life, outcome: Outcome) -> Life {
    let state = JobState::Ended(JobEnd { outcome, exit: None, reason: None });
    life.observe(&seen(state, Duration::ZERO), NOW)
}

/// A stop, the cancel that is heard, and the job that ends.
fn stopped(life: &Life) -> Life {
    ended(&wished(life, &STOP).observe(&Fact::Cancel(CancelFact::Accepted), NOW), Outcome::Cancelled)
}

fn absent(life: &Life) -> Life {
    let absent = Fact::Job(Sighting::absent(None));
    life.observe(&absent, NOW).observe(&absent, NOW.plus(life.terms.settle))
}

/// A requeued job begins another run than the known one.
fn runs_anew(life: &Life) -> Life {
    match life.phase.job() {
        Some(Job { run: Some(_), .. }) => {
            life.observe(&seen_in_run(2, JobState::Running, Duration::ZERO), NOW)
        }
        Some(Job { run: None, .. }) | None => life.clone(),
    }
}

/// A whole grace period later it runs on, and a ping is not answered; only a service that was seen to start waits so.
fn grace_spent(life: &Life) -> Life {
    if life.status() != Status::Starting {
        return life.clone();
    }
    let over = NOW.plus(GRACE);
    life.observe(&seen(JobState::Running, GRACE), over).observe(&pinged(silence()), over)
}

/// An arrow: from, to, and the news that lead there.
type Arrow = (String, String, Vec<&'static str>);

fn add(arrows: &mut Vec<Arrow>, from: &str, to: &str, label: &'static str) {
    match arrows.iter_mut().find(|(f, t, _)| f == from && t == to) {
        Some((_, _, labels)) => labels.push(label),
        None => arrows.push((from.to_owned(), to.to_owned(), vec![label])),
    }
}

/// All arrows; what leads to the same end from every stage leaves from `Live`, which holds them all.
fn arrows() -> Vec<Arrow> {
    let mut arrows = Vec::new();
    for (life, all_news) in [(recorded(), &INTENT[..]), (sending(), &SENDING[..])] {
        for (label, fold) in all_news {
            add(&mut arrows, &name(&life.phase), &name(&fold(&life).phase), label);
        }
    }
    for (label, fold) in LIVE {
        // What ends a service so at every stage is drawn once.
        let after: Vec<Phase> = STAGES.into_iter().map(|stage| fold(&at_stage(stage)).phase).collect();
        let ends: Vec<String> = after.iter().filter(|phase| phase.status().is_terminal()).map(name).collect();
        if ends.len() == STAGES.len() && ends.windows(2).all(|pair| pair[0] == pair[1]) {
            add(&mut arrows, "Live", &ends[0], label);
            continue;
        }
        for (stage, phase) in STAGES.into_iter().zip(after) {
            if name(&phase) != format!("{stage:?}") {
                add(&mut arrows, &format!("{stage:?}"), &name(&phase), label);
            }
        }
    }
    arrows
}

/// The diagram, in Mermaid.
pub(crate) fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> Intent\n    state Live {\n");
    for stage in STAGES {
        let _ = writeln!(text, "        {stage:?} : {}", stage.status());
    }
    let (inside, outside): (Vec<Arrow>, Vec<Arrow>) = arrows().into_iter().partition(|(from, to, _)| {
        let is_stage = |name: &String| STAGES.iter().any(|stage| format!("{stage:?}") == *name);
        is_stage(from) && is_stage(to)
    });
    for (from, to, labels) in inside {
        let _ = writeln!(text, "        {from} --> {to} : {}", labels.join(", "));
    }
    text.push_str("    }\n    Intent : SUBMITTED, recorded\n    Sending : SUBMITTED, being settled\n");
    for (from, to, labels) in outside {
        let _ = writeln!(text, "    {from} --> {to} : {}", labels.join(", "));
    }
    for end in ["Stopped", "Timeout", "Failed"] {
        let _ = writeln!(text, "    {end} : {}", end.to_uppercase());
        let _ = writeln!(text, "    {end} --> [*]");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(from: &str, to: &str, label: &str) -> bool {
        arrows().iter().any(|(f, t, labels)| f == from && t == to && labels.contains(&label))
    }

    #[test]
    fn the_arrows_are_those_of_the_contract() {
        assert!(has("Starting", "Pending", "queued"), "a requeued job");
        assert!(has("Starting", "Healthy", "ping answered"));
        assert!(has("Starting", "Timeout", "grace spent"));
        assert!(has("Healthy", "Unhealthy", "no way to the server"));
        assert!(has("Live", "Failed", "absent for 5 min"));
        assert!(has("Sending", "Intent", "absent for 5 min"));
        assert!(has("Sending", "Stopped", "absent for 5 min after a stop"));
        let into = |to: &str| {
            arrows().into_iter().filter(|(_, t, _)| t == to).map(|(f, _, _)| f).collect::<Vec<_>>()
        };
        assert_eq!(into("Unhealthy"), ["Healthy"]);
        assert_eq!(into("Healthy"), ["Starting", "Unhealthy"]);
    }

    #[test]
    fn doubt_leads_nowhere() {
        let doubts = arrows().into_iter().filter(|(_, _, labels)| labels.contains(&"unseen"));
        assert_eq!(doubts.collect::<Vec<_>>(), []);
        for (_, to, labels) in arrows() {
            assert!(!labels.contains(&"no way to the server") || to == "Unhealthy", "{to}");
        }
    }

    #[test]
    fn nothing_leaves_an_end() {
        assert!(
            arrows().iter().all(|(from, _, _)| !["Stopped", "Timeout", "Failed"].contains(&from.as_str()))
        );
    }
}
