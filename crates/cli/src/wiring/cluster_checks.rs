//! What one look at a cluster finds, as checks of `doctor`.

use std::time::Duration;

use towline_core::time::Timestamp;
use towline_slurm::{ClusterProbe, Problem};

use super::Cluster;
use super::home_checks::{home, quota};
use super::use_checks::{Asked, accounts_check, partitions_check};
use crate::config::Profile;
use crate::doctor::{Check, Verdict};
use crate::exit::{Failure, Kind};

/// How far the clocks of this machine and of a cluster may be apart.
const SKEW: Duration = Duration::from_secs(30);

/// Slurm's commands but `sacct`, which is accounting's; what else is missing is the system's.
const SLURM: [&str; 5] = ["sbatch", "squeue", "scancel", "scontrol", "sinfo"];

impl Cluster {
    /// Looks at the cluster with one remote command.
    ///
    /// # Errors
    /// Whatever kept the login shell from running it.
    pub(crate) async fn look(&self, now: impl Fn() -> Timestamp) -> Result<Look, Failure> {
        let sent = now();
        let probe = self.slurm.probe().await?;
        Ok(Look { probe, sent, answered: now() })
    }

    /// What to say of a login shell that did not run our script.
    pub(crate) fn silent_shell(&self, failure: Failure, profile: &Profile) -> Check {
        if failure.hints.is_empty() {
            let command = if self.is_far() { profile.ssh_with(&["-T"]) } else { "sh -c".to_owned() };
            return Check::failed(
                "shell",
                &failure.hint(format!(
                    "`{command} true` must end soon, by itself and without an error: look at the login shell, a forced \
                     command, start-up files that exit; then at the file system of the home, which may hang"
                )),
            );
        }
        Check::failed("shell", &failure)
    }
}

/// One look at a cluster, and when this machine sent it and had its answer.
pub(crate) struct Look {
    /// What it found.
    pub(crate) probe: ClusterProbe,
    sent: Timestamp,
    answered: Timestamp,
}

impl Look {
    /// All that it tells, one check a line.
    pub(crate) fn checks(&self, is_far: bool, asked: &Asked<'_>) -> Vec<Check> {
        let probe = &self.probe;
        let mut checks = Vec::new();
        // Nothing is read by a shell that this program starts itself.
        if is_far {
            checks.push(noise(probe));
        }
        checks.extend([
            shell(probe),
            home(probe, asked),
            quota(probe),
            slurm(probe),
            accounting(probe),
            partitions_check(probe, asked),
            accounts_check(probe, asked),
            self.clock(asked),
        ]);
        checks
    }

    fn clock(&self, asked: &Asked<'_>) -> Check {
        let Some((begun, ended)) = self.probe.clock else {
            let hint = format!("{} must print a number", asked.there("date +%s"));
            return Check::warning("clock", "the cluster does not tell its time", hint);
        };
        clock(self.sent, begun, ended, self.answered)
    }
}

fn noise(probe: &ClusterProbe) -> Check {
    const NAME: &str = "noise";
    let Some(problem) = find(probe, |problem| matches!(problem, Problem::Noise { .. })).next() else {
        return Check::ok(NAME, "start-up files print nothing");
    };
    let (file, guard) = match shell_name(&probe.login_shell) {
        "zsh" => ("~/.zshenv", "[[ -o interactive ]] &&"),
        "tcsh" | "csh" => ("~/.cshrc or ~/.tcshrc", "if ($?prompt)"),
        "fish" => ("~/.config/fish/config.fish", "status is-interactive; and"),
        _ => ("~/.bashrc", "[[ $- == *i* ]] &&"),
    };
    let hint = format!("put `{guard}` in front of what prints in {file} there; what sets PATH has to stay");
    Check::warning(NAME, format!("{problem}; towline passes over it, but scp, sftp and rsync may not"), hint)
}

fn shell(probe: &ClusterProbe) -> Check {
    const NAME: &str = "shell";
    let missing = missing(probe, |command| !SLURM.contains(&command) && command != "sacct");
    if !missing.is_empty() {
        let text = format!("not on PATH: {}", missing.join(", "));
        return Check::wrong(
            NAME,
            text,
            "ask the administrators to install them, or add their directory to PATH in ~/.bashrc",
        );
    }
    let note = match shell_name(&probe.login_shell) {
        "tcsh" | "csh" | "fish" => "is no POSIX shell, and works: scripts are given to /bin/sh",
        _ => "runs scripts",
    };
    Check::ok(NAME, format!("{} of {} on {} {note}", probe.login_shell, probe.user, probe.login_host))
}

