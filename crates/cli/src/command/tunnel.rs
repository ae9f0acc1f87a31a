//! `towline tunnel`

use serde::Serialize;
use towline_core::lifecycle::TunnelRecord;
use towline_core::ports::Select;
use towline_core::service::Service;
use towline_core::time::Timestamp;

use crate::app::App;
use crate::args::{JsonArg, ServiceArg};
use crate::exit::{During as _, Outcome};
use crate::render::{Columns, age};

/// Open and close tunnels on their own
#[derive(Debug, clap::Subcommand)]
pub(crate) enum TunnelVerb {
    /// Open the tunnel of a service and keep it open from now on; prints the URL
    Open(OpenArgs),
    /// Close the tunnel of a service until it is opened again; the service runs on
    Close(ServiceArg),
    /// List the open tunnels, as far as is recorded
    Ls(JsonArg),
}

/// A service, and how its URL is printed.
#[derive(Debug, clap::Args)]
pub(crate) struct OpenArgs {
    #[command(flatten)]
    service: ServiceArg,
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
            let failed = || format!("failed to open the tunnel of service {name}");
            let url = engine.open_tunnel(service.id).await.during(failed)?.url();
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

/// A tunnel in JSON.
#[derive(Serialize)]
struct TunnelView<'a> {
    id: String,
    name: &'a str,
    url: String,
    host: &'a str,
    port: u16,
    place_host: &'a str,
    place_port: u16,
    checked_at: Timestamp,
}

async fn ls(app: &App, args: &JsonArg) -> Outcome<()> {
    let listing = app.ledger().await?.list(Select::Unfinished).await?;
    let open: Vec<(&Service, &TunnelRecord)> = listing
        .services
        .iter()
        .filter_map(|service| Some((service, service.life.tunnel.as_ref()?)))
        .collect();
    if args.json {
        let view = |(service, record): &(&Service, &TunnelRecord)| {
            serde_json::json!(TunnelView {
                id: service.id.to_string(),
                name: service.spec.name.as_str(),
                url: record.tunnel.url(),
                host: &record.tunnel.host,
                port: record.tunnel.port,
                place_host: &record.tunnel.place.host,
                place_port: record.tunnel.place.port,
                checked_at: record.checked_at,
            })
        };
        return Ok(app.terminal.json(&open.iter().map(view).collect::<Vec<_>>())?);
    }
    if open.is_empty() {
        app.terminal.note("no tunnels are open");
        return Ok(());
    }
    let mut table = Columns::new(["NAME", "URL", "PLACE", "CHECKED"]);
    for (service, record) in open {
        let place = &record.tunnel.place;
        let checked = format!("{} ago", age(app.now().since(record.checked_at)));
        table.row([
            service.spec.name.to_string(),
            record.tunnel.url(),
            format!("{}:{}", place.host, place.port),
            checked,
        ]);
    }
    Ok(app.terminal.table(&table)?)
}
