//! Services as people and programs see them.

use std::collections::BTreeMap;

use serde::Serialize;
use towline_core::id::{JobId, ServiceId};
use towline_core::job::Place;
use towline_core::lifecycle::{EndStatus, Phase, Status};
use towline_core::ports::DamagedRow;
use towline_core::ready::Ready;
use towline_core::service::{Event, Service};
use towline_core::spec::Bind;
use towline_core::time::Timestamp;

use super::table::Columns;
use super::words::{age, clean_line, moment};

/// The container of a service in JSON.
#[derive(Clone, Debug, Serialize)]
struct ContainerView<'a> {
    engine: &'a str,
    image: &'a str,
}

/// A service in JSON. Fields may be added; none changes its meaning or goes away. Times are RFC 3339 in UTC, statuses
/// in upper case, spans in seconds. What is not known is `null`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ServiceView<'a> {
    /// UUID.
    id: ServiceId,
    name: &'a str,
    /// One of the eight statuses.
    status: Status,
    /// What ended it, for people.
    cause: Option<String>,
    profile: &'a str,
    job_id: Option<&'a JobId>,
    node: Option<&'a str>,
    /// The URL that reaches it from this machine.
    url: Option<String>,
    created_at: Timestamp,
    /// When anything was last known for sure, by the newer of an answer of the scheduler about its job and an answer
    /// of its server.
    observed_at: Option<Timestamp>,
    /// Since when it has had its status.
    since: Timestamp,
    ended_at: Option<Timestamp>,
    /// Why it stands where it stands, for people.
    why: String,
    /// Why there is no newer knowledge.
    doubt: Option<DoubtView>,
    /// The scheduler's own words on the job.
    job_state: Option<&'a str>,
    job_reason: Option<&'a str>,
    /// When the job reaches its time limit.
    job_ends_at: Option<Timestamp>,
    place: Option<PlaceView<'a>>,
    /// Kept for the whole life of the service once it is chosen.
    local_port: Option<u16>,
    stop: Option<StopView>,
    /// Health path.
    health: &'a str,
    /// What an answer to it must be; `null` for any 2xx.
    ready: Option<&'a Ready>,
    grace_seconds: u64,
    command: &'a [String],
    /// The engine and the image, if the command runs in a container of an adapter's.
    container: Option<ContainerView<'a>>,
    chdir: Option<&'a str>,
    /// Where it listens: `all` addresses of its node, or its `loopback` interface alone.
    bind: &'static str,
    /// Names of its environment's variables; their values are secrets.
    env: Vec<&'a str>,
    /// Whether clients must send a key, which `towline key` prints.
    needs_key: bool,
}

#[derive(Clone, Debug, Serialize)]
struct DoubtView {
    since: Timestamp,
    /// Attempts that came to nothing; 0 where answers miss the job.
    count: u32,
    /// Before then it is not asked for again.
    retry_at: Timestamp,
    why: String,
}

#[derive(Clone, Debug, Serialize)]
struct PlaceView<'a> {
    host: &'a str,
    port: u16,
    listening: bool,
    loopback: bool,
}

#[derive(Clone, Debug, Serialize)]
struct StopView {
    asked_at: Timestamp,
    due: Timestamp,
    #[serde(rename = "as")]
    status: EndStatus,
    cancelled_at: Option<Timestamp>,
}

impl<'a> From<&'a Place> for PlaceView<'a> {
    fn from(place: &'a Place) -> Self {
        Self { host: &place.host, port: place.port, listening: place.listening, loopback: place.loopback }
    }
}

impl<'a> From<&'a Service> for ServiceView<'a> {
    fn from(service: &'a Service) -> Self {
        let (spec, life) = (&service.spec, &service.life);
        let job = life.phase.job();
        Self {
            id: service.id,
            name: spec.name.as_str(),
            status: service.status(),
            cause: life.cause().map(ToString::to_string),
            profile: &spec.profile,
            job_id: job.map(|job| &job.id),
            node: job.and_then(|job| job.node.as_deref()),
            url: service.url(),
            created_at: service.created_at,
            observed_at: life.observed_at,
            since: life.since,
            ended_at: ended_at(service),
            why: life.why(),
            doubt: life.no_news().map(|doubt| DoubtView {
                since: doubt.since,
                count: doubt.count,
                retry_at: doubt.retry_at(),
                why: doubt.why,
            }),
            job_state: job.and_then(|job| job.word.as_deref()),
            job_reason: job.and_then(|job| job.reason.as_deref()),
            job_ends_at: job.and_then(|job| job.run.as_ref()?.ends_at),
            place: job.and_then(|job| job.place()).map(PlaceView::from),
            local_port: life.local_port,
            stop: life.stop.as_ref().map(|stop| StopView {
                asked_at: stop.asked_at,
                due: stop.due,
                status: stop.status,
                cancelled_at: stop.cancelled_at,
            }),
            health: &spec.health,
            ready: Some(&spec.ready).filter(|ready| !ready.is_any_success()),
            grace_seconds: spec.grace.as_secs(),
            command: &spec.command,
            container: spec
                .container
                .as_ref()
                .map(|container| ContainerView { engine: &container.engine, image: &container.image }),
            chdir: spec.chdir.as_deref(),
            bind: spec.bind.as_str(),
            env: spec.env.keys().map(String::as_str).collect(),
            needs_key: spec.key().is_some(),
        }
    }
}

