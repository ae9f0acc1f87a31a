//! What a cluster's adapters find out about it, as checks of `doctor`.

use std::time::{Duration, Instant};

use towline_core::time::Timestamp;
use towline_slurm::{ClusterProbe, Problem};

use super::Cluster;
use crate::checks::{Check, Verdict};
use crate::config::Profile;
use crate::exit::{Failure, Kind};
use crate::render::age;

/// How far the clocks of this machine and of a cluster may be apart.
const SKEW: Duration = Duration::from_secs(60);

impl Cluster {
    /// Logs in to `profile`, whose cluster it is; `None` where this machine is a login node.
    pub(crate) async fn login_check(&self, profile: &Profile) -> Option<Check> {
        let master = self.master.as_ref()?;
        let begun = Instant::now();
        Some(match master.session().await {
            Ok(_) => {
                let took = begun.elapsed().as_millis();
                Check::ok(
                    "login",
                    format!("{} in {took} ms, over {}", master.host(), master.control_path().display()),
                )
            }
            Err(error) => {
                let mut failure = Failure::from_error(Kind::Unreachable, error);
                for hint in &mut failure.hints {
                    *hint = profile.with_login(hint);
                }
                Check::failed("login", &failure)
            }
        })
    }

    /// Looks at the cluster with one remote command: one check a line.
    pub(crate) async fn checks(&self, now: Timestamp) -> Vec<Check> {
        match self.slurm.probe().await {
            Ok(probe) => cluster_checks(&probe, now),
            Err(error) => vec![Check::failed("cluster", &error.into())],
        }
    }
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
}