fn shell_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn slurm(probe: &ClusterProbe) -> Check {
    const NAME: &str = "slurm";
    let missing = missing(probe, |command| SLURM.contains(&command));
    let is_fatal = |problem: &&Problem| problem.is_fatal();
    let mut told = Vec::new();
    if !missing.is_empty() {
        told.push(format!("not on PATH: {}", missing.join(", ")));
    }
    let others: Vec<&Problem> =
        find(probe, |problem| matches!(problem, Problem::Controller { .. } | Problem::OldSlurm { .. }))
            .collect();
    told.extend(others.iter().map(ToString::to_string));
    let is_missing = |problem: &&Problem| matches!(problem, Problem::MissingCommand { command } if SLURM.contains(&command.as_str()));
    let fatal = probe.problems.iter().filter(is_missing).chain(others).find(is_fatal);
    let hint = if !missing.is_empty() {
        "put it on the PATH that `ssh HOST command` has there, such as in ~/.bashrc (`module load slurm`, or PATH=...)"
    } else if find(probe, |problem| matches!(problem, Problem::OldSlurm { .. })).next().is_some() {
        "ask the administrators about a newer Slurm; 20.11 and later are known to work"
    } else {
        "running services go on; try again once it answers (`scontrol ping` there)"
    };
    let text = told.join("; ");
    match fatal {
        None if text.is_empty() => {
            let version = probe.slurm_version.as_deref().unwrap_or("of unknown version");
            Check::ok(NAME, format!("{version}; its commands are there, and the controller answers"))
        }
        None => Check::warning(NAME, text, hint),
        Some(Problem::Controller { .. }) => {
            Check { kind: Kind::Unreachable, ..Check::wrong(NAME, text, hint) }
        }
        Some(_) => Check::wrong(NAME, text, hint),
    }
}

fn accounting(probe: &ClusterProbe) -> Check {
    const NAME: &str = "accounting";
    let hint = "services run without it; less is known of how they end (`sacct` must work there)";
    if !missing(probe, |command| command == "sacct").is_empty() {
        return Check::warning(NAME, "there is no sacct on PATH: accounting is not asked", hint);
    }
    match find(probe, |problem| matches!(problem, Problem::Accounting { .. })).next() {
        Some(problem) => Check::warning(NAME, problem.to_string(), hint),
        None if probe.has_accounting => Check::ok(NAME, "tells how vanished jobs ended"),
        None => Check::ok(NAME, "the cluster has none: a vanished job counts as failed"),
    }
}

