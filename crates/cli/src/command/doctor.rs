//! `towline doctor` and `towline profile check`

use crate::app::{self, App};
use crate::args::JsonArg;
use crate::config::{Flags, Kind as ProfileKind, Profile};
use crate::doctor::{
    Check, Report, config_check, control_path_check, directories_check, ledger_check, local_home_check,
    permissions_check, tools_check,
};
use crate::exit::{Failure, Kind, Outcome};
use crate::render::Terminal;
use crate::wiring::{self, Asked, Cluster};

/// Check everything that a service needs, from this machine's files to a forward through the cluster
///
/// Each check is a line: ok, warning (services can run), failed (to be put right), or skipped (something before it
/// failed); below it what to do. First this machine: config, ledger, directories, permissions, ssh, control-path. Then
/// each profile. A cluster reached by SSH: profile, ssh-config, host, host-key, authentication, noise (what start-up files
/// print), shell, home, quota, slurm, accounting, partitions, accounts, clock, forwarding; with one login if there is
/// none yet (and one more if it is refused, to see why), one remote command and one forward. A cluster whose login node
/// this machine is: profile, and the same from shell to clock. This machine: profile, shell, home.
///
/// With --json an array of objects: check (one of these words), profile (null for this machine), verdict (one of those
/// four), text and hint (for people; the hint may be null). The exit code is that of the first failure: 3 what is
/// configured, or what it points to, is wrong; 5 forwarding is refused; 6 the cluster cannot be reached; for the ledger also
/// 7 if it stays locked and 1 if it has no room.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Profile to check [default: all]
    #[arg(long)]
    profile: Option<String>,
    #[command(flatten)]
    output: JsonArg,
}

/// Check that services can run in a profile, as `towline doctor` does
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// Name of the profile [default: the default profile]
    profile: Option<String>,
    #[command(flatten)]
    output: JsonArg,
}

/// What is checked of a cluster once the program knows where it is, in this order.
const LOGIN: [&str; 4] = ["ssh-config", "host", "host-key", "authentication"];
const FAR: [&str; 1] = ["noise"];
const CLUSTER: [&str; 8] =
    ["shell", "home", "quota", "slurm", "accounting", "partitions", "accounts", "clock"];
const LAST: [&str; 1] = ["forwarding"];

/// Checks this machine and all profiles, or one.
pub(super) async fn doctor(terminal: Terminal, args: &DoctorArgs) -> Outcome<()> {
    examine(terminal, args.profile.as_deref(), args.output.json, Which::All).await
}

/// The same of one profile, under the name by which people look for it among the profile verbs.
pub(super) async fn check_profile(terminal: Terminal, args: &CheckArgs) -> Outcome<()> {
    examine(terminal, args.profile.as_deref(), args.output.json, Which::Default).await
}

/// Which profiles are checked if none is named.
enum Which {
    All,
    Default,
}

async fn examine(terminal: Terminal, named: Option<&str>, json: bool, which: Which) -> Outcome<()> {
    let mut report = Report::new(terminal, json);
    let app = match App::load(terminal, &Flags::default()) {
        Ok(app) => app,
        Err(failure) => {
            report.add(Check::failed("config", &failure))?;
            examine_paths(&mut report)?;
            return report.finish();
        }
    };
    let names: Vec<&str> = match (named, which) {
        (Some(name), _) => vec![name],
        (None, Which::Default) => vec![&app.config.default_profile],
        (None, Which::All) => app.config.profiles.keys().map(String::as_str).collect(),
    };
    if let Some(name) = named {
        app.profile(name)?;
    }
    let is_far = |name: &&str| app.config.profiles.get(*name).is_some_and(|profile| profile.host.is_some());
    let has_ssh = examine_machine(&app, names.iter().any(is_far), &mut report).await?;
    for name in names {
        report.turn_to(name);
        match app.profile(name) {
            Ok(profile) => examine_profile(&app, name, profile, has_ssh, &mut report).await?,
            Err(failure) => drop(report.add(Check::failed("profile", &failure))?),
        }
    }
    report.finish()
}

