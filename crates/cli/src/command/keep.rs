//! `towline keep`

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::signal::unix::SignalKind;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::app::App;
use crate::args::JsonArg;
use crate::config::Paths;
use crate::exit::{Failure, Kind, Outcome};
use crate::keeper::{Event, Keeper, News, Passed, Whom, unit};
use crate::render::Terminal;
use crate::signals::first_of;

/// How often it looks around on this machine.
const TICK: Duration = Duration::from_secs(1);

/// How long one `--once` may take to heal what it can.
const ONCE: Duration = Duration::from_secs(15);

/// Signals that ask it to end.
const ENDING: [SignalKind; 3] = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];

/// Variables that decide where things lie, which systemd does not pass on by itself.
const PLACES: [&str; 6] =
    ["PATH", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "TOWLINE_CONFIG", "TOWLINE_DATA_DIR"];

/// Keep the tunnels of services open, and tell what happens to them
///
/// Runs until it is interrupted, and then leaves the tunnels as they are; on Linux `nohup towline keep &` outlives its terminal.
/// Looks around on this machine every second, and at the services at their own pace: a server that answers is pinged every
/// five seconds, the scheduler asked once a minute. A tunnel that was lost is opened again, on its local port unless another
/// program has taken that meanwhile. A cluster that is away is waited for; once it is back, the tunnels are. Where a tunnel
/// goes through a node that refuses the login, the next try comes after 10 seconds, and then four times as late each time,
/// up to ten minutes.
///
/// Prints one line an event: its time in UTC, what it is about, and what happened. With --json a line is an object with
/// `at`, `event`, `profile`, `service`, `id`, `status`, `url` and `message`, where null stands for what an event is not
/// about. Events: keeping, waiting, status, removed, tunnel-lost, tunnel-back, port-moved, place-moved, node-refuses,
/// cluster-lost, cluster-back, login-needed, trouble, ended, stopped.
///
/// Without names it waits for services that are started later; with names it does nothing for others, and ends with 0 once
/// those have ended. With --once it looks at once, but for what was learnt less than two seconds ago, and ends after 15
/// seconds at most: with 0 if all is well, with 6 if there is no news of a cluster, with 5 if a service does not answer or
/// can have no tunnel.
#[derive(Debug, clap::Args)]
pub(crate) struct KeepArgs {
    /// Names or UUIDs; without any, all services, also those that are started later
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// Heal what can be healed now, and end
    #[arg(long)]
    once: bool,
    /// Print a systemd user unit that does this from login on
    #[arg(long, conflicts_with_all = ["once", "json"])]
    pub(super) systemd: bool,
    #[command(flatten)]
    output: JsonArg,
}

/// Prints the unit, with the variables of this environment that decide where things lie.
pub(super) fn print_unit(terminal: Terminal, args: &KeepArgs) -> Outcome<()> {
    let program = std::env::current_exe()
        .map_err(|err| Failure::new(Kind::Internal, format!("failed to find this program: {err}")))?;
    let set = |name: &&str| Some(((*name).to_owned(), std::env::var(name).ok().filter(|it| !it.is_empty())?));
    let variables: Vec<_> = PLACES.iter().filter_map(set).collect();
    let text = unit(&program, &args.services, &variables).map_err(|err| {
        Failure::from_error(Kind::Usage, err)
            .hint("move it to a path without quotes, backslashes and line breaks")
    })?;
    let others = crate::app::environment().map(|(name, _)| name);
    for name in others.filter(|name| name.starts_with("TOWLINE_") && !PLACES.contains(&name.as_str())) {
        terminal
            .warn(&format!("{name} is set here and not in the unit: put its value into {}", config_file()));
    }
    Ok(terminal.data(&text)?)
}

fn config_file() -> String {
    crate::app::find_paths().map_or_else(
        |_| "config.toml".to_owned(),
        |Paths { config_file, .. }| config_file.display().to_string(),
    )
}

/// Keeps services.
pub(super) async fn keep(app: &App, args: &KeepArgs) -> Outcome<()> {
    let whom = whom(app, &args.services).await?;
    // Whatever keeps the ledger from being used keeps this from being begun.
    app.ledger().await?;
    let mut keeper = Keeper::new(app, whom);
    let teller = Teller { app, json: args.output.json };
    let told_to_leave = async {
        match first_of(&ENDING).await {
            Ok(()) => Ok(()),
            Err(err) => Err(Failure::new(Kind::Internal, format!("failed to wait for signals: {err}"))),
        }
    };
    let kept = async {
        if args.once { once(&mut keeper, &teller).await } else { watch(&mut keeper, &teller).await }
    };
    tokio::select! {
        kept = kept => return kept,
        told = told_to_leave => told?,
    }
    let left = match keeper.known.standing() {
        0 => "no tunnel is open".to_owned(),
        1 => "the tunnel stays open".to_owned(),
        many => format!("the {many} tunnels stay open"),
    };
    teller.tell(&[News::own(Event::Stopped, format!("told to leave; {left}"))])
}

