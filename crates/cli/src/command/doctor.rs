//! `towline doctor` and `towline profile check`

use std::time::{Duration, Instant};

use serde::Serialize;
use towline_core::engine::error_chain;
use towline_core::ports::{Clock as _, Select};
use towline_core::time::Timestamp;
use towline_slurm::{ClusterProbe, Problem};

use crate::app::App;
use crate::args::JsonArg;
use crate::config::{Flags, Kind as ProfileKind, Profile};
use crate::exit::{Failure, Kind, Outcome};
use crate::render::{Terminal, age, clean_line};
use crate::wiring::{self, Cluster, SystemClock};

/// How far the clocks of this machine and of a cluster may be apart.
const SKEW: Duration = Duration::from_secs(60);

/// Check everything that a service needs: configuration, ledger, SSH, Slurm, files
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Profile to check [default: the default profile]
    #[arg(long)]
    profile: Option<String>,
    #[command(flatten)]
    output: JsonArg,
}

/// Check that services can run in a profile
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// Name of the profile [default: the default profile]
    profile: Option<String>,
    #[command(flatten)]
    output: JsonArg,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Failed,
}

/// One thing that was checked.
#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    verdict: Verdict,
    /// What was found, or what is wrong.
    text: String,
    /// What to do about it.
    hint: Option<String>,
    #[serde(skip)]
    kind: Kind,
}

impl Check {
    fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, text: text.into(), hint: None, kind: Kind::Internal }
    }

    fn warning(check: &'static str, text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, hint: Some(hint.into()), ..Self::ok(check, text) }
    }

    fn failed(check: &'static str, failure: &Failure) -> Self {
        let text = error_chain(failure.error.as_ref());
        let hint = failure.hints.first().cloned();
        Self { verdict: Verdict::Failed, hint, kind: failure.kind, ..Self::ok(check, text) }
    }
}

/// Checks, each shown as soon as it is done.
struct Report {
    terminal: Terminal,
    json: bool,
    checks: Vec<Check>,
}

impl Report {
    fn add(&mut self, check: Check) -> Outcome<()> {
        if !self.json {
            let verdict = match check.verdict {
                Verdict::Ok => "ok",
                Verdict::Warning => "warning",
                Verdict::Failed => "failed",
            };
            self.terminal.data(&format!("{verdict:8} {:11} {}", check.check, clean_line(&check.text)))?;
            if let Some(hint) = &check.hint {
                self.terminal.data(&format!("{:20} hint: {}", "", clean_line(hint)))?;
            }
        }
        self.checks.push(check);
        Ok(())
    }

    fn finish(self) -> Outcome<()> {
        if self.json {
            self.terminal.json(&self.checks)?;
        }
        let failed: Vec<&Check> =
            self.checks.iter().filter(|check| check.verdict == Verdict::Failed).collect();
        match failed.as_slice() {
            [] => Ok(()),
            [one] => Err(Failure::new(one.kind, format!("the check of {} failed", one.check))),
            [first, ..] => Err(Failure::new(first.kind, format!("{} checks failed", failed.len()))),
        }
    }
}

/// Checks this machine and one profile.
pub(super) async fn doctor(terminal: Terminal, args: &DoctorArgs) -> Outcome<()> {
    examine(terminal, args.profile.as_deref(), args.output.json).await
}

/// The same, under the name by which people look for it among the profile verbs.
pub(super) async fn check_profile(terminal: Terminal, args: &CheckArgs) -> Outcome<()> {
    examine(terminal, args.profile.as_deref(), args.output.json).await
}

async fn examine(terminal: Terminal, profile: Option<&str>, json: bool) -> Outcome<()> {
    let mut report = Report { terminal, json, checks: Vec::new() };
    let flags = Flags { profile: profile.map(str::to_owned), ..Flags::default() };
    let app = match App::load(terminal, &flags) {
        Ok(app) => app,
        Err(failure) => {
            report.add(Check::failed("config", &failure))?;
            return report.finish();
        }
    };
    report.add(config_check(&app))?;
    report.add(ledger_check(&app).await)?;
    let name = &app.config.default_profile;
    let profile = match app.profile(name) {
        Ok(profile) => profile,
        Err(failure) if flags.profile.is_some() => return Err(failure),
        Err(failure) => {
            report.add(Check::failed("profile", &failure))?;
            return report.finish();
        }
    };
    report.add(Check::ok("profile", format!("{name}: {} on {}", profile.kind, profile.target())))?;
    match profile.kind {
        ProfileKind::Local => report.add(local_check(&app, profile))?,
        ProfileKind::Slurm => examine_cluster(&app, profile, &mut report).await?,
    }
    report.finish()
}

