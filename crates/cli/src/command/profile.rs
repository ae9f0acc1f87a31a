//! `towline profile`

use std::path::PathBuf;

use futures_util::future::join_all;
use serde::Serialize;
use towline_core::id::ServiceId;
use towline_core::ports::Select;
use towline_core::time::Timestamp;

use super::doctor::CheckArgs;
use super::profile_import::ImportArgs;
use super::profile_login::{LoginArgs, LogoutArgs};
use crate::app::{self, App};
use crate::args::{JobArgs, JsonArg};
use crate::config::{ConfigFile, Kind as ProfileKind, LOCAL, Paths, Profile, ProfileName, Setting, Via};
use crate::exit::{During as _, Failure, Kind, Outcome};
use crate::names;
use crate::render::{Columns, Terminal, age};
use crate::wiring::{self, MadeLogin, SshLogin};

/// Say where services run
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ProfileVerb {
    Add(Box<AddArgs>),
    /// List the profiles, and since when somebody is logged in
    ///
    /// With --json an array of objects. `login` is null while nobody is logged in; else it has `by` (`towline`, or `user`
    /// for a connection that an `ssh` of your own has made), `since`, `socket`, and `answers`, which is false while a login
    /// that took a person hangs: it is left alone, and used again once it goes on. `login_needs_person` tells whether the
    /// last login took a person, so that no other is tried without one.
    Ls(JsonArg),
    Show(ShowArgs),
    Rm(RmArgs),
    Default(DefaultArgs),
    Login(LoginArgs),
    Logout(LogoutArgs),
    Check(CheckArgs),
    Import(ImportArgs),
}

/// Add a profile to the configuration file
///
/// With --host it is a Slurm cluster reached by SSH, with --here the cluster of which this machine is a login node.
/// Options of services become the defaults of all services of the profile.
#[derive(Debug, clap::Args)]
pub(crate) struct AddArgs {
    /// Name of the profile
    name: ProfileName,
    /// Login host of the cluster, as `ssh` takes it
    #[arg(long, required_unless_present = "here")]
    host: Option<String>,
    /// This machine is a login node of the cluster
    #[arg(long, conflicts_with_all = ["host", "user", "ssh_config"])]
    here: bool,
    /// User on that host [default: what `ssh` takes]
    #[arg(long)]
    user: Option<String>,
    /// SSH configuration to use instead of ~/.ssh/config
    #[arg(long, value_name = "FILE")]
    ssh_config: Option<PathBuf>,
    /// Directory for services on the cluster [default: ~/.towline]
    #[arg(long, value_name = "DIR")]
    home: Option<String>,
    /// Directory for models and images on the cluster, such as one on scratch or of your group
    #[arg(long, value_name = "DIR")]
    cache: Option<String>,
    /// What tunnels go through: `node` where the login host forwards nothing, or to reach services with --bind loopback,
    /// and where the cluster lets you ssh to the nodes of your jobs [default: login]
    #[arg(long, value_name = "WAY", conflicts_with = "here")]
    via: Option<Via>,
    /// Make it the default profile
    #[arg(long)]
    default: bool,
    #[command(flatten)]
    job: JobArgs,
}

/// Show the values of a profile and where they came from
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// Name of the profile
    profile: String,
    #[command(flatten)]
    output: JsonArg,
}

/// Remove a profile from the configuration file
#[derive(Debug, clap::Args)]
pub(crate) struct RmArgs {
    /// Name of the profile
    profile: String,
    /// Remove it even if services of it have not ended: nothing will look after them any more
    #[arg(long)]
    force: bool,
}

/// Print the default profile, or name another one
#[derive(Debug, clap::Args)]
pub(crate) struct DefaultArgs {
    /// Name of the profile
    profile: Option<String>,
    #[command(flatten)]
    output: JsonArg,
}

/// Adds a profile.
pub(super) fn add(terminal: Terminal, args: &AddArgs) -> Outcome<()> {
    let name = args.name.as_str();
    let failed = || format!("failed to add profile {name}");
    let paths = app::find_paths()?;
    let values = values(args)?;
    check_defaults(name, &values, &paths).during(failed)?;
    let mut file = ConfigFile::open(&paths.config_file).during(failed)?;
    file.add_profile(&args.name, &values).during(failed)?;
    if args.default {
        file.set_default_profile(name);
    }
    let path = file.save().during(failed)?;
    terminal.note(&format!("profile {name} is added to {}", path.display()));
    terminal.note(&format!("check it with `towline profile check {name}`"));
    Ok(())
}

