//! What is known of the far end of a service's tunnel: a forward that opens says nothing about it, a ping does.

use std::net::IpAddr;

use crate::job::Place;
use crate::known_job::Job;
use crate::lifecycle::{Echo, PingRecord};
use crate::ready::NOT_READY;
use crate::service::Service;
use crate::time::Timestamp;

/// How far the way from this machine to a server's answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The server answers as one that is ready does.
    Answers,
    /// Something answers, and the scheduler has not confirmed the job lately.
    Unconfirmed,
    /// No ping was made yet, or none of this run of the job.
    NotAsked,
    /// The job has not told that its server listens, and nothing answers as it should.
    NotListeningYet,
    /// The job has told that its server listens, and the connection is refused.
    NothingListens,
    /// The server listens on the loopback interface of its node, which the tunnel does not reach.
    LoopbackOnly,
    /// The tunnel leads to another node than the one on which the job runs.
    WrongNode,
    /// The host that the tunnel goes through forwards no connections, or not to that place.
    ForwardingProhibited,
    /// The place's name does not resolve on the host that the tunnel goes through.
    NameUnresolved,
    /// That host does not reach the place.
    NodeUnreachable,
    /// The node that the tunnel goes through does not let the user in.
    NodeRefuses,
    /// The server answers with an HTTP status that does not count.
    HttpError(u16),
    /// The server answers, and a header or the body of its answer says that it is not ready.
    NotReady,
    /// The server takes connections and does not answer in time.
    Hangs,
    /// The server takes connections and closes them without an answer.
    Closes,
    /// What answers does not speak HTTP.
    NotHttp,
    /// The way breaks on this side of the login host, or at it.
    NoWay,
}

impl Reach {
    /// The word for it, as programs see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answers => "answers",
            Self::Unconfirmed => "unconfirmed",
            Self::NotAsked => "not_asked",
            Self::NotListeningYet => "not_listening_yet",
            Self::NothingListens => "nothing_listens",
            Self::LoopbackOnly => "loopback_only",
            Self::WrongNode => "wrong_node",
            Self::ForwardingProhibited => "forwarding_prohibited",
            Self::NameUnresolved => "name_unresolved",
            Self::NodeUnreachable => "node_unreachable",
            Self::NodeRefuses => "node_refuses",
            Self::HttpError(_) => "http_error",
            Self::NotReady => "not_ready",
            Self::Hangs => "hangs",
            Self::Closes => "closes",
            Self::NotHttp => "not_http",
            Self::NoWay => "no_way",
        }
    }
}

/// What is known of the far end of a service's tunnel, from its record alone. Texts may hold foreign text as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FarEnd {
    /// How far the way goes.
    pub reach: Reach,
    /// The same in a sentence fragment, with what was found.
    pub text: String,
    /// What to do; `None` where nothing is wrong, or nothing is known.
    pub advice: Option<String>,
    /// When it was found out; `None` if no ping tells.
    pub at: Option<Timestamp>,
}

/// What stands in the words of a ping for a name that does not resolve: the messages of `gai_strerror` in glibc, musl
/// and the BSDs, as sshd passes them on.
const UNRESOLVED: [&str; 6] = [
    "Name or service not known",
    "name resolution",
    "Name does not resolve",
    "nodename nor servname",
    "No address associated",
    "hostname unknown",
];

/// The HTTP status that a ping was answered with, in the words of the probe (`HTTP status 404`); `None` if it was not.
pub(super) fn status(what: &str) -> Option<u16> {
    what.strip_prefix("HTTP status ")?.parse().ok()
}

impl FarEnd {
    /// What the last ping of `service`, its job and its tunnel tell. The words of pings are those of the ports' adapters.
    pub fn of(service: &Service) -> Self {
        let life = &service.life;
        let Some(job) = life.phase.job() else {
            return Self::unknown("no job of it is known yet");
        };
        if let Some(wrong) = wrong_node(service, job) {
            return wrong;
        }
        match (&life.ping, job.place()) {
            (None, None) => Self {
                reach: Reach::NotListeningYet,
                ..Self::unknown("the job has not told where its server listens")
            }
            .advise(format!("wait, or follow it with `towline logs -f {}`", service.spec.name)),
            (None, Some(_)) => Self::unknown("no ping was made in this run of the job"),
            (Some(ping), place) => Self { at: Some(ping.at), ..of_ping(service, ping, place) },
        }
    }

    /// Whether somebody should look at it: something is wrong that time alone may not mend.
    pub fn is_broken(&self) -> bool {
        !matches!(self.reach, Reach::Answers | Reach::Unconfirmed | Reach::NotAsked)
    }

    fn new(reach: Reach, text: impl Into<String>) -> Self {
        Self { reach, text: text.into(), advice: None, at: None }
    }

    fn unknown(text: &str) -> Self {
        Self::new(Reach::NotAsked, text)
    }

    fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }
}

/// Where a tunnel still leads to another node than the job's: the job was requeued, and no other could be opened since.
fn wrong_node(service: &Service, job: &Job) -> Option<FarEnd> {
    let leads_to = &service.life.open_tunnel()?.place.host;
    let runs_on = match job.place() {
        Some(place) => &place.host,
        None => job.node.as_ref()?,
    };
    let text = format!("the tunnel leads to {leads_to}, and the job runs on {runs_on}");
    (leads_to != runs_on).then(|| FarEnd::new(Reach::WrongNode, text).advise(retry(service)))
}

/// Whether the job has told of a server on another node than the scheduler's: it has moved, and not told of itself yet. A
/// place may also be told by an address, or by a longer name.
fn elsewhere(place: &Place, job: &Job) -> Option<String> {
    let (host, node) = (&place.host, job.node.as_deref()?);
    let is_name = host.parse::<IpAddr>().is_err();
    let same = host == node || host.starts_with(&format!("{node}.")) || node.starts_with(&format!("{host}."));
    (is_name && !same).then(|| format!("the tunnel leads to {host}, and the job runs on {node}"))
}