/// The services that were named; all of them must live.
async fn whom(app: &App, words: &[String]) -> Outcome<Whom> {
    if words.is_empty() {
        return Ok(Whom::All);
    }
    let mut ids = BTreeSet::new();
    for word in words {
        let service = app.find(word).await?;
        if service.status().is_terminal() {
            let name = &service.spec.name;
            let failure = format!("service {name} has ended as {}: {}", service.status(), service.life.why());
            return Err(
                Failure::new(Kind::Refused, failure).hint("`towline ls` lists the services that live")
            );
        }
        ids.insert(service.id);
    }
    Ok(Whom::These(ids))
}

/// Prints events.
struct Teller<'a> {
    app: &'a App,
    json: bool,
}

impl Teller<'_> {
    fn tell(&self, news: &[News]) -> Outcome<()> {
        for news in news {
            self.app.terminal.event(self.app.now(), news, self.json)?;
        }
        Ok(())
    }
}

/// Keeps until all that were named have ended, or nobody reads on.
async fn watch(keeper: &mut Keeper<'_>, teller: &Teller<'_>) -> Outcome<()> {
    teller.tell(&begin(keeper, "no services run; waiting for some").await)?;
    let mut is_idle = keeper.known.services().next().is_none();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = FuturesUnordered::new();
    let mut done = Vec::new();
    loop {
        tokio::select! {
            Some(passed) = looks.next() => done.push(passed),
            _ = ticks.tick() => {
                if teller.app.terminal.is_unread() {
                    return Ok(());
                }
                teller.tell(&beside(&mut looks, &mut done, keeper.look_around()).await)?;
                let due = beside(&mut looks, &mut done, keeper.due(false)).await;
                looks.extend(due);
            }
        }
        while let Some(passed) = done.pop() {
            teller.tell(&beside(&mut looks, &mut done, keeper.passed(passed)).await)?;
        }
        let was_idle = std::mem::replace(&mut is_idle, keeper.known.services().next().is_none());
        if keeper.has_ended() {
            return teller.tell(&[News::own(Event::Ended, "all services that were named have ended")]);
        }
        if is_idle && !was_idle {
            teller.tell(&[News::own(Event::Waiting, "no services run any more; waiting for some")])?;
        }
    }
}

/// Awaits `work` while the looks go on: one that stood still might keep from it what it waits for, as the ledger.
async fn beside<L: Future<Output = Passed>, T>(
    looks: &mut FuturesUnordered<L>,
    done: &mut Vec<Passed>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            worked = &mut work => return worked,
            Some(passed) = looks.next() => done.push(passed),
        }
    }
}

async fn begin(keeper: &mut Keeper<'_>, none: &str) -> Vec<News> {
    let found = keeper.look_around().await;
    let first = match keeper.known.services().count() {
        0 => News::own(Event::Waiting, none),
        1 => News::own(Event::Keeping, "keeping one service"),
        many => News::own(Event::Keeping, format!("keeping {many} services")),
    };
    [vec![first], found].concat()
}

/// Heals what it can, and says whether all is well.
async fn once(keeper: &mut Keeper<'_>, teller: &Teller<'_>) -> Outcome<()> {
    teller.tell(&begin(keeper, "no services run").await)?;
    let until = tokio::time::Instant::now() + ONCE;
    if let Ok(news) = tokio::time::timeout_at(until, keeper.pass_all(true)).await {
        teller.tell(&news)?;
    } else {
        let failure = format!("not every cluster has answered within {} s", ONCE.as_secs());
        return Err(Failure::new(Kind::Unreachable, failure).hint("`towline doctor` checks the way to each"));
    }
    while verdict(keeper).is_err() && tokio::time::Instant::now() + TICK < until {
        sleep(TICK).await;
        teller.tell(&keeper.look_around().await)?;
        let Ok(news) = tokio::time::timeout_at(until, keeper.pass_all(false)).await else { break };
        teller.tell(&news)?;
    }
    verdict(keeper)
}

fn verdict(keeper: &Keeper<'_>) -> Outcome<()> {
    if let Some(why) = keeper.trouble() {
        let failure = Failure::new(Kind::Internal, format!("the ledger was not read: {why}"));
        return Err(failure.hint("`towline db check` tells more"));
    }
    if let Some((profile, why)) = keeper.known.first_lost() {
        let failure =
            Failure::new(Kind::Unreachable, format!("there is no news of profile {profile}: {why}"));
        return Err(failure.hint(format!("`towline doctor --profile {profile}` checks the way there")));
    }
    match keeper.known.first_ill() {
        Some(service) => {
            let (name, status) = (&service.spec.name, service.status());
            let failure = format!("service {name} is {status}: {}", service.life.why());
            Err(Failure::new(Kind::Refused, failure).hint(format!("`towline why {name}` tells more")))
        }
        None => Ok(()),
    }
}
