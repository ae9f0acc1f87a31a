//! UNHEALTHY: where the chain from this machine to the server's answer breaks.

use super::clues;
use super::evidence::Evidence;
use super::explanation::{Explanation, Outlook, Topic};
use super::far_end::{FarEnd, Reach};
use crate::job::{JobState, Place};
use crate::known_job::Job;
use crate::lifecycle::{Echo, Life};
use crate::service::Service;

/// Links of the chain, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Link {
    Login,
    Job,
    Node,
    Port,
    Http,
    /// No link: it answers, and only the scheduler's word is missing.
    Word,
}

/// Where it breaks, in words, and what to do.
struct Break {
    link: Link,
    meaning: String,
    advice: String,
}

/// Of a service that answered once and does not now.
pub(super) fn unhealthy(service: &Service, job: &Job, evidence: &Evidence) -> Explanation {
    let (name, life) = (&service.spec.name, &service.life);
    let found = find(service, job, evidence);
    let is_server = matches!(found.link, Link::Port | Link::Http);
    // It answered once, so that its log may well tell of what did it no harm.
    let clue = evidence.log.as_deref().filter(|_| is_server).and_then(clues::find);
    let since = life.since.whole_secs();
    let sentence = format!("service {name} is unhealthy since {since}: {}", found.meaning);
    let advice = match &clue {
        Some(clue) => format!("{}; {}", found.advice, clue.perhaps()),
        None => found.advice,
    };
    let told = Explanation::new(sentence, Outlook::Blocked, advice).found(
        Topic::Job,
        format!("job {} is {}", job.id, job.word.as_deref().unwrap_or("in an unknown state")),
    );
    let told = links(told, life, job, evidence).found_some(Topic::Log, clue.map(|clue| clue.line));
    if found.link >= Link::Port { told.with_log(evidence) } else { told }
}

/// What is known of each link.
pub(super) fn links(told: Explanation, life: &Life, job: &Job, evidence: &Evidence) -> Explanation {
    let login = evidence.reached.filter(|_| !evidence.is_local).map(|reached| {
        if reached { "the cluster answers" } else { "the cluster does not answer" }.to_owned()
    });
    let node = match (&job.node, &evidence.node) {
        (Some(node), Some(state)) => Some(format!("{node} is {state}")),
        (Some(node), None) => Some(node.clone()),
        (None, _) => None,
    };
    let http = life.ping.as_ref().map(|ping| match &ping.echo {
        Echo::Answered => format!("answered at {}", ping.at.whole_secs()),
        Echo::Silent(what) | Echo::NoRoute(what) => format!("{what}, at {}", ping.at.whole_secs()),
    });
    told.found_some(Topic::Login, login)
        .found_some(Topic::Node, node)
        .found_some(Topic::Port, job.place().map(port))
        .found_some(Topic::Http, http)
}

fn port(place: &Place) -> String {
    let Place { host, port, listening, loopback, .. } = place;
    match (listening, loopback) {
        (false, _) => format!("{host}:{port}, where nothing listens yet"),
        (true, true) => format!("{host}:{port}, on the loopback interface only"),
        (true, false) => format!("{host}:{port}"),
    }
}

/// Finds the first link that is broken.
fn find(service: &Service, job: &Job, evidence: &Evidence) -> Break {
    let (name, life, profile) = (&service.spec.name, &service.life, &service.spec.profile);
    if evidence.reached == Some(false) {
        let why = life.doubt.as_ref().map_or_else(String::new, |doubt| format!(": {}", doubt.why));
        return Break {
            link: Link::Login,
            meaning: format!("the cluster cannot be reached{why}; the job may well go on"),
            advice: format!("nothing is lost; `towline doctor --profile {profile}` checks the way there"),
        };
    }
    if let Some(found) = broken_job(name.as_str(), job) {
        return found;
    }
    let far = FarEnd::of(service);
    let node = || evidence.node.as_ref().map(|state| format!("; its node is {state}")).unwrap_or_default();
    let link = match far.reach {
        Reach::NoWay => Link::Login,
        // The login host's, if the tunnel goes no farther.
        Reach::ForwardingProhibited => Link::Login,
        Reach::NameUnresolved | Reach::NodeUnreachable | Reach::NodeRefuses | Reach::WrongNode => Link::Node,
        Reach::Unconfirmed => Link::Word,
        Reach::NotListeningYet | Reach::NothingListens | Reach::LoopbackOnly => Link::Port,
        Reach::HttpError(_) | Reach::NotReady | Reach::Hangs | Reach::Closes | Reach::NotHttp => Link::Http,
        Reach::Answers | Reach::NotAsked => {
            return Break {
                link: Link::Port,
                meaning: "the server has not answered in this run of the job".to_owned(),
                advice: format!("wait, or follow it with `towline logs -f {name}`"),
            };
        }
    };
    let meaning = match far.reach {
        Reach::NodeUnreachable => far.text + &node(),
        _ => far.text,
    };
    Break { link, meaning, advice: far.advice.unwrap_or_else(|| "wait".to_owned()) }
}

fn broken_job(name: &str, job: &Job) -> Option<Break> {
    let (meaning, advice) = match job.state.as_ref()? {
        JobState::Running if job.run.is_some() => return None,
        JobState::Suspended => ("is suspended and makes no progress", "wait until it is resumed"),
        JobState::Leaving => ("is ending", "wait until it is known how"),
        JobState::Queued => ("is back in the queue", "wait until it runs again; the URL stays the same"),
        JobState::Configuring | JobState::Running => {
            ("has its nodes, and its command does not run yet", "wait")
        }
        JobState::Ended(_) => ("has ended", "ask again"),
    };
    Some(Break {
        link: Link::Job,
        meaning: format!("job {} {meaning}", job.id),
        advice: format!("{advice}; `towline show {name}` tells all that is known of it"),
    })
}