/// The clock of the cluster said `begun` no sooner than we `sent`, and `ended` no later than we had the `answer`: so
/// the difference lies between two bounds, as far apart as the way there and back took.
fn clock(sent: Timestamp, begun: Timestamp, ended: Timestamp, answered: Timestamp) -> Check {
    const NAME: &str = "clock";
    let seconds = |micros: i64| format!("{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000);
    let most = begun.as_micros().saturating_sub(sent.as_micros());
    let least = ended.as_micros().saturating_sub(answered.as_micros());
    let (middle, doubt) = (least.midpoint(most), most.saturating_sub(least).max(0) / 2);
    let apart = seconds(middle.saturating_abs());
    let way = if middle < 0 { "behind" } else { "ahead of" };
    let text = format!("the cluster's clock is {apart} {way} this machine's (± {})", seconds(doubt));
    let sure = middle.saturating_abs().saturating_sub(doubt);
    if u128::try_from(sure).is_ok_and(|sure| sure > SKEW.as_micros()) {
        return Check::warning(
            NAME,
            format!("{text}: grace periods, ages and ends of time limits are off by as much"),
            "compare both with a clock that you trust; here `timedatectl` tells whether the time is synchronised, and \
             `sudo timedatectl set-ntp true` sees to it",
        );
    }
    Check::ok(NAME, text)
}

/// What is in the way there, of some kinds.
pub(super) fn find(probe: &ClusterProbe, wanted: fn(&Problem) -> bool) -> impl Iterator<Item = &Problem> {
    probe.problems.iter().filter(move |problem| wanted(problem))
}

/// Commands that are not on `PATH` there.
fn missing(probe: &ClusterProbe, wanted: impl Fn(&str) -> bool) -> Vec<&str> {
    let commands = probe.problems.iter().filter_map(|problem| match problem {
        Problem::MissingCommand { command } => Some(command.as_str()),
        _ => None,
    });
    commands.filter(|command| wanted(command)).collect()
}

/// Whether Slurm's controller answered, so that it could be asked about partitions.
pub(super) fn is_slurm_there(probe: &ClusterProbe) -> bool {
    slurm(probe).verdict != Verdict::Failed
}

#[cfg(test)]
mod tests {
    use towline_core::resources::Resources;
    use towline_slurm::{Association, Partition, Room};

    use super::*;

    fn healthy() -> ClusterProbe {
        let cpu =
            Partition { name: "cpu".into(), is_default: true, state: "UP".into(), ..Partition::default() };
        let research = Association { account: "research".into(), is_default: true, ..Association::default() };
        ClusterProbe {
            login_host: "login".into(),
            user: "alice".into(),
            login_shell: "/bin/bash".into(),
            home: "/home/alice/.towline".into(),
            room: Room { free_bytes: Some(1 << 40), free_inodes: Some(1 << 20), ..Room::default() },
            slurm_version: Some("22.05.8".into()),
            clock: Some((Timestamp::from_secs(100), Timestamp::from_secs(101))),
            partitions: vec![cpu],
            has_accounting: true,
            associations: Some(vec![research]),
            ..ClusterProbe::default()
        }
    }

    fn checks(probe: ClusterProbe) -> Vec<Check> {
        let look = Look { probe, sent: Timestamp::from_secs(100), answered: Timestamp::from_secs(101) };
        let resources = Resources::default();
        let asked = Asked { profile: "lab", config_file: "/c", login: "ssh login", resources: &resources };
        look.checks(true, &asked)
    }

    fn verdicts(checks: &[Check]) -> Vec<(&str, Verdict)> {
        checks.iter().map(|check| (check.check, check.verdict)).collect()
    }

    #[test]
    fn a_healthy_cluster_passes_every_check() {
        let found = checks(healthy());
        assert!(found.iter().all(|check| check.verdict == Verdict::Ok && check.hint.is_none()), "{found:?}");
        let names: Vec<&str> = found.iter().map(|check| check.check).collect();
        let expected =
            ["noise", "shell", "home", "quota", "slurm", "accounting", "partitions", "accounts", "clock"];
        assert_eq!(names, expected);
    }

    #[test]
    fn every_problem_has_a_line_and_something_to_do() {
        let problems = vec![
            Problem::MissingCommand { command: "sbatch".into() },
            Problem::MissingCommand { command: "awk".into() },
            Problem::Home { home: "/x".into(), words: "mkdir: Permission denied".into() },
            Problem::Accounting { words: "down".into() },
            Problem::Noise { first: "Welcome!".into(), lines: 2 },
        ];
        let probe = ClusterProbe { problems, has_accounting: false, associations: None, ..healthy() };
        let found = checks(probe);
        use Verdict::{Failed, Ok, Skipped, Warning};
        assert_eq!(
            verdicts(&found),
            [
                ("noise", Warning),
                ("shell", Failed),
                ("home", Failed),
                ("quota", Ok),
                ("slurm", Failed),
                ("accounting", Warning),
                ("partitions", Skipped),
                ("accounts", Skipped),
                ("clock", Ok),
            ]
        );
        assert!(
            found.iter().all(|check| check.hint.is_some() == matches!(check.verdict, Warning | Failed)),
            "{found:?}"
        );
        assert!(found[2].hint.as_ref().unwrap().starts_with("`ssh login 'ls -ld "), "{found:?}");
    }

    #[test]
    fn a_silent_controller_is_out_of_reach_and_an_old_slurm_is_told() {
        let with = |problem| slurm(&ClusterProbe { problems: vec![problem], ..healthy() });
        let silent = with(Problem::Controller { words: "x".into() });
        assert_eq!((silent.verdict, silent.kind), (Verdict::Failed, Kind::Unreachable));
        let old = |needed| with(Problem::OldSlurm { version: "19.05".into(), needed });
        assert_eq!((old("20.02").verdict, old("20.11").verdict), (Verdict::Failed, Verdict::Warning));
        let without = with(Problem::MissingCommand { command: "sinfo".into() });
        assert_eq!(without.verdict, Verdict::Warning, "a service runs without it");
    }

    #[test]
    fn shells_that_are_no_posix_shells_are_told_to_work() {
        for (login_shell, word) in
            [("/usr/bin/tcsh", "no POSIX shell, and works"), ("/bin/zsh", "runs scripts")]
        {
            let found = shell(&ClusterProbe { login_shell: login_shell.into(), ..healthy() });
            assert!(found.verdict == Verdict::Ok && found.text.contains(word), "{found:?}");
        }
        let noise = |login_shell: &str| {
            let problems = vec![Problem::Noise { first: "x".into(), lines: 1 }];
            noise(&ClusterProbe { login_shell: login_shell.into(), problems, ..healthy() }).hint.unwrap()
        };
        assert!(noise("/usr/bin/fish").contains("config.fish") && noise("/bin/bash").contains("~/.bashrc"));
    }

    #[test]
    fn the_way_there_and_back_is_no_difference_of_clocks() {
        let at = Timestamp::from_secs;
        // Sent at 100, answered at 120 by our clock; the cluster's ran by 2 s meanwhile.
        let slow = clock(at(100), at(140), at(142), at(120));
        assert!(slow.text.contains("31.0 s ahead of this machine's (± 9.0 s)"), "{}", slow.text);
        assert_eq!(slow.verdict, Verdict::Ok, "it may be 22 s");
        assert_eq!(clock(at(100), at(140), at(158), at(120)).verdict, Verdict::Warning);
        let behind = clock(at(1000), at(100), at(100), at(1000));
        assert!(
            behind.verdict == Verdict::Warning && behind.text.contains("900.0 s behind"),
            "{}",
            behind.text
        );
        let huge = clock(at(i64::MIN), at(i64::MAX), at(i64::MIN), at(i64::MAX));
        assert_eq!(huge.check, "clock");
    }
}
