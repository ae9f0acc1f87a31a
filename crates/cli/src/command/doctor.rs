//! `towline doctor` and `towline profile check`

use towline_core::ports::Select;

use crate::app::App;
use crate::args::JsonArg;
use crate::checks::{Check, Verdict};
use crate::config::{Flags, Kind as ProfileKind, Profile};
use crate::exit::{Failure, Kind, Outcome};
use crate::render::{Terminal, clean_line};
use crate::wiring;

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
            let count = listing.services.len();
            let plural = if count == 1 { "" } else { "s" };
            Check::ok("ledger", format!("{location}, {count} service{plural}"))
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
    if let Some(check) = cluster.login_check(profile).await {
        let failed = check.verdict == Verdict::Failed;
        report.add(check)?;
        if failed {
            return Ok(());
        }
    }
    for check in cluster.checks(app.now()).await {
        report.add(check)?;
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_the_first_failure() {
        let failed = |kind| Check::failed("x", &Failure::new(kind, "y"));
        let checks = vec![Check::ok("a", "b"), failed(Kind::Unreachable), failed(Kind::Config)];
        let report = Report { terminal: Terminal::default(), json: false, checks };
        assert_eq!(report.finish().unwrap_err().kind, Kind::Unreachable);
    }
}