/// What can be told of this machine without a configuration.
fn examine_paths(report: &mut Report) -> Outcome<()> {
    if let Ok(paths) = app::find_paths() {
        report.add(directories_check(&paths, false))?;
        report.add(permissions_check(&paths, None))?;
    }
    report.skip(&["ledger", "directories", "permissions", "ssh", "control-path"], "config")
}

/// Checks this machine; whether SSH can be used from it.
async fn examine_machine(app: &App, uses_ssh: bool, report: &mut Report) -> Outcome<bool> {
    report.add(config_check(app))?;
    report.add(ledger_check(app).await)?;
    report.add(directories_check(&app.paths, uses_ssh))?;
    report.add(permissions_check(&app.paths, Some(&app.config)))?;
    if !uses_ssh {
        return Ok(false);
    }
    let has_ssh = report.add(wiring::ssh_check().await)?;
    let wanted = std::env::var("XDG_RUNTIME_DIR").ok().filter(|dir| !dir.is_empty());
    report.add(control_path_check(&app.paths, wanted.as_deref()))?;
    Ok(has_ssh)
}

async fn examine_profile(
    app: &App,
    name: &str,
    profile: &Profile,
    has_ssh: bool,
    report: &mut Report,
) -> Outcome<()> {
    let summary = format!("{name}: {} on {}", profile.kind, profile.target());
    match profile.kind {
        ProfileKind::Local => {
            report.add(Check::ok("profile", summary))?;
            report.add(tools_check())?;
            match wiring::local_root(profile, &app.paths) {
                Ok(root) => report.add(local_home_check(&root))?,
                Err(failure) => report.add(Check::failed("home", &failure))?,
            };
            Ok(())
        }
        ProfileKind::Slurm => {
            let cluster = match usable(app, name, profile) {
                Ok(cluster) => cluster,
                Err(failure) => {
                    report.add(Check::failed("profile", &failure))?;
                    return skip_cluster(report, profile.host.is_some(), "profile");
                }
            };
            report.add(Check::ok("profile", summary))?;
            if cluster.is_far() && !has_ssh {
                return skip_cluster(report, true, "ssh");
            }
            examine_cluster(app, name, profile, &cluster, report).await
        }
    }
}

/// The cluster of a profile whose files are there.
fn usable(app: &App, name: &str, profile: &Profile) -> Outcome<Cluster> {
    if let Some(file) = profile.ssh_config.as_ref().filter(|file| !file.is_file()) {
        let message = format!("there is no SSH configuration {}", file.display());
        return Err(Failure::new(Kind::Config, message).hint(
            "write it, or take ssh_config out of the profile; `towline config show` tells where it was set",
        ));
    }
    wiring::cluster(name, profile, &app.paths)
}

fn skip_cluster(report: &mut Report, is_far: bool, what: &str) -> Outcome<()> {
    if is_far {
        report.skip(&[&LOGIN[..], &FAR].concat(), what)?;
    }
    report.skip(&CLUSTER, what)?;
    if is_far { report.skip(&LAST, what) } else { Ok(()) }
}

/// Checks a cluster from the login to a forward; what comes after a broken step is skipped.
async fn examine_cluster(
    app: &App,
    name: &str,
    profile: &Profile,
    cluster: &Cluster,
    report: &mut Report,
) -> Outcome<()> {
    if let Some(check) = cluster.ssh_config_check(profile).await
        && !report.add(check)?
    {
        return skip_cluster(report, true, "ssh-config");
    }
    for check in cluster.login_checks(name, profile).await {
        let what = check.check;
        if !report.add(check)? {
            return skip_cluster(report, true, what);
        }
    }
    let look = match cluster.look(|| app.now()).await {
        Ok(look) => look,
        Err(failure) => {
            let check = cluster.silent_shell(app.explain(name, failure), profile);
            report.add(check)?;
            return skip_cluster(report, cluster.is_far(), "shell");
        }
    };
    let resources = profile.resources();
    let config_file = app.paths.config_file.display().to_string();
    let login = if cluster.is_far() { profile.ssh_with(&[]) } else { String::new() };
    let asked = Asked { profile: name, config_file: &config_file, login: &login, resources: &resources };
    for check in look.checks(cluster.is_far(), &asked) {
        report.add(check)?;
    }
    if let Some(check) = cluster.forwarding_check(&look.probe, profile).await {
        report.add(check)?;
    }
    Ok(())
}