/// When a service ended; `None` while it lives.
pub(crate) fn ended_at(service: &Service) -> Option<Timestamp> {
    match &service.life.phase {
        Phase::Ended(ending) => Some(ending.at),
        Phase::Intent | Phase::Sending { .. } | Phase::Live { .. } => None,
    }
}

/// One element of the JSON array that `ls` prints: a service, or a row that could not be read.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Row<'a> {
    /// A service.
    Service(Box<ServiceView<'a>>),
    /// A row that could not be read: `status` is `null`, `problem` says what is wrong.
    Damaged {
        /// The id as it stands in the row.
        id: &'a str,
        /// The name as it stands in the row.
        name: &'a str,
        /// Always `None`.
        status: Option<Status>,
        /// What is wrong with it.
        problem: &'a str,
    },
}

impl<'a> Row<'a> {
    /// All rows of a listing, in its order, damaged ones last.
    pub(crate) fn all(services: &'a [Service], damaged: &'a [DamagedRow]) -> Vec<Self> {
        let services = services.iter().map(|service| Self::Service(Box::new(service.into())));
        let damaged = damaged.iter().map(|row| Self::Damaged {
            id: &row.id,
            name: &row.name,
            status: None,
            problem: &row.problem,
        });
        services.chain(damaged).collect()
    }
}

/// Services as a table. `with_ids` adds the shortest unique beginning of each id.
pub(crate) fn listing(
    services: &[Service],
    damaged: &[DamagedRow],
    now: Timestamp,
    with_ids: bool,
) -> Columns {
    let id_heading = with_ids.then_some("ID");
    let headings = ["NAME", "STATUS", "SINCE", "PROFILE", "JOB", "NODE", "URL", "WHY"];
    let ages: Vec<String> = services.iter().map(|service| age_of_news(service, now)).collect();
    let widest = ages.iter().map(|age| age.chars().count()).max().unwrap_or(0);
    // A narrow terminal does without a URL rather than without an age.
    let last_to_go = if widest > 0 { "URL" } else { "WHY" };
    let mut table = Columns::new(id_heading.into_iter().chain(headings))
        .expendable(["NODE", "SINCE", "PROFILE", "JOB", "ID", last_to_go])
        .keep_of_last(widest);
    let short = if with_ids { short_ids(services) } else { BTreeMap::new() };
    let dash = || "-".to_owned();
    for (service, age_of_news) in services.iter().zip(ages) {
        let job = service.life.phase.job();
        let cells = [
            service.spec.name.to_string(),
            service.status().to_string(),
            age(now.since(service.life.since)),
            service.spec.profile.clone(),
            job.map_or_else(dash, |job| job.id.to_string()),
            job.and_then(|job| job.node.clone()).unwrap_or_else(dash),
            service.url().unwrap_or_else(dash),
            age_of_news + &service.life.why(),
        ];
        table.row(short.get(&service.id).cloned().into_iter().chain(cells));
    }
    for row in damaged {
        let cells =
            [row.name.clone(), "?".into(), dash(), dash(), dash(), dash(), dash(), row.problem.clone()];
        table.row(with_ids.then(|| row.id.clone()).into_iter().chain(cells));
    }
    table
}

/// How old the knowledge of a service is, to be told before it: where there is no news, and of a service that has not
/// ended once it is older than the freshness interval. Else empty.
fn age_of_news(service: &Service, now: Timestamp) -> String {
    let life = &service.life;
    let has_no_news = life.no_news().is_some();
    match life.observed_at.map(|at| now.since(at)) {
        Some(since) if has_no_news || !service.status().is_terminal() && since > life.terms.fresh => {
            format!("last known {} ago: ", age(since))
        }
        None if has_no_news => "never seen: ".to_owned(),
        Some(_) | None => String::new(),
    }
}