fn values(args: &AddArgs) -> Outcome<serde_json::Map<String, serde_json::Value>> {
    let mut values = serde_json::Map::new();
    values.insert("kind".to_owned(), serde_json::json!(ProfileKind::Slurm));
    let ssh_config = args
        .ssh_config
        .as_ref()
        .map(std::path::absolute)
        .transpose()
        .map_err(|err| Failure::new(Kind::Usage, format!("bad --ssh-config: {err}")))?;
    if let Some(file) = ssh_config.as_ref().filter(|file| !file.is_file()) {
        return Err(Failure::new(Kind::Usage, format!("there is no SSH configuration {}", file.display()))
            .hint("without --ssh-config it is your own ~/.ssh/config"));
    }
    let ssh_config = ssh_config.map(|file| file.display().to_string());
    let words = [
        ("host", &args.host),
        ("user", &args.user),
        ("ssh_config", &ssh_config),
        ("home", &args.home),
        ("cache", &args.cache),
    ];
    for (key, value) in words {
        let Some(value) = value else { continue };
        check_word(key, value)?;
        values.insert(key.to_owned(), value.as_str().into());
    }
    if let Some(via) = args.via {
        values.insert("via".to_owned(), serde_json::json!(via));
    }
    values.extend(args.job.values());
    Ok(values)
}

/// Checks the values as the first service of the profile would, so that a slip is told to whom it happens.
fn check_defaults(
    name: &str,
    values: &serde_json::Map<String, serde_json::Value>,
    paths: &Paths,
) -> Outcome<()> {
    let profile: Profile = serde_json::from_value(values.clone().into())
        .map_err(|err| Failure::new(Kind::Usage, err.to_string()))?;
    let trial = "trial".parse().map_err(|err| Failure::from_error(Kind::Internal, err))?;
    let spec = profile.spec(name, trial, vec!["true".to_owned()], None);
    wiring::check_bind(name, &profile)?;
    wiring::places(&profile, paths)?;
    wiring::dry_run(&profile, paths, ServiceId::new(uuid::Uuid::nil()), &spec).map(drop)
}

/// What reaches `ssh` as an argument of its own must not look like an option, nor hold anything but one word.
fn check_word(key: &str, value: &str) -> Outcome<()> {
    let spaced = value
        .chars()
        .any(|c| c.is_control() || (c.is_whitespace() && !["home", "cache", "ssh_config"].contains(&key)));
    if value.is_empty() || spaced || value.starts_with('-') {
        let failure = Failure::new(Kind::Usage, format!("bad --{}: {value:?}", key.replace('_', "-")));
        return Err(
            failure.hint("it is one word, and no option of ssh; `towline profile add --help` tells more")
        );
    }
    Ok(())
}

/// A profile in JSON.
#[derive(Serialize)]
struct ProfileView<'a> {
    name: &'a str,
    kind: ProfileKind,
    host: Option<&'a str>,
    user: Option<&'a str>,
    home: Option<&'a str>,
    via: Via,
    default: bool,
    /// `null` while nobody is logged in, and where no login is needed.
    login: Option<LoginView<'a>>,
    /// Whether it takes a person to log in, as far as is known; `null` where no login is needed.
    login_needs_person: Option<bool>,
}

/// A login in JSON.
#[derive(Serialize)]
struct LoginView<'a> {
    /// `towline`, or `user` for a connection that the user has started.
    by: &'static str,
    since: Option<Timestamp>,
    socket: &'a str,
    /// Whether the connection does what it is asked.
    answers: bool,
}

/// How far somebody is logged in for a profile.
enum LoginState {
    /// No login is needed, or the profile cannot be used.
    None,
    /// Nobody is; whether it takes a person.
    Out(bool),
    In(bool, MadeLogin),
}

impl LoginState {
    async fn of(app: &App, name: &str, profile: &Profile) -> Self {
        let Ok(Some(login)) = SshLogin::of(name, profile, &app.paths) else { return Self::None };
        let needs_person = login.needs_person();
        match login.made().await {
            Some(made) => Self::In(needs_person, made),
            None => Self::Out(needs_person),
        }
    }

    fn words(&self, now: Timestamp) -> String {
        match self {
            Self::None => "not needed".to_owned(),
            Self::Out(false) => "no".to_owned(),
            Self::Out(true) => "no, takes a person".to_owned(),
            Self::In(_, made) => {
                let since = made.since.map_or("yes".to_owned(), |at| format!("for {}", age(now.since(at))));
                if !made.answers {
                    return format!("{since}, does not answer");
                }
                if made.is_ours { since } else { format!("{since}, by your own ssh") }
            }
        }
    }
}