fn config_check(app: &App) -> Check {
    let path = &app.paths.config_file;
    let note = if path.exists() { "" } else { " (not there; defaults are used)" };
    Check::ok("config", format!("{}{note}", path.display()))
}

async fn ledger_check(app: &App) -> Check {
    let look = async {
        let location = wiring::ledger_location(&app.config, &app.paths)?;
        let listing = app.ledger().await?.list(Select::All).await?;
        Ok::<_, Failure>((location, listing))
    };
    match look.await {
        Ok((location, listing)) if listing.damaged.is_empty() => {
            Check::ok("ledger", format!("{location}, {} services", listing.services.len()))
        }
        Ok((location, listing)) => Check::warning(
            "ledger",
            format!("{location}: {} records cannot be read", listing.damaged.len()),
            "`towline ls --all` shows which",
        ),
        Err(failure) => Check::failed("ledger", &failure),
    }
}

fn local_check(app: &App, profile: &Profile) -> Check {
    let root = match wiring::local_root(profile, &app.paths) {
        Ok(root) => root,
        Err(failure) => return Check::failed("files", &failure),
    };
    let written = std::fs::create_dir_all(&root).and_then(|()| tempfile::tempfile_in(&root));
    match written {
        Ok(_) => Check::ok("files", format!("{} can be written", root.display())),
        Err(err) => {
            let failure =
                Failure::new(Kind::Config, format!("failed to write below {}: {err}", root.display()));
            Check::failed("files", &failure.hint("set TOWLINE_DATA_DIR to a directory that you can write"))
        }
    }
}

async fn examine_cluster(app: &App, profile: &Profile, report: &mut Report) -> Outcome<()> {
    if profile.host.is_some() {
        report.add(ssh_check().await)?;
    }
    let cluster = match wiring::cluster(profile, &app.paths) {
        Ok(cluster) => cluster,
        Err(failure) => return report.add(Check::failed("profile", &failure)),
    };
    if let Some(check) = login_check(&cluster).await {
        let failed = check.verdict == Verdict::Failed;
        report.add(check)?;
        if failed {
            return Ok(());
        }
    }
    match cluster.slurm.probe().await {
        Ok(probe) => {
            for check in cluster_checks(&probe, SystemClock.now()) {
                report.add(check)?;
            }
            Ok(())
        }
        Err(error) => report.add(Check::failed("cluster", &error.into())),
    }
}

async fn ssh_check() -> Check {
    // OpenSSH prints its version to standard error.
    match tokio::process::Command::new("ssh").arg("-V").output().await {
        Ok(output) => Check::ok("ssh", String::from_utf8_lossy(&output.stderr)),
        Err(err) => {
            let failure = Failure::new(Kind::Config, format!("failed to run ssh: {err}"));
            Check::failed(
                "ssh",
                &failure.hint("install OpenSSH's client; Debian's package is openssh-client"),
            )
        }
    }
}

async fn login_check(cluster: &Cluster) -> Option<Check> {
    let master = cluster.master.as_ref()?;
    let begun = Instant::now();
    Some(match master.session().await {
        Ok(_) => {
            let took = begun.elapsed().as_millis();
            Check::ok(
                "login",
                format!("{} in {took} ms, over {}", master.host(), master.control_path().display()),
            )
        }
        Err(error) => Check::failed("login", &error.into()),
    })
}

/// What a look at a cluster tells, one check a line.
fn cluster_checks(probe: &ClusterProbe, now: Timestamp) -> Vec<Check> {
    let mut checks = Vec::new();
    let find = |wanted: fn(&Problem) -> bool| probe.problems.iter().filter(move |problem| wanted(problem));
    checks.extend(
        find(|p| matches!(p, Problem::MissingCommand { .. } | Problem::Controller { .. })).map(problem),
    );
    if checks.is_empty() {
        let version = probe.slurm_version.as_deref().unwrap_or("of unknown version");
        let names: Vec<&str> = probe.partitions.iter().map(|partition| partition.name.as_str()).collect();
        checks.push(Check::ok(
            "slurm",
            format!("{version} on {}, partitions {}", probe.login_host, names.join(" ")),
        ));
    }
    match find(|p| matches!(p, Problem::Home { .. })).next() {
        Some(home) => checks.push(problem(home)),
        None => checks.push(Check::ok("home", format!("{} can be written by {}", probe.home, probe.user))),
    }
    match find(|p| matches!(p, Problem::Accounting { .. })).next() {
        Some(accounting) => checks.push(problem(accounting)),
        None if probe.has_accounting => checks.push(Check::ok("accounting", "tells how vanished jobs ended")),
        None => checks.push(Check::ok("accounting", "the cluster has none: a vanished job counts as failed")),
    }
    match find(|p| matches!(p, Problem::Noise { .. })).next() {
        Some(noise) => checks.push(problem(noise)),
        None => checks.push(Check::ok("shell", format!("{} is quiet", probe.login_shell))),
    }
    checks.extend(probe.clock.map(|clock| clock_check(clock, now)));
    checks
}

