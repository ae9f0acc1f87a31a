//! `towline tunnel`

use serde::Serialize;
use towline_core::id::ServiceId;
use towline_core::job::Place;
use towline_core::lifecycle::{Job, Tunnel, TunnelRecord};
use towline_core::ports::Select;
use towline_core::service::Service;
use towline_core::time::Timestamp;
use towline_core::why::{FarEnd, Reach};

use crate::app::{App, Pace};
use crate::args::{JsonArg, ServiceArg};
use crate::exit::{During as _, Outcome};
use crate::keeper::port_moved;
use crate::render::{Columns, age};

/// Open and close tunnels on their own
#[derive(Debug, clap::Subcommand)]
pub(crate) enum TunnelVerb {
    /// Open the tunnel of a service and keep it open from now on; prints the URL
    Open(OpenArgs),
    /// Close the tunnel of a service until it is opened again; the service runs on
    Close(ServiceArg),
    Ls(LsArgs),
}

/// A service, and how its URL is printed.
#[derive(Debug, clap::Args)]
pub(crate) struct OpenArgs {
    #[command(flatten)]
    service: ServiceArg,
    #[command(flatten)]
    output: JsonArg,
}

/// List the tunnels, and what the last ping through each found at its far end
///
/// Looks at all services again first, as `ls` does, unless another command did so within two seconds. A forward that
/// opens says nothing about its far end; the ping tells whether the server answers, and if not, where the way ends.
///
/// With --json an array of objects. `reach` is one of `answers`, `unconfirmed` (something answers, and the scheduler has
/// not confirmed the job lately), `not_asked`, `not_listening_yet`, `nothing_listens`, `loopback_only`, `wrong_node`,
/// `forwarding_prohibited`, `name_unresolved`, `node_unreachable`, `node_refuses`, `http_error` (with `http_status`),
/// `not_ready`, `hangs`, `closes`, `not_http` and `no_way`; `text` and `advice` say it for people. `url` is null while a tunnel could
/// not be opened.
#[derive(Debug, clap::Args)]
pub(crate) struct LsArgs {
    /// Show what is recorded without looking again
    #[arg(long)]
    no_refresh: bool,
    #[command(flatten)]
    output: JsonArg,
}

/// Does what the verb says.
pub(super) async fn tunnel(app: &App, verb: &TunnelVerb) -> Outcome<()> {
    match verb {
        TunnelVerb::Open(args) => {
            let service = app.find(&args.service.service).await?;
            let engine = app.target(&service.spec.profile).await?.engine;
            let name = &service.spec.name;
            let opened = engine.open_tunnel(service.id).await.map_err(|error| {
                let failure = app.explain(&service.spec.profile, error.into());
                failure.during(format!("failed to open the tunnel of service {name}"))
            });
            let url = opened?.url();
            let now = app.find(&service.id.to_string()).await?;
            if let Some(line) = port_moved(&service, &now) {
                app.terminal.warn(&line);
            }
            let far = FarEnd::of(&now);
            if far.is_broken() {
                let advice = far.advice.map(|advice| format!("; {advice}")).unwrap_or_default();
                app.terminal.warn(&format!("the tunnel is open, and {}{advice}", far.text));
            }
            if args.output.json {
                return Ok(app.terminal.json(&serde_json::json!({ "name": name, "url": url }))?);
            }
            Ok(app.terminal.data(&url)?)
        }
        TunnelVerb::Close(args) => {
            let service = app.find(&args.service).await?;
            let engine = app.target(&service.spec.profile).await?.engine;
            let name = &service.spec.name;
            let failed = || format!("failed to close the tunnel of service {name}");
            engine.close_tunnel(service.id).await.during(failed)?;
            app.terminal.note(&format!(
                "the tunnel of service {name} is closed; `towline tunnel open {name}` opens it again"
            ));
            Ok(())
        }
        TunnelVerb::Ls(args) => ls(app, args).await,
    }
}