/// Lists the profiles, and who is logged in.
pub(super) async fn ls(app: &App, args: &JsonArg) -> Outcome<()> {
    let default = app.config.default_profile.as_str();
    let profiles: Vec<(&String, &Profile)> = app.config.profiles.iter().collect();
    let logins = join_all(profiles.iter().map(|(name, profile)| LoginState::of(app, name, profile))).await;
    let rows = profiles.into_iter().zip(&logins);
    if args.json {
        let views = rows.map(|((name, profile), login)| {
            let made = if let LoginState::In(_, made) = login { Some(made) } else { None };
            serde_json::json!(ProfileView {
                name,
                kind: profile.kind,
                host: profile.host.as_deref(),
                user: profile.user.as_deref(),
                home: profile.home.as_deref(),
                via: profile.via,
                default: name == default,
                login: made.map(|made| LoginView {
                    by: if made.is_ours { "towline" } else { "user" },
                    since: made.since,
                    socket: &made.socket,
                    answers: made.answers,
                }),
                login_needs_person: match login {
                    LoginState::None => None,
                    LoginState::Out(needs) | LoginState::In(needs, _) => Some(*needs),
                },
            })
        });
        return Ok(app.terminal.json(&views.collect::<Vec<_>>())?);
    }
    let mut table = Columns::new(["NAME", "DEFAULT", "KIND", "TARGET", "LOGGED IN"]);
    for ((name, profile), login) in rows {
        let mark = if name == default { "yes" } else { "" };
        let kind = profile.kind.to_string();
        table.row([name.clone(), mark.to_owned(), kind, profile.target(), login.words(app.now())]);
    }
    Ok(app.terminal.table(&table)?)
}

/// Shows one profile.
pub(super) fn show(app: &App, args: &ShowArgs) -> Outcome<()> {
    app.profile(&args.profile)?;
    let prefix = format!("profiles.{}.", args.profile);
    let strip =
        |setting: Setting| Some(Setting { key: setting.key.strip_prefix(&prefix)?.to_owned(), ..setting });
    let settings: Vec<Setting> = app.layers.settings().into_iter().filter_map(strip).collect();
    if args.output.json {
        return Ok(app.terminal.json(&settings)?);
    }
    let mut table = Columns::new(["KEY", "VALUE", "ORIGIN"]);
    for setting in settings {
        table.row([setting.key, setting.value, setting.origin]);
    }
    Ok(app.terminal.table(&table)?)
}

/// Removes a profile.
pub(super) async fn rm(app: &App, args: &RmArgs) -> Outcome<()> {
    let name = args.profile.as_str();
    let failed = || format!("failed to remove profile {name}");
    app.profile(name)?;
    if !args.force {
        let listing = app.ledger().await?.list(Select::Unfinished).await.during(failed)?;
        if let Some(service) = listing.services.iter().find(|service| service.spec.profile == name) {
            let message = format!("service {} of profile {name} has not ended", service.spec.name);
            return Err(Failure::new(Kind::Refused, message)
                .hint(format!("end it with `towline stop {}`", service.spec.name)));
        }
    }
    let mut file = ConfigFile::open(&app.paths.config_file).during(failed)?;
    file.remove_profile(name).during(failed)?;
    let path = file.save().during(failed)?;
    app.terminal.note(&format!("profile {name} is removed from {}", path.display()));
    Ok(())
}

/// Prints or sets the default profile.
pub(super) fn default(app: &App, args: &DefaultArgs) -> Outcome<()> {
    let Some(name) = &args.profile else {
        let default = &app.config.default_profile;
        if args.output.json {
            return Ok(app.terminal.json(&serde_json::json!({ "default_profile": default }))?);
        }
        return Ok(app.terminal.data(default)?);
    };
    app.profile(name)?;
    let failed = || format!("failed to make {} the default profile", names::shown(name));
    let mut file = ConfigFile::open(&app.paths.config_file).during(failed)?;
    file.set_default_profile(name);
    file.save().during(failed)?;
    let what = if name == LOCAL { "this machine" } else { name };
    app.terminal.note(&format!("services run on {what} unless --profile says otherwise"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_ssh_are_checked() {
        assert!(check_word("host", "login.example.edu").is_ok());
        assert!(check_word("home", "/scratch/my dir").is_ok());
        for bad in ["", "-oProxyCommand=x", "a b", "a\nb"] {
            assert_eq!(check_word("host", bad).unwrap_err().kind, Kind::Usage, "{bad:?}");
        }
        assert!(check_word("home", "a\nb").is_err());
    }
}