fn problem(problem: &Problem) -> Check {
    let (check, hint) = match problem {
        Problem::MissingCommand { .. } => {
            ("slurm", "put it on the PATH that `ssh HOST command` has there, such as in ~/.bashrc")
        }
        Problem::Controller { .. } => ("slurm", "running services go on; try again once it answers"),
        Problem::Home { .. } => ("home", "name a directory that you can write as the profile's home"),
        Problem::Accounting { .. } => {
            ("accounting", "services run without it; less is known of how they end")
        }
        Problem::Noise { .. } => {
            ("shell", "let ~/.bashrc or its like print only in interactive shells; towline passes over it")
        }
        _ => ("cluster", "ask the cluster's administrators"),
    };
    let found = Check::warning(check, problem.to_string(), hint);
    if problem.is_fatal() {
        Check { verdict: Verdict::Failed, kind: fatal_kind(problem), ..found }
    } else {
        found
    }
}

fn fatal_kind(problem: &Problem) -> Kind {
    match problem {
        Problem::Controller { .. } => Kind::Unreachable,
        _ => Kind::Config,
    }
}

fn clock_check(clock: Timestamp, now: Timestamp) -> Check {
    let apart = clock.since(now).max(now.since(clock));
    if apart <= SKEW {
        return Check::ok("clock", format!("{} apart from this machine's", age(apart)));
    }
    let text = format!("the cluster's clock and this machine's are {} apart", age(apart));
    Check::warning("clock", text, "set the clock of this machine; times that are shown are off")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy() -> ClusterProbe {
        ClusterProbe {
            login_host: "login".into(),
            user: "alice".into(),
            login_shell: "/bin/bash".into(),
            home: "/home/alice/.towline".into(),
            slurm_version: Some("22.05.8".into()),
            clock: Some(Timestamp::from_secs(100)),
            has_accounting: true,
            ..ClusterProbe::default()
        }
    }

    #[test]
    fn a_healthy_cluster_passes_every_check() {
        let checks = cluster_checks(&healthy(), Timestamp::from_secs(130));
        assert!(checks.iter().all(|check| check.verdict == Verdict::Ok), "{checks:?}");
        let names: Vec<&str> = checks.iter().map(|check| check.check).collect();
        assert_eq!(names, ["slurm", "home", "accounting", "shell", "clock"]);
    }

    #[test]
    fn every_problem_is_a_line_with_a_hint() {
        let problems = vec![
            Problem::MissingCommand { command: "sbatch".into() },
            Problem::Home { home: "/x".into(), words: "Permission denied".into() },
            Problem::Accounting { words: "down".into() },
            Problem::Noise { text: "Welcome!".into() },
        ];
        let checks = cluster_checks(&ClusterProbe { problems, ..healthy() }, Timestamp::from_secs(900));
        let verdicts: Vec<Verdict> = checks.iter().map(|check| check.verdict).collect();
        let expected =
            [Verdict::Failed, Verdict::Failed, Verdict::Warning, Verdict::Warning, Verdict::Warning];
        assert_eq!(verdicts, expected, "{checks:?}");
        assert!(checks.iter().all(|check| check.hint.is_some()));
    }

    #[test]
    fn the_exit_code_is_that_of_the_first_failure() {
        let problems = vec![Problem::Controller { words: "connect failure".into() }];
        let checks = cluster_checks(&ClusterProbe { problems, ..healthy() }, Timestamp::from_secs(100));
        let report = Report { terminal: Terminal::default(), json: false, checks };
        assert_eq!(report.finish().unwrap_err().kind, Kind::Unreachable);
    }
}