/// The shortest beginning of each id, of at least eight characters, that no other one of these has.
fn short_ids(services: &[Service]) -> BTreeMap<ServiceId, String> {
    let texts: Vec<(ServiceId, String)> =
        services.iter().map(|service| (service.id, service.id.to_string())).collect();
    let mut sorted: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
    sorted.sort_unstable();
    let shared = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    let short = |text: &str| {
        let at = sorted.partition_point(|other| *other < text);
        let before = at.checked_sub(1).and_then(|i| sorted.get(i));
        let neighbours = before.into_iter().chain(sorted.get(at + 1));
        let length = neighbours.map(|other| shared(text, other) + 1).max().unwrap_or(0).max(8);
        text.get(..length).unwrap_or(text).to_owned()
    };
    texts.iter().map(|(id, text)| (*id, short(text))).collect()
}

/// Everything about one service, a line each.
pub(crate) fn details(service: &Service, history: &[Event], now: Timestamp) -> String {
    let (spec, life) = (&service.spec, &service.life);
    let ago = |at: Timestamp| format!("{} ({} ago)", moment(at), age(now.since(at)));
    let mut lines: Vec<(&str, String)> = vec![
        ("name", spec.name.to_string()),
        ("id", service.id.to_string()),
        ("status", format!("{} since {}", service.status(), ago(life.since))),
        ("why", life.why()),
        ("profile", spec.profile.clone()),
        ("command", shell_words(&spec.command)),
    ];
    lines.extend(life.cause().map(|cause| ("meaning", cause.meaning().to_owned())));
    if let Some(job) = life.phase.job() {
        let word = job.word.as_deref().map(|word| format!(" ({word})")).unwrap_or_default();
        lines.push(("job", format!("{}{word}", job.id)));
        lines.extend(job.node.clone().map(|node| ("node", node)));
        lines.extend(job.run.as_ref().and_then(|run| run.ends_at).map(|at| ("time limit", moment(at))));
        lines.extend(job.place().map(|place| ("place", place_line(place))));
    }
    if let Some(container) = &spec.container {
        lines.push((
            "container",
            format!("{} ({}), towline-{}", container.image, container.engine, service.id),
        ));
    }
    if spec.bind == Bind::Loopback {
        lines.push(("bind", "the loopback interface of its node alone".to_owned()));
    }
    lines.extend(service.url().map(|url| ("url", url)));
    if let Some(stop) = &life.stop {
        let heard = stop
            .cancelled_at
            .map_or("not cancelled yet".to_owned(), |at| format!("cancel heard {}", ago(at)));
        lines.push(("stop", format!("asked {}, due {}, {heard}", ago(stop.asked_at), moment(stop.due))));
    }
    lines.push(("health", format!("{} within {} s", spec.health, spec.grace.as_secs())));
    lines.extend(spec.chdir.clone().map(|dir| ("directory", dir)));
    lines.extend(spec.setup.iter().map(|line| ("setup", line.clone())));
    if !spec.env.is_empty() {
        let names = spec.env.keys().map(String::as_str).collect::<Vec<_>>().join(" ");
        lines.push(("environment", format!("{names} (values hidden)")));
    }
    if spec.key().is_some() {
        lines.push(("key", format!("`towline key {}` prints it", spec.name)));
    }
    lines.push(("created", ago(service.created_at)));
    lines.push(("last known", life.observed_at.map_or_else(|| "never".to_owned(), ago)));
    if let Some(doubt) = life.no_news() {
        lines.push(("no news", format!("since {}: {}", moment(doubt.since), doubt.why)));
        let next = doubt.not_before(now).map(|at| format!("{} at the earliest", moment(at)));
        lines.extend(next.map(|next| ("next try", next)));
    }
    let mut text = String::new();
    for (key, value) in lines {
        text.push_str(&format_args!("{key:12}{}\n", clean_line(&value)).to_string());
    }
    for event in history {
        let from = event.from.map(|from| format!("{from} -> ")).unwrap_or_default();
        let line = format!("{} {from}{}: {}", moment(event.at), event.to, event.why);
        text.push_str(&format_args!("{:12}{}\n", "event", clean_line(&line)).to_string());
    }
    text
}

fn place_line(place: &Place) -> String {
    let mut line = format!("{}:{}", place.host, place.port);
    if !place.listening {
        line.push_str(" (does not listen yet)");
    } else if place.loopback {
        line.push_str(" (listens on the loopback interface of its host only)");
    }
    line
}

/// A command as one could type it.
pub(crate) fn shell_words(words: &[String]) -> String {
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