fn retry(service: &Service) -> String {
    format!("`towline refresh {}` lets it follow the job; the URL stays", service.spec.name)
}

fn of_ping(service: &Service, ping: &PingRecord, place: Option<&Place>) -> FarEnd {
    let at = place.map_or_else(|| "its server".to_owned(), |place| format!("{}:{}", place.host, place.port));
    let listens = place.is_some_and(|place| place.listening);
    match (&ping.echo, ping.counted) {
        (Echo::Answered, true) => FarEnd::new(Reach::Answers, "the server answers"),
        (Echo::Answered, false) if listens => FarEnd::new(
            Reach::Unconfirmed,
            "something answers, but the scheduler has not confirmed the job lately",
        )
        .advise(format!(
            "wait until the scheduler answers; `towline refresh {}` asks it again",
            service.spec.name
        )),
        (Echo::Answered, false) => not_listening_yet(service, &format!("something else answers on {at}")),
        (Echo::NoRoute(why), _) => no_route(why, &at, service),
        (Echo::Silent(what), _) if !listens => not_listening_yet(service, what),
        (Echo::Silent(what), _) => {
            let moved = place.zip(service.life.phase.job()).and_then(|(place, job)| elsewhere(place, job));
            match moved.filter(|_| what.contains("refused")) {
                Some(text) => FarEnd::new(Reach::WrongNode, format!("{text}: {what}")).advise(retry(service)),
                None => silent(service, what, &at, place.is_some_and(|place| place.loopback)),
            }
        }
    }
}

fn not_listening_yet(service: &Service, what: &str) -> FarEnd {
    let text = format!("the job has not told that its server listens: {what}");
    FarEnd::new(Reach::NotListeningYet, text)
        .advise(format!("wait, or follow it with `towline logs -f {}`", service.spec.name))
}

fn no_route(why: &str, at: &str, service: &Service) -> FarEnd {
    let profile = &service.spec.profile;
    if why.contains("prohibited") {
        return prohibited(why, profile);
    }
    if why.contains("failed to log in to node") {
        return FarEnd::new(Reach::NodeRefuses, format!("its tunnel goes through the node, and {why}")).advise(format!(
            "`towline tunnel open {}` tells what to do; without SSH to nodes, set via = \"login\" in profile {profile}",
            service.spec.name
        ));
    }
    if !why.contains("cannot be reached from") {
        return FarEnd::new(Reach::NoWay, format!("there is no way to {at}: {why}"))
            .advise(format!("nothing is lost; `towline doctor --profile {profile}` checks the way there"));
    }
    if UNRESOLVED.iter().any(|words| why.contains(words)) {
        return FarEnd::new(Reach::NameUnresolved, why).advise(
            "the node's name means nothing to the host that the tunnel goes through: ask the cluster's administrators, or \
             use another login host",
        );
    }
    FarEnd::new(Reach::NodeUnreachable, why)
        .advise("wait; if its node is down, the scheduler ends or requeues the job")
}

/// By the login host, or by the node if the tunnel goes through that one.
fn prohibited(why: &str, profile: &str) -> FarEnd {
    if why.contains("cannot be reached from node") {
        return FarEnd::new(Reach::ForwardingProhibited, format!("the node forwards no connection: {why}")).advise(
            "the nodes' sshd must permit forwarding to their own loopback interface: ask the cluster's administrators",
        );
    }
    FarEnd::new(Reach::ForwardingProhibited, format!("the login host forwards no connection: {why}")).advise(format!(
        "if the cluster lets you ssh to the nodes of your jobs, set via = \"node\" in profile {profile}: tunnels go \
         through the nodes then; else its sshd must permit forwarding: ask its administrators, or use another login host"
    ))
}

fn silent(service: &Service, what: &str, at: &str, loopback: bool) -> FarEnd {
    let log = format!("look at its log with `towline logs {}`", service.spec.name);
    let (health, profile) = (&service.spec.health, &service.spec.profile);
    if let Some(status) = status(what) {
        let counts = service.spec.ready.statuses();
        let text = format!("its server answers on {at}, but not with {counts}: {what}");
        let path = format!("if it has no path {health}, start it again with `--health PATH`");
        return FarEnd::new(Reach::HttpError(status), text).advise(match status {
            500.. => log,
            _ => format!("{log}; {path}"),
        });
    }
    if let Some(why) = what.strip_prefix(NOT_READY) {
        let text = format!("its server answers {health} on {at}, and not as one that is ready: {why}");
        return FarEnd::new(Reach::NotReady, text).advise(log);
    }
    if what.contains("refused") && loopback {
        let text = format!("its server listens on the loopback interface of its node only: {what}");
        return FarEnd::new(Reach::LoopbackOnly, text).advise(format!(
            "start it again with 0.0.0.0 as the address to bind, or set via = \"node\" in profile {profile} if the cluster \
             lets you ssh to the nodes of your jobs"
        ));
    }
    if what.contains("refused") {
        let text = format!(
            "nothing listens on {at} any more: {what}, while the job goes on; or that name leads the login host elsewhere"
        );
        return FarEnd::new(Reach::NothingListens, text).advise(log);
    }
    if what.contains("not HTTP") {
        return FarEnd::new(Reach::NotHttp, format!("what listens on {at} does not speak HTTP: {what}"))
            .advise(log);
    }
    let reach = if what.contains("closed") { Reach::Closes } else { Reach::Hangs };
    FarEnd::new(reach, format!("{at} is reached, and no response comes: {what}")).advise(log)
}
