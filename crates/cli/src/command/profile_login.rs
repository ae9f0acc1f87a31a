//! `towline profile login` and `towline profile logout`

use std::time::Duration;

use towline_core::lifecycle::Status;
use towline_core::ports::Select;
use towline_core::service::Service;

use super::follow::interrupted;
use crate::app::{App, Pace};
use crate::exit::{During as _, Failure, Kind, Outcome};
use crate::render::{age, clean_line};
use crate::wiring::{How, MadeLogin, SshLogin, login_command};

/// How long services that did not answer before a login are looked at again after it, and how often.
const SETTLED: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(500);

/// Log in to the cluster of a profile, once and for all commands
///
/// For clusters that want a password or a code besides a key: `ssh` asks for it here, at the terminal (or by SSH_ASKPASS
/// where there is none), as it asks whether to trust a host key that it does not know. All other commands use the
/// connection that this leaves behind, and never ask. When it is gone or does not answer they say so, with exit code 6.
///
/// A login that is there already is used, also one that you have made with an `ssh` of your own whose ControlPath your
/// configuration names; one that does not answer is ended and made anew. Afterwards the tunnels of the profile's services
/// are opened again, at the same local ports.
#[derive(Debug, clap::Args)]
pub(crate) struct LoginArgs {
    /// Name of the profile
    profile: String,
}

/// End the connection to the cluster of a profile
///
/// Its tunnels end with it, also those that go through compute nodes; services run on. A connection that you have started
/// with an `ssh` of your own is left alone.
/// Where no person is needed for it, the next command that has something to ask logs in again.
#[derive(Debug, clap::Args)]
pub(crate) struct LogoutArgs {
    /// Name of the profile
    profile: String,
}

/// The login of a profile, unless it needs none.
fn login_of(app: &App, name: &str) -> Outcome<Option<SshLogin>> {
    let login = SshLogin::of(name, app.profile(name)?, &app.paths)
        .during(|| format!("failed to use profile {name}"))?;
    if login.is_none() {
        app.terminal
            .note(&format!("profile {name} needs no login: its services are run from this machine itself"));
    }
    Ok(login)
}

/// Logs in, and opens the tunnels of the profile's services again.
pub(super) async fn login(app: &App, args: &LoginArgs) -> Outcome<()> {
    let name = args.profile.as_str();
    let Some(login) = login_of(app, name)? else { return Ok(()) };
    let target = app.profile(name)?.target();
    let mut said = |line: &str| app.terminal.interject(&format!("ssh: {}", clean_line(line)));
    let made = tokio::select! {
        made = login.make(&mut said) => made,
        () = interrupted() => Err(Failure::new(Kind::Interrupted, "interrupted: the login is given up")
            .hint(login_command(name))),
    };
    let (how, made) = made
        .map_err(|failure| app.explain(name, failure))
        .during(|| format!("failed to log in to {name}"))?;
    match how {
        How::Before => {
            let since = made.since.map_or(String::new(), |at| format!(" for {}", age(app.now().since(at))));
            app.terminal.note(&format!("already logged in to {target}{since}, {}", whose(&made)));
        }
        How::Unasked => {
            app.terminal.note(&format!("logged in to {target} without a question; commands do so themselves"));
        }
        How::Typed => app.terminal.note(&format!(
            "logged in to {target}; all commands use this login while it lives, and `towline profile logout {name}` ends it"
        )),
    }
    look_again(app, name).await
}

/// Whose connection it is, as the end of a sentence.
fn whose(login: &MadeLogin) -> String {
    match login.is_ours {
        true => "over towline's own connection".to_owned(),
        false => format!("over the connection of your own ssh, {}", login.socket),
    }
}

/// Looks at the profile's services, which opens their tunnels. The login itself is made, whatever comes of it.
async fn look_again(app: &App, name: &str) -> Outcome<()> {
    let begun = app.now();
    // What was found out just before the login is not asked for again yet, and is the old story.
    let is_old = |service: &Service| {
        let ping = service.life.ping.as_ref();
        service.status() == Status::Unhealthy && ping.is_some_and(|ping| ping.at < begun)
    };
    let looked = loop {
        match app.refresh_profile(name, Pace::Now).await {
            Ok(looked) if !looked.services.iter().any(is_old) || app.now().since(begun) >= SETTLED => {
                break looked;
            }
            Ok(_) => tokio::time::sleep(PAUSE).await,
            Err(failure) => {
                app.terminal.warn(&format!("its services were not looked at: {}", failure.error));
                return Ok(());
            }
        }
    };
    app.tell(&looked).await;
    for service in looked.services {
        let (name, status) = (&service.spec.name, service.status());
        let url = service.url().map_or_else(String::new, |url| format!(" at {url}"));
        app.terminal.note(&format!("service {name} is {status}{url}"));
    }
    Ok(())
}

/// Ends the connection.
pub(super) async fn logout(app: &App, args: &LogoutArgs) -> Outcome<()> {
    let name = args.profile.as_str();
    let Some(login) = login_of(app, name)? else { return Ok(()) };
    let failed = || format!("failed to log out of {name}");
    let carried = carried(app, &login).await.during(failed)?;
    let was_there = login.end().await.during(failed)?;
    let rest = login.made().await;
    if was_there {
        app.terminal.note(&format!("logged out of {}", app.profile(name)?.target()));
        for service in carried {
            let url = service.url().unwrap_or_default();
            app.terminal.note(&format!("the tunnel of service {} is down with it: {url}", service.spec.name));
        }
    }
    match rest {
        Some(made) => app.terminal.note(&format!(
            "you are logged in {}; towline leaves it alone, and uses it while it lives",
            whose(&made)
        )),
        None if !was_there => {
            app.terminal.note(&format!("nobody is logged in to {}", app.profile(name)?.target()));
        }
        None => {}
    }
    Ok(())
}

/// The services whose tunnels end with the connection. Other profiles may share it.
async fn carried(app: &App, login: &SshLogin) -> Outcome<Vec<Service>> {
    let mut services = app.ledger().await?.list(Select::Unfinished).await?.services;
    services
        .retain(|service| service.life.tunnel.as_ref().is_some_and(|record| login.carries(&record.tunnel)));
    Ok(services)
}