/// A tunnel in JSON. Fields may be added, and so may words of `reach`; none changes its meaning or goes away.
#[derive(Serialize)]
struct TunnelView<'a> {
    id: ServiceId,
    name: &'a str,
    /// `null` while it could not be opened; so are `host`, `port` and `checked_at`.
    url: Option<String>,
    host: Option<&'a str>,
    port: Option<u16>,
    /// Where it leads, or is to lead.
    place_host: &'a str,
    place_port: u16,
    checked_at: Option<Timestamp>,
    /// How far the way to the server's answer goes, as far as the last ping tells: a word.
    reach: &'static str,
    /// The HTTP status, if that is what the server answers with instead of a 2xx.
    http_status: Option<u16>,
    /// The same for people.
    text: String,
    /// What to do, for people.
    advice: Option<String>,
    /// When the server was last pinged.
    pinged_at: Option<Timestamp>,
}

/// A service that has a tunnel, or is to have one.
struct Row<'a> {
    service: &'a Service,
    open: Option<&'a TunnelRecord>,
    place: &'a Place,
    far: FarEnd,
}

impl<'a> Row<'a> {
    /// `None` for a service whose tunnel is neither open nor wanted, or whose job has not told where it listens.
    fn of(service: &'a Service) -> Option<Self> {
        let life = &service.life;
        let open = life.tunnel.as_ref();
        let wanted = life.phase.job().and_then(Job::place).filter(|_| !life.tunnel_unwanted);
        let place = open.map(|record| &record.tunnel.place).or(wanted)?;
        Some(Self { service, open, place, far: FarEnd::of(service) })
    }

    fn view(&self) -> TunnelView<'_> {
        let tunnel = self.open.map(|record| &record.tunnel);
        let status = match self.far.reach {
            Reach::HttpError(status) => Some(status),
            _ => None,
        };
        TunnelView {
            id: self.service.id,
            name: self.service.spec.name.as_str(),
            url: tunnel.map(Tunnel::url),
            host: tunnel.map(|tunnel| tunnel.host.as_str()),
            port: tunnel.map(|tunnel| tunnel.port),
            place_host: &self.place.host,
            place_port: self.place.port,
            checked_at: self.open.map(|record| record.checked_at),
            reach: self.far.reach.as_str(),
            http_status: status,
            text: self.far.text.clone(),
            advice: self.far.advice.clone(),
            pinged_at: self.far.at,
        }
    }

    fn cells(&self, now: Timestamp) -> [String; 5] {
        let place = format!("{}:{}", self.place.host, self.place.port);
        let url = self.open.map_or_else(|| "-".to_owned(), |record| record.tunnel.url());
        let checked = self.open.map(|record| format!("{} ago", age(now.since(record.checked_at))));
        let far = match &self.far.advice {
            Some(advice) => format!("{}: {advice}", self.far.text),
            None => self.far.text.clone(),
        };
        [self.service.spec.name.to_string(), url, place, checked.unwrap_or_else(|| "-".to_owned()), far]
    }
}

async fn ls(app: &App, args: &LsArgs) -> Outcome<()> {
    if !args.no_refresh {
        app.tell(&app.refresh_all(Pace::InTurn).await?).await;
    }
    let listing = app.ledger().await?.list(Select::Unfinished).await?;
    let rows: Vec<Row<'_>> = listing.services.iter().filter_map(Row::of).collect();
    if args.output.json {
        return Ok(app.terminal.json(&rows.iter().map(Row::view).collect::<Vec<_>>())?);
    }
    if rows.is_empty() {
        app.terminal.note("no tunnels are open");
        return Ok(());
    }
    let mut table =
        Columns::new(["NAME", "URL", "PLACE", "CHECKED", "FAR END"]).expendable(["CHECKED", "PLACE"]);
    for row in rows {
        table.row(row.cells(app.now()));
    }
    Ok(app.terminal.table(&table)?)
}
