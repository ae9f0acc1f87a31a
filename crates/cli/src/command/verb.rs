//! The list of verbs, and which function each one is.

use std::future::Future;

use super::{
    completion, config, db, doctor, env, events, image, keep, key, logs, ls, man, model, profile,
    profile_import, profile_login, prune, recipe, refresh, rerun, rm, run, run_file, schema, show, stop,
    tunnel, url, wait, why,
};
use crate::app::App;
use crate::config::Flags;
use crate::exit::{Failure, Kind, Outcome};
use crate::render::Terminal;

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    Run(Box<run::RunArgs>),
    Rerun(rerun::RerunArgs),
    #[command(visible_alias = "list")]
    Ls(ls::LsArgs),
    Show(show::ShowArgs),
    Why(why::WhyArgs),
    Events(events::EventsArgs),
    Logs(logs::LogsArgs),
    Url(url::UrlArgs),
    Key(key::KeyArgs),
    Env(env::EnvArgs),
    Wait(wait::WaitArgs),
    Stop(stop::StopArgs),
    Rm(rm::RmArgs),
    Prune(prune::PruneArgs),
    Refresh(refresh::RefreshArgs),
    Keep(keep::KeepArgs),
    #[command(subcommand)]
    Recipe(recipe::RecipeVerb),
    #[command(subcommand)]
    Model(Box<model::ModelVerb>),
    #[command(subcommand)]
    Image(Box<image::ImageVerb>),
    #[command(subcommand)]
    Tunnel(tunnel::TunnelVerb),
    #[command(subcommand)]
    Profile(Box<profile::ProfileVerb>),
    Doctor(doctor::DoctorArgs),
    #[command(subcommand)]
    Config(config::ConfigVerb),
    #[command(subcommand)]
    Db(db::DbVerb),
    Schema(schema::SchemaArgs),
    Completion(completion::CompletionArgs),
    Man(man::ManArgs),
    /// List the points at which the end-to-end tests break off
    #[cfg(feature = "crash-points")]
    #[command(hide = true)]
    CrashPoints {
        /// Count how many of them were exercised, which FILE names as this command does; fail if one is missing
        #[arg(long, value_name = "FILE")]
        count: Option<std::path::PathBuf>,
    },
}

impl Verb {
    /// Does it.
    ///
    /// # Errors
    /// Whatever went wrong, with the exit code that it means.
    pub(crate) fn execute(self, terminal: Terminal) -> Outcome<()> {
        let load = || App::load(terminal, &Flags::default());
        match self {
            Self::Run(args) => match &args.file {
                Some(file) => block_on(run_file::run_file(terminal, file, &args)),
                None => {
                    let app = App::load(terminal, &args.flags())?;
                    block_on(run::run(&app, &args))
                }
            },
            Self::Rerun(args) => block_on(rerun::rerun(&load()?, &args)),
            Self::Ls(args) => block_on(ls::ls(&load()?, &args)),
            Self::Show(args) => block_on(show::show(&load()?, &args)),
            Self::Why(args) => block_on(why::why(&load()?, &args)),
            Self::Events(args) => block_on(events::events(&load()?, &args)),
            Self::Logs(args) => block_on(logs::logs(&load()?, &args)),
            Self::Url(args) => block_on(url::url(&load()?, &args)),
            Self::Key(args) => block_on(key::key(&load()?, &args)),
            Self::Env(args) => block_on(env::env(&load()?, &args)),
            Self::Wait(args) => block_on(wait::wait(&load()?, &args)),
            Self::Stop(args) => block_on(stop::stop(&load()?, &args)),
            Self::Rm(args) => block_on(rm::rm(&load()?, &args)),
            Self::Prune(args) => block_on(prune::prune(&load()?, &args)),
            Self::Refresh(args) => block_on(refresh::refresh(&load()?, &args)),
            Self::Keep(args) if args.systemd => keep::print_unit(terminal, &args),
            Self::Keep(args) => block_on(keep::keep(&load()?, &args)),
            Self::Recipe(verb) => recipe::recipe(terminal, &verb),
            Self::Model(verb) => {
                let app = App::load(terminal, &verb.flags())?;
                block_on(model::model(&app, &verb))
            }
            Self::Image(verb) => {
                let app = App::load(terminal, &verb.flags())?;
                block_on(image::image(&app, &verb))
            }
            Self::Tunnel(verb) => block_on(tunnel::tunnel(&load()?, &verb)),
            Self::Profile(verb) => match *verb {
                profile::ProfileVerb::Add(args) => profile::add(terminal, &args),
                profile::ProfileVerb::Ls(args) => block_on(profile::ls(&load()?, &args)),
                profile::ProfileVerb::Show(args) => profile::show(&load()?, &args),
                profile::ProfileVerb::Rm(args) => block_on(profile::rm(&load()?, &args)),
                profile::ProfileVerb::Default(args) => profile::default(&load()?, &args),
                profile::ProfileVerb::Check(args) => block_on(doctor::check_profile(terminal, &args)),
                profile::ProfileVerb::Login(args) => block_on(profile_login::login(&load()?, &args)),
                profile::ProfileVerb::Logout(args) => block_on(profile_login::logout(&load()?, &args)),
                profile::ProfileVerb::Import(args) => profile_import::import(terminal, &args),
            },
            Self::Doctor(args) => block_on(doctor::doctor(terminal, &args)),
            Self::Config(verb) => config::config(terminal, &verb),
            Self::Db(verb) => block_on(db::db(&load()?, &verb)),
            Self::Schema(args) => schema::schema(terminal, &args),
            Self::Completion(args) => completion::completion(terminal, &args),
            Self::Man(args) => man::man(terminal, &args),
            #[cfg(feature = "crash-points")]
            Self::CrashPoints { count } => {
                Ok(terminal.data(&crate::wiring::crash_points::tell(count.as_deref())?)?)
            }
        }
    }
}

/// Runs a command on a runtime of its own; those that need none start without it.
fn block_on<T>(command: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|err| Failure::new(Kind::Internal, format!("failed to start the runtime: {err}")))?;
    runtime.block_on(command)
}
